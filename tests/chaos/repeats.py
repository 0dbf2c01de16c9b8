"""Each mail that arrived twice, by identity: something that may repeat a mail happened while that one was in flight."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from datetime import datetime
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

SHARED = "shared"
_PUBLISHED = "ingest.mail_published"
_MAY_REPEAT = frozenset({
    "kill ingest",
    "cut short ingest",
    "freeze ingest",
    "cut amqp of ingest",
    "black-hole amqp of ingest",
    "kill broker",
    "freeze broker",
    "alarm",
})  # fmt: skip
"""
What takes from a reader what it knows, or from its publishes their confirms. Exchange can do neither, unless a reader
was stopped and could remove nothing for all the time that a stop may take.
"""
_NOTICED_WITHIN_SECONDS = 5.0
"""A lost link is noticed by a missing heartbeat or confirm, so long after it at most."""


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
    """A mail as the queue holds it, so often."""

    message_id: str
    copies: int
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
    arrivals: Iterable[Arrival], publishes: Mapping[str, Sequence[Publish]], faults: Sequence[Fault]
) -> list[str]:
    """
    Return a line for each mail that was repeated although nothing happened between its first publish and its removal.

    A mail is published again before it is removed. So the last publish that its worker could tell of ends the time in
    question, and the first one begins it; where fewer were told than arrived, a worker died or a confirm was lost over
    one: then the time begins with the mail's arrival, or ends with the run.
    """
    problems = []
    for arrival in arrivals:
        if arrival.copies < 2:
            continue
        told = publishes.get(arrival.message_id, ())
        whole = len(told) >= arrival.copies
        begun = told[0].begun if whole else arrival.received_at
        ended = told[-1].ended if whole else inf
        stations = {one.station for one in told[:-1]} if whole else None
        if not any(_explains(fault, begun, ended, stations) for fault in faults):
            problems.append(
                f"{arrival.message_id}: arrived {arrival.copies} times, and nothing happened while it was in flight "
                f"(from {begun:.2f} to {ended:.2f}, published by {[one.station for one in told]})"
            )
    return problems


def _explains(fault: Fault, begun: float, ended: float, stations: set[str] | None) -> bool:
    """Tell whether a fault hit a mail in flight, at whoever published it before its last time."""
    if fault.what not in _MAY_REPEAT or fault.begun > ended or fault.ended + _NOTICED_WITHIN_SECONDS < begun:
        return False
    return fault.where == SHARED or stations is None or fault.where in stations
