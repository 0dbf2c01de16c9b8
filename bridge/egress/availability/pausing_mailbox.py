"""Leaves a mailbox alone as long as Exchange asked for it: no call is made before, whoever wants to make it."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from bridge.egress.availability.pauses import HeldBack
from bridge.errors import MailboxThrottled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
    from datetime import datetime, timedelta

    from bridge.domain.outbound import AttachedFile
    from bridge.domain.outbound_records import CreatedDraft, EndReason, LedgerView, SeenDraft, SeenMail, Stamp
    from bridge.egress.availability.pauses import Availability
    from bridge.ports.outbox import BegunSends, SendingMailbox

T = TypeVar("T")


class PausingMailbox:
    """
    Keeps the promise of `ports.outbox.SendingMailbox`, and what Exchange asks for.

    Requests, probes and the sweep share it: whoever of them is throttled pauses the mailbox for all, and those that
    are in the middle of something are held back at their next call. `tell` hears of each pause.
    """

    def __init__(self, mailbox: SendingMailbox, availability: Availability, tell: Callable[[], None]) -> None:
        self._mailbox = mailbox
        self._availability = availability
        self._tell = tell

    @property
    def largest_mime_bytes(self) -> int:
        """Return that of the mailbox."""
        return self._mailbox.largest_mime_bytes

    @property
    def largest_attachment_bytes(self) -> int:
        """Return that of the mailbox."""
        return self._mailbox.largest_attachment_bytes

    @property
    def largest_mail_bytes(self) -> int:
        """Return that of the mailbox."""
        return self._mailbox.largest_mail_bytes

    @property
    def answered_seconds_ago(self) -> float:
        """Return that of the mailbox."""
        return self._mailbox.answered_seconds_ago

    @property
    def ledger_since(self) -> datetime | None:
        """Return that of the mailbox."""
        return self._mailbox.ledger_since

    async def prepare(self) -> None:
        """See the port; like every method here, it raises `HeldBack` instead of a call in a quiet time."""
        await self._call(self._mailbox.prepare)

    async def create_draft(self, mime: bytes, stamp: Stamp) -> CreatedDraft:
        """See the port."""
        return await self._call(lambda: self._mailbox.create_draft(mime, stamp))

    async def create_draft_in_parts(
        self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp
    ) -> CreatedDraft:
        """See the port."""
        return await self._call(lambda: self._mailbox.create_draft_in_parts(mime, attachments, stamp))

    async def find_drafts(self, request_id: str) -> Sequence[SeenDraft]:
        """See the port."""
        return await self._call(lambda: self._mailbox.find_drafts(request_id))

    async def find_in_outbox(self, request_id: str) -> Sequence[SeenMail]:
        """See the port."""
        return await self._call(lambda: self._mailbox.find_in_outbox(request_id))

    async def find_in_sent_items(
        self, request_id: str, *, since: datetime | None = None, deleted: bool = False
    ) -> Sequence[SeenMail]:
        """See the port."""
        return await self._call(lambda: self._mailbox.find_in_sent_items(request_id, since=since, deleted=deleted))

    async def find_in_ledger(self, request_id: str) -> LedgerView:
        """See the port."""
        return await self._call(lambda: self._mailbox.find_in_ledger(request_id))

    async def void(self, draft: SeenDraft) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.void(draft))

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int = 1) -> str:
        """See the port."""
        return await self._call(lambda: self._mailbox.enter_begun(stamp, recipients, call=call))

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.enter_ended(stamp, reason))

    async def send(self, draft: CreatedDraft, *, still: Callable[[], bool] = lambda: True) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.send(draft, still=still))

    async def mark_done(self, entry_id: str) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.mark_done(entry_id))

    async def mark_unsent(self, entry_id: str) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.mark_unsent(entry_id))

    async def discard(self, draft: CreatedDraft) -> None:
        """See the port."""
        await self._call(lambda: self._mailbox.discard(draft))

    async def begun_since(self, age: timedelta) -> BegunSends:
        """See the port."""
        return await self._call(lambda: self._mailbox.begun_since(age))

    async def sweep(self, age: timedelta, *, limit: int) -> int:
        """See the port."""
        return await self._call(lambda: self._mailbox.sweep(age, limit=limit))

    async def _call(self, call: Callable[[], Awaitable[T]]) -> T:
        if quiet := self._availability.quiet_seconds:
            raise HeldBack("held back", retry_after_seconds=quiet)
        try:
            return await call()
        except MailboxThrottled as error:
            self._availability.pause(error)
            self._tell()
            raise
