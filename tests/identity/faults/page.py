"""
`docs/findings.md`, made of the planted faults and the table of reasons.

python -m tests.identity.faults.page            says whether the page fits
python -m tests.identity.faults.page --write    makes it fit
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.telemetry.metrics_page import in_cell
from bridge.telemetry.reasons import hint_for, words_for
from tests.identity.faults.plants import CHAPTERS, PLANTS

if TYPE_CHECKING:
    from tests.identity.faults.plant import Plant

FILE = Path(__file__).parents[3] / "docs" / "findings.md"
_HEAD = """\
# What `bridge check` finds

Each row is a fault that a test plants, in a sandbox, on a broker node or in a configuration, and the code that
`bridge check --json` then gives: the first of its findings that is not as it must be, and nothing else is accused. This
page is generated (`python -m tests.identity.faults.page --write`); `tests/identity/faults` plants {planted} faults, and
{working} things that look wrong and work.

A running worker that meets the same tells the same code and the same words, in `/health`, in its log and on its gauges
([metrics.md](metrics.md#codes)), pauses what is concerned, and goes on by itself once it is mended. What it cannot meet
`check` alone tells: the last column says why.

In a finding, `tried` is what was tried, `got` what came back, `means` and `fix` are as below, with `<client_id>` filled
in. Where there are only warnings, the exit code is 6, not 1. [commands.md](commands.md#what-check-does) has the steps.
"""


def page() -> str:
    """Return the page."""
    planted = [plant for plant in PLANTS if plant.state != "ok"]
    parts = [_HEAD.format(planted=len(planted), working=len(PLANTS) - len(planted))]
    for chapter, plants in CHAPTERS.items():
        rows = "\n".join(_row(plant) for plant in plants)
        parts.append(
            f"## {chapter}\n\n| planted | code | | a running worker says |\n| --- | --- | --- | --- |\n{rows}\n"
        )
    codes = sorted({plant.code for plant in planted})
    told = "\n".join(f"| `{code}` | {in_cell(words_for(code))} | {in_cell(hint_for(code))} |" for code in codes)
    parts.append(f"## What they mean, and what to do\n\n| code | means | fix |\n| --- | --- | --- |\n{told}\n")
    return "\n".join(parts)


def _row(plant: Plant) -> str:
    told = {"failed": "", "warning": "warning", "ok": ""}[plant.state]
    code = "nothing is found" if plant.state == "ok" else f"`{plant.code}`"
    worker = "" if plant.state == "ok" else in_cell(plant.worker)
    return f"| {in_cell(plant.planted.removesuffix(' (works)'))} | {code} | {told} | {worker} |"


def main(arguments: list[str]) -> int:
    """Write the page, or say whether it fits."""
    if arguments == ["--write"]:
        FILE.write_text(page(), "utf-8")
        return 0
    return 0 if FILE.is_file() and FILE.read_text("utf-8") == page() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
