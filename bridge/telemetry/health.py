"""
What works and what does not, part by part, with the reason.

A part is `mailbox:<alias>:ingest`, `mailbox:<alias>:egress`, `broker:publish`, `broker:consume`, `entra` or
`exchange:notifications`. Whoever does the work of a part says so as it goes: `ok` when the work is proved to succeed,
`progress` when it is alive without news (an empty listing is `ok`; a wait between two attempts is `progress`),
`waits` before a wait that may be longer than its bound,
`trouble` when it fails, `standby` when another worker does the work and this one is prepared to, `begin` when the work
has become this worker's, `proved` when some of it succeeded though not all is done yet, `warn` when it works
and a person should see to something before it does not. A part that says nothing for longer than its bound is stale,
whatever it said last: a hung task cannot report itself.

Everything here is called from the event loop's thread.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from prometheus_client.core import GaugeMetricFamily

from bridge.telemetry.reasons import hint_for, words_for

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

STALE_AFTER_SECONDS = 45.0
"""Silence is told after this; with the interval of a scrape that stays under a minute."""

STANDING_BY = frozenset({"standby", "holder_unknown", "nobody_works"})
"""The codes of a part whose work another connection keeps from this worker."""

WORKS = frozenset({"ok", "warning", "standby"})
"""The statuses of a part whose work is done, here or elsewhere."""

_Said = Literal["starting", "ok", "warning", "standby", "trouble"]
Status = Literal["starting", "ok", "warning", "standby", "trouble", "stale"]


def reading_part(alias: str) -> str:
    """Return the name of the part that reads a mailbox."""
    return f"mailbox:{alias}:ingest"


@dataclass(slots=True)
class _Part:
    stale_after_seconds: float
    since: float
    heard: float
    silent_until: float = 0.0
    """It said that it would be silent until then."""
    status: _Said = "starting"
    code: str = "starting"
    detail: str = ""


@dataclass(frozen=True, slots=True)
class PartState:
    """One part as it stands."""

    part: str
    status: Status
    code: str
    """`ok`, or a code out of the closed set in `bridge.telemetry.reasons`."""
    reason: str
    """The code in words."""
    detail: str
    """What is known beyond the code; may be empty."""
    hint: str
    """What to do about it; empty if nothing."""
    since_seconds: float
    """For how long it has been so."""
    silent_seconds: float
    """Since the part was last heard of."""

    def as_fields(self) -> dict[str, object]:
        """Return it for JSON."""
        return {
            "part": self.part,
            "status": self.status,
            "code": self.code,
            "reason": self.reason,
            "detail": self.detail,
            "hint": self.hint,
            "since_seconds": round(self.since_seconds, 1),
            "silent_seconds": round(self.silent_seconds, 1),
        }


class Health:
    """The parts of this process and how they are; ready means that every one of them works, here or elsewhere."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._parts: dict[str, _Part] = {}

    def expect(self, part: str, *, stale_after_seconds: float = STALE_AFTER_SECONDS) -> None:
        """Watch a part from now on: it is `starting` until it reports, and stale when it does not."""
        now = self._monotonic()
        self._parts[part] = _Part(stale_after_seconds, now, now)

    def forget(self, part: str) -> None:
        """Watch a part no more: its work ended on purpose."""
        self._parts.pop(part, None)

    def ok(self, part: str) -> None:
        """The part is proved to work."""
        self._change(part, "ok", "ok", "")

    def begin(self, part: str) -> None:
        """The work of the part is this worker's from now on: `starting` until proved; a trouble of its own stands."""
        state = self._parts.get(part)
        if state is not None and state.status == "trouble" and state.code not in STANDING_BY:
            self.progress(part)
        else:
            self._change(part, "starting", "starting", "")

    def proved(self, part: str) -> None:
        """Something of the part's work succeeded: enough for one that is `starting`; what others said still stands."""
        if (state := self._parts.get(part)) is not None and state.status == "starting":
            self.ok(part)
        else:
            self.progress(part)

    def standby(self, part: str, detail: str = "") -> None:
        """Another worker does the work of the part; this one takes over when that one ends."""
        self._change(part, "standby", "standby", detail)

    def warn(self, part: str, code: str, detail: str = "") -> None:
        """The part works, and will not for ever: a person should see to it. It stays ready."""
        self._change(part, "warning", code, "" if detail == code else detail)

    def trouble(self, part: str, code: str, detail: str = "") -> None:
        """The part does not work at the moment; `code` is out of the closed set, `detail` holds nothing private."""
        self._change(part, "trouble", code, "" if detail == code else detail)

    def progress(self, part: str) -> None:
        """The part is alive; what it said last still stands."""
        state = self._parts.get(part)
        if state is None:
            self.expect(part)
        else:
            state.heard = self._monotonic()
            state.silent_until = 0.0

    def starting(self, part: str, detail: str = "") -> None:
        """The part is alive and has not begun its work; `detail` says what it waits for."""
        self._change(part, "starting", "starting", detail)

    def waits(self, part: str, seconds: float) -> None:
        """The part is alive, and will be silent for so long: an ordinary wait; what it said last still stands."""
        self.progress(part)
        self._parts[part].silent_until = self._monotonic() + seconds

    def state(self, part: str) -> PartState | None:
        """Return how a part is, None if it is not watched."""
        state = self._parts.get(part)
        return self._told(part, state) if state is not None else None

    def report(self) -> tuple[PartState, ...]:
        """Return how every part is, by name."""
        return tuple(self._told(part, state) for part, state in sorted(self._parts.items()))

    @property
    def ready(self) -> bool:
        """Whether every part is proved to work, or another worker does it; a process without parts is not ready."""
        report = self.report()
        return bool(report) and all(state.status in WORKS for state in report)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauges for a scrape (register this object with a registry)."""
        up = GaugeMetricFamily(
            "bridge_health_part_up",
            "1 while the part is proved to work in this process, or stands by while another one works",
            labels=["part", "code"],
        )
        silent = GaugeMetricFamily("bridge_health_silence_seconds", "Since the part was last heard of", labels=["part"])
        for state in self.report():
            up.add_metric([state.part, state.code], 1.0 if state.status in WORKS else 0.0)
            silent.add_metric([state.part], state.silent_seconds)
        yield up
        yield silent

    def _change(self, part: str, status: _Said, code: str, detail: str) -> None:
        if part not in self._parts:
            self.expect(part)
        state, now = self._parts[part], self._monotonic()
        if (state.status, state.code) != (status, code):
            state.since = now
        state.status, state.code, state.detail, state.heard = status, code, detail, now
        state.silent_until = 0.0

    def _told(self, part: str, state: _Part) -> PartState:
        now = self._monotonic()
        silent = now - state.heard
        status: Status = state.status
        code, detail, since = state.code, state.detail, now - state.since
        if now - max(state.heard, state.silent_until) > state.stale_after_seconds:
            status = "stale"
            if state.status != "trouble":  # a known trouble explains the silence better
                code, detail, since = "stalled", "", silent
        return PartState(part, status, code, words_for(code), detail, hint_for(code), since, silent)
