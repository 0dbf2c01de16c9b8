"""Where the worker's time in Python goes while it empties an inbox: samples of stacks, by function and by part."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.stage import Stage, tell

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.bench.figures import Figure

_MAIL_BYTES = 20_000
_RATE = 250
"""Samples a second."""
_TOP = 10
_LOADING = "loading modules"


def profile(*, quick: bool) -> list[Figure]:
    """
    Print which functions hold the interpreter's lock, emptying an inbox of 5,000 mails of 20 KB (quick: 2,000).

    Time in C counts for the Python function that called it, but what C does without the lock (TLS, hashing, sockets)
    is only in the worker's CPU time, which is told beside. Modules that are loaded are one line, whatever they do.
    """
    with Stage() as stage:
        stage.fill(2_000 if quick else 5_000, size=_MAIL_BYTES)
        samples = stage.directory / "samples"
        with stage.worker("ingest") as worker:
            program = str(Path(sys.executable).with_name("py-spy"))
            spy = subprocess.Popen(
                [
                    program, "record", "--pid", str(worker.pid), "--format", "raw",
                    "--rate", str(_RATE), "--function", "--gil", "--full-filenames", "--output", str(samples),
                ],
                stdout=subprocess.DEVNULL,
            )  # fmt: skip
            drained = stage.watch(worker.pid, lambda: worker.running)
            worker.stop(seconds=60)  # the profiler ends with it
        if spy.wait(timeout=60):
            raise RuntimeError(f"py-spy ended with {spy.returncode}")
        stacks = Counter[tuple[str, ...]]()
        for line in samples.read_text(encoding="utf-8").splitlines():
            frames, _, count = line.rpartition(" ")
            stacks[tuple(frames.split(";"))] += int(count)
    held = stacks.total() / _RATE
    tell(f"profile: the lock was held for {held:.1f} s, {held / drained.mails * 1_000:.2f} ms for a mail")
    tell(f"profile: {drained.mails} mails at {drained.mails_per_second:.0f}/s; {drained.shares}")
    print(_shares("function", of(stacks, innermost)))
    print(_shares("part", of(stacks, part)))
    return []


def of(stacks: Counter[tuple[str, ...]], name: Callable[[tuple[str, ...]], str]) -> Counter[str]:
    """Return the samples by a name that is made of each stack, outermost frame first."""
    found: Counter[str] = Counter()
    for stack, count in stacks.items():
        found[name(stack)] += count
    return found


def innermost(stack: tuple[str, ...]) -> str:
    """Return the function that was at work."""
    return _LOADING if _loads(stack) else _short(stack[-1]) if stack[-1] else "a thread that begins or ends"


def part(stack: tuple[str, ...]) -> str:
    """Return the folder of the bridge, or the module in its own folder, on whose behalf it was at work."""
    if _loads(stack):
        return _LOADING
    inside = [frame for frame in stack if "/bridge/" in frame and "site-packages" not in frame]
    if not inside:
        return "the interpreter, asyncio"
    place = inside[-1].rpartition("/bridge/")[2].partition(":")[0]
    return place.rpartition("/")[0] or place


def _loads(stack: tuple[str, ...]) -> bool:
    return any("<frozen importlib" in frame for frame in stack)


def _short(frame: str) -> str:
    name, _, place = frame.rpartition(" (")
    path = Path(place.rstrip(")").partition(":")[0])
    return f"{name} ({'/'.join(path.parts[-2:])})"


def _shares(what: str, counts: Counter[str]) -> str:
    whole = counts.total() or 1
    lines = [f"| {what} | share |", "| --- | --- |"]
    return "\n".join([*lines, *(f"| `{name}` | {count / whole:.1%} |" for name, count in counts.most_common(_TOP)), ""])
