"""Where large attachments go as they are decoded, so that none is ever held as a whole."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from bridge.mime.parsed import Extent
from bridge.mime.pieces import NotCleanError

if TYPE_CHECKING:
    from collections.abc import Iterator


class Taken(NamedTuple):
    """Where a content lies now."""

    extent: Extent
    sha256: str


class Sink:
    """Writes attachments one behind the other into a file."""

    def __init__(self, file: BinaryIO, *, from_bytes: int) -> None:
        self._file = file
        self._from_bytes = from_bytes
        self._end = 0

    def wants(self, encoded_bytes: int) -> bool:
        """Return whether a part of that size goes here."""
        return encoded_bytes > self._from_bytes

    def take(self, pieces: Iterator[bytes]) -> Taken | None:
        """Write a content and return where it lies, with its SHA-256; None where it turned out to be broken."""
        digest, start, size = hashlib.sha256(), self._end, 0
        self._file.seek(start)
        try:
            for piece in pieces:
                digest.update(piece)
                self._file.write(piece)
                size += len(piece)
        except NotCleanError:
            return None
        self._end = start + size
        return Taken(Extent(start, size), digest.hexdigest())
