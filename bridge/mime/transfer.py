"""Content-Transfer-Encoding undone: base64, quoted-printable, uuencode; each linear, none raises."""

from __future__ import annotations

import binascii
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.mime.defects import Defects

_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_BLANKS = b" \t\r\n\x0b\x0c"
_NOT_BASE64 = bytes(sorted(set(range(256)) - set(_BASE64)))
_CHUNK = re.compile(rb"([A-Za-z0-9+/]++)(={0,2})")
_SOFT_BREAK = re.compile(rb"=[ \t]++(?=\r?\n)")
# From the first blank of a run alone: from each of them, the cost would be the square of the run's length.
_TRAILING_BLANKS = re.compile(rb"(?<![ \t])[ \t]++(?=\r?\n)")
_UU_BEGIN = re.compile(rb"(?:\A|(?<=\n))begin(?:-base64)? ([0-7]{3,4}) ([^\r\n]{1,255}+)\r*+\n")

# Padded groups inside one base64 body: some programs encode each line for itself. More are no mail program's work.
_MAX_GROUPS = 100_000
# Enough for 90 MB in lines of the usual length.
_MAX_UU_LINES = 2_000_000

IDENTITY = frozenset(("", "7bit", "8bit", "binary", "7-bit", "8-bit", "7bits", "8bits", "none", "8_bit", "7_bit"))
_QUOTED = frozenset(("quoted-printable", "quoted_printable", "quotedprintable", "quoted-printable_", "qp"))
_UUENCODED = frozenset(("x-uuencode", "uuencode", "x-uue", "uue"))


@dataclass(frozen=True, slots=True)
class UuFile:
    """One uuencoded file found in a text."""

    name: bytes
    content: bytes


def decode_transfer(body: bytes, encoding: str, defects: Defects) -> bytes:
    """Return the content of a part under its transfer encoding; under one that is unknown, the bytes as they are."""
    if encoding in IDENTITY:
        return body
    if encoding == "base64":
        return decode_base64(body, defects)
    if encoding in _QUOTED:
        return decode_quoted_printable(body)
    if encoding in _UUENCODED:
        files = find_uuencoded(body, defects, limit=1)
        if files:
            return files[0].content
        defects.add("uuencode_broken")
        return body
    defects.add("transfer_encoding_unknown")
    return body


def decode_base64(body: bytes, defects: Defects) -> bytes:
    """Return what base64 stands for; wrong characters are passed over, an incomplete last group is dropped."""
    padding = body.find(b"=")
    head = body if padding < 0 else body[:padding]
    junk = head.translate(None, _BASE64 + _BLANKS)
    if junk:
        defects.add("base64_broken")
    if padding < 0:
        return _group(head, defects)
    tail = body[padding:].lstrip(b"=" + _BLANKS)
    content = _group(head, defects)
    return content + _continued(tail, defects) if tail else content


def _group(data: bytes, defects: Defects) -> bytes:
    """Decode one run without padding."""
    try:
        return binascii.a2b_base64(data)
    except binascii.Error:
        symbols = data.translate(None, _NOT_BASE64)
    left = len(symbols) % 4
    if left == 1:
        defects.add("base64_broken")
        symbols = symbols[:-1]
        left = 0
    return binascii.a2b_base64(symbols + b"=" * (-left % 4))


def _continued(tail: bytes, defects: Defects) -> bytes:
    """Decode what follows a first padding, if it is base64 throughout: whole groups of four, line by line."""
    groups: list[bytes] = []
    for line in tail.split(maxsplit=_MAX_GROUPS):
        position = 0
        while position < len(line):
            match = _CHUNK.match(line, position)
            if match is None or len(match[0]) % 4 or len(groups) >= _MAX_GROUPS:
                defects.add("base64_trailing_data")
                return b"".join(groups)
            groups.append(binascii.a2b_base64(match[0]))
            position = match.end()
    return b"".join(groups)


def decode_quoted_printable(body: bytes) -> bytes:
    """Return what quoted-printable stands for; blanks at line ends are not part of it (RFC 2045, 6.7)."""
    if b"= " in body or b"=\t" in body:
        body = _SOFT_BREAK.sub(b"=", body)
    if b" \n" in body or b"\t\n" in body or b" \r" in body or b"\t\r" in body:
        body = _TRAILING_BLANKS.sub(b"", body)
    return binascii.a2b_qp(body)


def find_uuencoded(text: bytes, defects: Defects, *, limit: int) -> list[UuFile]:
    """Return the uuencoded files in a text, at most `limit` of them; only those with a proper first data line."""
    files: list[UuFile] = []
    position = 0
    while len(files) < limit:
        begin = _UU_BEGIN.search(text, position)
        if begin is None:
            break
        content, position, plausible = _read_uu(text, begin.end(), defects)
        if plausible:
            files.append(UuFile(begin[2].strip(), content))
    return files


def _read_uu(text: bytes, position: int, defects: Defects) -> tuple[bytes, int, bool]:
    """Decode lines until `end`; the flag is False where the first line is no data, so it was prose about `begin`."""
    out: list[bytes] = []
    end = len(text)
    while position < end and len(out) < _MAX_UU_LINES:
        newline = text.find(b"\n", position)
        stop = end if newline < 0 else newline
        line = text[position:stop].rstrip(b"\r")
        if line == b"end":
            return b"".join(out), stop, True
        data = _uu_line(line)
        if data is None:
            if not out:
                return b"", stop, False
            # A broken line ends the file: what follows may as well be prose.
            defects.add("uuencode_broken")
            return b"".join(out), stop, True
        out.append(data)
        position = stop + 1
    defects.add("uuencode_broken")
    return b"".join(out), position, bool(out)


def _uu_line(line: bytes) -> bytes | None:
    if not line or line == b"`":
        return b""
    count = (line[0] - 32) & 63
    needed = (count * 4 + 2) // 3
    if not 32 <= line[0] <= 96 or len(line) - 1 > needed + 8:
        return None
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        pass
    try:
        # Some encoders append characters of their own; the count says how much is data.
        return binascii.a2b_uu(line[: 1 + needed])
    except binascii.Error:
        return None
