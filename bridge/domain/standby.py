"""Whether anybody works on a mailbox whose lease another connection holds; a pure decision."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bridge.domain.roster import Direction, Roster

PATIENCE_SECONDS: Final = 30.0
"""So long without a sign of life of whoever has the mailbox is borne: six announcements."""
LOOK_AFTER_SECONDS: Final = 10.0
LOOK_EVERY_SECONDS: Final = 15.0
_UNDONE_SECONDS: Final = 25.0
"""What looks find undone for so long is left undone: whoever works lists a mailbox every fifteen seconds at least."""

Verdict = Literal["somebody", "unknown", "nobody"]
"""`unknown`: no worker announces that it has the mailbox, and nothing shows that its work is not done."""


@dataclass(slots=True)
class Standby:
    """
    What one worker knows of whoever has a mailbox in its place, while it stands by.

    Whoever works announces itself. A worker of a release before there were announcements does not, and must alarm
    nobody while it is being replaced: where nobody ever announced that it has this mailbox, or where announcements
    cannot be heard, what the mailbox or its queues show decides.
    """

    roster: Roster
    direction: Direction
    mailbox: str
    known: bool = False
    """Whether a worker that announces itself, this one or another, had the mailbox since this one started."""
    _since: float | None = None
    _looked_at: float = float("-inf")
    _undone: dict[str, float] = field(default_factory=dict)
    _seen_at: float | None = None
    """When the last look ended that could tell anything."""
    _late: bool = False
    """Whether the last look had no answer in time, which may be this worker's own doing."""

    def begin(self) -> None:
        """Stand by from now on, unless that is so already."""
        if self._since is None:
            self._since = self.roster.monotonic()
            self._looked_at = float("-inf")
            self._undone, self._seen_at, self._late = {}, None, False

    def end(self, *, owned: bool = False) -> None:
        """Stand by no more: the mailbox is this worker's, or it is not known whose."""
        self._since = None
        self.known = self.known or owned

    @property
    def wants_a_look(self) -> bool:
        """Whether it is time to look at what is left undone."""
        now = self.roster.monotonic()
        return self._quiet_seconds() >= LOOK_AFTER_SECONDS and now - self._looked_at >= LOOK_EVERY_SECONDS

    def looking(self) -> None:
        """Take note that a look begins."""
        self._looked_at = self.roster.monotonic()

    def looked(self, undone: Iterable[str] | None) -> None:
        """
        Take note of a look: what was found undone, each by a name that stays the same; None: it cannot be told.

        Where something was done since the look before, somebody works: what stays may do so for reasons of its own.
        """
        now = self.roster.monotonic()
        self._seen_at, self._late = now if undone is not None else None, False
        found = set(undone or ())
        self._undone = {one: self._undone.get(one, now) if self._undone.keys() <= found else now for one in found}

    def late(self) -> None:
        """Take note of a look without an answer in time: it shows nothing, and what was seen before stands."""
        self._late = True

    def verdict(self) -> Verdict:
        """Return whether anybody works."""
        if self._quiet_seconds() < PATIENCE_SECONDS:
            return "somebody"
        hearing = self.roster.hearing
        if hearing and self.known:
            return "nobody"
        if self._seen_at is None:
            return "nobody" if hearing and not self._late else "unknown"
        undone = any(self._seen_at - since >= _UNDONE_SECONDS for since in self._undone.values())
        return "nobody" if undone else "unknown"

    def _quiet_seconds(self) -> float:
        """Return since when nothing was heard of whoever has the mailbox."""
        now = self.roster.monotonic()
        claim = self.roster.live_claim(self.direction, self.mailbox)
        if claim is not None:
            self.known = True
        times = [now if self._since is None else self._since, claim.heard_at if claim is not None else 0.0]
        if self.roster.hearing:  # what was said while nothing could be heard counts for neither side
            times.append(now - self.roster.hearing_seconds)
        return now - max(times)
