"""
What the tests cost, as tables in Markdown, from what `tests/run.sh --keep DIRECTORY` left there.

    python -m tests.support.costs TOGETHER [ALONE]

`TOGETHER` is of a run of everything; `ALONE`, if given, of runs of one suite each, one after the other. CPU is that of
the test processes and of what they waited for: a worker that a fork server began, and the shared broker, are not in it.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

from lxml import etree

_SLOWEST = 50


@dataclass(frozen=True, slots=True)
class Cost:
    """What one test took."""

    file: str
    name: str
    seconds: float
    setup_seconds: float
    cpu_seconds: float


def costs(report: Path) -> list[Cost]:
    """Return the costs of each test in a junit file."""
    return [_cost(case) for case in etree.parse(report).iter("testcase")]


def tables(together: Path, alone: Path | None = None) -> list[str]:
    """Return the lines: each suite, then the slowest tests, then the files whose fixtures take longest."""
    by_suite = {report.stem: costs(report) for report in sorted(together.glob("*.xml"))}
    every = [cost for found in by_suite.values() for cost in found]
    lines = [
        "| suite | tests | s alone | s in everything | CPU s | s of waiting |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for suite, found in by_suite.items():
        cpu, spent = sum(cost.cpu_seconds for cost in found), sum(cost.seconds for cost in found)
        lines.append(
            f"| {suite} | {len(found)} | {_seconds_of(suite, alone)} | {_seconds_of(suite, together)} "
            f"| {cpu:.0f} | {max(0.0, spent - cpu):.0f} |"
        )
    lines += ["", "| slowest tests | s | CPU s |", "| --- | --- | --- |"]
    for cost in sorted(every, key=lambda cost: -cost.seconds)[:_SLOWEST]:
        lines.append(f"| {cost.file.rpartition('.')[2]}::{cost.name} | {cost.seconds:.1f} | {cost.cpu_seconds:.1f} |")
    setups: dict[str, float] = defaultdict(float)
    for cost in every:
        setups[cost.file] += cost.setup_seconds
    lines += ["", "| set-up by file | s |", "| --- | --- |"]
    lines += [f"| {file} | {spent:.1f} |" for file, spent in sorted(setups.items(), key=lambda one: -one[1])[:_SLOWEST]]
    return lines


def _cost(case: etree._Element) -> Cost:
    told = {str(one.get("name")): str(one.get("value")) for one in case.iter("property")}
    return Cost(
        str(case.get("classname")),
        str(case.get("name")),
        float(case.get("time", 0)),
        float(told.get("setup_seconds", 0)),
        float(told.get("cpu_seconds", 0)),
    )


def _seconds_of(suite: str, directory: Path | None) -> str:
    file = directory / f"{suite}.seconds" if directory is not None else None
    return file.read_text("utf-8").strip() if file is not None and file.exists() else "-"


def main() -> None:
    """Print the tables."""
    print("\n".join(tables(*map(Path, sys.argv[1:]))))


if __name__ == "__main__":
    main()
