"""What a mail's MIME says about it, as properties of its bag; and a mail's text, HTML and attachments."""

from __future__ import annotations

import contextlib
import re
from base64 import b64encode
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from html import unescape
from itertools import islice
from os import urandom
from typing import TYPE_CHECKING

from bridge.sandbox.store import properties as p
from bridge.sandbox.store.icalendar import bag_of as meeting_bag
from bridge.sandbox.store.structure import Part, body_of, decode_words, parse, text_of, xml_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

_MAX_RECIPIENTS = 5000
_MAX_ADDRESS_HEADER = 256 * 1024
_PREVIEW = 255
_IMPORTANCE = {"low": 0, "normal": 1, "high": 2, "5": 0, "4": 0, "3": 1, "2": 2, "1": 2, "non-urgent": 0, "urgent": 2}
_SENSITIVITY = {"personal": 1, "private": 2, "company-confidential": 3}
_HELD_BY_PROPERTIES = frozenset({
    "from", "sender", "to", "cc", "bcc", "reply-to", "subject", "message-id", "in-reply-to", "references", "date",
    "importance", "x-priority", "priority", "sensitivity", "thread-topic", "thread-index", "return-receipt-to",
    "disposition-notification-to", "mime-version", "content-type", "content-transfer-encoding", "content-disposition",
    "content-id", "content-description",
})  # fmt: skip
_MAX_HTML_FOR_TEXT = 1_000_000
_ZEROS_OF_NUMBER = re.compile(r"&#0+(?=[0-9])")
_BEYOND_CHARACTERS = re.compile(r"&#[0-9]{8,};?")


@dataclass(frozen=True, slots=True)
class Attachment:
    """One attachment, with its content."""

    name: str
    content_type: str
    content_id: str
    inline: bool
    content: bytes
    bag: p.Bag | None = None
    """What the mail is beside its content, for a mail that was attached by its properties."""


def bag_of(mime: bytes, at: datetime) -> p.Bag:
    """Return the properties that the mail's own headers and structure give it; never raises, whatever the bytes are."""
    root = parse(mime)
    now = p.to_micros(at)
    sender = addresses(root, "Sender")
    author = addresses(root, "From")
    subject = xml_safe(root.decoded("Subject"))
    to, cc, bcc = addresses(root, "To"), addresses(root, "Cc"), addresses(root, "Bcc")
    bag: p.Bag = {
        p.MESSAGE_CLASS: message_class(mime, root),
        p.SUBJECT: subject,
        p.CONVERSATION_TOPIC: topic_of(subject),
        p.IMPORTANCE: _importance(root),
        p.SENSITIVITY: _SENSITIVITY.get((root.header("Sensitivity") or "").strip().lower(), 0),
        p.INTERNET_MESSAGE_ID: xml_safe(root.header("Message-ID") or "")[:2000],
        p.RECIPIENTS_TO: to,
        p.RECIPIENTS_CC: cc,
        p.RECIPIENTS_BCC: bcc,
        p.HAS_ATTACHMENTS: any(not shown for _, shown in attachment_parts(root)),
        p.SEARCH_KEY: b64encode(urandom(16)).decode(),
        p.CREATION_TIME: now,
        p.LAST_MODIFICATION_TIME: now,
        p.CLIENT_SUBMIT_TIME: _date(root, now),
        p.MESSAGE_SIZE: len(mime),
    }
    set_people(bag, author[:1], sender[:1] or author[:1])
    set_display(bag)
    if bag[p.MESSAGE_CLASS].startswith("IPM.Schedule.Meeting."):
        bag.update(meeting_bag(b"".join(body_of(mime, part) for part in _calendars(root)[:1])))
    optional: p.Bag = {
        p.IN_REPLY_TO: xml_safe(root.header("In-Reply-To") or "")[:4000],
        p.INTERNET_REFERENCES: xml_safe(root.header("References") or "")[:16000],
        p.REPLY_TO: addresses(root, "Reply-To"),
        p.CONVERSATION_INDEX: _thread_index(root) or _new_thread_index(now),
        p.READ_RECEIPT_REQUESTED: bool(root.header("Disposition-Notification-To")),
        p.DELIVERY_RECEIPT_REQUESTED: bool(root.header("Return-Receipt-To")),
        p.PREVIEW: preview(mime, root),
    }
    bag.update({key: value for key, value in optional.items() if value})
    return bag


def set_people(bag: p.Bag, author: list[list[str]], sender: list[list[str]]) -> None:
    """Put From (`author`) and Sender into the bag; an empty list leaves the property out."""
    if author:
        name, address = author[0]
        bag[p.SENT_REPRESENTING_NAME] = name or address
        bag[p.SENT_REPRESENTING_ADDRESS_TYPE] = "SMTP"
        bag[p.SENT_REPRESENTING_ADDRESS] = bag[p.SENT_REPRESENTING_SMTP_ADDRESS] = address
    if sender:
        name, address = sender[0]
        bag[p.SENDER_NAME] = name or address
        bag[p.SENDER_ADDRESS_TYPE] = "SMTP"
        bag[p.SENDER_ADDRESS] = bag[p.SENDER_SMTP_ADDRESS] = address


def set_display(bag: p.Bag) -> None:
    """Make DisplayTo, DisplayCc and DisplayBcc of the recipients."""
    for shown, recipients in (
        (p.DISPLAY_TO, p.RECIPIENTS_TO),
        (p.DISPLAY_CC, p.RECIPIENTS_CC),
        (p.DISPLAY_BCC, p.RECIPIENTS_BCC),
    ):
        bag[shown] = "; ".join(name or address for name, address in bag.get(recipients, ()))


def addresses(root: Part, header: str) -> list[list[str]]:
    """Return the [name, address] pairs of an address header, all its occurrences together."""
    wanted = header.lower()
    values = [value for key, value in root.headers if key.lower() == wanted]
    if not values or sum(map(len, values)) > _MAX_ADDRESS_HEADER:
        return []
    return [
        [decode_words(name), xml_safe(address)]
        for value in values
        for name, address in islice(split_addresses(value), _MAX_RECIPIENTS)
    ][:_MAX_RECIPIENTS]


def split_addresses(value: str) -> Iterator[tuple[str, str]]:
    """Yield the (name, address) pairs of an address list (RFC 5322), group names left out, in linear time."""
    piece: list[str] = []
    quoted, comment, angle, at = False, 0, False, 0
    while at < len(value):
        letter = value[at]
        if letter == "\\" and (quoted or comment):
            piece.append(value[at : at + 2])
            at += 2
            continue
        if letter == '"' and not comment:
            quoted = not quoted
        elif not quoted and letter in "()":
            comment = max(0, comment + (1 if letter == "(" else -1))
        elif not quoted and not comment and letter in "<>":
            angle = letter == "<"
        elif not quoted and not comment and letter == ":" and not angle:
            piece.clear()
            at += 1
            continue
        elif not quoted and not comment and letter in ",;" and not angle:
            yield from _address("".join(piece))
            piece.clear()
            at += 1
            continue
        piece.append(letter)
        at += 1
    yield from _address("".join(piece))


def _address(text: str) -> Iterator[tuple[str, str]]:
    name, angle, rest = text.rpartition("<")
    if angle:
        name, address = name.strip(), rest.partition(">")[0].strip()
    else:
        comment = text.find("(")
        name = text[comment + 1 :].rpartition(")")[0].strip() if comment >= 0 else ""
        address = (text[:comment] if comment >= 0 else text).strip()
    if len(name) > 1 and name[0] == name[-1] == '"':
        name = re.sub(r"\\(.)", r"\1", name[1:-1])
    if name or address:
        yield name, address


def message_class(mime: bytes, root: Part) -> str:
    """Return the item class that Exchange gives a mail of this content."""
    kind = root.content_type
    if kind == "multipart/signed" and "pkcs7-signature" in root.parameters.get("protocol", "pkcs7-signature").lower():
        return "IPM.Note.SMIME.MultipartSigned"
    if kind in ("application/pkcs7-mime", "application/x-pkcs7-mime"):
        return "IPM.Note.SMIME"
    if kind == "multipart/report":
        return _report_class(mime, root)
    for part in _calendars(root):
        return _meeting_class(mime, part)
    return "IPM.Note"


def _calendars(root: Part) -> list[Part]:
    return [part for part in root.walk() if part.content_type == "text/calendar" and part.disposition != "attachment"]


def _report_class(mime: bytes, root: Part) -> str:
    for part in root.walk():
        if part.content_type in ("message/delivery-status", "message/global-delivery-status"):
            actions = re.findall(rb"(?im)^action[ \t]*:[ \t]*(\w+)", body_of(mime, part)[:100_000])
            known = {
                b"delayed": "REPORT.IPM.Note.Delayed",
                b"delivered": "REPORT.IPM.Note.DR",
                b"relayed": "REPORT.IPM.Note.Relayed",
            }
            if b"failed" in {action.lower() for action in actions} or not actions:
                return "REPORT.IPM.Note.NDR"
            return known.get(actions[0].lower(), "REPORT.IPM.Note.NDR")
        if part.content_type == "message/disposition-notification":
            deleted = re.search(rb"(?im)^disposition[ \t]*:.*;[ \t]*deleted", body_of(mime, part)[:100_000])
            return "REPORT.IPM.Note.IPNNRN" if deleted else "REPORT.IPM.Note.IPNRN"
    return "IPM.Note"


def _meeting_class(mime: bytes, part: Part) -> str:
    method = part.parameters.get("method", "").upper()
    if method == "REQUEST":
        return "IPM.Schedule.Meeting.Request"
    if method == "CANCEL":
        return "IPM.Schedule.Meeting.Canceled"
    if method in ("REPLY", "COUNTER"):
        answer = re.search(rb"(?i)PARTSTAT=(\w+)", body_of(mime, part)[:100_000])
        kind = {b"ACCEPTED": "Pos", b"DECLINED": "Neg"}.get(answer[1].upper() if answer else b"", "Tent")
        return f"IPM.Schedule.Meeting.Resp.{kind}"
    return "IPM.Note"


def attachment_parts(root: Part) -> list[tuple[Part, bool]]:
    """Return the parts that are attachments, each with whether it is shown inline in the HTML."""
    found: list[tuple[Part, bool]] = []
    shown = {id(part) for part in shown_parts(root) if part}
    has_html = shown_parts(root)[1] is not None
    waiting: list[tuple[Part, bool]] = [(root, False)]
    while waiting:
        part, related = waiting.pop()
        if part.children:
            waiting.extend(
                (child, related or part.content_type == "multipart/related") for child in reversed(part.children)
            )
        elif id(part) not in shown and not part.content_type.startswith("multipart/"):
            inline = has_html and bool(part.header("Content-ID")) and (related or part.disposition == "inline")
            found.append((part, inline))
    return found


def attachments(mime: bytes) -> list[Attachment]:
    """Return a mail's attachments in their order."""
    found = []
    for number, (part, inline) in enumerate(attachment_parts(parse(mime)), 1):
        content_id = xml_safe((part.header("Content-ID") or "").strip().strip("<>"))
        name = part.filename or f"ATT{number:05d}{'.eml' if part.content_type == 'message/rfc822' else ''}"
        found.append(Attachment(name[:255], xml_safe(part.content_type), content_id, inline, body_of(mime, part)))
    return found


def shown_parts(root: Part) -> tuple[Part | None, Part | None]:
    """Return the parts that are the mail's text and HTML body."""
    text: Part | None = None
    html: Part | None = None
    for part in root.walk():
        if part.children or part.disposition == "attachment" or part.filename:
            continue
        if part.content_type == "text/plain" and text is None:
            text = part
        elif part.content_type == "text/html" and html is None:
            html = part
    return text, html


def bodies(mime: bytes) -> tuple[str | None, str | None]:
    """Return the mail's text and HTML, None for what it has not."""
    text, html = shown_parts(parse(mime))
    return (text_of(mime, text) if text else None, text_of(mime, html) if html else None)


def extra_headers(mime: bytes) -> list[list[str]]:
    """Return the headers that no property of the bag stands for, in their order."""
    return [
        [name, decode_words(value)] for name, value in parse(mime).headers if name.lower() not in _HELD_BY_PROPERTIES
    ]


def text_from_html(html: str) -> str:
    """Return readable text of HTML, plainly: tags, style and script away, entities read; linear in its length."""
    kept: list[str] = []
    at = 0
    lowered = html.lower()
    while (tag := html.find("<", at)) >= 0:
        kept.append(html[at:tag])
        hidden = next((name for name in ("style", "script", "head>", "!--") if lowered.startswith(name, tag + 1)), None)
        ending = {None: ">", "!--": "-->"}.get(hidden, f"</{hidden}".rstrip(">"))
        end = lowered.find(ending, tag + 1)
        if end < 0:
            at = len(html)
            break
        at = end + len(ending) if hidden is None or hidden == "!--" else end
        if hidden is None:
            kept.append(" ")
    kept.append(html[at:])
    # A number of some thousand digits would raise in the conversion; none that is longer than seven is a character.
    shown = _BEYOND_CHARACTERS.sub("\ufffd", _ZEROS_OF_NUMBER.sub("&#", "".join(kept)))
    return xml_safe(unescape(shown)).strip()


def topic_of(subject: str) -> str:
    """Return a subject without the marks of replies and forwards before it."""
    return re.sub(r"^(?:(?:re|fwd?|aw|wg)\s*:\s*)+", "", subject, flags=re.IGNORECASE)


def preview_of(text: str | None, html: str | None) -> str:
    """Return the first characters of a body, on one line."""
    shown = text if text is not None else text_from_html((html or "")[:_MAX_HTML_FOR_TEXT])
    return " ".join(shown[:4000].split())[:_PREVIEW]


def preview(mime: bytes, root: Part) -> str:
    """Return the first characters of the mail's text, on one line."""
    text, html = shown_parts(root)
    part = text or html
    if part is None or part.end - part.start > _MAX_HTML_FOR_TEXT:
        return ""
    shown = text_of(mime, part)
    return preview_of(None, shown) if part is html else preview_of(shown, None)


def _importance(root: Part) -> int:
    value = root.header("Importance") or root.header("X-Priority") or root.header("Priority") or ""
    return _IMPORTANCE.get(value.split()[0].lower() if value.split() else "", 1)


def _date(root: Part, now: int) -> int:
    value = (root.header("Date") or "")[:200]
    with contextlib.suppress(ValueError, TypeError, OverflowError, IndexError):
        moment = parsedate_to_datetime(value)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        micros = p.to_micros(moment)
        if datetime(1601, 1, 2, tzinfo=UTC) < p.from_micros(micros) < datetime(4500, 1, 1, tzinfo=UTC):
            return micros
    return now


def _new_thread_index(micros: int) -> str:
    """Return the index that begins a conversation: its time and an id of its own (MS-OXOMSG 2.2.1.3)."""
    filetime = (micros + 11_644_473_600_000_000) * 10
    return b64encode(b"\x01" + filetime.to_bytes(8, "big")[:5] + urandom(16)).decode()


def _thread_index(root: Part) -> str:
    value = "".join((root.header("Thread-Index") or "").split())
    return value if re.fullmatch(r"[A-Za-z0-9+/]{4,1000}={0,2}", value) and len(value) % 4 == 0 else ""
