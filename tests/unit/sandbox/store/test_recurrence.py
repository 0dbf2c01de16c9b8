"""When the occurrences of series are."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.store import properties as p
from bridge.sandbox.store.recurrence import DAYS, MONTHS, MOST_OCCURRENCES, occurrences

FIRST = p.to_micros(datetime(2026, 1, 1, 9, tzinfo=UTC))


def series(name: str, parts: dict[str, str], kind: str = "NoEndRecurrence", **limits: str) -> list[str]:
    """Return the first five dates of a series that begins on Thursday, 1 January 2026."""
    recurrence = {"pattern": [name, parts], "range": [kind, {"StartDate": "2026-01-01", **limits}]}
    return [f"{p.from_micros(start):%Y-%m-%d}" for _, start in islice(occurrences(recurrence, FIRST, UTC), 5)]


@pytest.mark.parametrize(
    ("name", "parts", "dates"),
    [
        ("DailyRecurrence", {"Interval": "3"}, ["2026-01-01", "2026-01-04", "2026-01-07", "2026-01-10", "2026-01-13"]),
        (
            "WeeklyRecurrence",
            {"Interval": "2", "DaysOfWeek": "Monday Friday", "FirstDayOfWeek": "Monday"},
            ["2026-01-02", "2026-01-12", "2026-01-16", "2026-01-26", "2026-01-30"],
        ),
        (
            "WeeklyRecurrence",
            {"Interval": "1", "DaysOfWeek": "WeekendDay"},
            ["2026-01-03", "2026-01-04", "2026-01-10", "2026-01-11", "2026-01-17"],
        ),
        (
            "AbsoluteMonthlyRecurrence",
            {"Interval": "1", "DayOfMonth": "31"},
            ["2026-01-31", "2026-02-28", "2026-03-31", "2026-04-30", "2026-05-31"],
        ),
        (
            "RelativeMonthlyRecurrence",
            {"Interval": "1", "DaysOfWeek": "Weekday", "DayOfWeekIndex": "Last"},
            ["2026-01-30", "2026-02-27", "2026-03-31", "2026-04-30", "2026-05-29"],
        ),
        (
            "AbsoluteYearlyRecurrence",
            {"DayOfMonth": "29", "Month": "February"},
            ["2026-02-28", "2027-02-28", "2028-02-29", "2029-02-28", "2030-02-28"],
        ),
        (
            "RelativeYearlyRecurrence",
            {"DaysOfWeek": "Sunday", "DayOfWeekIndex": "Second", "Month": "March"},
            ["2026-03-08", "2027-03-14", "2028-03-12", "2029-03-11", "2030-03-10"],
        ),
    ],
)
def test_each_pattern_has_its_dates(name: str, parts: dict[str, str], dates: list[str]) -> None:
    """From the first that fits on; a month that is too short has its last day instead."""
    assert series(name, parts) == dates


def test_a_series_ends_with_its_number_or_its_date() -> None:
    """The date is part of it."""
    assert series("DailyRecurrence", {"Interval": "1"}, "NumberedRecurrence", NumberOfOccurrences="2") == [
        "2026-01-01",
        "2026-01-02",
    ]
    assert series("DailyRecurrence", {"Interval": "1"}, "EndDateRecurrence", EndDate="2026-01-02Z") == [
        "2026-01-01",
        "2026-01-02",
    ]


def test_the_time_of_day_stays_when_the_clocks_change() -> None:
    """In the zone of the series, not in UTC."""
    recurrence = {"pattern": ["WeeklyRecurrence", {"Interval": "1", "DaysOfWeek": "Thursday"}],
                  "range": ["NoEndRecurrence", {"StartDate": "2026-01-01"}]}  # fmt: skip

    hours = {
        p.from_micros(start).hour for _, start in islice(occurrences(recurrence, FIRST, ZoneInfo("Europe/Paris")), 52)
    }

    assert hours == {8, 9}


_NUMBERS = st.integers(1, 999).map(str)
_PATTERNS = st.one_of(
    st.tuples(st.just("DailyRecurrence"), st.fixed_dictionaries({"Interval": _NUMBERS})),
    st.tuples(
        st.just("WeeklyRecurrence"), st.fixed_dictionaries({"Interval": _NUMBERS, "DaysOfWeek": st.sampled_from(DAYS)})
    ),
    st.tuples(
        st.just("AbsoluteMonthlyRecurrence"),
        st.fixed_dictionaries({"Interval": _NUMBERS, "DayOfMonth": st.integers(1, 31).map(str)}),
    ),
    st.tuples(
        st.just("AbsoluteYearlyRecurrence"),
        st.fixed_dictionaries({"DayOfMonth": st.integers(1, 31).map(str), "Month": st.sampled_from(MONTHS)}),
    ),
)


@given(pattern=_PATTERNS, start=st.dates())
def test_every_series_is_in_order_and_has_an_end(pattern: tuple[str, dict[str, str]], start: object) -> None:
    """Wherever in the calendar it begins."""
    recurrence = {"pattern": list(pattern), "range": ["NoEndRecurrence", {"StartDate": str(start)}]}

    found = [at for _, at in islice(occurrences(recurrence, FIRST, UTC), 200)]

    assert found == sorted(set(found))
    assert len(found) <= MOST_OCCURRENCES
