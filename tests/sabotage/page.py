"""`docs/sabotages.md`: how the bridge was sabotaged, and which line of the account tells of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.sabotage.sabotages import Sabotage

PAGE: Final = Path(__file__).resolve().parents[2] / "docs" / "sabotages.md"

_HEAD = """\
# Sabotages of the bridge, and how chaos tells of them

A run of chaos that finds nothing is worth what it would have found. `tests/run.sh sabotage --seeds 3` puts each of
these {count} sabotages into a copy of the tree, alone, and runs a small chaos against it with each of three seeds.
Every time the account must tell of it by a line that matches what stands here. Without any sabotage such a run finds
nothing. `tests/run.sh sabotage 3 7` tries these two only. `--realistic` lets chaos run in a realistic world, and leaves
out what nobody can see there: other bytes, and another order within a second.

Made by `python -m tests.sabotage --write` of `tests/sabotage/sabotages.toml`; a test fails when the two differ. Under
"trouble" stands what goes wrong beside the sabotage: all that there is, or only what gives it its chance.

| no. | sabotage | in | trouble | seen as |
| --- | --- | --- | --- | --- |
"""


def page(every: Sequence[Sabotage]) -> str:
    """Return the page as it should be."""
    return _HEAD.format(count=len(every)) + "".join(_row(one) for one in every)


def _row(one: Sabotage) -> str:
    fault = one.fault
    trouble = ", ".join(one.setting.only) or "all"
    where = " (not with `--realistic`)" if one.ordinary_only else ""
    kept = "; mail is destroyed" if one.setting.hard_delete else ""
    seen = one.seen_as.replace("|", "\\|")
    file = fault.file.removeprefix("bridge/")
    return f"| {fault.number} | {fault.means}{where} | `{file}` | {trouble}{kept} | `{seen}` |\n"
