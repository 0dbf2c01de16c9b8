"""
`mail.event.v1`: what became of a request or of a mail, on the amqp_exchange `mail.events`.

An event that is told twice, because something died in between, has the same `event_id` both times. No field holds
content of a mail, an address or a secret.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Literal, get_args

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from bridge.ports.broker import Message
from bridge.wire import topology

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.ports.broker import HeaderValue

NAME = "mail.event.v1"
CONTENT_TYPE = "application/json"

EventName = Literal[
    "outbound.sent",
    "outbound.failed",
    "outbound.expired",
    "outbound.unknown",
    "outbound.delayed",
    "outbound.bounced",
    "inbound.parked",
]

TERMINAL: frozenset[EventName] = frozenset(("outbound.sent", "outbound.failed", "outbound.expired", "outbound.unknown"))
"""A request ends with exactly one of these; `outbound.bounced` may still follow `outbound.sent`."""

Code = Literal[
    # outbound.failed: the request itself
    "invalid_request",
    "request_id_reused",
    "unknown_alias",
    "too_large_for_transport",
    "refused_by_exchange",
    "delivery_limit",
    "blob_missing",
    "blob_changed",
    "blob_refused",
    # outbound.expired
    "expired",
    # outbound.unknown
    "outcome_unknown",
    # outbound.bounced
    "not_delivered",
    "not_delivered_yet",
    # inbound.parked
    "mail_unreadable",
    "too_large_for_broker",
    # outbound.delayed: what is waited for
    "rate_limited",
    "queue_missing",
    "transient",
    "mailbox_throttled",
    "mailbox_unavailable",
    "call_refused",
    "token_unavailable",
    "broker_unavailable",
    "broker_blocked",
    "publish_refused",
    "publish_unconfirmed",
    "publish_unroutable",
    "send_outcome_unknown",
    "operator",
    "credentials_rejected",
    "ews_blocked",
    "ews_call_refused",
    "mailbox_not_found",
    "mailbox_access_denied",
    "mailbox_not_proved",
    "mailbox_configured_twice",
    "mailbox_full",
    "folder_not_found",
    "sends_unanswered",
    "folders_conflict",
    "stale_key_accepted",
    "ledger_unsearchable",
    "sent_draft_stays",
    "removal_impossible",
    "parking_stopped",
    "published_too_often",
    "topology_missing",
    "broker_access_refused",
    "queue_taken",
    "blob_store_unavailable",
    "blob_store_unusable",
    "configuration",
    # what has no code of its own
    "message",
    "bridge_error",
]
"""Why. The codes of `bridge.errors` are all here."""

Confidence = Literal["verified", "unverified"]

CODES: tuple[Code, ...] = get_args(Code)
CONFIDENCES: tuple[Confidence, ...] = get_args(Confidence)
EVENT_NAMES: tuple[EventName, ...] = get_args(EventName)


class MailEvent(BaseModel):
    """One thing that became of a request or of a mail."""

    model_config = ConfigDict(
        title=NAME,
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
        hide_input_in_errors=True,
    )

    schema_: Literal["mail.event.v1"] = Field(default="mail.event.v1", alias="schema")
    """Name and version of this payload."""
    event: str = Field(json_schema_extra={"x-known-values": list(EVENT_NAMES)})
    """What happened, also the routing key. Later versions may add to `x-known-values`: expect unknown ones."""
    event_id: str = Field(pattern=r"^[0-9a-f]{40}$")
    """The same when the event is told again: drop repeats by it."""
    request_id: str | None
    """Of the request that the event is about; null for a mail that was parked, or a request too broken to have one."""
    correlation_id: str | None
    """Repeated from the request."""
    message_id: str | None
    """Of the mail in `mail.inbound.v1`: the one that was parked, or the bounce that tells of the failed delivery."""
    mailbox: str
    """The alias; for an unknown one, the routing key under which the request came."""
    at: AwareDatetime
    """When it was told first, or again; UTC."""
    attempts: int = Field(ge=0)
    """How often the request was tried so far; 0 where nothing was tried."""
    code: str | None = Field(json_schema_extra={"x-known-values": list(CODES)})
    """Why; null for `outbound.sent`. Later versions may add to `x-known-values`: expect unknown ones."""
    detail: str
    """For people; may be empty, may change between versions, never holds content or addresses."""
    internet_message_id: str | None
    """For `outbound.sent`: the Message-ID that the recipients see, where it is known."""
    confidence: str | None = Field(default=None, json_schema_extra={"x-known-values": list(CONFIDENCES)})
    """
    For `outbound.bounced`: how far it can be believed; null for all others.

    A bounce is a mail, and anybody can write one: whoever saw the Message-ID of a request's mail, or guesses it, can
    claim that it did not arrive. `unverified`: nothing proves who wrote it; let a person look, and page nobody anew for
    it alone. `verified`: the own organisation's Exchange made it, or took it from somebody who had signed in there.
    """


_ADAPTER: TypeAdapter[MailEvent] = TypeAdapter(MailEvent)


def build(
    event: EventName,
    *,
    mailbox: str,
    at: datetime,
    request_id: str | None = None,
    message_id: str | None = None,
    about: str = "",
    correlation_id: str | None = None,
    attempts: int = 0,
    code: Code | None = None,
    detail: str = "",
    internet_message_id: str | None = None,
    confidence: Confidence | None = None,
) -> MailEvent:
    """
    Return the event.

    `about` tells apart events of the same name about the same request: the recipient of a bounce, the step of a delay,
    the SHA-256 of a body that has no request_id. It goes into `event_id` only, as a hash.

    Raises:
        ValueError: There is nothing to tell the event by, or the code is not one of `CODES`.
    """
    if code is not None and code not in CODES:
        raise ValueError(f"{code!r} is no code of {NAME}")
    return MailEvent(
        event=event,
        event_id=event_id(event, mailbox=mailbox, request_id=request_id, message_id=message_id, about=about),
        request_id=request_id,
        correlation_id=correlation_id,
        message_id=message_id,
        mailbox=mailbox,
        at=at,
        attempts=attempts,
        code=code,
        detail=detail,
        internet_message_id=internet_message_id,
        confidence=confidence,
    )


def event_id(
    event: EventName, *, mailbox: str, request_id: str | None = None, message_id: str | None = None, about: str = ""
) -> str:
    """
    Return the identity of an event: made of what it is about, not of when or by whom it was told.

    Raises:
        ValueError: There is nothing to tell it by.
    """
    if not (request_id or message_id or about):
        raise ValueError("an event needs a request_id, a message_id or what it is about")
    digest = hashlib.sha256()
    for part in (NAME, event, mailbox, request_id or "", message_id or "", about):
        data = part.encode("utf-8", "replace")
        digest.update(len(data).to_bytes(4, "big") + data)
    return digest.hexdigest()[:40]


def to_json(event: MailEvent) -> bytes:
    """Return the payload as it goes on the queue."""
    return _ADAPTER.dump_json(event, by_alias=True)


def from_json(body: bytes) -> MailEvent:
    """
    Return the payload; fields that are not known are ignored.

    Raises:
        pydantic.ValidationError: It is not a `mail.event.v1`.
    """
    return _ADAPTER.validate_json(body)


def message_of(event: MailEvent, *, traceparent: str | None = None) -> Message:
    """Return the event as a message for `mail.events`."""
    headers: dict[str, HeaderValue] = {"mailbox": event.mailbox, "event": event.event}
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return Message(
        amqp_exchange=topology.EVENTS,
        routing_key=event.event,
        body=to_json(event),
        message_id=event.event_id,
        type=NAME,
        content_type=CONTENT_TYPE,
        correlation_id=event.correlation_id,
        headers=headers,
        timestamp=event.at,
    )
