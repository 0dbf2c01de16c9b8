"""The deliberate faults, read from `faults.toml`, and how one is put into a tree."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIST = Path(__file__).with_name("faults.toml")


class DriftedError(Exception):
    """The code is no longer what a fault was made for."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One deliberate fault."""

    number: int
    means: str
    guards: str
    """The guarantee that it breaks."""
    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    """Each of them must fail with the fault in place."""
    rows: tuple[str, ...] = ()
    """Rows of `docs/guarantees.md`, by guarantee and first cell, that it breaks beside those which name its tests."""

    def apply(self, tree: Path) -> None:
        """
        Put the fault into a tree.

        Raises:
            DriftedError: The old text is not there exactly once, or the new one is no Python.
        """
        path = tree / self.file
        path.write_text(self.mutated(path.read_text("utf-8")), "utf-8")

    def mutated(self, text: str) -> str:
        """
        Return the text of the file with the fault in it.

        Raises:
            DriftedError: As for `apply`.
        """
        if (count := text.count(self.old)) != 1:
            raise DriftedError(f"fault {self.number} ({self.means}): its text is {count} times in {self.file}")
        changed = text.replace(self.old, self.new)
        try:
            compile(changed, self.file, "exec")
        except SyntaxError as error:
            raise DriftedError(f"fault {self.number} ({self.means}): {self.file} is no Python with it") from error
        return changed


def faults() -> Sequence[Fault]:
    """Return all of them, numbered from 1 in the order of the list."""
    listed = tomllib.loads(_LIST.read_text("utf-8"))["fault"]
    return [
        Fault(
            number,
            entry["means"],
            entry["guards"],
            entry["file"],
            entry["old"],
            entry["new"],
            tuple(entry["tests"]),
            tuple(entry.get("rows", ())),
        )
        for number, entry in enumerate(listed, 1)
    ]
