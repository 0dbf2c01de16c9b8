"""A confirm that was none is noticed, also where the mail came by another publish."""

from __future__ import annotations

import pytest

from tests.chaos.confirmed import missing
from tests.chaos.repeats import Arrival, Publish

_TWICE = [Publish("ingest-0", 100.0, 100.1), Publish("ingest-1", 110.0, 110.2)]


@pytest.mark.parametrize("copies", [0, 1])
def test_a_confirmed_publish_that_is_not_in_the_queue_is_told_with_who_told_of_it(copies: int) -> None:
    arrivals = [Arrival("m-1", 99.0)] * copies + [Arrival("m-2", 99.0)] * 2

    [problem] = missing(arrivals, {"m-1": _TWICE, "m-2": _TWICE})

    assert problem == (
        f"m-1: confirmed 2 times and in the queue {copies} times (told by ingest-0 at 100.10, ingest-1 at 110.20)"
    )


def test_copies_of_which_no_worker_lived_to_tell_are_no_problem() -> None:
    assert missing([Arrival("m-1", 99.0)] * 3 + [Arrival("m-2", 99.0)], {"m-1": _TWICE}) == []
