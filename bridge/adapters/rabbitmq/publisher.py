"""Publishing with confirms, many outstanding, on one connection and one channel."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Any

import pika
from pika import exceptions as amqp

from bridge.adapters.rabbitmq.connection import Connection, OpenChannel, open_channel
from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.lease import Leases
from bridge.adapters.rabbitmq.link import Link
from bridge.adapters.rabbitmq.outstanding import Outstanding, Written
from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerBlocked,
    BrokerUnavailable,
    MessageError,
    MessageTooLarge,
)
from bridge.telemetry.broker_events import BrokerBlockedChanged, BrokerChannelLost, PublishSettled

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from types import TracebackType
    from typing import Self

    from pika import frame, spec

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.broker import Message, PublishReceipt
    from bridge.telemetry.events import Emit, Event

_PURPOSE = "publish"

_LEAVE_SECONDS = 2.0
"""How long a connection that is about to be given up may take to answer what was published on it."""

_LARGEST_HEADERS_BYTES = 100 * 1024
"""Properties travel in one frame, which holds 128 KiB; RabbitMQ closes the connection over a larger one."""


def _ignore(_: Event) -> None:
    """Nobody listens."""


class RabbitPublisher:
    """
    `ports.broker.Publisher` on RabbitMQ. Call it from the loop's own thread only.

    A receipt exists only for a positive confirm of a persistent message that was not returned. Where no confirm comes
    within `confirm_timeout_seconds` although the broker is not known to be blocked, and nothing else was answered
    either, the connection is given up and made anew, at another node where there is one.
    """

    def __init__(self, settings: RabbitSettings, emit: Emit = _ignore) -> None:
        self._settings = settings
        self._emit = emit
        self._link = Link(settings, _PURPOSE, self._session, emit, leave=self._answered, silent=lambda: self._blocked)
        self._connection: Connection | None = None
        self._leases = Leases(settings.heartbeat_seconds)
        self._channel: OpenChannel | None = None
        self._outstanding = Outstanding(self._settled)
        self._blocked = False
        self._closing = False
        self._answered_at = 0.0
        self._ready = asyncio.Event()
        self._timer: asyncio.TimerHandle | None = None
        self._dead: asyncio.Future[BridgeError] | None = None

    # Beginning and end.

    def start(self) -> None:
        """Begin to connect; needs a running loop. Nothing is raised when the broker is away: see `trouble`."""
        self._link.start()

    async def close(self, *, drain_seconds: float = 10.0) -> None:
        """Take no more publishes, wait for the answers to those outstanding up to a limit, and disconnect."""
        self._closing = True
        self._note_state()
        waiting = self._outstanding.futures()
        if waiting:
            await asyncio.wait(waiting, timeout=drain_seconds)
        await self._link.stop()
        self._outstanding.connection_lost(BrokerUnavailable("closed before the answer"))

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()

    # The port.

    @property
    def largest_body_bytes(self) -> int:
        """The largest body that the broker takes."""
        return self._settings.largest_body_bytes

    @property
    def trouble(self) -> str | None:
        """The code of what keeps publishes from being written; being full of unconfirmed ones is none."""
        refusal = self._refusal()
        return refusal.code if refusal is not None else None

    @property
    def outstanding(self) -> int:
        """How many publishes have no answer yet."""
        return len(self._outstanding)

    @property
    def connection(self) -> Connection | None:
        """The connection that is open at the moment, for looks that need none of their own."""
        return self._connection

    @property
    def blocked(self) -> bool:
        """Whether RabbitMQ reads nothing from it (memory or disk alarm)."""
        return self._blocked

    async def wait_ready(self) -> None:
        """
        Return as soon as a publish can be written; publish before awaiting anything else, or ask again.

        Raises:
            BrokerUnavailable: The publisher is closed.
        """
        while True:
            await self._link.wait_for(self._ready)
            self._note_state()  # the channel may have closed in this very turn of the loop
            if self._ready.is_set():
                return

    def publish(self, message: Message) -> asyncio.Future[PublishReceipt]:
        """Write one message, in the order of the calls; see the port for how the future ends."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[PublishReceipt] = loop.create_future()
        refusal = self._refusal() or self._too_much(message)
        if refusal is None:
            refusal = self._write(message, future, loop)
        if refusal is not None:
            future.set_exception(refusal)
        return future

    @contextlib.asynccontextmanager
    async def lease(self, name: str) -> AsyncIterator[asyncio.Event]:
        """Hold a lease on the connection that confirms publishes: whoever has lost it gets no receipts either."""
        if self._connection is None:
            raise BrokerUnavailable("not connected")
        # Under an alarm the broker reads nothing from a connection that publishes.
        async with self._leases.hold(self._connection, name, silent=lambda: self._blocked) as lost:
            yield lost

    # Writing.

    def _write(
        self, message: Message, future: asyncio.Future[PublishReceipt], loop: asyncio.AbstractEventLoop
    ) -> BridgeError | None:
        assert self._channel is not None  # noqa: S101 - for the type checker; `_refusal` looked
        try:
            # Everything is encoded before the first byte is written, so a failure leaves the channel's tags in step.
            self._channel.amqp.basic_publish(
                message.amqp_exchange, message.routing_key, message.body, _properties(message), mandatory=True
            )
        except (amqp.ChannelWrongStateError, amqp.ConnectionWrongStateError):
            return BrokerUnavailable("the channel is closing")
        except (amqp.ShortStringTooLong, UnicodeEncodeError) as error:
            refusal = MessageError("a property or the routing key cannot be encoded")
            refusal.__cause__ = error
            return refusal
        self._outstanding.add(
            Written(
                future,
                message.message_id,
                message.amqp_exchange,
                message.routing_key,
                len(message.body),
                loop.time(),
            )
        )
        if self._timer is None:
            self._timer = loop.call_later(self._settings.confirm_timeout_seconds, self._expire)
        if not self._has_room():
            self._note_state()
        return None

    def _refusal(self) -> BridgeError | None:
        if self._closing:
            return BrokerUnavailable("the publisher is closed")
        if self._link.down is not None:
            return type(self._link.down)(self._link.down.detail, code=self._link.down.code)
        if self._blocked:
            return BrokerBlocked("memory or disk alarm")
        if self._channel is None or not self._channel.is_open:
            return BrokerUnavailable("the channel is being opened")
        return None

    def _too_much(self, message: Message) -> BridgeError | None:
        if len(message.body) > self.largest_body_bytes:
            return MessageTooLarge(f"{len(message.body)} bytes; the broker takes {self.largest_body_bytes}")
        headers = sum(
            len(name) + len(value) if isinstance(value, str | bytes) else 16 for name, value in message.headers.items()
        )
        if headers * 4 > _LARGEST_HEADERS_BYTES and len(_properties_bytes(message)) > _LARGEST_HEADERS_BYTES:
            return MessageTooLarge(f"properties of more than {_LARGEST_HEADERS_BYTES} bytes")
        # Several callers may have been told at once that there is room.
        if self._outstanding.size_bytes >= 2 * self._settings.max_outstanding_bytes:
            return BrokerBlocked(f"{self._outstanding.size_bytes} bytes are unconfirmed")
        return None

    def _has_room(self) -> bool:
        return self._outstanding.size_bytes < self._settings.max_outstanding_bytes

    def _note_state(self) -> None:
        if self._refusal() is None and self._has_room():
            self._ready.set()
        else:
            self._ready.clear()

    # Answers.

    def _on_confirm(self, method: frame.Method[Any]) -> None:
        self._answered_at = asyncio.get_running_loop().time()
        confirm = method.method
        if isinstance(confirm, pika.spec.Basic.Ack):
            self._outstanding.acked(confirm.delivery_tag, multiple=confirm.multiple)
        else:
            self._outstanding.nacked(confirm.delivery_tag, multiple=confirm.multiple)
        self._note_state()

    def _on_return(
        self, _channel: object, method: spec.Basic.Return, properties: spec.BasicProperties, _body: bytes
    ) -> None:
        self._outstanding.returned(properties.message_id, method.exchange, method.routing_key)

    def _settled(self, written: Written, error: BridgeError | None) -> None:
        seconds = asyncio.get_running_loop().time() - written.written_at
        self._emit(PublishSettled(error.code if error is not None else "confirmed", seconds, len(self._outstanding)))

    def _expire(self) -> None:
        loop = asyncio.get_running_loop()
        self._timer = None
        latest = self._outstanding.expire(loop.time() - self._settings.confirm_timeout_seconds)
        oldest = self._outstanding.oldest()
        if oldest is not None:
            self._timer = loop.call_at(oldest + self._settings.confirm_timeout_seconds, self._expire)
        # While blocked no answer is to be expected, and a new connection would not be told that it is blocked until it
        # publishes. Where later publishes were answered the connection is good, and one queue has no majority.
        if latest is not None and not self._blocked and self._answered_at <= latest:
            self._give_up(BrokerUnavailable("no confirm in time; the connection is made anew"))
        self._note_state()

    def _give_up(self, reason: BridgeError) -> None:
        if self._dead is not None and not self._dead.done():
            self._channel = None  # nothing more is written to it, from this moment on
            self._dead.set_result(reason)

    # One connection.

    async def _session(self, connection: Connection) -> BridgeError:
        loop = asyncio.get_running_loop()
        self._dead = loop.create_future()
        self._blocked = False
        self._connection = connection
        connection.amqp.add_on_connection_blocked_callback(lambda *_: self._set_blocked(blocked=True))
        connection.amqp.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(blocked=False))
        lost: BridgeError = BrokerUnavailable("the connection was lost before the answer")
        try:
            while True:
                channel = await open_channel(connection)
                channel.amqp.add_on_return_callback(self._on_return)
                await channel.call(channel.amqp.confirm_delivery, ack_nack_callback=self._on_confirm)
                self._outstanding = Outstanding(self._settled)
                self._channel = channel
                self._note_state()
                ends: list[asyncio.Future[Any]] = [channel.closed, self._dead]
                await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
                if not channel.closed.done():
                    lost = self._dead.result()
                    return lost
                reason = channel.closed.result()
                error = translate(reason)
                if connection.closed.done() or not connection.amqp.is_open:
                    lost = error
                    return lost
                self._channel = None
                self._note_state()
                self._emit(BrokerChannelLost(_PURPOSE, error.code, error.detail))
                self._outstanding.channel_lost(error, str(getattr(reason, "reply_text", "")))
                if isinstance(error, BrokerAccessRefused):
                    await self._link.refused()
        finally:
            self._connection = self._channel = None
            self._outstanding.connection_lost(BrokerUnavailable(lost.detail))
            if self._blocked:
                self._set_blocked(blocked=False)
            self._note_state()

    async def _answered(self) -> None:
        """Return once nothing is outstanding, or too long: the link is down already, so nothing is added."""
        self._note_state()
        if waiting := self._outstanding.futures():
            await asyncio.wait(waiting, timeout=_LEAVE_SECONDS)

    def _set_blocked(self, *, blocked: bool) -> None:
        self._blocked = blocked
        self._emit(BrokerBlockedChanged(_PURPOSE, blocked))
        self._note_state()


def _properties(message: Message) -> spec.BasicProperties:
    return pika.BasicProperties(
        content_type=message.content_type,
        headers=dict(message.headers) or None,
        delivery_mode=pika.DeliveryMode.Persistent.value,
        correlation_id=message.correlation_id,
        message_id=message.message_id,
        timestamp=int(message.timestamp.timestamp()) if message.timestamp is not None else None,
        type=message.type,
        app_id=message.app_id,
    )


def _properties_bytes(message: Message) -> bytes:
    try:
        return b"".join(_properties(message).encode())
    except (amqp.ShortStringTooLong, UnicodeEncodeError):
        return b""  # said when it is written
