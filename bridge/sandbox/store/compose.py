"""The MIME of an item that was made of properties: made when asked for, the same bytes each time."""

from __future__ import annotations

import hashlib
import re
from base64 import encodebytes
from email.header import Header
from email.utils import format_datetime
from quopri import encodestring
from typing import TYPE_CHECKING
from urllib.parse import quote

from bridge.sandbox.store import properties as p
from bridge.sandbox.store.structure import header_block

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.store.mime import Attachment

MAIL = "message/rfc822"
_IMPORTANCE = {0: "low", 2: "high"}
_SENSITIVITY = {1: "personal", 2: "private", 3: "company-confidential"}
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+/[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_ATOMS = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~. -]*")


def compose(bag: p.Bag, attachments: Sequence[Attachment]) -> bytes:
    """Return the MIME of a mail that has these properties and attachments, Bcc included."""
    mark = _mark(str(bag.get(p.SEARCH_KEY, "")), [one.content for one in attachments if one.content_type == MAIL])
    inline = [one for one in attachments if one.inline]
    outer = [one for one in attachments if not one.inline]
    head, body = _text_parts(bag, f"_alt_{mark}")
    if inline:
        head, body = _multipart("related", f"_rel_{mark}", [(head, body), *map(_attachment_part, inline)])
    if outer:
        head, body = _multipart("mixed", f"_mix_{mark}", [(head, body), *map(_attachment_part, outer)])
    lines = [*_headers(bag), *head, "MIME-Version: 1.0"]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def without_bcc(mime: bytes) -> bytes:
    """Return the mail without its Bcc headers; every other byte stays."""
    return without_header(mime, "Bcc")


def without_header(mime: bytes, name: str) -> bytes:
    """Return the mail without the headers of a name; every other byte stays."""
    return _without(mime, re.escape(name.encode()))


def without_headers(mime: bytes, begin: str) -> bytes:
    """Return the mail without the headers whose names begin so; every other byte stays."""
    return _without(mime, re.escape(begin.encode()) + rb"[!-9;-~]*")


def _without(mime: bytes, names: bytes) -> bytes:
    block = header_block(mime)
    kept = re.sub(rb"(?im)^" + names + rb"[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*(?:\n|\Z)", b"", block)
    if len(kept) == len(block):
        return mime
    rest = mime[len(block) :]
    # The last header takes its line's end along, and the one after it is that of the header before.
    if kept.endswith(b"\n") and rest.startswith((b"\n", b"\r\n")):
        rest = rest[rest.index(b"\n") + 1 :]
    return kept + rest


def with_headers(mime: bytes, headers: Sequence[tuple[str, str]]) -> bytes:
    """Return the mail with headers put before its own; every byte of the mail stays."""
    if not headers:
        return mime
    end = b"\r\n" if b"\r\n" in mime[:4096] or b"\n" not in mime[:4096] else b"\n"
    return (
        b"".join(_header(name, value).encode("utf-8", "replace").replace(b"\r\n", end) + end for name, value in headers)
        + mime
    )


def person(name: str, address: str) -> str:
    """Return `name <address>` as a header carries it."""
    address = _one_line(address)
    name = _one_line(name)
    if not name or name == address:
        return address if address and not re.search(r"[\s,;<>]", address) else f"<{address}>"
    if not name.isascii():
        return f"{Header(name, 'utf-8', maxlinelen=60).encode(linesep=chr(13) + chr(10))} <{address}>"
    if not _ATOMS.fullmatch(name) or "." in name:
        name = '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'
    return f"{name} <{address}>"


def _headers(bag: p.Bag) -> list[str]:
    lines = _people_headers(bag)
    lines.append(_header("Subject", bag.get(p.SUBJECT, "")))
    author = bag.get(p.SENT_REPRESENTING_ADDRESS)
    for header, key in (
        ("Message-ID", p.INTERNET_MESSAGE_ID),
        ("In-Reply-To", p.IN_REPLY_TO),
        ("References", p.INTERNET_REFERENCES),
        ("Thread-Topic", p.CONVERSATION_TOPIC),
        ("Thread-Index", p.CONVERSATION_INDEX),
    ):
        if bag.get(key):
            lines.append(_header(header, bag[key]))
    lines.append("Date: " + format_datetime(p.from_micros(bag.get(p.CLIENT_SUBMIT_TIME, 0)).replace(microsecond=0)))
    if bag.get(p.IMPORTANCE) in _IMPORTANCE:
        lines.append("Importance: " + _IMPORTANCE[bag[p.IMPORTANCE]])
    if bag.get(p.SENSITIVITY) in _SENSITIVITY:
        lines.append("Sensitivity: " + _SENSITIVITY[bag[p.SENSITIVITY]])
    if bag.get(p.READ_RECEIPT_REQUESTED) and author:
        lines.append("Disposition-Notification-To: " + person("", author))
    if bag.get(p.DELIVERY_RECEIPT_REQUESTED) and author:
        lines.append("Return-Receipt-To: " + person("", author))
    own = headers_set(bag)
    lines.extend(_header(name, value) for name, value in bag.get(p.EXTRA_HEADERS, ()) if name.lower() not in own)
    lines.extend(_header(name, value) for name, value in own.values())
    return lines


def _people_headers(bag: p.Bag) -> list[str]:
    def people(pairs: Sequence[Sequence[str]]) -> str:
        return ",\r\n ".join(person(name, address) for name, address in pairs)

    author = bag.get(p.SENT_REPRESENTING_ADDRESS)
    sender = bag.get(p.SENDER_ADDRESS)
    lines = []
    if author:
        lines.append("From: " + person(bag.get(p.SENT_REPRESENTING_NAME, ""), author))
    if sender and author and sender.lower() != author.lower():
        lines.append("Sender: " + person(bag.get(p.SENDER_NAME, ""), sender))
    for header, key in (
        ("To", p.RECIPIENTS_TO),
        ("Cc", p.RECIPIENTS_CC),
        ("Bcc", p.RECIPIENTS_BCC),
        ("Reply-To", p.REPLY_TO),
    ):
        if bag.get(key):
            lines.append(f"{header}: {people(bag[key])}")
    return lines


def headers_set(bag: p.Bag) -> dict[str, tuple[str, str]]:
    """Return the headers that a client set as properties of the InternetHeaders set, by their name in lower case."""
    named = ((p.header_of(key), value) for key, value in bag.items())
    return {name.lower(): (name, str(value)) for name, value in named if name}


def _text_parts(bag: p.Bag, boundary: str) -> tuple[list[str], bytes]:
    text, html = bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML)
    if html is None:
        return _text_part("plain", text or "")
    if text is None:
        return _text_part("html", html)
    return _multipart("alternative", boundary, [_text_part("plain", text), _text_part("html", html)])


def _text_part(kind: str, text: str) -> tuple[list[str], bytes]:
    raw = text.replace("\r\n", "\n").encode("utf-8", "replace")
    head = [f'Content-Type: text/{kind}; charset="utf-8"', "Content-Transfer-Encoding: quoted-printable"]
    return head, encodestring(raw).replace(b"\n", b"\r\n")


def _multipart(kind: str, boundary: str, parts: Sequence[tuple[list[str], bytes]]) -> tuple[list[str], bytes]:
    mark = f"--{boundary}".encode()
    body = b"".join(
        mark + b"\r\n" + "\r\n".join(head).encode("utf-8", "replace") + b"\r\n\r\n" + content + b"\r\n"
        for head, content in parts
    )
    return [f'Content-Type: multipart/{kind}; boundary="{boundary}"'], body + mark + b"--\r\n"


def _mark(key: str, plain: Sequence[bytes]) -> str:
    """Return the part of the boundaries that is the mail's own; what stands in the mail as it is does not hold it."""
    mark = hashlib.sha256(key.encode()).hexdigest()[:24]
    while any(mark.encode() in content for content in plain):
        mark = hashlib.sha256(mark.encode()).hexdigest()[:24]
    return mark


def _attachment_part(attachment: Attachment) -> tuple[list[str], bytes]:
    if attachment.content_type == MAIL:
        # Not coded (RFC 2046 5.2.1): a mail in a mail stays one for whoever reads it.
        disposition = f"Content-Disposition: attachment; {_parameter('filename', attachment.name)}"
        encoding = "7bit" if attachment.content.isascii() else "8bit"
        return [f"Content-Type: {MAIL}", disposition, f"Content-Transfer-Encoding: {encoding}"], attachment.content
    kind = attachment.content_type if _TOKEN.fullmatch(attachment.content_type) else "application/octet-stream"
    # Other parts of type multipart or message must not be base64 coded either (RFC 2046 5); a file has the same bytes.
    if kind.lower().startswith(("multipart/", "message/")):
        kind = "application/octet-stream"
    name = _parameter("name", attachment.name)
    filename = _parameter("filename", attachment.name)
    head = [
        f"Content-Type: {kind}; {name}",
        f"Content-Disposition: {'inline' if attachment.inline else 'attachment'}; {filename}",
        "Content-Transfer-Encoding: base64",
    ]
    if attachment.content_id:
        head.append(f"Content-ID: <{_one_line(attachment.content_id)}>")
    return head, encodebytes(attachment.content).replace(b"\n", b"\r\n")


def _parameter(name: str, value: str) -> str:
    """Return a parameter of a MIME header, in the form of RFC 2231 where it is not ASCII."""
    value = _one_line(value)
    if not value.isascii():
        return f"{name}*=utf-8''{quote(value, safe='')}"
    return f'{name}="' + re.sub(r'(["\\])', r"\\\1", value) + '"'


def _header(name: str, value: str) -> str:
    value = _one_line(value)
    if value.isascii():
        return f"{name}: {_folded(value)}"
    return f"{name}: {Header(value, 'utf-8', maxlinelen=74, header_name=name).encode(linesep=chr(13) + chr(10))}"


def _folded(value: str) -> str:
    """Break a long value at its spaces, so that no line passes 998 characters where that can be had."""
    if len(value) < 900:
        return value
    lines, line = [], ""
    for word in value.split(" "):
        if line and len(line) + len(word) > 70:
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def _one_line(value: str) -> str:
    return re.sub(r"[\r\n\x00]+", " ", value)
