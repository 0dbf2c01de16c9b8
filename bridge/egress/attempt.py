"""One attempt at one request: it waits for its turn, takes the send protocol as far as it goes now, or gives up."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.domain.outbound_records import EndReason
from bridge.domain.trusted_time import TIME_UNKNOWN, is_over, is_to_come
from bridge.domain.unanswered_sends import UnansweredSends
from bridge.egress.admission.queue import RATE_LIMITED, ConcurrencyLimit
from bridge.egress.admission.request import RequestAdmission
from bridge.egress.availability.first_send import FirstSend
from bridge.egress.conclusion import AttemptResult, Ended, Released, RetryLater
from bridge.egress.request import GIVEN_UP
from bridge.egress.send import TIME_UNKNOWN_WAIT_SECONDS, SendRun
from bridge.egress.unsent_entries import UnsentEntries
from bridge.errors import (
    BridgeError,
    MailboxThrottled,
    MailboxUnavailable,
    OperatorError,
    SendsUnanswered,
    TokenUnavailable,
    TransientError,
)
from bridge.flow.waiting import report_bug

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.domain.outbound import Mailbox
    from bridge.domain.outbound_records import CreatedDraft
    from bridge.egress.admission.queue import ConcurrencySlot
    from bridge.egress.admission.rate import SendRate
    from bridge.egress.availability.health import DrainHealth
    from bridge.egress.availability.pauses import Availability
    from bridge.egress.options import EgressOptions
    from bridge.egress.request import QueuedRequest
    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit
    from bridge.wire.outbound_v1 import OutboundRequest

# An attempt that ended so may have met a mailbox that nobody can use at the moment: a probe finds out.
_MAILBOX_TROUBLE = frozenset({
    MailboxUnavailable.code, TokenUnavailable.code, "exchange_code_unknown", "transient",
})  # fmt: skip

_LOOK_SECONDS = 1.0


class Attempts:
    """Makes attempts at the requests of one mailbox: a limited number at a time, none while it is paused."""

    def __init__(
        self,
        *,
        alias: str,
        sender: Mailbox,
        mailbox: SendingMailbox,
        rate: SendRate,
        availability: Availability,
        health: DrainHealth,
        clock: Clock,
        emit: Emit,
        options: EgressOptions,
        stopping: asyncio.Event,
    ) -> None:
        self._alias = alias
        self._sender = sender
        self._mailbox = mailbox
        self._rate = rate
        self._availability = availability
        self._health = health
        self._clock = clock
        self._emit = emit
        self._options = options
        self._slots = ConcurrencyLimit(options.concurrent_sends, clock)
        self._stopping = stopping
        self._reading = asyncio.Lock()
        self._first = FirstSend(
            mailbox,
            sender.address,
            clock,
            exchange_now=rate.exchange_now,
            paused=lambda: availability.paused,
            wanted=options.self_test,
        )
        self._sends = UnansweredSends()
        health.sends = self._sends
        self._unsent = UnsentEntries(mailbox, lambda: availability.quiet_seconds > 0)
        self.giving_up = asyncio.Event()
        """Set once no answer is waited for that a request can do without."""

    async def make(self, ticket: QueuedRequest, *, hold: bool) -> AttemptResult:
        """Take a request as far as it goes now; `hold` allows to keep it in hand until a quiet time is over."""
        if ticket.request is None:
            return Ended("failed", "invalid_request", str(ticket.invalid))
        conclusion: AttemptResult | None = None
        while conclusion is None:
            if hold and self._availability.nearly_over and not await self._held(ticket):
                return Released()
            conclusion = await self._in_turn(ticket, ticket.request, hold=hold)
        return conclusion

    async def _held(self, ticket: QueuedRequest) -> bool:
        """
        Keep a request in hand until its mailbox may be used again, so that it goes on at that very second.

        Those behind it wait in their queue meanwhile. False: it is not to be begun here any more.
        """
        while self._availability.nearly_over and not ticket.delivery.lost and not self._stopping.is_set():
            await self._availability.wait_for_change(_LOOK_SECONDS, self._stopping)
        return not ticket.delivery.lost and not self._stopping.is_set()

    async def _in_turn(self, ticket: QueuedRequest, request: OutboundRequest, *, hold: bool) -> AttemptResult | None:
        """Go on when it is one's turn; None where the mailbox was paused before, for a moment only."""
        if self._availability.paused:
            return self._waits_for_mailbox(ticket, untouched=True)
        async with self._availability.turn(urgent=ticket.urgent), self._slots.slot(urgent=ticket.urgent) as slot:
            if self._availability.paused:  # meanwhile
                return (
                    None if hold and self._availability.nearly_over else self._waits_for_mailbox(ticket, untouched=True)
                )
            try:
                conclusion = await self._go_on(ticket, request, slot)
            except (OperatorError, TransientError) as error:
                self._availability.pause(error)
                self._health.report()
                return self._waits_for_mailbox(ticket)
            if self._sends.too_many:
                self._availability.pause(SendsUnanswered(f"{self._sends.in_a_row} in a row"))
                self._health.report()
                return conclusion if isinstance(conclusion, Ended) else self._waits_for_mailbox(ticket)
            if isinstance(conclusion, Ended):
                self._availability.resume()
                self._health.report()
            elif isinstance(conclusion, RetryLater) and conclusion.code == MailboxThrottled.code:
                return self._waits_for_quiet(ticket, conclusion)
            return conclusion

    def counts(self, deferred: RetryLater) -> bool:
        """Return whether a wait is the request's own trouble."""
        return deferred.code not in {RATE_LIMITED, TIME_UNKNOWN}

    async def _go_on(self, ticket: QueuedRequest, request: OutboundRequest, slot: ConcurrencySlot) -> AttemptResult:
        """
        Take a request as far as it goes now, and give it up where that has been tried long enough.

        Raises:
            OperatorError: Nobody can send from the mailbox at the moment.
            TransientError: Likewise.
        """
        # After a hand-over Exchange may want quiet, of which it told the other worker alone: one call finds out.
        async with self._reading:
            if self._rate.others_sent:
                await self._rate.read(window=True)
        if self._in_doubt(ticket):
            return RetryLater(TIME_UNKNOWN, TIME_UNKNOWN_WAIT_SECONDS, untouched=True)
        try:
            conclusion = await self._send(ticket, request, slot, ticket.end_as)
        except OperatorError as error:
            if not self._gives_up(ticket):
                raise
            conclusion = RetryLater(error.code)  # the mailbox's trouble, or that of this request alone
        if isinstance(conclusion, RetryLater) and conclusion.code == MailboxThrottled.code:
            # The mailbox pauses: a probe, or an end, would be the call that Exchange asked not to get.
            return conclusion
        if isinstance(conclusion, RetryLater) and conclusion.code in _MAILBOX_TROUBLE:
            await self._rate.read()
        if isinstance(conclusion, RetryLater) and self.counts(conclusion) and self._gives_up(ticket):
            reason = EndReason("failed", conclusion.code, f"given up after {ticket.attempts + 1} attempts")
            conclusion = await self._send(ticket, request, slot, reason)
        return conclusion

    async def _send(
        self, ticket: QueuedRequest, request: OutboundRequest, slot: ConcurrencySlot, end_as: EndReason | None
    ) -> AttemptResult:
        async with self._first.attempt() as may_send:
            return await self._run(ticket, request, slot, end_as, may_send)

    async def _run(
        self,
        ticket: QueuedRequest,
        request: OutboundRequest,
        slot: ConcurrencySlot,
        end_as: EndReason | None,
        may_send: Callable[[], Awaitable[None]],
    ) -> AttemptResult:
        run = SendRun(
            request=request,
            digest=ticket.digest,
            sender=self._sender,
            mailbox=self._mailbox,
            alias=self._alias,
            clock=self._clock,
            emit=self._emit,
            admission=RequestAdmission(self._rate, slot, request, urgent=ticket.urgent, may_send=may_send),
            unsent=self._unsent,
            giving_up=self.giving_up,
            abandoned=lambda: ticket.delivery.lost,
            exchange_now=self._rate.exchange_now,
            options=self._options.send,
            end_as=end_as,
            blobs=self._options.blobs,
            untouched=ticket.untouched,
            begun_after=ticket.begun_after,
            sends=self._sends,
        )
        try:
            conclusion = await run.run(look_first=ticket.met_before or end_as is not None)
            if run.sent is not None:
                await self._watch(run.sent)
        except BridgeError:
            raise
        except Exception as bug:  # noqa: BLE001 - over one request the others must not wait, nor the process end
            report_bug("a request was not sent", bug)
            return RetryLater(BridgeError.code)
        else:
            return conclusion
        finally:
            await self._unsent.mark()

    async def _watch(self, sent: CreatedDraft) -> None:
        """Pause the mailbox where its first mail does not leave Drafts."""
        error = await self._first.watch(sent)
        if error is not None:
            self._availability.pause(error)
            self._health.report()

    def _waits_for_mailbox(self, ticket: QueuedRequest, *, untouched: bool = False) -> RetryLater:
        # Urgent ones come back soonest; ordinary ones, of which there may be thousands, less often.
        code = self._availability.code or MailboxUnavailable.code
        seconds = None if ticket.urgent else self._availability.circulation_seconds()
        return RetryLater(code, seconds, untouched=untouched)

    def _waits_for_quiet(self, ticket: QueuedRequest, throttled: RetryLater) -> RetryLater:
        """
        Let a request wait that was throttled, or held back because another one was.

        Nothing is called before the time is over, however often it comes back. So it comes back within that time, to be
        held here for the rest of it, and an urgent one soonest.
        """
        if throttled.after_seconds is None and not throttled.own:
            return self._waits_for_mailbox(ticket, untouched=throttled.untouched)
        end_as = None
        if self._gives_up(ticket):
            end_as = GIVEN_UP[MailboxThrottled.code]
        after = None if ticket.urgent or throttled.after_seconds is None else self._availability.quiet_seconds
        return replace(throttled, after_seconds=after, end_as=end_as)

    def _in_doubt(self, ticket: QueuedRequest) -> bool:
        """Return whether nobody knows if the request has expired: it is neither sent late nor told too early."""
        moment, known = ticket.expires_at, self._clock.known()
        return (
            moment is not None
            and ticket.end_as is None
            and not is_over(known, moment)
            and not is_to_come(known, moment)
        )

    def _gives_up(self, ticket: QueuedRequest) -> bool:
        # By durations alone: one header from a worker with a wrong clock must not end a request at its first trouble.
        tried = ticket.tried_seconds(self._clock)
        return ticket.attempts + 1 >= self._options.attempts_limit or tried >= self._options.give_up_after_seconds
