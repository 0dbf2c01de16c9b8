"""
Time zones: Windows names, the rules behind them, and definitions as Exchange gives them.

The rules come from Python's zoneinfo, and the definitions say what holds now; Exchange's have those of past years too.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import cache
from typing import TYPE_CHECKING, Final
from zoneinfo import ZoneInfo

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.zonetable import ZONES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

UTC_NAME: Final = "UTC"
_NAMES: Final[Mapping[str, tuple[str, str]]] = {
    name: (iana, shown) for name, iana, shown in (line.split("|") for line in ZONES.strip().splitlines())
}
_FOLDED: Final = {name.casefold(): name for name in _NAMES} | {
    # How Exchange itself writes UTC in some places.
    "tzone://microsoft/utc": UTC_NAME,
}
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_RULE_YEARS: Final = 3
_LAST_WEEK: Final = 4


def names() -> list[str]:
    """Return the Windows names of all zones, in Exchange's order."""
    return list(_NAMES)


def known(name: str) -> str | None:
    """Return a Windows name as Exchange spells it, None for a zone that Exchange does not know."""
    return _FOLDED.get(name.strip().casefold())


def shown(name: str) -> str:
    """Return the name that people see of a zone."""
    return _NAMES[name][1]


def zone(name: str | None) -> tzinfo:
    """Return the rules of a zone, UTC's for none."""
    found = known(name) if name else None
    return UTC if found in (None, UTC_NAME) else ZoneInfo(_NAMES[str(found)][0])


def of_definition(node: etree._Element) -> str | None:
    """
    Return the Windows name of the zone that a TimeZoneDefinition, StartTimeZone or their like means.

    A zone of the client's own making becomes the first one with the same standard time; None if it says nothing.
    """
    name = str(node.get("Id") or node.get("TimeZoneName") or "")
    found = known(name) or next((windows for windows, (iana, _) in _NAMES.items() if iana == name), None)
    if found is not None:
        return found
    bias = next((str(one.get("Bias")) for one in node.iter(xml.T + "Period") if one.get("Name") == "Standard"), None)
    offset = None if bias is None else _span(bias)
    year = EXCHANGE.now().year
    return next((windows for windows in _NAMES if offset is not None and _standard(windows, year) == -offset), None)


def _span(text: str) -> timedelta | None:
    found = re.fullmatch(r"(-?)PT?(?:(\d{1,4})H)?(?:(\d{1,6})M)?(?:(\d{1,8})(?:\.0+)?S)?", text)
    if not found:
        return None
    span = timedelta(hours=int(found[2] or 0), minutes=int(found[3] or 0), seconds=int(found[4] or 0))
    return -span if found[1] else span


@cache
def _standard(name: str, year: int) -> timedelta:
    rules = zone(name)
    return _periods(rules, _changes(rules, year), year)[0]


def brief_xml(name: str, element: str = "TimeZoneDefinition") -> str:
    """Return what names a zone and says nothing more, as Exchange does where no full data is asked for."""
    named = f'Name="{xml.attribute(shown(name))}" Id="{xml.attribute(name)}"'
    return f"<t:{element} {named}><t:Periods/><t:TransitionsGroups/></t:{element}>"


def definition_xml(name: str, element: str = "TimeZoneDefinition", year: int | None = None) -> str:
    """Return a zone's whole definition: its periods, and the rule by which one follows the other in a year, or now."""
    return _definition_xml(name, element, year or EXCHANGE.now().year)


@cache
def _definition_xml(name: str, element: str, year: int) -> str:
    rules = zone(name)
    changes = _changes(rules, year)
    standard, daylight = _periods(rules, changes, year)
    labels = {daylight: "Daylight"} | {standard: "Standard"}
    ids = {offset: f"trule:Microsoft/Registry/{name}/1-{label}" for offset, label in labels.items()}
    periods = "".join(
        f'<t:Period Bias="{duration(-offset)}" Name="{labels[offset]}" Id="{xml.attribute(ids[offset])}"/>'
        for offset in sorted(labels)
    )
    if daylight == standard:
        moves = f'<t:Transition><t:To Kind="Period">{xml.text(ids[standard])}</t:To></t:Transition>'
    else:
        moves = "".join(_move_xml(rules, change, ids) for change in changes)
    return (
        f'<t:{element} Id="{xml.attribute(name)}" Name="{xml.attribute(shown(name))}"><t:Periods>{periods}</t:Periods>'
        f'<t:TransitionsGroups><t:TransitionsGroup Id="0">{moves}</t:TransitionsGroup></t:TransitionsGroups>'
        '<t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions>'
        f"</t:{element}>"
    )


def observances(name: str | None, year: int) -> list[tuple[datetime, timedelta, timedelta]]:
    """Return when a zone's offset changes in a year, and what it is before and after; one moment if it never does."""
    rules = zone(name)
    changes = _changes(rules, year)
    if not changes:
        begin = datetime(year, 1, 1, tzinfo=UTC)
        return [(begin, _offset(rules, begin), _offset(rules, begin))]
    return [(change, _offset(rules, change - timedelta(minutes=1)), _offset(rules, change)) for change in changes]


def week_of(local: datetime) -> int:
    """Return which of its weekdays in the month a day is, -1 for the last."""
    return -1 if (local + timedelta(days=7)).month != local.month else (local.day - 1) // 7 + 1


def duration(span: timedelta) -> str:
    """Return a time span as an xs:duration such as `PT1H30M`."""
    seconds = int(span.total_seconds())
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    days, rest = divmod(seconds, 86400)
    hours, rest = divmod(rest, 3600)
    minutes, seconds = divmod(rest, 60)
    clock = "".join(f"{value}{unit}" for value, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if value)
    day = f"{days}D" if days else ""
    return f"{sign}P{day}{'T' + clock if clock else ''}" if day or clock else "PT0S"


def _offset(rules: tzinfo, moment: datetime) -> timedelta:
    return moment.astimezone(rules).utcoffset() or timedelta(0)


def _changes(rules: tzinfo, year: int) -> list[datetime]:
    """Return the moments of a year at which the offset changes; at most the two that a rule can say."""
    found = []
    at = datetime(year, 1, 1, tzinfo=UTC)
    while at.year == year:
        following = at + timedelta(days=1)
        if _offset(rules, at) != _offset(rules, following):
            low, high = at, following
            while high - low > timedelta(minutes=1):
                middle = low + (high - low) / 2
                low, high = (low, middle) if _offset(rules, middle) != _offset(rules, low) else (middle, high)
            found.append((high + timedelta(seconds=30)).replace(second=0, microsecond=0))
        at = following
    return found if len(found) == 2 else []


def _periods(rules: tzinfo, changes: list[datetime], year: int) -> tuple[timedelta, timedelta]:
    if not changes:
        offset = _offset(rules, datetime(year, 1, 1, tzinfo=UTC))
        return offset, offset
    first, second = (_offset(rules, change) for change in changes)
    return min(first, second), max(first, second)


def _move_xml(rules: tzinfo, change: datetime, ids: Mapping[timedelta, str]) -> str:
    """Return the rule of a change as a weekday of a month; clients know of no other form."""
    before = _offset(rules, change - timedelta(minutes=1))
    local = (change + before).replace(tzinfo=None)
    return (
        f'<t:RecurringDayTransition><t:To Kind="Period">{xml.text(ids[_offset(rules, change)])}</t:To>'
        f"<t:TimeOffset>{duration(timedelta(hours=local.hour, minutes=local.minute))}</t:TimeOffset>"
        f"<t:Month>{local.month}</t:Month><t:DayOfWeek>{_DAYS[local.weekday()]}</t:DayOfWeek>"
        f"<t:Occurrence>{_occurrence(rules, change, local.date())}</t:Occurrence></t:RecurringDayTransition>"
    )


def _occurrence(rules: tzinfo, change: datetime, day: date) -> int:
    """Return which of its weekday in its month a change is, -1 for the last: by some years, else by its own."""
    weeks = set()
    lasts = set()
    for year in range(change.year, change.year + _RULE_YEARS):
        for one in _changes(rules, year):
            local = (one + _offset(rules, one - timedelta(minutes=1))).date()
            if local.month == day.month and local.weekday() == day.weekday():
                weeks.add((local.day - 1) // 7 + 1)
                lasts.add((local + timedelta(days=7)).month != local.month)
    if lasts == {True}:
        return -1
    return weeks.pop() if len(weeks) == 1 else min((day.day - 1) // 7 + 1, _LAST_WEEK)
