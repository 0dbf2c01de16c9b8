"""Content-Type and Content-Disposition: value and parameters (RFC 2045, RFC 2231), as broken as they come."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from bridge.mime import charsets

if TYPE_CHECKING:
    from bridge.mime.defects import Defects
    from bridge.mime.words import HeaderText

_MEDIA_TYPE = re.compile(r"([\w!#$&^.+~%'*|`{}-]{1,127})\s*/\s*([\w!#$&^.+~%'*|`{}-]{1,127})(?=[\s;(,]|$)")
_TOKEN = re.compile(r"[\w!#$&^.+~%'*|`{}-]{1,127}")
_PARAMETER = re.compile(r'\s*+([^\s=;"]{1,200}+)\s*+=\s*+(?:"((?:[^"\\]++|\\.?)*+)"?+|([^;]*+))', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_SEGMENT = re.compile(r"([^*]+)\*(?:(\d{1,4})(\*?))?$")


@dataclass(slots=True)
class MediaValue:
    """The value of such a field in lower case, and its parameters by lower-case name."""

    value: str
    parameters: dict[str, str] = field(default_factory=dict)


def parse_media_type(text: str, header: HeaderText, limit: int) -> MediaValue | None:
    """Return the media type `type/subtype` with its parameters, or None where it cannot be read."""
    match = _MEDIA_TYPE.match(text)
    if match is None:
        return None
    return MediaValue(f"{match[1]}/{match[2]}".lower(), _parameters(text, match.end(), header, limit))


def parse_disposition(text: str, header: HeaderText, limit: int) -> MediaValue:
    """Return the disposition with its parameters; the value is empty where there is none."""
    match = _TOKEN.match(text)
    if match is None or text[match.end() : match.end() + 1] == "=":
        return MediaValue("", _parameters(";" + text, 0, header, limit))
    return MediaValue(match[0].lower(), _parameters(text, match.end(), header, limit))


def _parameters(text: str, position: int, header: HeaderText, limit: int) -> dict[str, str]:
    found: dict[str, str] = {}
    segments: dict[str, dict[int, tuple[str, bool]]] = {}
    count = 0
    while (semicolon := text.find(";", position)) >= 0:
        match = _PARAMETER.match(text, semicolon + 1)
        if match is None:
            position = semicolon + 1
            continue
        position = match.end()
        count += 1
        if count > limit:
            header.defects.add("parameter_limit")
            break
        name = match[1].lower()
        if match[2] is not None:
            value = _QUOTED_PAIR.sub(r"\1", match[2])
        else:
            # Quotes that were escaped once too often are quotes all the same.
            value = match[3].strip().removeprefix('\\"').removesuffix('\\"')
        if "*" in name:
            segment = _SEGMENT.match(name)
            if segment is not None:
                single = segment[2] is None
                number = 0 if single else int(segment[2])
                encoded = single or segment[3] == "*"
                segments.setdefault(segment[1], {}).setdefault(number, (value, encoded))
                continue
        found.setdefault(name, value)
    for name, value in found.items():
        if "=?" in value:
            # RFC 2047 forbids this within parameters, and most programs write it.
            found[name] = header.decode(value)
    for name, pieces in segments.items():
        found[name] = _join(pieces, header.defects)
    return found


def _join(pieces: dict[int, tuple[str, bool]], defects: Defects) -> str:
    """Put RFC 2231 segments together; the first one names the charset, gaps are closed with a defect."""
    if sorted(pieces) != list(range(len(pieces))):
        defects.add("parameter_broken")
    data = bytearray()
    charset = ""
    for position, number in enumerate(sorted(pieces)):
        value, encoded = pieces[number]
        if position == 0 and encoded and value.count("'") >= 2:
            charset, _, value = value.split("'", 2)
        data += unquote_to_bytes(value) if encoded else value.encode("utf-8", "replace")
    raw = bytes(data)
    codec = charsets.codec_name(charset or None)
    if codec is None:
        if charset:
            defects.add("charset_unknown")
        return charsets.clean(charsets.guess(raw), defects)
    try:
        return charsets.clean(raw.decode(codec), defects)
    except (UnicodeError, ValueError, OverflowError):
        defects.add("parameter_broken")
    return charsets.clean(charsets.guess(raw), defects)
