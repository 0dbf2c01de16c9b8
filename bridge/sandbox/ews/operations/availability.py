"""GetUserAvailability: when people of the organisation are free and busy. Suggestions of times are not made."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.calendarfields import BUSY, is_meeting
from bridge.sandbox.ews.context import children, error_message
from bridge.sandbox.ews.errors import EwsError, FaultError
from bridge.sandbox.ews.operations.calendarview import in_time
from bridge.sandbox.ews.values import read_civil_time
from bridge.sandbox.store import folders
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.recurrence import DAYS

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

_MINUTE: Final = 60_000_000
_WIDEST: Final = 62 * 24 * 60 * _MINUTE
_MOST_PEOPLE: Final = 100
_SERVER: Final = "SANDBOXBE01"
_ERRORS: Final = "http://schemas.microsoft.com/exchange/services/2006/errors"
_LAST: Final = 5
# Which of two at once is told: away before busy, busy before tentative.
_WEIGHTS: Final = {"Free": 0, "WorkingElsewhere": 1, "Tentative": 2, "Busy": 3, "OOF": 4}
_DIGITS: Final = {"Free": "0", "Tentative": "1", "Busy": "2", "OOF": "3", "WorkingElsewhere": "4"}


def get_user_availability(context: Context, request: etree._Element) -> str:
    """Answer the busy times of each of some people."""
    options = request.find(xml.T + "FreeBusyViewOptions")
    if options is None:
        raise FaultError("ErrorInvalidFreeBusyViewType")
    zone = Zone(request.find(xml.T + "TimeZone"))
    start, end = (
        zone.to_micros(options.findtext(f"{xml.T}TimeWindow/{xml.T}{name}") or "") for name in ("StartTime", "EndTime")
    )
    if end <= start:
        raise FaultError("ErrorInvalidTimeInterval")
    if end - start > _WIDEST:
        raise FaultError("ErrorTimeIntervalTooBig")
    interval = int(options.findtext(xml.T + "MergedFreeBusyIntervalInMinutes") or 30)
    if not 5 <= interval <= 1440:
        raise FaultError("ErrorInvalidMergedFreeBusyInterval")
    people = children(request.find(xml.M + "MailboxDataArray"))
    if not 0 < len(people) <= _MOST_PEOPLE:
        raise FaultError("ErrorMailboxDataArrayTooBig" if people else "ErrorMailboxDataArrayEmpty")
    wanted = options.findtext(xml.T + "RequestedView") or "FreeBusy"
    with context.store.reading() as db:
        views = (_Viewer(context, db, zone, (start, end), interval, wanted).answer(node) for node in people)
        listed = "".join(f"<m:FreeBusyResponse>{view}</m:FreeBusyResponse>" for view in views)
    return f"<m:FreeBusyResponseArray>{listed}</m:FreeBusyResponseArray>"


class Zone:
    """The zone of a request, told by its offset and two rules; UTC where the request has none."""

    def __init__(self, node: etree._Element | None) -> None:
        """Read it."""
        self._rules: list[tuple[int, str, int, int, str]] = []
        self._bias = 0
        if node is None:
            return
        self._bias = int(node.findtext(xml.T + "Bias") or 0)
        for name in ("StandardTime", "DaylightTime"):
            rule = node.find(xml.T + name)
            if rule is not None:
                self._rules.append(_rule(rule))

    def to_micros(self, text: str) -> int:
        """Return a time of the request, which is in the zone where it says nothing else."""
        try:
            local = read_civil_time(text)
        except (ValueError, OverflowError) as error:
            raise FaultError("ErrorInvalidTimeInterval") from error
        if text.strip()[-1:] == "Z" or text.strip()[-6:-5] in ("+", "-"):
            return local
        return local + self._bias_at(local) * _MINUTE

    def shown(self, micros: int) -> str:
        """Return a moment in the zone, without an offset, as Exchange gives it here."""
        local = micros - self._bias_at(micros - self._bias * _MINUTE) * _MINUTE
        return f"{p.from_micros(local):%Y-%m-%dT%H:%M:%S}"

    def working_hours_xml(self) -> str:
        """Return when people work, whose own hours nobody can set here: on weekdays from eight to five."""
        nothing = (0, "00:00:00", 0, 0, "Sunday")
        standard, daylight = self._rules if len(self._rules) == 2 else (nothing, nothing)
        zone = (
            f"<t:Bias>{self._bias}</t:Bias>{_rule_xml('StandardTime', standard)}{_rule_xml('DaylightTime', daylight)}"
        )
        return (
            f"<t:WorkingHours><t:TimeZone>{zone}</t:TimeZone><t:WorkingPeriodArray><t:WorkingPeriod><t:DayOfWeek>"
            f"{' '.join(DAYS[:5])}</t:DayOfWeek><t:StartTimeInMinutes>480</t:StartTimeInMinutes>"
            "<t:EndTimeInMinutes>1020</t:EndTimeInMinutes></t:WorkingPeriod></t:WorkingPeriodArray></t:WorkingHours>"
        )

    def _bias_at(self, local: int) -> int:
        """Return the minutes that UTC is ahead at a local time."""
        if len(self._rules) < 2 or not all(1 <= rule[3] <= 12 for rule in self._rules):
            return self._bias
        year = p.from_micros(local).year
        changes = sorted((_change(year, rule), rule[0]) for rule in self._rules)
        extra = changes[-1][1]
        for at, bias in changes:
            if at <= local:
                extra = bias
        return self._bias + extra


def _rule(node: etree._Element) -> tuple[int, str, int, int, str]:
    bias, order, month = (int(node.findtext(xml.T + name) or 0) for name in ("Bias", "DayOrder", "Month"))
    return bias, node.findtext(xml.T + "Time") or "", order, month, node.findtext(xml.T + "DayOfWeek") or ""


def _rule_xml(element: str, rule: tuple[int, str, int, int, str]) -> str:
    bias, clock, order, month, day = rule
    return (
        f"<t:{element}><t:Bias>{bias}</t:Bias>{xml.element('Time', clock)}<t:DayOrder>{order}</t:DayOrder>"
        f"<t:Month>{month}</t:Month><t:DayOfWeek>{day}</t:DayOfWeek></t:{element}>"
    )


def _change(year: int, rule: tuple[int, str, int, int, str]) -> int:
    """Return when, in local time, a rule takes effect in a year."""
    _, clock, order, month, name = rule
    hour, minute = (int(part) if part.isdigit() else 0 for part in (*clock.split(":"), "0", "0")[:2])
    day = datetime(year, month, 1, min(hour, 23), min(minute, 59), tzinfo=UTC)
    if name in DAYS:
        day += timedelta(days=(DAYS.index(name) - day.weekday()) % 7)
    day += timedelta(days=7 * (max(1, min(order, _LAST)) - 1))
    while day.month != month:
        day -= timedelta(days=7)
    return p.to_micros(day)


class _Viewer:
    """Answers for one call, one person after the other."""

    def __init__(  # noqa: PLR0917 - what a view is made of
        self, context: Context, db: sqlite3.Connection, zone: Zone, window: tuple[int, int], interval: int, wanted: str
    ) -> None:
        self._context, self._db, self._zone, self._window, self._interval = context, db, zone, window, interval
        self._wanted = wanted

    def answer(self, node: etree._Element) -> str:
        address = (node.findtext(f"{xml.T}Email/{xml.T}Address") or "").strip()
        mailbox = folders.mailbox_by(self._db, "address", address)
        if mailbox is None:
            refusal = error_message("m:ResponseMessage", _nobody(address))
            return f"{refusal}<m:FreeBusyView><t:FreeBusyViewType>None</t:FreeBusyViewType></m:FreeBusyView>"
        found = (
            '<m:ResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode></m:ResponseMessage>'
        )
        return f"{found}<m:FreeBusyView>{self._view(mailbox)}</m:FreeBusyView>"

    def _view(self, mailbox: Mailbox) -> str:
        own = self._context.mailbox is not None and self._context.mailbox.id == mailbox.id
        # Details are for those who may read the calendar; others are told when, not what.
        kind = self._wanted if own else self._wanted.replace("Detailed", "FreeBusy")
        if "None" in kind.split():
            return "<t:FreeBusyViewType>None</t:FreeBusyViewType>"
        busy = in_time(self._db, folders.folder(self._db, mailbox.id, "calendar").id, *self._window)
        merged = f"<t:MergedFreeBusy>{self._merged(busy)}</t:MergedFreeBusy>" if "Merged" in kind else ""
        events = ""
        if kind != "MergedOnly":
            listed = "".join(self._event(one, detailed="Detailed" in kind) for one in busy)
            events = f"<t:CalendarEventArray>{listed}</t:CalendarEventArray>" if listed else ""
        hours = self._zone.working_hours_xml()
        return f"<t:FreeBusyViewType>{kind}</t:FreeBusyViewType>{merged}{events}{hours}"

    def _merged(self, busy: list[Item]) -> str:
        start, end = self._window
        step = self._interval * _MINUTE
        count = -(-(end - start) // step)
        slots = ["Free"] * count
        for item in busy:
            status = _status(item)
            first = max(0, (item.bag[k.START] - start) // step)
            last = min(count, -(-(item.bag[k.END] - start) // step))
            for number in range(first, last):
                slots[number] = max(slots[number], status, key=_WEIGHTS.__getitem__)
        return "".join(_DIGITS[slot] for slot in slots)

    def _event(self, item: Item, *, detailed: bool) -> str:
        bag = item.bag
        details = ""
        if detailed:
            flags = {
                "IsMeeting": is_meeting(bag),
                "IsRecurring": k.OCCURRENCE in bag,
                "IsException": bag.get(k.CHANGED, False),
                "IsReminderSet": bag.get(p.REMINDER_SET, False),
                "IsPrivate": bag.get(p.SENSITIVITY, 0) == 2,
            }
            texts = xml.element("ID", f"{item.id:016X}") + xml.element("Subject", str(bag.get(p.SUBJECT, "")))
            texts += xml.element("Location", str(bag.get(k.LOCATION, "")))
            shown = "".join(f"<t:{name}>{xml.boolean(value)}</t:{name}>" for name, value in flags.items())
            details = f"<t:CalendarEventDetails>{texts}{shown}</t:CalendarEventDetails>"
        return (
            f"<t:CalendarEvent><t:StartTime>{self._zone.shown(bag[k.START])}</t:StartTime><t:EndTime>"
            f"{self._zone.shown(bag[k.END])}</t:EndTime><t:BusyType>{_status(item)}</t:BusyType>{details}</t:CalendarEvent>"
        )


def _status(item: Item) -> str:
    name = BUSY[item.bag.get(k.BUSY_STATUS, 2) % len(BUSY)]
    return name if name in _WEIGHTS else "Free"


def _nobody(address: str) -> EwsError:
    """Return what Exchange says of an address that its directory does not know: the name of its own exception first."""
    kind, number = "MailRecipientNotFoundException", 57660
    said = f"Unable to resolve e-mail address {address} to an Active Directory object."
    told = {
        "ExceptionType": kind,
        "ExceptionCode": "5009",
        "ExceptionServerName": _SERVER,
        "ExceptionMessage": f"{said} LID: {number}",
    }
    listed = "".join(f'<{name} xmlns="{_ERRORS}">{xml.text(value)}</{name}>' for name, value in told.items())
    text = (
        f"Microsoft.Exchange.InfoWorker.Common.Availability.{kind}: {said}\r\n. Name of the server where exception "
        f"originated: {_SERVER}. LID: {number}"
    )
    return EwsError("ErrorMailRecipientNotFound", text, listed)
