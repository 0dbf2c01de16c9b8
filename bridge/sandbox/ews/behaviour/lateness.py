"""Which items a search by named property does not find yet: what was stored, changed or moved a moment ago."""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.ews.behaviour.delays import spread_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


@dataclass(slots=True)
class LateSearches:
    """
    The transactions of the last moments, each by the change numbers that it gave out and when searches find them.

    Safe from any thread. A restart forgets them: all that is stored is found then.
    """

    elapsed: Callable[[], float]
    _until: deque[tuple[int, int, float]] = field(default_factory=deque)
    _last: int | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def committed(self, change: int, delay: float | Sequence[float]) -> None:
        """Note that all change numbers up to this one are given out, and stored."""
        with self._lock:
            if self._last is not None and change > self._last:
                self._until.append((self._last, change, self.elapsed() + spread_seconds(delay, "search", change)))
            self._last = max(change, self._last or 0)

    def forget(self) -> None:
        """Let all be found, also what is stored before the next transaction is noted."""
        with self._lock:
            self._until.clear()
            self._last = None

    def hidden(self) -> list[tuple[int, int]]:
        """Return the stretches of change numbers that are not found yet, each without its first number."""
        now = self.elapsed()
        with self._lock:
            while self._until and self._until[0][2] <= now:
                self._until.popleft()
            stretches: list[tuple[int, int]] = []
            for first, last, until in self._until:
                if until <= now:
                    continue
                if stretches and stretches[-1][1] == first:
                    stretches[-1] = stretches[-1][0], last
                else:
                    stretches.append((first, last))
            return stretches
