"""Waits that may end a little early end together, so that a process of many mailboxes wakes up seldom."""

from __future__ import annotations

from typing import Final

TICK_SECONDS: Final = 2.0


def until_tick(seconds: float, now: float) -> float:
    """
    Return a wait of at most `seconds` that ends on a tick, where other waits end, too; `now` is monotonic time.

    The first call after a pause costs about three times what one costs that follows another at once: meanwhile the
    processor's caches went to others. A wait shorter than two ticks stays as it is.
    """
    if seconds < 2 * TICK_SECONDS:
        return seconds
    return seconds - (now + seconds) % TICK_SECONDS
