"""A mailbox to send from, in memory, that fails when told to: refused calls, lost answers, calls that come late."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from math import inf
from typing import TYPE_CHECKING, Literal, TypeVar

from bridge.domain.outbound_records import (
    CreatedDraft,
    DraftState,
    EndReason,
    EntryKind,
    LedgerEntry,
    LedgerView,
    SeenDraft,
    SeenMail,
    Stamp,
)
from bridge.domain.send_rate import BegunSend
from bridge.errors import (
    BridgeError,
    CallRefused,
    ItemChanged,
    MailboxUnavailable,
    SendOutcomeUnknown,
    SendTooLate,
)
from bridge.ports.outbox import BegunSends

if TYPE_CHECKING:
    import random
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime, timedelta

    from bridge.domain.outbound import AttachedFile
    from bridge.ports.clock import Clock

Place = Literal["drafts", "outbox", "nowhere", "sent", "deleted", "gone"]
Loss = Literal["executed", "late", "never"]
_LOOK_FIRST = frozenset({"sweep"})
_R = TypeVar("_R")


@dataclass(slots=True)
class MemoryItem:
    """A draft, and the mail that it becomes."""

    stamp: Stamp
    mime: bytes
    created_at: datetime
    version: int = 1
    place: Place = "drafts"
    state: DraftState = DraftState.UNSENT
    sent_at: datetime | None = None
    stamped: bool = True
    """Whether all of it is there: the stamp is written last."""


@dataclass(slots=True)
class _Entry:
    kind: EntryKind
    stamp: Stamp
    at: datetime
    recipients: int = 0
    reason: EndReason | None = None
    done_at: datetime | None = None
    call: int = 1


@dataclass(slots=True)
class MemoryOutbox:
    """Keeps the promise of `ports.outbox.SendingMailbox`; copies arrive in Sent Items as `copies` says."""

    clock: Clock
    largest_mime_bytes: int = 48 * 1024 * 1024
    largest_attachment_bytes: int = 48 * 1024 * 1024
    largest_mail_bytes: int = 150 * 1024 * 1024
    copies: Place = "sent"
    """Where a submitted mail is right away: in `sent`, still in `outbox`, or `nowhere` for a while."""
    drafts_stay: bool = False
    """Set: a submitted draft stays as it was, as with an Exchange that is broken."""
    keys_are_ignored: bool = False
    """Set: a draft is sent under any change key, likewise."""
    blind_to: str = ""
    """`find_in_ledger` or `begun_since`: that search finds nothing."""
    items: dict[str, MemoryItem] = field(default_factory=dict)
    entries: dict[str, _Entry] = field(default_factory=dict)
    submissions: list[Stamp] = field(default_factory=list)
    """Every mail that was submitted, in order: what the recipients get."""
    submitted_at: list[datetime] = field(default_factory=list)
    """And when."""
    calls: list[str] = field(default_factory=list)
    broken: BridgeError | None = None
    """
    Raised by every call while it is set. `MailboxUnavailable` is the outcome of a look; a change without an answer has
    an unknown one.
    """
    jitter: random.Random | None = None
    """Given: calls take a random number of turns of the loop."""
    ledger_since: datetime | None = None
    others_answered_seconds_ago: float = inf
    """How long ago another user of the same mailbox had an answer."""
    _answered_at: float = -inf
    _entered: int = 0
    _begun: int = 0
    _failures: dict[str, deque[BridgeError]] = field(default_factory=dict)
    _losses: dict[str, deque[Loss]] = field(default_factory=dict)
    _late: list[Callable[[], object]] = field(default_factory=list)
    _gates: dict[str, tuple[asyncio.Event, asyncio.Event]] = field(default_factory=dict)

    # What tests do to it.

    def fail_next(self, method: str, *errors: BridgeError) -> None:
        """Let the next calls of a method be refused with these errors, one each."""
        self._failures.setdefault(method, deque()).extend(errors)

    def lose_answer(self, method: str, *losses: Loss) -> None:
        """Let the next calls of a method get no answer: executed all the same, executed by `run_late`, or never."""
        self._losses.setdefault(method, deque()).extend(losses)

    def run_late(self) -> None:
        """Execute what is late; what is refused now is refused without a word."""
        late, self._late = self._late, []
        for call in late:
            try:
                call()
            except CallRefused:
                continue

    def freeze(self, method: str) -> tuple[asyncio.Event, asyncio.Event]:
        """Hold the next call of a method before it is executed; returns the events *reached* and *go*."""
        gate = self._gates[method] = (asyncio.Event(), asyncio.Event())
        return gate

    def move_copies(self, place: Place) -> None:
        """Move every submitted mail."""
        for item in self.items.values():
            if item.state is DraftState.SUBMITTED:
                item.place = place

    def destroy_ledger(self) -> None:
        """Do what a person can: the ledger is empty, and knows since when."""
        self.entries.clear()
        self.ledger_since = _told(self.clock.now())

    # What the port promises.

    @property
    def answered_seconds_ago(self) -> float:
        """How long ago a call was answered as it should be."""
        return min(time.monotonic() - self._answered_at, self.others_answered_seconds_ago)

    async def prepare(self) -> None:
        """Do nothing: the ledger is always there."""
        await self._call("prepare", lambda: None, changes=False)

    async def create_draft(self, mime: bytes, stamp: Stamp) -> CreatedDraft:
        """Save a draft."""

        def execute() -> CreatedDraft:
            return CreatedDraft(stamp, self._begin(mime, stamp), "1")

        return await self._call("create_draft", execute)

    async def create_draft_in_parts(
        self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp
    ) -> CreatedDraft:
        """Save a draft with its attachments behind its MIME, in as many calls; the last one is `create_draft`."""
        item_id = await self._call("begin_draft", lambda: self._begin(mime, stamp, stamped=False))
        item = self.items[item_id]

        def attach(content: bytes) -> None:
            item.mime += content
            item.version += 1

        def finish() -> CreatedDraft:
            item.stamped = True
            item.version += 1
            return CreatedDraft(stamp, item_id, str(item.version))

        try:
            async for attachment in attachments:
                content = b"".join(attachment.pieces())
                await self._call("attach", lambda content=content: attach(content))  # type: ignore[misc]
            return await self._call("create_draft", finish)
        except SendOutcomeUnknown:
            raise  # the sweep finds what is there
        except BridgeError:
            del self.items[item_id]
            raise

    async def find_drafts(self, request_id: str) -> Sequence[SeenDraft]:
        """Return the stamped drafts of a request."""

        def execute() -> list[SeenDraft]:
            return [
                SeenDraft(item.stamp, item_id, str(item.version), item.state)
                for item_id, item in self.items.items()
                if item.stamp.request_id == request_id and item.place == "drafts" and item.stamped
            ]

        return await self._call("find_drafts", execute, changes=False)

    async def find_in_outbox(self, request_id: str) -> Sequence[SeenMail]:
        """Return the mails of a request in Outbox."""
        return await self._call("find_in_outbox", lambda: self._mails(request_id, "outbox"), changes=False)

    async def find_in_sent_items(
        self, request_id: str, *, since: datetime | None = None, deleted: bool = False
    ) -> Sequence[SeenMail]:
        """Return the mails of a request in Sent Items; on demand, also those that were deleted."""
        places: tuple[Place, ...] = ("sent", "deleted") if deleted else ("sent",)
        return await self._call(
            "find_in_sent_items", lambda: self._mails(request_id, *places, since=since), changes=False
        )

    async def find_in_ledger(self, request_id: str) -> LedgerView:
        """Return the entries of a request."""

        def execute() -> LedgerView:
            entries = [
                LedgerEntry(
                    entry.kind,
                    entry.stamp,
                    _told(entry.at),
                    entry.recipients,
                    entry_id,
                    _told(entry.done_at) if entry.kind == "done" and entry.done_at is not None else None,
                    entry.reason,
                    entry.call,
                )
                for entry_id, entry in self.entries.items()
                if entry.stamp.request_id == request_id and self.blind_to != "find_in_ledger"
            ]
            return LedgerView(entries, self.ledger_since)

        return await self._call("find_in_ledger", execute, changes=False)

    async def void(self, draft: SeenDraft) -> None:
        """Void a draft that is as it was seen."""

        def execute() -> None:
            item = self._unsent(draft.item_id, draft.version)
            item.state = DraftState.VOID
            item.version += 1

        await self._call("void", execute)

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int = 1) -> str:
        """Enter a call that sends."""
        return await self._call(
            "enter_begun", lambda: self._enter(_Entry("begun", stamp, self.clock.now(), recipients, call=call))
        )

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """Enter a request as ended."""
        await self._call("enter_ended", lambda: self._enter(_Entry("ended", stamp, self.clock.now(), reason=reason)))

    async def send(self, draft: CreatedDraft, *, still: Callable[[], bool] = lambda: True) -> None:
        """Submit a draft, unless it is too late."""

        def execute() -> None:
            item = self._unsent(draft.item_id, draft.version)
            if not self.drafts_stay:
                item.state, item.place, item.sent_at = DraftState.SUBMITTED, self.copies, self.clock.now()
            self.submissions.append(item.stamp)
            self.submitted_at.append(self.clock.now())

        await self._call("send", execute, still=still)

    async def mark_done(self, entry_id: str) -> None:
        """Mark a begun send as done."""

        def execute() -> None:
            if entry_id not in self.entries:
                raise CallRefused("no such entry")
            entry = self.entries[entry_id]
            entry.kind, entry.done_at = "done", self.clock.now()

        await self._call("mark_done", execute)

    async def mark_unsent(self, entry_id: str) -> None:
        """Mark a begun send as one whose call was refused or never made."""

        def execute() -> None:
            if entry_id not in self.entries:
                raise CallRefused("no such entry")
            self.entries[entry_id].kind = "unsent"

        await self._call("mark_unsent", execute)

    async def discard(self, draft: CreatedDraft) -> None:
        """Delete a draft."""

        def execute() -> None:
            if draft.item_id in self.items and self.items[draft.item_id].place == "drafts":
                self.items[draft.item_id].place = "gone"

        await self._call("discard", execute)

    async def begun_since(self, age: timedelta) -> BegunSends:
        """Return the sends that were begun within this time."""

        def execute() -> BegunSends:
            now = self.clock.now()
            entries = sorted(self.entries.values(), key=lambda entry: entry.at)
            recent = (e for e in entries if e.kind in {"begun", "done"} and _told(e.at) > now - age)
            sends = [
                BegunSend(
                    _told(one.at),
                    one.recipients,
                    one.stamp.attempt,
                    _told(one.done_at) if one.kind == "done" and one.done_at is not None else None,
                )
                for one in recent
            ]
            return BegunSends(now, [] if self.blind_to == "begun_since" else sends)

        return await self._call("begun_since", execute, changes=False)

    async def sweep(self, age: timedelta, *, limit: int) -> int:
        """Delete what is older."""

        def execute() -> int:
            now = self.clock.now()
            before = now - age
            drafts = [
                item_id
                for item_id, item in self.items.items()
                if item.created_at < before and item.place == "drafts" and item.state is not DraftState.SUBMITTED
            ][:limit]
            entries = [
                key
                for key, entry in self.entries.items()
                if entry.at < (now - 10 * age if entry.kind == "begun" else before)
            ][: limit - len(drafts)]
            for item_id in drafts:
                self.items[item_id].place = "gone"
            for entry_id in entries:
                del self.entries[entry_id]
            return len(drafts) + len(entries)

        return await self._call("sweep", execute)

    def _mails(self, request_id: str, *places: Place, since: datetime | None = None) -> list[SeenMail]:
        return [
            SeenMail(item.stamp, f"<{item_id}@exchange.example>")
            for item_id, item in self.items.items()
            if item.stamp.request_id == request_id
            and item.place in places
            and item.state is DraftState.SUBMITTED  # a draft that somebody deleted was never sent
            and (since is None or (item.sent_at is not None and item.sent_at >= since))
        ]

    def _begin(self, mime: bytes, stamp: Stamp, *, stamped: bool = True) -> str:
        self._begun += 1
        item_id = f"draft-{self._begun}"
        self.items[item_id] = MemoryItem(stamp, mime, self.clock.now(), stamped=stamped)
        return item_id

    def _enter(self, entry: _Entry) -> str:
        self._entered += 1
        entry_id = f"entry-{self._entered}"
        self.entries[entry_id] = entry
        return entry_id

    def _unsent(self, item_id: str, version: str) -> MemoryItem:
        item = self.items.get(item_id)
        if item is None or (item.state is not DraftState.SUBMITTED and item.place != "drafts"):
            raise CallRefused("ErrorItemNotFound")
        # As in Exchange: that a draft is void is known to the bridge alone, and its change key is all that counts.
        stale = str(item.version) != version and not self.keys_are_ignored
        if item.state is DraftState.SUBMITTED or stale:
            raise ItemChanged("ErrorStaleObject")
        return item

    async def _call(
        self,
        method: str,
        execute: Callable[[], _R],
        *,
        changes: bool = True,
        still: Callable[[], bool] = lambda: True,
    ) -> _R:
        self.calls.append(method)
        if method in self._gates:
            reached, go = self._gates.pop(method)
            reached.set()
            await go.wait()
        # Others run between two calls, as they do in life.
        for _ in range(1 + (self.jitter.randrange(12) if self.jitter is not None else 0)):
            await asyncio.sleep(0)
        if not still():
            raise SendTooLate
        if self.broken is not None:
            if changes and method not in _LOOK_FIRST and isinstance(self.broken, MailboxUnavailable):
                raise SendOutcomeUnknown(method) from self.broken
            raise self.broken
        if self._failures.get(method):
            raise self._failures[method].popleft()
        loss = self._losses[method].popleft() if self._losses.get(method) else None
        if loss == "late" and changes:
            self._late.append(execute)
        if loss in {"late", "never"}:
            raise SendOutcomeUnknown(method)
        result = execute()
        if loss is not None:
            raise SendOutcomeUnknown(method)
        self._answered_at = time.monotonic()
        return result


def _told(moment: datetime) -> datetime:
    """Return a moment as Exchange tells it: to the second. What is stored is in order all the same."""
    return moment.replace(microsecond=0)
