"""Appointments as iCalendar (RFC 5545) and contacts as vCards (RFC 2426): the MimeContent of what is no mail."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import zones
from bridge.sandbox.ews.calendarfields import is_meeting, original_start
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.icalendar import BUSY_NAMES, escaped, folded, person, rule_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import timedelta

    from bridge.sandbox.ews.view import View

_ANSWERS: Final = {"Accept": "ACCEPTED", "Decline": "DECLINED", "Tentative": "TENTATIVE"}
_ROLES: Final = ((k.REQUIRED, "REQ-PARTICIPANT"), (k.OPTIONAL, "OPT-PARTICIPANT"), (k.RESOURCES, "NON-PARTICIPANT"))
_CLASSES: Final = {1: "PRIVATE", 2: "PRIVATE", 3: "CONFIDENTIAL"}
_PRIORITIES: Final = {0: 9, 1: 5, 2: 1}
_PHONES: Final = {
    "BusinessPhone": "WORK,VOICE", "BusinessPhone2": "WORK,VOICE", "BusinessFax": "WORK,FAX",
    "HomePhone": "HOME,VOICE", "HomePhone2": "HOME,VOICE", "HomeFax": "HOME,FAX", "MobilePhone": "CELL",
    "Pager": "PAGER", "CarPhone": "CAR", "OtherTelephone": "VOICE", "Isdn": "ISDN", "PrimaryPhone": "PREF",
}  # fmt: skip
_PLACES: Final = {"Business": "WORK", "Home": "HOME", "Other": "POSTAL"}
_WEEKDAYS: Final = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")


def calendar_xml(view: View) -> str:
    """Return an appointment's MimeContent; one that a client made of a mail may lack its times, and stays a mail."""
    timed = k.START in view.item.bag and k.END in view.item.bag
    return _mime_xml(calendar_of(view).encode("utf-8", "replace") if timed else view.mime())


def card_xml(view: View) -> str:
    """Return a contact's MimeContent."""
    return _mime_xml(card_of(view).encode("utf-8", "replace"))


def calendar_of(view: View) -> str:
    """Return an appointment as a calendar: a series with its rule, what was changed in it, and what was left out."""
    bag, text = view.item.bag, view.body("Text")[1]
    series = bool(bag.get(k.RECURRENCE)) and k.OCCURRENCE not in bag
    zone = str(bag.get(k.START_ZONE) or zones.UTC_NAME) if series else None
    lines = ["BEGIN:VCALENDAR", "METHOD:PUBLISH", "PRODID:Microsoft Exchange Server 2010", "VERSION:2.0"]
    if zone is not None:
        # Clients may set times by number that have no neighbours in the calendar.
        lines.extend(_zone(zone, min(max(p.from_micros(bag[k.START]).year, 1601), 4500)))
    lines.extend(_event(bag, text, zone))
    if series:
        for number, own in (bag.get(k.EXCEPTIONS) or {}).items():
            changed = {key: value for key, value in bag.items() if key != k.RECURRENCE} | own
            changed[k.ORIGINAL_START] = original_start(bag, int(number))
            lines.extend(_event(changed, own.get(p.BODY_TEXT, text), zone))
    return _written([*lines, "END:VCALENDAR"])


def card_of(view: View) -> str:
    """Return a contact as a vCard."""
    bag = view.item.bag
    parts = (k.SURNAME, k.GIVEN_NAME, k.MIDDLE_NAME, k.TITLE, k.GENERATION)
    name = bag.get(k.DISPLAY_NAME) or bag.get(k.FILE_AS) or bag.get(p.SUBJECT) or ""
    lines = [
        "BEGIN:VCARD", "VERSION:3.0", "PROFILE:VCARD", f"FN:{escaped(name)}",
        "N:" + ";".join(escaped(str(bag.get(key, ""))) for key in parts),
    ]  # fmt: skip
    for head, value in (
        ("NICKNAME", bag.get(k.NICKNAME)),
        ("TITLE", bag.get(k.JOB_TITLE)),
        ("URL", bag.get(k.HOMEPAGE)),
        ("NOTE", view.body("Text")[1].rstrip("\r\n")),
    ):
        if value:
            lines.append(f"{head}:{escaped(str(value))}")
    if bag.get(k.COMPANY) or bag.get(k.DEPARTMENT):
        lines.append(f"ORG:{escaped(bag.get(k.COMPANY, ''))};{escaped(bag.get(k.DEPARTMENT, ''))}")
    lines.extend(f"EMAIL;TYPE=INTERNET:{escaped(bag[key])}" for key, _, _ in k.EMAILS.values() if bag.get(key))
    lines.extend(
        f"TEL;TYPE={kind}:{escaped(bag[k.PHONES[phone]])}"
        for phone, kind in _PHONES.items()
        if bag.get(k.PHONES[phone])
    )
    for kind, keys in k.PHYSICAL_ADDRESSES.items():
        found = [escaped(str(bag.get(keys[part], ""))) for part in
                 ("Street", "City", "State", "PostalCode", "CountryOrRegion")]  # fmt: skip
        if any(found):
            lines.append(f"ADR;TYPE={_PLACES[kind]}:;;{';'.join(found)}")
    if k.BIRTHDAY in bag:
        lines.append(f"BDAY;VALUE=DATE:{p.from_micros(bag[k.BIRTHDAY]):%Y-%m-%d}")
    if bag.get(p.KEYWORDS):
        lines.append("CATEGORIES:" + ",".join(map(escaped, bag[p.KEYWORDS])))
    return _written(
        [*lines, f"REV:{p.from_micros(bag.get(p.LAST_MODIFICATION_TIME, 0)):%Y-%m-%dT%H:%M:%SZ}", "END:VCARD"]
    )


def _event(bag: p.Bag, text: str, zone: str | None) -> Iterator[str]:
    yield "BEGIN:VEVENT"
    yield from _people(bag)
    yield f"SUMMARY:{escaped(bag.get(p.SUBJECT, ''))}"
    if text.strip():
        yield f"DESCRIPTION:{escaped(text.rstrip(chr(13) + chr(10)))}"
    yield f"UID:{escaped(bag.get(k.UID, ''))}"
    yield f"DTSTART{_moment(bag, bag[k.START], zone)}"
    yield f"DTEND{_moment(bag, bag[k.END], zone)}"
    yield f"DTSTAMP:{EXCHANGE.now():%Y%m%dT%H%M%SZ}"
    if k.ORIGINAL_START in bag:
        yield f"RECURRENCE-ID{_moment(bag, bag[k.ORIGINAL_START], zone)}"
    elif zone is not None:
        yield f"RRULE:{rule_text(bag[k.RECURRENCE])}"
        for number in bag.get(k.DELETED) or ():
            yield f"EXDATE{_moment(bag, original_start(bag, number), zone)}"
    yield f"CLASS:{_CLASSES.get(bag.get(p.SENSITIVITY, 0), 'PUBLIC')}"
    yield f"PRIORITY:{_PRIORITIES.get(bag.get(p.IMPORTANCE, 1), 5)}"
    yield f"SEQUENCE:{bag.get(k.SEQUENCE, 0)}"
    yield f"STATUS:{'CANCELLED' if bag.get(k.STATE, 0) & k.STATE_CANCELLED else 'CONFIRMED'}"
    busy = BUSY_NAMES.get(bag.get(k.BUSY_STATUS, 2), "BUSY")
    yield f"TRANSP:{'TRANSPARENT' if busy == 'FREE' else 'OPAQUE'}"
    yield f"X-MICROSOFT-CDO-BUSYSTATUS:{busy}"
    yield f"LOCATION:{escaped(bag.get(k.LOCATION, ''))}"
    if bag.get(p.KEYWORDS):
        yield "CATEGORIES:" + ",".join(map(escaped, bag[p.KEYWORDS]))
    if bag.get(p.REMINDER_SET):
        yield from ("BEGIN:VALARM", "ACTION:DISPLAY", "DESCRIPTION:REMINDER")
        yield f"TRIGGER;RELATED=START:-PT{bag.get(p.REMINDER_DELTA, 0)}M"
        yield "END:VALARM"
    yield "END:VEVENT"


def _people(bag: p.Bag) -> Iterator[str]:
    if not is_meeting(bag):
        return
    yield person("ORGANIZER", bag.get(p.SENT_REPRESENTING_NAME, ""), bag.get(p.SENT_REPRESENTING_ADDRESS, ""))
    for key, role in _ROLES:
        for name, address, response, _ in bag.get(key) or ():
            answer = _ANSWERS.get(response, "NEEDS-ACTION")
            yield person(f"ATTENDEE;ROLE={role};PARTSTAT={answer};RSVP=TRUE", name, address)


def _moment(bag: p.Bag, at: int, zone: str | None) -> str:
    """Return a time as a property has it: a series' in its own zone, for it keeps its hour when the clocks change."""
    moment = p.from_micros(at)
    try:
        local = moment.astimezone(zones.zone(zone or bag.get(k.START_ZONE)))
    except OverflowError:
        local, zone = moment, None
    if bag.get(k.ALL_DAY):
        return f";VALUE=DATE:{local:%Y%m%d}"
    if zone is None or zone == zones.UTC_NAME:
        return f":{moment:%Y%m%dT%H%M%SZ}"
    return f';TZID="{zone}":{local:%Y%m%dT%H%M%S}'


def _zone(name: str, year: int) -> Iterator[str]:
    if name == zones.UTC_NAME:
        return
    yield from ("BEGIN:VTIMEZONE", f"TZID:{name}")
    for change, before, after in zones.observances(name, year):
        local = (change + before).replace(tzinfo=None)
        observed = "DAYLIGHT" if after > before else "STANDARD"
        yield f"BEGIN:{observed}"
        if after == before:
            yield "DTSTART:16010101T000000"
        else:
            yield f"DTSTART:{local:%Y%m%dT%H%M%S}"
        yield f"TZOFFSETFROM:{_bias(before)}"
        yield f"TZOFFSETTO:{_bias(after)}"
        if after != before:
            day = f"{zones.week_of(local)}{_WEEKDAYS[local.weekday()]}"
            yield f"RRULE:FREQ=YEARLY;BYDAY={day};BYMONTH={local.month}"
        yield f"END:{observed}"
    yield "END:VTIMEZONE"


def _bias(offset: timedelta) -> str:
    minutes = int(offset.total_seconds()) // 60
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}{abs(minutes) % 60:02}"


def _mime_xml(content: bytes) -> str:
    return f'<t:MimeContent CharacterSet="UTF-8">{b64encode(content).decode()}</t:MimeContent>'


def _written(lines: list[str]) -> str:
    return "".join(f"{folded(line)}\r\n" for line in lines)
