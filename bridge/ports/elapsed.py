"""The clock by which lifetimes are measured."""

from __future__ import annotations

import time
from typing import Final

# Linux's CLOCK_MONOTONIC stands still while a machine is suspended, and a token ages all the same; this one goes on.
_BOOT_CLOCK: Final[int | None] = getattr(time, "CLOCK_BOOTTIME", None)


def elapsed_seconds() -> float:
    """
    Return seconds that only ever grow, also while the machine sleeps, and that nobody can set.

    The wall clock is no measure of a lifetime: it is set, by hours at times, and a token that lives would be thrown
    away, or one that has ended kept. Where the system has no such clock, a sleep is not counted: what ended meanwhile
    is refused by the other side, and replaced.
    """
    return time.monotonic() if _BOOT_CLOCK is None else time.clock_gettime(_BOOT_CLOCK)
