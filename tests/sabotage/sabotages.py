"""The sabotages, read from `sabotages.toml`: what is broken, under which trouble, and which line must say so."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from tests.mutation.faults import Fault

if TYPE_CHECKING:
    from collections.abc import Sequence

_LIST = Path(__file__).with_name("sabotages.toml")


@dataclass(frozen=True, slots=True)
class Setting:
    """Under what chaos runs."""

    hard_delete: bool
    only: tuple[str, ...]
    """The trouble that there is, by its names in the line of JSON; empty for all of it."""


@dataclass(frozen=True, slots=True)
class Sabotage:
    """One of them."""

    fault: Fault
    setting: Setting
    seen_as: str
    """A pattern that a line of the account must match."""
    ordinary_only: bool = False
    """Whether a realistic world hides it: it changes bytes that Exchange makes anew, or the order within a second."""

    def seen_in(self, problems: Sequence[str]) -> str | None:
        """Return the first line that tells of it."""
        return next((line for line in problems if re.search(self.seen_as, line)), None)


def sabotages() -> Sequence[Sabotage]:
    """Return all of them, numbered from 1 in the order of the list."""
    listed = tomllib.loads(_LIST.read_text("utf-8"))["sabotage"]
    return [
        Sabotage(
            Fault(number, one["means"], "", one["file"], one["old"], one["new"], ()),
            Setting(one.get("hard_delete", False), tuple(one.get("only", ()))),
            one["seen_as"],
            one.get("ordinary_only", False),
        )
        for number, one in enumerate(listed, 1)
    ]
