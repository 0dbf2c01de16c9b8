"""The ledger of begun and ended sends: small items in the folder `Bridge Sends` of the mailbox."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import chain
from typing import TYPE_CHECKING, Final, cast

from bridge.adapters.ews import ledger_folder, stamps
from bridge.adapters.ews.call_batcher import CallBatcher
from bridge.adapters.ews.calls import changes, find, find_all
from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.ledger_folder import (
    ARCHIVED,
    BORN,
    LedgerFolder,
    archive_of,
    is_birth,
    is_mark_of_archives,
)
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time, to_text
from bridge.domain.outbound_records import EndReason, EntryKind, LedgerEntry, LedgerView, Stamp
from bridge.domain.send_rate import BegunSend
from bridge.errors import CallRefused, FolderNotFound, MailboxUnavailable, SendOutcomeUnknown
from bridge.ports.outbox import BegunSends

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from lxml import etree

    from bridge.adapters.ews.call_batcher import BatchQueue
    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.errors import BridgeError

FOLDER: Final = ledger_folder.FOLDER

CREATED: Final = "item:DateTimeCreated"
_CHANGED: Final = "item:LastModifiedTime"
_MOST_DIGITS: Final = 6
_TRIES: Final = 3
_KINDS: Final = frozenset({"begun", "done", "unsent", "ended"})
_OVER: Final = _KINDS - {"begun"}
ARCHIVED_AFTER: Final = timedelta(hours=26)
"""Longer than entries are counted for the sends of a day, which are not looked for in archives."""
WORTH_MOVING: Final = 1_000
_MOST_MOVED: Final = 5_000
_MOVED_AT_ONCE: Final = 100
_FIELDS: Final = (*stamps.STAMP_NAMES, stamps.ENTRY, stamps.RECIPIENTS, stamps.CALL, stamps.REASON)


class EwsLedger:
    """
    The ledger of one mailbox. Nobody but the bridge writes in its folder.

    An entry's time is the one at which Exchange stored it. EWS shows whole seconds of it; the order of entries comes
    from Exchange, which sorts by what it stored.
    """

    def __init__(self, client: EwsClient, address: str, line: BatchQueue) -> None:
        self._client = client
        self._address = address
        self._home = LedgerFolder(client, address)
        self._entries = CallBatcher(self._enter_all, line)
        self._marks = CallBatcher(self._mark_all, line)
        self._views = CallBatcher(self._views_of, line)
        self._swept = 0

    @property
    def since(self) -> datetime | None:
        """From when on the ledger is whole, as far as is known; None: it always was."""
        return self._home.since

    async def prepare(self) -> None:
        """Find the folder, or make it."""
        await self._home.ids()

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int) -> str:
        """Enter a call that sends; return the entry's id."""
        values = {stamps.ENTRY: "begun", stamps.RECIPIENTS: str(recipients)}
        return await self._enter(stamp, values if call == 1 else {**values, stamps.CALL: str(call)})

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """Enter a request as ended."""
        text = json.dumps([reason.event, reason.code, reason.detail])
        await self._enter(stamp, {stamps.ENTRY: "ended", stamps.REASON: text})

    async def mark_done(self, entry_id: str) -> None:
        """Mark a begun send as done, whatever else became of its entry."""
        await self._marks.ask(entry_id, (entry_id, "done"))

    async def mark_unsent(self, entry_id: str) -> None:
        """Mark a begun send as one whose call was refused or never made."""
        await self._marks.ask(entry_id, (entry_id, "unsent"))

    async def _mark_all(self, marks: Sequence[tuple[str, str]]) -> Sequence[ResponseMessage | BridgeError]:
        request = element(
            "m:UpdateItem",
            element(
                "m:ItemChanges",
                *(
                    element(
                        "t:ItemChange",
                        element("t:ItemId", Id=entry_id),
                        element("t:Updates", stamps.set_field(stamps.ENTRY, kind)),
                    )
                    for entry_id, kind in marks
                ),
            ),
            ConflictResolution="AlwaysOverwrite",
            MessageDisposition="SaveOnly",
        )
        return await changes(self._client, self._address, request, len(marks))

    async def entries(self, request_id: str) -> LedgerView:
        """Return the entries of a request, oldest first, and since when there are all of them."""
        return await self._views.ask(request_id, request_id)

    async def _views_of(self, request_ids: Sequence[str]) -> list[LedgerView]:
        asked = [stamps.equals(stamps.REQUEST_ID, one) for one in dict.fromkeys(request_ids)]
        wanted = stamps.any_of([*asked, stamps.one_of(stamps.ENTRY, [BORN, ARCHIVED])])
        one_page = len(request_ids) > 1
        for _ in range(_TRIES):
            folders = await self._search(wanted, one_page=one_page)
            whole = all(any(map(is_birth, items)) for items in folders)
            if whole:
                # After the folder itself: what leaves it is in the archive before.
                marked = any(is_mark_of_archives(item) for items in folders for item in items)
                archived = await self._search_archives(request_ids, one_page=one_page, marked=marked)
                whole = archived is not None
            if whole:
                # An archive that somebody took away is told by the folder itself, so that every look knows it.
                self._home.note_births(item for items in folders for item in items if is_birth(item))
                found = [item for items in [*folders, *(archived or [])] for item in items]
                since = self._home.since
                entries = sorted(_once(found), key=lambda entry: entry.at)  # stable: Exchange sorted each folder
                return [LedgerView([e for e in entries if e.stamp.request_id == one], since) for one in request_ids]
            self._home.forget()  # somebody emptied it: what it says is less than it was told
        raise MailboxUnavailable("the ledger does not tell since when it is whole")

    async def _search_archives(
        self, request_ids: Sequence[str], *, one_page: bool, marked: bool
    ) -> list[list[etree._Element]] | None:
        """Return what the archives of these requests hold; None where somebody took an archive, or its items, away."""
        asked: dict[int, list[etree._Element]] = {}
        for one in dict.fromkeys(request_ids):
            asked.setdefault(archive_of(one), []).append(stamps.equals(stamps.REQUEST_ID, one))
        found, lost = [], []
        for number, wanted in asked.items():
            archive = await self._home.archive(number, marked=marked)
            restriction = stamps.any_of([*wanted, stamps.equals(stamps.ENTRY, BORN)])
            try:
                pages = [await self._find_entries(folder, restriction, one_page=one_page) for folder in archive]
            except (FolderNotFound, CallRefused) as error:
                if not _is_gone(error):
                    raise
                return None
            # While nothing is marked the archives are being made, and are empty.
            if marked and not (pages and all(any(map(is_birth, items)) for items in pages)):
                lost.append(number)
            found += pages
        if lost:
            await self._home.lost(lost)
            return None
        return found

    async def begun_since(self, age: timedelta) -> BegunSends:
        """Return the sends that were begun within this time."""
        now = self._client.now()
        found = await self._search(created_since(now - age))
        now = self._client.now()  # the answer may have told it better
        entries = [entry for items in found for item in items if (entry := _entry(item)) is not None]
        begun = [
            BegunSend(entry.at, entry.recipients, entry.stamp.attempt, entry.done_at)
            for entry in entries
            if entry.kind in {"begun", "done"}
        ]
        return BegunSends(now, [send for send in begun if send.at > now - age])

    async def older(self, now: datetime, age: timedelta, *, limit: int) -> list[str]:
        """Return the ids of entries that are older than this; of open begun sends, than ten times as much."""
        settled = element("t:IsNotEqualTo", *stamps.equals(stamps.ENTRY, "begun"))
        old = element("t:Or", element("t:And", settled, created_before(now - age)), created_before(now - 10 * age))
        restriction = element("t:And", element("t:Exists", stamps.uri(stamps.REQUEST_ID)), old)
        ids: list[str] = []
        # Once in a while: who deletes the folder in Outlook moves it to Deleted Items, where it keeps its id and ages
        # away unseen.
        self._home.forget()
        folders = [*await self._home.ids(), *chain.from_iterable(await self._home.archives())]
        begin = self._swept % len(folders)
        for at, folder in [*enumerate(folders)][begin:] + [*enumerate(folders)][:begin]:
            message = await find(self._client, self._address, folder, restriction, fields=(), limit=limit - len(ids))
            ids += [stamps.item_id_of(item)[0] for item in stamps.items_of(message)]
            self._swept = at  # most are swept already when the next batch is asked for
            if len(ids) >= limit:
                break
        return ids

    async def archive(self, now: datetime) -> int:
        """
        Move entries of requests that are over, older than `ARCHIVED_AFTER`, into the archives, once there are many.

        Returns how many were moved; another worker may move the same ones meanwhile.
        """
        over = stamps.one_of(stamps.ENTRY, sorted(_OVER))
        old = element("t:And", over, created_before(now - ARCHIVED_AFTER))
        moved = 0
        for folder in await self._home.ids():
            entries = await self._pages(folder, old)
            if len(entries) < WORTH_MOVING:
                continue
            await self._home.prepare_archives()
            by_archive: dict[int, list[str]] = {}
            for item in entries:
                request_id = stamps.properties_of(item).get(stamps.REQUEST_ID)
                if request_id is not None:
                    by_archive.setdefault(archive_of(request_id), []).append(stamps.item_id_of(item)[0])
            for number, ids in by_archive.items():
                for at in range(0, len(ids), _MOVED_AT_ONCE):
                    moved += await self._move(ids[at : at + _MOVED_AT_ONCE], number)
        return moved

    async def _pages(self, folder: etree._Element, restriction: etree._Element) -> list[etree._Element]:
        """Return the oldest entries that a search finds, up to `_MOST_MOVED`, before any of them moves."""
        found: list[etree._Element] = []
        while len(found) < _MOST_MOVED:
            message = await find(
                self._client,
                self._address,
                folder,
                restriction,
                fields=[stamps.uri(stamps.REQUEST_ID)],
                offset=len(found),
                sort_by=CREATED,
            )
            page = list(stamps.items_of(message))
            if not page:
                break
            found += page
        return found

    async def _move(self, ids: Sequence[str], number: int) -> int:
        target = next(iter(await self._home.archive(number, marked=True)), None)
        if target is None:
            return 0  # somebody destroyed it; the next look tells that
        request = element(
            "m:MoveItem",
            folder_ids("m:ToFolderId", target),
            element("m:ItemIds", *(element("t:ItemId", Id=item_id) for item_id in ids)),
        )
        messages = await self._client.call(self._address, request)
        for message in messages:
            if message.code != "ErrorItemNotFound":  # another worker moved it, or swept it
                message.raise_error()
        return sum(message.error is None for message in messages)

    async def _enter(self, stamp: Stamp, values: dict[str, str]) -> str:
        try:
            message = await self._entries.ask(stamp.request_id, (stamp, values))
        except (FolderNotFound, CallRefused) as error:
            if not _is_gone(error):
                raise
            self._home.forget()
            raise SendOutcomeUnknown("the ledger's folder is gone") from error  # a look finds out what that means
        entry_id = next((stamps.item_id_of(item)[0] for item in stamps.items_of(message)), "")
        if not entry_id:
            raise SendOutcomeUnknown("an entry was made and its id not told")
        return entry_id

    async def _enter_all(
        self, entries: Sequence[tuple[Stamp, dict[str, str]]]
    ) -> Sequence[ResponseMessage | BridgeError]:
        request = element(
            "m:CreateItem",
            folder_ids("m:SavedItemFolderId", (await self._home.ids())[0]),
            element(
                "m:Items",
                *(
                    element(
                        "t:Message",
                        element("t:Subject", text=f"{values[stamps.ENTRY]}: {stamp.request_id}"),
                        *stamps.written({**stamps.of_stamp(stamp), **values}),
                    )
                    for stamp, values in entries
                ),
            ),
            MessageDisposition="SaveOnly",
        )
        return await changes(self._client, self._address, request, len(entries))

    async def _search(self, restriction: etree._Element, *, one_page: bool = False) -> list[list[etree._Element]]:
        """Return what is found in each folder, oldest first."""
        for _ in range(_TRIES):
            try:
                return [
                    await self._find_entries(folder, restriction, one_page=one_page)
                    for folder in await self._home.ids()
                ]
            except (FolderNotFound, CallRefused) as error:
                if not _is_gone(error):
                    raise
                self._home.forget()  # somebody deleted it: it is made anew
        raise MailboxUnavailable("the ledger's folder is gone again and again")

    async def _find_entries(
        self, folder: etree._Element, restriction: etree._Element, *, one_page: bool
    ) -> list[etree._Element]:
        return await find_all(
            self._client,
            self._address,
            folder,
            restriction,
            fields=entry_fields(),
            sort_by=CREATED,
            one_page=one_page,
        )


def _is_gone(error: BridgeError) -> bool:
    return isinstance(error, FolderNotFound) or error.detail == "ErrorItemNotFound"


def _compared(how: str, moment: datetime) -> etree._Element:
    constant = element("t:FieldURIOrConstant", element("t:Constant", Value=to_text(moment)))
    return element(how, element("t:FieldURI", FieldURI=CREATED), constant)


def created_since(moment: datetime) -> etree._Element:
    """Return the restriction to what was stored at a moment or later."""
    return _compared("t:IsGreaterThanOrEqualTo", moment)


def entry_fields() -> list[etree._Element]:
    """Return the elements that ask for what an entry says."""
    of_item = [element("t:FieldURI", FieldURI=uri) for uri in (CREATED, _CHANGED)]
    return [*of_item, *(stamps.uri(name) for name in _FIELDS)]


def created_before(moment: datetime) -> etree._Element:
    """Return the restriction to what was stored before a moment."""
    return _compared("t:IsLessThan", moment)


def _once(items: Iterable[etree._Element]) -> list[LedgerEntry]:
    """Return the entries, one that is moved at this moment once: it may show in both places. Open ones never move."""
    entries: list[LedgerEntry] = []
    seen = set()
    for entry in (found for item in items if (found := _entry(item)) is not None):
        key = (entry.kind, entry.stamp, entry.call, entry.at)
        if entry.kind == "begun" or key not in seen:
            entries.append(entry)
        seen.add(key)
    return entries


def _entry(item: etree._Element) -> LedgerEntry | None:
    properties = stamps.properties_of(item)
    stamp, kind = stamps.stamp_of(properties), properties.get(stamps.ENTRY, "")
    at = parse_time(item.findtext(f"{T}DateTimeCreated"))
    if stamp is None or kind not in _KINDS or at is None:
        return None  # nothing of ours
    return LedgerEntry(
        kind=cast("EntryKind", kind),
        stamp=stamp,
        at=at,
        recipients=_number(properties.get(stamps.RECIPIENTS), 0),
        call=_number(properties.get(stamps.CALL), 1),
        entry_id=stamps.item_id_of(item)[0],
        done_at=parse_time(item.findtext(f"{T}LastModifiedTime")) if kind == "done" else None,
        reason=_reason(properties.get(stamps.REASON)) if kind == "ended" else None,
    )


def _number(text: str | None, otherwise: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) <= _MOST_DIGITS else otherwise


def _reason(text: str | None) -> EndReason | None:
    try:
        event, code, detail = json.loads(text or "")
    except (ValueError, TypeError, RecursionError):
        return None  # somebody meddled with it
    if event not in ("failed", "expired", "unknown") or not isinstance(code, str) or not isinstance(detail, str):
        return None
    return EndReason(event, code, detail)
