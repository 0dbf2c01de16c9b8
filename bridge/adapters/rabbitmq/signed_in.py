"""Tokens in place of a password: the one that a connection signs in with, and newer ones put on it while it is open."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.errors import BridgeError, TokenUnavailable
from bridge.ports.elapsed import elapsed_seconds
from bridge.telemetry.broker_events import BrokerTokenRefused, BrokerTokenRenewed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.ports.tokens import AccessToken, TokenSource
    from bridge.telemetry.events import Emit

_LOOK_SECONDS = 20.0
"""How often the source is asked whether it has a newer token; one that is due is fetched by that."""

LEAVE_SECONDS = 3.0
"""A connection whose token ends within this is made anew: what is refused afterwards would end in the middle of it."""

_REJECT_SECONDS = 60.0
"""How often the source is told that the broker refuses its token: rights that were just given are in a new one only."""


@dataclass(slots=True)
class RefusedTokens:
    """Tokens that a broker refused. The source is told of each once, and not more often than once a minute."""

    tokens: TokenSource
    _told_at: float = field(default=float("-inf"))

    async def refused(self, token: AccessToken) -> None:
        """Let the source fetch another token, unless it was told so a short time ago."""
        now = asyncio.get_running_loop().time()
        if now - self._told_at >= _REJECT_SECONDS:
            self._told_at = now
            await asyncio.to_thread(self.tokens.reject, token)


async def current_token(tokens: TokenSource, limit_seconds: float) -> AccessToken:
    """
    Return a token that is still usable.

    Raises:
        TokenUnavailable: There is none in time.
        CredentialsRejected: Entra refuses the credentials.
    """
    asking = asyncio.ensure_future(asyncio.to_thread(tokens.token))
    asking.add_done_callback(_forget)  # a thread cannot be cancelled; what it brings may come too late for anybody
    done, _ = await asyncio.wait({asking}, timeout=limit_seconds)
    if not done:
        raise TokenUnavailable(f"there was no token for the broker within {limit_seconds:g} s")
    return asking.result()


def _forget(asked: asyncio.Future[AccessToken]) -> None:
    if not asked.cancelled():
        asked.exception()


class SignedIn:
    """
    Keeps one connection signed in for as long as tokens can be had.

    RabbitMQ takes a newer token only for the same user, and closes the connection over one that it refuses. So each
    is tried on a connection of its own first; while it is refused there, the old one goes on.
    """

    def __init__(
        self,
        purpose: str,
        tokens: TokenSource,
        token: AccessToken,
        *,
        attempt: Callable[[AccessToken], Awaitable[None]],
        replace: Callable[[AccessToken], Awaitable[None]],
        silent: Callable[[], bool],
        emit: Emit,
        elapsed: Callable[[], float] = elapsed_seconds,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Prepare it; `run` does the work.

        Args:
            purpose: What the connection is for.
            tokens: Where newer tokens come from.
            token: The one that the connection was opened with.
            attempt: Signs in with a token elsewhere and out again.
            replace: Puts a token on the connection.
            silent: Tells that the broker does not read from the connection at the moment.
            emit: Is told.
            elapsed: Seconds that only grow, also while the machine sleeps.
            sleep: Waits for so many of them.
        """
        self._purpose = purpose
        self._tokens = tokens
        self._token = token
        self._attempt = attempt
        self._replace = replace
        self._silent = silent
        self._emit = emit
        self._elapsed = elapsed
        self._sleep = sleep
        self._told: str | None = None

    async def run(self) -> BridgeError:
        """Renew the token ahead of its end, each time; return why the connection has to be made anew."""
        failure: BridgeError = TokenUnavailable("the broker's token ends, and there is no newer one")
        while (left := self._left_seconds()) > 0:
            await self._sleep(min(_LOOK_SECONDS, left, max(left / 10, 0.1)))
            try:
                newer = await current_token(self._tokens, max(self._left_seconds(), 0.1))
                if newer.value == self._token.value or self._silent():
                    continue
                await self._attempt(newer)
            except BridgeError as error:
                failure = error
                self._report(error)
                continue
            try:
                await self._replace(newer)
            except BridgeError as error:
                return error
            self._token, self._told = newer, None
            self._emit(BrokerTokenRenewed(self._purpose, newer.ends_at - self._elapsed()))
        return failure

    def _left_seconds(self) -> float:
        """Return for how long the connection may still be used."""
        return self._token.ends_at - self._elapsed() - LEAVE_SECONDS

    def _report(self, error: BridgeError) -> None:
        # Once for each reason: it is tried again every few seconds, for up to an hour.
        if error.code != self._told:
            self._told = error.code
            left = self._token.ends_at - self._elapsed()
            self._emit(BrokerTokenRefused(self._purpose, error.code, error.detail, left))
