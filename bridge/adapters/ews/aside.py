"""What lies in the junk folder and in `Bridge Parked` of one mailbox, over EWS: in one call, as a rule."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folders import distinguished, find_child, folder_ids
from bridge.adapters.ews.refs import number_of
from bridge.adapters.ews.soap import T, element
from bridge.domain.mail import LeftAside
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

_FOUND_GOOD_SECONDS: Final = 600.0
"""People may put the folder elsewhere, where it keeps its id; who parks a mail has it looked for at once."""


class EwsAside:
    """Counts, and remembers where the folder of parked mails is, or that there is none."""

    def __init__(self, client: EwsClient, address: str, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._address = address
        self._monotonic = monotonic
        self._parked: etree._Element | None = None
        self._looked_at: float | None = None

    def look_anew(self) -> None:
        """Look for the folder of parked mails at the next count: it may have been made."""
        self._looked_at = None

    async def count(self) -> LeftAside:
        """Return how many mails lie there; see the port."""
        now = self._monotonic()
        if self._looked_at is None or now - self._looked_at >= _FOUND_GOOD_SECONDS:
            self._looked_at = None
            root = distinguished("msgfolderroot")
            self._parked = await find_child(self._client, self._address, root, PARKED_FOLDER)
            self._looked_at = now
        folders = [distinguished("junkemail"), *(() if self._parked is None else (self._parked,))]
        shape = element("m:FolderShape", element("t:BaseShape", text="IdOnly"), _total())
        request = element("m:GetFolder", shape, folder_ids("m:FolderIds", *folders))
        messages = await self._client.call(self._address, request)
        if len(messages) != len(folders):
            raise MailboxUnavailable("another number of answers than of folders")
        counts = [_count_in(message) for message in messages]
        if len(counts) == 1:
            return LeftAside(counts[0], 0)
        if counts[1] is None:
            self._looked_at = None  # it is gone, or another answers the next time
        return LeftAside(counts[0], counts[1])


def _total() -> etree._Element:
    return element("t:AdditionalProperties", element("t:FieldURI", FieldURI="folder:TotalCount"))


def _count_in(message: ResponseMessage) -> int | None:
    total = next(message.element.iter(f"{T}TotalCount"), None)
    return None if message.error is not None or total is None else number_of(total.text, 0)
