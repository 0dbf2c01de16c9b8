"""Drains one mailbox's queues: every request through the send protocol, to its event, and only then acknowledged."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Literal, get_args

from bridge.domain.outbound_records import EndReason
from bridge.egress.admission.rate import SendRate
from bridge.egress.attempt import Attempts
from bridge.egress.availability.health import DrainHealth
from bridge.egress.availability.mailbox_probe import MailboxProbe
from bridge.egress.availability.pauses import Availability
from bridge.egress.availability.pausing_mailbox import PausingMailbox
from bridge.egress.conclusion import AttemptResult, Ended, Released, RetryLater
from bridge.egress.options import EgressOptions
from bridge.egress.queues import MailboxQueues
from bridge.egress.request import QueuedRequest, read_ticket
from bridge.egress.settle import Settler
from bridge.egress.sweep import keep_sweeping
from bridge.errors import BridgeError, MessageTooLarge
from bridge.flow.byte_budget import ByteBudget
from bridge.flow.waiting import first_of, unless_set
from bridge.telemetry.egress_events import RequestLeft, RequestReceived, RequestsHeld
from bridge.wire.topology import lease_queue, outbound_queue, outbound_urgent_queue
from bridge.worker.standing_by import StandingBy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bridge.domain.outbound import Mailbox
    from bridge.domain.roster import Roster
    from bridge.domain.send_rate import RateLimits
    from bridge.ports.broker import Consumer, Delivery, Publisher
    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

Source = Literal["ordinary", "urgent", "returned"]

_LARGE_WAIT_SECONDS = 30.0
_IN_HAND_BYTES = 64 << 20
"""Of all bodies that one queue's requests in hand may have; reading and composing them takes several times as much."""
_PATIENCE_SECONDS = 3.0
"""How long a worker that stops waits for the answer to a call of a request that it has not begun to send."""


class MailboxSender:
    """
    One mailbox, from its two queues through Exchange to the events, until it is stopped.

    Stateless: what it knows of a request is in the mailbox and in the request's own headers.
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
        roster: Roster | None = None,
    ) -> None:
        self.alias = alias
        self._clock = clock
        self._emit = emit
        self._options = options or EgressOptions()
        self._availability = Availability(alias, clock, emit, self._options.pauses)
        self._consumer = consumer
        self._standing_by = StandingBy(
            roster,
            "egress",
            alias,
            part=self.part,
            lease=lease_queue(outbound_urgent_queue(alias)),
            look=self._left_undone,
            health=health,
            emit=emit,
        )
        self._health = DrainHealth(self.part, health, self._availability, consumer, self._standing_by)
        self._mailbox = mailbox = PausingMailbox(mailbox, self._availability, self._health.report)
        self._rate = SendRate(mailbox, self._options.rate, clock, alias=alias, emit=emit)
        self._health.day_left = lambda: self._rate.left()[1]
        self._proof = MailboxProbe(self._rate, self._availability, self._health, self._options)
        self._stopping = asyncio.Event()
        self._attempts = Attempts(
            alias=alias,
            sender=sender,
            mailbox=mailbox,
            rate=self._rate,
            availability=self._availability,
            health=self._health,
            clock=clock,
            emit=emit,
            options=self._options,
            stopping=self._stopping,
        )
        self._queues = MailboxQueues(
            consumer,
            self.handle,
            alias=alias,
            health=self._health,
            proof=self._proof,
            rate=self._rate,
            emit=emit,
            options=self._options,
        )
        self._settler = Settler(
            publisher,
            clock,
            emit,
            label=alias,
            options=self._options.settle,
            report=self._settling,
        )
        self._held = 0
        self._room = {source: ByteBudget(_IN_HAND_BYTES) for source in get_args(Source)}
        self._in_hand: dict[str | None, tuple[asyncio.Lock, int]] = {}

    def change_rate(self, limits: RateLimits) -> None:
        """Apply new rate limits. Does not switch between limited and unlimited."""
        self._rate.change(limits)

    @property
    def part(self) -> str:
        """The name of this sender in `/health`."""
        return f"mailbox:{self.alias}:egress"

    @property
    def holds(self) -> bool:
        """Whether this worker consumes the mailbox's queues."""
        return self._health.drains

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until `stop` is set; what is in flight is finished first, within the stated time."""
        self._health.begin()
        try:
            await unless_set(stop, self._proof.prove())
            async with aclosing(self._standing_by), asyncio.TaskGroup() as tasks:
                tasks.create_task(self._queues.drain("urgent", stop))
                tasks.create_task(self._queues.drain("ordinary", stop))
                tasks.create_task(self._proof.keep_proving(stop))
                tasks.create_task(
                    keep_sweeping(
                        self._mailbox, self._availability, self._options, alias=self.alias, emit=self._emit, stop=stop
                    )
                )
                tasks.create_task(self._close_gate(stop))
        finally:
            self._health.end()

    async def _left_undone(self) -> Sequence[str]:
        """Return the queues of the mailbox that nobody consumes."""
        queues = (outbound_urgent_queue(self.alias), outbound_queue(self.alias))
        return [queue for queue in queues if not (await self._consumer.look(queue)).consumers]

    async def handle(self, delivery: Delivery, source: Source, *, end_as: EndReason | None = None) -> None:
        """
        Take one request as far as it goes now, and settle it.

        `end_as` ends it without a send, unless it was sent already.
        """
        room = self._room[source]
        taken = await room.take(len(delivery.body))
        try:
            await self._take_on(delivery, source, end_as)
        finally:
            room.give_back(taken)

    async def _take_on(self, delivery: Delivery, source: Source, end_as: EndReason | None) -> None:
        ticket = read_ticket(delivery, limits=self._options.limits, clock=self._clock)
        if end_as is not None:
            ticket = replace(ticket, end_as=end_as)
        self._emit(RequestReceived(self.alias, source))
        self._hold(1)
        try:
            async with self._alone(ticket.request_id):
                # Nothing is sent that could not be told of.
                conclusion: AttemptResult = Released()
                if await self._settler.ready(ticket):
                    # Where requests of other mailboxes come behind it, none is held for the sake of one.
                    conclusion = await self._attempts.make(ticket, hold=source != "returned")
                await self._settle(ticket, conclusion)
        except BridgeError as error:
            # What has to outlive the request is not confirmed: it stays in its queue.
            self._emit(RequestLeft(self.alias, ticket.request_id, error.code))
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

    async def _settle(self, ticket: QueuedRequest, conclusion: AttemptResult) -> None:
        match conclusion:
            case Ended():
                await self._settler.end(ticket, conclusion)
            case RetryLater() if not ticket.delivery.lost:
                counts = conclusion.own or (self._attempts.counts(conclusion) and not self._availability.paused)
                try:
                    await self._settler.defer(ticket, conclusion, counts=counts)
                except MessageTooLarge as error:
                    await self._do_not_wait(ticket, error, its_own_trouble=counts)
            case _:
                self._emit(RequestLeft(self.alias, ticket.request_id, "lost" if ticket.delivery.lost else "stopping"))

    async def _do_not_wait(self, ticket: QueuedRequest, error: MessageTooLarge, *, its_own_trouble: bool) -> None:
        """End a request that is too large to wait in a retry queue, or let it wait for its mailbox in its own queue."""
        if its_own_trouble:
            ending = replace(ticket, end_as=EndReason("failed", error.code, error.detail))
            conclusion = await self._attempts.make(ending, hold=False)
            if isinstance(conclusion, Ended):
                await self._settler.end(ticket, conclusion)
                return
        await first_of(self._clock, _LARGE_WAIT_SECONDS, self._stopping)
        if not ticket.delivery.lost:
            ticket.delivery.requeue()

    async def _close_gate(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._stopping.set()
        asyncio.get_running_loop().call_later(_PATIENCE_SECONDS, self._attempts.giving_up.set)
        self._rate.gate.close()
        self._settler.close()

    def _hold(self, change: int) -> None:
        self._held += change
        tokens, recipients = self._rate.left()
        self._emit(RequestsHeld(self.alias, self._held, tokens, recipients))
        self._health.counted(recipients)

    def _settling(self, error: BridgeError | None) -> None:
        if error is None:
            self._health.mend("settle")
        else:
            self._health.fail("settle", error)
