"""
Announcements of workers to each other: published every few seconds, and heard, on a connection of their own.

They are transient, and nobody waits for a confirm: the next one says the same again. A connection of their own, because
under an alarm RabbitMQ reads nothing from one that publishes, and because neither mails nor requests may wait for them.
"""

from __future__ import annotations

import asyncio
import random
import uuid
from typing import TYPE_CHECKING, Final

import pika
from pika.exceptions import AMQPError

from bridge.adapters.rabbitmq.connection import open_channel
from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.lease import close_channel
from bridge.adapters.rabbitmq.link import Link
from bridge.domain.roster import ANNOUNCE_SECONDS
from bridge.errors import BridgeError, BrokerAccessRefused, OperatorError
from bridge.telemetry.broker_events import BrokerBlockedChanged
from bridge.wire import worker_v1
from bridge.wire.topology import WORKERS, announcements_queue

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self

    from pika import spec
    from pika.channel import Channel

    from bridge.adapters.rabbitmq.connection import Connection, OpenChannel
    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.telemetry.events import Emit

_PURPOSE: Final = "announce"
_AGAIN_SECONDS: Final = 30.0
"""After the broker refused it, or while the amqp_exchange is missing: a person has to act."""
_QUEUE_ARGUMENTS: Final = {
    # Of a worker that does not take what it hears; what is older is of no use to anybody.
    "x-message-ttl": 15_000,
    "x-max-length-bytes": 16 << 20,
}
_PROPERTIES: Final = pika.BasicProperties(
    content_type=worker_v1.CONTENT_TYPE,
    type=worker_v1.NAME,
    delivery_mode=pika.DeliveryMode.Transient.value,
    app_id="exchange-mail-bridge",
)


class RabbitAnnouncements:
    """Announces and hears for as long as its context lasts. Use it from the loop's own thread only."""

    def __init__(
        self,
        settings: RabbitSettings,
        *,
        say: Callable[[], bytes],
        hear: Callable[[bytes], None],
        emit: Emit,
        every_seconds: float = ANNOUNCE_SECONDS,
    ) -> None:
        """`say` makes the next announcement, `hear` is given what anybody published; it raises nothing."""
        self._say = say
        self._hear = hear
        self._every_seconds = every_seconds
        self._link = Link(settings, _PURPOSE, self._session, emit, silent=lambda: self._blocked)
        self._emit = emit
        self._blocked = False
        self._refused: BridgeError | None = None

    async def __aenter__(self) -> Self:
        """Begin to connect."""
        self._link.start()
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Disconnect."""
        await self._link.stop()

    @property
    def trouble(self) -> BridgeError | None:
        """Why nothing is announced or heard at the moment, None if it is."""
        return self._link.down or self._refused

    @property
    def blocked(self) -> bool:
        """
        Whether the broker takes no publishes (memory or disk alarm).

        RabbitMQ tells a connection so only when it publishes; this one does it all the time.
        """
        return self._blocked

    async def _session(self, connection: Connection) -> BridgeError:
        if self._blocked:
            self._set_blocked(blocked=False)
        connection.amqp.add_on_connection_blocked_callback(lambda *_: self._set_blocked(blocked=True))
        connection.amqp.add_on_connection_unblocked_callback(lambda *_: self._set_blocked(blocked=False))
        while True:
            error = await self._announce(connection)
            if not isinstance(error, OperatorError):
                return error
            self._refused = error
            if isinstance(error, BrokerAccessRefused):
                await self._link.refused()
            await asyncio.wait({connection.closed}, timeout=_AGAIN_SECONDS)
            if connection.closed.done():
                return translate(connection.closed.result())

    async def _announce(self, connection: Connection) -> BridgeError:
        """Announce and hear until the broker ends it; return why."""
        channel = await open_channel(connection)
        try:
            await self._listen(channel)
            while not channel.closed.done():
                # What is written while RabbitMQ does not read would pile up here.
                if not self._blocked:
                    channel.amqp.basic_publish(WORKERS, "", self._say(), _PROPERTIES)
                wait = self._every_seconds * random.uniform(0.9, 1.0)  # noqa: S311 - spread
                await asyncio.wait({channel.closed}, timeout=wait)
            return translate(channel.closed.result())
        except BridgeError as error:
            return error
        except AMQPError as error:
            return translate(error)
        finally:
            await close_channel(channel)

    async def _listen(self, channel: OpenChannel) -> None:
        # Another name each time: what is left of the last connection may still be there.
        queue = announcements_queue(uuid.uuid4().hex)
        await channel.call(
            channel.amqp.queue_declare, queue=queue, exclusive=True, auto_delete=True, arguments=_QUEUE_ARGUMENTS
        )
        await channel.call(channel.amqp.queue_bind, queue=queue, exchange=WORKERS)
        await channel.call(
            channel.amqp.basic_consume, queue=queue, on_message_callback=self._heard, auto_ack=True, exclusive=True
        )

    def _heard(self, _channel: Channel, _method: spec.Basic.Deliver, _: spec.BasicProperties, body: bytes) -> None:
        self._refused = None  # one's own comes back as well: the whole way is proved
        self._hear(body)

    def _set_blocked(self, *, blocked: bool) -> None:
        self._blocked = blocked
        self._emit(BrokerBlockedChanged(_PURPOSE, blocked))
