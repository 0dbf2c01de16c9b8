"""`python -m tests.matrix.page --write` writes docs/crash-matrix.md; a test fails where it says something else."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.matrix.cells import CUTS, MOMENTS, PARTS, Cell, Part, outcome

PAGE = Path(__file__).resolve().parents[2] / "docs" / "crash-matrix.md"

_HEAD = """\
# The crash matrix

Written by `python -m tests.matrix.page --write` from the cells that `tests/run.sh matrix -- --all` executes, {count} in
all. `tests/run.sh matrix` runs the choice of the day, some {chosen} of them: each step at each moment, each cut in each
part, and each moment with each cut. How a step is cut at a moment changes from day to day, so any seven days have every
cell. The output names the day; `-- --day N` runs its choice again.

In each cell a worker stands still at one moment of one step, something happens to it or to the world, and the work has
to be finished without help. Then everything is counted from outside: the queue, the mailbox, what Exchange sent.
Heartbeats to the broker are a second long; with `-- --real-heartbeats` as long as in production: whoever takes over
comes later.

- **kill worker**: `kill -9`, and another one starts. **kill broker**, **kill sandbox**: `kill -9`, and it comes back.
- **cut links**: the connections to RabbitMQ and to Exchange are reset. **black-hole links**: they stay open and carry
  nothing; another worker finishes the work; then they carry again what they held back.
- **freeze worker**: SIGSTOP; another worker finishes the work; then it wakes up.
- **lose answer**: the call took effect, and the worker is told that no answer came.

*once*: in the queue once. *may come again*: under the same `message_id`. *parked once*: announced under one event id,
in `Bridge Parked` once, and mail behind it arrives. *sent once*: by Exchange's own account, and told as sent under one
event id. *told once*, *expired*, *failed*: under one event id and never otherwise; nothing is sent. *swept*: what is
old is gone, what is young is there, and the requests that are sent meanwhile are sent once. A cell with `-` does not
exist: there is no answer to lose.
"""


def text() -> str:
    """Return the page."""
    count = sum(len(part.cells()) for part in PARTS)
    chosen = round(sum(len(part.cells_of(day=1)) for part in PARTS), -1)
    return _HEAD.format(count=count, chosen=chosen) + "".join(_section(part) for part in PARTS)


def _section(part: Part) -> str:
    lines = [f"\n## {part.title}\n", f"Test: `{part.test}`\n"]
    lines += ["| step | moment | " + " | ".join(CUTS) + " |", "| --- " * (len(CUTS) + 2) + "|"]
    existing = set(part.cells())
    for step, what in part.steps.items():
        for moment in part.moments.get(step, tuple(MOMENTS)):
            cells = [Cell(step, moment, cut) for cut in CUTS]
            told = [outcome(part, cell) if cell in existing else _without(part, cell) for cell in cells]
            lines.append(f"| {what} (`{step}`) | {MOMENTS[moment]} | " + " | ".join(told) + " |")
    if part.not_cut:
        lines.append(f"\n*not cut*: {part.not_cut}.")
    return "\n".join(lines) + "\n"


def _without(part: Part, cell: Cell) -> str:
    return "not cut" if part.not_cut and (cell.cut != "lose answer" or cell.moment == "made") else "-"


if __name__ == "__main__":
    if "--write" in sys.argv:
        PAGE.write_text(text())
    elif PAGE.read_text() != text():
        sys.exit("docs/crash-matrix.md is not what the cells say: python -m tests.matrix.page --write")
