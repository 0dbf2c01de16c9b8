"""What processes hold, sampled from `/proc` every few seconds, and whether any of it grows."""

from __future__ import annotations

import contextlib
import json
import re
import statistics
import time
from dataclasses import asdict, astuple, dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_PROC = Path("/proc")
_ESTABLISHED = "01"
_SHOWN_PAIRS = 200
"""Samples of which a slope is made; of more, evenly chosen ones."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One process at one moment."""

    seconds: float
    memory_kib: float
    threads: float
    descriptors: float
    connections: float


@dataclass(frozen=True, slots=True)
class Bound:
    """How much a figure may grow over the samples that are looked at."""

    figure: str
    growth: float


@dataclass
class Watch:
    """The samples of several processes, by name; also as lines of JSON in `log`, to be looked at meanwhile."""

    pids: Mapping[str, int]
    log: Path
    samples: dict[str, list[Sample]] = field(default_factory=dict)
    begun: float = field(default_factory=time.monotonic)

    def look(self) -> None:
        """Take one sample of each; a process that has ended has no more of them."""
        for name, pid in self.pids.items():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                sample = _sample(pid, time.monotonic() - self.begun)
                self.samples.setdefault(name, []).append(sample)
                with self.log.open("a") as log:
                    log.write(json.dumps({"process": name, **asdict(sample)}) + "\n")


def _sample(pid: int, seconds: float) -> Sample:
    status = (_PROC / str(pid) / "status").read_text()
    inodes, descriptors = set(), 0
    for link in (_PROC / str(pid) / "fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            target = str(link.readlink())
            descriptors += 1
            if match := re.fullmatch(r"socket:\[(\d+)\]", target):
                inodes.add(match[1])
    return Sample(seconds, _number(status, "VmRSS"), _number(status, "Threads"), descriptors, _connections(pid, inodes))


def _number(status: str, key: str) -> float:
    match = re.search(rf"^{key}:\s+(\d+)", status, re.MULTILINE)
    if match is None:  # a process that has ended and was not waited for
        raise ProcessLookupError(key)
    return float(match[1])


def _connections(pid: int, inodes: set[str]) -> int:
    count = 0
    for table in ("tcp", "tcp6"):
        for line in (_PROC / str(pid) / "net" / table).read_text().splitlines()[1:]:
            columns = line.split()
            count += columns[3] == _ESTABLISHED and columns[9] in inodes
    return count


def settled(samples: Sequence[Sample]) -> Sequence[Sample]:
    """Return the last two thirds: in the first one caches fill and connections are made."""
    return samples[len(samples) // 3 :]


def growth(samples: Sequence[Sample], figure: str) -> float:
    """
    Return by how much a figure grew over the samples, along the line that fits them.

    The line is that of Theil and Sen, the median of the slopes between any two samples: a peak that passes does not
    bend it.
    """
    step = max(1, len(samples) // _SHOWN_PAIRS)
    points = [(sample.seconds, float(getattr(sample, figure))) for sample in samples[::step]]
    slopes = [(b - a) / (t - s) for (s, a), (t, b) in combinations(points, 2) if t > s]
    return statistics.median(slopes) * (points[-1][0] - points[0][0]) if slopes else 0.0


def most(every: Sequence[Sequence[Sample]]) -> list[Sample]:
    """Return the most that any of several processes held at a time; they were looked at together."""
    return [Sample(*map(max, zip(*map(astuple, together), strict=True))) for together in zip(*every, strict=False)]


def grown(name: str, samples: Sequence[Sample], bounds: Sequence[Bound]) -> list[str]:
    """Return a line for each figure of a process that grew beyond its bound."""
    return [
        f"{name}: {bound.figure} grew by {by:.1f}, more than {bound.growth:g}"
        for bound in bounds
        if (by := growth(samples, bound.figure)) > bound.growth
    ]
