"""The header block: bytes to an ordered list of fields, and where the body begins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.mime.defects import Defects
    from bridge.mime.mapped import RawMail

# Possessive, so that one attempt costs one pass. A field name that begins with `--` is a boundary line.
_FIELD = re.compile(rb"(?!--)([!-9;-~]++)[ \t]*+:([^\n]*+(?:\n[ \t][^\n]*+)*+)(?:\n|\Z)")
_BLANK = re.compile(rb"\r*+\n")
_SEPARATOR = re.compile(rb"\n\r?\n")
_MBOX = re.compile(rb">?From [^\n]*+(?:\n|\Z)")
_LINE = re.compile(rb"[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_INDENTED_FIELD = re.compile(rb"[ \t]++([!-9;-~]++)[ \t]*+:[^\n]*+(?:\n|\Z)")
_NAME = re.compile(rb"([!-9;-~]++)[ \t]*+:")
# A field by its look, whose name has bytes that no name may have.
_ODD_FIELD = re.compile(rb"[!-9;-~]{0,76}+[\x80-\xff][^\s:]{0,76}+:[ \t]")
_PARAMETER = re.compile(rb"[A-Za-z][A-Za-z0-9*-]{0,40}+=[^\n]*+(?:\n[ \t][^\n]*+)*+(?:\n|\Z)")
_LONGEST_JOINED = 4_096
_BLANK_FOLD = re.compile(rb"\n[ \t]++\r?\Z")
_BOM = b"\xef\xbb\xbf"

# What tells a broken header from a body that no empty line precedes: the next line is one of these.
_KNOWN = frozenset(
    b"bcc cc comments date delivered-to dkim-signature errors-to from importance in-reply-to keywords list-id "
    b"list-post list-help list-unsubscribe list-subscribe list-archive mailing-list message-id mime-version "
    b"organization precedence priority received references reply-to return-path return-receipt-to sender sensitivity "
    b"status subject thread-index thread-topic to user-agent accept-language authentication-results auto-submitted "
    b"content-type content-transfer-encoding content-disposition content-id content-description content-language "
    b"disposition-notification-to resent-from resent-to resent-date resent-message-id arc-seal "
    b"arc-message-signature arc-authentication-results received-spf msip_labels".split()
)


@dataclass(slots=True)
class Field:
    """One field as it stands in the mail; `value` still folded and encoded."""

    name: str
    key: str
    """The name in lower case."""
    value: bytes


@dataclass(frozen=True, slots=True)
class HeaderBlock:
    """The fields of a mail or part, and the offset at which its body begins."""

    fields: list[Field]
    body: int


def read_block(raw: RawMail, start: int, *, limit: int, defects: Defects, root: bool = False) -> HeaderBlock:
    """
    Return the header block that begins at `start`; linear in its length, never raises.

    A line that is no field is passed over when a known field follows it, and otherwise taken as the first line of the
    body: text that lost its empty line is worth more than one broken field.
    """
    fields: list[Field] = []
    end = len(raw)
    position = _skip_leading(raw, start, defects) if root else start
    match_field = _FIELD.match
    while position < end:
        match = match_field(raw, position)
        if match is not None:
            if len(fields) >= limit:
                return HeaderBlock(fields, _after_limit(raw, position, defects))
            name = match[1].decode("ascii")
            fields.append(Field(name, name.lower(), match[2]))
            position = match.end()
            continue
        blank = _BLANK.match(raw, position)
        if blank is not None:
            return HeaderBlock(fields, blank.end())
        following = _pass_over(raw, position, fields, defects)
        if following is None:
            defects.add("header_body_separator_missing")
            return HeaderBlock(fields, position)
        position = following
    if root and end:
        defects.add("header_without_end")
    return HeaderBlock(fields, end)


def _skip_leading(raw: RawMail, start: int, defects: Defects) -> int:
    if raw[start : start + len(_BOM)] == _BOM:
        defects.add("byte_order_mark")
        start += len(_BOM)
    return start


def _ends_open(value: bytes) -> bool:
    return value[-100:].rstrip().endswith(b";")


def _after_limit(raw: RawMail, position: int, defects: Defects) -> int:
    """Return where the body begins when the fields left are not read one by one."""
    defects.add("header_limit")
    separator = _SEPARATOR.search(raw, max(position - 1, 0))
    return separator.end() if separator is not None else len(raw)


def _pass_over(raw: RawMail, position: int, fields: list[Field], defects: Defects) -> int | None:
    """Return where reading goes on after a line that is no field, or None where the body begins with it."""
    mbox = _MBOX.match(raw, position)
    if mbox is not None:
        defects.add("mbox_line")
        return mbox.end()
    if raw[position : position + 2] == b"--":
        return None
    parameter = _PARAMETER.match(raw, position)
    if parameter is not None and fields and len(fields[-1].value) < _LONGEST_JOINED and _ends_open(fields[-1].value):
        # A folded parameter that lost its indentation on the way.
        defects.add("header_malformed")
        fields[-1].value += b" " + parameter[0]
        return parameter.end()
    if fields and _BLANK_FOLD.search(fields[-1].value[-1000:]):
        # The line before holds nothing but blanks: it was meant as the empty line.
        return None
    indented = _INDENTED_FIELD.match(raw, position)
    if indented is not None and not fields:
        defects.add("header_malformed")
        return indented.start(1)
    line = _LINE.match(raw, position)
    following = line.end() if line is not None else len(raw)
    name = _NAME.match(raw, following)
    if name is None:
        return None
    key = name[1].lower()
    if key in _KNOWN or key.startswith(b"x-") or _ODD_FIELD.match(raw, position):
        defects.add("header_malformed")
        return following
    return None
