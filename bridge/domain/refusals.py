"""
When a mail that a queue refused is published again.

RabbitMQ answers a publish with nack when one of the queues that it is routed to refuses it, even if others have stored
it: each try may leave a copy in a healthy queue. Which queues a publish reaches depends on its routing key alone, so a
refusal is about the routing key. The first publish of a mail is never held back, since a healthy queue waits for it;
the tries after that are few.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

COPIES_PER_HOUR: Final = 8
"""No refused mail is published more often than this in any hour, whatever its queues do."""
_HOUR_SECONDS: Final = 3_600.0
_WAITS_SECONDS: Final = (60.0, 180.0, 600.0, 900.0)
PROBE_SECONDS: Final = 30.0
"""Of all mails with a refused routing key one is tried this often."""
_OPEN_AFTER: Final = 3
_GROWTH: Final = 2


@dataclass(slots=True)
class RefusedKey:
    """
    What is known of a routing key whose mails were refused.

    Once a mail passes, two may follow, then four, and so on: a queue with little room gets few repeats.
    """

    next_probe_at: float
    passed: int = 0
    """How many mails were confirmed since the last refusal."""
    _allowed: int = 0

    @property
    def is_open(self) -> bool:
        """Whether so many mails have passed in a row that the queues seem to have room again."""
        return self.passed >= _OPEN_AFTER

    def refuse(self, now: float) -> None:
        """Note a refusal."""
        self.passed = self._allowed = 0
        self.next_probe_at = now + PROBE_SECONDS

    def confirm(self) -> None:
        """Note that a mail of this routing key was confirmed."""
        self.passed += 1
        self._allowed += _GROWTH

    def take(self, now: float, waiting: int) -> int:
        """Return how many of the mails that wait may be published again now; they count as tried."""
        if self._allowed:
            taken = min(self._allowed, waiting)
            self._allowed -= taken
            return taken
        if waiting and now >= self.next_probe_at:
            self.next_probe_at = now + PROBE_SECONDS
            return 1
        return 0


def recent(published_at: Sequence[float], now: float) -> tuple[float, ...]:
    """Return those of a mail's publishes that still count."""
    return tuple(moment for moment in published_at if now - moment < _HOUR_SECONDS)


def may_repeat(published_at: Sequence[float], now: float, *, is_open: bool) -> bool:
    """
    Return whether a refused mail may be published again.

    Args:
        published_at: When it was published, oldest first, each time refused.
        now: By the same clock.
        is_open: Whether others of its routing key pass, so that a refusal is unlikely.
    """
    tries = recent(published_at, now)
    if not tries:
        return True
    if len(tries) >= COPIES_PER_HOUR:
        return False
    return is_open or now - tries[-1] >= _WAITS_SECONDS[min(len(tries), len(_WAITS_SECONDS)) - 1]
