"""What the egress worker tells."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class RequestReceived(Event):
    """A request was taken from a queue."""

    name = "egress.request_received"
    level = "debug"

    mailbox: str
    queue: Literal["ordinary", "urgent", "returned"]

    def record(self, metrics: Metrics) -> None:
        """Count it."""
        metrics.egress_received.labels(self.mailbox, self.queue).inc()


@dataclass(frozen=True)
class RequestEnded(Event):
    """The event about a request's end is confirmed, and the request acknowledged."""

    name = "egress.request_ended"

    mailbox: str
    request_id: str | None
    outcome: str
    code: str
    attempts: int
    delivery_seconds: float | None
    """From the publication of the request to its end; None where it tells no time."""

    def record(self, metrics: Metrics) -> None:
        """Count it, with its time."""
        metrics.egress_requests.labels(self.mailbox, self.outcome, self.code).inc()
        if self.delivery_seconds is not None:
            metrics.egress_delivery_seconds.labels(self.mailbox).observe(self.delivery_seconds)


@dataclass(frozen=True)
class RequestDeferred(Event):
    """A request waits in a retry queue."""

    name = "egress.request_deferred"

    mailbox: str
    request_id: str | None
    code: str
    attempts: int
    wait_seconds: int

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.egress_retries.labels(self.mailbox, self.code).inc()


@dataclass(frozen=True)
class RequestLeft(Event):
    """A request was put down unsettled: its connection is gone, or the worker stops. The broker delivers it again."""

    name = "egress.request_left"

    mailbox: str
    request_id: str | None
    code: str


@dataclass(frozen=True)
class StepTaken(Event):
    """One call of the send protocol ended."""

    name = "egress.step_taken"
    level = "debug"

    mailbox: str
    step: str
    code: str
    seconds: float

    def record(self, metrics: Metrics) -> None:
        """Count its time, and drafts that were voided."""
        metrics.egress_step_seconds.labels(self.step).observe(self.seconds)
        if self.step == "void" and self.code == "ok":
            metrics.egress_voids.labels(self.mailbox).inc()


@dataclass(frozen=True)
class RequestsHeld(Event):
    """How many requests this worker holds of a mailbox, and what the windows leave."""

    name = "egress.requests_held"
    level = "debug"

    mailbox: str
    held: int
    rate_tokens: float
    recipients_left: float

    def record(self, metrics: Metrics) -> None:
        """Set the gauges."""
        metrics.egress_held.labels(self.mailbox).set(self.held)
        metrics.egress_rate_tokens.labels(self.mailbox).set(self.rate_tokens)
        metrics.egress_recipients_left.labels(self.mailbox).set(self.recipients_left)


@dataclass(frozen=True)
class DrainingPaused(Event):
    """A mailbox cannot be sent from; its requests wait in the retry queues."""

    name = "egress.draining_paused"
    level = "warning"

    mailbox: str
    code: str
    detail: str
    wait_seconds: float

    def record(self, metrics: Metrics) -> None:
        """Count it by reason."""
        metrics.egress_pauses.labels(self.mailbox, self.code).inc()
        metrics.egress_paused.labels(self.mailbox).set(1)
        metrics.egress_wait.labels(self.mailbox).set(self.wait_seconds)


@dataclass(frozen=True)
class DrainingResumed(Event):
    """A mailbox can be sent from again."""

    name = "egress.draining_resumed"

    mailbox: str
    paused_seconds: float

    def record(self, metrics: Metrics) -> None:
        """Reset the gauge."""
        metrics.egress_paused.labels(self.mailbox).set(0)
        metrics.egress_wait.labels(self.mailbox).set(0)


@dataclass(frozen=True)
class QueueMissing(Event):
    """A request came back because the queue of its mailbox is not there."""

    name = "egress.queue_missing"
    level = "error"

    mailbox: str


@dataclass(frozen=True)
class ConsumingFailed(Event):
    """A queue cannot be consumed at the moment."""

    name = "egress.consuming_failed"
    level = "warning"

    mailbox: str
    code: str
    wait_seconds: float


@dataclass(frozen=True)
class QueuesElsewhere(Event):
    """Another worker is found to drain the mailbox; this one stands by. Told once, until it is otherwise."""

    name = "egress.queues_elsewhere"

    mailbox: str


@dataclass(frozen=True)
class LedgerSwept(Event):
    """Entries and drafts older than the ledger keeps were deleted."""

    name = "egress.ledger_swept"

    mailbox: str
    deleted: int


@dataclass(frozen=True)
class LedgerLost(Event):
    """The folder of the ledger was deleted or emptied, and is a new one; requests in hand then are not sent again."""

    name = "egress.ledger_lost"
    level = "error"

    mailbox: str
    found_at: datetime

    def record(self, metrics: Metrics) -> None:
        """Show when."""
        metrics.egress_ledger_lost.labels(self.mailbox).set(self.found_at.timestamp())
