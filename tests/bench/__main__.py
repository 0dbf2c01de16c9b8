"""Benchmarks beside a naive bridge, on the same machine in the same run; `tests/bench/run.sh` starts it."""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.read import read
from tests.bench.sandbox import sandbox
from tests.bench.stage import Drained, Figure, Stage, alternating, machine

if TYPE_CHECKING:
    from collections.abc import Callable


def drain_lan(*, quick: bool) -> list[Figure]:
    """5,000 mails of 20 KB, nothing added."""
    mails, runs = (500, 1) if quick else (5_000, 3)
    return _drain("drain-lan", mails, runs, at_least=4.0)


def drain(*, quick: bool) -> list[Figure]:
    """500 mails of 20 KB, 100 ms added round trip to Exchange and 5 ms to the broker."""
    mails, runs = (100, 1) if quick else (500, 3)
    return _drain("drain", mails, runs, at_least=15.0, exchange_round_trip=0.1, broker_round_trip=0.005)


def _drain(name: str, mails: int, runs: int, *, at_least: float, **round_trips: float) -> list[Figure]:
    drained: dict[str, list[Drained]] = {"naive": [], "bridge": []}
    with Stage(**round_trips) as stage:
        for turn, who in enumerate(alternating(runs)):
            stage.fill(mails, size=20_000, seed=turn)
            done = stage.drain_with_bridge() if who == "bridge" else stage.drain_naively()
            drained[who].append(done)
            published = stage.purge()
            if published != mails:
                sys.exit(f"{name}: {who} published {published} of {mails}")
            _tell(name, who, done)
    ratios = [b.mails_per_second / n.mails_per_second for n, b in zip(drained["naive"], drained["bridge"], strict=True)]
    ratio = statistics.median(ratios)
    speed = {who: statistics.median(d.mails_per_second for d in done) for who, done in drained.items()}
    cpu = {who: statistics.median(d.worker_cpu_ms_per_mail for d in done) for who, done in drained.items()}
    return [
        Figure(name, speed["bridge"], "mails/s", speed["naive"], ratio, at_least, ratio >= at_least),
        Figure(
            f"{name}-cpu", cpu["bridge"], "ms worker CPU/mail", cpu["naive"], cpu["naive"] / cpu["bridge"], 1.0, True
        ),
    ]


def _tell(name: str, who: str, done: Drained) -> None:
    print(
        f"{name}: {who:6} {done.mails} mails in {done.seconds:6.2f} s = {done.mails_per_second:7.1f}/s; CPU seconds: "
        f"worker {done.worker_cpu_seconds:.2f}, sandbox {done.sandbox_cpu_seconds:.2f}, "
        f"broker {done.broker_cpu_seconds:.2f}",
        file=sys.stderr,
    )


BENCHMARKS: dict[str, Callable[..., list[Figure]]] = {
    "read": read,
    "drain-lan": drain_lan,
    "drain": drain,
    "sandbox": sandbox,
}


def main() -> int:
    """Run the named benchmarks, or all."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--quick", action="store_true", help="fewer and shorter runs")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there")
    arguments = parser.parse_args()
    unknown = sorted(set(arguments.names) - set(BENCHMARKS))
    if unknown:
        parser.error(f"no such benchmark: {', '.join(unknown)} (there are: {', '.join(BENCHMARKS)})")
    figures = [figure for name in arguments.names or BENCHMARKS for figure in BENCHMARKS[name](quick=arguments.quick)]
    print(json.dumps(machine()))
    print("| name | bridge | naive | unit | ratio | at least | ok |\n|---|---|---|---|---|---|---|")
    for f in figures:
        naive, ratio = (f"{f.naive:.2f}" if f.naive else "", f"{f.ratio:.1f}" if f.ratio else "")
        print(
            f"| {f.name} | {f.figure:.2f} | {naive} | {f.unit} | {ratio} | {f.at_least} | {'yes' if f.ok else 'NO'} |"
        )
    if arguments.json:
        arguments.json.write_text(json.dumps([{**vars(f), "aim": None} for f in figures], indent=1) + "\n")
    return 0 if all(f.ok for f in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
