"""Connections and channels of pika as things to await."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pika import exceptions as amqp
from pika.adapters.asyncio_connection import AsyncioConnection

from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.odd_headers import bear_odd_headers
from bridge.adapters.rabbitmq.settings import parameters
from bridge.adapters.rabbitmq.signed_in import current_token
from bridge.errors import BrokerUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from pika.channel import Channel

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.tokens import AccessToken

_Value = TypeVar("_Value")

_CLOSE_SECONDS = 3.0
"""How long a broker may take to say goodbye before the socket is closed without it."""

TOKEN_SECONDS = 30.0
"""Longest wait for a token; the source has limits of its own, below this."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection; `closed` holds why it ended, once it has."""

    amqp: AsyncioConnection
    closed: asyncio.Future[BaseException]
    answer_timeout_seconds: float
    token: AccessToken | None = None
    """The token that it signed in with, where it did so with one."""

    async def renew(self, token: AccessToken) -> None:
        """
        Put a newer token on it.

        Raises:
            BridgeError: The broker closed the connection instead, or did not answer in time.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            self.amqp.update_secret(token.value, "the token is renewed", lambda frame: _settle(answer, frame))
        except amqp.AMQPError as error:
            raise translate(error) from error
        await _first(answer, self.closed, self.answer_timeout_seconds)


@dataclass(frozen=True, slots=True)
class OpenChannel:
    """An open channel; `closed` holds why it ended, once it has."""

    amqp: Channel
    closed: asyncio.Future[BaseException]
    answer_timeout_seconds: float

    @property
    def is_open(self) -> bool:
        """Whether anything can still be written to it."""
        return bool(self.amqp.is_open)

    async def call(self, method: Callable[..., Any], /, **arguments: object) -> Any:  # noqa: ANN401 - pika's frames
        """
        Run a command of the channel and return the broker's answer.

        Raises:
            BridgeError: The broker closed the channel instead (its reply says why), or did not answer in time.
        """
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        try:
            method(callback=lambda frame: _settle(answer, frame), **arguments)
        except amqp.AMQPError as error:
            raise translate(error) from error
        return await _first(answer, self.closed, self.answer_timeout_seconds)

    def close(self) -> None:
        """Begin to close it; unsettled deliveries go back to their queues."""
        with contextlib.suppress(amqp.AMQPError):
            self.amqp.close()


async def connect(settings: RabbitSettings, url: str, purpose: str, *, token: AccessToken | None = None) -> Connection:
    """
    Return an open connection to one node; signed in with the token, or with one of the settings' source if any.

    Raises:
        BrokerUnavailable: Nobody answered, or not in time.
        BrokerAccessRefused: Login or virtual host are refused, or one side does not trust the other's certificate.
        ConfigurationError: The url or a certificate file cannot be used.
        TokenUnavailable: Entra gives no token at the moment.
        CredentialsRejected: Entra refuses the app.
    """
    bear_odd_headers()
    if token is None and settings.tokens is not None:
        token = await current_token(settings.tokens, TOKEN_SECONDS)
    made = await asyncio.to_thread(parameters, settings, url, purpose, token)
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[None] = loop.create_future()
    failed: asyncio.Future[BaseException] = loop.create_future()
    closed: asyncio.Future[BaseException] = loop.create_future()
    connection = AsyncioConnection(
        made,
        on_open_callback=lambda _: _settle(opened, None),
        on_open_error_callback=lambda _, error: _settle(failed, error),
        on_close_callback=lambda _, error: _settle(closed, error),
        custom_ioloop=loop,
    )
    try:
        # The name look-up has no timeout in pika, hence one around all of it.
        await _first(opened, failed, settings.connect_timeout_seconds)
    except BaseException:
        abandon(connection)
        raise
    return Connection(connection, closed, settings.answer_timeout_seconds, token)


async def open_channel(connection: Connection) -> OpenChannel:
    """
    Return a new channel.

    Raises:
        BridgeError: The connection was lost meanwhile, or the broker did not answer in time.
    """
    loop = asyncio.get_running_loop()
    opened: asyncio.Future[None] = loop.create_future()
    closed: asyncio.Future[BaseException] = loop.create_future()
    try:
        channel = connection.amqp.channel(on_open_callback=lambda _: _settle(opened, None))
    except amqp.AMQPError as error:
        raise translate(error) from error
    channel.add_on_close_callback(lambda _, reason: _settle(closed, reason))
    await _first(opened, closed, connection.answer_timeout_seconds)
    return OpenChannel(channel, closed, connection.answer_timeout_seconds)


async def close(connection: Connection) -> None:
    """Say goodbye and return when the connection is closed, with or without the broker's answer."""
    with contextlib.suppress(amqp.AMQPError):
        connection.amqp.close()
    await asyncio.wait({connection.closed}, timeout=_CLOSE_SECONDS)
    if not connection.closed.done():
        abandon(connection.amqp)
        await asyncio.wait({connection.closed}, timeout=_CLOSE_SECONDS)


async def _first(answer: asyncio.Future[Any], failure: asyncio.Future[BaseException], seconds: float) -> Any:  # noqa: ANN401
    await asyncio.wait({answer, failure}, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    if answer.done():
        return answer.result()
    if failure.done():
        raise translate(failure.result())
    raise BrokerUnavailable(f"the broker did not answer within {seconds:g} s")


def _settle(future: asyncio.Future[_Value], value: _Value) -> None:
    if not future.done():
        future.set_result(value)


def abandon(connection: AsyncioConnection) -> None:
    """End a connection without waiting for the broker."""
    if not connection.is_closed:
        # pika has no public way: `close` waits for the broker's answers, which a frozen node never gives.
        connection._terminate_stream(amqp.StreamLostError("given up"))  # noqa: SLF001
