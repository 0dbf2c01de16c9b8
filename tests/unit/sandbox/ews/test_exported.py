"""The MimeContent of what is no mail, and headers that are asked for by name."""

from __future__ import annotations

from base64 import b64decode

import pytest

from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.icalendar import bag_of
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, M, T, a_mail, item_ids, texts

_PARIS = '<t:StartTimeZone Id="Romance Standard Time"/>'


def _mime(ews: Ews, item: str) -> str:
    answer = ews.call(
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>"
        f'</m:ItemShape><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    text = b64decode(texts(answer, "MimeContent")[0]).decode()
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))
    return text.replace("\r\n ", "")


def _made(ews: Ews, kind: str, content: str) -> str:
    invitations = ' SendMeetingInvitations="SendToNone"' if kind == "CalendarItem" else ""
    request = f"<m:CreateItem{invitations}><m:Items><t:{kind}>{content}</t:{kind}></m:Items></m:CreateItem>"
    return item_ids(ews.call(request))[0][0]


def _series(recurrence: str, start: str = "2026-03-27T09:00:00") -> str:
    return (
        f"<t:Subject>Shift</t:Subject><t:Start>{start}</t:Start><t:End>{start.replace('T09', 'T10')}</t:End>"
        f"<t:Recurrence>{recurrence}<t:NumberedRecurrence><t:StartDate>2026-03-27</t:StartDate>"
        f"<t:NumberOfOccurrences>5</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>{_PARIS}"
    )


def test_an_appointment_is_a_calendar_that_reads_back(ews: Ews) -> None:
    item = _made(
        ews,
        "CalendarItem",
        "<t:Subject>Über; den, Platz \\ hin</t:Subject><t:Body BodyType=\"Text\">One\nTwo</t:Body>"
        "<t:ReminderIsSet>true</t:ReminderIsSet><t:ReminderMinutesBeforeStart>15</t:ReminderMinutesBeforeStart>"
        "<t:Start>2026-07-01T09:00:00Z</t:Start><t:End>2026-07-01T10:30:00Z</t:End>"
        "<t:LegacyFreeBusyStatus>Free</t:LegacyFreeBusyStatus><t:Location>Hangar 7</t:Location>",
    )  # fmt: skip

    text = _mime(ews, item)

    read = bag_of(text.encode())
    assert (f"{p.from_micros(read[k.START]):%d %H:%M}", f"{p.from_micros(read[k.END]):%d %H:%M}") == (
        "01 09:00", "01 10:30",
    )  # fmt: skip
    assert read[k.LOCATION] == "Hangar 7"
    lines = text.splitlines()
    assert {"SUMMARY:Über\\; den\\, Platz \\\\ hin", "DESCRIPTION:One\\nTwo", "TRANSP:TRANSPARENT"} <= set(lines)
    assert "TRIGGER;RELATED=START:-PT15M" in lines
    assert not [line for line in lines if line.startswith(("ORGANIZER", "ATTENDEE", "RRULE"))]


def test_a_series_keeps_its_hour_when_the_clocks_change(ews: Ews) -> None:
    """The zone's own rule is told, for 2026-03-29 is between the first and the last."""
    item = _made(
        ews, "CalendarItem", _series("<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>")
    )  # fmt: skip

    lines = _mime(ews, item).splitlines()

    assert 'DTSTART;TZID="Romance Standard Time":20260327T090000' in lines
    assert "RRULE:FREQ=DAILY;INTERVAL=1;COUNT=5" in lines
    begin = lines.index("BEGIN:DAYLIGHT")
    assert lines[begin + 1 : begin + 5] == [
        "DTSTART:20260329T020000",
        "TZOFFSETFROM:+0100",
        "TZOFFSETTO:+0200",
        "RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3",
    ]


def test_a_series_tells_what_was_left_out_and_what_was_changed(ews: Ews) -> None:
    item = _made(
        ews, "CalendarItem", _series("<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>")
    )  # fmt: skip
    occurrence = '<t:OccurrenceItemId RecurringMasterId="{}" InstanceIndex="{}"/>'
    ews.call(
        '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone"><m:ItemIds>'
        f"{occurrence.format(item, 2)}</m:ItemIds></m:DeleteItem>"
    )
    ews.call(
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" SendMeetingInvitationsOrCancellations="SendToNone">'
        f"<m:ItemChanges><t:ItemChange>{occurrence.format(item, 3)}<t:Updates><t:SetItemField>"
        '<t:FieldURI FieldURI="item:Subject"/><t:CalendarItem><t:Subject>Late shift</t:Subject></t:CalendarItem>'
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )

    lines = _mime(ews, item).splitlines()

    assert 'EXDATE;TZID="Romance Standard Time":20260328T090000' in lines
    assert lines.count("BEGIN:VEVENT") == 2
    changed = lines[lines.index("SUMMARY:Late shift") :]
    assert 'RECURRENCE-ID;TZID="Romance Standard Time":20260329T090000' in changed
    assert not [line for line in changed if line.startswith("RRULE")]


def test_a_contact_is_a_card(ews: Ews) -> None:
    item = _made(
        ews,
        "Contact",
        "<t:FileAs>Lovelace, Ada</t:FileAs><t:DisplayName>Ada Lovelace</t:DisplayName><t:GivenName>Ada</t:GivenName>"
        "<t:CompanyName>Engines; Ltd</t:CompanyName>"
        '<t:EmailAddresses><t:Entry Key="EmailAddress1">ada@example.net</t:Entry></t:EmailAddresses>'
        '<t:PhysicalAddresses><t:Entry Key="Home"><t:Street>1 St James</t:Street><t:City>London</t:City></t:Entry>'
        '</t:PhysicalAddresses><t:PhoneNumbers><t:Entry Key="MobilePhone">+44 1</t:Entry></t:PhoneNumbers>'
        "<t:Surname>Lovelace</t:Surname>",
    )

    lines = _mime(ews, item).splitlines()

    assert (lines[:2], lines[-1]) == (["BEGIN:VCARD", "VERSION:3.0"], "END:VCARD")
    assert {
        "FN:Ada Lovelace", "N:Lovelace;Ada;;;", "ORG:Engines\\; Ltd;", "EMAIL;TYPE=INTERNET:ada@example.net",
        "TEL;TYPE=CELL:+44 1", "ADR;TYPE=HOME:;;1 St James;London;;;",
    } <= set(lines)  # fmt: skip


def _headers(ews: Ews, item: str, *names: str, base: str = "IdOnly", finding: bool = False) -> str:
    paths = "".join(f'<t:IndexedFieldURI FieldURI="item:InternetMessageHeader" FieldIndex="{name}"/>' for name in names)
    shape = (
        f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape><t:AdditionalProperties>{paths}</t:AdditionalProperties>"
        "</m:ItemShape>"
    )
    if finding:
        inbox = '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds>'
        return f'<m:FindItem Traversal="Shallow">{shape}{inbox}</m:FindItem>'
    return f'<m:GetItem>{shape}<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'


@pytest.mark.parametrize(
    ("asked", "shown"),
    [(["subject", "X-None"], ["Subject"]), (["X-None"], []), (["Subject", "FROM"], ["From", "Subject"])],
)
def test_headers_that_are_named_come_alone(ews: Ews, asked: list[str], shown: list[str]) -> None:
    mail = ews.store.deliver(ADDRESS, a_mail(1))

    answer = ews.call(_headers(ews, mail.item_id, *asked))

    assert sorted(str(one.get("HeaderName")) for one in answer.iter(T + "InternetMessageHeader")) == shown


def test_headers_that_are_named_beside_all_are_all(ews: Ews) -> None:
    mail = ews.store.deliver(ADDRESS, a_mail(1))

    answer = ews.call(_headers(ews, mail.item_id, "Subject", base="AllProperties"))

    assert len(list(answer.iter(T + "InternetMessageHeader"))) > 1
    assert len(list(answer.iter(T + "InternetMessageHeaders"))) == 1


def test_headers_are_fetched_and_not_found(ews: Ews) -> None:
    answer = ews.call(_headers(ews, "", "Subject", finding=True))

    assert next(answer.iter(M + "ResponseCode")).text == "ErrorInvalidPropertyRequest"


def test_a_mail_that_calls_itself_an_appointment_stays_a_mail(ews: Ews) -> None:
    made = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:ItemClass>IPM.Appointment</t:ItemClass>'
        "<t:Subject>x</t:Subject></t:Message></m:Items></m:CreateItem>"
    )

    assert "Subject: x" in _mime(ews, item_ids(made)[0][0]).splitlines()


@pytest.mark.parametrize("moment", ["1601-01-01T00:00:00Z", "4500-08-31T23:59:00Z"])
def test_times_at_the_ends_of_exchanges_calendar_are_told(ews: Ews, moment: str) -> None:
    item = _made(
        ews, "CalendarItem", _series("<t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence>")
    )  # fmt: skip
    start = (
        '<t:ExtendedFieldURI DistinguishedPropertySetId="Appointment" PropertyId="33293" PropertyType="SystemTime"/>'
    )
    ews.call(
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" SendMeetingInvitationsOrCancellations="SendToNone">'
        f'<m:ItemChanges><t:ItemChange><t:ItemId Id="{item}"/><t:Updates><t:SetItemField>{start}<t:CalendarItem>'
        f"<t:ExtendedProperty>{start}<t:Value>{moment}</t:Value></t:ExtendedProperty></t:CalendarItem>"
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )

    assert "BEGIN:VEVENT" in _mime(ews, item).splitlines()
