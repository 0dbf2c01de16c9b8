"""
What independent parsers make of a mail, in a form that can be compared with ours.

fast-mail-parser reads most of the corpus; what it refuses is read by the standard library's compat32. Both are compared
by what a reader of the mail would see: blanks count once, and only where both have something to say.
"""

from __future__ import annotations

import email
import hashlib
import re
from collections import Counter
from dataclasses import dataclass, field
from email.header import decode_header, make_header
from typing import TYPE_CHECKING

import fast_mail_parser
from selectolax.lexbor import LexborHTMLParser

if TYPE_CHECKING:
    from collections.abc import Iterable
    from email.message import Message

    from bridge.mime import Address, ParsedMail

ASPECTS = ("header_names", "headers", "subject", "from", "to", "cc", "text", "html", "attachments")


@dataclass
class Reading:
    """One parser's view; an aspect that a parser does not tell is left out."""

    parser: str
    aspects: dict[str, object] = field(default_factory=dict)


def ours(mail: ParsedMail) -> Reading:
    """Return our own parser's view."""
    names = Counter(header.name.lower() for header in mail.headers)
    values: dict[str, list[str]] = {}
    for header in mail.headers:
        values.setdefault(header.name.lower(), []).append(_plain(header.value))
    return Reading(
        "ours",
        {
            "header_names": dict(names),
            "headers": {name: sorted(found) for name, found in values.items()},
            "subject": _plain(mail.subject),
            "from": _pairs([mail.author] if mail.author else []),
            "to": _pairs(mail.to),
            "cc": _pairs(mail.cc),
            "text": _plain(mail.text),
            "html": _plain(mail.html or ""),
            "attachments": sorted(f"{a.content_type} {a.sha256[:12]}" for a in mail.attachments),
        },
    )


def second(raw: bytes) -> Reading:
    """Return the view of the first independent parser that reads the mail."""
    try:
        return _fast(raw)
    except fast_mail_parser.ParseError:
        return _standard_library(raw)


def differences(mine: Reading, other: Reading) -> list[str]:
    """Return the aspects in which two views differ."""
    differing = [
        name for name in ASPECTS if name in other.aspects and _comparable(mine, other, name) != other.aspects[name]
    ]
    if "headers" in differing:
        # A field that only one of them has is counted under its name already, and the subject is compared by itself.
        shared = _both(mine, other)
        if all(_values(mine)[name] == _values(other)[name] for name in shared):
            differing.remove("headers")
    return differing


def _comparable(mine: Reading, other: Reading, name: str) -> object:
    found = mine.aspects[name]
    if name == "attachments" and other.parser == "compat32" and isinstance(found, list):
        # compat32 takes enclosed mails apart, so it cannot give their bytes.
        return [one for one in found if not one.startswith("message/")]
    return found


def letters(html: str) -> str:
    """Return all that an HTML parser shows of a document, without blanks, and without hyphens: lists get some."""
    tree = LexborHTMLParser(html)
    tree.strip_tags(["script", "style", "title", "iframe", "noembed", "noframes", "xmp", "textarea", "template"])
    shown = tree.body.text(separator=" ") if tree.body else ""
    return "".join(shown.split()).replace("-", "")


def _both(mine: Reading, other: Reading) -> set[str]:
    return (_values(mine).keys() & _values(other).keys()) - {"subject"}


def _values(reading: Reading) -> dict[str, list[str]]:
    found: dict[str, list[str]] = reading.aspects["headers"]  # type: ignore[assignment]
    return found


def _fast(raw: bytes) -> Reading:
    mail = fast_mail_parser.parse_email(raw)
    names: Counter[str] = Counter()
    values: dict[str, list[str]] = {}
    for name, found in mail.headers.items():
        names[name.lower()] += len(found)
        values.setdefault(name.lower(), []).extend(_plain(value) for value in found)
    aspects: dict[str, object] = {
        "header_names": dict(names),
        "headers": {name: sorted(found) for name, found in values.items()},
        "subject": _plain(mail.subject),
        "from": [(_plain(mail.from_.display_name or ""), mail.from_.address)] if mail.from_ else [],
        "to": [(_plain(one.display_name or ""), one.address) for one in mail.to],
        "cc": [(_plain(one.display_name or ""), one.address) for one in mail.cc],
        "html": _plain("\n".join(mail.text_html)),
        "attachments": sorted(f"{a.mimetype} {_digest(a.content)}" for a in mail.attachments),
    }
    if mail.text_plain or not mail.text_html:
        # Text made from HTML has nothing to be compared with.
        aspects["text"] = _plain("\n".join(mail.text_plain))
    return Reading("fast-mail-parser", aspects)


def _standard_library(raw: bytes) -> Reading:
    mail = email.message_from_bytes(raw)
    leaves = [part for part in _parts(mail) if not part.is_multipart() or part.get_content_type() == "message/rfc822"]
    shown = [part for part in leaves if part.get_content_type() == "text/plain" and not part.get_filename()]
    html = [part for part in leaves if part.get_content_type() == "text/html" and not part.get_filename()]
    files = [part for part in leaves if part not in shown and part not in html and not part.is_multipart()]
    return Reading(
        "compat32",
        {
            "header_names": dict(Counter(name.lower() for name in mail)),
            "subject": _plain(str(make_header(decode_header(mail.get("Subject", ""))))),
            "text": _plain("\n".join(_text(part) for part in shown)),
            "html": _plain("\n".join(_text(part) for part in html)),
            "attachments": sorted(f"{p.get_content_type()} {_digest(_content(p))}" for p in files),
        },
    )


def _parts(mail: Message) -> Iterable[Message]:
    yield mail
    if mail.is_multipart() and mail.get_content_type() != "message/rfc822":
        for part in mail.get_payload():
            yield from _parts(part)  # type: ignore[arg-type]


def _content(part: Message) -> bytes:
    found = part.get_payload(decode=True)
    return found if isinstance(found, bytes) else b""


def _text(part: Message) -> str:
    return _content(part).decode(part.get_content_charset("utf-8"), "replace")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:12]


def _pairs(addresses: Iterable[Address]) -> list[tuple[str, str]]:
    return [(_plain(address.name), address.address) for address in addresses]


def _plain(text: str) -> str:
    return re.sub(r"\s+", " ", text or "").strip()
