"""What a command takes before it does anything."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from typing import TYPE_CHECKING

from tests.bench.figures import Figure
from tests.bench.processes import cpu_seconds
from tests.bench.stage import Stage, tell
from tests.support.workers import clean, until

if TYPE_CHECKING:
    from collections.abc import Callable

# Each look at the page is the worker's own work.
_LOOK_SECONDS = 0.25


def start(*, quick: bool) -> list[Figure]:
    """
    CPU time of `bridge ingest` from its start until it is ready, and of `bridge --help`; nine times (quick: three).

    The first run compiles the code and is not counted: pip has compiled an installed package.
    """
    runs = 3 if quick else 9
    with Stage() as stage:
        ready = _median("ingest", runs, lambda: _ready_seconds(stage))
    shown = _median("--help", runs, _help_seconds)
    return [
        Figure.at_most("start", ready, "s of CPU", 0.7, aim=0.5),
        Figure.at_most("start-help", shown, "s of CPU", 0.2, aim=0.15),
    ]


def _median(name: str, runs: int, measure: Callable[[], float]) -> float:
    measure()
    figures = [measure() for _ in range(runs)]
    tell(f"start: {name} {', '.join(f'{one:.2f}' for one in figures)} s of CPU")
    return statistics.median(figures)


def _ready_seconds(stage: Stage) -> float:
    with stage.worker("ingest") as worker:
        until(worker.ready, "the worker to be ready", look_seconds=_LOOK_SECONDS)
        taken = cpu_seconds(worker.pid)
        worker.stop()
    return taken


def _help_seconds() -> float:
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "--help"], env=clean({}), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"bridge --help ended with {process.returncode}")
    return used.ru_utime + used.ru_stime
