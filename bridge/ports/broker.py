"""The broker, as the workers need it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol, final

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from asyncio import Event, Future
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from contextlib import AbstractAsyncContextManager
    from datetime import datetime

    from bridge.domain.queue_states import Looked

HeaderValue = str | int | bool | bytes | None


@dataclass(frozen=True, slots=True)
class Message:
    """One message for the broker; always published persistent and mandatory, with a confirm."""

    amqp_exchange: str
    routing_key: str
    body: bytes
    message_id: str
    type: str
    content_type: str = "application/json"
    correlation_id: str | None = None
    headers: Mapping[str, HeaderValue] = field(default_factory=dict)
    timestamp: datetime | None = None
    app_id: str | None = "exchange-mail-bridge"


@final
@dataclass(frozen=True, slots=True)
class PublishReceipt:
    """
    Proof that the broker now holds one message.

    Only a `Publisher` makes one, and only after a positive publisher confirm for a message that reached a queue.
    """

    message_id: str


class Publisher(Protocol):
    """Publishes on a connection of its own, many confirms outstanding."""

    @property
    def largest_body_bytes(self) -> int:
        """The largest body that the broker takes."""

    @property
    def trouble(self) -> str | None:
        """The code of what is wrong with the connection (such as `broker_blocked`), None if nothing."""

    async def wait_ready(self) -> None:
        """Return as soon as publishes can be written: connected, channel open, not blocked."""

    def publish(self, message: Message) -> Future[PublishReceipt]:
        """
        Write one message; calls are written in their order, before this returns.

        The future ends with a receipt once the broker confirmed a routed message, otherwise with:

        Raises:
            PublishUnroutable: No queue wanted it.
            PublishRefused: The broker answered nack.
            PublishUnconfirmed: No answer within the confirm timeout; the outcome is unknown.
            BrokerUnavailable: Not connected, or the connection was lost before the answer.
            BrokerBlocked: The broker takes nothing at the moment; nothing was written.
            MessageTooLarge: Larger than `largest_body_bytes`; nothing was written.
            TopologyMissing: The amqp_exchange does not exist.
            BrokerAccessRefused: This login may not publish there.
        """

    def lease(self, name: str) -> AbstractAsyncContextManager[Event]:
        """
        Hold the lease of this name for as long as the context lasts; the event is set once it is lost or unproved.

        Advisory: a holder that was frozen does not know that it has passed on. It is held on the connection that
        confirms publishes.

        Raises:
            QueueTaken: Somebody else holds it.
            BrokerAccessRefused: This login has no right to it.
            BrokerUnavailable: Not connected.
        """


class Delivery(Protocol):
    """One arrival from a queue, settled once, by `ack` or `requeue`; once it is `lost` either does nothing."""

    @property
    def queue(self) -> str: ...
    @property
    def amqp_exchange(self) -> str: ...
    @property
    def routing_key(self) -> str: ...
    @property
    def body(self) -> bytes: ...
    @property
    def message_id(self) -> str | None: ...
    @property
    def correlation_id(self) -> str | None: ...
    @property
    def content_type(self) -> str | None: ...
    @property
    def timestamp(self) -> datetime | None: ...
    @property
    def headers(self) -> Mapping[str, object]: ...
    @property
    def redelivered(self) -> bool: ...

    @property
    def lost(self) -> bool:
        """True once its channel is gone: the broker gives the message to somebody again."""

    def ack(self) -> None:
        """Acknowledge the message: the broker may forget it."""

    def requeue(self) -> None:
        """Give the message back (basic.nack with requeue)."""


@dataclass(frozen=True, slots=True)
class QueueLook:
    """What a queue shows to whoever looks without taking anything."""

    messages: int
    """How many wait; what consumers hold is not counted."""
    consumers: int


ReportTrouble = Callable[[BridgeError | None], None]


def _tell_nobody(_: BridgeError | None) -> None:
    """Nobody listens."""


class Consumer(Protocol):
    """Consumes on a connection of its own."""

    @property
    def trouble(self) -> str | None:
        """The code of what is wrong with the connection, None if nothing."""

    def deliveries(
        self, queue: str, *, prefetch: int, exclusive: bool, report: ReportTrouble = _tell_nobody
    ) -> AsyncGenerator[Delivery, None]:
        """
        Yield the deliveries of a queue for ever, through reconnections; at most `prefetch` are unsettled at a time.
        That is from 1 to 2,000.

        `report` hears None whenever the broker has begun to deliver, and what ended or prevented that as often as it is
        tried again: an empty queue and one that nobody can read are not the same.

        Closing the iterator (`contextlib.aclosing`) ends the consumption; what is unsettled then goes back to the
        queue.

        Raises:
            QueueTaken: `exclusive` was asked for, and somebody else holds the queue exclusively.
            TopologyMissing: There is no such queue.
            BrokerAccessRefused: This login may not consume it.
        """

    async def look(self, queue: str) -> QueueLook:
        """
        Return how many messages and consumers a queue has.

        Raises:
            TopologyMissing: There is no such queue.
            BrokerAccessRefused: This login may not look (on RabbitMQ 4.2 and later that takes the right to configure).
            BrokerUnavailable: Not connected, or no answer.
        """


class Topology(Protocol):
    """What is declared on the broker."""

    async def verify(self, *, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> Sequence[str]:
        """
        Return which of these are missing, checked passively, as `amqp_exchange <name>` and `queue <name>`.

        Raises:
            BrokerUnavailable: Nobody answers.
            BrokerAccessRefused: The broker refuses the login or the virtual host.
        """


class QueueLooks(Protocol):
    """
    Looks at what is declared on the broker, often and at no cost to it; nothing is taken or changed.

    Raises:
        BrokerUnavailable: Nobody answers.
        BrokerBlocked: The broker answers nothing on this connection at the moment.
    """

    async def look(self, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> Sequence[Looked]:
        """Return what each of them is like; those that this login may not look at are left out."""

    async def not_quorum(self, queues: Sequence[str]) -> Sequence[str]:
        """Return which of these are of another type, as far as this login may ask; rarely, the broker logs it."""
