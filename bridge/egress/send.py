"""One request through the send protocol: calls what `send_protocol` says next, and tells it what came of it."""

from __future__ import annotations

import asyncio
import random
import uuid
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from bridge.domain import send_protocol as protocol
from bridge.domain.outbound_records import CreatedDraft, DraftState, EndReason, Findings, SeenDraft, Stamp
from bridge.domain.send_protocol import MOST_CALLS, Outcome, Progress, Step
from bridge.domain.trusted_time import TIME_UNKNOWN, is_over, is_to_come
from bridge.domain.unanswered_sends import UnansweredSends
from bridge.egress.availability.pauses import HeldBack
from bridge.egress.conclusion import AttemptResult, Ended, Released, RetryLater
from bridge.egress.draft import BlobReader, create_draft
from bridge.egress.options import SendOptions
from bridge.errors import (
    BridgeError,
    CallRefused,
    MailboxThrottled,
    MessageError,
    SendOutcomeUnknown,
    SendRefused,
    SendsUnanswered,
    SendTooLate,
    ThrottledInFront,
    TransientError,
)
from bridge.flow.read_again import read_again
from bridge.flow.waiting import unless_set, wait_within_attempt
from bridge.mime.compose_message_id import message_id_of
from bridge.telemetry.egress_events import StepTaken

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from datetime import datetime

    from bridge.domain.outbound import Mailbox
    from bridge.domain.send_rate import Begun
    from bridge.egress.admission.request import SendAdmission
    from bridge.egress.unsent_entries import UnsentEntries
    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit
    from bridge.wire.outbound_v1 import OutboundRequest

T = TypeVar("T")

_CHANGES = frozenset({Step.CREATE, Step.END, Step.VOID, Step.ENTER, Step.SEND})
_CLOCKS_DIFFER = timedelta(minutes=10)
_ENTRY_EARLIER = timedelta(hours=1)
"""So much the clocks of Exchange's servers may differ, of which one times the entry and another one the mail."""
TIME_UNKNOWN_WAIT_SECONDS = 30.0
"""How long a request waits of which nobody knows whether it has expired."""
_LEDGER_LOST = EndReason(
    "unknown", "outcome_unknown", "the folder Bridge Sends was deleted or emptied while this request was in hand"
)
_CALLED_TOO_OFTEN = EndReason(
    "unknown",
    "outcome_unknown",
    f"Exchange was asked {MOST_CALLS} times to send it and gave no usable answer; it is not asked again",
)


@dataclass(slots=True)
class SendRun:
    """One attempt at a request. What it knows may be lost at any moment: the next attempt finds out again."""

    request: OutboundRequest
    digest: str
    sender: Mailbox
    mailbox: SendingMailbox
    alias: str
    clock: Clock
    emit: Emit
    admission: SendAdmission
    unsent: UnsentEntries
    """Of the mailbox: gets each entry whose call was refused or never made; marked at the latest after the attempt."""
    abandoned: Callable[[], bool]
    """True once nothing more should be begun for this request here."""
    exchange_now: Callable[[], datetime]
    options: SendOptions = field(default_factory=SendOptions)
    end_as: EndReason | None = None
    """Given: the request is to end without a send, unless it was sent already."""
    blobs: BlobReader | None = None
    sends: UnansweredSends = field(default_factory=UnansweredSends)
    """Of the mailbox."""
    giving_up: asyncio.Event = field(default_factory=asyncio.Event)
    """Set: no call is waited for any more whose request has not been begun here."""
    untouched: bool = True
    """No earlier attempt can have begun to send it."""
    begun_after: datetime | None = None
    """Nor can anybody before this moment, by the clocks of publishers and workers."""
    _since: datetime | None = None
    """From when on the ledger was whole when this attempt began."""
    _turn: Begun | None = None
    _attempt: str | None = None
    """What the turn was used for."""
    _draft: CreatedDraft | None = None
    sent: CreatedDraft | None = None
    """The draft that Exchange said it sent."""
    _open: tuple[str, int] | None = None
    """Attempt and number of a call that has, or may have, an entry in the ledger, and was not made so far."""
    _entry_id: str | None = None
    """Of that entry, where it is known."""
    _findings: Findings = field(default_factory=Findings)
    _reason: EndReason | None = None
    _stumbles: int = 0
    _maybe_own: bool = False
    """Exchange asked for less and did not say for how long: this mail may be too much for it."""
    _entered: bool = False
    """An entry of this run may be in the ledger."""
    _unanswered: bool = False
    """A call that sends had no answer in this run."""
    _made: bool = False
    """The last call that sends may have been made: it went out, and no answer of Exchange's says otherwise."""

    async def run(self, *, look_first: bool) -> AttemptResult:
        """
        Go as far as it goes now.

        Raises:
            OperatorError: The mailbox cannot be used; nothing is lost.
        """
        self._reason = self.end_as
        self._since = self.mailbox.ledger_since
        progress: Progress[str] = protocol.begin(expired=self._over(), look_first=look_first)
        try:
            for _ in range(self.options.steps):
                if progress.step is Step.REPORT:
                    if progress.outcome is Outcome.SENT and self.admission.limited:
                        await self._mark_found()
                    return self._ended(progress)
                if progress.step in _CHANGES and self.abandoned():
                    return Released()
                following = await self._step(progress)
                if isinstance(following, RetryLater):
                    return replace(following, untouched=not self._entered and not self._findings.blind)
                if not isinstance(following, Progress):
                    return following
                progress = following
            return RetryLater(CallRefused.code)  # other workers cross this one again and again
        finally:
            self._withdraw()
            self._end_turn()

    def _withdraw(self) -> None:
        # A call that was refused all the same may have worked where its draft is gone: a proxy may have made it twice.
        entry_id = self._open_entry()
        if self._open is not None and entry_id is not None and self._findings.in_drafts(self._open[0]):
            self.unsent.add(entry_id)
        self._open = self._entry_id = None

    def _open_entry(self) -> str | None:
        found = None if self._open is None else self._findings.entry_of(*self._open)
        return self._entry_id or found

    def _is_last_call(self) -> bool:
        return len(self._findings.seen(self.digest).calls) >= protocol.MOST_CALLS - 1

    def _end_turn(self) -> None:
        if self._turn is not None:
            if self._attempt is None:
                self.admission.give_back(self._turn)
            else:
                self.admission.settle(self._turn, self._attempt)
        self._turn = self._attempt = None

    async def _step(self, progress: Progress[str]) -> Progress[str] | AttemptResult:
        match progress.step:
            case Step.DEFER:
                return RetryLater(SendOutcomeUnknown.code)
            case Step.ENTER if self._unanswered and self._is_last_call():
                # Three calls within a second would all meet the same short trouble: a later attempt makes the last one.
                return RetryLater(SendOutcomeUnknown.code)
            case Step.AGAIN:
                # Before the others look: it would count as a call for them.
                self._withdraw()
                await self.unsent.mark()
                await self.clock.sleep(random.uniform(0.1, 1.0))  # noqa: S311 - parts workers that cross each other
                return protocol.begin(expired=self._over())
            case Step.CREATE if self._turn is None or self._attempt is not None:
                self._end_turn()
                turn = await self.admission.take_turn()
                if turn is None:
                    return protocol.begin(expired=True)
                if isinstance(turn, RetryLater | Released):
                    return turn
                self._turn = turn
        try:
            return await self._held_back(progress) or await self._called(progress)
        except (MessageError, TransientError) as error:
            return await self._failed(progress, error)

    async def _held_back(self, progress: Progress[str]) -> Progress[str] | RetryLater | Released | None:
        """Return what to do instead of a send whose turn it is not, None where nothing is to be waited for."""
        if progress.step is not Step.SEND:
            return None
        if not (self._over() or self._still_wanted()):
            return RetryLater(TIME_UNKNOWN, TIME_UNKNOWN_WAIT_SECONDS)
        if self._unanswered and self.sends.too_many:
            return RetryLater(SendsUnanswered.code)
        if not self.admission.limited:
            return None
        cleared = await self.admission.clear(self._own(progress).stamp.attempt)
        if isinstance(cleared, RetryLater | Released):
            return cleared
        return None if cleared else protocol.not_made(progress)

    async def _called(self, progress: Progress[str]) -> Progress[str] | Released:
        if self._entered:
            return await self._timed(progress)
        # Whatever a call does that is given up is found by the next attempt, as after a kill.
        return await unless_set(self.giving_up, self._timed(progress)) or Released()

    async def _failed(
        self, progress: Progress[str], error: MessageError | TransientError
    ) -> Progress[str] | AttemptResult:
        if isinstance(error, TransientError):
            if await self._stumbled(error):
                return _unanswered(progress, made=self._made)
            if isinstance(error, HeldBack):
                return RetryLater(error.code, own=self._maybe_own)
            return RetryLater(error.code, error.retry_after_seconds, own=self._maybe_own)
        if progress.step not in {Step.CREATE, Step.SEND}:
            return RetryLater(error.code)  # a request is given up for what its mail is, not for an entry of ours
        detail = error.exchange_code if isinstance(error, SendRefused) else error.detail
        self._reason = EndReason("failed", error.code, detail)
        return protocol.give_up(progress)

    def _over(self) -> bool:
        """Whether the request is not to be begun any more."""
        if self.end_as is not None:
            return True
        expires_at = self.request.expires_at
        return expires_at is not None and is_over(self.clock.known(), expires_at)

    def _still_wanted(self) -> bool:
        """Whether the request has surely not expired."""
        expires_at = self.request.expires_at
        return self.end_as is None and (expires_at is None or is_to_come(self.clock.known(), expires_at))

    async def _timed(self, progress: Progress[str]) -> Progress[str]:
        started, code = self.clock.monotonic(), "ok"
        try:
            return await self._act(progress)
        except BridgeError as error:
            code = error.code
            raise
        finally:
            seconds = self.clock.monotonic() - started
            self.emit(StepTaken(self.alias, progress.step.name.lower(), code, seconds))

    async def _act(self, progress: Progress[str]) -> Progress[str]:
        match progress.step:
            case Step.CREATE:
                return await self._create()
            case Step.LOOK:
                return await self._look(progress)
            case Step.END:
                reason = _CALLED_TOO_OFTEN if progress.unclear else self._end_reason()
                await self.mailbox.enter_ended(self._stamp(progress.own or _attempt()), reason)
                return protocol.entered_end(progress)
            case Step.VOID:
                await self.mailbox.void(self._seen_draft(progress.to_void[0]))
                return protocol.voided(progress)
            case Step.ENTER:
                self._attempt = self._own(progress).stamp.attempt
                self.admission.begin(self._attempt)
                self._entered, self._open = True, (self._attempt, progress.call)
                self._entry_id = await self.mailbox.enter_begun(
                    self._own(progress).stamp, self.request.recipients, call=progress.call
                )
                return protocol.entered(progress)
            case Step.SEND:
                await self._send(progress)
                self.sent = self._draft
                return protocol.submitted(progress)
            case Step.CLOSE:
                return await self._close()
            case _:
                return await self._discard(progress)

    async def _send(self, progress: Progress[str]) -> None:
        own, begun = self._own(progress), self.sends.begin()
        # From here on its entry stands for a call that may have worked, whatever ends the wait for the answer: a stop,
        # or a bug, too. Nothing but an answer that says otherwise makes it one to be marked.
        entry, self._open, self._entry_id = (self._open, self._open_entry()), None, None
        self._made = False

        def still() -> bool:
            self._made = True  # asked when the call goes out, and of nobody who only waits for one
            return self._in_time(own)

        try:
            await self.mailbox.send(own, still=still)
        except SendOutcomeUnknown:
            self._made = self._unanswered = True
            self.sends.unanswered(begun)
            raise
        except ThrottledInFront:
            if not self._made:
                self._open, self._entry_id = entry
            raise
        except BridgeError as error:
            self._made = False
            self._open, self._entry_id = entry
            if isinstance(error, SendRefused | CallRefused) and not isinstance(error, SendTooLate):
                self.sends.answered()
            raise
        self._open, self._entry_id = entry
        self.sends.answered()

    def _in_time(self, own: CreatedDraft) -> bool:
        """Return whether what was decided before the call that sends holds: this process may have been frozen since."""
        return self._still_wanted() and self.admission.in_time(own.stamp.attempt)

    async def _create(self) -> Progress[str]:
        self._draft = await create_draft(
            self.request,
            self._stamp(_attempt()),
            mailbox=self.mailbox,
            sender=self.sender,
            date=self.clock.now(),
            blobs=self.blobs,
        )
        return protocol.created(self._draft.stamp.attempt)

    async def _look(self, progress: Progress[str]) -> Progress[str]:
        # One place after the other, in the direction in which a mail moves.
        request_id = self.request.request_id
        drafts = await self._read(lambda: self.mailbox.find_drafts(request_id))
        outbox = await self._read(lambda: self.mailbox.find_in_outbox(request_id))
        ledger = await self._read(lambda: self.mailbox.find_in_ledger(request_id))
        young, blind = self._uncertainty(ledger.since)
        self._findings = Findings(drafts, outbox, ledger.entries, young=young, blind=blind)
        seen = self._findings.seen(self.digest)
        if protocol.wants_sent_items(seen):
            # No mail is older than the entry that calls for it; where the ledger was lost, no entry tells.
            begun = None if young else self._findings.oldest_begun(seen.missing)
            since = begun and begun - _ENTRY_EARLIER
            sent_items = await self._read(
                lambda: self.mailbox.find_in_sent_items(request_id, since=since, deleted=young)
            )
            self._findings = self._findings.with_sent_items(sent_items)
            seen = self._findings.seen(self.digest)
        oldest = self._findings.oldest_begun(seen.missing) if seen.missing else ledger.since
        return protocol.looked(progress, seen, expired=self._over(), patience_over=self._patience_over(oldest))

    def _uncertainty(self, since: datetime | None) -> tuple[bool, bool]:
        """Return whether the ledger is a new one, and whether it may have lost what it knew of this request."""
        if since is None:
            return False, False
        age = (self.exchange_now() - since).total_seconds()
        if since == self._since:
            begun_later = self.begun_after is not None and self.begun_after > since + _CLOCKS_DIFFER
            blind = age < self.options.doubt_seconds and not self.untouched and not begun_later
        else:
            blind = True  # it was lost during this attempt
        return age < self.options.young_seconds or blind, blind

    async def _read(self, read: Callable[[], Awaitable[T]]) -> T:
        return await read_again(read, self.clock)

    async def _close(self) -> Progress[str]:
        # Best effort: what SendItem answered is enough.
        entry_id = self._open_entry()
        self._open = self._entry_id = None
        try:
            if entry_id is not None:
                await self.mailbox.mark_done(entry_id)
        except BridgeError as error:
            self.emit(StepTaken(self.alias, "close_failed", error.code, 0.0))
        return protocol.closed()

    async def _mark_found(self) -> None:
        """Mark what another attempt sent and did not mark, so that it counts no longer than it must; best effort."""
        found = self._findings.sent_attempts()
        for entry in self._findings.ledger:
            if entry.kind == "begun" and entry.stamp.attempt in found:
                try:
                    await self.mailbox.mark_done(entry.entry_id)
                except BridgeError as error:
                    self.emit(StepTaken(self.alias, "close_failed", error.code, 0.0))

    async def _discard(self, progress: Progress[str]) -> Progress[str]:
        try:
            await self.mailbox.discard(self._own(progress))
        except BridgeError as error:
            self.emit(StepTaken(self.alias, "discard_failed", error.code, 0.0))
        return protocol.discarded(progress)

    def _patience_over(self, since: datetime | None) -> bool:
        if since is None:
            return False
        return (self.exchange_now() - since).total_seconds() >= self.options.unknown_after_seconds

    async def _stumbled(self, error: TransientError) -> bool:
        """Wait a little, unless this run has failed often enough, or Exchange wants more time."""
        if not isinstance(error, HeldBack):  # there was no call
            self._stumbles += 1
            self._maybe_own |= isinstance(error, MailboxThrottled) and error.retry_after_seconds is None
        wait = error.retry_after_seconds
        if self._stumbles > self.options.stumbles or (wait or 0.0) > self.options.longest_wait_seconds:
            return False
        if wait is None:
            wait = wait_within_attempt(self._stumbles, self.options.longest_wait_seconds)
        await self.clock.sleep(wait)
        return True

    def _ended(self, progress: Progress[str]) -> Ended:
        match progress.outcome:
            case Outcome.SENT:
                message_id = self._findings.internet_message_id()
                return Ended(
                    "sent", "ok", "", message_id or message_id_of(self.request.request_id, self.sender.address)
                )
            case Outcome.UNKNOWN if self._findings.blind:
                return Ended(_LEDGER_LOST.event, _LEDGER_LOST.code, _LEDGER_LOST.detail)
            case Outcome.UNKNOWN if not self._findings.seen(self.digest).ended_unknown:
                return Ended("unknown", "outcome_unknown", "a send was begun, and its mail is nowhere to be found")
            case Outcome.REUSED:
                return Ended("failed", "request_id_reused", "another mail was sent under this request_id")
        reason, digest = self._findings.end_reason() or (self._end_reason(), self.digest)
        if digest != self.digest:
            return Ended("failed", "request_id_reused", "another request ended under this request_id")
        return Ended(reason.event, reason.code, reason.detail)

    def _end_reason(self) -> EndReason:
        if self._findings.blind:
            return _LEDGER_LOST
        # An ended entry of somebody else is repeated; its own reason is read in the look that follows.
        return self._reason or EndReason("expired", "expired")

    def _stamp(self, attempt: str) -> Stamp:
        return Stamp(self.request.request_id, attempt, self.digest)

    def _own(self, progress: Progress[str]) -> CreatedDraft:
        if self._draft is None or self._draft.stamp.attempt != progress.own:
            raise RuntimeError("the protocol asked for a draft that this attempt did not make")
        return self._draft

    def _seen_draft(self, attempt: str) -> SeenDraft:
        return next(
            draft
            for draft in self._findings.drafts
            if draft.stamp.attempt == attempt and draft.state is DraftState.UNSENT
        )


def _attempt() -> str:
    return uuid.uuid4().hex


def _unanswered(progress: Progress[str], *, made: bool) -> Progress[str]:
    """A call was refused for now, or got no answer: what it may have done is seen by a look."""
    match progress.step:
        case Step.VOID:
            return protocol.not_voided(progress)
        case Step.ENTER:
            return protocol.not_entered(progress)
        case Step.SEND if made:
            return protocol.not_submitted(progress)
        case Step.SEND:
            return protocol.not_made(progress)
        case _:
            return progress  # a draft, an entry of the end, a look: make it again
