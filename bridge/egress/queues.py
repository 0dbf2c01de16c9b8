"""The two queues of a mailbox: consumed by one worker, the urgent one before the ordinary one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from bridge.egress.availability.mailbox_probe import LIFE_SECONDS
from bridge.egress.deliveries import take_deliveries
from bridge.errors import BridgeError, QueueTaken, TransientError
from bridge.flow.waiting import Backoff, any_of, wait_for_any, wait_of
from bridge.telemetry.egress_events import ConsumingFailed, QueuesElsewhere
from bridge.wire.topology import outbound_queue, outbound_urgent_queue

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine

    from bridge.egress.admission.rate import SendRate
    from bridge.egress.availability.health import DrainHealth
    from bridge.egress.availability.mailbox_probe import MailboxProbe
    from bridge.egress.options import EgressOptions
    from bridge.ports.broker import Consumer, Delivery
    from bridge.telemetry.events import Emit

QueueKind = Literal["urgent", "ordinary"]


class MailboxQueues:
    """Takes requests from both queues of a mailbox, as long as no other worker does."""

    def __init__(
        self,
        consumer: Consumer,
        handle: Callable[[Delivery, QueueKind], Coroutine[None, None, None]],
        *,
        alias: str,
        health: DrainHealth,
        proof: MailboxProbe,
        rate: SendRate,
        emit: Emit,
        options: EgressOptions,
    ) -> None:
        self._consumer = consumer
        self._handle = handle
        self._alias = alias
        self._health = health
        self._proof = proof
        self._rate = rate
        self._emit = emit
        self._options = options
        self._elsewhere = False

    async def drain(self, source: QueueKind, stop: asyncio.Event) -> None:
        """Work on what comes from one of the queues until `stop` is set."""
        patience = Backoff(self._options.consuming)
        while not stop.is_set():
            if source == "ordinary" and self._health.urgent_elsewhere:
                self._health.urgent_told.clear()
                await wait_for_any(LIFE_SECONDS, stop, self._health.urgent_told)
                continue
            if self._proof.yielding.is_set():
                await wait_for_any(LIFE_SECONDS, stop, self._proof.back)
                continue
            try:
                await self._consume(source, stop, patience)
            except BridgeError as error:
                wait = wait_of(patience.after(error))
                self._fail(source, error)
                if not isinstance(error, QueueTaken):
                    self._emit(ConsumingFailed(self._alias, error.code, wait))
                await wait_for_any(wait, stop)

    async def _consume(self, source: QueueKind, stop: asyncio.Event, patience: Backoff) -> None:
        urgent = source == "urgent"
        deliveries = self._consumer.deliveries(
            outbound_urgent_queue(self._alias) if urgent else outbound_queue(self._alias),
            prefetch=self._options.urgent_prefetch if urgent else self._options.ordinary_prefetch,
            exclusive=True,
            report=lambda error: self._mend(source) if error is None else self._fail(source, error),
        )

        def take(delivery: Delivery) -> Coroutine[None, None, None]:
            patience.forget()
            self._mend(source)
            return self._handle(delivery, source)

        # Whoever takes the urgent queue over takes the ordinary one, too.
        ends = (stop, self._proof.yielding) if urgent else (stop, self._proof.yielding, self._health.urgent_taken)
        async with any_of(*ends) as ended:
            await take_deliveries(deliveries, take, ended, stop_within_seconds=self._options.stop_within_seconds)

    def _mend(self, source: QueueKind) -> None:
        self._elsewhere = False
        self._health.mend(source)

    def _fail(self, source: QueueKind, error: BridgeError) -> None:
        if isinstance(error, QueueTaken) and not self._elsewhere:
            self._elsewhere = True
            self._emit(QueuesElsewhere(self._alias))
        # Also after a lost connection: another may have come and gone before this one was back to hear of it.
        if isinstance(error, QueueTaken | TransientError):
            self._rate.others_sent = True
        self._health.fail(source, error)
