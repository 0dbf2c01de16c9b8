"""The end of an attempt: the event, mail.dead or a retry queue, each confirmed; only then the acknowledgement."""

from __future__ import annotations

import asyncio
import contextlib
import math
from typing import TYPE_CHECKING, cast

from bridge.domain.outbound_retry import choose_step
from bridge.egress.options import SettleOptions
from bridge.egress.request import ATTEMPTS, DELAY_TOLD, DETAIL, END, FIRST_SEEN, REASON, UNTOUCHED, WAITED
from bridge.errors import BridgeError, BrokerUnavailable, MessageTooLarge, PublishUnconfirmed
from bridge.flow.waiting import Backoff, first_of
from bridge.ports.broker import Message
from bridge.telemetry.egress_events import RequestDeferred, RequestEnded
from bridge.telemetry.reasons import general_of
from bridge.wire import event_v1, outbound_v1, topology

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bridge.egress.conclusion import Ended, RetryLater
    from bridge.egress.request import QueuedRequest
    from bridge.ports.broker import HeaderValue, Publisher
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.wire.event_v1 import Code, EventName, MailEvent

_DEAD_EVENTS = frozenset({"failed", "unknown"})


class Settler:
    """
    Settles what attempts came to.

    A request is acknowledged in one place, after everything that must outlive it is confirmed.
    Where the broker does not confirm, settling lasts until it does: nothing else could be finished meanwhile, and a
    request given back would only use up its deliveries. `report` hears of the trouble, and of its end. `label` is what
    metrics call the mailbox: an alias of the configuration, never one that a publisher made up.
    """

    def __init__(
        self,
        publisher: Publisher,
        clock: Clock,
        emit: Emit,
        *,
        label: str,
        options: SettleOptions | None = None,
        report: Callable[[BridgeError | None], None] = lambda _: None,
    ) -> None:
        self._publisher = publisher
        self._label = label
        self._clock = clock
        self._emit = emit
        self._options = options or SettleOptions()
        self._report = report
        self._closed = asyncio.Event()

    def close(self) -> None:
        """Wait for the broker no more: the worker stops."""
        self._closed.set()

    async def ready(self, ticket: QueuedRequest) -> bool:
        """Return True once the broker takes publishes, False where the request is not to be begun here any more."""
        backoff = Backoff(self._options.retry)
        while not (self._closed.is_set() or ticket.delivery.lost):
            try:
                await asyncio.wait_for(self._publisher.wait_ready(), backoff.wait_seconds())
            except TimeoutError:
                self._report(BrokerUnavailable("no publishes are taken"))
            else:
                return True
        return False

    async def end(self, ticket: QueuedRequest, ended: Ended) -> None:
        """Tell the end of a request, and acknowledge it."""
        now = self._clock.now()
        if ended.event in _DEAD_EVENTS:
            # First: who reads the event finds the request there.
            with contextlib.suppress(MessageTooLarge):  # it came by the broker, which takes less by now
                await self._publish(ticket, _dead_message(ticket, ended, now))
        await self._publish(ticket, _event_message(ticket, _end_event(ticket, ended, now)))
        ticket.delivery.ack()
        self._emit(
            RequestEnded(
                self._label,
                ticket.request_id,
                ended.event,
                ended.code,
                ticket.attempts + 1,
                ticket.delivery_seconds(now),
            )
        )

    async def defer(self, ticket: QueuedRequest, deferred: RetryLater, *, counts: bool) -> None:
        """
        Let a request wait in a retry queue, and acknowledge it here.

        `counts` says that the wait is the request's own trouble, and not that of its mailbox.
        """
        now = self._clock.now()
        delay_announced = ticket.delay_announced or await self._announce_delay(ticket, deferred.code, now)
        attempts = ticket.attempts + (1 if counts else 0)
        step = self._step(ticket, deferred, attempts if counts else 1)
        headers: dict[str, HeaderValue] = {
            **ticket.traces(),
            **_seen(ticket),
            ATTEMPTS: attempts,
            WAITED: math.ceil(ticket.tried_seconds(self._clock) + step.seconds),
            REASON: deferred.code,
        }
        if delay_announced:
            headers[DELAY_TOLD] = True
        if ticket.untouched and deferred.untouched:
            headers[UNTOUCHED] = True
        if (end_as := ticket.end_as or deferred.end_as) is not None:
            headers[END] = end_as.code
        await self._publish(ticket, _again(ticket, step.amqp_exchange, headers))
        ticket.delivery.ack()
        self._emit(RequestDeferred(self._label, ticket.request_id, deferred.code, attempts, step.seconds))

    def _step(self, ticket: QueuedRequest, deferred: RetryLater, attempt: int) -> topology.RetryStep:
        steps, known = topology.RETRY_STEPS, self._clock.known()
        left = None
        if ticket.expires_at is not None and known is not None:
            left = (ticket.expires_at - known.earliest).total_seconds()
        return steps[
            choose_step(
                [step.seconds for step in steps],
                attempt=attempt,
                urgent=ticket.urgent,
                asked_seconds=deferred.after_seconds,
                expires_in_seconds=left,
            )
        ]

    async def _announce_delay(self, ticket: QueuedRequest, code: str, now: datetime) -> bool:
        if ticket.age_seconds(self._clock) < self._options.delayed_after_seconds:
            return False
        event = event_v1.build(
            "outbound.delayed",
            mailbox=ticket.alias,
            at=now,
            request_id=ticket.request_id,
            about=ticket.digest,
            correlation_id=ticket.correlation_id,
            attempts=ticket.attempts + 1,
            code=_code(code),
        )
        await self._publish(ticket, _event_message(ticket, event))
        return True

    async def _publish(self, ticket: QueuedRequest, message: Message) -> None:
        """
        Return once the broker holds the message, in a queue; a confirm that did not come is asked for again.

        Raises:
            BridgeError: The request is somebody else's by now, or the worker stops.
            MessageTooLarge: The broker will never take it.
        """
        backoff = Backoff(self._options.retry)
        while True:
            try:
                await asyncio.wait_for(self._publisher.publish(message), self._options.longest_publish_seconds)
            except MessageTooLarge:
                raise
            except TimeoutError:
                error: BridgeError = PublishUnconfirmed("the publisher gave no answer")
            except BridgeError as failure:
                error = failure
            else:
                self._report(None)
                return
            self._report(error)
            if ticket.delivery.lost or self._closed.is_set():
                raise error
            await first_of(self._clock, backoff.wait_seconds(), self._closed)


def _end_event(ticket: QueuedRequest, ended: Ended, now: datetime) -> MailEvent:
    name = cast("EventName", f"outbound.{ended.event}")
    return event_v1.build(
        name,
        mailbox=ticket.alias,
        at=now,
        request_id=ticket.request_id,
        # Two requests with the same id and different contents both fail, and are two failures.
        about="" if ended.event == "sent" else ticket.digest,
        correlation_id=ticket.correlation_id,
        attempts=ticket.attempts + 1,
        code=None if ended.event == "sent" else _code(ended.code),
        detail=ended.detail,
        internet_message_id=ended.internet_message_id,
    )


def _event_message(ticket: QueuedRequest, event: MailEvent) -> Message:
    traceparent = ticket.traces().get("traceparent")
    return event_v1.message_of(event, traceparent=traceparent if isinstance(traceparent, str) else None)


def _seen(ticket: QueuedRequest) -> dict[str, HeaderValue]:
    return {FIRST_SEEN: ticket.first_seen.isoformat()} if ticket.first_seen is not None else {}


def _dead_message(ticket: QueuedRequest, ended: Ended, now: datetime) -> Message:
    headers: dict[str, HeaderValue] = {
        **ticket.traces(),
        REASON: ended.code,
        DETAIL: ended.detail,
        ATTEMPTS: ticket.attempts + 1,
        **_seen(ticket),
        "x-bridge-ended-at": now.isoformat(),
        "x-bridge-event": f"outbound.{ended.event}",
    }
    return _again(ticket, topology.DEAD, headers)


def _again(ticket: QueuedRequest, amqp_exchange: str, headers: dict[str, HeaderValue]) -> Message:
    """The same request under the same key, with headers made anew: none of a publisher's reach RabbitMQ twice."""
    delivery = ticket.delivery
    return Message(
        amqp_exchange=amqp_exchange,
        routing_key=delivery.routing_key,
        body=delivery.body,
        message_id=delivery.message_id or ticket.request_id or ticket.digest,
        type=outbound_v1.NAME,
        content_type=delivery.content_type or outbound_v1.CONTENT_TYPE,
        correlation_id=delivery.correlation_id,
        headers=headers,
        timestamp=delivery.timestamp,
    )


def _code(code: str) -> Code:
    """A code that readers of the event know: this one, or the one that says the same less exactly."""
    told = (code, general_of(code))
    return next((known for known in event_v1.CODES if known in told), "bridge_error")
