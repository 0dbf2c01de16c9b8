"""A connection's token is renewed ahead of its end, and kept while the newer one is refused."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.signed_in import LEAVE_SECONDS, RefusedTokens, SignedIn, current_token
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, TokenUnavailable
from bridge.ports.tokens import AccessToken
from bridge.telemetry.broker_events import BrokerTokenRefused, BrokerTokenRenewed

if TYPE_CHECKING:
    from bridge.telemetry.events import Event


@dataclass
class _Tokens:
    """A source that gives what it is told to."""

    now: AccessToken | BridgeError
    rejected: list[AccessToken] = field(default_factory=list)

    def token(self) -> AccessToken:
        if isinstance(self.now, BridgeError):
            raise self.now
        return self.now

    def reject(self, token: AccessToken) -> None:
        self.rejected.append(token)


class _Clock:
    """Time passes by sleeping only, five seconds at the least: there is as much left for each token to come."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def elapsed(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += max(seconds, 5.0)


class _Connection:
    """What a connection does with tokens: remembers, or fails."""

    def __init__(self, source: _Tokens, first: AccessToken, *, silent: bool = False) -> None:
        self.attempted: list[str] = []
        self.put: list[str] = []
        self.clock = _Clock()
        self.refusal: BridgeError | None = None
        self.loss: BridgeError | None = None
        self.silent = silent
        self.emitted: list[Event] = []
        self.signed_in = SignedIn(
            "publish",
            source,
            first,
            attempt=self._attempt,
            replace=self._replace,
            silent=lambda: self.silent,
            emit=self.emitted.append,
            elapsed=self.clock.elapsed,
            sleep=self.clock.sleep,
        )

    async def _attempt(self, token: AccessToken) -> None:
        self.attempted.append(token.value)
        if self.refusal is not None:
            raise self.refusal

    async def _replace(self, token: AccessToken) -> None:
        if self.loss is not None:
            raise self.loss
        self.put.append(token.value)


_names = itertools.count()


def _token(*, usable_seconds: float) -> AccessToken:
    """Return a token that a connection may use for so long from the beginning."""
    return AccessToken(f"t-{next(_names)}", LEAVE_SECONDS + usable_seconds)


async def _ends(connection: _Connection) -> BridgeError:
    async with asyncio.timeout(60):
        return await connection.signed_in.run()


async def test_a_newer_token_is_tried_elsewhere_and_then_put_on_the_connection() -> None:
    """Each once; when there is none any more the connection has to go."""
    first, second = _token(usable_seconds=20), _token(usable_seconds=40)
    connection = _Connection(_Tokens(second), first)

    reason = await _ends(connection)

    assert connection.attempted == connection.put == [second.value]
    assert isinstance(reason, TokenUnavailable)
    [renewed] = connection.emitted
    assert isinstance(renewed, BrokerTokenRenewed)
    assert renewed.seconds == LEAVE_SECONDS + 35


async def test_the_old_token_goes_on_while_the_newer_one_is_refused() -> None:
    """It is told once, and tried again; what refused in the end is the reason."""
    connection = _Connection(_Tokens(_token(usable_seconds=60)), _token(usable_seconds=20))
    connection.refusal = BrokerAccessRefused("x", code="broker_login_refused")

    reason = await _ends(connection)

    assert reason.code == "broker_login_refused"
    assert len(connection.attempted) > 2
    assert connection.put == []
    [told] = connection.emitted
    assert isinstance(told, BrokerTokenRefused)
    assert told.code == "broker_login_refused"


async def test_a_connection_that_is_not_read_from_gets_no_token() -> None:
    """Under an alarm an answer would not come; with the end of its token it is made anew."""
    connection = _Connection(_Tokens(_token(usable_seconds=60)), _token(usable_seconds=20), silent=True)

    reason = await _ends(connection)

    assert isinstance(reason, TokenUnavailable)
    assert connection.attempted == connection.put == []
    assert connection.emitted == []


async def test_entra_that_is_away_is_told_once_and_ends_the_connection_with_its_token() -> None:
    """A few seconds before the token does, so that nothing is refused in the middle."""
    source, token = _Tokens(TokenUnavailable("Entra is away")), _token(usable_seconds=20)
    connection = _Connection(source, token)

    reason = await _ends(connection)

    assert reason is source.now
    assert token.ends_at - connection.clock.seconds > LEAVE_SECONDS / 2
    [told] = connection.emitted
    assert isinstance(told, BrokerTokenRefused)
    assert LEAVE_SECONDS < told.seconds < LEAVE_SECONDS + 20


async def test_a_connection_that_is_lost_over_its_token_says_so() -> None:
    """RabbitMQ closes it where the newer token is another user's."""
    connection = _Connection(_Tokens(_token(usable_seconds=60)), _token(usable_seconds=60))
    connection.loss = BrokerAccessRefused("530 NOT_ALLOWED")

    assert await _ends(connection) is connection.loss


async def test_doubts_are_told_of_once_a_minute() -> None:
    """A right that is missing is missing in each new token as well, until somebody grants it."""
    source = _Tokens(_token(usable_seconds=60))
    doubts = RefusedTokens(source)

    for _ in range(3):
        await doubts.refused(_token(usable_seconds=60))

    assert len(source.rejected) == 1


async def test_a_token_that_does_not_come_is_not_waited_for_for_ever() -> None:
    """The thread that asks may hang; the connection's loop does not."""
    released = asyncio.Event()
    loop = asyncio.get_running_loop()

    class _Hanging(_Tokens):
        def token(self) -> AccessToken:
            asyncio.run_coroutine_threadsafe(released.wait(), loop).result(10)
            raise BrokerUnavailable("too late to matter")

    with pytest.raises(TokenUnavailable):
        await current_token(_Hanging(_token(usable_seconds=1)), 0.05)
    released.set()


async def test_a_worker_that_ends_meanwhile_hears_no_more_of_it() -> None:
    """asyncio would tell of the failure with a traceback, at the end of a worker that did nothing wrong."""
    asked, may_fail = threading.Event(), threading.Event()

    class _FailsLate(_Tokens):
        def token(self) -> AccessToken:
            asked.set()
            may_fail.wait(10)
            return super().token()

    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    waiting = asyncio.create_task(current_token(_FailsLate(TokenUnavailable()), 5))
    await asyncio.to_thread(asked.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    may_fail.set()
    await loop.shutdown_default_executor()
    await asyncio.sleep(0)
    gc.collect()

    assert told == []
