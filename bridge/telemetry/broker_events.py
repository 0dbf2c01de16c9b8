"""What the connections to the broker tell about themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class BrokerConnected(Event):
    """A connection to the broker is open."""

    name = "broker.connection_opened"

    role: str
    """`publish`, `consume` or `announce`."""
    node: str
    """Host and port."""
    seconds: float

    def record(self, metrics: Metrics) -> None:
        metrics.broker_connection_up.labels(self.role).set(1)
        metrics.broker_connects.labels(self.role, "ok").inc()


@dataclass(frozen=True)
class BrokerConnectFailed(Event):
    """One attempt to connect failed; the next node, or the same one, is tried after `wait_seconds`."""

    name = "broker.connection_failed"
    level = "warning"

    role: str
    node: str
    code: str
    detail: str
    wait_seconds: float

    def record(self, metrics: Metrics) -> None:
        metrics.broker_connection_up.labels(self.role).set(0)
        metrics.broker_connects.labels(self.role, self.code).inc()


@dataclass(frozen=True)
class BrokerConnectionLost(Event):
    """An open connection ended without our doing; what was unconfirmed may or may not be there."""

    name = "broker.connection_lost"
    level = "warning"

    role: str
    node: str
    code: str
    detail: str

    def record(self, metrics: Metrics) -> None:
        metrics.broker_connection_up.labels(self.role).set(0)


@dataclass(frozen=True)
class BrokerTokenRenewed(Event):
    """An open connection has got a newer token, which ends in `seconds`."""

    name = "broker.token_renewed"

    role: str
    seconds: float

    def record(self, metrics: Metrics) -> None:
        metrics.broker_token_renewals.labels(self.role, "ok").inc()


@dataclass(frozen=True)
class BrokerTokenRefused(Event):
    """There is no newer token for an open connection, or the broker refuses it; the old one ends in `seconds`."""

    name = "broker.token_not_renewed"
    level = "warning"

    role: str
    code: str
    detail: str
    seconds: float

    def record(self, metrics: Metrics) -> None:
        metrics.broker_token_renewals.labels(self.role, self.code).inc()


@dataclass(frozen=True)
class BrokerCertificateExpires(Event):
    """The client certificate for the broker ends within `days` (30, 7 or 1; 0: its time is over)."""

    name = "broker.certificate_expires"
    level = "warning"

    days: int
    detail: str


@dataclass(frozen=True)
class BrokerChannelLost(Event):
    """The broker closed a channel; it is opened again."""

    name = "broker.channel_lost"
    level = "warning"

    role: str
    code: str
    detail: str


@dataclass(frozen=True)
class BrokerBlockedChanged(Event):
    """The broker began or ended to take no publishes (memory or disk alarm)."""

    name = "broker.blocked_changed"
    level = "warning"

    role: str
    blocked: bool

    def record(self, metrics: Metrics) -> None:
        metrics.broker_blocked.labels(self.role).set(int(self.blocked))


@dataclass(frozen=True)
class PublishSettled(Event):
    """The broker answered a publish, or did not; `outcome` is `confirmed` or an error's code."""

    name = "broker.publish_settled"
    level = "debug"

    outcome: str
    seconds: float
    outstanding: int

    def record(self, metrics: Metrics) -> None:
        metrics.broker_publishes.labels(self.outcome).inc()
        metrics.broker_confirm_seconds.observe(self.seconds)
        metrics.broker_confirms_outstanding.set(self.outstanding)


@dataclass(frozen=True)
class AnnouncementHeard(Event):
    """Something came on the amqp_exchange on which workers announce themselves."""

    name = "broker.announcement_heard"
    level = "debug"

    outcome: Literal["ok", "garbled"]
    others: int
    """How many other workers there are by now."""

    def record(self, metrics: Metrics) -> None:
        metrics.broker_announcements.labels(self.outcome).inc()
        metrics.broker_other_workers.set(self.others)


@dataclass(frozen=True)
class QueueCounted(Event):
    """A queue of the bridge that it does not consume was looked at."""

    name = "broker.queue_counted"
    level = "debug"

    queue: str
    messages: int
    consumers: int

    def record(self, metrics: Metrics) -> None:
        metrics.broker_queue_messages.labels(self.queue).set(self.messages)
        metrics.broker_queue_consumers.labels(self.queue).set(self.consumers)


@dataclass(frozen=True)
class EventMissed(Event):
    """The queue `mail.events` has an event, and another queue that is bound for it refused it or gave no answer."""

    name = "broker.event_missed"
    level = "debug"

    event_name: str
    code: str

    def record(self, metrics: Metrics) -> None:
        """Count it by event and reason."""
        metrics.broker_events_missed.labels(self.event_name, self.code).inc()


@dataclass(frozen=True)
class EventSubscriberRefused(Event):
    """From now on a queue that is bound for this event misses what is published."""

    name = "broker.event_subscriber_refuses"
    level = "warning"

    event_name: str
    code: str


@dataclass(frozen=True)
class EventSubscriberHealed(Event):
    """Every queue takes this event again; some that came in between are in the queue `mail.events` alone."""

    name = "broker.event_subscriber_healed"

    event_name: str
    missed: int
