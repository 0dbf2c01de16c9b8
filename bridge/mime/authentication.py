"""Authentication-Results (RFC 8601), as far as consumers ask for it: which method gave which result."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.mime.parsed import AuthenticationResult

if TYPE_CHECKING:
    from collections.abc import Iterable

_METHOD = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]{0,40})\s*(?:/\s*\d{1,3}\s*)?=\s*([A-Za-z]{1,40})")
_PIECE = re.compile(r'"(?:[^"\\]++|\\.?)*+"?+|[();]|\\.?|[^"();\\]++', re.DOTALL)
_MAX_METHODS = 100
_AUTHENTICATED_AS = "x-ms-exchange-organization-authas"


def says_internal(fields: Iterable[tuple[str, str]]) -> bool:
    """
    Return whether a mail's fields, by name and value, say that Exchange took it from within its organisation.

    Exchange writes `X-MS-Exchange-Organization-AuthAs: Internal` on what it makes itself, bounces among them, and on
    what a signed-in sender hands it, and removes fields of that name from mail that comes from outside. Where it is
    told not to, anybody can write it.
    """
    said = [value.strip().lower() for name, value in fields if name.lower() == _AUTHENTICATED_AS]
    return said == ["internal"]


def parse_authentication_results(value: str) -> AuthenticationResult:
    """
    Return the server and its methods.

    Whoever wrote the mail can have written such a field too: only those that carry the name of one's own server, and
    stand above those of others, say anything.
    """
    server, methods = "", []
    for index, segment in enumerate(_segments(value)):
        match = _METHOD.match(segment)
        if match is not None:
            methods.append((match[1].lower(), match[2].lower()))
            if len(methods) >= _MAX_METHODS:
                break
        elif index == 0:
            # Exchange Online leaves the server's name out.
            server = segment.split(maxsplit=1)[0] if segment.strip() else ""
    return AuthenticationResult(server, tuple(methods), value)


def _segments(value: str) -> list[str]:
    """Split at `;`, without comments."""
    segments: list[str] = []
    current: list[str] = []
    depth = 0
    for match in _PIECE.finditer(value):
        piece = match[0]
        if piece == "(":
            depth += 1
        elif piece == ")":
            depth = max(0, depth - 1)
        elif depth:
            continue
        elif piece == ";":
            segments.append("".join(current))
            current = []
        else:
            current.append(piece)
    segments.append("".join(current))
    return segments
