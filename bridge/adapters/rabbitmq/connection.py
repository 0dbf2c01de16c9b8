"""Connections and channels of pika as things to await, and one connection that is made again whenever it is lost."""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from pika import exceptions as amqp
from pika.adapters.asyncio_connection import AsyncioConnection

from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.odd_headers import bear_odd_headers
from bridge.adapters.rabbitmq.settings import node_of, parameters
from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, BrokerUnavailable
from bridge.telemetry.broker_events import BrokerConnected, BrokerConnectFailed, BrokerConnectionLost

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from pika.channel import Channel

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.telemetry.events import Emit

_Value = TypeVar("_Value")

_CLOSE_SECONDS = 3.0
"""How long a broker may take to say goodbye before the socket is closed without it."""

_STEADY_SECONDS = 30.0
"""A connection that lasted this long proves the node: the count of failures begins anew."""


@dataclass(frozen=True, slots=True)
class Connection:
    """An open connection; `closed` holds why it ended, once it has."""

    amqp: AsyncioConnection
    closed: asyncio.Future[BaseException]
    answer_timeout_seconds: float


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


async def connect(settings: RabbitSettings, url: str, purpose: str) -> Connection:
    """
    Return an open connection to one node.

    Raises:
        BrokerUnavailable: Nobody answered, or not in time.
        BrokerAccessRefused: Login or virtual host are refused, or the node's certificate is not trusted.
        ConfigurationError: The url or a certificate file cannot be used.
    """
    bear_odd_headers()
    made = await asyncio.to_thread(parameters, settings, url, purpose)
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
    return Connection(connection, closed, settings.answer_timeout_seconds)


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


class Link:
    """
    One connection, made again whenever it is lost, each time to the next of the urls.

    `session` is run on each connection; when it returns or raises a `BridgeError`, or the connection ends, whatever
    is left of both is ended and the next connection is made.
    """

    def __init__(
        self,
        settings: RabbitSettings,
        purpose: str,
        session: Callable[[Connection], Coroutine[Any, Any, BridgeError]],
        emit: Emit,
    ) -> None:
        self._settings = settings
        self._purpose = purpose
        self._session = session
        self._emit = emit
        self._policy = RetryPolicy(settings.first_wait_seconds, settings.longest_wait_seconds)
        self._task: asyncio.Task[None] | None = None
        self.down: BridgeError | None = BrokerUnavailable("not connected yet")
        """Why there is no connection at the moment."""

    def start(self) -> None:
        """Begin to connect; needs a running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"rabbitmq-{self._purpose}")

    async def wait_for(self, event: asyncio.Event) -> None:
        """
        Return once the event is set.

        Raises:
            BrokerUnavailable: The link was stopped, or never started: it will not be set.
        """
        if event.is_set():
            return
        if self._task is None or self._task.done():
            if self._task is not None and not self._task.cancelled():
                self._task.result()  # a bug ended it; whoever waits must hear of it
            raise BrokerUnavailable("the connection is closed")
        waiting = asyncio.create_task(event.wait())
        try:
            await asyncio.wait({waiting, self._task}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if not event.is_set():
            await self.wait_for(event)

    async def stop(self) -> None:
        """End the connection, and make no other."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            self._task = None
        self.down = BrokerUnavailable("the connection is closed")

    async def _run(self) -> None:
        attempt = turn = 0
        loop = asyncio.get_running_loop()
        while True:
            url = self._settings.urls[turn % len(self._settings.urls)]
            turn += 1  # after a loss, too: another node first
            started = loop.time()
            try:
                connection = await connect(self._settings, url, self._purpose)
            except BridgeError as error:
                attempt += 1
                wait = self._wait_seconds(attempt)
                self.down = error
                self._emit(BrokerConnectFailed(self._purpose, node_of(url), error.code, error.detail, wait))
                await asyncio.sleep(wait)
                continue
            self._emit(BrokerConnected(self._purpose, node_of(url), loop.time() - started))
            opened = loop.time()
            try:
                self.down = None
                lost = await self._serve(connection)
            except BaseException:
                await close(connection)
                raise
            self.down = lost
            abandon(connection.amqp)
            self._emit(BrokerConnectionLost(self._purpose, node_of(url), lost.code, lost.detail))
            attempt = 0 if loop.time() - opened >= _STEADY_SECONDS else attempt + 1
            # A little even after a steady connection: all workers lose theirs at the same moment.
            await asyncio.sleep(self._wait_seconds(attempt) if attempt else random.uniform(0, 0.2))  # noqa: S311 - spread

    async def _serve(self, connection: Connection) -> BridgeError:
        session = asyncio.create_task(self._session(connection))
        try:
            ends: list[asyncio.Future[Any]] = [session, connection.closed]
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if connection.closed.done():
                return translate(connection.closed.result())
            try:
                return session.result()
            except BridgeError as error:
                return error
        finally:
            session.cancel()
            await asyncio.wait({session})

    def _wait_seconds(self, attempt: int) -> float:
        rounds = (attempt - 1) // len(self._settings.urls)
        if rounds == 0 and attempt % len(self._settings.urls):
            return 0.0  # there is a node that was not tried yet
        return self._policy.wait_seconds(rounds + 1, random.random())  # noqa: S311 - spread


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
