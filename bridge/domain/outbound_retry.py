"""How long a request waits in the broker before its next attempt."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_URGENT_IMPATIENCE = 3
"""On each step an urgent request gets so many times as many attempts."""


def choose_step(
    steps: Sequence[int],
    *,
    attempt: int,
    urgent: bool,
    asked_seconds: float | None = None,
    expires_in_seconds: float | None = None,
) -> int:
    """
    Return the index of the step, among `steps` in seconds, shortest first.

    The waits grow with the attempts, counted from 1, for urgent requests more slowly. Of a wait that was asked for the
    request spends as much in the broker as one step takes, and no more unless it is the shortest: the rest is the
    worker's to keep, to the second. No wait goes beyond the time at which the request expires, except the shortest:
    its end is to be told then, not later.
    """
    grown = (attempt - 1) // _URGENT_IMPATIENCE if urgent else attempt - 1
    index = min(max(grown, 0), len(steps) - (2 if urgent and len(steps) > 1 else 1))
    if asked_seconds is not None:
        index = max(index, sum(1 for seconds in steps[1:] if seconds <= asked_seconds))
    if expires_in_seconds is not None:
        while index > 0 and steps[index] > expires_in_seconds:
            index -= 1
    return index
