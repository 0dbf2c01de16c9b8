"""QueryString: what a mailbox is searched by in words (AQS)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews.errors import EwsError

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.restrictions import Restriction


def read_query(node: etree._Element | None) -> Restriction | None:
    """
    Return the condition that a QueryString says, None without one.

    Raises:
        EwsError: ErrorInvalidOperation.
    """
    if node is None:
        return None
    raise EwsError("ErrorInvalidOperation")
