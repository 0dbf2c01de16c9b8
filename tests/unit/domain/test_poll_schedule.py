"""A mailbox is listed as often as is worth the calls."""

from __future__ import annotations

from bridge.domain.poll_schedule import PollSchedule


def _schedule() -> PollSchedule:
    return PollSchedule(least_seconds=5, most_seconds=15, listing_interval_seconds=30)


def _quiet(schedule: PollSchedule, *, seconds: float = 0.1, told: bool = False, settled: bool = True) -> float:
    return schedule.after(published=0, seconds=seconds, told=told, settled=settled)


def test_the_wait_grows_while_nothing_comes_and_begins_anew_with_a_mail() -> None:
    schedule = _schedule()

    waits = [_quiet(schedule) for _ in range(10)]

    assert waits[0] == 5
    assert waits == sorted(waits)
    assert waits[-1] == 15
    assert schedule.after(published=1, seconds=0.1, told=False, settled=True) == 5
    assert _quiet(schedule) == 6.25


def test_where_listing_takes_long_it_is_done_less_often_up_to_a_bound() -> None:
    assert _quiet(_schedule(), seconds=1.2) == 12
    assert _quiet(_schedule(), seconds=60) == 15
    assert _quiet(_schedule(), seconds=60, told=True, settled=False) == 15


def test_while_a_stream_tells_listing_is_rare() -> None:
    assert _quiet(_schedule(), told=True) == 30


def test_mailboxes_that_were_woken_together_are_listed_apart_and_stay_so() -> None:
    draws = iter([0.0, 0.5, 1.0, 1.0])
    schedule = PollSchedule(5, 15, 30, lambda: next(draws))

    assert _quiet(schedule, told=True) == 30
    schedule.after_wake(published=0)
    assert _quiet(schedule, told=True) == 18
    assert _quiet(schedule, told=True) == 27
    schedule.after_wake(published=1)
    assert round(_quiet(schedule, told=True)) == 6


def test_what_must_be_tried_again_is_not_left_to_the_stream() -> None:
    assert _quiet(_schedule(), told=True, settled=False) == 5


def test_after_a_stream_the_wait_begins_with_the_least() -> None:
    schedule = _schedule()
    for _ in range(10):
        _quiet(schedule)
    _quiet(schedule, told=True)

    assert _quiet(schedule) <= 6.25


def test_wake_ups_for_nothing_are_heeded_less_and_less_until_a_mail_comes() -> None:
    schedule = _schedule()

    waits = [schedule.after_wake(published=0) for _ in range(12)]

    assert waits[:3] == [0, 0, 0]
    assert waits == sorted(waits)
    assert waits[-1] == 2
    assert schedule.after_wake(published=1) == 0
    assert schedule.after_wake(published=0) == 0


def test_wake_ups_for_nothing_that_come_now_and_then_are_no_flood() -> None:
    schedule = _schedule()
    for _ in range(12):
        assert schedule.after_wake(published=0) == 0
        _quiet(schedule, told=True)
        _quiet(schedule, told=True)  # the next listing was due before anything woke it


def test_a_flood_of_wake_ups_stays_one_though_each_is_followed_by_a_pass() -> None:
    schedule = _schedule()
    for _ in range(12):
        last = schedule.after_wake(published=0)
        _quiet(schedule, told=True)

    assert last == 2
