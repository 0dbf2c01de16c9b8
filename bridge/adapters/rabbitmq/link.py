"""One connection that is made again whenever it is lost."""

from __future__ import annotations

import asyncio
import random
from typing import TYPE_CHECKING, Any

from bridge.adapters.rabbitmq.connection import TOKEN_SECONDS, abandon, close, connect
from bridge.adapters.rabbitmq.errors import translate
from bridge.adapters.rabbitmq.settings import node_of
from bridge.adapters.rabbitmq.signed_in import LEAVE_SECONDS, RefusedTokens, SignedIn, current_token
from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, TokenUnavailable
from bridge.flow.waiting import Backoff
from bridge.ports.elapsed import elapsed_seconds
from bridge.telemetry.broker_events import BrokerConnected, BrokerConnectFailed, BrokerConnectionLost

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine

    from bridge.adapters.rabbitmq.connection import Connection
    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.tokens import AccessToken
    from bridge.telemetry.events import Emit

_ASK_AGAIN_SECONDS = 2.0
"""How soon a source without a token is looked at again: it asks Entra at a pace of its own."""

_STEADY_SECONDS = 30.0
"""A connection that lasted this long proves the node: the count of failures begins anew."""


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
        turn = 0
        backoff = Backoff(self._policy)
        loop = asyncio.get_running_loop()
        while True:
            urls = await self._urls()
            url = urls[turn % len(urls)]
            turn += 1  # after a loss, too: another node first
            started = loop.time()
            try:
                connection = await self._connect(url)
            except BridgeError as error:
                wait = backoff.wait_seconds(ways=len(urls))
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
            if loop.time() - opened >= _STEADY_SECONDS:
                backoff.forget()
                # A little all the same: all workers lose their connections at the same moment.
                wait = random.uniform(0, 0.2)  # noqa: S311 - spread
            else:
                wait = backoff.wait_seconds(ways=len(urls))
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
        token = await current_token(self._settings.tokens, TOKEN_SECONDS)
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
