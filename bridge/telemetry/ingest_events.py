"""What the ingest worker tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class InboxListed(Event):
    """A watched folder was listed from its oldest mail; `waiting` counts all watched folders."""

    name = "ingest.inbox_listed"
    level = "debug"

    mailbox: str
    waiting: int
    oldest_received_at: datetime | None

    def record(self, metrics: Metrics) -> None:
        """Set the gauges of what waits, and when that was known."""
        metrics.ingest_waiting.labels(self.mailbox).set(self.waiting)
        metrics.ingest_listing_age.mark(self.mailbox)
        metrics.ingest_oldest_waiting_age.set(self.mailbox, self.oldest_received_at)


@dataclass(frozen=True)
class BacklogFound(Event):
    """At the start much or old mail waits; it is about to be taken. `ignore_before` would leave it."""

    name = "ingest.backlog_found"
    level = "warning"

    mailbox: str
    folder: str
    waiting: int
    oldest_age_seconds: float | None
    code: str = "old_mail_waits"


@dataclass(frozen=True)
class JunkCounted(Event):
    """The junk folder was looked at."""

    name = "ingest.junk_counted"
    level = "debug"

    mailbox: str
    count: int

    def record(self, metrics: Metrics) -> None:
        """Set the gauge."""
        metrics.ingest_junk.labels(self.mailbox).set(self.count)


@dataclass(frozen=True)
class JunkFound(Event):
    """More mail than before lies in the junk folder; a request may be among it."""

    name = "ingest.junk_found"
    level = "warning"

    mailbox: str
    count: int
    code: str = "junk_waits"


@dataclass(frozen=True)
class MailsFetched(Event):
    """One batch was read."""

    name = "ingest.mails_fetched"
    level = "debug"

    mailbox: str
    count: int
    size_bytes: int
    seconds: float

    def record(self, metrics: Metrics) -> None:
        """Count mails, bytes and the call's time."""
        metrics.ingest_fetched.labels(self.mailbox).inc(self.count)
        metrics.ingest_fetch_seconds.observe(self.seconds)


@dataclass(frozen=True)
class BlobWritten(Event):
    """A part of a mail is in the blob store, and was read back; its payload is about to be published."""

    name = "ingest.blob_written"
    level = "debug"

    mailbox: str
    size_bytes: int

    def record(self, metrics: Metrics) -> None:
        """Count it and its bytes."""
        metrics.ingest_blobs.labels(self.mailbox).inc()
        metrics.ingest_blob_bytes.labels(self.mailbox).inc(self.size_bytes)


@dataclass(frozen=True)
class BlobsRemoved(Event):
    """Blobs older than `blobs.keep_days` were removed."""

    name = "blobs.removed"

    count: int

    def record(self, metrics: Metrics) -> None:
        """Count them."""
        metrics.ingest_blobs_removed.inc(self.count)


@dataclass(frozen=True)
class BlobSweepFailed(Event):
    """Old blobs could not be removed; it is tried again in an hour. Nothing else waits for that."""

    name = "blobs.sweep_failed"
    level = "warning"

    code: str


@dataclass(frozen=True)
class MailPublished(Event):
    """The broker confirmed a mail; it may now leave the inbox."""

    name = "ingest.mail_published"

    mailbox: str
    message_id: str
    routing_key: str
    size_bytes: int
    publish_seconds: float
    delivery_seconds: float | None
    """From the mail's arrival at Exchange to the confirm; None where Exchange told no time."""

    def record(self, metrics: Metrics) -> None:
        """Count it, with its times."""
        kind = self.routing_key.rpartition(".")[2]
        metrics.ingest_published.labels(self.mailbox, kind).inc()
        metrics.ingest_payload_bytes.observe(self.size_bytes)
        metrics.ingest_publish_seconds.observe(self.publish_seconds)
        if self.delivery_seconds is not None:
            metrics.ingest_delivery_seconds.labels(self.mailbox).observe(self.delivery_seconds)


@dataclass(frozen=True)
class MailsRemoved(Event):
    """Published mails left the inbox."""

    name = "ingest.mails_removed"
    level = "debug"

    mailbox: str
    count: int

    def record(self, metrics: Metrics) -> None:
        """Count them."""
        metrics.ingest_removed.labels(self.mailbox).inc(self.count)


@dataclass(frozen=True)
class MailKept(Event):
    """A mail stays in the inbox for now; the others pass. It is tried again."""

    name = "ingest.mail_kept"
    level = "warning"

    mailbox: str
    message_id: str
    code: str

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_kept.labels(self.mailbox, self.code).inc()


@dataclass(frozen=True)
class MailParked(Event):
    """A mail that can be neither fetched nor carried was announced and moved to `Bridge Parked`, unchanged."""

    name = "ingest.mail_parked"
    level = "warning"

    mailbox: str
    message_id: str
    code: str

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_parked.labels(self.mailbox, self.code).inc()


@dataclass(frozen=True)
class MailUnread(Event):
    """Of a mail nothing but its bytes goes out: reading it failed, or took longer than one mail may take."""

    name = "ingest.mail_unread"
    level = "warning"

    mailbox: str
    message_id: str
    defect: str

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_unread.labels(self.mailbox, self.defect).inc()


@dataclass(frozen=True)
class ParkedCounted(Event):
    """The folder of parked mails was looked at."""

    name = "ingest.parked_counted"
    level = "debug"

    mailbox: str
    count: int
    codes: Mapping[str, int]
    """How many for each reason; 0 for a reason that no mail has any more."""

    def record(self, metrics: Metrics) -> None:
        """Set the gauges."""
        metrics.ingest_in_parking.labels(self.mailbox).set(self.count)
        for code, count in self.codes.items():
            metrics.ingest_parked_waiting.labels(self.mailbox, code).set(count)


@dataclass(frozen=True)
class MailboxMeasured(Event):
    """The mailbox was measured."""

    name = "ingest.mailbox_measured"
    level = "debug"

    mailbox: str
    held_bytes: int
    limit_bytes: int | None
    """From here on Exchange sends, or receives, no more; None where it tells no limit."""

    def record(self, metrics: Metrics) -> None:
        """Set the gauges."""
        metrics.ingest_mailbox_bytes.labels(self.mailbox).set(self.held_bytes)
        if self.limit_bytes is not None:
            metrics.ingest_mailbox_quota.labels(self.mailbox).set(self.limit_bytes)


@dataclass(frozen=True)
class ReadingFailed(Event):
    """A pass over the mailbox ended early; what follows is a wait."""

    name = "ingest.reading_failed"
    level = "warning"

    mailbox: str
    code: str
    detail: str
    wait_seconds: float
    paused: bool

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.ingest_pauses.labels(self.mailbox, self.code).inc()
        metrics.ingest_paused.labels(self.mailbox).set(1)
        metrics.ingest_wait.labels(self.mailbox).set(self.wait_seconds)


@dataclass(frozen=True)
class ReadingResumed(Event):
    """A mailbox is read again after a failure."""

    name = "ingest.reading_resumed"

    mailbox: str
    failed_seconds: float

    def record(self, metrics: Metrics) -> None:
        """Reset the gauge."""
        metrics.ingest_paused.labels(self.mailbox).set(0)
        metrics.ingest_wait.labels(self.mailbox).set(0)


@dataclass(frozen=True)
class MailboxTaken(Event):
    """This worker reads the mailbox from now on; others stand by."""

    name = "ingest.mailbox_taken"

    mailbox: str

    def record(self, metrics: Metrics) -> None:
        """Set the gauge, and count the time to the first listing."""
        metrics.ingest_owned.labels(self.mailbox).set(1)
        metrics.ingest_listing_age.start(self.mailbox)


@dataclass(frozen=True)
class MailboxLeft(Event):
    """This worker reads the mailbox no more, and whoever stands by takes it."""

    name = "ingest.mailbox_left"

    mailbox: str
    why: str
    """`stopping`, `lost` (the broker does not confirm the lease any more) or `trouble` (another may fare better)."""

    def record(self, metrics: Metrics) -> None:
        """Reset the gauge."""
        metrics.ingest_owned.labels(self.mailbox).set(0)


@dataclass(frozen=True)
class MailboxElsewhere(Event):
    """Another worker is found to read the mailbox; this one stands by."""

    name = "ingest.mailbox_elsewhere"
    level = "debug"

    mailbox: str

    def record(self, metrics: Metrics) -> None:
        """Show no more what the other one knows better: its values are the true ones."""
        metrics.ingest_paused.labels(self.mailbox).set(0)
        for gauge in (
            metrics.ingest_waiting,
            metrics.ingest_junk,
            metrics.ingest_in_parking,
            metrics.ingest_parked_waiting,
            metrics.ingest_mailbox_bytes,
            metrics.ingest_mailbox_quota,
        ):
            gauge.remove_by_labels({"mailbox": self.mailbox})
        metrics.ingest_listing_age.forget(self.mailbox)
        metrics.ingest_oldest_waiting_age.forget(self.mailbox)
