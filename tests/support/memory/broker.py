"""A broker in memory: routes by the real topology, and fails when told to. For tests of the workers."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from bridge.errors import (
    BridgeError,
    BrokerBlocked,
    BrokerUnavailable,
    MessageTooLarge,
    PublishUnroutable,
    QueueTaken,
    TopologyMissing,
)
from bridge.ports.broker import Message, PublishReceipt, QueueLook

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from datetime import datetime

    from bridge.ports.broker import ReportTrouble
    from bridge.wire.topology import Topology


LARGEST_PREFETCH = 2000
"""What quorum queues allow."""


@dataclass(slots=True)
class _Stored:
    message: Message
    redelivered: bool = False
    at: int = 0
    """Its place in the queue, which it has again when it is given back."""


class MemoryBroker:
    """What is in the queues. Quorum, time and limits are not played: `expire` does what a TTL would do."""

    def __init__(self, topology: Topology) -> None:
        self._types = {one.name: one.type for one in topology.amqp_exchanges}
        self._alternates = {
            one.name: str(one.arguments["alternate-exchange"])
            for one in topology.amqp_exchanges
            if "alternate-exchange" in one.arguments
        }
        self._arguments = {one.name: one.arguments for one in topology.queues}
        self._bindings = list(topology.bindings)
        self._queues: dict[str, deque[_Stored]] = {one.name: deque() for one in topology.queues}
        self.consumers: list[_Consumption] = []
        self.leases: dict[str, asyncio.Event] = {}
        self.running = True
        self._stored = 0

    def messages(self, queue: str) -> list[Message]:
        """Return what waits in a queue, oldest first; what consumers hold unsettled is not there."""
        return [stored.message for stored in self._queues[queue]]

    def has_amqp_exchange(self, name: str) -> bool:
        """Whether it is declared."""
        return name in self._types

    def has_queue(self, name: str) -> bool:
        """Whether it is declared."""
        return name in self._queues

    def delete_queue(self, name: str) -> None:
        """Remove a queue, its messages, those that consumers hold as well, and its bindings."""
        del self._queues[name]
        self._bindings = [one for one in self._bindings if one.queue != name]
        for consumption in self.consumers:
            if consumption.queue == name:
                consumption.return_unsettled()
        self._wake()

    def publish(self, message: Message) -> bool:
        """
        Route a message; return whether any queue took it.

        Raises:
            TopologyMissing: There is no such amqp_exchange.
        """
        if message.amqp_exchange not in self._types:
            raise TopologyMissing(f"no amqp_exchange {message.amqp_exchange}")
        queues = self._routed(message.amqp_exchange, message.routing_key)
        for name in queues:
            self._store(name, message)
        self._wake()
        return bool(queues)

    def expire(self, queue: str) -> None:
        """Dead-letter everything that waits in a queue, as when its TTL has passed."""
        amqp_exchange = str(self._arguments[queue]["x-dead-letter-exchange"])
        expired = list(self._queues[queue])
        self._queues[queue].clear()
        for stored in expired:
            message = replace(
                stored.message,
                amqp_exchange=amqp_exchange,
                headers={
                    **stored.message.headers,
                    "x-first-death-reason": "expired",
                    "x-first-death-queue": queue,
                    "x-first-death-exchange": stored.message.amqp_exchange,
                },
            )
            for name in self._routed(amqp_exchange, message.routing_key):
                self._store(name, message)
        self._wake()

    def drop_connections(self) -> None:
        """Lose every consumer's connection: what is unsettled goes back to its queue, in its old place."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Answer no consumer any more, until `start`; what is unsettled goes back to its queue, in its old place."""
        self.running = False
        for consumption in self.consumers:
            consumption.return_unsettled()
            consumption.report(BrokerUnavailable("the connection was lost"))

    def start(self) -> None:
        """Answer again."""
        self.running = True
        for consumption in self.consumers:
            consumption.report(None)
        self._wake()

    def look(self) -> None:
        """
        Do nothing but answer.

        Raises:
            BrokerUnavailable: It does not.
        """
        if not self.running:
            raise BrokerUnavailable("not connected")

    def take(self, queue: str) -> _Stored | None:
        """Take the oldest message of a queue away."""
        return self._queues[queue].popleft() if self._queues[queue] else None

    def give_back(self, queue: str, stored: Sequence[_Stored]) -> None:
        """Put messages back into a queue, each in its old place."""
        if queue in self._queues:
            for one in stored:
                one.redelivered = True
            self._queues[queue] = deque(sorted([*self._queues[queue], *stored], key=lambda one: one.at))
            self._wake()

    def _store(self, queue: str, message: Message) -> None:
        self._stored += 1
        self._queues[queue].append(_Stored(message, at=self._stored))

    def _wake(self) -> None:
        for consumption in self.consumers:
            consumption.wake.set()

    def _routed(self, amqp_exchange: str, key: str) -> list[str]:
        kind = self._types[amqp_exchange]
        queues = [
            one.queue
            for one in self._bindings
            if one.amqp_exchange == amqp_exchange
            and (
                kind == "fanout"
                or (_topic_matches(one.routing_key, key) if kind == "topic" else one.routing_key == key)
            )
        ]
        if not queues and amqp_exchange in self._alternates:
            return self._routed(self._alternates[amqp_exchange], key)
        return list(dict.fromkeys(queues))


class MemoryPublisher:
    """A `Publisher` onto a `MemoryBroker`; `published` holds what was confirmed, in order."""

    def __init__(self, broker: MemoryBroker, *, largest_body_bytes: int = 16 * 1024 * 1024) -> None:
        self._broker = broker
        self._largest_body_bytes = largest_body_bytes
        self.published: list[Message] = []
        self.attempted: list[Message] = []
        self._failures: deque[BridgeError] = deque()
        self._refusal: BridgeError | None = None
        self._held: list[Callable[[], None]] | None = None
        self._ready = asyncio.Event()
        self._ready.set()

    @property
    def largest_body_bytes(self) -> int:
        """The largest body that the broker takes."""
        return self._largest_body_bytes

    @property
    def trouble(self) -> str | None:
        """The code of the present refusal."""
        return self._refusal.code if self._refusal is not None else None

    async def wait_ready(self) -> None:
        """Return as soon as nothing is refused for being unavailable or blocked."""
        await self._ready.wait()

    def publish(self, message: Message) -> asyncio.Future[PublishReceipt]:
        """Store the message and confirm it a turn of the loop later, or fail as told."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PublishReceipt] = loop.create_future()
        self.attempted.append(message)
        settle = self._outcome(message, future)
        if self._held is not None:
            self._held.append(settle)
        else:
            loop.call_soon(settle)
        return future

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Hold a lease of the broker; a test takes it away by setting and removing its event."""
        if name in self._broker.leases:
            raise QueueTaken(f"{name} is held")
        lost = self._broker.leases[name] = asyncio.Event()
        try:
            yield lost
        finally:
            if self._broker.leases.get(name) is lost:
                del self._broker.leases[name]

    def fail_next(self, *errors: BridgeError) -> None:
        """Let the next publishes end with these errors, one each; the broker does not get the message."""
        self._failures.extend(errors)

    def refuse(self, error: BridgeError) -> None:
        """Let every publish end with this error until `accept`."""
        self._refusal = error
        if isinstance(error, BrokerUnavailable | BrokerBlocked):
            self._ready.clear()

    def accept(self) -> None:
        """End a refusal."""
        self._refusal = None
        self._ready.set()

    def hold_confirms(self) -> None:
        """Keep answers back until `release_confirms`."""
        self._held = []

    def release_confirms(self) -> None:
        """Give all answers that were kept back, in order."""
        held, self._held = self._held or [], None
        for settle in held:
            settle()

    def _outcome(self, message: Message, future: asyncio.Future[PublishReceipt]) -> Callable[[], None]:
        error = self._try(message)

        def settle() -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                self.published.append(message)
                future.set_result(PublishReceipt(message.message_id))

        return settle

    def _try(self, message: Message) -> BridgeError | None:
        if self._failures:
            return self._failures.popleft()
        if self._refusal is not None:
            return self._refusal
        if len(message.body) > self._largest_body_bytes:
            return MessageTooLarge(f"{len(message.body)} bytes")
        try:
            routed = self._broker.publish(message)
        except BridgeError as error:
            return error
        return None if routed else PublishUnroutable(f"no queue for {message.amqp_exchange}")


@dataclass(slots=True, eq=False)
class MemoryDelivery:
    """One arrival; settled at most once."""

    queue: str
    message: Message
    redelivered: bool
    _settle: Callable[[MemoryDelivery, bool], None] = field(repr=False)
    lost: bool = False
    settled: str | None = None
    """`ack` or `requeue` once settled."""

    @property
    def amqp_exchange(self) -> str:
        """Where it was published."""
        return self.message.amqp_exchange

    @property
    def routing_key(self) -> str:
        """The key that it was published under."""
        return self.message.routing_key

    @property
    def body(self) -> bytes:
        """Its payload."""
        return self.message.body

    @property
    def message_id(self) -> str | None:
        """Its identity."""
        return self.message.message_id

    @property
    def correlation_id(self) -> str | None:
        """What it belongs to."""
        return self.message.correlation_id

    @property
    def content_type(self) -> str | None:
        """How the body is written."""
        return self.message.content_type

    @property
    def timestamp(self) -> datetime | None:
        """When it was made, to the second, as AMQP carries it."""
        return self.message.timestamp.replace(microsecond=0) if self.message.timestamp is not None else None

    @property
    def headers(self) -> Mapping[str, object]:
        """Its headers."""
        return self.message.headers

    def ack(self) -> None:
        """Be done with it."""
        self._end("ack")

    def requeue(self) -> None:
        """Give it back."""
        self._end("requeue")

    def _end(self, how: str) -> None:
        if self.settled is not None:
            raise RuntimeError("a delivery is settled once")
        self.settled = how
        if not self.lost:
            self._settle(self, how == "requeue")


class MemoryConsumer:
    """A `Consumer` of a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    @property
    def trouble(self) -> str | None:
        """The code of what is wrong with the connection."""
        return None if self._broker.running else BrokerUnavailable.code

    async def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = lambda _: None
    ) -> AsyncGenerator[MemoryDelivery, None]:
        """Yield the deliveries of a queue for ever; what is unsettled goes back when the iterator is closed."""
        if not 1 <= prefetch <= LARGEST_PREFETCH:
            raise ValueError(f"a prefetch is from 1 to {LARGEST_PREFETCH}")
        if not self._broker.has_queue(queue):
            raise TopologyMissing(f"no queue {queue}")
        if exclusive and any(one.exclusive and one.queue == queue for one in self._broker.consumers):
            raise QueueTaken(f"queue {queue} is in exclusive use")
        consumption = _Consumption(self._broker, queue, prefetch, exclusive, report)
        self._broker.consumers.append(consumption)
        report(None)
        try:
            while True:
                yield await consumption.next()
        finally:
            self._broker.consumers.remove(consumption)
            consumption.return_unsettled()

    async def look(self, queue: str) -> QueueLook:
        """Return how many messages and consumers a queue has."""
        self._broker.look()
        if not self._broker.has_queue(queue):
            raise TopologyMissing(f"no queue {queue}")
        consumers = sum(1 for one in self._broker.consumers if one.queue == queue)
        return QueueLook(len(self._broker.messages(queue)), consumers)


class _Consumption:
    def __init__(self, broker: MemoryBroker, queue: str, prefetch: int, exclusive: bool, report: ReportTrouble) -> None:
        self.queue = queue
        self.report = report
        self.exclusive = exclusive
        self.wake = asyncio.Event()
        self._broker = broker
        self._prefetch = prefetch
        self._unsettled: dict[MemoryDelivery, _Stored] = {}

    async def next(self) -> MemoryDelivery:
        while True:
            if not self._broker.has_queue(self.queue):
                raise TopologyMissing(f"no queue {self.queue}")
            if self._broker.running and len(self._unsettled) < self._prefetch:
                stored = self._broker.take(self.queue)
                if stored is not None:
                    delivery = MemoryDelivery(self.queue, stored.message, stored.redelivered, self._settle)
                    self._unsettled[delivery] = stored
                    return delivery
            self.wake.clear()
            await self.wake.wait()

    def return_unsettled(self) -> None:
        for delivery in self._unsettled:
            delivery.lost = True
        stored = list(self._unsettled.values())
        self._unsettled.clear()
        self._broker.give_back(self.queue, stored)

    def _settle(self, delivery: MemoryDelivery, requeue: bool) -> None:
        stored = self._unsettled.pop(delivery)
        if requeue:
            self._broker.give_back(self.queue, [stored])
        self.wake.set()


class MemoryTopology:
    """A `Topology` that looks into a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker) -> None:
        self._broker = broker

    async def verify(self, *, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> Sequence[str]:
        """Return which of these are missing."""
        self._broker.look()
        return [
            *(f"amqp_exchange {name}" for name in amqp_exchanges if not self._broker.has_amqp_exchange(name)),
            *(f"queue {name}" for name in queues if not self._broker.has_queue(name)),
        ]


def _topic_matches(pattern: str, key: str) -> bool:
    # AMQP 0-9-1, 3.1.3.3: `*` is one word, `#` any number of words, words are parted by dots.
    if pattern == "#":
        return True
    expression = ""
    for word in pattern.split("."):
        if word == "#":
            expression += r"(\.[^.]*)*"
        else:
            expression += r"\." + ("[^.]*" if word == "*" else re.escape(word))
    return re.fullmatch(expression, "." + key) is not None
