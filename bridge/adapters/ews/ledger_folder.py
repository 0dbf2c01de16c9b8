"""
The folder `Bridge Sends`: found wherever people moved it, made anew where they destroyed it, and then known for new.

The folder carries a property by which it is found under any name and below any folder. Its first item tells since when
it is whole; whoever deletes the folder or empties it takes that item away, too. That there was a ledger before is
written on the inbox, which cannot be deleted.

What no request is about any more moves from it into archives, folders below it: a search without an index reads every
item of the folder, and the folder holds two weeks. A request's entries are all in the archive of its id's hash, or in
the folder itself. That there are archives is written in the folder, before the first entry moves: whoever looks for a
request finds either its entries or that mark there, and looks into the archive after it. Nothing moves back.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import find_all
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import is_named
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time
from bridge.domain.watched_folders import LEDGER_FOLDER
from bridge.errors import MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Sequence
    from datetime import datetime

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

FOLDER: Final = LEDGER_FOLDER

BORN: Final = "born"
"""The kind of the item that tells since when the ledger is whole; no entry of a request."""
ARCHIVED: Final = "archived"
"""The kind of the item that tells that entries may be in archives."""
ARCHIVES: Final = 64
_FIRST, _AGAIN = "first", "again"
_YES = "1"
_ARCHIVE: Final = "archive-"
_CREATED: Final = "item:DateTimeCreated"


class LedgerFolder:
    """The ledger's folder in one mailbox; several where people put back an old one. New entries go into the first."""

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._address = address
        self._ids: list[etree._Element] = []
        self._archives: dict[int, list[etree._Element]] = {}
        self._marked = False
        self.since: datetime | None = None
        """From when on the ledger is whole, as far as is known; None: it always was."""

    def forget(self) -> None:
        """Look for the folder anew when it is needed next: it is not where it was."""
        self._ids, self._archives, self._marked = [], {}, False

    async def ids(self) -> list[etree._Element]:
        """Return the ids, making the folder where it is missing."""
        if not self._ids:
            found, archives = await self._found()
            found = found or [await self._made()]
            had_one = await self._had_one()
            reason = _AGAIN if had_one else _FIRST
            births = [birth for folder in found for birth in await self._births(folder, reason=reason)]
            if not had_one:
                # Before anything is sent. Written after the first birth, which it would belie.
                await self._note()
            self._ids, self._archives = found, archives
            self.note_births(births)
        return self._ids

    async def archive(self, number: int, *, marked: bool) -> list[etree._Element]:
        """
        Return the folders of an archive; none where there never was one.

        Where the ledger is `marked` as one that has archives, one that is missing was made after this worker looked for
        folders. None are returned then if somebody destroyed it: see `lost`.
        """
        archives = await self._all_archives()
        if marked and number not in archives:
            self.forget()
            archives = await self._all_archives()
        return archives.get(number, [])

    async def archives(self) -> list[list[etree._Element]]:
        """Return the folders of each archive that is there."""
        archives = await self._all_archives()
        return [archives[number] for number in sorted(archives)]

    async def lost(self, numbers: Sequence[int]) -> None:
        """Say that the ledger lacks what was before, as somebody took these archives away, and have them again."""
        [folder, *_] = await self.ids()
        # Before an archive looks whole: whoever dies in between leaves a ledger that says so.
        await self._write_birth(folder, _AGAIN)
        await self._make_archives(numbers)

    async def prepare_archives(self) -> None:
        """Have every archive there, and the mark that says so."""
        folders = await self.ids()
        if self._marked:
            return
        mark = stamps.equals(stamps.ENTRY, ARCHIVED)
        unmarked = [one for one in folders if not await find_all(self._client, self._address, one, mark, fields=())]
        archives = await self._all_archives()
        missing = [number for number in range(ARCHIVES) if number not in archives]
        if len(unmarked) == len(folders):
            # As long as no folder has a mark nothing has moved, and no archive lacks anything.
            await self._make_archives(range(ARCHIVES))
        elif missing:
            await self.lost(missing)
        for one in unmarked:
            await self._write(one, {stamps.ENTRY: ARCHIVED}, "older entries are in folders below: leave it here")
        self._marked = True

    async def _all_archives(self) -> dict[int, list[etree._Element]]:
        await self.ids()
        return self._archives  # never changed, but replaced

    async def _make_archives(self, numbers: Sequence[int]) -> None:
        """Have archives there, each with the item by which one is known that somebody emptied."""
        folders, archives = await self.ids(), await self._all_archives()
        missing = [number for number in numbers if number not in archives]
        request = element(
            "m:CreateFolder",
            folder_ids("m:ParentFolderId", folders[0]),
            element(
                "m:Folders",
                *(
                    element(
                        "t:Folder",
                        element("t:DisplayName", text=f"{number:02}"),
                        *stamps.written({stamps.LEDGER: f"{_ARCHIVE}{number:02}"}),
                    )
                    for number in missing
                ),
            ),
        )
        for message in await self._client.call(self._address, request) if missing else []:
            if message.code != "ErrorFolderExists":  # another worker was faster
                message.raise_error()
        _, archives = await self._found()
        if not set(numbers) <= archives.keys():
            raise MailboxUnavailable("a folder that was just made is not to be found")
        for number in numbers:
            for folder in archives[number]:
                await self._births(folder, reason=_FIRST)
        self._archives = archives

    def note_births(self, births: Iterable[etree._Element]) -> None:
        """Learn from the items that tell since when the ledger is whole."""
        again = [
            parse_time(birth.findtext(f"{T}DateTimeCreated"))
            for birth in births
            if stamps.properties_of(birth).get(stamps.REASON) != _FIRST
        ]
        known = [moment for moment in again if moment is not None]
        self.since = max(known, default=None)

    async def _found(self, *, put_back: bool = True) -> tuple[list[etree._Element], dict[int, list[etree._Element]]]:
        """Return the folders of the ledger, and those of each archive."""
        by_property = element("t:Exists", stamps.uri(stamps.LEDGER))
        request = element(
            "m:FindFolder",
            element(
                "m:FolderShape",
                element("t:BaseShape", text="IdOnly"),
                element("t:AdditionalProperties", stamps.uri(stamps.LEDGER)),
            ),
            element("m:IndexedPageFolderView", MaxEntriesReturned="500", Offset="0", BasePoint="Beginning"),
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
        ours = [folder_id for folder_id, value in everywhere.items() if value == _YES]
        if not ours:
            # One of an older release, not moved yet; a person's own folder of that name serves as well.
            ours = [one for one, value in everywhere.items() if value is None and one not in in_the_trash][:1]
            for folder_id in ours:
                await self._stamp(element("t:FolderId", Id=folder_id), stamps.LEDGER)
        root = distinguished("msgfolderroot")
        found = [await self._out_of_the_trash(one, in_the_trash, root) for one in ours]
        if put_back and any(one in in_the_trash for one in ours):
            return await self._found(put_back=False)  # their archives came with them
        archives: dict[int, list[etree._Element]] = {}
        for folder_id, value in everywhere.items():
            number = _archive_number(value)
            if number is not None:
                folder = await self._out_of_the_trash(folder_id, in_the_trash, found[0] if found else root)
                archives.setdefault(number, []).append(folder)
        return found, archives

    async def _out_of_the_trash(
        self, folder_id: str, in_the_trash: Container[str], target: etree._Element
    ) -> etree._Element:
        folder = element("t:FolderId", Id=folder_id)
        return await self._put_back(folder, target) if folder_id in in_the_trash else folder

    async def _put_back(self, folder: etree._Element, target: etree._Element) -> etree._Element:
        """Take the folder out of Deleted Items, where it would age away; where that cannot be it serves as it lies."""
        request = element(
            "m:MoveFolder",
            folder_ids("m:ToFolderId", target),
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
        found, _ = await self._found()
        if not found:
            raise MailboxUnavailable("a folder that was just made is not to be found")
        return found[0]

    async def _births(self, folder: etree._Element, *, reason: str) -> list[etree._Element]:
        """Return what tells since when this folder is whole, writing it where nothing does."""
        for last in (False, True):
            fields = [element("t:FieldURI", FieldURI=_CREATED), stamps.uri(stamps.REASON)]
            restriction = stamps.equals(stamps.ENTRY, BORN)
            births = await find_all(self._client, self._address, folder, restriction, fields=fields)
            if births or last:
                break
            await self._write_birth(folder, reason)
        if not births:
            raise MailboxUnavailable("an item that was just made is not to be found")
        return births

    async def _write_birth(self, folder: etree._Element, reason: str) -> None:
        values = {stamps.ENTRY: BORN, stamps.REASON: reason}
        await self._write(folder, values, "since when this ledger is whole: leave it here")

    async def _write(self, folder: etree._Element, values: dict[str, str], subject: str) -> None:
        item = element("t:Message", element("t:Subject", text=subject), *stamps.written(values))
        request = element(
            "m:CreateItem",
            folder_ids("m:SavedItemFolderId", folder),
            element("m:Items", item),
            MessageDisposition="SaveOnly",
        )
        await self._client.call_one(self._address, request)

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


def archive_of(request_id: str) -> int:
    """Return the number of the archive of a request's entries."""
    return int.from_bytes(hashlib.sha256(request_id.encode("utf-8", "surrogatepass")).digest()[:4]) % ARCHIVES


def is_birth(item: etree._Element) -> bool:
    """Return whether an item of the ledger says since when it is whole."""
    return stamps.properties_of(item).get(stamps.ENTRY) == BORN


def is_mark_of_archives(item: etree._Element) -> bool:
    """Return whether an item of the ledger says that entries may be in archives."""
    return stamps.properties_of(item).get(stamps.ENTRY) == ARCHIVED


def _archive_number(value: str | None) -> int | None:
    digits = (value or "").removeprefix(_ARCHIVE)
    is_one = value is not None and value != digits and digits.isascii() and digits.isdecimal() and len(digits) == 2
    return int(digits) if is_one and int(digits) < ARCHIVES else None


def _folders(message: ResponseMessage) -> dict[str, str | None]:
    """Return the ids of the folders that were found, with the value of the ledger's property."""
    found = {}
    for folder_id in message.element.iter(f"{T}FolderId"):
        folder = folder_id.getparent()
        if folder is not None:
            found[folder_id.get("Id") or ""] = stamps.properties_of(folder).get(stamps.LEDGER)
    return found
