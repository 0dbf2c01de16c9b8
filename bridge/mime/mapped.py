"""The bytes of a mail that lies in a file, of which little is in memory at a time."""

from __future__ import annotations

import mmap
import re
from typing import TYPE_CHECKING, Final, SupportsIndex, overload

if TYPE_CHECKING:
    from typing import Self

_WINDOW_BYTES: Final = 4 << 20
_MOST_BYTES: Final = 8 << 20
"""What was looked at beyond this is let go: the file has it, and it is read again where it is asked for again."""
_AROUND_BYTES: Final = 1 << 16
"""The system brings as much into memory with the first byte that is looked at."""


class MappedMail(mmap.mmap):
    """
    Reads as `bytes` do, as far as reading a mail needs it: `find`, slices, single bytes, and regular expressions.

    Whatever is searched for, time grows with the size alone, which `mmap.find` does not promise.
    """

    _looked_at: int

    def __new__(cls, descriptor: int, size: int) -> Self:
        """
        Map the first `size` bytes of a file, of which there must be some; it may be closed then.

        Raises:
            ValueError: It is shorter than that, or nothing is to be mapped.
        """
        if not size:
            raise ValueError("nothing to map")
        made = super().__new__(cls, descriptor, size, access=mmap.ACCESS_READ)
        made._looked_at = 0
        return made

    def find(self, sub: bytes, start: int = 0, end: int | None = None) -> int:  # type: ignore[override]  # no more is used
        """Return where `sub` first lies within `start` and `end`, -1 where it does not."""
        stop = len(self) if end is None else min(end, len(self))
        pattern = re.compile(re.escape(sub))
        while start + len(sub) <= stop:
            upto = min(stop, start + _WINDOW_BYTES + len(sub) - 1)
            found = pattern.search(self, start, upto)
            at = found.start() if found is not None else -1
            self._note((at if at >= 0 else upto) - start)
            if at >= 0:
                return at
            start = upto - len(sub) + 1
        return -1

    @overload
    def __getitem__(self, index: SupportsIndex) -> int: ...

    @overload
    def __getitem__(self, index: slice) -> bytes: ...

    def __getitem__(self, index: SupportsIndex | slice) -> int | bytes:
        """Return one byte, or a copy of a stretch."""
        got = super().__getitem__(index)
        if isinstance(got, bytes):
            self._note(len(got))
        return got

    def _note(self, size: int) -> None:
        """Count what was looked at, and let go of it when it is much."""
        self._looked_at += size + _AROUND_BYTES
        if self._looked_at >= _MOST_BYTES:
            self._looked_at = 0
            self.madvise(mmap.MADV_DONTNEED)


RawMail = bytes | MappedMail
"""What a mail is read from."""
