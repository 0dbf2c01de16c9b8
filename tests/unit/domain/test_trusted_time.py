"""What the dates of answers tell of the time, and how far that is believed."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from functools import reduce
from typing import TYPE_CHECKING

import pytest

from bridge.domain.trusted_time import (
    ClockState,
    Heard,
    Offset,
    Readings,
    TimeSpan,
    counted,
    is_over,
    is_to_come,
    offset_of,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

_BEGAN = datetime(2026, 11, 24, 3, 0, tzinfo=UTC).timestamp()
"""What a right clock said when the one that only grows began."""


def _answer(at: float, *, way: float = 0.1, back: float = 0.1, wrong: float = 0.0) -> Offset:
    """Return what an answer tells that was dated at `at`, in whole seconds as HTTP has them."""
    told = offset_of(float(int(_BEGAN + at + wrong)), asked_at=at - way, answered_at=at + back)
    assert told is not None
    return told


def _after(*answers: Offset) -> Readings:
    return reduce(Readings.__add__, answers, Readings())


def test_the_time_is_within_the_bounds_whatever_the_way_took() -> None:
    chance = random.Random(11)
    for _ in range(200):
        readings, at = Readings(), 0.0
        for _ in range(chance.randrange(1, 20)):
            at += chance.uniform(0, 100)
            readings += _answer(at, way=chance.uniform(0, 60), back=chance.uniform(0, 60))
        offset = readings.offset
        assert offset is not None
        assert offset.low <= _BEGAN <= offset.high


def test_many_quick_answers_tell_the_time_to_less_than_a_second() -> None:
    offset = _after(*(_answer(at, way=0.01, back=0.01) for at in (1.0, 3.3, 5.6, 7.9))).offset

    assert offset is not None
    assert offset.high - offset.low < 0.5


def test_slow_answers_do_not_push_out_what_a_quick_one_told() -> None:
    quick = _answer(1.0)

    assert _after(quick, *(_answer(at, way=40, back=20) for at in range(100, 200, 10))).offset == quick


@pytest.mark.parametrize("wrong", [-86_400, -30, 30, 3600])
def test_one_answer_with_a_wrong_date_brings_doubt_and_no_other_time_and_is_forgotten(wrong: float) -> None:
    """As of a proxy with a cache: the careful end of the bounds stays true all the while."""
    readings = _after(_answer(1.0), _answer(2.0), _answer(3.0, wrong=wrong))
    widths = []
    for at in range(4, 10):
        offset = readings.offset
        assert offset is not None
        assert offset.low <= _BEGAN <= offset.high
        widths.append(offset.high - offset.low)
        readings += _answer(at + 0.37)

    assert widths[0] > abs(wrong) - 2
    assert readings.apart < 2
    assert widths[-1] < 2


def test_a_clock_that_was_halted_is_set_right_by_the_next_answers() -> None:
    """A virtual machine that was paused for an hour."""
    before = [_answer(at) for at in (1.0, 2.0, 3.0)]
    after = [_answer(at, wrong=3600) for at in (4.1, 5.3, 6.2, 7.4, 8.6)]

    in_between, at_last = _after(*before, *after[:1]).offset, _after(*before, *after).offset

    assert in_between is not None
    assert at_last is not None
    assert in_between.low <= _BEGAN < _BEGAN + 3600 <= in_between.high
    assert at_last.low <= _BEGAN + 3600 <= at_last.high
    assert at_last.high - at_last.low < 2
    assert _after(*before, *after[:1]).apart > 3590


@pytest.mark.parametrize("date", [0.0, -6e10, 1.5e9, 7.3e9, 2.5e11])
def test_a_date_that_nobody_set_a_clock_to_is_no_time(date: float) -> None:
    assert offset_of(date, asked_at=1.0, answered_at=2.0) is None


def test_a_server_that_was_heard_hours_before_another_counts_no_more() -> None:
    offset = Offset(_BEGAN, _BEGAN + 1)
    heard = [Heard("Entra", offset, 100.0), Heard("Exchange", offset, 100.0 + 7_201), Heard("Graph", offset, 101.0)]

    assert [one.server for one in counted(heard)] == ["Exchange", "Graph"]
    assert counted([]) == []


def test_in_doubt_a_moment_is_neither_over_nor_to_come() -> None:
    now = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
    known = TimeSpan(now - timedelta(hours=1), now + timedelta(hours=1))
    moments = [now + timedelta(minutes=minutes) for minutes in (-61, -60, 0, 60, 61)]

    assert [is_over(known, moment) for moment in moments] == [True, True, False, False, False]
    assert [is_to_come(known, moment) for moment in moments] == [False, False, False, False, True]
    assert not any(is_over(None, moment) or is_to_come(None, moment) for moment in moments)


def _heard(*aheads: float) -> tuple[Heard, ...]:
    names = ("Exchange at mail.example.org", "Entra")
    return tuple(
        Heard(name, Offset(_BEGAN + ahead, _BEGAN + ahead + 1), 1.0) for name, ahead in zip(names, aheads, strict=False)
    )


@pytest.mark.parametrize(
    ("heard", "own", "missed", "expected"),
    [
        ((), 0.0, 0.0, None),
        ((), 0.0, 19.0, None),
        ((), 0.0, 21.0, ("trouble", "time_unknown")),
        (_heard(0.0), 0.0, 0.0, ("ok", "ok")),
        (_heard(0.0, 30.0), 0.0, 0.0, ("ok", "ok")),
        (_heard(0.0, 31.0), 0.0, 0.0, ("warning", "clocks_disagree")),
        (
            (Heard("Exchange", Offset(_BEGAN, _BEGAN + 3600), 1.0, apart=3590.0),),
            0.0,
            0.0,
            ("warning", "clocks_disagree"),
        ),
        ((Heard("Exchange", Offset(_BEGAN, _BEGAN + 60), 1.0), *_heard(3.0)), 0.0, 0.0, ("ok", "ok")),  # slow answers
        (_heard(-3600.0, 0.0), 0.0, 0.0, ("warning", "clocks_disagree")),
        (_heard(0.0), 29.0, 0.0, ("ok", "ok")),
        (_heard(0.0), -31.0, 0.0, ("warning", "clock_skew")),
    ],
)
def test_what_a_person_should_see_to_is_told(
    heard: Sequence[Heard], own: float, missed: float, expected: tuple[str, str] | None
) -> None:
    told = ClockState(tuple(heard), own, missed).told()

    assert (told[:2] if told is not None else None) == expected


def test_clocks_that_disagree_are_told_by_name_and_with_the_difference() -> None:
    told = ClockState(_heard(0.0, 120.0)).told()

    assert told is not None
    assert told[2] == "the times that answers of Entra and Exchange at mail.example.org tell are 119 s apart"
