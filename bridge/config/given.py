"""The values as given, before any check, and where each came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bridge.config.problems import Problem

if TYPE_CHECKING:
    from bridge.config.toml_file import Key


@dataclass
class Given:
    """What the file and the environment say, and what is wrong with it so far."""

    tree: dict[str, Any] = field(default_factory=dict)
    places: dict[Key, str] = field(default_factory=dict)
    from_file: set[Key] = field(default_factory=set)
    problems: list[Problem] = field(default_factory=list)
    warnings: list[Problem] = field(default_factory=list)

    def place(self, key: Key) -> str:
        """Return where the value came from, or the table that holds it."""
        while key:
            if key in self.places:
                return self.places[key]
            key = key[:-1]
        return ""

    def complain(self, key: Key, what: str, fix: str, code: str = "configuration") -> None:
        """Note that something is wrong with the value of a key."""
        self.problems.append(Problem(dotted(key), self.place(key), what, fix, code))


def dotted(key: Key) -> str:
    """Return a key as people write it: `mailboxes[0].alias`."""
    text = ""
    for part in key:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def variable_of(key: Key) -> str:
    """Return the environment variable that sets a key."""
    return "BRIDGE_" + "__".join(str(part).upper() for part in key)
