"""When a mailbox cannot be sent from: pause, try again slowly, and let one request go ahead of the others."""

from __future__ import annotations

import asyncio
import random
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.egress.admission.queue import ConcurrencyLimit
from bridge.egress.options import PauseOptions
from bridge.errors import MailboxThrottled, OperatorError, TokenUnavailable, TransientError
from bridge.flow.waiting import wait_for_any
from bridge.telemetry.egress_events import DrainingPaused, DrainingResumed

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.errors import BridgeError
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit

_SHORT_WAIT_SECONDS = 5.0
_NEARLY_OVER_SECONDS = 30.0
_LONGEST_SPREAD_SECONDS = 1.0
"""What parts mailboxes that Exchange told the same wait makes none of them later than this."""
_LONG_PAUSE_SECONDS = 120.0
_SOON_AT_ONCE = 250
"""So many requests ask again every few seconds while a mailbox may be back in a moment; the others of thousands less
often, or a long outage would be spent on passing them round."""


class HeldBack(MailboxThrottled):
    """A call that was not made: Exchange asked for quiet, and the time is not over."""


class Availability:
    """
    Whether a mailbox may be used.

    A probe that reads proves little about sending. So after it only one request at a time goes on, until one has come
    to its end: a mailbox that can be read but not sent from is not stormed each time.

    A pause that Exchange asked for is more: a quiet time. No call at all is made in it, and nothing ends it early.
    """

    def __init__(self, alias: str, clock: Clock, emit: Emit, options: PauseOptions | None = None) -> None:
        self._alias = alias
        self._clock = clock
        self._emit = emit
        self._options = options or PauseOptions()
        self._since: float | None = None
        self._failures = 0
        self._wait = 0.0
        self._quiet_until = 0.0
        self._passing = False
        self._tokens = False
        """Whether it waits for a token: the source of tokens asks again often, and says when."""
        self._trial = False
        self._soon, self._soon_since = 0, clock.monotonic()
        self._one = ConcurrencyLimit(1, clock)
        self._moved = asyncio.Event()
        self._random = random.Random()  # noqa: S311 - spread, no secret
        self.code: str | None = None
        """Why it is paused, None while it is not."""
        self.detail = ""
        self.changed = asyncio.Event()
        """Set at each pause; whoever waits for the next probe clears it."""

    @property
    def paused(self) -> bool:
        """Whether nothing may be begun."""
        return self.code is not None

    @property
    def paused_for_seconds(self) -> float:
        """Return how long it has been paused, with the tries in between."""
        return 0.0 if self._since is None else self._clock.monotonic() - self._since

    @property
    def wait_seconds(self) -> float:
        """Return the time until the next probe; of one that Exchange asked for, what is left by now."""
        return self.quiet_seconds if self._throttled else self._wait

    @property
    def quiet_seconds(self) -> float:
        """Return how long the mailbox is to be left alone yet; 0 where Exchange did not ask for it, or it is over."""
        return max(0.0, self._quiet_until - self._clock.monotonic())

    @property
    def nearly_over(self) -> bool:
        """Whether Exchange asked for quiet, for so short a time yet that a request in hand may wait for it here."""
        return self._throttled and self.quiet_seconds <= _NEARLY_OVER_SECONDS

    async def wait_for_change(self, seconds: float, stop: asyncio.Event) -> None:
        """Return when the mailbox is paused anew or may be used again, after `seconds`, or once `stop` is set."""
        await wait_for_any(seconds, self._moved, stop)

    def circulation_seconds(self) -> float:
        """Return how long an ordinary request that waits now stays in the broker before it asks again, at most."""
        if self._throttled:
            return self.quiet_seconds
        now = self._clock.monotonic()
        if now - self._soon_since >= _SHORT_WAIT_SECONDS:
            self._soon, self._soon_since = 0, now
        short = self._wait <= _SHORT_WAIT_SECONDS or self._tokens
        if self._passing and short and self._soon < _SOON_AT_ONCE:
            self._soon += 1
            return _SHORT_WAIT_SECONDS
        return 30.0 if self.paused_for_seconds < _LONG_PAUSE_SECONDS else 120.0

    def pause(self, error: BridgeError) -> None:
        """
        Begin nothing more; several that fail at the same time count as one failure.

        Of waits that Exchange states the one that ends last counts, also where the mailbox is paused already.
        """
        if isinstance(error, HeldBack) or (self.paused and not self._asks_for_more(error)):
            return
        passing = isinstance(error, TransientError)
        if passing is not self._passing:  # another trouble: what the last one's failures counted says nothing of it
            self._failures = 0
        self._passing, self._tokens = passing, isinstance(error, TokenUnavailable)
        if not (self.paused and self.quiet_seconds):
            self._failures += 1
        self._wait = max(self._wait_after(error), self.quiet_seconds)
        if isinstance(error, MailboxThrottled):
            self._quiet_until = self._clock.monotonic() + self._wait
        self.code, self.detail = error.code, error.detail
        self._trial = True
        if self._since is None:
            self._since = self._clock.monotonic()
        self._emit(DrainingPaused(self._alias, error.code, error.detail, self._wait))
        self.changed.set()
        self._move()

    def still(self, error: BridgeError) -> None:
        """A probe failed."""
        if not isinstance(error, MailboxThrottled):  # of which the pause may have heard already
            self.code = None
        self.pause(error)

    def try_again(self) -> None:
        """A probe succeeded: let one request go ahead, unless Exchange asked for quiet meanwhile."""
        if not self.quiet_seconds:
            self.code, self.detail = None, ""
            self._move()

    def resume(self) -> None:
        """A request came to its end: the mailbox works."""
        if self._throttled:
            self.try_again()  # none ends in a quiet time but one whose calls were over before, or came after it
        if self.paused:
            return  # by another one, later
        self._trial = False
        self._failures = 0
        if self._since is not None:
            self._emit(DrainingResumed(self._alias, self._clock.monotonic() - self._since))
            self._since = None

    @asynccontextmanager
    async def turn(self, *, urgent: bool) -> AsyncIterator[None]:
        """Go on at once, or one at a time while nothing is proved yet, urgent ones first."""
        if not self._trial:
            yield
            return
        async with self._one.slot(urgent=urgent):
            yield

    def _move(self) -> None:
        self._moved.set()
        self._moved = asyncio.Event()

    @property
    def _throttled(self) -> bool:
        return self.code == MailboxThrottled.code

    def _asks_for_more(self, error: BridgeError) -> bool:
        if not isinstance(error, MailboxThrottled):
            return False
        stated, quiet = error.retry_after_seconds, self.quiet_seconds
        return not quiet or (stated is not None and min(stated, self._options.longest_stated_seconds) > quiet)

    def _wait_after(self, error: BridgeError) -> float:
        policy = self._options.operator if isinstance(error, OperatorError) else self._options.transient
        wait, first = policy.wait_seconds(self._failures), policy.first_seconds
        if isinstance(error, OperatorError) and error.retry_after_seconds is not None:
            return min(wait, max(first, error.retry_after_seconds))
        stated = error.retry_after_seconds if isinstance(error, TransientError) else None
        # Never earlier than Exchange said; later by so much as parts those that it told the same.
        spread = min((stated or 0.0) / 10, _LONGEST_SPREAD_SECONDS) * self._random.random()
        asked = min((stated or 0.0) + spread, self._options.longest_stated_seconds)
        if stated is not None and isinstance(error, TokenUnavailable | MailboxThrottled):
            return max(first, asked)  # who says it knows best, every time anew: to add to it would only be late
        return max(wait, asked)
