"""
The transfer encodings of large attachments, undone piece by piece.

Only what is encoded as it should be: the first sign of anything else raises, and `transfer.py`, which holds the whole
part and knows what to make of it, does it instead. Both give the same bytes for what is clean.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Final

from bridge.mime.transfer import IDENTITY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.mime.mapped import RawMail

_PIECE_BYTES: Final = 1 << 20
_BLANKS: Final = b" \t\r\n"
_BASE64: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


class NotCleanError(Exception):
    """The part is not encoded as it should be."""


def decoded_pieces(raw: RawMail, start: int, end: int, encoding: str) -> Iterator[bytes] | None:
    """Return the content of a part in pieces, which may raise `NotCleanError`; None for what is not done in pieces."""
    if encoding in IDENTITY:
        return (raw[at : min(at + _PIECE_BYTES, end)] for at in range(start, end, _PIECE_BYTES))
    if encoding == "base64":
        return _base64(raw, start, end)
    return None


def _base64(raw: RawMail, start: int, end: int) -> Iterator[bytes]:
    left, padding = b"", 0
    for at in range(start, end, _PIECE_BYTES):
        symbols = left + raw[at : min(at + _PIECE_BYTES, end)].translate(None, _BLANKS)
        bare = symbols.rstrip(b"=")
        if (padding and bare) or bare.translate(None, _BASE64):
            raise NotCleanError
        padding += len(symbols) - len(bare)
        whole = len(bare) // 4 * 4
        yield binascii.a2b_base64(bare[:whole])
        left = bare[whole:]
    if len(left) == 1:
        raise NotCleanError
    if left:
        yield binascii.a2b_base64(left + b"=" * (-len(left) % 4))
