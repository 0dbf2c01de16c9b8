"""How long a mailbox waits for its next listing after one that succeeded: as little as is worth the calls."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.domain.disposition import RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable

_GROWTH: Final = 1.25
_SHARE: Final = 10.0
"""Waits are at least so many times as long as a listing takes: where Exchange is slow, it is asked less often."""
_SPREAD_AT_FIRST: Final = 0.8
_SPREAD_LATER: Final = 0.1
_FREE_WAKES: Final = 3
_WAKE_WAITS: Final = RetryPolicy(first_seconds=0.2, longest_seconds=2.0, spread_factors=(1.0, 1.0))
"""A mail that comes amid wake-ups for nothing is late by so much at most."""


@dataclass(slots=True)
class PollSchedule:
    """
    The wait after each pass over a mailbox that succeeded; after a failure the caller backs off.

    While a stream tells of new mail, listing only finds what it did not tell of. Without one, the wait grows with each
    pass that found nothing, and begins anew with the first mail.
    """

    least_seconds: float
    """After a mail, without a stream."""
    most_seconds: float
    """After a long time without any, without a stream."""
    listing_interval_seconds: float
    """With a stream."""
    spread: Callable[[], float] = lambda: 0.0
    """Between 0 and 1: parts mailboxes that one stream has woken, which would be listed together ever after."""
    _wait: float = field(default=0.0)
    _apart: bool = field(default=False)
    _idle_wakes: int = field(default=0)
    _woken: bool = field(default=False)

    def after(self, *, published: int, seconds: float, told: bool, settled: bool) -> float:
        """
        Return the wait after a pass that took `seconds`; `settled` is whether nothing stays that must be tried again.

        Raises nothing, and never returns more than the longest of the configured waits; without a stream never more
        than `most_seconds`, which is how late a mail may then be found.
        """
        if not self._woken:
            self._idle_wakes = 0  # what comes so rarely is no flood
        self._woken = False
        if published or not self._wait:
            self._wait = self.least_seconds
        elif not told:
            self._wait = min(self.most_seconds, self._wait * _GROWTH)
        if told and settled:
            self._wait = self.least_seconds
            share = _SPREAD_LATER if self._apart else _SPREAD_AT_FIRST
            self._apart = True
            return self.listing_interval_seconds * (1.0 - share * self.spread())
        return min(self.most_seconds, max(self._wait if settled else self.least_seconds, seconds * _SHARE))

    def after_wake(self, *, published: int) -> float:
        """Return how long a wake-up waits after a pass that followed one: none, unless they are over and over idle."""
        self._apart, self._woken = False, True
        self._idle_wakes = 0 if published else self._idle_wakes + 1
        over = self._idle_wakes - _FREE_WAKES
        if over <= 0:
            return 0.0
        return min(self.least_seconds, _WAKE_WAITS.wait_seconds(over))
