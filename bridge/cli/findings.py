"""What `bridge check` finds, and how it is told."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal

from bridge.telemetry.reasons import hint_for, words_for

if TYPE_CHECKING:
    from bridge.errors import BridgeError

State = Literal["ok", "warning", "failed", "skipped"]
_MARKS: dict[State, str] = {"ok": "ok  ", "warning": "warn", "failed": "FAIL", "skipped": "skip"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried."""

    step: str
    """What was tried, on what: `entra token`, `mailbox dispatch`."""
    state: State
    code: str
    """Stable, for scripts."""
    what: str
    """What came back, and what it means."""
    fix: str = ""
    """What to do."""

    def as_line(self) -> str:
        """Return it for people."""
        fix = f"\n       {self.fix}" if self.fix else ""
        return f"{_MARKS[self.state]}  {self.step}: {self.what}{fix}"

    def as_fields(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)


def failed(step: str, error: BridgeError) -> Finding:
    """Return the finding for an error of ours."""
    detail = f" ({error.detail})" if error.detail and error.detail != error.code else ""
    return Finding(step, "failed", error.code, words_for(error.code) + detail, hint_for(error.code))


def skipped(step: str, why: str) -> Finding:
    """Return the finding for something that could not be tried because of an earlier one."""
    return Finding(step, "skipped", "skipped", f"not tried, because {why}")
