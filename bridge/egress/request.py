"""A delivery from an outbound queue, read: the request or what is wrong with it, and its history."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from bridge.domain.outbound_records import EndReason
from bridge.errors import MailboxThrottled, RequestInvalid
from bridge.wire import outbound_v1
from bridge.wire.topology import parse_outbound_key

if TYPE_CHECKING:
    from bridge.ports.broker import Delivery, HeaderValue
    from bridge.ports.clock import Clock
    from bridge.wire.outbound_v1 import OutboundLimits, OutboundRequest

# Headers of the bridge's own; a request gets them anew each time it waits.
ATTEMPTS: Final = "x-bridge-attempts"
FIRST_SEEN: Final = "x-bridge-first-seen"
WAITED: Final = "x-bridge-waited-seconds"
DELAY_TOLD: Final = "x-bridge-delay-told"
END: Final = "x-bridge-end"
UNTOUCHED: Final = "x-bridge-untouched"
REASON: Final = "x-bridge-reason"
DETAIL: Final = "x-bridge-detail"
TRACE = ("traceparent", "tracestate")

# Why a request was given up, by the broker or after many attempts. It is kept in a header while the request waits for
# its mailbox to be usable.
GIVEN_UP: Final = {
    "expired": EndReason("expired", "expired"),
    "delivery_limit": EndReason("failed", "delivery_limit"),
    MailboxThrottled.code: EndReason("failed", MailboxThrottled.code, "given up: Exchange asked for less each time"),
}

_IDENTIFIER = re.compile(r"[!-~]{1,200}")
_TRACE = re.compile(r"[ -~]{1,512}")
_MOST_ATTEMPTS = 1_000_000
_MOST_SECONDS = 1_000_000_000


@dataclass(frozen=True, slots=True)
class QueuedRequest:
    """One request in hand."""

    delivery: Delivery
    alias: str
    """Out of the routing key; whether there is such a mailbox is another question."""
    urgent: bool
    request: OutboundRequest | None
    invalid: RequestInvalid | None
    """Given exactly where there is no request."""
    digest: str
    """Of the request's content; of the body where it is no request."""
    request_id: str | None
    correlation_id: str | None
    attempts: int
    """Earlier attempts that ended in a wait of the request's own."""
    first_seen: datetime | None
    """When a worker saw it first, by the trusted time; None where nobody knew that."""
    waited_seconds: float
    """How long it has waited in the broker and been in hand since, counted by durations: no clock can make it more."""
    taken_at: float
    """When this attempt began, by the clock that only ever grows."""
    delay_announced: bool
    end_as: EndReason | None = None
    """Given: the request is to end without a send, unless it was sent already."""

    @property
    def expires_at(self) -> datetime | None:
        """Return when the request is too old to be begun, None for never."""
        return self.request.expires_at if self.request is not None else None

    @property
    def untouched(self) -> bool:
        """Whether no attempt, as far as the request's deliveries show, can have begun to send it."""
        headers = self.delivery.headers
        return not self.delivery.redelivered and (ATTEMPTS not in headers or headers.get(UNTOUCHED) is True)

    @property
    def begun_after(self) -> datetime | None:
        """
        Return a moment before which nobody can have begun to send this request, None where nothing tells.

        A publisher's clock or a worker's may be wrong: where both tell, the earlier counts.
        """
        seen = self.first_seen if FIRST_SEEN in self.delivery.headers else None
        return min((moment for moment in (seen, self.delivery.timestamp) if moment is not None), default=None)

    @property
    def met_before(self) -> bool:
        """Whether an earlier attempt may have left something in the mailbox."""
        return self.delivery.redelivered or ATTEMPTS in self.delivery.headers

    def traces(self) -> dict[str, HeaderValue]:
        """Return the trace context of the publisher, to be passed on."""
        found = ((name, self.delivery.headers.get(name)) for name in TRACE)
        return {name: value for name, value in found if isinstance(value, str) and _TRACE.fullmatch(value)}

    def tried_seconds(self, clock: Clock) -> float:
        """Return for how long the request has been tried; its time in its queue is not counted."""
        return self.waited_seconds + clock.monotonic() - self.taken_at

    def age_seconds(self, clock: Clock) -> float:
        """Return the time since the bridge saw the request first, as far as that can be told."""
        known = clock.known()
        if known is None or self.first_seen is None:
            return self.tried_seconds(clock)
        return (known.earliest - self.first_seen).total_seconds()

    def delivery_seconds(self, now: datetime) -> float | None:
        """Return the time since the request was published, None where it does not tell."""
        published = self.delivery.timestamp
        return None if published is None else max(0.0, (now - published).total_seconds())


def read_ticket(delivery: Delivery, *, limits: OutboundLimits, clock: Clock) -> QueuedRequest:
    """Read a delivery; nothing that it can hold makes this raise."""
    alias, urgent = parse_outbound_key(delivery.routing_key)
    request, invalid = None, None
    try:
        _refuse_copies(delivery)
        request = outbound_v1.parse(
            delivery.body, message_id=delivery.message_id, content_type=delivery.content_type, limits=limits
        )
    except RequestInvalid as error:
        invalid = error
    return QueuedRequest(
        delivery=delivery,
        alias=alias,
        urgent=urgent,
        request=request,
        invalid=invalid,
        digest=request.digest() if request is not None else hashlib.sha256(delivery.body).hexdigest(),
        request_id=request.request_id if request is not None else _identifier(delivery.message_id),
        correlation_id=(request.correlation_id if request is not None else None)
        or _identifier(delivery.correlation_id),
        attempts=_count(delivery, ATTEMPTS, most=_MOST_ATTEMPTS),
        first_seen=_first_seen(delivery, clock),
        waited_seconds=_count(delivery, WAITED, most=_MOST_SECONDS),
        taken_at=clock.monotonic(),
        delay_announced=delivery.headers.get(DELAY_TOLD) is True,
        end_as=GIVEN_UP.get(str(delivery.headers.get(END))),
    )


def _refuse_copies(delivery: Delivery) -> None:
    # RabbitMQ routes by these as well; a request that is published anew to wait would multiply.
    for name in ("CC", "BCC"):
        if name in delivery.headers:
            raise RequestInvalid(f"headers.{name}", "routes copies of a request; publish one request for each mailbox")


def _identifier(text: str | None) -> str | None:
    return text if text is not None and _IDENTIFIER.fullmatch(text) else None


def _count(delivery: Delivery, header: str, *, most: int) -> int:
    value = delivery.headers.get(header)
    return min(value, most) if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else 0


def _first_seen(delivery: Delivery, clock: Clock) -> datetime | None:
    value, known = delivery.headers.get(FIRST_SEEN), clock.known()
    now = clock.now() if known is not None else None
    try:
        seen = datetime.fromisoformat(value) if isinstance(value, str) else None
        if seen is None or seen.tzinfo is None:
            return now
        return min(seen.astimezone(UTC), now) if now is not None else seen.astimezone(UTC)
    except (ValueError, OverflowError):
        return now
