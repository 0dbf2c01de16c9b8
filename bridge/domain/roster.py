"""Which workers there are and what they hold, as they announce it to each other; pure, on a clock that is handed in."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

Direction = Literal["ingest", "egress"]

ANNOUNCE_SECONDS: Final = 5.0
"""A worker announces itself so often."""
HEARING_SECONDS: Final = 3 * ANNOUNCE_SECONDS
"""A worker that has not heard its own announcement for longer does not hear others' either, for all it knows."""
GATHER_SECONDS: Final = 3 * ANNOUNCE_SECONDS
"""After hearing for so long a worker has heard everybody who announces."""
LIVE_SECONDS: Final = 30.0
"""A worker that was heard within this time is there."""
_DEAF_SECONDS: Final = 60.0
"""So long a worker that hears nothing waits for the announcements before it does without."""
_REMEMBER_SECONDS: Final = 600.0
"""What a worker sends for is remembered for longer than it lives: it may be restarting."""
_MOST_BYTES: Final = 64 << 20
"""Of all announcements that are remembered, as they came; beyond it the oldest are forgotten."""


@dataclass(frozen=True, slots=True)
class Holding:
    """A mailbox that a worker has, in one direction, and how it does."""

    direction: Direction
    mailbox: str
    status: str
    """As `/health` tells it; `stale`: the work has shown no life for longer than it may."""
    code: str
    silent_seconds: float

    @property
    def lives(self) -> bool:
        """Whether the work goes on, or says itself why it does not."""
        return self.status != "stale"


@dataclass(frozen=True, slots=True)
class Announcement:
    """What a worker says of itself."""

    worker: str
    release: str
    role: str
    reads: Sequence[str]
    """Aliases of the mailboxes that it may read."""
    sends: Sequence[str]
    """Aliases of the mailboxes that it may send from."""
    holds: Sequence[Holding]


@dataclass(frozen=True, slots=True)
class Claim:
    """What another worker said last about a mailbox that it has."""

    worker: str
    holding: Holding
    heard_at: float


@dataclass(slots=True)
class _Heard:
    announcement: Announcement
    sends: frozenset[str]
    size_bytes: int
    at: float


@dataclass(slots=True)
class Roster:
    """What one worker knows of the others."""

    own: str
    """The id of this worker."""
    mailboxes: Collection[str]
    """Aliases of the mailboxes of this worker's own: it remembers who has those, and no others."""
    monotonic: Callable[[], float]
    _heard: dict[str, _Heard] = field(default_factory=dict)
    _live_claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    _claims: dict[tuple[str, str], Claim] = field(default_factory=dict)
    _size_bytes: int = 0
    _echo_at: float = float("-inf")
    _hearing_since: float = float("inf")
    _deaf_since: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin deaf."""
        self._deaf_since = self.monotonic()

    def hear(self, announcement: Announcement, size_bytes: int) -> None:
        """Take note of an announcement."""
        if announcement.worker == self.own:
            self.hear_own()
            return
        now = self.monotonic()
        self._forget_all_until(now - _REMEMBER_SECONDS)
        self._forget(announcement.worker)
        # The latest comes last, so the first is the oldest.
        self._heard[announcement.worker] = _Heard(announcement, frozenset(announcement.sends), size_bytes, now)
        self._size_bytes += size_bytes
        while self._size_bytes > _MOST_BYTES:
            self._forget(next(iter(self._heard)))
        for holding in announcement.holds:
            if holding.mailbox in self.mailboxes:
                key = holding.direction, holding.mailbox
                self._claims[key] = Claim(announcement.worker, holding, now)
                if holding.lives:
                    self._live_claims[key] = self._claims[key]

    def hear_own(self) -> None:
        """Take note that one's own announcement came back: others would be heard as well."""
        now = self.monotonic()
        self._forget_all_until(now - _REMEMBER_SECONDS)
        if not self.hearing:
            self._hearing_since = now
        self._echo_at = now

    @property
    def hearing(self) -> bool:
        """Whether this worker is proved to hear what is announced."""
        return self.monotonic() - self._echo_at <= HEARING_SECONDS

    @property
    def hearing_seconds(self) -> float:
        """For how long it has heard without a gap; 0 where it does not."""
        return self.monotonic() - self._hearing_since if self.hearing else 0.0

    @property
    def others(self) -> int:
        """How many other workers there are."""
        now = self.monotonic()
        return sum(1 for heard in self._heard.values() if now - heard.at <= LIVE_SECONDS)

    def live_claim(self, direction: Direction, mailbox: str) -> Claim | None:
        """Return who last said that it has the mailbox and that the work goes on; None: nobody ever did."""
        return self._live_claims.get((direction, mailbox))

    def claim(self, direction: Direction, mailbox: str) -> Claim | None:
        """Return who last said that it has the mailbox, whatever it said of the work."""
        return self._claims.get((direction, mailbox))

    def sends(self, alias: str) -> bool | None:
        """
        Return whether any other worker sends for this alias; None: not known yet, and soon will be.

        A worker that cannot hear the others at all takes their silence for an answer after a while.
        """
        if any(alias in heard.sends for heard in self._heard.values()):
            return True
        if self.hearing:
            return False if self.hearing_seconds >= GATHER_SECONDS else None
        deaf_since = max(self._deaf_since, self._echo_at)
        return False if self.monotonic() - deaf_since >= _DEAF_SECONDS else None

    def _forget_all_until(self, moment: float) -> None:
        """Forget who was heard last before then; the last one of all as well, whom no other follows."""
        while (oldest := next(iter(self._heard.values()), None)) is not None and oldest.at < moment:
            self._forget(oldest.announcement.worker)

    def _forget(self, worker: str) -> None:
        heard = self._heard.pop(worker, None)
        if heard is not None:
            self._size_bytes -= heard.size_bytes
