"""
Every metric of the bridge, created in one place.

Names are `bridge_<area>_<noun>_<unit>`, in seconds and bytes; labels come from small closed sets (mailbox alias, kind,
code, operation), never an address, an id or the text of an exception. Ages are computed when somebody asks, so that
they grow while nothing happens.
"""

from __future__ import annotations

import platform
import time
from typing import TYPE_CHECKING

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

CALL_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300)
"""From an answer on the same machine to the longest call that Exchange keeps open."""
DELIVERY_BUCKETS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900, 3600, 4 * 3600, 24 * 3600)
"""From a few round trips to a night's backlog."""
BYTES_BUCKETS = tuple(float(4**power) for power in range(5, 15))
"""1 KiB to 256 MiB."""


disable_created_metrics()  # type: ignore[no-untyped-call] # one more series for each counter, which nobody asks for


class Age:
    """A gauge of the seconds since something happened, for each mailbox; it grows by itself."""

    def __init__(self, name: str, text: str, clock: Callable[[], float]) -> None:
        self._name, self._text, self._clock = name, text, clock
        self._since: dict[str, float | None] = {}

    def start(self, mailbox: str) -> None:
        """Count from now, unless it counts already."""
        self._since.setdefault(mailbox, self._clock())

    def mark(self, mailbox: str) -> None:
        """It happened now."""
        self._since[mailbox] = self._clock()

    def set(self, mailbox: str, since: datetime | None) -> None:
        """It happened at that time; None when there is nothing whose age could be told (0 is shown)."""
        self._since[mailbox] = since.timestamp() if since is not None else None

    def forget(self, mailbox: str) -> None:
        """Show it no more."""
        self._since.pop(mailbox, None)

    def seconds(self, mailbox: str) -> float | None:
        """Return the age, None when the mailbox is not counted; never negative, whatever the clocks say."""
        if mailbox not in self._since:
            return None
        since = self._since[mailbox]
        return 0.0 if since is None else max(0.0, self._clock() - since)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """Yield the gauge for a scrape."""
        family = GaugeMetricFamily(self._name, self._text, labels=["mailbox"])
        for mailbox in tuple(self._since):
            seconds = self.seconds(mailbox)
            if seconds is not None:
                family.add_metric([mailbox], seconds)
        yield family


class Metrics:
    """The metrics of one process, in a registry of their own."""

    def __init__(
        self, *, monotonic: Callable[[], float] = time.monotonic, wall: Callable[[], float] = time.time
    ) -> None:
        self.registry = CollectorRegistry(auto_describe=True)
        self._monotonic, self._wall = monotonic, wall
        self._ingest()
        self._egress()
        self._exchange()
        self._broker()
        self._process()

    def _ingest(self) -> None:
        self.ingest_fetched = self._counter("ingest_fetched_mails", "Mails read from Exchange", "mailbox")
        self.ingest_published = self._counter(
            "ingest_published_mails", "Mails that the broker confirmed", "mailbox", "kind"
        )
        self.ingest_removed = self._counter("ingest_removed_mails", "Published mails taken out of the inbox", "mailbox")
        self.ingest_kept = self._counter(
            "ingest_kept_mails", "Times a mail was left in the inbox, by reason", "mailbox", "code"
        )
        self.ingest_parked = self._counter("ingest_parked_mails", "Mails parked, by reason", "mailbox", "code")
        self.ingest_unread = self._counter(
            "ingest_unread_mails", "Mails of which only the bytes were published, by reason", "mailbox", "code"
        )
        self.ingest_in_parking = self._gauge(
            "ingest_parking_waiting_mails", "Mails in the folder Bridge Parked", "mailbox"
        )
        self.ingest_parked_waiting = self._gauge(
            "ingest_parked_waiting_mails", "Mails in the folder Bridge Parked, by reason", "mailbox", "code"
        )
        self.ingest_mailbox_bytes = self._gauge(
            "ingest_mailbox_bytes", "What the visible folders of a mailbox hold", "mailbox"
        )
        self.ingest_mailbox_quota = self._gauge(
            "ingest_mailbox_quota_bytes",
            "From how much on Exchange sends or receives no more, where it tells",
            "mailbox",
        )
        self.ingest_pauses = self._counter(
            "ingest_pauses", "Times reading a mailbox paused, by reason", "mailbox", "code"
        )
        self.ingest_owned = self._gauge(
            "ingest_owned", "1 while this worker is the one that reads a mailbox", "mailbox"
        )
        self.ingest_in_flight = self._gauge("ingest_in_flight_mails", "Mails between publish and removal", "mailbox")
        self.ingest_in_flight_bytes = self._gauge("ingest_in_flight_bytes", "Bytes of mail between fetch and confirm")
        self.ingest_waiting = self._gauge(
            "ingest_waiting_mails", "Mails in the watched folders at the last listing", "mailbox"
        )
        self.ingest_junk = self._gauge("ingest_junk_mails", "Mails in the junk folder", "mailbox")
        self.ingest_paused = self._gauge("ingest_paused", "1 while reading a mailbox is paused", "mailbox")
        self.ingest_wait = self._gauge(
            "ingest_wait_seconds",
            "Wait before a mailbox that failed is tried again, as Exchange asked or longer",
            "mailbox",
        )
        self.ingest_wakes = self._counter(
            "ingest_wakes",
            "Listings of a mailbox by what began them: Exchange told of mail (`notified`), a stream began or ended "
            "(`connected`, `lost`), the clock (`interval`)",
            "mailbox",
            "code",
        )
        self.ingest_streamed = self._gauge(
            "ingest_streamed", "1 while Exchange tells of a mailbox's new mail as it comes", "mailbox"
        )
        self.ingest_stream_connections = self._gauge(
            "ingest_stream_connections", "Open connections on which Exchange tells of mailboxes"
        )
        self.ingest_stream_subscriptions = self._gauge(
            "ingest_stream_subscriptions", "Subscriptions to mailboxes that this worker reads"
        )
        self.ingest_stream_ends = self._counter(
            "ingest_stream_ends", "Streams that ended, by reason (`ok`: in order)", "code"
        )
        self.ingest_stream_age = self._age(
            "ingest_stream_heard_age_seconds",
            "Since a stream that tells of a mailbox last showed a sign of life",
            self._monotonic,
        )
        self.ingest_fetch_seconds = self._histogram(
            "ingest_fetch_seconds", "One call that fetches a batch", CALL_BUCKETS
        )
        self.ingest_publish_seconds = self._histogram("ingest_publish_seconds", "Publish to confirm", CALL_BUCKETS)
        self.ingest_delivery_seconds = self._histogram(
            "ingest_delivery_seconds", "Received by Exchange to confirmed by the broker", DELIVERY_BUCKETS, "mailbox"
        )
        self.ingest_blobs = self._counter("ingest_blobs", "Blobs written and read back", "mailbox")
        self.ingest_blob_bytes = self._counter("ingest_blob_bytes", "Bytes of these blobs", "mailbox")
        self.ingest_blobs_removed = self._counter("ingest_blobs_removed", "Blobs removed for their age")
        self.ingest_payload_bytes = self._histogram("ingest_payload_bytes", "Size of published payloads", BYTES_BUCKETS)
        self.ingest_listing_age = self._age(
            "ingest_listing_age_seconds", "Since the last complete listing of a mailbox", self._monotonic
        )
        self.ingest_oldest_waiting_age = self._age(
            "ingest_oldest_waiting_age_seconds",
            "Age of the oldest mail that waits in a mailbox, 0 if none does",
            self._wall,
        )

    def _egress(self) -> None:
        self.egress_received = self._counter(
            "egress_received_requests", "Requests taken from a queue", "mailbox", "queue"
        )
        self.egress_requests = self._counter(
            "egress_requests", "Requests that ended, by outcome and reason", "mailbox", "outcome", "code"
        )
        self.egress_retries = self._counter(
            "egress_retries", "Requests sent to a retry queue, by reason", "mailbox", "code"
        )
        self.egress_pauses = self._counter(
            "egress_pauses", "Times draining a mailbox paused, by reason", "mailbox", "code"
        )
        self.egress_voids = self._counter(
            "egress_voided_drafts", "Drafts voided so that nobody can send them", "mailbox"
        )
        self.egress_ledger_lost = self._gauge(
            "egress_ledger_lost_timestamp_seconds",
            "When the folder Bridge Sends was last found deleted or emptied, 0 if never",
            "mailbox",
        )
        self.egress_held = self._gauge("egress_held_requests", "Requests held by this worker", "mailbox")
        self.egress_paused = self._gauge("egress_paused", "1 while draining a mailbox is paused", "mailbox")
        self.egress_wait = self._gauge(
            "egress_wait_seconds",
            "Wait before a mailbox that failed is tried again, as Exchange asked or longer",
            "mailbox",
        )
        self.egress_rate_tokens = self._gauge("egress_rate_tokens", "Mails that may be sent at once", "mailbox")
        self.egress_recipients_left = self._gauge(
            "egress_recipients_left", "Recipients left of the day's allowance", "mailbox"
        )
        self.egress_step_seconds = self._histogram(
            "egress_step_seconds", "One step of the send protocol", CALL_BUCKETS, "step"
        )
        self.egress_delivery_seconds = self._histogram(
            "egress_delivery_seconds", "Request published to its end", DELIVERY_BUCKETS, "mailbox"
        )

    def _exchange(self) -> None:
        self.ews_calls = self._counter("ews_calls", "Calls to EWS, by operation and outcome", "operation", "outcome")
        self.ews_call_seconds = self._histogram("ews_call_seconds", "One call to EWS", CALL_BUCKETS, "operation")
        self.ews_calls_unanswered = self._gauge(
            "ews_calls_unanswered",
            "Calls in progress without an answer for 3 s, and those of mailboxes that give no answer",
        )
        self.ews_calls_allowed = self._gauge(
            "ews_calls_allowed",
            "Calls that may be in progress for the mailbox that is allowed the fewest: fewer while Exchange throttles, "
            "or calls only wait there",
        )
        self.entra_token_expiry = self._gauge(
            "entra_token_expiry_timestamp_seconds", "When the current token ends", "app"
        )
        self.entra_credential_expiry = self._gauge(
            "entra_credential_expiry_timestamp_seconds",
            "When a credential of the app ends, as far as it is known (`first`, or `next` to it)",
            "app",
            "credential",
        )
        self.entra_credential_up = self._gauge(
            "entra_credential_up", "1 if Entra took the credential when it was last tried", "app", "credential"
        )
        self.entra_requests = self._counter("entra_requests", "Requests for tokens, by outcome", "app", "outcome")
        self.entra_request_seconds = self._histogram(
            "entra_request_seconds", "One request for a token", CALL_BUCKETS, "app"
        )

    def _broker(self) -> None:
        self.broker_connection_up = self._gauge("broker_connection_up", "1 while connected", "role")
        self.broker_blocked = self._gauge("broker_blocked", "1 while the broker takes no publishes", "role")
        self.broker_queue_messages = self._gauge(
            "broker_queue_messages", "What waits in a queue that workers fill or watch, and do not consume", "queue"
        )
        self.broker_queue_consumers = self._gauge("broker_queue_consumers", "Consumers of such a queue", "queue")
        self.broker_certificate_expiry = self._gauge(
            "broker_certificate_expiry_timestamp_seconds",
            "When the certificate that the broker is shown ends, where there is one",
            "credential",
        )
        self.broker_token_renewals = self._counter(
            "broker_token_renewals",
            "Newer tokens for open connections to the broker, by outcome; one that fails keeps the old one",
            "role",
            "outcome",
        )
        self.broker_connects = self._counter("broker_connects", "Connection attempts, by outcome", "role", "outcome")
        self.broker_publishes = self._counter("broker_publishes", "Publishes, by outcome", "outcome")
        self.broker_events_missed = self._counter(
            "broker_events_missed",
            "Events that the queue `mail.events` has and another queue did not take, by kind and reason",
            "kind",
            "code",
        )
        self.broker_confirms_outstanding = self._gauge("broker_outstanding_confirms", "Publishes without an answer yet")
        self.broker_confirm_seconds = self._histogram("broker_confirm_seconds", "Publish to its answer", CALL_BUCKETS)
        self.broker_other_workers = self._gauge(
            "broker_other_workers", "Other workers that announce themselves on the broker"
        )
        self.broker_announcements = self._counter(
            "broker_announcements", "Announcements of workers that came, one's own too, by outcome", "outcome"
        )

    def _process(self) -> None:
        self.build_info = self._gauge("build_info", "1; the labels say what runs", "version", "python", "role")
        self.loop_lag_seconds = self._histogram("process_loop_lag_seconds", "How late the event loop is", CALL_BUCKETS)
        self.work_ended = self._counter(
            "process_ended_work", "Times a bug ended the work of a part, which is begun again later", "part"
        )
        self.log_lines = self._counter("process_log_lines", "Log lines, by level", "level")
        self.left_out_log_lines = self._counter(
            "process_left_out_log_lines",
            "Log lines left out as repeats: of libraries, and of errors that nobody awaits",
        )
        self.closed_http_connections = self._counter(
            "process_closed_http_connections",
            "Connections to /health and /metrics that were ended here: too_many at a time, or too_slow to ask",
            "code",
        )
        self.lost_log_lines = self._counter("process_lost_log_lines", "Log lines that could not be written")
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def count_closed_connection(self, code: str) -> None:
        """Count a connection to `/health` or `/metrics` that was ended here."""
        self.closed_http_connections.labels(code).inc()

    def set_build(self, version: str, role: str) -> None:
        """Say what runs. A worker of one direction does not show the other's metrics, which would be zero for ever."""
        self.build_info.labels(version, platform.python_version(), role).set(1)
        other = {"ingest": "egress_", "egress": "ingest_"}.get(role)
        for name, metric in vars(self).items():
            if other is not None and name.startswith(other):
                self.registry.unregister(metric)

    def render(self) -> bytes:
        """Return the exposition for a scrape, in the text format 0.0.4."""
        return generate_latest(self.registry)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"bridge_{name}_total", text, labels, registry=self.registry)

    def _gauge(self, name: str, text: str, *labels: str) -> Gauge:
        return Gauge(f"bridge_{name}", text, labels, registry=self.registry)

    def _histogram(self, name: str, text: str, buckets: Sequence[float], *labels: str) -> Histogram:
        return Histogram(f"bridge_{name}", text, labels, buckets=buckets, registry=self.registry)

    def _age(self, name: str, text: str, clock: Callable[[], float]) -> Age:
        age = Age(f"bridge_{name}", text, clock)
        self.registry.register(age)
        return age
