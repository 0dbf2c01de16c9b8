"""
Header fields as RFC 5322, 2047 and 2231 want them, folded, each line of at most 998 bytes.

Written here and not by the standard library's generator: its folding of encoded words and long parameters differs
between Python releases, and a mail made twice must be the same mail.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from bridge.domain.outbound import Mailbox

_LINE = 76
_LONGEST_WORD = 200
_ENCODED_WORD = "=?utf-8?b?{}?="
_ENCODED_BYTES = 45  # 60 characters in base64, 72 with the frame: RFC 2047 allows 75
_PARAMETER_CHARACTERS = 50
_PLAIN_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?: [A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")
_PLAIN_FILENAME = re.compile(r"[A-Za-z0-9 !#$&+,.;=@^_`{}~()\[\]-]{1,60}")


def unstructured(name: str, value: str) -> str:
    """Return a field of free text, such as Subject."""
    if _is_plain(value):
        return f"{name}: {_fold(value, len(name) + 2)}"
    return _encoded_field(name, value)


def addresses(name: str, mailboxes: Sequence[Mailbox]) -> str:
    """Return a field of addresses, one on each line."""
    return f"{name}: " + ",\r\n ".join(_mailbox(one) for one in mailboxes)


def message_ids(name: str, ids: Iterable[str]) -> str:
    """Return a field of message ids, one on each line."""
    return f"{name}: " + "\r\n ".join(ids)


def parameter(name: str, value: str) -> str:
    """Return a parameter of Content-Disposition with its semicolon, in RFC 2231's form where need be."""
    if _PLAIN_FILENAME.fullmatch(value) and value.strip() == value:
        return f';\r\n {name}="{value}"'
    encoded = "utf-8''" + quote(value, safe="")
    if len(encoded) <= _PARAMETER_CHARACTERS:
        return f";\r\n {name}*={encoded}"
    pieces = _percent_pieces(encoded)
    return "".join(f";\r\n {name}*{number}*={piece}" for number, piece in enumerate(pieces))


def _is_plain(value: str) -> bool:
    return (
        value.isascii()
        and "=?" not in value  # would be read as an encoded word
        and value.strip() == value
        and all(len(word) <= _LONGEST_WORD for word in value.split(" "))
    )


def _fold(value: str, used: int) -> str:
    """Break before single spaces, so that unfolding gives the value back."""
    lines = [""]
    for number, word in enumerate(value.split(" ")):
        piece = word if number == 0 else " " + word
        # A line of nothing but spaces would end up at the mercy of whoever unfolds it.
        if word and lines[-1].strip() and used + len(lines[-1]) + len(piece) > _LINE:
            lines.append(piece)
            used = 0
        else:
            lines[-1] += piece
    return "\r\n".join(lines)


def _encoded_field(name: str, value: str) -> str:
    # A long name leaves little room on its line; breaking before the first word would add a space for some readers.
    room = max((_LINE - len(name) - 2 - len(_ENCODED_WORD)) // 4 * 3, 12)
    return f"{name}: " + "\r\n ".join(_encoded_words(value, first_bytes=room))


def _encoded_words(value: str, first_bytes: int = _ENCODED_BYTES) -> list[str]:
    """Return encoded words, none of which ends within a character."""
    words, chunk, limit = [], b"", min(first_bytes, _ENCODED_BYTES)
    for character in value:
        more = character.encode()
        if len(chunk) + len(more) > limit:
            words.append(chunk)
            chunk, limit = b"", _ENCODED_BYTES
        chunk += more
    words.append(chunk)
    return [_ENCODED_WORD.format(base64.b64encode(word).decode("ascii")) for word in words]


def _mailbox(mailbox: Mailbox) -> str:
    if not mailbox.name.strip():
        return mailbox.address
    if not mailbox.name.isascii() or "=?" in mailbox.name:
        phrase = "\r\n ".join(_encoded_words(mailbox.name, first_bytes=36))
        return f"{phrase}\r\n <{mailbox.address}>"
    if _PLAIN_PHRASE.fullmatch(mailbox.name):
        phrase = mailbox.name
    else:
        phrase = '"' + re.sub(r'(["\\])', r"\\\1", mailbox.name) + '"'
    return f"{phrase} <{mailbox.address}>"


def _percent_pieces(encoded: str) -> list[str]:
    """Split without tearing an escape apart."""
    pieces, start = [], 0
    while start < len(encoded):
        end = min(start + _PARAMETER_CHARACTERS, len(encoded))
        cut = encoded.rfind("%", max(start, end - 2), end)
        if cut > start and end < len(encoded):
            end = cut
        pieces.append(encoded[start:end])
        start = end
    return pieces
