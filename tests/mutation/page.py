"""`docs/mutations.md`: which faults were tried, and which tests catch them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.mutation.faults import Fault

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "mutations.md"

_HEAD = """\
# Deliberate faults, and the tests that catch them

A promise is worth what its tests would notice. `tests/run.sh mutation` puts each of these {count} faults into a copy of
the tree, alone, and runs the tests that are named for it: every one of them must fail, and all of them pass without the
fault. `tests/run.sh mutation 3 17` tries these two only. It stops where the code has moved on and a fault no longer
fits.

Made by `python -m tests.mutation --write` of `tests/mutation/faults.toml`; a test fails when the two differ. What the
guarantees mean is in [guarantees.md](guarantees.md).

| no. | breaks | fault | in | caught by |
| --- | --- | --- | --- | --- |
"""


def page(faults: Sequence[Fault]) -> str:
    """Return the page as it should be."""
    return _HEAD.format(count=len(faults)) + "".join(_row(fault) for fault in faults)


def _row(fault: Fault) -> str:
    tests = ", ".join(f"`{test.rpartition('::')[2]}`" for test in fault.tests)
    file = fault.file.removeprefix("bridge/")
    return f"| {fault.number} | {fault.guards} | {fault.means} | `{file}` | {tests} |\n"
