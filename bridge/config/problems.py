"""Everything that is wrong with a configuration, told at once: key, place, what is wrong, the fix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that is wrong. Never contains the value itself."""

    key: str
    """As `mailboxes[0].alias`; empty for the configuration as a whole."""
    place: str
    """`file:line`, the environment variable, or empty where the value is not given at all."""
    what: str
    fix: str
    code: str = "configuration"
    """One of `bridge.telemetry.reasons`."""

    def __str__(self) -> str:
        """Return it as one line."""
        subject = " ".join(part for part in (self.key, self.what) if part)
        place = f" ({self.place})" if self.place else ""
        return f"{subject}{place}: {self.fix}"

    def as_fields(self) -> dict[str, str]:
        """Return it for JSON."""
        return {"key": self.key, "place": self.place, "what": self.what, "fix": self.fix, "code": self.code}


class ConfigurationInvalid(ConfigurationError):  # noqa: N818 - named by what is wrong, as all of bridge.errors
    """The configuration has `problems`, all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = tuple(problems)
