"""Consuming on a connection of its own, one channel for each consumed queue."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pika import exceptions as amqp

from bridge.adapters.rabbitmq.connection import Connection, OpenChannel, open_channel
from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.lease import Leases, close_channel
from bridge.adapters.rabbitmq.link import Link
from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, QueueTaken, TransientError
from bridge.flow.waiting import Backoff
from bridge.ports.broker import QueueLook
from bridge.telemetry.broker_events import BrokerChannelLost
from bridge.wire.topology import lease_queue

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Mapping
    from types import TracebackType
    from typing import Self

    from pika import spec

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.broker import ReportTrouble
    from bridge.telemetry.events import Emit, Event

_PURPOSE = "consume"

LARGEST_PREFETCH = 2000
"""What quorum queues allow."""


def _ignore(_: Event) -> None:
    """Nobody listens."""


class RabbitConsumer:
    """`ports.broker.Consumer` on RabbitMQ. Use it, and its deliveries, from the loop's own thread only."""

    def __init__(self, settings: RabbitSettings, emit: Emit = _ignore) -> None:
        self._settings = settings
        self._emit = emit
        self._link = Link(settings, _PURPOSE, self._session, emit)
        self._connection: Connection | None = None
        self._connected = asyncio.Event()
        self._leases = Leases(settings.heartbeat_seconds)

    def start(self) -> None:
        """Begin to connect; needs a running loop. Nothing is raised when the broker is away: see `trouble`."""
        self._link.start()

    async def close(self) -> None:
        """Disconnect; whatever is unsettled goes back to its queue. Iterators that are still open end with an error."""
        await self._link.stop()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    @property
    def trouble(self) -> str | None:
        """The code of what is wrong with the connection, None if nothing."""
        return self._link.down.code if self._link.down is not None else None

    async def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = lambda _: None
    ) -> AsyncGenerator[RabbitDelivery, None]:
        """
        Yield the deliveries of a queue for ever; see the port. `prefetch` is from 1 to 2,000.

        A consumption that the broker ends (queue deleted, leader gone, consumer timeout) is begun again. Quorum queues
        ignore the exclusive flag of basic.consume; an exclusive queue of the name `lease_queue(queue)`, which lives
        and dies with the connection, stands for it.

        Raises:
            QueueTaken: `exclusive` was asked for, and somebody else holds the queue exclusively.
            TopologyMissing: There is no such queue.
            BrokerAccessRefused: This login may not consume it.
            BrokerUnavailable: The consumer was closed.
        """
        if not 1 <= prefetch <= LARGEST_PREFETCH:
            raise ValueError(f"a prefetch is from 1 to {LARGEST_PREFETCH}")
        backoff = Backoff(RetryPolicy(self._settings.first_wait_seconds, self._settings.longest_wait_seconds))
        # Our own last connection may be what still holds the queue: the broker notices its end by heartbeats.
        patience_ends = 0.0
        while True:
            await self._link.wait_for(self._connected)
            assert self._connection is not None  # noqa: S101 - for the type checker; `_connected` says so
            try:
                async with contextlib.AsyncExitStack() as stack:
                    lost = None
                    if exclusive:
                        lost = await stack.enter_async_context(self._leases.hold(self._connection, lease_queue(queue)))
                    consumption = await stack.enter_async_context(_consuming(self._connection, queue, prefetch, lost))
                    report(None)
                    while (delivery := await consumption.next()) is not None:
                        backoff.forget()
                        yield delivery
                    error = consumption.reason()
                    patience_ends = (
                        _now() + 3 * self._settings.heartbeat_seconds + self._settings.answer_timeout_seconds
                    )
            except BrokerAccessRefused:
                await self._link.refused()
                raise
            except QueueTaken as taken:
                if _now() > patience_ends:
                    raise
                error = taken
            except TransientError as transient:
                # The connection went meanwhile, or the queue has no leader at the moment.
                error = transient
            report(error)
            if not isinstance(error, QueueTaken):  # to wait for a lease is no trouble
                self._emit(BrokerChannelLost(_PURPOSE, error.code, error.detail))
            await asyncio.sleep(backoff.wait_seconds())

    async def look(self, queue: str) -> QueueLook:
        """Return how many messages and consumers a queue has; see the port."""
        if self._connection is None:
            raise BrokerUnavailable("not connected")
        channel = await open_channel(self._connection)
        try:
            answer = await channel.call(channel.amqp.queue_declare, queue=queue, passive=True)
        finally:
            await close_channel(channel)
        return QueueLook(answer.method.message_count, answer.method.consumer_count)

    async def _session(self, connection: Connection) -> BridgeError:
        self._connection = connection
        self._connected.set()
        try:
            return translate(await asyncio.shield(connection.closed))
        finally:
            self._connected.clear()
            self._connection = None


class RabbitDelivery:
    """One arrival on a channel that may be gone by the time it is settled."""

    __slots__ = ("_body", "_consumption", "_method", "_properties", "_settled")

    def __init__(
        self, consumption: _Consumption, method: spec.Basic.Deliver, properties: spec.BasicProperties, body: bytes
    ) -> None:
        self._consumption = consumption
        self._method = method
        self._properties = properties
        self._body = body
        self._settled = False

    @property
    def queue(self) -> str:
        """Where it was waiting."""
        return self._consumption.queue

    @property
    def amqp_exchange(self) -> str:
        """Where it was published; after dead-lettering, the amqp_exchange that brought it here."""
        return str(self._method.exchange)

    @property
    def routing_key(self) -> str:
        """The key that it was published under."""
        return str(self._method.routing_key)

    @property
    def body(self) -> bytes:
        """Its payload."""
        return self._body

    @property
    def message_id(self) -> str | None:
        """Its identity, where the publisher gave one."""
        return _text(self._properties.message_id)

    @property
    def correlation_id(self) -> str | None:
        """What it belongs to, where the publisher said so."""
        return _text(self._properties.correlation_id)

    @property
    def content_type(self) -> str | None:
        """How the body is written, where the publisher said so."""
        return _text(self._properties.content_type)

    @property
    def timestamp(self) -> datetime | None:
        """When the publisher says that it was made; None where it says nothing that can be a time."""
        value = self._properties.timestamp
        if not isinstance(value, int):
            return None
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):
            return None

    @property
    def headers(self) -> Mapping[str, object]:
        """Its headers; RabbitMQ adds its own, such as `x-delivery-count` and `x-first-death-reason`."""
        headers: Mapping[str, object] = self._properties.headers or {}
        return headers

    @property
    def redelivered(self) -> bool:
        """Whether the broker gave it to somebody before."""
        return bool(self._method.redelivered)

    @property
    def lost(self) -> bool:
        """True once its channel is gone: the broker gives the message to somebody again."""
        return not self._consumption.alive

    def ack(self) -> None:
        """
        Acknowledge it; does nothing once `lost`.

        Raises:
            RuntimeError: It was settled before.
        """
        self._settle_once()
        self._consumption.settle(self._method.delivery_tag, requeue=False)

    def requeue(self) -> None:
        """
        Give it back to the queue, where it counts against the delivery limit; does nothing once `lost`.

        Raises:
            RuntimeError: It was settled before.
        """
        self._settle_once()
        self._consumption.settle(self._method.delivery_tag, requeue=True)

    def _settle_once(self) -> None:
        if self._settled:
            raise RuntimeError("a delivery is settled once")
        self._settled = True


class _Consumption:
    """One basic.consume on a channel of its own, until either ends."""

    def __init__(self, queue: str, channel: OpenChannel) -> None:
        self.queue = queue
        self._channel = channel
        # Bounded by the prefetch.
        self._arrived: asyncio.Queue[RabbitDelivery | None] = asyncio.Queue()
        self._ended_because = ""
        channel.amqp.add_on_cancel_callback(self._on_cancel)
        channel.closed.add_done_callback(lambda _: self._arrived.put_nowait(None))

    @property
    def alive(self) -> bool:
        return self._channel.is_open and not self._ended_because

    def on_message(
        self, _channel: object, method: spec.Basic.Deliver, properties: spec.BasicProperties, body: bytes
    ) -> None:
        self._arrived.put_nowait(RabbitDelivery(self, method, properties, body))

    async def next(self) -> RabbitDelivery | None:
        """Return the next delivery, or None once there can be no more; what arrived before the end is lost by then."""
        delivery = await self._arrived.get()
        return delivery if self.alive else None

    def settle(self, delivery_tag: int, *, requeue: bool) -> None:
        if not self.alive:
            return
        # Between the look and the write the channel cannot close: both run on the loop. It may be closing.
        with contextlib.suppress(amqp.ChannelWrongStateError, amqp.ConnectionWrongStateError):
            if requeue:
                self._channel.amqp.basic_nack(delivery_tag, requeue=True)
            else:
                self._channel.amqp.basic_ack(delivery_tag)

    def reason(self) -> BridgeError:
        if self._ended_because or not self._channel.closed.done():
            return BrokerUnavailable(f"the consumption of {self.queue} ended: {self._ended_because}")
        return translate(self._channel.closed.result())

    def _on_cancel(self, _frame: object) -> None:
        # Deliveries in hand cannot be settled for certain any more.
        self.end("its queue was deleted, or lost its leader")

    def end(self, because: str) -> None:
        """Take nothing more; what is unsettled goes back with the channel."""
        self._ended_because = because
        self._arrived.put_nowait(None)


@contextlib.asynccontextmanager
async def _consuming(
    connection: Connection, queue: str, prefetch: int, lost: asyncio.Event | None
) -> AsyncIterator[_Consumption]:
    channel = await open_channel(connection)
    ending: asyncio.Task[None] | None = None
    try:
        consumption = _Consumption(queue, channel)
        if lost is not None:
            ending = asyncio.create_task(_end_once(lost, consumption))
        # For the consumers of this channel, of which there is one; a global prefetch is refused by quorum queues.
        await channel.call(channel.amqp.basic_qos, prefetch_count=prefetch)
        await channel.call(channel.amqp.basic_consume, queue=queue, on_message_callback=consumption.on_message)
        yield consumption
    finally:
        if ending is not None:
            ending.cancel()
        await close_channel(channel)


async def _end_once(lost: asyncio.Event, consumption: _Consumption) -> None:
    await lost.wait()
    consumption.end("its lease was lost")


def _now() -> float:
    return asyncio.get_running_loop().time()


def _text(value: Any) -> str | None:  # noqa: ANN401 - what a publisher put there
    return value if isinstance(value, str) else None
