"""Publishes events so that a subscriber's queue that refuses them, or does not answer, holds nobody up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError, OperatorError, PublishRefused, PublishUnconfirmed
from bridge.telemetry.broker_events import EventMissed, EventSubscriberHealed, EventSubscriberRefused
from bridge.wire.topology import EVENTS, EVENTS_DEFAULT

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from bridge.ports.broker import Message, Publisher, PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

PART: Final = "broker:events"
_PATIENCE_SECONDS: Final = 5.0
"""A confirm takes milliseconds: one that takes so long may never come, and the queue `mail.events` is asked itself."""
_TOLD_SECONDS: Final = 3_600.0
_UNUSABLE_SECONDS: Final = 60.0
"""A publish to an amqp_exchange that is missing or forbidden costs all that is unconfirmed its channel."""


@dataclass(slots=True)
class _Refused:
    """What is known of an event that a subscriber's queue did not take."""

    missed: int
    latest_at: float


class EventPublisher:
    """
    A `Publisher` for which an event is published once the queue `mail.events` holds it.

    Any number of queues may be bound to the amqp_exchange of the events, and the broker confirms a message only when
    all of them have taken it; whether the bridge's own queue has, a nack does not say. Where a confirm does not come,
    the event is published once more to an amqp_exchange that leads to that queue alone: it then has the event twice,
    under the same id, and the receipt proves that it has it at all. Subscribers with room have the event from the first
    publish; one without has missed it, and the operator is told. Everything but events is passed on as it is.
    """

    def __init__(
        self, publisher: Publisher, clock: Clock, emit: Emit, *, patience_seconds: float = _PATIENCE_SECONDS
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._emit = emit
        self._patience_seconds = patience_seconds
        self._refused: dict[str, _Refused] = {}
        self._unusable_until = float("-inf")

    @property
    def largest_body_bytes(self) -> int:
        """The largest body that the broker takes."""
        return self._publisher.largest_body_bytes

    @property
    def trouble(self) -> str | None:
        """The code of what is wrong with the connection, None if nothing."""
        return self._publisher.trouble

    async def wait_ready(self) -> None:
        """Return as soon as publishes can be written."""
        await self._publisher.wait_ready()

    def lease(self, name: str) -> AbstractAsyncContextManager[asyncio.Event]:
        """Hold a lease."""
        return self._publisher.lease(name)

    def publish(self, message: Message) -> asyncio.Future[PublishReceipt]:
        """Write one message; see the port, and above for events."""
        written = self._publisher.publish(message)
        if message.amqp_exchange != EVENTS:
            return written
        return asyncio.ensure_future(self._confirmed(message, written))

    def show(self, health: Health) -> None:
        """Let health say which events a subscriber misses; it is a warning, for mail and requests go on."""
        now = self._clock.monotonic()
        for name in [name for name, one in self._refused.items() if now - one.latest_at > _TOLD_SECONDS]:
            del self._refused[name]
        if self._refused:
            missed = ", ".join(f"{name} ({one.missed} missed)" for name, one in sorted(self._refused.items()))
            health.warn(PART, "event_subscriber_refuses", missed)
        else:
            health.forget(PART)

    async def _confirmed(self, message: Message, written: asyncio.Future[PublishReceipt]) -> PublishReceipt:
        event = message.routing_key
        written.add_done_callback(_retrieve)
        # Once one was refused the next will probably be as well; to wait for its answer each time would be slow.
        expected = event not in self._refused
        await asyncio.wait({written}, timeout=self._patience_seconds if expected else 0.0)
        if written.done() and not _was_refused(written):
            receipt = written.result()
            self._taken(event)
            return receipt
        if self._clock.monotonic() < self._unusable_until:
            return await written
        kept = self._publisher.publish(replace(message, amqp_exchange=EVENTS_DEFAULT))
        kept.add_done_callback(_retrieve)
        pending = {written, kept}
        while pending:
            done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            if written in done and written.exception() is None:
                self._taken(event)
                return written.result()
            if kept in done and kept.exception() is None:
                if expected and not written.done():
                    self._missed(event, PublishUnconfirmed.code)
                    written.add_done_callback(partial(self._answered_late, event, counted=True))
                else:
                    written.add_done_callback(partial(self._answered_late, event, counted=False))
                return kept.result()
        if isinstance(kept.exception(), OperatorError):
            self._unusable_until = self._clock.monotonic() + _UNUSABLE_SECONDS
            return kept.result()
        return written.result()

    def _answered_late(self, event: str, written: asyncio.Future[PublishReceipt], *, counted: bool) -> None:
        """Note what the subscribers' queues did with an event that the queue `mail.events` has."""
        if written.cancelled():
            return
        error = written.exception()
        if error is None:
            self._taken(event)
        elif isinstance(error, BridgeError) and not counted:
            self._missed(event, error.code)

    def _taken(self, event: str) -> None:
        if (refused := self._refused.pop(event, None)) is not None:
            self._emit(EventSubscriberHealed(event, refused.missed))

    def _missed(self, event: str, code: str) -> None:
        refused = self._refused.get(event)
        if refused is None:
            refused = self._refused[event] = _Refused(0, 0.0)
            self._emit(EventSubscriberRefused(event, code))
        refused.missed += 1
        refused.latest_at = self._clock.monotonic()
        self._emit(EventMissed(event, code))


def _was_refused(answer: asyncio.Future[PublishReceipt]) -> bool:
    return isinstance(answer.exception(), PublishRefused | PublishUnconfirmed)


def _retrieve(answer: asyncio.Future[PublishReceipt]) -> None:
    """Take note of a failure, so that asyncio does not tell of one that nobody waited for."""
    if not answer.cancelled():
        answer.exception()
