"""What is told of the streams by which Exchange tells of new mail."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class MailboxWoken(Event):
    """A mailbox is listed because something happened, not because of the clock; or because of it (`interval`)."""

    name = "ingest.mailbox_woken"
    level = "debug"

    mailbox: str
    code: str
    """`notified`, `connected` (a stream began, what came before may be untold), `lost` (it ended) or `interval`."""

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_wakes.labels(self.mailbox, self.code).inc()


@dataclass(frozen=True)
class StreamOpened(Event):
    """Exchange tells of so many mailboxes on one connection from now on."""

    name = "ingest.stream_opened"

    mailboxes: int


@dataclass(frozen=True)
class StreamHeard(Event):
    """A stream said something, if only that it is alive."""

    name = "ingest.stream_heard"
    level = "debug"

    mailboxes: tuple[str, ...]
    arrived: int
    """Of so many of them that something came."""
    lost: int
    """Of so many that they will be told of no more."""

    def record(self, metrics: Metrics) -> None:
        """Note when it was."""
        for mailbox in self.mailboxes:
            metrics.ingest_stream_age.mark(mailbox)


@dataclass(frozen=True)
class StreamEnded(Event):
    """A stream is over, in order (`ok`) or not; until the next one its mailboxes are listed more often."""

    name = "ingest.stream_ended"

    mailboxes: int
    code: str
    detail: str
    seconds: float
    wait_seconds: float
    """Before the next one is opened."""

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_stream_ends.labels(self.code).inc()


@dataclass(frozen=True)
class SubscribingFailed(Event):
    """A mailbox could not be subscribed to; until it can, it is listed more often."""

    name = "ingest.subscribing_failed"
    level = "warning"

    mailbox: str
    code: str
    detail: str
    wait_seconds: float
