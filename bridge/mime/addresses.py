"""Address lists (RFC 5322, 3.4) in one pass: names, comments, groups, routes, and what programs make of them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bridge.mime.parsed import Address

if TYPE_CHECKING:
    from bridge.mime.words import HeaderText

# Most fields are one of two simple forms; both patterns stop at every special character.
_NAMED = re.compile(r'(?:"([^"\\]*+)"|([^"<>,;:()@\\]*+))\s*+<([^\s<>,;:()"@\\]++@[^\s<>,;:()"@\\]++)>')
_BARE = re.compile(r'[^\s<>,;:()"@\\]++@[^\s<>,;:()"@\\]++')

# The same two forms within a list; `=` may begin an encoded-word, which may hold a comma.
_LISTED = re.compile(
    r'\s*+(?:(?:"([^"\\]*+)"|([^"\\<>,;:()@\[\]=]*+))\s*+<([^\s<>,;:()"@\\]++@[^\s<>,;:()"@\\]++)>'
    r'|([^\s<>,;:()"@\\=]++@[^\s<>,;:()"@\\]++))\s*+(?:[,;]|\Z)'
)
# Blanks, a quoted string, a domain literal, an encoded-word (which may hold any special), a special, or an atom.
_TOKEN = re.compile(
    r'\s++|"(?:[^"\\]++|\\.?)*+"?+|\[[^\]\s<>@,;]*+\]?+|=\?[^?\s]{1,80}\?[bBqQ]\?[^?]*\?='
    r'|[<>,;:()@]|[^\s"<>,;:()@\[]++',
    re.DOTALL,
)
_COMMENT = re.compile(r"[()]|\\.?|[^()\\]++", re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_PLAUSIBLE = re.compile(r"[^@\s<>]++@[^@\s<>]++|\"[^\s]++\"@[^@\s<>]++")


def parse_addresses(text: str, header: HeaderText, limit: int) -> tuple[Address, ...]:
    """
    Return the addresses of a field in their order, groups flattened; linear in its length, never raises.

    An encoded-word never turns into an address: only what stands unencoded in `<>` or bare is one, whatever a name
    pretends to be.
    """
    if not text:
        return ()
    match = _NAMED.fullmatch(text)
    if match is not None:
        name = match[1] if match[1] is not None else match[2]
        return (Address(header.decode(name.strip()), match[3]),)
    if _BARE.fullmatch(text):
        return (Address("", text),)
    found = _Scanner(header, limit).scan(text)
    if any(not _PLAUSIBLE.fullmatch(address.address) for address in found):
        header.defects.add("address_invalid")
    return tuple(found)


class _Scanner:
    """Collects the pieces of one mailbox until a separator ends it."""

    def __init__(self, header: HeaderText, limit: int) -> None:
        self._header = header
        self._limit = limit
        self._found: list[Address] = []
        self._clear()

    def _clear(self) -> None:
        self._phrase: list[str] = []
        self._comment: list[str] = []
        self._angle: list[str] | None = None
        self._in_angle = False

    def scan(self, text: str) -> list[Address]:
        position, end = 0, len(text)
        while position < end and len(self._found) < self._limit:
            if not self._phrase and self._angle is None and (listed := _LISTED.match(text, position)) is not None:
                position = listed.end()
                self._take(listed)
                continue
            match = _TOKEN.match(text, position)
            piece = match[0] if match is not None else text[position]
            position += len(piece)
            if piece == "(":
                position = self._read_comment(text, position)
            elif self._in_angle:
                self._within_angle(piece)
            else:
                self._outside_angle(piece)
        self._finish()
        if position < end:
            self._header.defects.add("address_limit")
        return self._found

    def _take(self, listed: re.Match[str]) -> None:
        name = (listed[1] if listed[1] is not None else listed[2] or "").strip()
        # A comment may have come before.
        self._found.append(Address(self._header.decode(name) or self._comments(), listed[3] or listed[4]))
        self._clear()

    def _outside_angle(self, piece: str) -> None:
        if piece in ",;":
            self._finish()
        elif piece == "<":
            if self._angle is not None:
                self._finish()  # no comma between two mailboxes
            self._angle, self._in_angle = [], True
        elif piece == ":":
            self._clear()  # a group's name
        elif piece not in ")>":
            if self._angle is not None and not piece.isspace():
                self._finish()  # words after `<...>` begin another mailbox whose comma is missing
            self._phrase.append(piece)

    def _within_angle(self, piece: str) -> None:
        angle = self._angle if self._angle is not None else []
        if piece == ">":
            self._in_angle = False
        elif piece == ":":
            angle.clear()  # a source route (RFC 5322, 4.4) precedes the address
        elif piece == "<":
            angle.clear()
        elif not piece.isspace():
            angle.append(piece)

    def _read_comment(self, text: str, position: int) -> int:
        """Take a comment whose `(` was read, nested ones included, and return where it ends."""
        depth = 1
        pieces: list[str] = []
        while position < len(text):
            match = _COMMENT.match(text, position)
            piece = match[0] if match is not None else text[position]
            position += len(piece)
            depth += (piece == "(") - (piece == ")")
            if depth == 0:
                break
            pieces.append(piece.removeprefix("\\"))
        self._comment.append("".join(pieces).strip())
        return position

    def _finish(self) -> None:
        phrase = self._phrase
        if not phrase and self._angle is None and not self._comment:
            return
        if self._angle is not None:
            address = "".join(self._angle)
            name = self._words(phrase) or self._comments()
        elif "@" in phrase:
            address, name = self._bare(phrase), self._comments()
        else:
            words = "".join(phrase).split()
            if len(words) == 1 and not words[0].startswith(('"', "=?")):
                address, name = words[0], self._comments()
            else:
                address, name = "", self._words(phrase) or self._comments()
        if address or name:
            self._found.append(Address(name, address.strip()))
        self._clear()

    def _bare(self, phrase: list[str]) -> str:
        """Return the address that stands without `<>`; words before it are left out unless they touch it."""
        text = "".join(phrase).strip()
        if not any(piece.isspace() for piece in text):
            return text
        at = text.find("@")
        before, after = text[:at].rstrip(), text[at + 1 :].lstrip()
        local = before if before.endswith('"') else before.split()[-1] if before.split() else ""
        domain = "".join(after.split()) if after.startswith("[") else after.split()[0] if after.split() else ""
        return f"{local}@{domain}"

    def _words(self, phrase: list[str]) -> str:
        pieces = [
            _QUOTED_PAIR.sub(r"\1", piece[1:-1] if len(piece) > 1 and piece.endswith('"') else piece[1:])
            if piece.startswith('"')
            else piece
            for piece in phrase
        ]
        return " ".join(self._header.decode("".join(pieces).strip()).split())

    def _comments(self) -> str:
        return self._header.decode(" ".join(filter(None, self._comment)))
