"""What a probe tells: for each guess what is assumed and what was seen. Nothing private is in it, so it can be sent."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from bridge.probe.private import guarded

if TYPE_CHECKING:
    from collections.abc import Sequence


class State(StrEnum):
    """How reality and the guess compare."""

    SAME = "same"
    DIFFERS = "differs"
    NOT_CHECKABLE = "not checkable"


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one guess."""

    guess: int
    assumes: str
    how: str
    """`read`, `write`, `thorough`, or `by hand`."""
    state: State
    seen: str
    """What was seen, or why nothing was."""

    def as_fields(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "guess": self.guess,
            "assumes": self.assumes,
            "how": self.how,
            "state": self.state.value,
            "seen": guarded(self.seen),
        }

    def as_line(self) -> str:
        """Return it for people."""
        return f"{self.guess:>4}  {self.state.value:<13}  {self.assumes}\n      {guarded(self.seen)}"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of all."""

    mailbox: str
    """The alias."""
    signed_in: str
    server_version: str
    mode: str
    results: Sequence[Result]
    left: Sequence[str]
    """What could not be removed."""
    interrupted: bool = False

    def count(self, state: State) -> int:
        """Return how many guesses ended so."""
        return sum(result.state is state for result in self.results)

    def as_fields(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {
            "mailbox": self.mailbox,
            "signed_in": self.signed_in,
            "server_version": self.server_version,
            "mode": self.mode,
            "interrupted": self.interrupted,
            "counts": {state.value: self.count(state) for state in State},
            "left": [guarded(one) for one in self.left],
            "guesses": [result.as_fields() for result in self.results],
        }

    def summary(self) -> str:
        """Return the last line for people."""
        counts = ", ".join(f"{self.count(state)} {state.value}" for state in State)
        version = self.server_version or "of an unknown version"
        return f"mailbox {self.mailbox}, server {version}, {self.signed_in}, {self.mode}: {counts}"
