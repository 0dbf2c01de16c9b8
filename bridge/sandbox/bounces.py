"""The delivery status notification that Exchange sends when a mail does not reach a recipient (RFC 3464)."""

from __future__ import annotations

from dataclasses import dataclass
from email.header import Header
from email.utils import format_datetime
from html import escape
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from bridge.sandbox.store.structure import header_block, parse, xml_safe

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bridge.sandbox.store import SubmittedMail

# Exchange names its postmaster after a fixed GUID: MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@<domain>.
_POSTMASTER: Final = "MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e"
# Above this Exchange returns the headers of the original only, not the whole of it.
_WHOLE_ORIGINAL_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a mail did not reach a recipient: the SMTP reply code, the status (RFC 3463), Exchange's words for both."""

    code: int
    status: str
    reason: str
    explanation: str


UNKNOWN: Final = Failure(
    550,
    "5.1.10",
    "RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address lookup",
    "The email address you entered couldn't be found. Please check the recipient's email address and try to resend "
    "the message. If the problem continues, please contact your email admin.",
)
FULL: Final = Failure(
    552,
    "5.2.2",
    "STOREDRV.Deliver; mailbox full; The recipient's mailbox is full and can't accept messages now",
    "The recipient's mailbox is full and can't accept messages now. Please try resending your message later, or "
    "contact the recipient directly.",
)
TOO_BIG: Final = Failure(
    550,
    "5.2.3",
    "RESOLVER.RST.RecipSizeLimit; message too large for this recipient",
    "Your message wasn't delivered because it's larger than the recipient's mailbox takes. Please make it smaller and "
    "try again.",
)
TOO_MANY_RECIPIENTS: Final = Failure(
    550,
    "5.5.3",
    "RESOLVER.ADR.RecipLimit; too many recipients",
    "Your message wasn't delivered to anyone because it has too many recipients. Please send it to fewer at a time.",
)


def bounce(
    mail: SubmittedMail, recipients: Sequence[str], failure: Failure = UNKNOWN, *, server: str, at: datetime
) -> bytes:
    """Return the notification to the sender of `mail` about recipients that it did not reach."""
    domain = _one_line(mail.sender.rpartition("@")[2]) or server
    boundary = f"{uuid4()}"
    root = parse(mail.mime)
    subject = _one_line(root.decoded("Subject"))
    head = [
        f"From: Microsoft Outlook <{_POSTMASTER}@{domain}>",
        f"To: <{_one_line(mail.sender)}>",
        f"Date: {format_datetime(at.replace(microsecond=0))}",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "X-MS-Exchange-Message-Is-Ndr:",
        "Content-Language: en-US",
        f"Message-ID: <{uuid4()}@{server}>",
        f"In-Reply-To: {_one_line(mail.internet_message_id)}",
        f"References: {_one_line(mail.internet_message_id)}",
        "Subject: " + Header(f"Undeliverable: {subject}", "utf-8", header_name="Subject").encode(linesep="\r\n"),
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
    ]
    mark = f"--{boundary}".encode()
    parts = [
        _explanation(recipients, failure, subject),
        _report(mail, recipients, failure, server=server),
        _original(mail.mime),
    ]
    body = b"".join(mark + b"\r\n" + part + b"\r\n" for part in parts)
    return "\r\n".join(head).encode("utf-8", "replace") + b"\r\n\r\n" + body + mark + b"--\r\n"


def _explanation(recipients: Sequence[str], failure: Failure, subject: str) -> bytes:
    boundary = f"{uuid4()}"
    people = "\r\n".join(recipients)
    text = (
        "Delivery has failed to these recipients or groups:\r\n\r\n"
        f"{people}\r\n"
        f"{failure.explanation}\r\n\r\n"
        f"Subject: {subject}\r\n"
    )
    page = "<html><body>" + "".join(f"<p>{escape(line)}</p>" for line in text.splitlines() if line) + "</body></html>"
    kinds = (("plain", text), ("html", page))
    alternatives = "".join(
        f"--{boundary}\r\nContent-Type: text/{kind}; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        f"{content}\r\n"
        for kind, content in kinds
    )
    return (
        f'Content-Type: multipart/alternative; differences=Content-Type;\r\n\tboundary="{boundary}"\r\n\r\n'
        f"{alternatives}--{boundary}--\r\n"
    ).encode("utf-8", "replace")


def _report(mail: SubmittedMail, recipients: Sequence[str], failure: Failure, *, server: str) -> bytes:
    arrived = format_datetime(mail.at.replace(microsecond=0))
    blocks = [f"Reporting-MTA: dns;{server}\r\nReceived-From-MTA: dns;{server}\r\nArrival-Date: {arrived}\r\n"]
    for recipient in map(_one_line, recipients):
        # RFC 6533: an address beyond ASCII is of type utf-8 in the report.
        kind = "rfc822" if recipient.isascii() else "utf-8"
        blocks.append(
            f"Original-Recipient: {kind};{recipient}\r\nFinal-Recipient: {kind};{recipient}\r\nAction: failed\r\n"
            f"Status: {failure.status}\r\nDiagnostic-Code: smtp;{failure.code} {failure.status} {failure.reason}\r\n"
        )
    return b"Content-Type: message/delivery-status\r\n\r\n" + "\r\n".join(blocks).encode("utf-8", "replace")


def _original(mime: bytes) -> bytes:
    if len(mime) > _WHOLE_ORIGINAL_BYTES:
        return b"Content-Type: text/rfc822-headers\r\n\r\n" + header_block(mime)
    return b"Content-Type: message/rfc822\r\n\r\n" + mime


def _one_line(text: str) -> str:
    """Return text that cannot end a header line, whatever the client put there."""
    return " ".join(xml_safe(text).split())
