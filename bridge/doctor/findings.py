"""What was found at one step: what was tried, what came back, what it means and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Literal

from bridge.telemetry.reasons import hint_for, words_for

if TYPE_CHECKING:
    from bridge.errors import BridgeError

State = Literal["ok", "warning", "failed", "skipped"]
_LONGEST = 2_000
_MARKS: dict[State, str] = {"ok": "ok  ", "warning": "warn", "failed": "FAIL", "skipped": "skip"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was tried. Holds no address, no secret and nothing of a mail."""

    step: str
    """On what: `entra default`, `mailbox dispatch`, `rabbitmq host:5671`."""
    state: State
    code: str
    """Stable, for scripts; the same that a worker tells where it meets the same."""
    tried: str
    got: str
    """What came back."""
    means: str = ""
    fix: str = ""

    def as_lines(self) -> str:
        """Return it for people."""
        told = self.got if self.state in {"ok", "skipped"} or not self.means else f"{self.means} [{self.code}]"
        lines = [f"{_MARKS[self.state]}  {self.step}: {self.tried}: {told}"]
        if self.state in {"warning", "failed"}:
            lines += [f"      came back: {self.got}"] if self.got and told != self.got else []
            lines += [f"      to do:     {self.fix}"] if self.fix else []
        return "\n".join(lines)

    def as_fields(self) -> dict[str, str]:
        """Return it for JSON."""
        return asdict(self)

    def of_app(self, client_id: str | None) -> Finding:
        """Return it with the app's id where the fix has room for it."""
        return replace(self, fix=self.fix.replace("<client_id>", client_id)) if client_id else self


def ok(step: str, tried: str, got: str, *, code: str = "ok") -> Finding:
    """Return the finding that something is as it must be."""
    return Finding(step, "ok", code, tried, _printable(got), words_for(code))


def wrong(step: str, tried: str, code: str, got: str = "", *, fix: str | None = None) -> Finding:
    """Return the finding that something is not as it must be."""
    return Finding(
        step, "failed", code, tried, _printable(got), words_for(code), hint_for(code) if fix is None else fix
    )


def doubtful(step: str, tried: str, code: str, got: str = "", *, fix: str | None = None) -> Finding:
    """Return the finding that something works, and rather should not be so."""
    return replace(wrong(step, tried, code, got, fix=fix), state="warning")


def failed(step: str, tried: str, error: BridgeError) -> Finding:
    """Return the finding for an error of ours."""
    got = error.detail if error.detail and error.detail != error.code else ""
    return wrong(step, tried, error.code, got)


def skipped(step: str, tried: str, why: str) -> Finding:
    """Return the finding for what was not tried."""
    return Finding(step, "skipped", "skipped", tried, f"not tried: {why}", words_for("skipped"))


def _printable(text: str) -> str:
    """Return what the other side said without what would steer a terminal, and not without end."""
    return "".join(character if character.isprintable() else " " for character in text)[:_LONGEST]
