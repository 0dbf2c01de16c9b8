"""How many mails may be parked: a few are bad mail, a burst is a bug or a sick server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

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
    _parked: dict[str, float] = field(default_factory=dict)

    def learn(self, now: float, ages: Iterable[float]) -> None:
        """Note mails that were parked before, by whomever; each took place so many seconds ago."""
        self._parked |= {f"earlier {number}": now - age for number, age in enumerate(ages)}

    def is_open(self, now: float, mail: str = "") -> bool:
        """Whether one more may be parked, or this one, which may have been tried before."""
        for one in [one for one, since in self._parked.items() if now - since >= self.limit.within_seconds]:
            del self._parked[one]
        return mail in self._parked or len(self._parked) < self.limit.mails

    def count(self, now: float, mail: str) -> None:
        """Note that a mail is being parked; one that cannot be moved, and is tried over and over, counts once."""
        self._parked.setdefault(mail, now)
