"""
How many heaps the C library keeps for the sandbox's threads.

glibc gives each thread a heap of its own, up to eight for each processor, and what large mails and answers leave free
there is of no use to the others: with fifty clients that was 145 of 250 MB. Other C libraries keep one heap anyway.
"""

from __future__ import annotations

from contextlib import suppress
from itertools import count
from typing import Final

_M_ARENA_MAX: Final = -8
"""The number of the setting in glibc's malloc.h."""
_HEAPS: Final = 2
_threads = count(1)


def thread_begins() -> None:
    """
    Count a worker thread; from the second one on they share the heaps that there are.

    The one that a sandbox at rest has needs nothing of the sort, and so a sandbox at rest does not load what it takes.
    """
    if next(_threads) == _HEAPS:
        import ctypes  # noqa: PLC0415 - see above

        with suppress(AttributeError, OSError):
            ctypes.CDLL(None).mallopt(_M_ARENA_MAX, _HEAPS)
