"""Drains `mail.outbound.returned`: what no queue took, and what the broker gave up; none ends without its event."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.domain.disposition import RetryPolicy
from bridge.domain.trusted_time import is_over
from bridge.egress.conclusion import Ended, RetryLater
from bridge.egress.deliveries import take_deliveries
from bridge.egress.request import GIVEN_UP, read_ticket
from bridge.egress.settle import Settler
from bridge.errors import BridgeError, BrokerAccessRefused, MessageTooLarge, TopologyMissing, TransientError
from bridge.flow.waiting import Backoff, first_of, report_bug, wait_for_any, wait_of
from bridge.telemetry.egress_events import ConsumingFailed, QueueMissing, RequestLeft, RequestReceived
from bridge.wire.topology import (
    OUTBOUND_RETURNED,
    is_alias,
    outbound_queue,
    outbound_urgent_queue,
    parse_outbound_key,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.domain.roster import Roster
    from bridge.egress.sender import MailboxSender
    from bridge.ports.broker import Consumer, Delivery, Publisher
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health
    from bridge.wire.outbound_v1 import OutboundLimits

PART = "broker:returned"
NOBODY = "(none)"
"""What metrics call the mailbox of a request that has none."""

_PREFETCH = 10
_LARGE_WAIT_SECONDS = 30.0


class ReturnedDrain:
    """
    The queue of requests that came back. Any number of workers drain it; none needs to.

    Whoever drains it must be given every mailbox that the configuration sends from. An alias that is not among them may
    be one of another configuration on the same virtual host: it is unknown, and its requests fail, only if it has no
    queue and no worker announced it.
    """

    def __init__(
        self,
        *,
        senders: Mapping[str, MailboxSender],
        publisher: Publisher,
        consumer: Consumer,
        clock: Clock,
        emit: Emit,
        health: Health,
        limits: OutboundLimits,
        roster: Roster | None = None,
        stop_within_seconds: float = 20.0,
    ) -> None:
        self._roster = roster
        self._senders = senders
        self._consumer = consumer
        self._clock = clock
        self._emit = emit
        self._health = health
        self._limits = limits
        self._stop_within_seconds = stop_within_seconds
        self._settler = Settler(publisher, clock, emit, label=NOBODY, report=self._report)
        self._stopping = asyncio.Event()

    @property
    def part(self) -> str:
        """The name of this drain in `/health`."""
        return PART

    async def run(self, stop: asyncio.Event) -> None:
        """Drain until `stop` is set."""
        self._health.begin(PART)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._drain(stop))
            tasks.create_task(self._show_life(stop))

    async def handle(self, delivery: Delivery) -> None:
        """Do with one request what its way here calls for."""
        alias, _ = parse_outbound_key(delivery.routing_key)
        sender = self._senders.get(alias)
        died_in, reason = _death(delivery)
        died_at_home = died_in in {outbound_queue(alias), outbound_urgent_queue(alias)}
        try:
            if sender is None and died_at_home:
                await self._leave_to_others(delivery, reason)
            elif sender is None and self._roster is not None and await self._may_be_others(alias, self._roster):
                await self._let_wait(delivery, alias, self._roster)
            elif sender is None:
                await self._fail_unknown(delivery)
            elif died_at_home and reason == "expired":
                await sender.handle(delivery, "returned", end_as=GIVEN_UP["expired"])
            elif died_at_home:
                await sender.handle(delivery, "returned", end_as=GIVEN_UP["delivery_limit"])
            else:
                await self._try_again(delivery, alias, sender)
        except BridgeError as error:
            self._emit(RequestLeft(alias if sender else NOBODY, None, error.code))
            if isinstance(error, MessageTooLarge):  # it can wait nowhere else
                await self._give_back_later(delivery)
        except Exception as bug:  # noqa: BLE001 - behind it come requests of all other mailboxes
            report_bug("a returned request was not dealt with", bug)
            await self._give_back_later(delivery)

    async def _give_back_later(self, delivery: Delivery) -> None:
        await first_of(self._clock, _LARGE_WAIT_SECONDS, self._stopping)
        if not delivery.lost:
            delivery.requeue()

    async def _may_be_others(self, alias: str, roster: Roster) -> bool:
        """Whether the alias may be one of a worker with another configuration, as far as is known by now."""
        if not is_alias(alias):
            return False
        if roster.sends(alias) is not False:
            return True
        for queue in (outbound_queue(alias), outbound_urgent_queue(alias)):
            try:
                await self._consumer.look(queue)
            except TopologyMissing:
                continue
            except BrokerAccessRefused:  # it may not look; that the request came back says as much
                return False
            except TransientError:
                return True  # it cannot be told now
            return True  # there by now, or without its binding
        return False

    async def _let_wait(self, delivery: Delivery, alias: str, roster: Roster) -> None:
        """Let a request go round until its queue is there, or nobody turns out to have its mailbox."""
        ticket = read_ticket(delivery, limits=self._limits, clock=self._clock)
        self._emit(RequestReceived(NOBODY, "returned"))
        if roster.sends(alias):  # one that nobody announced may be anything that a publisher wrote
            self._emit(QueueMissing(alias))
        if not await self._settler.ready(ticket):
            return
        if ticket.invalid is not None and ticket.invalid.field.startswith("headers."):
            # These are made anew for a wait, and what is wrong with them would be gone.
            await self._settler.end(ticket, Ended("failed", "invalid_request", str(ticket.invalid)))
        else:
            await self._settler.defer(ticket, RetryLater("queue_missing", untouched=True), counts=False)

    async def _fail_unknown(self, delivery: Delivery) -> None:
        ticket = read_ticket(delivery, limits=self._limits, clock=self._clock)
        self._emit(RequestReceived(NOBODY, "returned"))
        if await self._settler.ready(ticket):
            await self._settler.end(ticket, Ended("failed", "unknown_alias", "no mailbox has this alias"))

    async def _try_again(self, delivery: Delivery, alias: str, sender: MailboxSender) -> None:
        """The mailbox is there and its queue is not; `bridge topology apply` makes it, meanwhile the request waits."""
        self._emit(QueueMissing(alias))
        ticket = read_ticket(delivery, limits=self._limits, clock=self._clock)
        over = ticket.expires_at is not None and is_over(self._clock.known(), ticket.expires_at)
        if ticket.request is None or over:
            await sender.handle(delivery, "returned")
            return
        self._emit(RequestReceived(alias, "returned"))
        if await self._settler.ready(ticket):
            await self._settler.defer(ticket, RetryLater("queue_missing", untouched=True), counts=False)

    async def _leave_to_others(self, delivery: Delivery, reason: str) -> None:
        """Send it home to be ended: only who has its mailbox can look, and nobody may have it any more."""
        self._emit(RequestReceived(NOBODY, "returned"))
        end_as = GIVEN_UP.get(reason, GIVEN_UP["delivery_limit"])
        ticket = replace(read_ticket(delivery, limits=self._limits, clock=self._clock), end_as=end_as)
        if await self._settler.ready(ticket):
            await self._settler.defer(ticket, RetryLater(end_as.code), counts=False)

    async def _drain(self, stop: asyncio.Event) -> None:
        patience = Backoff(RetryPolicy(longest_seconds=10.0, pause_seconds=5.0))
        while not stop.is_set():
            deliveries = self._consumer.deliveries(
                OUTBOUND_RETURNED, prefetch=_PREFETCH, exclusive=False, report=self._report
            )
            try:
                await take_deliveries(
                    deliveries,
                    self.handle,
                    stop,
                    stop_within_seconds=self._stop_within_seconds,
                )
            except BridgeError as error:
                wait = wait_of(patience.after(error))
                self._report(error)
                self._emit(ConsumingFailed(NOBODY, error.code, wait))
                await wait_for_any(wait, stop)

    async def _show_life(self, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self._health.progress(PART)
            await wait_for_any(15.0, stop)
        self._stopping.set()
        self._settler.close()

    def _report(self, error: BridgeError | None) -> None:
        if error is None:
            self._health.ok(PART)
        else:
            self._health.trouble(PART, error.code, error.detail)


def _death(delivery: Delivery) -> tuple[str, str]:
    """
    Return the queue and the reason of the death that brought a request here, empty strings where none did.

    The last one counts: a request that waited in a retry queue has died there, on purpose, before. RabbitMQ writes
    the last one since 3.13; where it is missing the first one has to do.
    """
    for which in ("last", "first"):
        queue, reason = (delivery.headers.get(f"x-{which}-death-{what}") for what in ("queue", "reason"))
        if isinstance(queue, str) and isinstance(reason, str):
            return queue, reason
    return "", ""
