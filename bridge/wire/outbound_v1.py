"""
`mail.outbound.v1`: a request to send one mail, as JSON on a queue.

The routing key says from which mailbox it goes, and whether it is urgent. `request_id` is the idempotency key: within
one mailbox, requests with the same id are one request, however often they are published. The AMQP property
`message_id` is the same id; where a publisher left the property out, the one in the body counts.

A text of ours about a bad request names the field and the reason. It never repeats the value: requests hold addresses
and content.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from bridge.domain import outbound
from bridge.domain.blobs import key_in
from bridge.domain.outbound_address import check_address
from bridge.errors import BlobRefused, RequestInvalid
from bridge.wire.outbound_values import (
    Base64Bytes,
    Identifier,
    MessageId,
    Time,
    check_message_id,
    without_controls,
    without_nul,
)

if TYPE_CHECKING:
    from datetime import datetime

NAME = "mail.outbound.v1"
CONTENT_TYPE = "application/json"

# Kept for the bridge, for Exchange, or for what `auto_generated` says.
_RESERVED_HEADERS = ("x-bridge-", "x-auto-response-suppress", "x-ms-exchange-", "x-microsoft-")
# message/rfc822 can be carried; its siblings and every multipart would change the structure of the mail itself.
_REFUSED_TYPES = re.compile(r"multipart/|message/(?!rfc822)", re.IGNORECASE)
_TOKEN = r"[A-Za-z0-9!#$%&'*+.^_`{|}~-]+"  # noqa: S105 - a token of RFC 2045, no secret
_TYPE_PATTERN = rf'^{_TOKEN}/{_TOKEN}(?:; ?{_TOKEN}=(?:{_TOKEN}|"[ !#-\[\]-~]*"))*$'
_STRING = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"?', re.DOTALL)
_MOST_VALUES = 20_000
"""In one request; several times what the limits of its fields add up to."""
_JSON_TYPE = re.compile(r'application/json\s*(;\s*charset="?utf-?8"?\s*)?', re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class OutboundLimits:
    """What a request may hold at most. Defaults are Exchange Online's, or far above what a dispatch notice needs."""

    recipients: int = 500
    """To, Cc and Bcc together."""
    text_bytes: int = 8 * 1024 * 1024
    """Each of text and html, in UTF-8."""
    attachments: int = 100
    attachment_bytes: int = 48 * 1024 * 1024
    """All attachments together, decoded; about what fits in one EWS request."""
    headers: int = 50
    blob_store_url: str | None = None
    """The configured store; a blob elsewhere is refused, and every blob where there is none."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, hide_input_in_errors=True)


class Address(_Part):
    """A recipient."""

    address: str = Field(max_length=512, json_schema_extra={"format": "idn-email"})
    name: str | None = Field(default=None, max_length=256)

    @field_validator("address")
    @classmethod
    def _address(cls, value: str) -> str:
        return check_address(value)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str | None) -> str | None:
        return None if value is None else without_controls(value)


class Blob(_Part):
    """An attachment's content in the configured blob store."""

    url: str = Field(max_length=2048)
    size: int = Field(ge=0)
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("url")
    @classmethod
    def _url(cls, value: str) -> str:
        if not re.fullmatch(r"[!-~]+", value) or re.search(
            r"(?:^|[/\\])\.\.?(?:[/\\?#]|$)|%2e|%2f|%5c", value, re.IGNORECASE
        ):
            raise ValueError("is not a plain url")
        return value


class Attachment(_Part):
    """A file, inline in base64 (`content`) or in the blob store (`blob`)."""

    name: str = Field(min_length=1, max_length=255)
    content_type: str = Field(default="application/octet-stream", max_length=255, pattern=_TYPE_PATTERN)
    content: Base64Bytes | None = None
    blob: Blob | None = None
    content_id: str | None = Field(default=None, max_length=200, pattern=r"^[!-;=?-~]+$")
    """For an image that the HTML shows as `cid:<content_id>`; without angle brackets."""

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("is blank")
        return without_controls(value)

    @field_validator("content_type")
    @classmethod
    def _content_type(cls, value: str) -> str:
        if _REFUSED_TYPES.match(value):
            raise ValueError("cannot be attached; use application/octet-stream")
        return value

    @model_validator(mode="after")
    def _content(self) -> Self:
        if (self.content is None) == (self.blob is None):
            raise ValueError("needs either content or blob")
        return self


class Header(_Part):
    """An additional header; only names that begin with X- and that nobody else has taken."""

    name: str = Field(pattern=r"^[Xx]-[A-Za-z0-9][A-Za-z0-9-]{0,70}$")
    value: str = Field(max_length=998)

    @field_validator("name")
    @classmethod
    def _name(cls, value: str) -> str:
        if value.lower().startswith(_RESERVED_HEADERS):
            raise ValueError("is reserved")
        return value

    @field_validator("value")
    @classmethod
    def _value(cls, value: str) -> str:
        return without_controls(value)


class Receipts(_Part):
    """What the sending mailbox asks the recipients' systems for."""

    delivery: bool = False
    read: bool = False


class OutboundRequest(_Part):
    """A request to send one mail from the mailbox that the routing key names."""

    model_config = ConfigDict(title=NAME)

    request_id: Identifier
    """The idempotency key, the same as the AMQP message_id: within a mailbox, the same id is the same request."""
    correlation_id: Identifier | None = None
    """Repeated in every event about the request."""
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    bcc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = Field(default=(), max_length=20)
    subject: str = Field(default="", max_length=998)
    text: str | None = None
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    in_reply_to: MessageId | None = None
    references: tuple[MessageId, ...] = Field(default=(), max_length=500)
    importance: Literal["low", "normal", "high"] = "normal"
    expires_at: Time | None = None
    """Not begun after this time: the request then ends as `expired`."""
    receipts: Receipts = Receipts()
    auto_generated: bool = True
    """Marked as sent by a machine, so that out-of-office replies stay away."""
    headers: tuple[Header, ...] = ()

    @field_validator("subject")
    @classmethod
    def _subject(cls, value: str) -> str:
        return without_controls(value)

    @field_validator("text", "html")
    @classmethod
    def _body(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is None:
            return None
        if len(value) > _limits(info).text_bytes or len(value.encode()) > _limits(info).text_bytes:
            raise ValueError(f"is larger than {_limits(info).text_bytes} bytes")
        return without_nul(value)

    @field_validator("in_reply_to")
    @classmethod
    def _in_reply_to(cls, value: str | None) -> str | None:
        return None if value is None else check_message_id(value)

    @field_validator("references")
    @classmethod
    def _references(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(check_message_id(one) for one in value)

    @field_validator("headers")
    @classmethod
    def _headers(cls, value: tuple[Header, ...], info: ValidationInfo) -> tuple[Header, ...]:
        if len(value) > _limits(info).headers:
            raise ValueError(f"are more than {_limits(info).headers}")
        return value

    @field_validator("attachments")
    @classmethod
    def _attachments(cls, value: tuple[Attachment, ...], info: ValidationInfo) -> tuple[Attachment, ...]:
        limits = _limits(info)
        if len(value) > limits.attachments:
            raise ValueError(f"are more than {limits.attachments}")
        if (
            sum(len(a.content) if a.content is not None else a.blob.size if a.blob else 0 for a in value)
            > limits.attachment_bytes
        ):
            raise ValueError(f"are larger than {limits.attachment_bytes} bytes together")
        ids = [a.content_id for a in value if a.content_id is not None]
        if len(ids) != len(set(ids)):
            raise ValueError("have the same content_id twice")
        for one in value:
            if one.blob is not None:
                _check_store(one.blob.url, limits.blob_store_url)
        return value

    @model_validator(mode="after")
    def _recipients(self, info: ValidationInfo) -> Self:
        count = self.recipients
        if not count:
            raise ValueError("has no recipient in to, cc or bcc")
        if count > _limits(info).recipients:
            raise ValueError(f"has more than {_limits(info).recipients} recipients")
        return self

    @property
    def recipients(self) -> int:
        """How many recipients Exchange counts for it."""
        return len(self.to) + len(self.cc) + len(self.bcc)

    def digest(self) -> str:
        """
        Return the SHA-256, in hex, of what the recipients get to see.

        A request that is published again with another correlation_id or a later expires_at is the same mail; one
        with the same id and another digest is a mistake (`request_id_reused`). A field at its default does not count,
        so that a later version with more fields still gives the same digest. An attachment counts by its hash, so it
        does not matter whether its content came inline or as a blob.
        """
        content = self.model_dump(
            mode="json",
            exclude={"request_id": True, "correlation_id": True, "expires_at": True, "attachments": True},
            exclude_defaults=True,
        )
        if self.attachments:
            content["attachments"] = [
                {
                    "name": a.name,
                    "content_type": a.content_type,
                    "content_id": a.content_id,
                    "sha256": a.blob.sha256 if a.blob else hashlib.sha256(a.content or b"").hexdigest(),
                }
                for a in self.attachments
            ]
        canonical = json.dumps([NAME, content], sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()

    def to_mail(self, *, sender: outbound.Mailbox, date: datetime, digest: str | None = None) -> outbound.OutboundMail:
        """Return the mail as `sender` sends it. Every attachment must have its content: blobs are read before."""
        return outbound.OutboundMail(
            request_id=self.request_id,
            digest=digest or self.digest(),
            sender=sender,
            date=date,
            to=_mailboxes(self.to),
            cc=_mailboxes(self.cc),
            bcc=_mailboxes(self.bcc),
            reply_to=_mailboxes(self.reply_to),
            subject=self.subject,
            text=self.text,
            html=self.html,
            attachments=tuple(_attachment(a) for a in self.attachments),
            in_reply_to=self.in_reply_to,
            references=self.references,
            importance=self.importance,
            delivery_receipt=self.receipts.delivery,
            read_receipt=self.receipts.read,
            auto_generated=self.auto_generated,
            headers=tuple((h.name, h.value) for h in self.headers),
        )


def parse(
    body: bytes,
    *,
    message_id: str | None,
    content_type: str | None,
    limits: OutboundLimits,
) -> OutboundRequest:
    """
    Return the request that a message holds.

    Raises:
        RequestInvalid: With the field and the reason, and nothing of the content.
    """
    if content_type is not None and not _JSON_TYPE.fullmatch(content_type.strip()):
        raise RequestInvalid("content_type", f"is not {CONTENT_TYPE}")
    if _has_too_many_values(body):
        raise RequestInvalid("body", f"has more than {_MOST_VALUES} values")
    try:
        request = OutboundRequest.model_validate_json(body, context=limits)
    except ValidationError as error:
        raise _as_invalid(error) from None  # the cause holds the input
    if message_id is not None and message_id != request.request_id:
        raise RequestInvalid("request_id", "is not the message_id of the AMQP properties")
    return request


def _has_too_many_values(body: bytes) -> bool:
    # Each value that is wrong costs an error of half a kilobyte, of which the first alone is told: a list of millions
    # would take all memory.
    return body.count(b",") > _MOST_VALUES and _STRING.sub(b"", body).count(b",") > _MOST_VALUES


def _limits(info: ValidationInfo) -> OutboundLimits:
    return info.context if isinstance(info.context, OutboundLimits) else OutboundLimits()


def _check_store(url: str, store_url: str | None) -> None:
    if store_url is None:
        raise ValueError("are a blob although no blob store is configured")
    if not url.startswith(store_url.rstrip("/") + "/"):
        raise ValueError("are a blob outside the configured store")
    try:
        key_in(store_url.rstrip("/"), url)
    except BlobRefused as error:
        raise ValueError(f"are a blob whose url is refused: {error.detail}") from error


def _mailboxes(addresses: tuple[Address, ...]) -> tuple[outbound.Mailbox, ...]:
    return tuple(outbound.Mailbox(a.address, a.name or "") for a in addresses)


def _attachment(a: Attachment) -> outbound.Attachment:
    if a.content is None:
        raise ValueError("the blob was not read")
    return outbound.Attachment(a.name, a.content_type, a.content, a.content_id)


# What pydantic says where its own words would be long, or would hold the input.
_REASONS = {
    "missing": "is missing",
    "extra_forbidden": "is not a field of a request",
    "string_pattern_mismatch": "does not have the form that the schema asks for",
    "json_invalid": "is not JSON in UTF-8",
    "model_type": "is not an object",
    "timezone_aware": "has no time zone",
}


def _as_invalid(error: ValidationError) -> RequestInvalid:
    """Turn the first of pydantic's errors into ours."""
    first: dict[str, Any] = dict(error.errors(include_input=False, include_url=False)[0])
    where = [_place(step, unknown=first["type"] == "extra_forbidden") for step in first["loc"]]
    field = ".".join(where) or "body"
    if first["type"] == "value_error":
        return RequestInvalid(field, str(first["ctx"]["error"]))
    reason = _REASONS.get(first["type"]) or str(first["msg"]).replace("Input should be", "should be").lower()
    return RequestInvalid(field, reason)


def _place(step: str | int, *, unknown: bool) -> str:
    """A name from a request is repeated only when it can be nothing but a name."""
    text = str(step)
    return text if not unknown or re.fullmatch(r"[a-z0-9_]{1,40}", text) else "(unknown)"
