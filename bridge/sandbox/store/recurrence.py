"""When the occurrences of a recurring item are: the patterns of EWS, as dates and then as moments of a time zone."""

from __future__ import annotations

from calendar import monthrange
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from datetime import tzinfo

MOST_OCCURRENCES: Final = 20_000
"""More of one series are not looked at: daily, that is half a century."""
DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_INDEXES: Final = ("First", "Second", "Third", "Fourth", "Last")
_GROUPS: Final = {"Day": DAYS, "Weekday": DAYS[:5], "WeekendDay": DAYS[5:]}


def occurrences(
    recurrence: dict[str, Any], start: int, zone: tzinfo, *, since: int | None = None, kept: Container[int] = ()
) -> Iterator[tuple[int, int]]:
    """
    Yield the number, from 1, and the start of each occurrence of a series, in order.

    `start` is the first one's; all begin at its time of day in the zone, whatever the clocks there do. Those that are
    over before `since` may be left out, but for the numbers in `kept`.
    """
    first = date.min if since is None else p.from_micros(since).date() - timedelta(days=2)
    clock = p.from_micros(start).astimezone(zone).time().replace(tzinfo=None)
    for number, day in enumerate(islice(_in_range(recurrence), MOST_OCCURRENCES), 1):
        if day < first and number not in kept:
            continue
        yield number, p.to_micros(datetime.combine(day, clock).replace(tzinfo=zone).astimezone(UTC))


def next_after(recurrence: dict[str, Any], day: date) -> date | None:
    """Return the first date of a pattern after a day, whatever its range; None where the calendar ends."""
    name, parts = recurrence["pattern"]
    return next((one for one in islice(_dates(name, parts, day), MOST_OCCURRENCES) if one > day), None)


def start_date(recurrence: dict[str, Any]) -> date:
    """Return the date that a series begins at."""
    return day_of(recurrence["range"][1]["StartDate"])


def day_of(text: str) -> date:
    """Return what an xs:date says, without its offset."""
    return date.fromisoformat(text.strip()[:10])


def _in_range(recurrence: dict[str, Any]) -> Iterator[date]:
    kind, limits = recurrence["range"]
    first = day_of(limits["StartDate"])
    last = day_of(limits["EndDate"]) if kind == "EndDateRecurrence" else date.max
    name, parts = recurrence["pattern"]
    found: Iterator[date] = (day for day in _dates(name, parts, first) if day >= first)
    if kind == "NumberedRecurrence":
        found = islice(found, int(limits["NumberOfOccurrences"]))
    for day in found:
        if day > last:
            return
        yield day


def _dates(name: str, parts: dict[str, str], first: date) -> Iterator[date]:
    """Yield the dates of a pattern from the period of `first` on, until the calendar ends."""
    interval = int(parts.get("Interval", "1"))
    if name in ("DailyRecurrence", "DailyRegeneration"):
        yield from _stepping(first, interval)
    elif name == "WeeklyRegeneration":
        yield from _stepping(first, 7 * interval)
    elif name == "WeeklyRecurrence":
        yield from _weekly(parts, first, interval)
    else:
        yearly = "Month" in parts or name == "YearlyRegeneration"
        month = MONTHS.index(parts["Month"]) + 1 if "Month" in parts else first.month
        at = first.year * 12 + month - 1
        while at < date.max.year * 12:
            year, month = divmod(at, 12)
            day = _day_of_month(year, month + 1, parts, first)
            if day is not None:
                yield day
            at += 12 * interval if yearly else interval


def _stepping(first: date, days: int) -> Iterator[date]:
    at = first.toordinal()
    while at <= date.max.toordinal():
        yield date.fromordinal(at)
        at += days


def _weekly(parts: dict[str, str], first: date, interval: int) -> Iterator[date]:
    begins = DAYS.index(parts.get("FirstDayOfWeek", "Sunday"))
    wanted = sorted((DAYS.index(name) - begins) % 7 for name in _named_days(parts["DaysOfWeek"]))
    monday = first.toordinal() - (first.weekday() - begins) % 7
    while monday + 6 <= date.max.toordinal():
        for day in wanted:
            yield date.fromordinal(max(1, monday + day))
        monday += 7 * interval


def _day_of_month(year: int, month: int, parts: dict[str, str], first: date) -> date | None:
    length = monthrange(year, month)[1]
    if "DayOfWeekIndex" not in parts:
        # A month that is too short has its last day instead.
        return date(year, month, min(int(parts.get("DayOfMonth", first.day)), length))
    names = _named_days(parts["DaysOfWeek"])
    days = [day for day in range(1, length + 1) if DAYS[date(year, month, day).weekday()] in names]
    index = _INDEXES.index(parts["DayOfWeekIndex"])
    if not days:
        return None
    return date(year, month, days[-1] if index == len(_INDEXES) - 1 else days[min(index, len(days) - 1)])


def _named_days(text: str) -> list[str]:
    return [day for word in text.split() for day in _GROUPS.get(word, (word,))]
