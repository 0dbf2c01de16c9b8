"""What this worker announces to the others, and what it makes of their announcements."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bridge.domain.roster import Announcement, Holding
from bridge.telemetry.broker_events import AnnouncementHeard
from bridge.wire import worker_v1

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.domain.roster import Direction, Roster
    from bridge.errors import BridgeError
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

PART = "broker:workers"


class MailboxWork(Protocol):
    """The reading of one mailbox, or the sending from it."""

    alias: str

    @property
    def part(self) -> str:
        """Its name in `/health`."""

    @property
    def holds(self) -> bool:
        """Whether the mailbox is this worker's."""


class Announcing:
    """Makes the announcements of one worker out of what its readers and senders do, and hears those of the others."""

    def __init__(
        self,
        roster: Roster,
        *,
        release: str,
        role: str,
        readers: Sequence[MailboxWork],
        senders: Sequence[MailboxWork],
        health: Health,
        emit: Emit,
    ) -> None:
        self._roster = roster
        self._release = release
        self._role = role
        self._readers = readers
        self._senders = senders
        self._health = health
        self._emit = emit
        self._said = b""

    def say(self) -> bytes:
        """Return the next announcement."""
        self._said = worker_v1.to_json(
            Announcement(
                worker=self._roster.own,
                release=self._release,
                role=self._role,
                reads=[reader.alias for reader in self._readers],
                sends=[sender.alias for sender in self._senders],
                holds=list(self._holds()),
            )
        )
        return self._said

    def hear(self, body: bytes) -> None:
        """Take note of what was announced; what is no announcement is counted, and changes nothing."""
        if body == self._said:  # not read again: with hundreds of mailboxes that is most of what hearing costs
            self._roster.hear_own()
            self._emit(AnnouncementHeard("ok", self._roster.others))
            return
        try:
            announcement = worker_v1.from_json(body)
        except ValueError:
            self._emit(AnnouncementHeard("garbled", self._roster.others))
            return
        self._roster.hear(announcement, len(body))
        self._emit(AnnouncementHeard("ok", self._roster.others))

    def show(self, trouble: BridgeError | None) -> None:
        """Say in health whether announcements get through; work goes on without them, and so this is a warning."""
        if trouble is not None:
            self._health.warn(PART, trouble.code, trouble.detail)
        elif self._roster.hearing:
            self._health.ok(PART)
        else:
            self._health.warn(PART, "announcements_unheard")

    def _holds(self) -> Iterator[Holding]:
        for reader in self._readers:
            if reader.holds:
                yield self._holding("ingest", reader.alias, reader.part)
        for sender in self._senders:
            if sender.holds:
                yield self._holding("egress", sender.alias, sender.part)

    def _holding(self, direction: Direction, alias: str, part: str) -> Holding:
        state = self._health.state(part)
        if state is None:
            return Holding(direction, alias, "starting", "starting", 0.0)
        return Holding(direction, alias, state.status, state.code, state.silent_seconds)
