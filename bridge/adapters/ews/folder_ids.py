"""How a request names folders, and whose they are."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from bridge.adapters.ews.soap import T, element

if TYPE_CHECKING:
    from lxml import etree


def distinguished(name: str) -> etree._Element:
    """Return the id element of a distinguished folder; whose it is `name_mailbox` adds, to all of a call."""
    return element("t:DistinguishedFolderId", Id=name)


def name_mailbox(request: etree._Element, address: str) -> None:
    """
    Let every distinguished folder in a request be the mailbox's of this address, unless it is named already.

    Without a name Exchange takes the mailbox of whoever is impersonated, or else the login's own.
    """
    for folder in request.iter(f"{T}DistinguishedFolderId"):
        if folder.find(f"{T}Mailbox") is None:
            folder.append(element("t:Mailbox", element("t:EmailAddress", text=address)))


def folder_ids(tag: str, *ids: etree._Element) -> etree._Element:
    """Return a list of folder ids under a request's tag; the ids are copied, an element has one parent only."""
    return element(tag, *(copy.copy(i) for i in ids))
