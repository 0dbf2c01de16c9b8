"""Tokens of one app for one resource: one request at a time, and a token that lives is used whatever Entra answers."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bridge.domain.disposition import RetryPolicy
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from bridge.ports.elapsed import elapsed_seconds
from bridge.ports.tokens import AccessToken

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.adapters.entra.client import Answer

_MARGIN_SECONDS: Final = 10.0
_LEAST_MARGIN_SECONDS: Final = 1.5
_MARGIN_SHARE: Final = 0.05
"""A token with less than this left is not used: the call has to get there, and its end is told in whole seconds."""
_RENEW_SHARES: Final = (0.4, 0.5)
"""The part of its life after which a token is renewed; drawn anew each time, so that workers spread."""
_REPLACEMENTS: Final = 5.0
_REPLACEMENT_SECONDS: Final = 30.0
"""So many refused tokens are replaced at once, then one in so long: a new token gives an app no right that it lacks,
but while a revoked one is shown no mail passes."""
_FIRST_WAIT_SECONDS: Final = 1.0
_WAITS: Final = {
    situation: RetryPolicy(_FIRST_WAIT_SECONDS, longest, spread_factors=(0.75, 1.25))
    for situation, longest in {
        (False, False): 5.0,
        (False, True): 60.0,
        (True, False): 30.0,
        (True, True): 300.0,
    }.items()
}
"""By whether Entra refused, and whether a token is left. What was refused is asked for at once when a file changes."""

_TOLD_SECONDS: Final = 3.0
_TOLD_LATER_SECONDS: Final = 15.0
_TOLD_REFUSED_SECONDS: Final = 10.0
_TOLD_REFUSED_LATER_SECONDS: Final = 30.0
_LONG_SECONDS: Final = 600.0
"""So long an outage lasts before those who want a token are told the longer wait: requests go round in the broker."""


@dataclass(frozen=True, slots=True)
class _Held:
    token: AccessToken
    life_seconds: float
    renew_at: float
    rejected: bool = False


class EntraTokens:
    """
    Keeps the promise of `ports.tokens.TokenSource`.

    `renew_if_due`, called about once a second by somebody else than those who call Exchange, has a newer token ready
    long before the old one ends; then nobody waits for Entra but the very first call.
    """

    def __init__(
        self,
        ask: Callable[[], Answer],
        lock: threading.RLock,
        *,
        longest_seconds: float | None = None,
        wall_clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        Prepare it; nothing is asked yet.

        Args:
            ask: Asks Entra for a token; raises a `BridgeError`.
            lock: Held while Entra is asked for anything of the app.
            longest_seconds: A token is renewed after this at the latest, so that the credential is tried.
            wall_clock: Seconds since the epoch; for what people read alone, for it may be set in either direction.
            elapsed: Seconds that only grow, also while the machine sleeps.
            chance: A number from 0 to 1.
        """
        self._ask = ask
        self._lock = lock
        self.longest_seconds = longest_seconds
        self._wall_clock, self._elapsed, self._chance = wall_clock, elapsed, chance
        self._state = threading.Lock()
        self._held: _Held | None = None
        self._failure: BridgeError | None = None
        self._failures = 0
        self._failed_since = 0.0
        self._ask_again_at = 0.0
        self._replacements, self._counted_at = _REPLACEMENTS, elapsed()
        self._wanted = False

    @property
    def expires_at(self) -> float | None:
        """When the current token ends, by the wall clock as it is now; None while there is none."""
        held = self._held
        return self._wall_clock() + self._left_seconds(held) if held is not None else None

    @property
    def left_seconds(self) -> float:
        """For how long the current token can be used; 0 where there is none."""
        held = self._held
        return self._left_seconds(held) if held is not None and self._lives(held) else 0.0

    @property
    def usable(self) -> bool:
        """Whether there is a token that can be used."""
        held = self._held
        return held is not None and self._lives(held)

    @property
    def trouble(self) -> BridgeError | None:
        """The last failure, None once a request went well."""
        return self._failure

    def token(self) -> AccessToken:
        """Return a token that is still usable."""
        self._wanted = True
        held = self._held
        if held is not None and not held.rejected and self._lives(held):
            return held.token
        with self._lock:
            held = self._held  # another thread may have renewed it meanwhile
            if held is not None and not held.rejected and self._lives(held):
                return held.token
            return self._replace(held)

    def reject(self, token: AccessToken) -> None:
        """Tell that Exchange refused this token; the next `token` asks Entra for another."""
        now = self._elapsed()
        with self._state:
            more = (now - self._counted_at) / _REPLACEMENT_SECONDS
            self._replacements, self._counted_at = min(_REPLACEMENTS, self._replacements + more), now
            may_be_replaced = self._replacements >= 1
        if may_be_replaced:
            self._mark(token, rejected=True)

    def renew_if_due(self) -> None:
        """Ask Entra for a newer token where it is time for that; never raises what Entra answers."""
        held = self._held
        if (held is None and not self._wanted) or (held is not None and not self._due(held)):
            return
        if self._failure is not None and self._elapsed() < self._ask_again_at:
            return
        with self._lock:
            held = self._held
            if held is None or self._due(held):
                self._try(held)

    def take(self, answer: Answer) -> None:
        """Use a token that was asked for otherwise, with a credential that is to be used from now on."""
        now = self._elapsed()
        lowest, highest = _RENEW_SHARES
        renew = answer.seconds * (lowest + (highest - lowest) * self._chance())
        if self.longest_seconds:
            renew = min(renew, self.longest_seconds * (0.75 + 0.5 * self._chance()))
        token = AccessToken(answer.token, now + answer.seconds)
        with self._state:
            self._held = _Held(token, answer.seconds, now + renew)
        self._failure, self._failures = None, 0

    @property
    def resting(self) -> bool:
        """Whether Entra is to be left alone at the moment: it did not answer, or asked for that."""
        return isinstance(self._failure, TokenUnavailable) and self._elapsed() < self._ask_again_at

    def ask_soon(self) -> None:
        """Let the next request be made at once where Entra refused the last one: something has changed."""
        if not self.resting:
            self._ask_again_at = 0.0

    def _replace(self, held: _Held | None) -> AccessToken:
        """
        Return a newer token.

        Where there is none in place of one that Exchange refused, this fails once; after that the old one is tried
        again, for Exchange refuses good ones at times.

        Raises:
            TokenUnavailable: Entra does not answer.
            CredentialsRejected: Entra refuses.
        """
        rejected = held is not None and held.rejected
        if self._failure is None or self._elapsed() >= self._ask_again_at:
            newer = self._try(held)
            if newer is not None:
                return newer
        if held is not None and rejected:
            self._mark(held.token, rejected=False)
        raise self._told()

    def _mark(self, token: AccessToken, *, rejected: bool) -> None:
        with self._state:
            if self._held is not None and self._held.token is token:
                self._held = replace(self._held, rejected=rejected)

    def _try(self, held: _Held | None) -> AccessToken | None:
        try:
            self.take(self._ask())
        except BridgeError as error:
            if self._failure is None:
                self._failed_since = self._elapsed()
            self._failure = error
            self._ask_again_at = self._elapsed() + self._wait(error, held)
            self._failures += 1
            return None
        if held is not None and held.rejected:
            with self._state:  # one that Entra did not give is none: for those there are the waits
                self._replacements -= 1
        newest = self._held
        return newest.token if newest is not None else None

    def _wait(self, error: BridgeError, held: _Held | None) -> float:
        """Return for how long to leave Entra alone after a failure; without a token mail waits."""
        refused = isinstance(error, CredentialsRejected)
        usable = held is not None and not held.rejected and self._lives(held)
        wait = _WAITS[refused, usable].wait_seconds(self._failures + 1, self._chance())
        if held is not None and usable:
            wait = min(wait, max(_FIRST_WAIT_SECONDS, self._left_seconds(held)))
        stated = error.retry_after_seconds if isinstance(error, TokenUnavailable) else None
        # Many workers were told the same: they come back one after the other.
        return wait if stated is None else max(wait, stated * (1 + 0.2 * self._chance()))

    def _told(self) -> BridgeError:
        """Return the last failure as a new error; one object raised in many threads would gather their frames."""
        error = self._failure
        if error is None:
            return TokenUnavailable()
        if isinstance(error, TokenUnavailable):
            now = self._elapsed()
            wait = max(0.0, self._ask_again_at - now)
            if error.retry_after_seconds is None:
                # Asking here again costs nobody anything, and mail goes on the sooner once there is a token.
                wait = min(wait, _TOLD_SECONDS if now - self._failed_since < _LONG_SECONDS else _TOLD_LATER_SECONDS)
            return TokenUnavailable(error.detail, retry_after_seconds=wait, code=error.code)
        long = self._elapsed() - self._failed_since >= _LONG_SECONDS
        wait = _TOLD_REFUSED_LATER_SECONDS if long else _TOLD_REFUSED_SECONDS
        return CredentialsRejected(error.detail, code=error.code, retry_after_seconds=wait)

    def _lives(self, held: _Held) -> bool:
        margin = min(_MARGIN_SECONDS, max(_LEAST_MARGIN_SECONDS, held.life_seconds * _MARGIN_SHARE))
        return self._left_seconds(held) > margin

    def _due(self, held: _Held) -> bool:
        return held.rejected or self._elapsed() >= held.renew_at

    def _left_seconds(self, held: _Held) -> float:
        return held.token.ends_at - self._elapsed()
