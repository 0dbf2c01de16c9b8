"""Which folders a request concerns, for the rules of faults: those it names, and those of the items it names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.store import folders
from bridge.sandbox.store.errors import FolderNotFoundError
from bridge.sandbox.store.ids import MalformedIdError, parse_id

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.store import Mailbox, Store

_MOST = 2000
_WITH_IDS = (xml.T + "FolderId", xml.T + "ItemId", xml.T + "AttachmentId", xml.M + "ParentItemId")


def folders_named(store: Store, mailbox: Mailbox | None, request: etree._Element) -> frozenset[str]:
    """Return ids and distinguished names of the folders that a request names, or that hold the items it names."""
    named: set[str] = {str(node.get("Id")) for node in request.iter(xml.T + "DistinguishedFolderId")}
    numbers: set[int] = set()
    for count, node in enumerate(request.iter(*_WITH_IDS)):
        if count >= _MOST:
            break
        try:
            numbers.add(parse_id(str(node.get("Id"))).folder)
        except MalformedIdError:
            continue
    if mailbox is None:
        return frozenset(named)
    with store.reading() as db:
        wanted: list[int | str] = [*numbers, *named]
        for which in wanted:
            try:
                folder = folders.folder(db, mailbox.id, which)
            except FolderNotFoundError:
                continue
            named.add(mailbox.mint.folder_id(folder.id))
            if folder.distinguished:
                named.add(folder.distinguished)
    return frozenset(named)
