"""Every publish that a worker told as confirmed must be in the queue, each of them, though another copy is there."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tests.chaos.repeats import Arrival, Publish


def missing(arrivals: Iterable[Arrival], publishes: Mapping[str, Sequence[Publish]]) -> list[str]:
    """
    Return a line for each mail that is in the queue less often than its workers were told that it is.

    What a mail's loss would show is only that it is nowhere: a confirm that was none is hidden by a repeat. A worker
    that dies may not have told of its last confirm, so that more copies than were told are no sign of anything.
    """
    there = Counter(arrival.message_id for arrival in arrivals)
    problems = []
    for message_id, told in sorted(publishes.items()):
        if there[message_id] < len(told):
            by = ", ".join(f"{one.station} at {one.ended:.2f}" for one in told)
            problems.append(
                f"{message_id}: confirmed {len(told)} times and in the queue {there[message_id]} times (told by {by})"
            )
    return problems
