"""`docs/mutations.md`: which faults were tried, and which tests catch them."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.mutation.faults import Fault

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "mutations.md"
GUARANTEES: Final = PAGE.with_name("guarantees.md")

_HEAD = """\
# Deliberate faults, and the tests that catch them

A promise is worth what its tests would notice. `tests/run.sh mutation` puts each of these {count} faults into a copy of
the tree, alone, and runs the tests that are named for it: every one of them must fail, and all of them pass without the
fault. `tests/run.sh mutation 3 17` tries these two only. It stops where the code has moved on and a fault no longer
fits.

Made by `python -m tests.mutation --write` of `tests/mutation/faults.toml`; a test fails when the two differ. What the
guarantees mean is in [guarantees.md](guarantees.md).

## What stands for each promise

At least one fault for every row of it, by its first cell: one that a test of that row catches, or that breaks the same
in another place.

| guarantee | of the row | faults |
| --- | --- | --- |
{rows}
## The faults

| no. | breaks | fault | in | caught by |
| --- | --- | --- | --- | --- |
"""


def page(faults: Sequence[Fault], guarantees: str) -> str:
    """Return the page as it should be, with the rows of `docs/guarantees.md`."""
    promised = "".join(
        f"| {of} | {what} | {', '.join(map(str, stand)) or '-'} |\n" for of, what, stand in rows(faults, guarantees)
    )
    return _HEAD.format(count=len(faults), rows=promised) + "".join(_row(fault) for fault in faults)


def rows(faults: Sequence[Fault], text: str) -> list[tuple[str, str, list[int]]]:
    """Return of `docs/guarantees.md` the guarantee and the first cell of each row, and the faults that stand for it."""
    found, guarantee = [], ""
    for line in text.splitlines():
        if line.startswith("## "):
            guarantee = line[3:].partition(" ")[0]
        named = set(re.findall(r"`(test_\w+)`", line))
        if line.startswith("| ") and named and re.fullmatch(r"G\d+", guarantee):
            what = line.split("|")[1].strip()
            found.append((guarantee, what, [one.number for one in faults if _stands_for(one, guarantee, what, named)]))
    return found


def _stands_for(fault: Fault, guarantee: str, what: str, tests: set[str]) -> bool:
    return f"{guarantee}: {what}" in fault.rows or not tests.isdisjoint(
        test.rpartition("::")[2] for test in fault.tests
    )


def _row(fault: Fault) -> str:
    tests = ", ".join(f"`{test.rpartition('::')[2]}`" for test in fault.tests)
    file = fault.file.removeprefix("bridge/")
    return f"| {fault.number} | {fault.guards} | {fault.means} | `{file}` | {tests} |\n"
