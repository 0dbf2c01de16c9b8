"""Each mail that arrived twice, by identity: something that may repeat a mail happened while that one was in flight."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import accumulate, combinations
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

SHARED = "shared"
_PUBLISHED = "ingest.mail_published"
_LINGERING, _AT_ONCE = 5.0, 1.0
_MAY_REPEAT = {
    "kill ingest": _AT_ONCE,
    "cut short ingest": _AT_ONCE,
    "cut amqp of ingest": _AT_ONCE,
    "freeze ingest": _LINGERING,
    "black-hole amqp of ingest": _LINGERING,
    "kill broker": _LINGERING,
    "freeze broker": _LINGERING,
    "alarm": _LINGERING,
}
"""
What takes from a reader what it knows, or from its publishes their confirms, and for how many seconds after its end. A
process that was killed and a link that was cut are gone at once; a silent one is noticed by a missing heartbeat or
confirm, and what it kept arrives late. Exchange can do neither, unless a reader was stopped and could remove nothing
for all the time that a stop may take.
"""
_ROUNDING_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that went wrong, and when, in seconds of the machine's clock."""

    what: str
    where: str
    """The station that it happened to; `shared` for what all of them use."""
    begun: float
    ended: float


@dataclass
class Faults:
    """What was done to whom and when, and how often what."""

    counts: Counter[str] = field(default_factory=Counter)
    all: list[Fault] = field(default_factory=list)

    def tell(self, what: str, where: str, begun: float) -> None:
        """Note something that ends now, by the machine's clock, and say so on standard error."""
        self.counts[what] += 1
        self.all.append(Fault(what, where, begun, time.time()))
        sys.stderr.write(f"{time.strftime('%H:%M:%S')} {what}\n")


@dataclass(frozen=True, slots=True)
class Arrival:
    """A mail as the queue holds it, once; in the order of the queue."""

    message_id: str
    received_at: float
    """When Exchange had it: nobody can have published it before."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A publish that was confirmed, as its worker told it."""

    station: str
    begun: float
    ended: float


def read_publishes(logs: Mapping[str, Path]) -> dict[str, list[Publish]]:
    """Return by message_id what the workers of these stations published, from all their lives, oldest first."""
    found: dict[str, list[Publish]] = defaultdict(list)
    for station, log in logs.items():
        with log.open(errors="replace") as lines:
            for line in lines:
                if _PUBLISHED in line and (told := _told(line)) is not None:
                    message_id, ended, seconds = told
                    found[message_id].append(Publish(station, ended - seconds, ended))
    return {message_id: sorted(ones, key=lambda one: one.begun) for message_id, ones in found.items()}


def _told(line: str) -> tuple[str, float, float] | None:
    try:
        fields = json.loads(line)
        at = datetime.fromisoformat(fields["at"]).timestamp()
        return str(fields["message_id"]), at, float(fields["publish_seconds"])
    except (ValueError, KeyError, TypeError):  # the last line of one that was killed
        return None


def unexplained(
    arrivals: Sequence[Arrival], publishes: Mapping[str, Sequence[Publish]], faults: Sequence[Fault]
) -> list[str]:
    """
    Return a line for each mail that was repeated, unless a fault touched that very mail each time.

    Each copy but the last must have been kept from its removal: something happened to the worker that had published it,
    or to the broker, before the next copy was published. A copy of which no worker could tell has lost its worker or
    its confirm: something happened during that very publish. When it was published shows by those around it in the
    queue.
    """
    times = _times(arrivals, publishes)
    copies: dict[str, list[_Copy]] = defaultdict(list)
    for arrival, (earliest, latest) in zip(arrivals, times, strict=True):
        copies[arrival.message_id].append(_Copy(max(earliest, arrival.received_at), latest))
    problems = []
    for message_id, each in copies.items():
        told = publishes.get(message_id, ())
        if len(each) < 2 or any(_explained(one, faults) for one in _assigned(each, told)):
            continue
        when = ", ".join(f"{copy.earliest:.2f} to {copy.latest:.2f}" for copy in each)
        by = ", ".join(f"{one.station} {one.begun:.2f} to {one.ended:.2f}" for one in told)
        problems.append(
            f"{message_id}: arrived {len(each)} times, and nothing happened to it in between "
            f"(published {when}; told by {by or 'nobody'})"
        )
    return problems


@dataclass(frozen=True, slots=True)
class _Copy:
    """When one copy came into the queue, and the publish that told of it."""

    earliest: float
    latest: float
    told: Publish | None = None


def _times(arrivals: Sequence[Arrival], publishes: Mapping[str, Sequence[Publish]]) -> list[tuple[float, float]]:
    """Return between which times each message came into the queue, by those before and behind it that were told."""
    often = Counter(arrival.message_id for arrival in arrivals)
    known = [
        told[0] if often[arrival.message_id] == 1 and len(told := publishes.get(arrival.message_id, ())) == 1 else None
        for arrival in arrivals
    ]
    earliest = list(accumulate((one.begun if one else 0.0 for one in known), max))
    latest = list(accumulate((one.ended if one else inf for one in reversed(known)), min))
    return list(zip(earliest, reversed(latest), strict=True))


def _assigned(copies: Sequence[_Copy], told: Sequence[Publish]) -> Iterator[list[_Copy]]:
    """Yield every way to tell which publish made which copy, in their order."""
    for chosen in combinations(range(len(copies)), min(len(told), len(copies))):
        which = dict(zip(chosen, told, strict=False))
        if all(_fits(copies[place], publish) for place, publish in which.items()):
            yield [replace(copy, told=which.get(place)) for place, copy in enumerate(copies)]


def _fits(copy: _Copy, publish: Publish) -> bool:
    return publish.begun <= copy.latest + _ROUNDING_SECONDS and publish.ended >= copy.earliest - _ROUNDING_SECONDS


def _explained(copies: Sequence[_Copy], faults: Sequence[Fault]) -> bool:
    for copy, after in zip(copies, [*copies[1:], None], strict=True):
        if copy.told is None:
            if not any(_touches(fault, copy.earliest, copy.latest + _LINGERING, None) for fault in faults):
                return False
        elif after is not None:
            until = after.told.begun if after.told is not None else after.latest
            if not any(_touches(fault, copy.told.begun, until, copy.told.station) for fault in faults):
                return False
    return True


def _touches(fault: Fault, begun: float, ended: float, station: str | None) -> bool:
    """Return whether a fault was at a station in that time, or at what all use; without a station, at any."""
    if fault.what not in _MAY_REPEAT or fault.begun > ended or fault.ended + _MAY_REPEAT[fault.what] < begun:
        return False
    return fault.where == SHARED or station is None or fault.where == station
