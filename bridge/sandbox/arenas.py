"""
How many heaps the C library keeps for the sandbox's threads.

glibc gives each thread a heap of its own, up to eight for each processor, and what large mails and answers leave free
there is of no use to the others: with fifty clients that was 145 of 250 MB. It also learns from each large block that
is given back to take the next one from a heap, where the room of a large mail then stays. Other C libraries do neither.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""The numbers of the settings in glibc's malloc.h."""
_HEAPS: Final = 2
_APART_FROM_BYTES: Final = 256 * 1024
_threads = count(1)


def thread_begins() -> None:
    """
    Count a worker thread; from the second one on they share the heaps, and large blocks go back to the system at once.

    The one that a sandbox at rest has needs nothing of the sort, and so a sandbox at rest does not load what it takes.
    """
    if next(_threads) == _HEAPS:
        import ctypes  # noqa: PLC0415 - see above

        with suppress(AttributeError, OSError):
            c_library = ctypes.CDLL(None)
            c_library.mallopt(_M_ARENA_MAX, _HEAPS)
            c_library.mallopt(_M_MMAP_THRESHOLD, _APART_FROM_BYTES)
