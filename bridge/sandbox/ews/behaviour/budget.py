"""How many calls one app may make in one mailbox: so many a minute, and so many at once before that counts."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable

_MINUTE: Final = 60.0
_WORTH_IT: Final = 0.1
"""Who is sent away is asked to come back when so much of the budget is there again."""


@dataclass(slots=True)
class CallBudget:
    """The budgets by who calls and in which mailbox. Safe from any thread; a restart fills them all."""

    elapsed: Callable[[], float]
    _left: dict[tuple[str, str], tuple[float, float]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spend(self, budget: tuple[str, str], *, a_minute: int, burst: int) -> float:
        """Take one call from a budget; where none is left, return after how many seconds there are some, else 0."""
        now = self.elapsed()
        with self._lock:
            left, at = self._left.get(budget, (float(burst), now))
            left = min(float(burst), left + (now - at) * a_minute / _MINUTE)
            enough = left >= 1.0
            self._left[budget] = (left - 1.0 if enough else left), now
        return 0.0 if enough else (max(1.0, burst * _WORTH_IT) - left) * _MINUTE / a_minute
