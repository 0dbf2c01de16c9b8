"""Calendars by themselves: what a mail about a meeting does when it arrives."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, T, item_ids, texts
from tests.unit.sandbox.ews.test_calendar import GUEST, at_nine, create, delivered, get, the_id

if TYPE_CHECKING:
    from lxml import etree

CANCEL = (
    '<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:Items><t:CancelCalendarItem><t:ReferenceItemId Id="{}"/>'
    "</t:CancelCalendarItem></m:Items></m:CreateItem>"
)


def found_in(ews: Ews, folder: str, user: str) -> etree._Element:
    return ews.call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>',
        user=user,
    )


def the_meeting(ews: Ews, user: str) -> etree._Element:
    """The one appointment of a calendar, whole."""
    return get(ews, the_id(found_in(ews, "calendar", user)), user=user)


def invited(ews: Ews) -> str:
    """An organizer's appointment whose invitation has arrived; its id."""
    made = ews.call(create(at_nine("<t:Location>Room 1</t:Location>" + GUEST), send="SendToAllAndSaveCopy"))
    assert delivered(ews) == [OTHER]
    return item_ids(made)[0][0]


def answer(ews: Ews, kind: str) -> None:
    invitation = item_ids(found_in(ews, "inbox", OTHER))[0][0]
    ews.call(
        f'<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:Items><t:{kind}><t:ReferenceItemId '
        f'Id="{invitation}"/></t:{kind}></m:Items></m:CreateItem>',
        user=OTHER,
    )
    assert delivered(ews) == [ADDRESS]


def calendar_mail(method: str, *, sender: str = "chief@b.example", **lines: str) -> bytes:
    given = {
        "UID": "meeting-1", "SEQUENCE": "0", "DTSTART": "20260327T080000Z", "DTEND": "20260327T083000Z",
        "ORGANIZER": "mailto:chief@b.example", "ATTENDEE": f"mailto:{ADDRESS}", **lines,
    }  # fmt: skip
    event = "".join(f"{name.replace('_', '-')}:{value}\r\n" for name, value in given.items() if value)
    calendar = f"BEGIN:VCALENDAR\r\nMETHOD:{method}\r\nBEGIN:VEVENT\r\n{event}END:VEVENT\r\nEND:VCALENDAR\r\n"
    return (
        f"From: {sender}\r\nTo: {ADDRESS}\r\nSubject: Stand-up\r\n"
        f"Content-Type: text/calendar; method={method}\r\n\r\n{calendar}"
    ).encode()


def test_an_invitation_is_in_its_guests_calendar_before_anybody_accepts_it(ews: Ews) -> None:
    invited(ews)

    meeting = the_meeting(ews, OTHER)
    mail = get(ews, the_id(found_in(ews, "inbox", OTHER)), user=OTHER)

    assert texts(meeting, "MyResponseType") == ["NoResponseReceived"]
    assert (texts(meeting, "LegacyFreeBusyStatus"), texts(meeting, "Location")) == (["Tentative"], ["Room 1"])
    assert texts(meeting, "Start") == ["2026-03-27T08:00:00Z"]
    (about,) = mail.iter(T + "AssociatedCalendarItemId")
    (its_id,) = (one.get("Id") for one in meeting.iter(T + "ItemId"))
    assert (about.get("Id"), texts(mail, "HasBeenProcessed")) == (its_id, ["true"])


@pytest.mark.parametrize(
    ("kind", "response"), [("AcceptItem", "Accept"), ("TentativelyAcceptItem", "Tentative"), ("DeclineItem", "Decline")]
)
def test_an_answer_is_noted_in_the_organizers_calendar(ews: Ews, kind: str, response: str) -> None:
    invited(ews)

    answer(ews, kind)

    (guest,) = the_meeting(ews, ADDRESS).iter(T + "Attendee")
    assert [one.text for one in guest.iter(T + "ResponseType")] == [response]
    assert list(guest.iter(T + "LastResponseTime"))
    if kind != "DeclineItem":
        assert texts(the_meeting(ews, OTHER), "MyResponseType") == [response]
    else:
        assert item_ids(found_in(ews, "calendar", OTHER)) == []


def test_a_meeting_that_is_called_off_is_cancelled_in_its_guests_calendar(ews: Ews) -> None:
    meeting = invited(ews)

    assert ews.codes(CANCEL.format(meeting)) == ["NoError"]
    assert delivered(ews) == [OTHER]

    seen = the_meeting(ews, OTHER)
    assert (texts(seen, "IsCancelled"), texts(seen, "LegacyFreeBusyStatus")) == (["true"], ["Free"])
    assert texts(seen, "Subject") == ["Canceled: Stand-up"]


def test_a_meeting_that_moves_is_unanswered_again(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, calendar_mail("REQUEST"))
    first = the_id(found_in(ews, "calendar", ADDRESS))

    ews.store.deliver(ADDRESS, calendar_mail("REQUEST", SEQUENCE="1", DTSTART="20260327T090000Z", DTEND=""))

    assert the_id(found_in(ews, "calendar", ADDRESS)).partition("ChangeKey")[0] == first.partition("ChangeKey")[0]
    seen = the_meeting(ews, ADDRESS)
    assert (texts(seen, "Start"), texts(seen, "MyResponseType")) == (["2026-03-27T09:00:00Z"], ["NoResponseReceived"])


@pytest.mark.parametrize(
    "mail",
    [
        calendar_mail("REQUEST", SEQUENCE="-1", DTSTART="20270101T000000Z", DTEND=""),  # older than what is known
        calendar_mail("REQUEST", SEQUENCE="9", DTSTART="20270101T000000Z", DTEND="", sender="thief@c.example"),
        calendar_mail("CANCEL", sender="thief@c.example"),
        calendar_mail("CANCEL", UID="meeting-2"),
        calendar_mail("REPLY"),
    ],
)
def test_a_mail_of_others_or_of_long_ago_changes_nothing(ews: Ews, mail: bytes) -> None:
    ews.store.deliver(ADDRESS, calendar_mail("REQUEST"))
    before = the_id(found_in(ews, "calendar", ADDRESS))

    ews.store.deliver(ADDRESS, mail)

    assert the_id(found_in(ews, "calendar", ADDRESS)) == before


@pytest.mark.parametrize(
    "mail",
    [
        calendar_mail("REQUEST", UID=""),
        calendar_mail("REQUEST", DTSTART="", DTEND=""),
        calendar_mail("REQUEST", DTEND="44990101T000000Z"),
        calendar_mail("REQUEST", RECURRENCE_ID="20260327T080000Z"),
        calendar_mail("REQUEST", sender=ADDRESS),
        calendar_mail("CANCEL"),
        calendar_mail("REPLY"),
        calendar_mail("PUBLISH"),
    ],
)
def test_what_makes_no_appointment_arrives_all_the_same(ews: Ews, mail: bytes) -> None:
    made = ews.store.deliver(ADDRESS, mail)

    assert ews.store.mime(ADDRESS, made.item_id) == mail
    assert item_ids(found_in(ews, "calendar", ADDRESS)) == []


def test_the_bytes_of_an_invitation_stay(ews: Ews) -> None:
    mail = calendar_mail("REQUEST")

    made = ews.store.deliver(ADDRESS, mail)

    assert ews.store.mime(ADDRESS, made.item_id) == mail
    assert len(item_ids(found_in(ews, "calendar", ADDRESS))) == 1


def test_a_mail_arrives_whatever_a_calendar_makes_of_it(ews: Ews) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError

    ews.store.attend_by(fail)

    made = ews.store.deliver(ADDRESS, calendar_mail("REQUEST"))

    assert ews.store.mime(ADDRESS, made.item_id) == calendar_mail("REQUEST")
