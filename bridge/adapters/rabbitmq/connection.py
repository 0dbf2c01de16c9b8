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
from bridge.adapters.rabbitmq.signed_in import LEAVE_SECONDS, RefusedTokens, SignedIn, current_token
from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, TokenUnavailable
from bridge.ports.elapsed import elapsed_seconds
from bridge.telemetry.broker_events import BrokerConnected, BrokerConnectFailed, BrokerConnectionLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from pika.channel import Channel

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.tokens import AccessToken
    from bridge.telemetry.events import Emit

_Value = TypeVar("_Value")

_CLOSE_SECONDS = 3.0
"""How long a broker may take to say goodbye before the socket is closed without it."""

_TOKEN_SECONDS = 30.0
"""Longest wait for a token; the source has limits of its own, below this."""

_ASK_AGAIN_SECONDS = 2.0
"""How soon a source without a token is looked at again: it asks Entra at a pace of its own."""

_STEADY_SECONDS = 30.0
"""A connection that lasted this long proves the node: the count of failures begins anew."""


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
        token = await current_token(settings.tokens, _TOKEN_SECONDS)
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


class Link:
    """
    One connection, made again whenever it is lost, each time to the next of the urls.

    `session` is run on each connection; when it returns or raises a `BridgeError`, or the connection ends, whatever
    is left of both is ended and the next connection is made. A connection that is signed in with a token gets newer
    ones; where there is none it is left in good order: `leave` is awaited, while `down` says why already.
    """

    def __init__(
        self,
        settings: RabbitSettings,
        purpose: str,
        session: Callable[[Connection], Coroutine[Any, Any, BridgeError]],
        emit: Emit,
        *,
        leave: Callable[[], Awaitable[None]] | None = None,
        silent: Callable[[], bool] = lambda: False,
    ) -> None:
        """
        Prepare a link; nothing is connected yet.

        Args:
            settings: Where to, and how.
            purpose: What its connections are for.
            session: The work on one connection.
            emit: Is told.
            leave: Ends what is under way on a connection that is about to be given up, within a few seconds.
            silent: Tells that the broker does not read from the connection at the moment.
        """
        self._settings = settings
        self._purpose = purpose
        self._session = session
        self._emit = emit
        self._policy = RetryPolicy(settings.first_wait_seconds, settings.longest_wait_seconds)
        self._task: asyncio.Task[None] | None = None
        self._leave = leave
        self._silent = silent
        self._refused_tokens = RefusedTokens(settings.tokens) if settings.tokens is not None else None
        self._token: AccessToken | None = None
        self._worked: str | None = None
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

    async def refused(self) -> None:
        """Take note that the broker refuses a right: where rights come with a token, a new one may have more."""
        if self._refused_tokens is not None and self._token is not None:
            await self._refused_tokens.refused(self._token)

    async def _run(self) -> None:
        attempt = turn = 0
        loop = asyncio.get_running_loop()
        while True:
            urls = await self._urls()
            url = urls[turn % len(urls)]
            turn += 1  # after a loss, too: another node first
            started = loop.time()
            try:
                connection = await self._connect(url)
            except BridgeError as error:
                attempt += 1
                wait = self._wait_seconds(attempt, len(urls))
                if isinstance(error, TokenUnavailable):
                    wait = min(wait, _ASK_AGAIN_SECONDS)
                self.down = error
                self._emit(BrokerConnectFailed(self._purpose, node_of(url), error.code, error.detail, wait))
                await asyncio.sleep(wait)
                continue
            self._emit(BrokerConnected(self._purpose, node_of(url), loop.time() - started))
            opened = loop.time()
            self._worked = url
            try:
                self.down = None
                lost = await self._serve(connection, url)
            except BaseException:
                await close(connection)
                raise
            self.down = lost
            abandon(connection.amqp)
            self._emit(BrokerConnectionLost(self._purpose, node_of(url), lost.code, lost.detail))
            attempt = 0 if loop.time() - opened >= _STEADY_SECONDS else attempt + 1
            # A little even after a steady connection: all workers lose theirs at the same moment.
            wait = self._wait_seconds(attempt, len(urls)) if attempt else random.uniform(0, 0.2)  # noqa: S311 - spread
            await asyncio.sleep(wait)

    async def _urls(self) -> tuple[str, ...]:
        """Return the urls as they are now, and last the one that worked where those that came since are refused."""
        urls = await asyncio.to_thread(self._settings.current_urls)
        if isinstance(self.down, BrokerAccessRefused) and self._worked is not None and self._worked not in urls:
            # A password that was put into the file before the broker knows it; the old one is good until then.
            return (*urls, self._worked)
        return urls

    async def _connect(self, url: str) -> Connection:
        if self._settings.tokens is None:
            return await self._sign_in(url, self._purpose, None)
        token = await current_token(self._settings.tokens, _TOKEN_SECONDS)
        if token.ends_at - elapsed_seconds() <= LEAVE_SECONDS:
            raise TokenUnavailable("the broker's token ends, and there is no newer one")
        return await self._sign_in(url, self._purpose, token)

    async def _sign_in(self, url: str, purpose: str, token: AccessToken | None) -> Connection:
        try:
            connection = await connect(self._settings, url, purpose, token=token)
        except BrokerAccessRefused:
            if self._refused_tokens is not None and token is not None:
                await self._refused_tokens.refused(token)
            raise
        self._token = token
        return connection

    async def _serve(self, connection: Connection, url: str) -> BridgeError:
        session = asyncio.create_task(self._session(connection))
        ends: set[asyncio.Future[Any]] = {session, connection.closed}
        signed_in = self._signed_in(connection, url)
        if signed_in is not None:
            ends.add(signed_in)
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            if connection.closed.done():
                return translate(connection.closed.result())
            if signed_in is not None and signed_in.done():
                return await self._left(connection, signed_in.result())
            try:
                return session.result()
            except BridgeError as error:
                return error
        finally:
            tasks = {session} if signed_in is None else {session, signed_in}
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    def _signed_in(self, connection: Connection, url: str) -> asyncio.Task[BridgeError] | None:
        if connection.token is None or self._settings.tokens is None:
            return None

        async def attempt(token: AccessToken) -> None:
            await close(await self._sign_in(url, f"{self._purpose}-trial", token))

        signed_in = SignedIn(
            self._purpose,
            self._settings.tokens,
            connection.token,
            attempt=attempt,
            replace=connection.renew,
            silent=self._silent,
            emit=self._emit,
        )
        return asyncio.create_task(signed_in.run(), name=f"rabbitmq-{self._purpose}-token")

    async def _left(self, connection: Connection, reason: BridgeError) -> BridgeError:
        """Give up a connection that still works, in good order: what was written on it is answered first."""
        self.down = reason
        if self._leave is not None:
            await self._leave()
        await close(connection)
        return reason

    def _wait_seconds(self, attempt: int, nodes: int) -> float:
        rounds = (attempt - 1) // nodes
        if rounds == 0 and attempt % nodes:
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
