"""
The parts of a mail as bytes: headers and MIME tree, found in time linear in the mail's size.

Written for hostile mail, because everything that reaches the SMTP port is stored: nothing here raises on any bytes,
nothing recurses beyond a stated depth, and every list has an end. The bytes themselves are never changed.
"""

from __future__ import annotations

import binascii
import codecs
import re
from base64 import b64decode
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from quopri import decodestring
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH = 50
MAX_PARTS = 2000
MAX_HEADERS = 2000
_MAX_VALUE = 64 * 1024
_MAX_PARAMETERS = 50
_MAX_PARAMETER_TEXT = 16 * 1024
_MAX_ENCODED_WORDS = 500

_HEADER_END = re.compile(rb"\r?\n\r?\n")
_FIELD = re.compile(rb"^([!-9;-~]{1,200})[ \t]*:[ \t]*")
_PARAMETER = re.compile(r';\s*([^\s=;"]{1,100})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;]*))')
# Codecs of Python that count as text encodings and are no charsets of mails.
_NO_CHARSETS = frozenset({"unicode-escape", "raw-unicode-escape", "unicode_escape", "raw_unicode_escape", "undefined"})
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


@dataclass(slots=True)
class Part:
    """One MIME part: its headers in order, and where its body lies in the mail."""

    headers: list[tuple[str, str]]
    content_type: str
    parameters: dict[str, str]
    start: int
    end: int
    children: list[Part] = field(default_factory=list)

    def header(self, name: str) -> str | None:
        """Return the first value of a header, as it stands, None when there is none."""
        wanted = name.lower()
        return next((value for key, value in self.headers if key.lower() == wanted), None)

    def decoded(self, name: str) -> str:
        """Return the first value of a header with its encoded words read, empty when there is none."""
        return decode_words(self.header(name) or "")

    def walk(self) -> Iterator[Part]:
        """Yield this part and all below it, in the order of the mail."""
        waiting = [self]
        while waiting:
            part = waiting.pop()
            yield part
            waiting.extend(reversed(part.children))

    @property
    def disposition(self) -> str:
        """`attachment`, `inline`, or empty."""
        return (self.header("Content-Disposition") or "").split(";", 1)[0].strip().lower()

    @property
    def filename(self) -> str:
        """The name that the part gives itself, empty when it has none."""
        from_disposition = _parameters(self.header("Content-Disposition") or "").get("filename", "")
        return decode_words(from_disposition or self.parameters.get("name", ""))


def parse(mime: bytes) -> Part:
    """Return the tree of a mail's parts."""
    root = _read_part(mime, 0, len(mime), "text/plain")
    waiting = [(root, 0)]
    count = 1
    while waiting and count < MAX_PARTS:
        part, depth = waiting.pop()
        if depth >= MAX_DEPTH or not part.content_type.startswith("multipart/"):
            continue
        boundary = part.parameters.get("boundary", "").rstrip()
        if not boundary or len(boundary) > 200:
            continue
        kind = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
        for start, end in _between(mime, boundary.encode("utf-8", "surrogateescape"), part.start, part.end):
            child = _read_part(mime, start, end, kind)
            part.children.append(child)
            count += 1
            if count >= MAX_PARTS:
                break
        waiting.extend((child, depth + 1) for child in part.children)
    return root


def header_block(mime: bytes) -> bytes:
    """Return the bytes of the mail's own headers, without the empty line after them."""
    return mime[: _header_end(mime, 0, len(mime))[0]]


def body_of(mime: bytes, part: Part) -> bytes:
    """Return a part's body with its transfer encoding undone; what cannot be undone comes as it is."""
    raw = mime[part.start : part.end]
    encoding = (part.header("Content-Transfer-Encoding") or "").strip().lower()
    if encoding == "base64":
        letters = re.sub(rb"[^A-Za-z0-9+/]", b"", raw)
        try:
            return b64decode(letters[: len(letters) - (len(letters) % 4 == 1)] + b"=" * (-len(letters) % 4))
        except binascii.Error:
            return raw
    if encoding == "quoted-printable":
        return decodestring(raw)
    return raw


def text_of(mime: bytes, part: Part) -> str:
    """Return a text part's body as text that XML can carry; bytes that are no text become replacement characters."""
    text = xml_safe(_decode(body_of(mime, part), part.parameters.get("charset", "utf-8")))
    return text.replace("\r\n", "\n").replace("\n", "\r\n")


def decode_words(value: str) -> str:
    """Return a header's value with its encoded words (RFC 2047) read, as text that XML can carry."""
    if "=?" in value and value.count("=?") <= _MAX_ENCODED_WORDS:
        try:
            pieces = decode_header(value)
        except (HeaderParseError, ValueError, binascii.Error):
            return xml_safe(value)
        value = "".join(
            piece if isinstance(piece, str) else _decode(piece, charset or "latin-1") for piece, charset in pieces
        )
    return xml_safe(value)


def xml_safe(text: str) -> str:
    """Return the text without the characters that XML 1.0 has no place for."""
    return _CONTROLS.sub("", text)


def _decode(raw: bytes, charset: str) -> str:
    try:
        known = codecs.lookup(charset.strip("\"' ")[:60])
        if known.name in _NO_CHARSETS or not known._is_text_encoding:  # noqa: SLF001 - the only sign that tells rot13 or base64 from a charset
            return raw.decode("utf-8", "replace")
        return raw.decode(known.name, "replace")
    except (LookupError, ValueError):
        return raw.decode("utf-8", "replace")


def _read_part(mime: bytes, start: int, end: int, default_type: str) -> Part:
    headers_end, body_start = _header_end(mime, start, end)
    headers = _fields(mime[start:headers_end])
    value = next((value for name, value in headers if name.lower() == "content-type"), "")
    content_type = value.split(";", 1)[0].strip().lower()[:200]
    if "/" not in content_type:
        content_type = default_type
    return Part(headers, content_type, _parameters(value), body_start, end)


def _header_end(mime: bytes, start: int, end: int) -> tuple[int, int]:
    if mime.startswith((b"\n", b"\r\n"), start):
        return start, start + (1 if mime[start] == 0x0A else 2)
    found = _HEADER_END.search(mime, start, end)
    return (found.start(), found.end()) if found else (end, end)


def _fields(block: bytes) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    name, lines = "", [b""]
    for line in block.split(b"\n"):
        line = line.rstrip(b"\r")  # noqa: PLW2901 - the line without its end
        if line[:1] in (b" ", b"\t"):
            lines.append(line)
            continue
        if name:
            fields.append((name, _unfold(lines)))
        found = _FIELD.match(line)
        name = found[1].decode("ascii") if found else ""
        lines = [line[found.end() :]] if found else [b""]
        if len(fields) >= MAX_HEADERS:
            return fields
    if name:
        fields.append((name, _unfold(lines)))
    return fields


def _unfold(lines: list[bytes]) -> str:
    raw = b"".join(lines)[:_MAX_VALUE].strip()
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _parameters(value: str) -> dict[str, str]:
    """Read `; name=value` pairs, RFC 2231 forms included."""
    plain: dict[str, str] = {}
    pieces: dict[str, list[tuple[int, bool, str]]] = {}
    for number, found in enumerate(_PARAMETER.finditer(value[:_MAX_PARAMETER_TEXT])):
        if number >= _MAX_PARAMETERS:
            break
        name = found[1].lower()
        text = re.sub(r"\\(.)", r"\1", found[2]) if found[2] is not None else found[3]
        base, star, rest = name.partition("*")
        if not star:
            plain.setdefault(name, text)
        else:
            order = rest.rstrip("*")
            pieces.setdefault(base, []).append(
                (int(order) if order.isdecimal() and len(order) < 4 else 0, name.endswith("*"), text)
            )
    for base, found_pieces in pieces.items():
        plain[base] = _join_pieces(sorted(found_pieces))
    return plain


def _join_pieces(pieces: list[tuple[int, bool, str]]) -> str:
    charset = "utf-8"
    raw = b""
    for number, (_, coded, text) in enumerate(pieces):
        rest = text
        if coded and number == 0 and text.count("'") >= 2:
            charset, _, rest = text.split("'", 2)
        raw += unquote_to_bytes(rest) if coded else rest.encode("utf-8", "replace")
    return _decode(raw, charset or "utf-8")


def _between(mime: bytes, boundary: bytes, start: int, end: int) -> Iterator[tuple[int, int]]:
    """Yield where the parts of a multipart lie."""
    marker = b"--" + boundary
    at = start if mime.startswith(marker, start) else mime.find(b"\n" + marker, start, end)
    part_start: int | None = None
    while at >= 0:
        line_start = at if mime.startswith(marker, at) else at + 1
        after = line_start + len(marker)
        rest = mime[after : after + 2]
        if rest[:1] not in (b"\r", b"\n", b" ", b"\t", b"") and rest != b"--":
            at = mime.find(b"\n" + marker, after, end)  # another boundary that only begins like this one
            continue
        if part_start is not None:
            part_end = line_start - 1
            yield part_start, max(part_start, part_end - (1 if part_end > 0 and mime[part_end - 1] == 0x0D else 0))
        if rest == b"--":
            return
        line_end = mime.find(b"\n", after, end)
        if line_end < 0:
            return
        part_start = line_end + 1
        at = mime.find(b"\n" + marker, line_end, end)
    if part_start is not None:
        yield part_start, end
