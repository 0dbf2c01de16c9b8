"""
`python -m tests.fuzz.scale [--size 1000000]`: what each class of hostile mail costs at n, 2n and 4n bytes.

A table of the dearest; the exit code is 1 where time grows faster than size, or a bound is broken.
"""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import random
import resource
import sys
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.fuzz.classes import CLASSES
from tests.fuzz.promises import MEMORY_BYTES, MEMORY_PER_BYTE, SECONDS, SECONDS_PER_BYTE, made
from tests.support.hostile_mail import STRUCTURES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.connection import Connection

_SHOWN = 20
_NOISE_SECONDS = 0.25
"""Below that a ratio of times says nothing: a mail that comes to one of the parser's limits may cost a little more."""
_MOST_GROWTH = 3.0
"""For twice the size; what grows with the square has four."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one mail cost."""

    size: int
    seconds: float
    peak_bytes: int


def cost(make: Callable[[], bytes]) -> Cost:
    """Return what a mail costs; in a process of its own, so that the peak of memory is its own."""
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(target=_measure, args=(make, theirs))
    process.start()
    theirs.close()
    try:
        found: Cost = ours.recv()
    finally:
        process.join()
    return found


def _measure(make: Callable[[], bytes], answer: Connection) -> None:
    raw = make()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.process_time()
    made(raw)
    seconds = time.process_time() - started
    answer.send(Cost(len(raw), seconds, (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * 1024))


def variants() -> Iterator[tuple[str, Callable[[int], bytes]]]:
    """Yield every structure, and each class with several states of its generator: they choose its pieces."""
    yield from STRUCTURES.items()
    for name, make in CLASSES.items():
        for state in range(12):
            yield f"{name} {state}", lambda size, make=make, state=state: make(random.Random(state), size)  # type: ignore[misc]


def grows_too_fast(costs: list[Cost]) -> bool:
    """Return whether time grew faster than size between neighbours, where it can be told."""
    return any(
        more.seconds > _NOISE_SECONDS
        and more.seconds / max(less.seconds, _NOISE_SECONDS / 4) > _MOST_GROWTH * more.size / less.size / 2
        for less, more in itertools.pairwise(costs)
    )


def main() -> int:
    """Measure all."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--size", type=int, default=1_000_000)
    options.add_argument("names", nargs="*", help="only those whose name begins so")
    given = options.parse_args()
    wrong = []
    found: list[tuple[str, list[Cost]]] = []
    for name, make in variants():
        if given.names and not name.startswith(tuple(given.names)):
            continue
        costs = [cost(lambda make=make, times=times: make(given.size * times)) for times in (1, 2, 4)]  # type: ignore[misc]
        found.append((name, costs))
        if grows_too_fast(costs):
            wrong.append(f"{name}: faster than linear: " + ", ".join(f"{c.size} B {c.seconds:.2f} s" for c in costs))
        for one in costs:
            if one.seconds > SECONDS + SECONDS_PER_BYTE * one.size:
                wrong.append(f"{name}: {one.seconds:.2f} s for {one.size} bytes")
            if one.peak_bytes > MEMORY_BYTES + MEMORY_PER_BYTE * one.size:
                wrong.append(f"{name}: {one.peak_bytes / 1e6:.0f} MB for {one.size} bytes")
    print("dearest in time")
    for name, costs in sorted(found, key=lambda entry: -entry[1][-1].seconds)[:_SHOWN]:
        each = costs[-1].seconds / costs[-1].size * 1e6
        print(f"{' '.join(f'{c.seconds:7.3f}' for c in costs)} s  {each:6.2f} us/B  {name}")
    print("dearest in memory")
    for name, costs in sorted(found, key=lambda entry: -entry[1][-1].peak_bytes)[:_SHOWN]:
        times = costs[-1].peak_bytes / costs[-1].size
        print(f"{' '.join(f'{c.peak_bytes / 1e6:6.0f}' for c in costs)} MB  {times:5.1f} times  {name}")
    for line in wrong:
        print(f"WRONG {line}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
