"""Drains one mailbox's queues: every request through the send protocol, to its event, and only then acknowledged."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Literal

from bridge.domain.disposition import RetryPolicy
from bridge.domain.outbound_records import EndReason
from bridge.domain.send_rate import DAY_SECONDS, MINUTE_SECONDS, Begun, RateLimits, SendWindow
from bridge.errors import (
    BridgeError,
    CredentialsRejected,
    MailboxThrottled,
    MailboxUnavailable,
    MessageTooLarge,
    OperatorError,
    QueueTaken,
    TokenUnavailable,
    TransientError,
)
from bridge.telemetry.egress_events import (
    ConsumingFailed,
    LedgerSwept,
    RequestLeft,
    RequestReceived,
    RequestsHeld,
    StepTaken,
)
from bridge.wire.outbound_v1 import OutboundLimits
from bridge.wire.topology import outbound_queue, outbound_urgent_queue
from bridge.workers.egress_consume import take_deliveries
from bridge.workers.egress_gate import RATE_LIMITED, RateGate, Slots, first_of
from bridge.workers.egress_pause import PauseOptions, Pauses
from bridge.workers.egress_send import Conclusion, Deferred, Ended, Left, SendOptions, SendRun
from bridge.workers.egress_settle import SettleOptions, Settler
from bridge.workers.egress_ticket import Ticket, read_ticket
from bridge.workers.loop import Patience, any_of, wait_for_any, wait_of
from bridge.workers.reads import read_again

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from bridge.domain.outbound import Mailbox
    from bridge.ports.broker import Consumer, Delivery, Publisher
    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health
    from bridge.wire.outbound_v1 import OutboundRequest
    from bridge.workers.egress_gate import Slot

Source = Literal["ordinary", "urgent", "returned"]

_SWEEP_BATCH = 100
_LIFE_SECONDS = 15.0
_LARGE_WAIT_SECONDS = 30.0
# What may be wrong here and not elsewhere: another worker may reach Exchange, or have the newer secret.
_MAY_BE_THIS_WORKER = (MailboxUnavailable, TokenUnavailable, CredentialsRejected)
# A visit that ended so may have met a mailbox that nobody can use at the moment: a probe tells.
_MAILBOX_TROUBLE = frozenset({MailboxUnavailable.code, MailboxThrottled.code, TokenUnavailable.code, "transient"})


@dataclass(frozen=True, slots=True)
class EgressOptions:
    """How one mailbox is drained."""

    rate: RateLimits = field(default_factory=RateLimits)
    concurrent_sends: int = 4
    attempts_limit: int = 100
    give_up_after_seconds: float = 86_400.0
    ledger_days: int = 14
    stop_within_seconds: float = 20.0
    """How long what is in flight may take once the worker is to stop."""
    probe_seconds: float = 20.0
    """Between two proofs that the mailbox can be used, while nothing is sent."""
    yield_after_seconds: float = 10.0
    """How long a worker finds the mailbox unusable before it leaves it to another, where there is one."""
    yield_seconds: float = 5.0
    """How long it leaves the queues alone then; whoever stands by looks every second or two."""
    limits: OutboundLimits = field(default_factory=OutboundLimits)
    send: SendOptions = field(default_factory=SendOptions)
    settle: SettleOptions = field(default_factory=SettleOptions)
    pauses: PauseOptions = field(default_factory=PauseOptions)
    sweep_every_seconds: float = 3600.0
    consuming: RetryPolicy = field(default_factory=lambda: RetryPolicy(longest_seconds=10.0, pause_seconds=1.0))

    @property
    def ordinary_prefetch(self) -> int:
        """
        How many ordinary requests are held: the one whose turn is next, and at most one more.

        Where Exchange's pace is not the limit, so many as are sent at a time, and one slot is left to urgent ones.
        """
        most = max(1, self.concurrent_sends - 1)
        return min(2, most) if self.rate.per_minute is not None else most


class MailboxSender:
    """
    One mailbox, from its two queues through Exchange to the events, until it is stopped.

    Stateless: what it knows of a request is in the mailbox and in the request's own headers. The rate window is read
    from the ledger at the start, and whenever another worker drained the mailbox before.
    """

    def __init__(
        self,
        *,
        alias: str,
        sender: Mailbox,
        mailbox: SendingMailbox,
        publisher: Publisher,
        consumer: Consumer,
        clock: Clock,
        emit: Emit,
        health: Health,
        options: EgressOptions | None = None,
    ) -> None:
        self._alias = alias
        self._sender = sender
        self._mailbox = mailbox
        self._consumer = consumer
        self._clock = clock
        self._emit = emit
        self._health = health
        self._options = options or EgressOptions()
        self._slots = Slots(self._options.concurrent_sends, clock)
        self._window = SendWindow(self._options.rate)
        self._gate = RateGate(self._window, clock)
        self._pauses = Pauses(alias, clock, emit, self._options.pauses)
        self._settler = Settler(
            publisher,
            clock,
            emit,
            label=alias,
            options=self._options.settle,
            tell=self._settling,
        )
        self._exchange_offset: timedelta | None = None
        self._others_sent = True
        """Whether somebody else may have drained the mailbox since the rate window was read."""
        self._urgent_told = asyncio.Event()
        self._urgent_taken = asyncio.Event()
        self._stopping = asyncio.Event()
        self._yielding, self._back = asyncio.Event(), asyncio.Event()
        self._held = 0
        self._in_hand: dict[str | None, tuple[asyncio.Lock, int]] = {}
        self._trouble: dict[str, tuple[str, str]] = {}
        self._unproved = {"urgent", "ordinary"}
        """Queues that were not consumed yet."""

    @property
    def part(self) -> str:
        """The name of this sender in `/health`."""
        return f"mailbox:{self._alias}:egress"

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until `stop` is set; what is in flight is finished first, within the stated time."""
        self._health.expect(self.part)
        await self._prove()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._drain("urgent", stop))
            tasks.create_task(self._drain("ordinary", stop))
            tasks.create_task(self._keep_proving(stop))
            tasks.create_task(self._keep_sweeping(stop))
            tasks.create_task(self._close_gate(stop))

    async def handle(self, delivery: Delivery, source: Source, *, end_as: EndReason | None = None) -> None:
        """
        Take one request as far as it goes now, and settle it.

        `end_as` ends it without a send, unless it was sent already.
        """
        ticket = read_ticket(delivery, limits=self._options.limits, now=self._clock.now())
        if end_as is not None:
            ticket = replace(ticket, end_as=end_as)
        self._emit(RequestReceived(self._alias, source))
        self._hold(1)
        try:
            async with self._alone(ticket.request_id):
                # Nothing is sent that could not be told of.
                conclusion = await self._visit(ticket) if await self._settler.ready(ticket) else Left()
                await self._settle(ticket, conclusion)
        except BridgeError as error:
            # What has to outlive the request is not confirmed: it stays in its queue.
            self._emit(RequestLeft(self._alias, ticket.request_id, error.code))
        finally:
            self._hold(-1)

    @asynccontextmanager
    async def _alone(self, request_id: str | None) -> AsyncIterator[None]:
        """
        Let repeats of a request in this worker wait for each other.

        The protocol copes with repeats side by side, at the price of void drafts that lie around until they are swept.
        """
        lock, waiting = self._in_hand.get(request_id, (asyncio.Lock(), 0))
        self._in_hand[request_id] = (lock, waiting + 1)
        try:
            if request_id is None:
                yield
            else:
                async with lock:
                    yield
        finally:
            lock, waiting = self._in_hand.pop(request_id)
            if waiting > 1:
                self._in_hand[request_id] = (lock, waiting - 1)

    # One visit of one request.

    async def _visit(self, ticket: Ticket) -> Conclusion:
        if ticket.request is None:
            return Ended("failed", "invalid_request", str(ticket.invalid))
        if self._pauses.paused:
            return self._waits_for_mailbox(ticket)
        async with self._pauses.turn(urgent=ticket.urgent), self._slots.slot(urgent=ticket.urgent) as slot:
            if self._pauses.paused:  # meanwhile
                return self._waits_for_mailbox(ticket)
            try:
                conclusion = await self._go_on(ticket, ticket.request, slot)
            except (OperatorError, TransientError) as error:
                self._pauses.pause(error)
                self._report()
                return self._waits_for_mailbox(ticket)
            if isinstance(conclusion, Ended):
                self._pauses.resume()
                self._report()
            return conclusion

    async def _go_on(self, ticket: Ticket, request: OutboundRequest, slot: Slot) -> Conclusion:
        """
        Take a request as far as it goes now, and give it up where that has been tried long enough.

        Raises:
            OperatorError: Nobody can send from the mailbox at the moment.
            TransientError: Likewise.
        """
        if self._others_sent:
            await self._probe(window=True)
        try:
            conclusion = await self._send(ticket, request, slot, ticket.end_as)
        except OperatorError as error:
            if not self._gives_up(ticket):
                raise
            conclusion = Deferred(error.code)  # the mailbox's trouble, or that of this request alone
        if isinstance(conclusion, Deferred) and conclusion.code in _MAILBOX_TROUBLE:
            await self._probe()
        if isinstance(conclusion, Deferred) and self._counts(conclusion) and self._gives_up(ticket):
            reason = EndReason("failed", conclusion.code, f"given up after {ticket.attempts + 1} attempts")
            conclusion = await self._send(ticket, request, slot, reason)
        return conclusion

    async def _send(self, ticket: Ticket, request: OutboundRequest, slot: Slot, end_as: EndReason | None) -> Conclusion:
        async def take_turn() -> Begun | Deferred | Left | None:
            async with slot.away():
                return await self._gate.take_turn(
                    recipients=request.recipients, urgent=ticket.urgent, expires_at=request.expires_at
                )

        run = SendRun(
            request=request,
            digest=ticket.digest,
            sender=self._sender,
            mailbox=self._mailbox,
            alias=self._alias,
            clock=self._clock,
            emit=self._emit,
            take_turn=take_turn,
            give_back=self._gate.give_back,
            abandoned=lambda: ticket.delivery.lost,
            exchange_now=lambda: self._clock.now() + (self._exchange_offset or timedelta()),
            options=self._options.send,
            end_as=end_as,
        )
        try:
            return await run.run(look_first=ticket.met_before or end_as is not None)
        except BridgeError:
            raise
        except Exception as bug:  # noqa: BLE001 - over one request the others must not wait, nor the process end
            asyncio.get_running_loop().call_exception_handler({"message": "a request was not sent", "exception": bug})
            return Deferred(BridgeError.code)

    async def _settle(self, ticket: Ticket, conclusion: Conclusion) -> None:
        match conclusion:
            case Ended():
                await self._settler.end(ticket, conclusion)
            case Deferred() if not ticket.delivery.lost:
                counts = self._counts(conclusion) and not self._pauses.paused
                try:
                    await self._settler.defer(ticket, conclusion, counts=counts)
                except MessageTooLarge as error:
                    await self._do_not_wait(ticket, error, its_own_trouble=counts)
            case _:
                self._emit(RequestLeft(self._alias, ticket.request_id, "lost" if ticket.delivery.lost else "stopping"))

    async def _do_not_wait(self, ticket: Ticket, error: MessageTooLarge, *, its_own_trouble: bool) -> None:
        """End a request that is too large to wait in a retry queue, or let it wait for its mailbox in its own queue."""
        if its_own_trouble:
            conclusion = await self._visit(replace(ticket, end_as=EndReason("failed", error.code, error.detail)))
            if isinstance(conclusion, Ended):
                await self._settler.end(ticket, conclusion)
                return
        await first_of(self._clock, _LARGE_WAIT_SECONDS, self._stopping)
        if not ticket.delivery.lost:
            ticket.delivery.requeue()

    def _waits_for_mailbox(self, ticket: Ticket) -> Deferred:
        # Urgent ones come back soonest; ordinary ones, of which there may be thousands, less often.
        code = self._pauses.code or MailboxUnavailable.code
        return Deferred(code, None if ticket.urgent else self._pauses.circulation_seconds)

    def _counts(self, deferred: Deferred) -> bool:
        return deferred.code != RATE_LIMITED

    def _gives_up(self, ticket: Ticket) -> bool:
        age = ticket.age_seconds(self._clock.now())
        return ticket.attempts + 1 >= self._options.attempts_limit or age >= self._options.give_up_after_seconds

    # The queues.

    async def _drain(self, source: Literal["urgent", "ordinary"], stop: asyncio.Event) -> None:
        patience = Patience(self._options.consuming)
        while not stop.is_set():
            if source == "ordinary" and self._urgent_elsewhere:
                self._urgent_told.clear()
                await wait_for_any(_LIFE_SECONDS, stop, self._urgent_told)
                continue
            if self._yielding.is_set():
                await wait_for_any(_LIFE_SECONDS, stop, self._back)
                continue
            try:
                await self._consume(source, stop, patience)
            except BridgeError as error:
                wait = wait_of(patience.after(error))
                self._fail(source, error)
                self._emit(ConsumingFailed(self._alias, error.code, wait))
                await wait_for_any(wait, stop)

    @property
    def _urgent_elsewhere(self) -> bool:
        """
        Whether another worker drains the urgent queue, or may do so for all that is known.

        Who has it drains the ordinary one, too: two workers would each keep the whole of Exchange's pace, and urgent
        requests would overtake nothing.
        """
        code, _ = self._trouble.get("urgent", ("", ""))
        return code == QueueTaken.code or (not code and "urgent" in self._unproved)

    async def _consume(self, source: Literal["urgent", "ordinary"], stop: asyncio.Event, patience: Patience) -> None:
        urgent = source == "urgent"
        deliveries = self._consumer.deliveries(
            outbound_urgent_queue(self._alias) if urgent else outbound_queue(self._alias),
            prefetch=self._options.concurrent_sends if urgent else self._options.ordinary_prefetch,
            exclusive=True,
            tell=lambda error: self._mend(source) if error is None else self._fail(source, error),
        )

        def take(delivery: Delivery) -> Coroutine[None, None, None]:
            patience.forget()
            self._mend(source)
            return self.handle(delivery, source)

        # Whoever takes the urgent queue over takes the ordinary one, too.
        ends = (stop, self._yielding) if urgent else (stop, self._yielding, self._urgent_taken)
        async with any_of(*ends) as ended:
            await take_deliveries(deliveries, take, ended, stop_within_seconds=self._options.stop_within_seconds)

    async def _close_gate(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping.set()
        self._gate.close()
        self._settler.close()

    # The mailbox.

    async def _keep_proving(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._pauses.changed.clear()
            wait = self._pauses.wait_seconds if self._pauses.paused else self._options.probe_seconds
            await self._wait_showing_life(wait, stop)
            if not stop.is_set() and not self._pauses.changed.is_set():
                error = await self._prove()
                if (
                    isinstance(error, _MAY_BE_THIS_WORKER)
                    and self._pauses.paused_for_seconds >= self._options.yield_after_seconds
                ):
                    await self._yield(stop)

    async def _yield(self, stop: asyncio.Event) -> None:
        """Let another worker have the queues, for which the mailbox may work; without one they are taken again."""
        self._others_sent = True
        self._back.clear()
        self._yielding.set()
        await wait_for_any(self._options.yield_seconds, stop)
        self._yielding.clear()
        self._back.set()

    async def _wait_showing_life(self, seconds: float, stop: asyncio.Event) -> None:
        """Wait; a pause that begins meanwhile starts a wait of its own."""
        while seconds > 0 and not stop.is_set() and not self._pauses.changed.is_set():
            self._health.progress(self.part)
            some = min(seconds, _LIFE_SECONDS)
            await wait_for_any(some, stop, self._pauses.changed)
            seconds -= some

    async def _prove(self) -> BridgeError | None:
        """Find out whether the mailbox can be used, and remember it; return why not."""
        trouble: BridgeError | None = None
        try:
            await self._probe()
        except BridgeError as error:
            trouble = error
            self._pauses.still(error)
        else:
            self._pauses.try_again()
        self._report()
        return trouble

    async def _probe(self, *, window: bool = False) -> None:
        """
        Use the mailbox for something cheap; on demand, read the rate window if others have sent meanwhile.

        Raises:
            BridgeError: It cannot be used.
        """
        day = window and self._options.rate.recipients_per_day is not None
        await self._mailbox.prepare()
        age = timedelta(seconds=DAY_SECONDS if day else MINUTE_SECONDS)
        begun = await read_again(lambda: self._mailbox.begun_since(age), self._clock)
        now = self._clock.monotonic()
        if window and self._others_sent:
            # Where Exchange's clocks differ, one may seem to come from the future.
            ages = ((max(0.0, (begun.now - one.at).total_seconds()), one.recipients) for one in begun.sends)
            self._window.read_anew(Begun(now - age, recipients) for age, recipients in ages)
            self._others_sent = False
        self._exchange_offset = begun.now - self._clock.now()

    async def _keep_sweeping(self, stop: asyncio.Event) -> None:
        """Keep the ledger as long as it is of use; best effort, and never in the way."""
        # Whatever is configured: the ledger outlives the requests.
        longest = timedelta(seconds=self._options.give_up_after_seconds) + timedelta(days=2)
        age = max(timedelta(days=self._options.ledger_days), longest)
        while not stop.is_set():
            await wait_for_any(self._options.sweep_every_seconds, stop)
            swept = 0
            try:
                while not stop.is_set() and not self._pauses.paused:
                    deleted = await self._mailbox.sweep(age, limit=_SWEEP_BATCH)
                    swept += deleted
                    if not deleted:
                        break
            except BridgeError as error:
                self._emit(StepTaken(self._alias, "sweep", error.code, 0.0))
            if swept:
                self._emit(LedgerSwept(self._alias, swept))

    # What is told.

    def _hold(self, change: int) -> None:
        self._held += change
        tokens, recipients = self._window.left(self._clock.monotonic())
        self._emit(RequestsHeld(self._alias, self._held, tokens, recipients))

    def _settling(self, error: BridgeError | None) -> None:
        if error is None:
            self._mend("settle")
        else:
            self._fail("settle", error)

    def _fail(self, what: str, error: BridgeError) -> None:
        self._trouble[what] = (error.code, error.detail)
        # Also after a lost connection: another may have come and gone before this one was back to hear of it.
        if what in {"urgent", "ordinary"} and isinstance(error, QueueTaken | TransientError):
            self._others_sent = True
        if what == "urgent":
            self._urgent_told.set()
            if isinstance(error, QueueTaken):
                self._urgent_taken.set()
        self._report()

    def _mend(self, what: str) -> None:
        if self._trouble.pop(what, None) is not None or what in self._unproved:
            self._unproved.discard(what)
            self._report()
        if what == "urgent":
            self._urgent_told.set()
            self._urgent_taken.clear()

    def _report(self) -> None:
        """Draining works when the mailbox, both queues and the settling do; or another worker does it."""
        if self._pauses.code is not None:
            self._health.trouble(self.part, self._pauses.code, self._pauses.detail)
        elif {code for code, _ in self._trouble.values()} == {QueueTaken.code}:
            self._health.standby(self.part)
        elif self._trouble:
            self._health.trouble(self.part, *next(iter(self._trouble.values())))
        elif self._consumer.trouble is not None:
            self._health.trouble(self.part, self._consumer.trouble)
        elif self._unproved:
            self._health.progress(self.part)
        else:
            self._health.ok(self.part)
