"""A mailbox to send from, over EWS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import stamps
from bridge.adapters.ews.call_batcher import BatchQueue, CallBatcher
from bridge.adapters.ews.calls import LARGE_BYTES, change, changes, changes_with, find, find_all
from bridge.adapters.ews.draft_calls import DraftInParts, created, creation, deletion
from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.ledger import EwsLedger, created_before
from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import to_text
from bridge.domain.outbound_records import CreatedDraft, DraftState, SeenDraft, SeenMail
from bridge.errors import (
    CallRefused,
    MailboxAccessDenied,
    MailboxUnavailable,
    MailUnreadable,
    SendOutcomeUnknown,
    SendRefused,
    SendTooLate,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime, timedelta

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage
    from bridge.domain.outbound import AttachedFile
    from bridge.domain.outbound_records import EndReason, LedgerView, Stamp
    from bridge.errors import BridgeError
    from bridge.ports.outbox import BegunSends

LARGEST_MIME_BYTES: Final = 48 * 1000 * 1000
"""EWS takes requests up to 64 MiB and carries MIME in base64 (message size limits of Exchange 2013 and later)."""
LARGEST_MAIL_BYTES: Final = 150 * 1024 * 1024
"""Exchange Online's own limit (message size limits); a mailbox may have a lower one, which it tells."""

_NO_CONNECTION: Final = frozenset({"host_unreachable", "name_unresolved"})
_DELETED: Final = ("deleteditems", "recoverableitemsdeletions")

VOID_SUBJECT: Final = "Void draft of the mail bridge: do not send"


class EwsSender:
    """
    Keeps the promise of `ports.outbox.SendingMailbox`.

    Recipients, Bcc included, and all else come from the MIME of the draft; the stamp is written by the same call. The
    change key of that call's answer is the one that sends the draft. What several requests ask at the same time goes
    out in one call, and each has its own answer in it.
    """

    def __init__(
        self, client: EwsClient, address: str, *, certain_now: Callable[[], datetime | None] | None = None
    ) -> None:
        """Prepare it; `certain_now` tells a time that has surely come, for what is deleted by age."""
        self._client = client
        self._address = address
        self._certain_now = certain_now or client.time.earliest
        line = BatchQueue()
        self._ledger = EwsLedger(client, address, line)
        self._creations = CallBatcher(self._create, line)
        self._large_creations = CallBatcher(self._create, line)  # they take long, and hold up none but each other
        self._drafts = CallBatcher(self._find_drafts, line)
        self._outbox = CallBatcher(self._find_in_outbox, line)
        self._sends = CallBatcher(self._send, line)

    @property
    def largest_mime_bytes(self) -> int:
        """The largest mail that fits in one call."""
        return LARGEST_MIME_BYTES

    @property
    def largest_attachment_bytes(self) -> int:
        """The largest attachment that fits in one call."""
        return LARGEST_MIME_BYTES

    @property
    def largest_mail_bytes(self) -> int:
        """What Exchange carries at most, encoded."""
        return LARGEST_MAIL_BYTES

    @property
    def answered_seconds_ago(self) -> float:
        """How long ago a call in this mailbox was answered as it should be, by this process' client."""
        return self._client.answered_seconds_ago(self._address)

    @property
    def ledger_since(self) -> datetime | None:
        """From when on the ledger is whole, as far as is known by now; None: it always was."""
        return self._ledger.since

    async def prepare(self) -> None:
        """Make the folder of the ledger where it is missing."""
        await self._ledger.prepare()

    async def create_draft(self, mime: bytes, stamp: Stamp) -> CreatedDraft:
        """Save a draft with its stamp."""
        try:
            creations = self._creations if len(mime) < LARGE_BYTES else self._large_creations
            message = await creations.ask(stamp.request_id, (mime, stamp), size=len(mime) * 4 // 3)
        except MailUnreadable as error:
            # As an answer to a read these mean that a mail cannot be had; here, that it is not taken.
            raise SendRefused(error.detail) from error
        return CreatedDraft(stamp, *created(message))

    async def create_draft_in_parts(
        self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp
    ) -> CreatedDraft:
        """Save a draft in several calls, its stamp by the last."""
        return await DraftInParts(self._client, self._address).build(mime, attachments, stamp)

    async def _create(self, drafts: Sequence[tuple[bytes, Stamp]]) -> Sequence[ResponseMessage | BridgeError]:
        def request() -> etree._Element:
            return creation(*((mime, stamps.of_stamp(stamp)) for mime, stamp in drafts))

        size = sum(len(mime) for mime, _ in drafts)
        return await changes_with(self._client, self._address, request, len(drafts), size=size)

    async def find_drafts(self, request_id: str) -> Sequence[SeenDraft]:
        """Return the stamped drafts of a request, void and submitted ones included."""
        return await self._drafts.ask(request_id, request_id)

    async def _find_drafts(self, request_ids: Sequence[str]) -> list[list[SeenDraft]]:
        fields = [
            element("t:FieldURI", FieldURI="item:IsSubmitted"),
            *(stamps.uri(name) for name in (*stamps.STAMP_NAMES, stamps.STATE)),
        ]
        found = [
            SeenDraft(stamp, *stamps.item_id_of(item), _state(item))
            for item, stamp in await self._stamped("drafts", request_ids, fields)
        ]
        return [[draft for draft in found if draft.stamp.request_id == one] for one in request_ids]

    async def find_in_outbox(self, request_id: str) -> Sequence[SeenMail]:
        """Return the mails of a request in Outbox."""
        return await self._outbox.ask(request_id, request_id)

    async def _find_in_outbox(self, request_ids: Sequence[str]) -> list[list[SeenMail]]:
        found = await self._mails("outbox", request_ids)
        return [[mail for mail in found if mail.stamp.request_id == one] for one in request_ids]

    async def find_in_sent_items(
        self, request_id: str, *, since: datetime | None = None, deleted: bool = False
    ) -> Sequence[SeenMail]:
        """Return the mails of a request in Sent Items; on demand, also those that were deleted."""
        found = await self._mails("sentitems", [request_id], since=since)
        for folder in _DELETED if deleted else ():
            found += await self._mails(folder, [request_id], since=since)
        return found

    async def find_in_ledger(self, request_id: str) -> LedgerView:
        """Return the entries of a request, oldest first, and since when there are all of them."""
        return await self._ledger.entries(request_id)

    async def void(self, draft: SeenDraft) -> None:
        """Change a draft, on the change key that was seen, so that the key of its creation sends it no more."""
        item_id = element("t:ItemId", Id=draft.item_id, ChangeKey=draft.version)
        # The subject is for people, who find the draft in their folder until it is swept and could send it by hand.
        subject = element(
            "t:SetItemField",
            element("t:FieldURI", FieldURI="item:Subject"),
            element("t:Message", element("t:Subject", text=VOID_SUBJECT)),
        )
        updates = element("t:Updates", stamps.set_field(stamps.STATE, DraftState.VOID.value), subject)
        request = element(
            "m:UpdateItem",
            element("m:ItemChanges", element("t:ItemChange", item_id, updates)),
            ConflictResolution="NeverOverwrite",
            MessageDisposition="SaveOnly",
        )
        await change(self._client, self._address, request)

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int = 1) -> str:
        """Enter a call that sends; return the entry's id."""
        return await self._ledger.enter_begun(stamp, recipients, call=call)

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """Enter a request as ended."""
        await self._ledger.enter_ended(stamp, reason)

    async def send(self, draft: CreatedDraft, *, still: Callable[[], bool] = lambda: True) -> None:
        """Send a draft with the change key of its creation, unless it is too late when the request goes out."""

        try:
            await self._sends.ask(draft.stamp.request_id, (draft, still))
        except MailUnreadable as error:
            raise SendRefused(error.detail) from error
        except SendOutcomeUnknown as error:
            if isinstance(error.__cause__, MailboxUnavailable) and error.__cause__.code in _NO_CONNECTION:
                raise error.__cause__ from error  # nothing of the request has left this machine
            raise
        except MailboxAccessDenied as error:
            if error.detail == "ErrorAccessDenied":
                # Also the answer for an item that was submitted before; a look tells which it is. A mailbox that
                # denies access altogether does so to the probe as well.
                raise CallRefused(error.detail) from error
            raise

    async def _send(
        self, sends: Sequence[tuple[CreatedDraft, Callable[[], bool]]]
    ) -> Sequence[ResponseMessage | BridgeError]:
        late = {draft.item_id for draft, still in sends if not still()}
        if late:
            in_time = [(draft, still) for draft, still in sends if draft.item_id not in late]
            answers = iter(await self._send(in_time) if in_time else ())
            return [SendTooLate() if draft.item_id in late else next(answers) for draft, _ in sends]

        def look() -> None:
            # All or none of them: those that are in time still go out with the next call.
            if not all(still() for _, still in sends):
                raise SendTooLate

        request = element(
            "m:SendItem",
            element(
                "m:ItemIds",
                *(element("t:ItemId", Id=draft.item_id, ChangeKey=draft.version) for draft, _ in sends),
            ),
            folder_ids("m:SavedItemFolderId", distinguished("sentitems")),
            SaveItemToFolder="true",
        )
        return await changes(self._client, self._address, request, len(sends), look=look)

    async def mark_done(self, entry_id: str) -> None:
        """Mark a begun send as done."""
        await self._ledger.mark_done(entry_id)

    async def mark_unsent(self, entry_id: str) -> None:
        """Mark a begun send as one whose call was refused or never made."""
        await self._ledger.mark_unsent(entry_id)

    async def discard(self, draft: CreatedDraft) -> None:
        """Delete a draft of one's own; one that is gone is no error."""
        try:
            await change(self._client, self._address, deletion([draft.item_id]))
        except CallRefused as error:
            if error.detail != "ErrorItemNotFound":
                raise

    async def begun_since(self, age: timedelta) -> BegunSends:
        """Return the sends that were begun within this time."""
        return await self._ledger.begun_since(age)

    async def sweep(self, age: timedelta, *, limit: int) -> int:
        """
        Delete old drafts, then old entries of the ledger.

        In this order: a draft without its entry would be taken for one whose send was never begun. A clock that is
        wrong must not take away what is needed: old is only what every clock calls old, Exchange's among them. Once
        nothing is old, entries of requests that are long over move into the archives.
        """
        times = self._client.time.earliest(), self._certain_now()
        if None in times:
            return 0
        now = min(moment for moment in times if moment is not None)
        old = await self._old_drafts(now - age, limit=limit)
        if len(old) < limit:
            old += await self._ledger.older(now, age, limit=limit - len(old))
        if not old:
            await self._ledger.archive(now)
            return 0
        try:
            messages = await self._client.call(self._address, deletion(old))
        except MailboxUnavailable as error:
            raise SendOutcomeUnknown(error.detail) from error
        if len(messages) != len(old):
            raise SendOutcomeUnknown("another number of answers than of deletions")
        refused = [one for one in messages if one.error is not None and one.code != "ErrorItemNotFound"]
        if len(refused) == len(old):
            refused[0].raise_error()
        return len(old) - len(refused)

    async def _old_drafts(self, moment: datetime, *, limit: int) -> list[str]:
        restriction = element("t:And", element("t:Exists", stamps.uri(stamps.REQUEST_ID)), created_before(moment))
        submitted = element("t:FieldURI", FieldURI="item:IsSubmitted")
        message = await find(
            self._client, self._address, distinguished("drafts"), restriction, fields=[submitted], limit=limit
        )
        return [
            stamps.item_id_of(item)[0] for item in stamps.items_of(message) if _state(item) is not DraftState.SUBMITTED
        ]

    async def _mails(self, folder: str, request_ids: Sequence[str], *, since: datetime | None = None) -> list[SeenMail]:
        fields = [
            element("t:FieldURI", FieldURI="message:InternetMessageId"),
            element("t:FieldURI", FieldURI="item:IsDraft"),
            *(stamps.uri(name) for name in stamps.STAMP_NAMES),
        ]
        return [
            SeenMail(stamp, item.findtext(f"{T}InternetMessageId"))
            for item, stamp in await self._stamped(folder, request_ids, fields, since=since)
            # A draft that somebody deleted was never sent.
            if folder not in _DELETED or (item.findtext(f"{T}IsDraft") or "").lower() == "false"
        ]

    async def _stamped(
        self,
        folder: str,
        request_ids: Sequence[str],
        fields: Sequence[etree._Element],
        *,
        since: datetime | None = None,
    ) -> list[tuple[etree._Element, Stamp]]:
        wanted = stamps.one_of(stamps.REQUEST_ID, dict.fromkeys(request_ids))
        items = await find_all(
            self._client,
            self._address,
            distinguished(folder),
            wanted if since is None else element("t:And", _received_since(since), wanted),
            fields=fields,
            one_page=len(request_ids) > 1,
        )
        # Two request ids may differ in nothing but case, and whether Exchange's IsEqualTo minds it is a guess (23): of
        # what a search finds, only what has the id as it is written counts.
        stamped = ((item, stamps.stamp_of(stamps.properties_of(item))) for item in items)
        return [(item, stamp) for item, stamp in stamped if stamp is not None and stamp.request_id in request_ids]


def _received_since(moment: datetime) -> etree._Element:
    """Return the restriction to what was sent at a moment or later: there is an order by it in every folder of mail."""
    constant = element("t:FieldURIOrConstant", element("t:Constant", Value=to_text(moment)))
    return element("t:IsGreaterThanOrEqualTo", element("t:FieldURI", FieldURI="item:DateTimeReceived"), constant)


def _state(item: etree._Element) -> DraftState:
    if (item.findtext(f"{T}IsSubmitted") or "").lower() == "true":
        return DraftState.SUBMITTED
    if stamps.properties_of(item).get(stamps.STATE) == DraftState.VOID.value:
        return DraftState.VOID
    return DraftState.UNSENT
