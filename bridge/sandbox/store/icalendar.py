"""What the iCalendar part of a mail says of a meeting, and the part that says it (RFC 5545, RFC 5546, MS-OXCICAL)."""

from __future__ import annotations

import re
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from zoneinfo import ZoneInfo

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.recurrence import DAYS, MONTHS
from bridge.sandbox.store.structure import xml_safe

if TYPE_CHECKING:
    from collections.abc import Iterator

_YEARS: Final = (1601, 4500)
_MOST_BYTES: Final = 1_000_000
_MOST_LINES: Final = 20_000
_MOST_ATTENDEES: Final = 5000
_BUSY: Final = {"FREE": 0, "TENTATIVE": 1, "BUSY": 2, "OOF": 3, "WORKINGELSEWHERE": 4}
BUSY_NAMES: Final = {number: name for name, number in _BUSY.items()}
_PARTSTAT: Final = {"ACCEPTED": "Accept", "DECLINED": "Decline", "TENTATIVE": "Tentative"}
_WEEKDAYS: Final = dict(zip(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), DAYS, strict=True))
_LINE: Final = re.compile(r'([A-Za-z0-9-]+)((?:;[A-Za-z0-9-]+=(?:"[^"]*"|[^";:])*)*):(.*)', re.DOTALL)
_PARAMETER: Final = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:])*)')
_MOMENT: Final = re.compile(r"([0-9]{4})([0-9]{2})([0-9]{2})(?:T([0-9]{2})([0-9]{2})([0-9]{2})(Z)?)?")
_LENGTH: Final = re.compile(r"\+?P(?:(\d{1,4})W)?(?:(\d{1,4})D)?(?:T(?:(\d{1,4})H)?(?:(\d{1,5})M)?(?:(\d{1,6})S)?)?")
_MONTH_DAYS: Final = frozenset(map(str, range(1, 32)))
_INDEXES: Final = {"First": "1", "Second": "2", "Third": "3", "Fourth": "4", "Last": "-1"}
_WaitQueue = tuple[str, dict[str, str], str]


def bag_of(part: bytes) -> p.Bag:
    """Return the properties that the first event of a calendar gives an item; never raises, whatever the bytes are."""
    event, zones = _event(part)
    bag: p.Bag = {}
    for name, parameters, value in event:
        with suppress(ValueError, OverflowError):
            _take(bag, zones, (name, parameters, value))
    if k.START in bag:
        bag.setdefault(k.END, bag[k.START])
        bag[k.END] = max(bag[k.END], bag[k.START])
    if bag.get(k.RECURRENCE) and k.START in bag:
        begins = p.from_micros(bag[k.START]).date().isoformat()
        bag[k.RECURRENCE]["range"][1] = {"StartDate": begins} | bag[k.RECURRENCE]["range"][1]
    else:
        bag.pop(k.RECURRENCE, None)
    if k.UID in bag:
        bag[k.GLOBAL_ID] = bag[k.CLEAN_GLOBAL_ID] = k.global_id(bag[k.UID])
    return bag


def _event(part: bytes) -> tuple[list[_WaitQueue], dict[str, timedelta]]:
    """Return the lines of the first event, and the standard offset of each zone that the calendar defines."""
    event: list[_WaitQueue] = []
    zones: dict[str, timedelta] = {}
    inside: list[str] = []
    zone = ""
    for name, parameters, value in _lines(part):
        if name == "BEGIN":
            inside.append(value.strip().upper())
        elif name == "END":
            if inside and inside.pop() == "VEVENT":
                return event, zones
        elif inside and inside[-1] == "VEVENT":
            event.append((name, parameters, value))
        elif inside and inside[-1] == "VTIMEZONE" and name == "TZID":
            zone = value.strip()
        elif inside and inside[-1] == "STANDARD" and name == "TZOFFSETTO":
            found = re.fullmatch(r"([+-])(\d{2})(\d{2})", value.strip())
            if found:
                span = timedelta(hours=int(found[2]), minutes=int(found[3]))
                zones[zone] = -span if found[1] == "-" else span
    return event, zones


def _lines(part: bytes) -> Iterator[_WaitQueue]:
    text = part[:_MOST_BYTES].decode("utf-8", "replace")
    for number, line in enumerate(re.sub(r"\r?\n[ \t]", "", text).splitlines()):
        found = _LINE.fullmatch(line.strip())
        if number >= _MOST_LINES:
            return
        if found:
            parameters = {key.upper(): value.strip('"') for key, value in _PARAMETER.findall(found[2])}
            yield found[1].upper(), parameters, found[3]


def _take(bag: p.Bag, zones: dict[str, timedelta], line: _WaitQueue) -> None:
    name, parameters, value = line
    if name in _MOMENTS:
        bag[_MOMENTS[name]] = _moment(parameters, value, zones)
    if name == "DTSTART":
        bag[k.ALL_DAY] = parameters.get("VALUE", "").upper() == "DATE"
        bag[k.NAMED_ZONE] = parameters.get("TZID", "")
    elif name == "DURATION" and k.START in bag:
        bag[k.END] = bag[k.START] + _length(value) // timedelta(microseconds=1)
    elif name == "ATTENDEE":
        _take_attendee(bag, parameters, value)
    elif name == "RRULE":
        bag[k.RECURRENCE] = _rule(value)
    elif name == "X-MICROSOFT-CDO-BUSYSTATUS":
        bag[k.BUSY_STATUS] = bag[k.INTENDED_BUSY_STATUS] = _BUSY.get(value.strip().upper(), 2)
    elif name == "SEQUENCE":
        bag[k.SEQUENCE] = min(int(value), 2**31 - 1)
    elif name in _TEXTS:
        bag[_TEXTS[name]] = xml_safe(_unescaped(value))[:2000]


def _length(value: str) -> timedelta:
    found = _LENGTH.fullmatch(value.strip())
    if not found:
        raise ValueError("no duration")
    weeks, days, hours, minutes, seconds = (int(one or 0) for one in found.groups())
    return timedelta(weeks=weeks, days=days, hours=hours, minutes=minutes, seconds=seconds)


_MOMENTS: Final = {
    "DTSTART": k.START, "DTEND": k.END, "RECURRENCE-ID": k.ORIGINAL_START, "DTSTAMP": k.OWNER_CRITICAL_CHANGE,
}  # fmt: skip
_TEXTS: Final = {"UID": k.UID, "LOCATION": k.LOCATION}


def _take_attendee(bag: p.Bag, parameters: dict[str, str], value: str) -> None:
    address = xml_safe(re.sub(r"(?i)^mailto:", "", value.strip()))
    shown = xml_safe(parameters.get("CN", "")) or address
    role, kind = parameters.get("ROLE", "").upper(), parameters.get("CUTYPE", "").upper()
    key = k.RESOURCES if kind in ("RESOURCE", "ROOM") else k.OPTIONAL if role == "OPT-PARTICIPANT" else k.REQUIRED
    known: list[Any] = bag.setdefault(key, [])
    if address and len(known) < _MOST_ATTENDEES:
        known.append([shown, address, _PARTSTAT.get(parameters.get("PARTSTAT", "").upper(), "Unknown"), None])


def _moment(parameters: dict[str, str], value: str, zones: dict[str, timedelta]) -> int:
    found = _MOMENT.fullmatch(value.strip())
    if not found:
        raise ValueError("no iCalendar time")
    year, month, day, hour, minute, second = (int(one or 0) for one in found.groups()[:6])
    if not _YEARS[0] < year < _YEARS[1]:
        raise ValueError("out of the calendar's range")
    local = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    name = parameters.get("TZID", "")
    if found[7] or not name:
        return p.to_micros(local)
    if name in zones and "/" not in name:
        return p.to_micros(local - zones[name])
    try:
        return p.to_micros(local.replace(tzinfo=ZoneInfo(name)))
    except (KeyError, ValueError, OSError):
        return p.to_micros(local - zones.get(name, timedelta(0)))


def _rule(value: str) -> dict[str, Any] | None:
    """Return an RRULE in the words of EWS, None for one that those cannot say."""
    given = dict(part.split("=", 1) for part in value.strip().upper().split(";") if "=" in part)
    interval = str(min(999, max(1, int(given.get("INTERVAL", "1")))))
    days = [found for day in given.get("BYDAY", "").split(",") if (found := _WEEKDAYS.get(day.lstrip("+-0123456789")))]
    month_day = given.get("BYMONTHDAY", "")
    frequency = given.get("FREQ", "")
    pattern: list[Any] | None = None
    if frequency == "DAILY":
        pattern = ["DailyRecurrence", {"Interval": interval}]
    elif frequency == "WEEKLY" and days:
        pattern = ["WeeklyRecurrence", {"Interval": interval, "DaysOfWeek": " ".join(days)}]
    elif frequency == "MONTHLY" and month_day in _MONTH_DAYS:
        pattern = ["AbsoluteMonthlyRecurrence", {"Interval": interval, "DayOfMonth": month_day}]
    elif frequency == "YEARLY" and month_day in _MONTH_DAYS and given.get("BYMONTH", "").isdigit():
        month = MONTHS[min(12, max(1, int(given["BYMONTH"]))) - 1]
        pattern = ["AbsoluteYearlyRecurrence", {"DayOfMonth": month_day, "Month": month}]
    if pattern is None:
        return None
    if given.get("COUNT", "").isdigit():
        count = str(min(999, max(1, int(given["COUNT"]))))
        return {"pattern": pattern, "range": ["NumberedRecurrence", {"NumberOfOccurrences": count}]}
    until = _MOMENT.match(given.get("UNTIL", ""))
    if until and date(int(until[1]), int(until[2]), int(until[3])):
        return {"pattern": pattern, "range": ["EndDateRecurrence", {"EndDate": f"{until[1]}-{until[2]}-{until[3]}"}]}
    return {"pattern": pattern, "range": ["NoEndRecurrence", {}]}


def _unescaped(value: str) -> str:
    return re.sub(r"\\(.)", lambda found: "\n" if found[1] in "nN" else found[1], value)


def event_ics(bag: p.Bag, method: str, *, attendees: list[tuple[str, str, str]]) -> str:
    """
    Return a calendar that says of an appointment what a mail of that method says.

    `attendees` are names, addresses and what each of them answered (`NEEDS-ACTION`, `ACCEPTED`, ...).
    """
    lines = [
        "BEGIN:VCALENDAR", "METHOD:" + method, "PRODID:Microsoft Exchange Server 2010", "VERSION:2.0", "BEGIN:VEVENT",
        person("ORGANIZER", bag.get(p.SENT_REPRESENTING_NAME, ""), bag.get(p.SENT_REPRESENTING_ADDRESS, "")),
        *(
            person(f"ATTENDEE;ROLE=REQ-PARTICIPANT;PARTSTAT={answer};RSVP=TRUE", name, address)
            for name, address, answer in attendees
        ),
        "SUMMARY;LANGUAGE=en-US:" + escaped(bag.get(p.SUBJECT, "")),
        "UID:" + escaped(bag.get(k.UID, "")),
        "DTSTART" + _shown(bag, k.START),
        "DTEND" + _shown(bag, k.END),
        "DTSTAMP:" + f"{EXCHANGE.now():%Y%m%dT%H%M%SZ}",
        *([f"RRULE:{rule}"] if (rule := rule_text(bag.get(k.RECURRENCE))) else []),
        "PRIORITY:5",
        f"SEQUENCE:{bag.get(k.SEQUENCE, 0)}",
        "STATUS:" + ("CANCELLED" if method == "CANCEL" else "CONFIRMED"),
        "TRANSP:OPAQUE",
        "LOCATION;LANGUAGE=en-US:" + escaped(bag.get(k.LOCATION, "")),
        "X-MICROSOFT-CDO-BUSYSTATUS:" + BUSY_NAMES.get(bag.get(k.BUSY_STATUS, 2), "BUSY"),
        "END:VEVENT", "END:VCALENDAR",
    ]  # fmt: skip
    return "".join(f"{folded(line)}\r\n" for line in lines)


def person(head: str, name: str, address: str) -> str:
    """Return the line of somebody who takes part."""
    shown, where = re.sub('["\\r\\n]', "", name), re.sub("[\\r\\n]", "", address)
    return f'{head};CN="{shown}":mailto:{where}'


def _shown(bag: p.Bag, key: str) -> str:
    moment = p.from_micros(bag.get(key, 0))
    return f";VALUE=DATE:{moment:%Y%m%d}" if bag.get(k.ALL_DAY) else f":{moment:%Y%m%dT%H%M%SZ}"


def rule_text(recurrence: dict[str, Any] | None) -> str:
    """Return a recurrence as the value of RRULE."""
    if not recurrence:
        return ""
    name, parts = recurrence["pattern"]
    kind, limits = recurrence["range"]
    short = {long: key for key, long in _WEEKDAYS.items()}
    frequency = next((one for one in ("DAILY", "WEEKLY", "MONTHLY", "YEARLY") if one in name.upper()), "")
    rule = [f"FREQ={frequency}", f"INTERVAL={parts.get('Interval', '1')}"]
    if "DayOfMonth" in parts:
        rule.append(f"BYMONTHDAY={parts['DayOfMonth']}")
    elif "DaysOfWeek" in parts:
        index = _INDEXES.get(parts.get("DayOfWeekIndex", ""), "")
        rule.append("BYDAY=" + ",".join(index + short[day] for day in parts["DaysOfWeek"].split() if day in short))
    if "Month" in parts:
        rule.append(f"BYMONTH={MONTHS.index(parts['Month']) + 1}")
    if kind == "NumberedRecurrence":
        rule.append(f"COUNT={limits['NumberOfOccurrences']}")
    elif kind == "EndDateRecurrence":
        rule.append("UNTIL=" + limits["EndDate"][:10].replace("-", "") + "T235959Z")
    return ";".join(rule)


def escaped(value: str) -> str:
    """Return a text as iCalendar and vCard write it."""
    return re.sub(r"\r?\n|\r", r"\\n", re.sub(r"([\\;,])", r"\\\1", value))


def folded(line: str) -> str:
    """Break a line so that none has more than 75 bytes."""
    parts = [""]
    for letter in line:
        # The standard's 75, less the space that begins a line's continuation.
        if len((parts[-1] + letter).encode("utf-8", "replace")) > 74:
            parts.append("")
        parts[-1] += letter
    return "\r\n ".join(parts)
