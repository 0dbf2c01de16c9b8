"""What iCalendar parts say, and what is made of hostile ones."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice

from hypothesis import given
from hypothesis import strategies as st

from bridge.sandbox.ews.calendarfields import series
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.icalendar import bag_of, event_ics


def an_event(*lines: str) -> bytes:
    """Return a calendar with one event."""
    return "\r\n".join(["BEGIN:VCALENDAR", "BEGIN:VEVENT", *lines, "END:VEVENT", "END:VCALENDAR"]).encode()


def shown(bag: p.Bag, key: str) -> str:
    """Return a time of a bag, in UTC."""
    return f"{p.from_micros(bag[key]):%Y-%m-%d %H:%M}"


def test_times_are_read_in_every_form() -> None:
    """UTC, a zone by its IANA name, a whole day, a length in the place of an end."""
    in_zone = bag_of(an_event("DTSTART;TZID=Europe/Paris:20260701T090000", "DURATION:PT1H30M"))
    whole_day = bag_of(an_event("DTSTART;VALUE=DATE:20260701", "DTEND;VALUE=DATE:20260702"))

    assert (shown(in_zone, k.START), shown(in_zone, k.END)) == ("2026-07-01 07:00", "2026-07-01 08:30")
    assert (whole_day[k.ALL_DAY], shown(whole_day, k.END)) == (True, "2026-07-02 00:00")


def test_a_zone_that_only_the_calendar_knows_is_told_by_its_standard_time() -> None:
    """As Outlook names zones in words of its own."""
    zone = "BEGIN:VTIMEZONE\r\nTZID:Our zone\r\nBEGIN:STANDARD\r\nTZOFFSETTO:+0200\r\nEND:STANDARD\r\nEND:VTIMEZONE\r\n"
    event = an_event('DTSTART;TZID="Our zone":20260101T090000').replace(
        b"BEGIN:VEVENT", zone.encode() + b"BEGIN:VEVENT"
    )

    assert shown(bag_of(event), k.START) == "2026-01-01 07:00"


def test_people_and_long_lines_are_read() -> None:
    """Folded lines are one; what a person answered is told in the words of EWS."""
    bag = bag_of(
        an_event(
            'ATTENDEE;CN="Smith, Anna";PARTSTAT=ACCEPTED:mailto:anna@exam',
            " ple.net",
            "ATTENDEE;ROLE=OPT-PARTICIPANT:MAILTO:b@example.net",
            r"LOCATION:Room 1\, 2nd floor\nleft",
        )
    )

    assert bag[k.REQUIRED] == [["Smith, Anna", "anna@example.net", "Accept", None]]
    assert bag[k.OPTIONAL] == [["b@example.net", "b@example.net", "Unknown", None]]
    assert bag[k.LOCATION] == "Room 1, 2nd floor\nleft"


def test_what_is_written_is_read_as_it_was() -> None:
    """Names and places that need care included."""
    start = p.to_micros(datetime(2026, 3, 27, 8, tzinfo=UTC))
    bag: p.Bag = {
        p.SUBJECT: "a; b, c\\ d",
        k.LOCATION: "Räum 1;\nlinks, " + "ü" * 200,
        k.UID: "u-1",
        k.START: start,
        k.END: start + 3_600_000_000,
        k.RECURRENCE: {
            "pattern": ["WeeklyRecurrence", {"Interval": "2", "DaysOfWeek": "Monday Friday"}],
            "range": ["NumberedRecurrence", {"StartDate": "2026-03-27", "NumberOfOccurrences": "4"}],
        },
    }

    text = event_ics(bag, "REQUEST", attendees=[('An "na"\r\nX: y', "anna@example.net", "NEEDS-ACTION")])
    read = bag_of(text.encode())

    assert max(len(line.encode()) for line in text.split("\r\n")) <= 75
    assert {key: read[key] for key in (k.LOCATION, k.UID, k.START, k.END, k.RECURRENCE)} == {
        key: bag[key] for key in (k.LOCATION, k.UID, k.START, k.END, k.RECURRENCE)
    }
    assert "\r\nX: y" not in text


_WORDS = st.sampled_from([
    "BEGIN:VEVENT", "END:VEVENT", "BEGIN:VTIMEZONE", "TZID:X", "TZOFFSETTO:+9999",
    "DTSTART:20260101T250000Z",
    "DTSTART:20260101T080000Z", "DTEND:00010101T000000Z",
    "DTSTART;TZID=X:99991231T235959",
    "DURATION:P9999W",
    "DURATION:-P1D",
    "RRULE:FREQ=DAILY;INTERVAL=-1", "RRULE:FREQ=WEEKLY;BYDAY=XX,MO", "RRULE:FREQ=MONTHLY;BYMONTHDAY=²", "RRULE:COUNT",
    "RRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=0;UNTIL=20260230", "SEQUENCE:99999999999999999999",
    "SEQUENCE:x", "UID:\ud83d",
    'ATTENDEE;CN="', "ATTENDEE:", "LOCATION:\\", "RECURRENCE-ID:x",
])  # fmt: skip


@given(st.lists(st.one_of(_WORDS, st.text(max_size=40)), max_size=12))
def test_no_calendar_is_too_odd_to_be_read(lines: list[str]) -> None:
    """And whatever comes of it can be shown as a series."""
    bag = bag_of("\r\n".join(lines).encode("utf-8", "surrogatepass"))

    assert k.START not in bag or bag[k.END] >= bag[k.START]
    assert all(start <= end for _, start, end in islice(series(bag), 20))
