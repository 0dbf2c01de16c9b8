"""
What the C library keeps of memory that a worker's threads have given back.

glibc gives each thread a heap of its own, up to eight for each processor, and each keeps the room that its largest
answers took, of no use to the others. It also learns from each large block that is given back to take the next one
from a heap, where it stays. So a worker would grow with every thread that meets large mail for the first time: no leak,
and more than all that it needs. Other C libraries know neither setting, nor the trouble.
"""

from __future__ import annotations

import ctypes
from contextlib import suppress
from typing import Final

_M_MMAP_THRESHOLD: Final = -3
_M_ARENA_MAX: Final = -8
"""The numbers of the settings in glibc's malloc.h."""
_HEAPS: Final = 2
_APART_FROM_BYTES: Final = 256 * 1024


def share_heaps() -> None:
    """Have all threads that begin from now on share two heaps, and large blocks go back to the system at once."""
    with suppress(AttributeError, OSError):
        c_library = ctypes.CDLL(None)
        c_library.mallopt(_M_ARENA_MAX, _HEAPS)
        c_library.mallopt(_M_MMAP_THRESHOLD, _APART_FROM_BYTES)
