"""
What time it is, from what servers say in the Date of their answers, with bounds on how wrong that can be.

A Date tells whole seconds, and was written some time between the request and the answer: it bounds the server's clock,
and does not give it. Whoever decides about age takes the careful bound: a request has expired when it has at the
earliest time that it can be, and may be sent while it has not at the latest.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Literal

from bridge.domain.clock_skew import DOUBTFUL_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

TIME_UNKNOWN: Final = "time_unknown"
CLOCKS_DISAGREE: Final = "clocks_disagree"

_RESOLUTION_SECONDS: Final = 1.0
_READINGS: Final = 5
"""So many answers of a server count. One with a wrong Date, of a cache or a proxy, is forgotten after as many."""
_OUTDATED_SECONDS: Final = 2 * 3600.0
"""A server that was last heard so long before another one counts no more: this machine may have been halted since."""
_MISSED_SECONDS: Final = 20.0
"""So long somebody has wanted to know the time before it is told that nobody does."""
_POSSIBLE: Final = (datetime(2020, 1, 1, tzinfo=UTC).timestamp(), datetime(2200, 1, 1, tzinfo=UTC).timestamp())


@dataclass(frozen=True, slots=True)
class TimeSpan:
    """It is some time between these two, both included."""

    earliest: datetime
    latest: datetime


@dataclass(frozen=True, slots=True)
class Offset:
    """Bounds of how far a server's clock is ahead of one that only ever grows, in seconds."""

    low: float
    high: float

    def holds(self, other: Offset) -> bool:
        """Whether the other one says as much or more."""
        return self.low <= other.low and other.high <= self.high

    def span(self, elapsed: float) -> TimeSpan:
        """Return what time it is when the other clock says `elapsed`."""
        return TimeSpan(
            datetime.fromtimestamp(elapsed + self.low, UTC),
            datetime.fromtimestamp(elapsed + self.high, UTC),
        )


def offset_of(date: float, *, asked_at: float, answered_at: float) -> Offset | None:
    """Return what one Date tells, None where no clock that anybody set says so."""
    first, last = _POSSIBLE
    if not first <= date <= last:
        return None
    return Offset(date - answered_at, date + _RESOLUTION_SECONDS - asked_at)


def apart(offsets: Sequence[Offset]) -> float:
    """Return by how much bounds contradict each other at least; 0 where all may be true, however wide they are."""
    return max(0.0, max(one.low for one in offsets) - min(one.high for one in offsets))


def hull(offsets: Iterable[Offset]) -> Offset:
    """Return the bounds of all of them together; there is at least one."""
    lows, highs = zip(*((one.low, one.high) for one in offsets), strict=True)
    return Offset(min(lows), max(highs))


@dataclass(frozen=True, slots=True)
class Readings:
    """The last answers of one server that told something new."""

    offsets: tuple[Offset, ...] = ()

    def __add__(self, offset: Offset) -> Readings:
        """Return them with one more; one that is only less exact tells nothing."""
        known = self.offset
        if known is not None and offset.holds(known):
            return self
        return Readings((*self.offsets[1 - _READINGS :], offset))

    @property
    def offset(self) -> Offset | None:
        """What all of them agree on; where they do not, what holds all of them. None while there is none."""
        if not self.offsets:
            return None
        low, high = max(one.low for one in self.offsets), min(one.high for one in self.offsets)
        return Offset(low, high) if low <= high else hull(self.offsets)

    @property
    def apart(self) -> float:
        """By how much they contradict each other, in seconds."""
        return apart(self.offsets) if self.offsets else 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """What one server says, and when it last did, by the clock that only ever grows."""

    server: str
    offset: Offset
    at: float
    apart: float = 0.0
    """By how much its own answers contradict each other, in seconds."""


def counted(heard: Iterable[Heard]) -> list[Heard]:
    """Return the servers that count, the last heard first."""
    latest_first = sorted(heard, key=lambda one: one.at, reverse=True)
    return [one for one in latest_first if latest_first[0].at - one.at <= _OUTDATED_SECONDS]


def is_over(known: TimeSpan | None, moment: datetime) -> bool:
    """Whether a moment has surely come."""
    return known is not None and known.earliest >= moment


def is_to_come(known: TimeSpan | None, moment: datetime) -> bool:
    """Whether a moment is surely still to come."""
    return known is not None and known.latest < moment


@dataclass(frozen=True, slots=True)
class ClockState:
    """How the clocks stand to each other."""

    heard: tuple[Heard, ...] = ()
    """The servers that count."""
    own_ahead_seconds: float = 0.0
    """How far this machine's clock is ahead of what the servers say; 0 where it is within their bounds."""
    missed_seconds: float = field(default=0.0)
    """For how long somebody has wanted to know the time in vain."""

    def told(self) -> tuple[Literal["ok", "warning", "trouble"], str, str] | None:
        """Return status, code and detail for a person; None while nobody has asked and nobody has said."""
        if not self.heard:
            told = "no answer of Exchange or Entra has said what time it is; what depends on it waits"
            return ("trouble", TIME_UNKNOWN, told) if self.missed_seconds >= _MISSED_SECONDS else None
        differ = max(apart([one.offset for one in self.heard]), *(one.apart for one in self.heard))
        if differ >= DOUBTFUL_SECONDS:
            names = " and ".join(sorted({one.server for one in self.heard}))
            return "warning", CLOCKS_DISAGREE, f"the times that answers of {names} tell are {differ:.0f} s apart"
        if abs(self.own_ahead_seconds) >= DOUBTFUL_SECONDS:
            how = "ahead" if self.own_ahead_seconds > 0 else "behind"
            return "warning", "clock_skew", f"this machine's clock is {abs(self.own_ahead_seconds):.0f} s {how}"
        return "ok", "ok", ""
