"""The ledger of begun and ended sends: small items in the folder `Bridge Sends` of the mailbox."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, cast

from bridge.adapters.ews import stamps
from bridge.adapters.ews.calls import change, find, find_all
from bridge.adapters.ews.folders import distinguished, ensure_child, folder_ids
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time, to_text
from bridge.domain.outbound_records import EndReason, EntryKind, LedgerEntry, Stamp
from bridge.errors import FolderNotFound, SendOutcomeUnknown
from bridge.ports.outbox import BegunSend, BegunSends

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient

FOLDER: Final = "Bridge Sends"

_CREATED: Final = "item:DateTimeCreated"
_RECIPIENTS_DIGITS: Final = 6
_KINDS: Final = frozenset({"begun", "done", "ended"})
_FIELDS: Final = (*stamps.STAMP_NAMES, stamps.ENTRY, stamps.RECIPIENTS, stamps.REASON)


class EwsLedger:
    """
    The ledger of one mailbox. Nobody but the bridge writes in its folder.

    An entry's time is the one at which Exchange stored it. EWS shows whole seconds of it; the order of entries comes
    from Exchange, which sorts by what it stored.
    """

    def __init__(self, client: EwsClient, address: str) -> None:
        self._client = client
        self._address = address
        self._folder: etree._Element | None = None

    async def folder(self) -> etree._Element:
        """Return the id of the folder, making it where it is missing."""
        if self._folder is None:
            parent = distinguished("msgfolderroot")
            self._folder = await ensure_child(self._client, self._address, parent, FOLDER)
        return self._folder

    async def enter_begun(self, stamp: Stamp, recipients: int) -> str:
        """Enter a begun send; return the entry's id."""
        return await self._enter(stamp, {stamps.ENTRY: "begun", stamps.RECIPIENTS: str(recipients)})

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """Enter a request as ended."""
        text = json.dumps([reason.event, reason.code, reason.detail])
        await self._enter(stamp, {stamps.ENTRY: "ended", stamps.REASON: text})

    async def mark_done(self, entry_id: str) -> None:
        """Mark a begun send as done, whatever else became of its entry."""
        request = element(
            "m:UpdateItem",
            element(
                "m:ItemChanges",
                element(
                    "t:ItemChange",
                    element("t:ItemId", Id=entry_id),
                    element("t:Updates", stamps.set_field(stamps.ENTRY, "done")),
                ),
            ),
            ConflictResolution="AlwaysOverwrite",
            MessageDisposition="SaveOnly",
        )
        await change(self._client, self._address, request)

    async def entries(self, request_id: str) -> list[LedgerEntry]:
        """Return the entries of a request, oldest first."""
        found = await self._find(stamps.equals(stamps.REQUEST_ID, request_id))
        return [entry for entry in found if entry.stamp.request_id == request_id]

    async def begun_since(self, age: timedelta) -> BegunSends:
        """Return the sends that were begun within this time."""
        now = self._client.now()
        entries = await self._find(_compared("t:IsGreaterThanOrEqualTo", now - age))
        now = self._client.now()  # the answer may have told it better
        begun = [BegunSend(entry.at, entry.recipients) for entry in entries if entry.kind != "ended"]
        return BegunSends(now, [send for send in begun if send.at > now - age])

    async def older(self, now: datetime, age: timedelta, *, limit: int) -> list[str]:
        """Return the ids of entries that are older than this; of open begun sends, than ten times as much."""
        begun = element("t:IsNotEqualTo", *stamps.equals(stamps.ENTRY, "begun"))
        restriction = element(
            "t:Or", element("t:And", begun, created_before(now - age)), created_before(now - 10 * age)
        )
        folder = await self.folder()
        message = await find(self._client, self._address, folder, restriction, fields=(), limit=limit)
        return [stamps.item_id_of(item)[0] for item in stamps.items_of(message)]

    async def _enter(self, stamp: Stamp, values: dict[str, str]) -> str:
        request = element(
            "m:CreateItem",
            folder_ids("m:SavedItemFolderId", await self.folder()),
            element(
                "m:Items",
                element(
                    "t:Message",
                    element("t:Subject", text=f"{values[stamps.ENTRY]}: {stamp.request_id}"),
                    *stamps.written({**stamps.of_stamp(stamp), **values}),
                ),
            ),
            MessageDisposition="SaveOnly",
        )
        try:
            message = await change(self._client, self._address, request)
        except FolderNotFound:
            self._folder = None  # somebody deleted it: the next call makes it anew
            raise
        entry_id = next((stamps.item_id_of(item)[0] for item in stamps.items_of(message)), "")
        if not entry_id:
            raise SendOutcomeUnknown("an entry was made and its id not told")
        return entry_id

    async def _find(self, restriction: etree._Element) -> list[LedgerEntry]:
        try:
            items = await find_all(
                self._client,
                self._address,
                await self.folder(),
                restriction,
                fields=[element("t:FieldURI", FieldURI=_CREATED), *(stamps.uri(name) for name in _FIELDS)],
                sort_by=_CREATED,
            )
        except FolderNotFound:
            self._folder = None
            raise
        return [entry for item in items if (entry := _entry(item)) is not None]


def _compared(how: str, moment: datetime) -> etree._Element:
    constant = element("t:FieldURIOrConstant", element("t:Constant", Value=to_text(moment)))
    return element(how, element("t:FieldURI", FieldURI=_CREATED), constant)


def created_before(moment: datetime) -> etree._Element:
    """Return the restriction to what was stored before a moment."""
    return _compared("t:IsLessThan", moment)


def _entry(item: etree._Element) -> LedgerEntry | None:
    properties = stamps.properties_of(item)
    stamp, kind = stamps.stamp_of(properties), properties.get(stamps.ENTRY, "")
    at = parse_time(item.findtext(f"{T}DateTimeCreated"))
    if stamp is None or kind not in _KINDS or at is None:
        return None  # nothing of ours
    recipients = properties.get(stamps.RECIPIENTS, "")
    return LedgerEntry(
        kind=cast("EntryKind", kind),
        stamp=stamp,
        at=at,
        recipients=int(recipients) if recipients.isdecimal() and len(recipients) <= _RECIPIENTS_DIGITS else 0,
        entry_id=stamps.item_id_of(item)[0],
        reason=_reason(properties.get(stamps.REASON)) if kind == "ended" else None,
    )


def _reason(text: str | None) -> EndReason | None:
    try:
        event, code, detail = json.loads(text or "")
    except (ValueError, TypeError, RecursionError):
        return None  # somebody meddled with it
    if event not in ("failed", "expired") or not isinstance(code, str) or not isinstance(detail, str):
        return None
    return EndReason(event, code, detail)
