"""
The parts of a mail, found in one pass over its bytes.

Lines that begin with `--` are compared with the boundaries of all multiparts that are open at that point, so that the
cost does not grow with the nesting, and the boundary of an outer multipart ends inner ones that were never closed
(RFC 2046, 5.1.2). Parts are offsets; nothing is copied. message/rfc822 is not entered: it is carried as an attachment.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.mime.headers import HeaderBlock, read_block
from bridge.mime.parameters import MediaValue, parse_disposition, parse_media_type

if TYPE_CHECKING:
    from bridge.mime.defects import Defects
    from bridge.mime.limits import Limits
    from bridge.mime.mapped import RawMail
    from bridge.mime.words import HeaderText

_LINE = re.compile(rb"[^\r\n]*+")
_GUESS = re.compile(rb"(?:\A|\n)--([^\r\n]{1,200}+)\r?\n[Cc][Oo][Nn][Tt][Ee][Nn][Tt]-[A-Za-z-]{1,40}+:")
_SHORT_TYPES = {"text": "text/plain", "plain": "text/plain", "html": "text/html", "text/": "text/plain"}


@dataclass(slots=True)
class Part:
    """One part: a multipart with children, or a leaf whose body is `raw[body:end]`."""

    content_type: str
    parameters: dict[str, str]
    disposition: MediaValue
    transfer_encoding: str
    content_id: str
    body: int
    end: int
    children: list[Part] | None = None
    """None for a leaf."""
    content_class: str = ""
    missing_type: bool = False
    """No Content-Type of its own."""

    @property
    def name(self) -> str | None:
        """The file name, from Content-Disposition or Content-Type; None where there is none."""
        named = self.disposition.parameters.get("filename", "").strip() or self.parameters.get("name", "").strip()
        return named or None


@dataclass(slots=True)
class _Open:
    """A multipart whose closing boundary has not come yet."""

    part: Part
    boundary: bytes
    children: list[Part] = field(default_factory=list)


def part_of(block: HeaderBlock, end: int, header: HeaderText, limits: Limits, default: str = "text/plain") -> Part:
    """Return a leaf described by the Content fields of a header block; the first of each counts."""
    wanted: dict[str, str] = {}
    for item in block.fields:
        if item.key.startswith("content-") and item.key not in wanted and len(item.value) <= limits.header_bytes:
            wanted[item.key] = header.unfold(item.value)
    text = wanted.get("content-type", "")
    media = parse_media_type(text, header, limits.parameters) if text else None
    if media is None:
        if text:
            header.defects.add("content_type_invalid")
            media = MediaValue(_SHORT_TYPES.get(text.partition(";")[0].strip().lower(), "text/plain"))
        else:
            media = MediaValue(default)
    disposition = wanted.get("content-disposition", "")
    encoding = wanted.get("content-transfer-encoding", "").lower()
    return Part(
        content_type=media.value,
        parameters=media.parameters,
        disposition=parse_disposition(disposition, header, limits.parameters) if disposition else MediaValue(""),
        transfer_encoding=encoding.split(";", 1)[0].split("(", 1)[0].strip().strip('"'),
        content_id=wanted.get("content-id", "").strip().strip("<>").strip(),
        body=block.body,
        end=end,
        content_class=wanted.get("content-class", "").lower(),
        missing_type=not text,
    )


def read_structure(raw: RawMail, block: HeaderBlock, header: HeaderText, limits: Limits) -> Part:
    """Return the part tree of the mail whose own header block was read."""
    root = part_of(block, len(raw), header, limits)
    if not root.content_type.startswith("multipart/"):
        return root
    boundary = root.parameters.get("boundary", "")
    if not boundary or raw.find(b"--" + _boundary_bytes(boundary), max(block.body - 1, 0)) < 0:
        # Only looked for where nothing else can be made of the mail.
        guess = _GUESS.search(raw, max(block.body - 1, 0))
        if guess is not None:
            header.defects.add("multipart_boundary_guessed")
            root.parameters["boundary"] = guess[1].rstrip().decode("latin-1")
    _Reader(raw, header, limits).read(root)
    return root


def _boundary_bytes(text: str) -> bytes:
    # Headers were decoded as UTF-8 where they could be, windows-1252 otherwise; both are rare in boundaries.
    try:
        return text.rstrip().encode("latin-1")
    except UnicodeEncodeError:
        return text.rstrip().encode("utf-8")


class _Reader:
    def __init__(self, raw: RawMail, header: HeaderText, limits: Limits) -> None:
        self._raw = raw
        self._header = header
        self._defects: Defects = header.defects
        self._limits = limits
        self._stack: list[_Open] = []
        self._depths: dict[bytes, list[int]] = {}
        self._leaf: Part | None = None
        self._count = 1

    def read(self, root: Part) -> None:
        raw, find = self._raw, self._raw.find
        self._open(root)
        position = max(root.body - 1, 0)
        if raw[position : position + 2] == b"--":  # a header without fields: the first line may be a boundary
            position = self._delimiter(position - 1, position)
        looked_at = 0
        while self._stack and (newline := find(b"\n--", position)) >= 0:
            looked_at += 1
            if looked_at > self._limits.delimiter_lines:
                self._defects.add("delimiter_limit")
                break
            position = self._delimiter(newline, newline + 1)
        if self._stack:
            self._defects.add("multipart_unclosed")
            self._close(len(raw), 0)

    def _delimiter(self, newline: int, start: int) -> int:
        """Look at one line that begins with `--` and return where to look for the next."""
        match = _LINE.match(self._raw, start + 2)
        line_end = match.end() if match is not None else len(self._raw)
        line = self._raw[start + 2 : line_end].rstrip()
        depth, closing = self._depth(line), False
        if depth is None and line.endswith(b"--"):
            depth, closing = self._depth(line[:-2].rstrip()), True
        if depth is None:
            return line_end
        end = newline
        if end > 0 and self._raw[end - 1] == 0x0D:
            end -= 1
        if closing:
            self._close(end, depth)
            return line_end
        if depth + 1 < len(self._stack):
            self._defects.add("multipart_unclosed")
            self._close(end, depth + 1)
        self._end_leaf(end)
        if self._count >= self._limits.parts:
            return self._rest(start, depth)
        following = self._raw.find(b"\n", line_end)
        return self._entity(len(self._raw) if following < 0 else following + 1)

    def _depth(self, line: bytes) -> int | None:
        depths = self._depths.get(line)
        return depths[-1] if depths else None

    def _rest(self, start: int, depth: int) -> int:
        """Carry everything from here on as one attachment."""
        self._defects.add("part_limit")
        rest = Part("application/octet-stream", {}, MediaValue("attachment"), "", "", start, len(self._raw))
        self._stack[depth].children.append(rest)
        self._close(len(self._raw), 0)
        return len(self._raw)

    def _entity(self, start: int) -> int:
        """Read the header of the part that begins at `start`, open it, and return where to look for boundaries."""
        parent = self._stack[-1]
        default = "message/rfc822" if parent.part.content_type == "multipart/digest" else "text/plain"
        block = read_block(self._raw, start, limit=self._limits.headers, defects=self._defects)
        part = part_of(block, len(self._raw), self._header, self._limits, default)
        self._count += 1
        parent.children.append(part)
        if part.content_type.startswith("multipart/"):
            if len(self._stack) < self._limits.nesting:
                self._open(part)
                return max(block.body - 1, 0)
            self._defects.add("nesting_limit")
        self._leaf = part
        return max(block.body - 1, 0)

    def _open(self, part: Part) -> None:
        boundary = _boundary_bytes(part.parameters.get("boundary", ""))
        if not boundary:
            self._defects.add("multipart_without_boundary")
            part.children = None
            part.content_type = "text/plain"
            self._leaf = part
            return
        self._leaf = None
        self._depths.setdefault(boundary, []).append(len(self._stack))
        self._stack.append(_Open(part, boundary))

    def _end_leaf(self, end: int) -> None:
        if self._leaf is not None:
            self._leaf.end = max(end, self._leaf.body)
            self._leaf = None

    def _close(self, end: int, depth: int) -> None:
        """Close the multiparts from the innermost down to `depth`."""
        self._end_leaf(end)
        while len(self._stack) > depth:
            closed = self._stack.pop()
            self._depths[closed.boundary].pop()
            part = closed.part
            part.end = max(end, part.body)
            if closed.children:
                part.children = closed.children
            else:
                # Shown as text: the alternative would be to show nothing of it.
                self._defects.add("multipart_without_parts")
                part.content_type = "text/plain"
                part.disposition = MediaValue("")
