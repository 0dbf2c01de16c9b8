"""From a fetched mail to its payload and its AMQP message."""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from bridge.domain.mail import UnconvertibleMail
from bridge.errors import MailUnreadable
from bridge.mime import ParsedMail, from_properties, kind_of, parse
from bridge.mime.compose_message_id import request_id_of
from bridge.mime.parsed import Extent
from bridge.mime.time_budget import ParseTimeExceeded, cpu_seconds
from bridge.ports.broker import Message
from bridge.wire import inbound_v1, topology

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.domain.defects import Defect
    from bridge.domain.mail import FetchedMail, MailProperties, MailRef
    from bridge.mime import Address, Attachment, Kind, Report
    from bridge.ports.broker import HeaderValue
    from bridge.wire.claims import Claims

RawPolicy = Literal["inline", "omit"]

_REQUEST_ID = re.compile(r"[!-~]{1,200}")


@dataclass(frozen=True, slots=True)
class RawMime:
    """A mail's bytes, or where they lie; what of them must be known either way."""

    size: int
    sha256: str
    content: bytes | Extent = field(repr=False)

    @classmethod
    def of(cls, mime: bytes) -> RawMime:
        """Return it for bytes that are here."""
        return cls(len(mime), hashlib.sha256(mime).hexdigest(), mime)


def build(
    ref: MailRef,
    alias: str,
    raw: RawMime,
    parsed: ParsedMail,
    *,
    policy: RawPolicy = "inline",
    claims: Claims | None = None,
) -> inbound_v1.InboundMail:
    """Return the payload of a mail whose MIME was fetched and parsed; what goes to the store is noted in `claims`."""
    carried = _carried(raw.content, raw.size, raw.sha256, claims, raw=True) if policy == "inline" else {}
    return _payload(
        ref,
        alias,
        parsed,
        attachments=[_attachment(attachment, claims) for attachment in parsed.attachments],
        raw={"size": raw.size, "sha256": raw.sha256, **carried},
    )


def build_from_properties(ref: MailRef, alias: str, properties: MailProperties) -> inbound_v1.InboundMail:
    """Return the payload of a mail whose MIME Exchange refuses: no raw bytes, attachments by name only."""
    names = [
        {"name": name, "content_type": "application/octet-stream", "size": None, "sha256": None, "content_id": None,
         "inline": False}
        for name in properties.attachment_names
    ]  # fmt: skip
    return _payload(ref, alias, from_properties(properties), attachments=names, raw=None)


def compose(
    fetched: FetchedMail | UnconvertibleMail, alias: str, *, policy: RawPolicy = "inline", seconds: float = 10.0
) -> inbound_v1.InboundMail:
    """
    Return the payload of a fetched mail, whatever is in it, with everything inside.

    Raises:
        MailUnreadable: A mail without raw bytes takes too long: there is nothing to publish of it.
    """
    if isinstance(fetched, UnconvertibleMail):
        try:
            with cpu_seconds(seconds):
                return build_from_properties(fetched.ref, alias, fetched.properties)
        except ParseTimeExceeded:
            raise MailUnreadable("its properties take too long to read") from None
    mime = fetched.mime
    return compose_mime(fetched.ref, alias, RawMime.of(mime), lambda: parse(mime), policy=policy, seconds=seconds)


def compose_mime(
    ref: MailRef,
    alias: str,
    raw: RawMime,
    read: Callable[[], ParsedMail],
    *,
    policy: RawPolicy = "inline",
    seconds: float = 10.0,
    claims: Claims | None = None,
) -> inbound_v1.InboundMail:
    """
    Return the payload of a mail with its MIME, whatever is in it.

    The parser does not raise, and its time grows with a mail's size alone. Should a mail be found that makes it raise,
    or take more than `seconds` of CPU time, it goes out with its raw bytes and the defect `parser_failed` or
    `parse_time_exceeded`: a mail that cannot be read is still a mail.
    """
    try:
        with cpu_seconds(seconds):
            return build(ref, alias, raw, read(), policy=policy, claims=claims)
    except ParseTimeExceeded:
        defect: Defect = "parse_time_exceeded"
    except Exception:  # noqa: BLE001 - the reason is in the docstring; the defect makes it visible
        defect = "parser_failed"
    return unread(ref, alias, raw, defect, policy=policy, claims=claims)


def unread(
    ref: MailRef,
    alias: str,
    raw: RawMime,
    defect: Defect,
    *,
    policy: RawPolicy = "inline",
    claims: Claims | None = None,
) -> inbound_v1.InboundMail:
    """Return the payload of a mail of which nothing but its bytes is told, and why."""
    if claims is not None:
        claims.pending.clear()
    return build(ref, alias, raw, ParsedMail(defects=(defect,)), policy=policy, claims=claims)


def routing_key(alias: str, kind: Kind) -> str:
    """Return `<alias>.<kind>`."""
    return topology.inbound_key(alias, kind)


def amqp_headers(mail: inbound_v1.InboundMail, *, traceparent: str | None = None) -> dict[str, HeaderValue]:
    """Return the message's headers: what a consumer may want to know before it reads the body."""
    headers: dict[str, HeaderValue] = {"mailbox": mail.mailbox, "kind": mail.kind}
    if traceparent is not None:
        headers["traceparent"] = traceparent
    return headers


def message_of(mail: inbound_v1.InboundMail, *, traceparent: str | None = None) -> Message:
    """Return the payload as a message for `mail.inbound`."""
    return Message(
        amqp_exchange=topology.INBOUND,
        routing_key=routing_key(mail.mailbox, mail.kind),
        body=inbound_v1.to_json(mail),
        message_id=mail.message_id,
        type=inbound_v1.NAME,
        content_type=inbound_v1.CONTENT_TYPE,
        correlation_id=mail.answers,
        headers=amqp_headers(mail, traceparent=traceparent),
        timestamp=mail.received_at,
    )


def answered_request(parsed: ParsedMail) -> str | None:
    """
    Return the request_id of the mail that this one answers, None where it cannot be told.

    It is told from the returned original, or from a Message-ID of ours that the mail refers to. Whoever saw that
    Message-ID can refer to it: a hint for correlation, no proof of who writes.
    """
    claimed = parsed.answered_request_id
    if claimed is not None and _REQUEST_ID.fullmatch(claimed):
        return claimed
    for message_id in parsed.refers_to:
        request_id = request_id_of(message_id)
        if request_id is not None:
            return request_id
    return None


def _payload(
    ref: MailRef,
    alias: str,
    parsed: ParsedMail,
    *,
    attachments: list[dict[str, Any]],
    raw: dict[str, Any] | None,
) -> inbound_v1.InboundMail:
    kind = kind_of(parsed.kind_inputs, ref.item_class)
    report = parsed.kind_inputs.report
    # One call validates the whole tree in pydantic's own code; building it model by model takes several times longer.
    return inbound_v1.InboundMail.model_validate({
        "message_id": ref.message_id,
        "mailbox": alias,
        "kind": kind,
        "received_at": ref.received_at,
        "internet_message_id": parsed.message_id,
        "in_reply_to": parsed.in_reply_to,
        "references": parsed.references,
        "date": parsed.date,
        "subject": parsed.subject,
        "from": _address(parsed.author),
        "sender": _address(parsed.sender),
        "to": _addresses(parsed.to),
        "cc": _addresses(parsed.cc),
        "reply_to": _addresses(parsed.reply_to),
        "text": parsed.text,
        "html": parsed.html,
        "attachments": attachments,
        "headers": [{"name": header.name, "value": header.value} for header in parsed.headers],
        "authentication_results": [
            {
                "server": found.server,
                "methods": [{"method": method, "result": result} for method, result in found.methods],
                "value": found.value,
            }
            for found in parsed.authentication_results
        ],
        "importance": parsed.importance,
        "defects": parsed.defects,
        "raw": raw,
        "bounce": _bounce(report, parsed) if kind == "bounce" else None,
        "receipt": _receipt(report, parsed) if kind == "receipt" else None,
        "answers": answered_request(parsed),
    })  # fmt: skip


def _address(address: Address | None) -> dict[str, str] | None:
    return None if address is None else {"name": address.name, "address": address.address}


def _addresses(addresses: Sequence[Address]) -> list[dict[str, str]]:
    return [{"name": address.name, "address": address.address} for address in addresses]


def _carried(
    content: bytes | Extent, size: int, sha256: str, claims: Claims | None, *, raw: bool = False
) -> dict[str, Any]:
    claimed = claims.claim(content, size=size, sha256=sha256, raw=raw) if claims is not None else None
    if claimed is not None:
        return {"blob": claimed}
    if isinstance(content, Extent):
        raise TypeError("content in a file goes to a store, and there is none")
    return {"content": _base64(content)}


def _attachment(attachment: Attachment, claims: Claims | None) -> dict[str, Any]:
    return {
        "name": attachment.name,
        "content_type": attachment.content_type,
        "charset": attachment.charset,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "content_id": attachment.content_id,
        "inline": attachment.inline,
        **_carried(attachment.extent or attachment.content, attachment.size, attachment.sha256, claims),
    }


def _bounce(report: Report | None, parsed: ParsedMail) -> dict[str, Any]:
    recipients = report.recipients if report is not None else ()
    return {
        "recipients": [
            {
                "address": recipient.address,
                "action": recipient.action or None,
                "status": recipient.status or None,
                "diagnostic": recipient.diagnostic or None,
            }
            for recipient in recipients
        ],
        "standard": report is not None and report.standard,
        "returned_message_id": next(iter(parsed.refers_to), None),
    }


def _receipt(report: Report | None, parsed: ParsedMail) -> dict[str, Any]:
    recipients = report.recipients if report is not None else ()
    event = report.disposition if report is not None else ""
    return {
        "recipients": [recipient.address for recipient in recipients if recipient.address],
        "event": event or next((recipient.action for recipient in recipients if recipient.action), ""),
        "original_message_id": next(iter(parsed.refers_to), None),
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
