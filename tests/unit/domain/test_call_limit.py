"""As many calls at a time as make the work faster."""

from __future__ import annotations

import heapq
import random

import pytest

from bridge.domain.call_limit import MOST_BY_EXCHANGE, CallLimit


def _served(limit: CallLimit, *, workers: int, work: float, way: float, calls: int, spread: float = 0.0) -> float:
    """Have a server that works on so many calls at a time answer them all; return how many seconds each took of it."""
    now, ended = 0.0, 0
    free = [0.0] * workers
    under_way: list[tuple[float, int, float, int]] = []
    draw = random.Random(1)
    while ended < calls:
        while len(under_way) < limit.allowed:
            done = max(now + way / 2, heapq.heappop(free)) + work * draw.uniform(1.0, 1.0 + spread)
            heapq.heappush(free, done)
            heapq.heappush(under_way, (done + way / 2, ended, now, len(under_way) + 1))
        now, _, began, in_progress = heapq.heappop(under_way)
        ended += 1
        limit.answered("GetItem", now - began, in_progress=in_progress)
    return now / calls


def test_a_limit_begins_with_all_that_exchange_takes_and_no_more() -> None:
    assert CallLimit(4).allowed == 4
    assert CallLimit(100).allowed == MOST_BY_EXCHANGE
    assert CallLimit(0).allowed == 1


@pytest.mark.parametrize("workers", [1, 2, 4, 8])
@pytest.mark.parametrize("spread", [0.0, 0.5])
@pytest.mark.parametrize("throttled", [False, True])
def test_calls_that_only_wait_are_not_made_and_the_work_is_done_as_fast(
    workers: int, spread: float, *, throttled: bool
) -> None:
    limit = CallLimit(27)
    for _ in range(4 if throttled else 0):
        limit.refused(limit.round)
    _served(limit, workers=workers, work=0.1, way=0.05, calls=3_000, spread=spread)
    learnt = limit._size

    seconds = _served(limit, workers=workers, work=0.1, way=0.05, calls=1_000, spread=spread)

    under_way_at_best = workers * (0.1 + 0.05) / 0.1
    assert learnt <= under_way_at_best + 4
    assert seconds < 1.2 * 0.1 * (1 + spread / 2) / workers


def test_where_the_way_is_long_more_are_under_way() -> None:
    near, far = CallLimit(27), CallLimit(27)
    for limit, way in ((near, 0.0), (far, 0.5)):
        _served(limit, workers=2, work=0.1, way=way, calls=3_000)

    assert near._size + 5 < far._size


def test_a_throttling_halves_the_limit_once_for_the_calls_that_were_under_way() -> None:
    limit = CallLimit(8)
    begun_in = limit.round

    for _ in range(5):
        limit.refused(begun_in)
    assert limit.allowed == 4

    for _ in range(5):
        limit.refused(limit.round)
    assert limit.allowed == 1


def test_a_limit_that_was_lowered_grows_again_with_calls_that_are_quick() -> None:
    limit = CallLimit(8)
    for _ in range(5):
        limit.refused(limit.round)

    for _ in range(60):
        limit.answered("GetItem", 0.1, in_progress=limit.allowed)

    assert limit.allowed == 8


def test_calls_that_leave_room_say_nothing_of_the_limit() -> None:
    limit = CallLimit(8)
    limit.refused(limit.round)
    limit.answered("GetItem", 0.1, in_progress=1)
    for _ in range(100):
        limit.answered("GetItem", 10.0, in_progress=3)

    assert limit.allowed == 4


def test_a_slow_kind_of_call_is_not_measured_by_a_quick_one() -> None:
    limit = CallLimit(8)
    for _ in range(90):
        limit.answered("FindItem", 0.05, in_progress=8)
        limit.answered("GetItem", 2.0, in_progress=8)

    assert limit.allowed == 8


def test_a_network_that_has_become_slower_for_good_is_no_queue_for_ever() -> None:
    limit = CallLimit(8)
    for _ in range(100):
        limit.answered("GetItem", 0.1, in_progress=8)
    for _ in range(100):
        limit.answered("GetItem", 0.4, in_progress=8)
    assert limit.allowed < 8

    for _ in range(500):
        limit.answered("GetItem", 0.4, in_progress=8)
    assert limit.allowed == 8


def test_another_bound_keeps_what_was_learnt() -> None:
    limit = CallLimit(8)
    limit.change(4)
    assert limit.allowed == 4
    limit.change(8)
    assert limit.allowed == 8

    limit.refused(limit.round)
    limit.change(6)
    assert limit.allowed == 4


def test_few_kinds_are_remembered() -> None:
    limit = CallLimit(8)
    for kind in range(1_000):
        limit.answered(kind, 0.1, in_progress=8)

    assert len(limit._quickest) == 64
