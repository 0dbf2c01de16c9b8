"""How many mails may be parked: a few are bad mail, a burst is a bug or a sick server."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Final

PARKED_FOLDER: Final = "Bridge Parked"
"""Beside the inbox. Mails lie there as they came; nothing is ever deleted from it."""


@dataclass(frozen=True, slots=True)
class ParkingLimit:
    """So many mails of one mailbox within this time, and no more."""

    mails: int = 20
    within_seconds: float = 3600.0


@dataclass(slots=True)
class ParkingWindow:
    """The mails that were parked lately; times are those of a monotonic clock, in seconds."""

    limit: ParkingLimit
    _parked: deque[float] = field(default_factory=deque)

    def is_open(self, now: float) -> bool:
        """Whether one more may be parked."""
        while self._parked and now - self._parked[0] >= self.limit.within_seconds:
            self._parked.popleft()
        return len(self._parked) < self.limit.mails

    def count(self, now: float) -> None:
        """Note that one is being parked."""
        self._parked.append(now)
