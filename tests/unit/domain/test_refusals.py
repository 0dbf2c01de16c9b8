"""A refused mail is tried again seldom, and others of its routing key follow one that passes."""

from __future__ import annotations

from itertools import pairwise

import pytest

from bridge.domain.refusals import COPIES_PER_HOUR, PROBE_SECONDS, RefusedKey, may_repeat


@pytest.mark.parametrize("is_open", [False, True])
@pytest.mark.parametrize("step", [0.05, 7.0, 30.0, 61.0])
def test_no_mail_is_published_more_often_than_the_bound_in_any_hour(step: float, is_open: bool) -> None:
    published_at: list[float] = []
    now = 0.0

    while now < 4 * 3_600:
        if may_repeat(published_at, now, is_open=is_open):
            published_at.append(now)
        now += step

    assert len(published_at) > 4
    for start in published_at:
        assert sum(start <= moment < start + 3_600 for moment in published_at) <= COPIES_PER_HOUR


def test_a_refused_mail_that_is_alone_waits_at_most_a_quarter_of_an_hour_for_its_next_try() -> None:
    published_at: list[float] = []

    for now in range(0, 6 * 3_600, 15):
        if may_repeat(published_at, now, is_open=False):
            published_at.append(now)

    waits = [later - earlier for earlier, later in pairwise(published_at)]
    assert waits[:3] == [60, 180, 600]
    assert max(waits) == 900


def test_of_many_waiting_mails_one_is_tried_in_each_interval() -> None:
    key = RefusedKey(next_probe_at=0.0)
    key.refuse(0.0)

    taken = [key.take(now, 100) for now in range(int(PROBE_SECONDS * 10))]

    assert sum(taken) == 9
    assert max(taken) == 1


def test_after_one_that_passed_twice_as_many_follow_each_time() -> None:
    key = RefusedKey(next_probe_at=0.0)
    followed = []

    for _ in range(5):
        followed.append(key.take(0.0, 1_000))
        for _ in range(followed[-1]):
            key.confirm()

    assert followed == [1, 2, 4, 8, 16]


def test_a_refusal_ends_what_was_allowed() -> None:
    key = RefusedKey(next_probe_at=0.0)
    for _ in range(5):
        key.confirm()
    assert key.is_open

    key.refuse(0.0)

    assert not key.is_open
    assert key.take(1.0, 1_000) == 0
