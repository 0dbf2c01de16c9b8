"""
The MIME of a mail that the bridge sends: the same bytes for the same mail and date.

Bcc recipients are in a Bcc field: Exchange takes the recipients of a draft from its MIME and leaves the field out of
what it transmits (MS-OXCMAIL; not proved on a tenant yet).
"""

from __future__ import annotations

import base64
import hashlib
import re
from email.quoprimime import body_encode
from email.utils import format_datetime
from typing import TYPE_CHECKING

from bridge.mime.compose_headers import addresses, message_ids, parameter, unstructured
from bridge.mime.compose_message_id import message_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.outbound import Attachment, Mailbox, OutboundMail

REQUEST_ID_HEADER = "X-Bridge-Request-Id"
"""In every mail of the bridge; a bounce that returns the original shows it."""

_CRLF = b"\r\n"
_BASE64_LINE = 76
_SEVEN_BIT = re.compile(rb"[\t\r\n -~]*")
_LONGEST_LINE = 900  # 998 is the limit of RFC 5322

_IMPORTANCE = {"low": ("Low", "5"), "high": ("High", "1")}


def compose(mail: OutboundMail) -> bytes:
    """Return the mail as MIME: lines end with CRLF, none is longer than 998 bytes, all content is seven-bit."""
    lines = _headers(mail)
    return "".join(f"{line}\r\n" for line in lines).encode() + _mixed(mail)


def _headers(mail: OutboundMail) -> list[str]:
    lines = [
        f"Date: {format_datetime(mail.date)}",
        addresses("From", [mail.sender]),
        *(addresses(name, some) for name, some in _address_fields(mail) if some),
        unstructured("Subject", mail.subject),
        f"Message-ID: {message_id_of(mail.request_id, mail.sender.address)}",
    ]
    if mail.in_reply_to:
        lines.append(message_ids("In-Reply-To", [mail.in_reply_to]))
    if mail.references or mail.in_reply_to:
        lines.append(message_ids("References", mail.references or [mail.in_reply_to or ""]))
    if mail.importance in _IMPORTANCE:
        importance, priority = _IMPORTANCE[mail.importance]
        lines += [f"Importance: {importance}", f"X-Priority: {priority}"]
    if mail.read_receipt:
        lines.append(addresses("Disposition-Notification-To", [mail.sender]))
    if mail.delivery_receipt:
        lines.append(addresses("Return-Receipt-To", [mail.sender]))
    if mail.auto_generated:
        # Not "All": that would also suppress the bounces (NDR), and a notice that does not arrive must be heard of.
        lines += ["Auto-Submitted: auto-generated", "X-Auto-Response-Suppress: OOF, AutoReply"]
    lines += (unstructured(name, value) for name, value in mail.headers)
    lines += [unstructured(REQUEST_ID_HEADER, mail.request_id), "MIME-Version: 1.0"]
    return lines


def _address_fields(mail: OutboundMail) -> Sequence[tuple[str, Sequence[Mailbox]]]:
    return (("To", mail.to), ("Cc", mail.cc), ("Bcc", mail.bcc), ("Reply-To", mail.reply_to))


# Each of the following returns a part: its own headers, an empty line, and the body.


def _mixed(mail: OutboundMail) -> bytes:
    shown = [a for a in mail.attachments if a.content_id is not None and mail.html is not None]
    files = [a for a in mail.attachments if a not in shown]
    body = _alternative(mail, shown)
    return _multipart(mail, "mixed", [body, *(_file(a) for a in files)]) if files else body


def _alternative(mail: OutboundMail, shown: Sequence[Attachment]) -> bytes:
    if mail.html is None:
        return _text("plain", mail.text or "")
    html = _text("html", mail.html)
    if shown:
        html = _multipart(mail, "related", [html, *(_file(a, disposition="inline") for a in shown)])
    return html if mail.text is None else _multipart(mail, "alternative", [_text("plain", mail.text), html])


def _multipart(mail: OutboundMail, subtype: str, parts: Sequence[bytes]) -> bytes:
    # No part can contain the boundary: it hangs on the digest of everything in them.
    boundary = "=_" + hashlib.sha256(f"{subtype}\0{mail.request_id}\0{mail.digest}".encode()).hexdigest()[:40]
    kind = '; type="text/html"' if subtype == "related" else ""
    head = f'Content-Type: multipart/{subtype}{kind};\r\n boundary="{boundary}"\r\n\r\n'.encode()
    line = f"--{boundary}".encode()
    return head + b"".join(line + _CRLF + part + _CRLF for part in parts) + line + b"--\r\n"


def _text(subtype: str, text: str) -> bytes:
    body = re.sub(r"\r\n|\r|\n", "\r\n", text).encode()
    if _fits_seven_bit(body):
        encoding, encoded = "7bit", body
    else:
        quoted = body_encode(body.decode("latin-1"), _BASE64_LINE, "\r\n").encode("ascii")
        in_base64 = _base64(body)
        encoding, encoded = min(("quoted-printable", quoted), ("base64", in_base64), key=lambda pair: len(pair[1]))
    head = f"Content-Type: text/{subtype}; charset=utf-8\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    return head.encode() + encoded


def _file(attachment: Attachment, disposition: str = "attachment") -> bytes:
    content_type, encoding, body = attachment.content_type, "base64", None
    if content_type.lower().startswith("message/"):
        # RFC 2046 forbids base64 for message/rfc822; a mail that needs it travels as a plain file.
        lines = re.sub(rb"\r\n|\r|\n", _CRLF, attachment.content)
        if _fits_seven_bit(lines):
            encoding, body = "7bit", lines
        else:
            content_type = "application/octet-stream"
    head = f"Content-Type: {content_type}\r\nContent-Transfer-Encoding: {encoding}\r\n"
    if attachment.content_id is not None:
        head += f"Content-ID: <{attachment.content_id}>\r\n"
    head += f"Content-Disposition: {disposition}{parameter('filename', attachment.name)}\r\n\r\n"
    return head.encode() + (_base64(attachment.content) if body is None else body)


def _fits_seven_bit(body: bytes) -> bool:
    return bool(_SEVEN_BIT.fullmatch(body)) and max(map(len, body.split(_CRLF))) <= _LONGEST_LINE


def _base64(content: bytes) -> bytes:
    encoded = base64.b64encode(content)
    return _CRLF.join(encoded[at : at + _BASE64_LINE] for at in range(0, len(encoded), _BASE64_LINE))
