"""
The folder `Bridge Sends`: found wherever people moved it, made anew where they destroyed it, and then known for new.

The folder carries a property by which it is found under any name and below any folder. Its first item tells since when
it is whole; whoever deletes the folder or empties it takes that item away, too. That there was a ledger before is
written on the inbox, which cannot be deleted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import find_all
from bridge.adapters.ews.folders import distinguished, folder_ids, is_named
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time
from bridge.errors import MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

FOLDER: Final = "Bridge Sends"

BORN: Final = "born"
"""The kind of the item that tells since when the ledger is whole; no entry of a request."""
_FIRST, _AGAIN = "first", "again"
_YES = "1"
_CREATED: Final = "item:DateTimeCreated"


class LedgerFolder:
    """The ledger's folder in one mailbox; several where people put back an old one. New entries go into the first."""

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._address = address
        self._ids: list[etree._Element] = []
        self.since: datetime | None = None
        """From when on the ledger is whole, as far as is known; None: it always was."""

    def forget(self) -> None:
        """Look for the folder anew when it is needed next: it is not where it was."""
        self._ids = []

    async def ids(self) -> list[etree._Element]:
        """Return the ids, making the folder where it is missing."""
        if not self._ids:
            found = await self._found() or [await self._made()]
            had_one = await self._had_one()
            births = [birth for folder in found for birth in await self._births(folder, had_one=had_one)]
            if not had_one:
                # Before anything is sent. Written after the first birth, which it would belie.
                await self._note()
            self._ids = found
            self.note_births(births)
        return self._ids

    def note_births(self, births: Iterable[etree._Element]) -> None:
        """Learn from the items that tell since when the ledger is whole."""
        again = [
            parse_time(birth.findtext(f"{T}DateTimeCreated"))
            for birth in births
            if stamps.properties_of(birth).get(stamps.REASON) != _FIRST
        ]
        known = [moment for moment in again if moment is not None]
        self.since = max(known, default=None)

    async def _found(self) -> list[etree._Element]:
        by_property = stamps.equals(stamps.LEDGER, _YES)
        request = element(
            "m:FindFolder",
            element(
                "m:FolderShape",
                element("t:BaseShape", text="IdOnly"),
                element("t:AdditionalProperties", stamps.uri(stamps.LEDGER)),
            ),
            element("m:IndexedPageFolderView", MaxEntriesReturned="100", Offset="0", BasePoint="Beginning"),
            element("m:Restriction", element("t:Or", by_property, is_named(FOLDER))),
            folder_ids("m:ParentFolderIds", distinguished("msgfolderroot"), distinguished("deleteditems")),
            Traversal="Deep",
        )
        messages = await self._client.call(self._address, request)
        if len(messages) != 2:  # one for each parent
            raise MailboxUnavailable("another number of answers than of searches")
        for message in messages:
            message.raise_error()
        everywhere, in_the_trash = (_folders(message) for message in messages)
        ours = [folder_id for folder_id, stamped in everywhere.items() if stamped]
        if not ours:
            # One of an older release, not moved yet; a person's own folder of that name serves as well.
            ours = [folder_id for folder_id in everywhere if folder_id not in in_the_trash][:1]
            for folder_id in ours:
                await self._stamp(element("t:FolderId", Id=folder_id), stamps.LEDGER)
        return [
            await self._put_back(element("t:FolderId", Id=one))
            if one in in_the_trash
            else element("t:FolderId", Id=one)
            for one in ours
        ]

    async def _put_back(self, folder: etree._Element) -> etree._Element:
        """Take the folder out of Deleted Items, where it would age away; where that cannot be it serves as it lies."""
        request = element(
            "m:MoveFolder",
            folder_ids("m:ToFolderId", distinguished("msgfolderroot")),
            folder_ids("m:FolderIds", folder),
        )
        for message in await self._client.call(self._address, request):
            moved = next(message.element.iter(f"{T}FolderId"), None)
            if message.error is None and moved is not None:
                return element("t:FolderId", Id=moved.get("Id") or "")
        return folder

    async def _made(self) -> etree._Element:
        request = element(
            "m:CreateFolder",
            folder_ids("m:ParentFolderId", distinguished("msgfolderroot")),
            element(
                "m:Folders",
                element("t:Folder", element("t:DisplayName", text=FOLDER), *stamps.written({stamps.LEDGER: _YES})),
            ),
        )
        for message in await self._client.call(self._address, request):
            if message.code != "ErrorFolderExists":  # another worker was faster
                message.raise_error()
        found = await self._found()
        if not found:
            raise MailboxUnavailable("a folder that was just made is not to be found")
        return found[0]

    async def _births(self, folder: etree._Element, *, had_one: bool) -> list[etree._Element]:
        """Return what tells since when this folder is whole, writing it where nothing does."""
        for last in (False, True):
            fields = [element("t:FieldURI", FieldURI=_CREATED), stamps.uri(stamps.REASON)]
            restriction = stamps.equals(stamps.ENTRY, BORN)
            births = await find_all(self._client, self._address, folder, restriction, fields=fields)
            if births or last:
                break
            values = {stamps.ENTRY: BORN, stamps.REASON: _AGAIN if had_one else _FIRST}
            subject = element("t:Subject", text="since when this ledger is whole: leave it here")
            request = element(
                "m:CreateItem",
                folder_ids("m:SavedItemFolderId", folder),
                element("m:Items", element("t:Message", subject, *stamps.written(values))),
                MessageDisposition="SaveOnly",
            )
            await self._client.call_one(self._address, request)
        if not births:
            raise MailboxUnavailable("an item that was just made is not to be found")
        return births

    async def _had_one(self) -> bool:
        request = element(
            "m:GetFolder",
            element(
                "m:FolderShape",
                element("t:BaseShape", text="IdOnly"),
                element("t:AdditionalProperties", stamps.uri(stamps.HAD_LEDGER)),
            ),
            folder_ids("m:FolderIds", distinguished("inbox")),
        )
        message = await self._client.call_one(self._address, request)
        return any(
            stamps.properties_of(folder).get(stamps.HAD_LEDGER) == _YES for folder in message.element.iter(f"{T}Folder")
        )

    async def _note(self) -> None:
        await self._stamp(distinguished("inbox"), stamps.HAD_LEDGER)

    async def _stamp(self, folder: etree._Element, name: str) -> None:
        update = element("t:SetFolderField", stamps.uri(name), element("t:Folder", *stamps.written({name: _YES})))
        request = element(
            "m:UpdateFolder",
            element("m:FolderChanges", element("t:FolderChange", folder, element("t:Updates", update))),
        )
        await self._client.call_one(self._address, request)


def is_birth(item: etree._Element) -> bool:
    """Tell whether an item of the ledger says since when it is whole."""
    return stamps.properties_of(item).get(stamps.ENTRY) == BORN


def _folders(message: ResponseMessage) -> dict[str, bool]:
    """Return the ids of the folders that were found, and whether each carries the ledger's property."""
    found = {}
    for folder_id in message.element.iter(f"{T}FolderId"):
        folder = folder_id.getparent()
        if folder is not None:
            found[folder_id.get("Id") or ""] = stamps.properties_of(folder).get(stamps.LEDGER) == _YES
    return found
