"""From a fetched mail to its payload and its AMQP message."""

from __future__ import annotations

import base64
import hashlib
import re
from typing import TYPE_CHECKING, Any, Literal

from bridge.domain.mail import FetchedMail, UnconvertibleMail
from bridge.errors import MailUnreadable
from bridge.mime import ParsedMail, from_properties, kind_of, parse
from bridge.mime.compose_message_id import request_id_of
from bridge.mime.time_budget import ParseTimeExceeded, cpu_seconds
from bridge.ports.broker import Message
from bridge.wire import inbound_v1, topology

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailProperties, MailRef
    from bridge.mime import Address, Attachment, Kind, Report
    from bridge.mime.defects import Defect
    from bridge.ports.broker import HeaderValue

RawPolicy = Literal["inline", "omit"]

_REQUEST_ID = re.compile(r"[!-~]{1,200}")


def build(
    ref: MailRef, alias: str, raw: bytes, parsed: ParsedMail, *, policy: RawPolicy = "inline"
) -> inbound_v1.InboundMail:
    """Return the payload of a mail whose MIME was fetched and parsed."""
    content = _base64(raw) if policy == "inline" else None
    return _payload(
        ref,
        alias,
        parsed,
        attachments=[_attachment(attachment) for attachment in parsed.attachments],
        raw={"size": len(raw), "sha256": hashlib.sha256(raw).hexdigest(), "content": content},
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
    Return the payload of a fetched mail, whatever is in it.

    The parser does not raise, and its time grows with a mail's size alone. Should a mail be found that makes it raise,
    or take more than `seconds` of CPU time, it goes out with its raw bytes and the defect `parser_failed` or
    `parse_time_exceeded`: a mail that cannot be read is still a mail.

    Raises:
        MailUnreadable: A mail without raw bytes takes that long: there is nothing to publish of it.
    """
    if isinstance(fetched, UnconvertibleMail):
        try:
            with cpu_seconds(seconds):
                return build_from_properties(fetched.ref, alias, fetched.properties)
        except ParseTimeExceeded:
            raise MailUnreadable("its properties take too long to read") from None
    try:
        with cpu_seconds(seconds):
            return build(fetched.ref, alias, fetched.mime, parse(fetched.mime), policy=policy)
    except ParseTimeExceeded:
        defect: Defect = "parse_time_exceeded"
    except Exception:  # noqa: BLE001 - the reason is in the docstring; the defect makes it visible
        defect = "parser_failed"
    return unread(fetched, alias, defect, policy=policy)


def unread(fetched: FetchedMail, alias: str, defect: Defect, *, policy: RawPolicy = "inline") -> inbound_v1.InboundMail:
    """Return the payload of a mail of which nothing but its bytes is told, and why."""
    return build(fetched.ref, alias, fetched.mime, ParsedMail(defects=(defect,)), policy=policy)


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


def _attachment(attachment: Attachment) -> dict[str, Any]:
    return {
        "name": attachment.name,
        "content_type": attachment.content_type,
        "charset": attachment.charset,
        "size": attachment.size,
        "sha256": attachment.sha256,
        "content_id": attachment.content_id,
        "inline": attachment.inline,
        "content": _base64(attachment.content),
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
