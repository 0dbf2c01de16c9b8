"""
What a login may do, asked in ways that change nothing.

RabbitMQ looks at the rights before it looks at anything else of a command. So each question is a command that cannot
succeed: a declaration or a consumer with an argument of the wrong type, which is refused by 406 where the right is
there and by 403 where it is not; or a publish in a transaction that is rolled back.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any, Final, Literal

from bridge.adapters.rabbitmq.connection import OpenChannel, close, connect, open_channel
from bridge.adapters.rabbitmq.errors import reply_code
from bridge.errors import BridgeError, BrokerBlocked, BrokerUnavailable
from bridge.wire.broker_replies import ACCESS_REFUSED, NOT_FOUND, PRECONDITION_FAILED, RESOURCE_LOCKED

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bridge.adapters.rabbitmq.connection import Connection
    from bridge.adapters.rabbitmq.settings import RabbitSettings

Answer = Literal["allowed", "refused", "missing"]
_NO_NUMBER: Final = "bridge check: no number, on purpose"
_NO_TEXT: Final = 0


class RabbitRights:
    """Asks on one connection, one question after the other."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: OpenChannel | None = None
        self._blocked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        connection.amqp.add_on_connection_blocked_callback(lambda *_: self._note_blocked())

    async def may_declare_queue(self, name: str) -> Answer:
        """Return whether a queue of that name may be declared or deleted (right to configure)."""
        channel = await self._open()
        return await self._ask(
            channel, channel.amqp.queue_declare, queue=name, durable=True, arguments={"x-expires": _NO_NUMBER}
        )

    async def may_declare_amqp_exchange(self, name: str) -> Answer:
        """Return whether an amqp_exchange of that name may be declared or deleted (right to configure)."""
        channel = await self._open()
        return await self._ask(
            channel,
            channel.amqp.exchange_declare,
            exchange=name,
            exchange_type="headers",
            durable=True,
            arguments={"alternate-exchange": _NO_TEXT},
        )

    async def may_consume(self, queue: str) -> Answer:
        """Return whether a queue may be consumed from (right to read); nothing is taken out of it."""
        channel = await self._open()
        arguments = {"x-priority": _NO_NUMBER}
        consume = channel.amqp.basic_consume
        return await self._ask(channel, consume, queue=queue, on_message_callback=lambda *_: None, arguments=arguments)

    async def may_publish(self, amqp_exchange: str, routing_key: str) -> Answer:
        """
        Return whether an amqp_exchange may be published to (right to write); nothing is published.

        Raises:
            BrokerBlocked: The broker takes no publishes at the moment (memory or disk alarm).
        """
        channel = await self._open()
        try:
            await self._call(channel, channel.amqp.tx_select)
            channel.amqp.basic_publish(amqp_exchange, routing_key, b"", mandatory=True)
            await self._call(channel, channel.amqp.tx_rollback)
        except BridgeError as error:
            return _answer(error)
        return "allowed"

    async def _ask(self, channel: OpenChannel, method: Callable[..., Any], **arguments: object) -> Answer:
        try:
            await self._call(channel, method, **arguments)
        except BridgeError as error:
            return _answer(error)
        # A broker that takes what cannot be taken: the channel is closed, and what it made for it goes along.
        channel.close()
        raise BrokerUnavailable("the broker accepted what it should have refused")

    async def _call(self, channel: OpenChannel, method: Callable[..., Any], **arguments: object) -> None:
        answering = asyncio.ensure_future(channel.call(method, **arguments))
        try:
            await asyncio.wait({answering, self._blocked}, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            answering.cancel()  # or asyncio would tell of its failure on standard error
            raise
        if not answering.done():
            answering.cancel()
            await asyncio.wait({answering})
            raise BrokerBlocked("the broker told that the connection is blocked")
        answering.result()

    def _note_blocked(self) -> None:
        if not self._blocked.done():
            self._blocked.set_result(None)

    async def _open(self) -> OpenChannel:
        if self._channel is None or not self._channel.is_open:
            self._channel = await open_channel(self._connection)
        return self._channel


@asynccontextmanager
async def rabbit_rights(settings: RabbitSettings, url: str) -> AsyncIterator[RabbitRights]:
    """
    Yield what answers about the rights of this login on one node.

    Raises:
        BrokerUnavailable: Nobody answers.
        BrokerAccessRefused: The broker refuses the login or the virtual host.
    """
    connection = await connect(settings, url, "rights")
    try:
        yield RabbitRights(connection)
    finally:
        await close(connection)


def _answer(error: BridgeError) -> Answer:
    code = reply_code(error.__cause__) if error.__cause__ is not None else None
    if code in {PRECONDITION_FAILED, RESOURCE_LOCKED}:
        return "allowed"
    if code == ACCESS_REFUSED:
        return "refused"
    if code == NOT_FOUND:
        return "missing"
    raise error
