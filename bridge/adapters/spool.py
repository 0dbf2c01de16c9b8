"""Files without a name: large mails on their way, gone with whoever holds them, whatever becomes of the process."""

from __future__ import annotations

import errno
import os
import tempfile
import weakref
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable, BridgeError
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.domain.mail import MimeFile

_PIECE_BYTES: Final = 1 << 20


class Spool:
    """
    One such file, in the directory for temporary files (`TMPDIR`).

    Its space is given back when it is closed, collected, or the process ends: nothing is left to sweep.
    """

    def __init__(self) -> None:
        try:
            descriptor, path = tempfile.mkstemp(prefix="bridge-")
            Path(path).unlink()
        except OSError as error:
            raise no_room(error) from error
        self._descriptor = descriptor
        self._closing = weakref.finalize(self, os.close, descriptor)

    @property
    def descriptor(self) -> int:
        """What the system calls it; a process that inherits it has its own position in none but this file."""
        return self._descriptor

    def append(self, piece: bytes) -> None:
        """
        Write behind what is there.

        Raises:
            BlobStoreUnusable: There is no room.
        """
        left = memoryview(piece)
        try:
            while left:
                left = left[os.write(self._descriptor, left) :]
        except OSError as error:
            raise no_room(error) from error

    def read(self) -> bytes:
        """Return all of it."""
        return os.pread(self._descriptor, os.fstat(self._descriptor).st_size, 0)

    def close(self) -> None:
        """Give its space back."""
        self._closing()


class FileExtent:
    """Content that lies in a spool; keeps the promise of `ports.blobs.Content`."""

    def __init__(self, spool: MimeFile, start: int, size: int) -> None:
        self._spool = spool
        self._start = start
        self._size = size

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""
        position, end = self._start, self._start + self._size
        while position < end:
            piece = os.pread(self._spool.descriptor, min(_PIECE_BYTES, end - position), position)
            if not piece:
                raise ValueError("the file is shorter than it was")
            position += len(piece)
            yield piece

    def close(self) -> None:
        """Give the whole file's space back: nothing of it is needed any more."""
        self._spool.close()


def no_room(error: OSError) -> BridgeError:
    """Return the error of a directory for temporary files that takes nothing."""
    if says_none_left(error):
        return BlobStoreUnavailable(code=descriptors.CODE)
    return BlobStoreUnusable(errno.errorcode.get(error.errno or 0, type(error).__name__), code="spool_unusable")
