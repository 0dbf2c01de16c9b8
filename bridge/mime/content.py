"""Which parts are the text, which are attachments (RFC 8621, 4.1.4), and their decoded content."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

from bridge.mime import charsets
from bridge.mime.html_text import html_to_text
from bridge.mime.parsed import Attachment
from bridge.mime.pieces import decoded_pieces
from bridge.mime.transfer import decode_transfer, find_uuencoded

if TYPE_CHECKING:
    from bridge.mime.limits import Limits
    from bridge.mime.mapped import RawMail
    from bridge.mime.sink import Sink, Taken
    from bridge.mime.structure import Part
    from bridge.mime.words import HeaderText

_META_CHARSET = re.compile(rb"<meta[^>]{1,200}?charset\s{0,5}=\s{0,5}[\"']?([A-Za-z0-9_:.-]{1,40})", re.IGNORECASE)
_META_WINDOW = 2_048
_CONTENT_ID_URL = re.compile(r"cid:([^\s\"'<>)\\]{1,300})", re.IGNORECASE)
_ENRICHED_TAG = re.compile(r"<(<)|</?[A-Za-z-]{1,60}>")
_ENRICHED_PARAMETER = re.compile(r"<param>[^<]{0,200}</param>", re.IGNORECASE)

# Text that people are not meant to read as the mail's words.
_DATA_TEXT = frozenset((
    "text/calendar", "text/csv", "text/directory", "text/vcard", "text/x-vcard", "text/rfc822-headers", "text/xml",
    "text/x-amp-html", "text/rtf", "text/css", "text/x-vcalendar", "text/x-patch", "text/x-diff",
))  # fmt: skip


@dataclass(slots=True)
class Body:
    """The shown text of a mail and its attachments, both in the order in which they stand."""

    text_parts: list[Part] = field(default_factory=list)
    html_parts: list[Part] = field(default_factory=list)
    attached: list[tuple[Part, bool]] = field(default_factory=list)
    """With True for parts of a multipart/related."""


def select(root: Part) -> Body:
    """Sort the leaves; every leaf ends up in at least one of the lists."""
    body = Body()
    _walk([root], "mixed", body, in_alternative=False)
    if not body.text_parts and not body.html_parts:
        _promote(body)
    return body


def _promote(body: Body) -> None:
    """Show the first text that could be shown, where the structure says that none should be."""
    for index, (part, _) in enumerate(body.attached):
        if part.disposition.value != "attachment" and _is_readable(part):
            del body.attached[index]
            body.text_parts.append(part)
            if part.content_type == "text/html":
                body.html_parts.append(part)
            return


def _is_readable(part: Part) -> bool:
    return part.content_type.startswith("text/") and part.content_type not in _DATA_TEXT


def _walk(parts: list[Part], kind: str, body: Body, *, in_alternative: bool) -> None:
    """Descend; the nesting was bounded when the structure was read."""
    text_before, html_before = len(body.text_parts), len(body.html_parts)
    for index, part in enumerate(parts):
        if part.children is not None:
            subtype = part.content_type[10:]
            _walk(part.children, subtype, body, in_alternative=in_alternative or subtype == "alternative")
        elif not _is_shown(part, index, kind, in_alternative=in_alternative):
            body.attached.append((part, kind == "related"))
        elif part.content_type == "text/html":
            body.html_parts.append(part)
            if not in_alternative:
                body.text_parts.append(part)
        else:
            body.text_parts.append(part)
    if kind == "alternative" and len(body.text_parts) == text_before:
        # Nothing plain to choose: the text is made from the HTML.
        body.text_parts.extend(body.html_parts[html_before:])


def _is_shown(part: Part, index: int, kind: str, *, in_alternative: bool) -> bool:
    if part.disposition.value == "attachment" or not _is_readable(part):
        return False
    if in_alternative and part.content_type not in {"text/plain", "text/html"}:
        return False  # a third form of what is there already
    if index == 0:
        return True
    return kind != "related" and part.name is None


class ContentReader:
    """Decodes the parts of one mail."""

    def __init__(self, raw: RawMail, header: HeaderText, limits: Limits, sink: Sink | None = None) -> None:
        self._raw = raw
        self._sink = sink
        self._header = header
        self._defects = header.defects
        self._limits = limits
        self._html: dict[int, str] = {}
        self._uuencoded: list[Attachment] = []

    def content(self, part: Part) -> bytes:
        """Return a leaf's content without its transfer encoding."""
        encoding = part.transfer_encoding
        return decode_transfer(self._raw[part.body : part.end], encoding, self._defects)

    def _in_sink(self, part: Part) -> Taken | None:
        """Return where a leaf's content is now; None for what is small, and where there is no sink."""
        if self._sink is None or not self._sink.wants(part.end - part.body):
            return None
        pieces = decoded_pieces(self._raw, part.body, part.end, part.transfer_encoding)
        taken = self._sink.take(pieces) if pieces is not None else None
        return taken or self._sink.take(iter((self.content(part),)))

    def text(self, body: Body) -> str:
        """Return the mail's text, line ends as LF, made from the HTML where the plain text is missing or blank."""
        text = self._joined(body.text_parts)
        if text.strip() or [id(part) for part in body.text_parts] == [id(part) for part in body.html_parts]:
            return text  # once is enough where the text was made of the HTML
        return self._joined(body.html_parts) if body.html_parts else text

    def _joined(self, parts: list[Part]) -> str:
        """Return the text of several parts, each on lines of its own."""
        pieces: list[str] = []
        for part in parts:
            piece = self._text_of(part)
            if not piece:
                continue
            if pieces and not pieces[-1].endswith("\n"):
                pieces.append("\n")
            pieces.append(piece)
        return "".join(pieces)

    def _text_of(self, part: Part) -> str:
        if part.content_type == "text/html":
            return html_to_text(self.html_of(part), self._defects, limit=self._limits.html_characters)
        content = self.content(part)
        text = charsets.decode_text(content, part.parameters.get("charset"), self._defects).removeprefix("\ufeff")
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n")
        if part.content_type in {"text/enriched", "text/richtext"}:
            text = _ENRICHED_TAG.sub(r"\1", _ENRICHED_PARAMETER.sub("", text))
        if "begin" in text:
            self._collect_uuencoded(content)
        return text

    def _collect_uuencoded(self, content: bytes) -> None:
        """Note the uuencoded files within a text; the text keeps them as well."""
        left = self._limits.uuencoded_files - len(self._uuencoded)
        files = find_uuencoded(content, self._defects, limit=left + 1)
        if len(files) > left:
            self._defects.add("uuencode_limit")
        for file in files[:left]:
            name = charsets.clean(charsets.guess(file.name), self._defects)
            self._uuencoded.append(_file(name, file.content))

    def html(self, parts: list[Part]) -> str | None:
        """Return the mail's HTML as sent, only its charset undone; several bodies follow one another."""
        pieces = [self.html_of(part) for part in parts]
        return "\n".join(pieces) if pieces else None

    def html_of(self, part: Part) -> str:
        """Decode one HTML part, once; without a charset in the header, the document's own counts."""
        known = self._html.get(part.body)
        if known is None:
            content = self.content(part)
            label = part.parameters.get("charset")
            if not label and not content.isascii():
                meta = _META_CHARSET.search(content[:_META_WINDOW])
                # A document that says utf-16 in ASCII letters is not in utf-16 (HTML standard, 13.2.3.2).
                named = meta[1].decode("ascii") if meta is not None else ""
                label = "utf-8" if named.lower().startswith("utf-16") else named or None
            known = charsets.decode_text(content, label, self._defects)
            self._html[part.body] = known
        return known

    def attachments(self, parts: list[tuple[Part, bool]], html: str | None) -> tuple[Attachment, ...]:
        """Return the attachments, uuencoded ones last."""
        shown = {unquote(found) for found in _CONTENT_ID_URL.findall(html)} if html and parts else set()
        found: list[Attachment] = []
        for part, related in parts:
            content_id = charsets.clean(part.content_id, self._defects) or None
            disposition = part.disposition.value
            inline = disposition == "inline" or (related and disposition != "attachment")
            inline = inline or (content_id is not None and content_id in shown)
            kept = self._in_sink(part)
            content = self.content(part) if kept is None else b""
            found.append(
                Attachment(
                    name=None if part.name is None else charsets.clean(part.name, self._defects),
                    content_type=part.content_type,
                    charset=charsets.clean(part.parameters.get("charset", ""), self._defects) or None,
                    size=len(content) if kept is None else kept.extent.size,
                    sha256=hashlib.sha256(content).hexdigest() if kept is None else kept.sha256,
                    content_id=content_id,
                    inline=inline,
                    content=content,
                    extent=None if kept is None else kept.extent,
                )
            )
        return (*found, *self._uuencoded)


def _file(name: str, content: bytes) -> Attachment:
    digest = hashlib.sha256(content).hexdigest()
    return Attachment(
        name=name,
        content_type="application/octet-stream",
        charset=None,
        size=len(content),
        sha256=digest,
        content_id=None,
        inline=False,
        content=content,
    )
