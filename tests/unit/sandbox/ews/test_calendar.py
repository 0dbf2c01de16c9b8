# ruff: noqa: E501 - requests stand here as they go over the wire
"""Appointments: kept, found, changed, in series, in time zones, and as meetings that mails tell of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, M, T, a_mail, item_ids, texts

if TYPE_CHECKING:
    from lxml import etree

CALENDAR = '<m:ParentFolderIds><t:DistinguishedFolderId Id="calendar"/></m:ParentFolderIds>'
DAILY = (
    "<t:Recurrence><t:DailyRecurrence><t:Interval>1</t:Interval></t:DailyRecurrence><t:NumberedRecurrence>"
    "<t:StartDate>2026-03-27</t:StartDate><t:NumberOfOccurrences>4</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
)
GUEST = f"<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>{OTHER}</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"


def create(inner: str, *, send: str = "SendToNone", kind: str = "CalendarItem") -> str:
    """Return a CreateItem request for one item."""
    return f'<m:CreateItem SendMeetingInvitations="{send}" MessageDisposition="SaveOnly"><m:Items><t:{kind}>{inner}</t:{kind}></m:Items></m:CreateItem>'


def times(start: str, end: str) -> str:
    """Return Start and End."""
    return f"<t:Start>{start}</t:Start><t:End>{end}</t:End>"


def at_nine(more: str = "", *, zone: str = "Romance Standard Time") -> str:
    """Return an appointment from nine to ten in the morning of 27 March 2026, two days before the clocks change."""
    return f'<t:Subject>Stand-up</t:Subject>{times("2026-03-27T09:00:00", "2026-03-27T10:00:00")}{more}<t:StartTimeZone Id="{zone}"/>'


def get(ews: Ews, identifier: str, shape: str = "AllProperties", *paths: str, user: str = ADDRESS) -> etree._Element:
    """Return the answer of GetItem for one id element."""
    named = "".join(f'<t:FieldURI FieldURI="{path}"/>' for path in paths)
    more = f"<t:AdditionalProperties>{named}</t:AdditionalProperties>" if named else ""
    return ews.call(
        f"<m:GetItem><m:ItemShape><t:BaseShape>{shape}</t:BaseShape>{more}</m:ItemShape><m:ItemIds>{identifier}</m:ItemIds></m:GetItem>",
        user=user,
    )


def the_id(answer: etree._Element) -> str:
    """Return the first ItemId of an answer, as an element."""
    identifier, key = item_ids(answer)[0]
    return f'<t:ItemId Id="{identifier}" ChangeKey="{key}"/>'


def view(ews: Ews, start: str, end: str, *, user: str = ADDRESS) -> etree._Element:
    """Return the answer of FindItem by a CalendarView."""
    shape = '<m:ItemShape><t:BaseShape>Default</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="calendar:OriginalStart"/></t:AdditionalProperties></m:ItemShape>'
    return ews.call(
        f'<m:FindItem Traversal="Shallow">{shape}<m:CalendarView StartDate="{start}" EndDate="{end}"/>{CALENDAR}</m:FindItem>',
        user=user,
    )


def update(identifier: str, *updates: str, send: str = "SendToNone") -> str:
    """Return an UpdateItem request."""
    return (
        f'<m:UpdateItem ConflictResolution="AutoResolve" MessageDisposition="SaveOnly" SendMeetingInvitationsOrCancellations="{send}"><m:ItemChanges><t:ItemChange>'
        f"{identifier}<t:Updates>{''.join(updates)}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def setting(uri: str, element: str) -> str:
    """Return a SetItemField of a calendar item."""
    return f'<t:SetItemField><t:FieldURI FieldURI="{uri}"/><t:CalendarItem>{element}</t:CalendarItem></t:SetItemField>'


def delete(identifier: str, send: str = "SendToNone") -> str:
    """Return a DeleteItem request."""
    return f'<m:DeleteItem DeleteType="MoveToDeletedItems" SendMeetingCancellations="{send}"><m:ItemIds>{identifier}</m:ItemIds></m:DeleteItem>'


def test_an_appointment_comes_back_as_it_was_made(ews: Ews) -> None:
    """Its class, its time in UTC, its zone, and what Exchange says of every appointment."""
    made = ews.call(
        create(at_nine("<t:LegacyFreeBusyStatus>OOF</t:LegacyFreeBusyStatus><t:Location>Room 1</t:Location>"))
    )

    answer = get(ews, the_id(made), "AllProperties", "calendar:StartTimeZone")

    assert [node.tag for node in next(answer.iter(M + "Items"))] == [T + "CalendarItem"]
    assert texts(answer, "ItemClass") == ["IPM.Appointment"]
    assert (texts(answer, "Start"), texts(answer, "End")) == (["2026-03-27T08:00:00Z"], ["2026-03-27T09:00:00Z"])
    assert (texts(answer, "LegacyFreeBusyStatus"), texts(answer, "Location")) == (["OOF"], ["Room 1"])
    assert (texts(answer, "CalendarItemType"), texts(answer, "MyResponseType")) == (["Single"], ["Organizer"])
    assert (texts(answer, "Duration"), texts(answer, "IsMeeting"), texts(answer, "IsDraft")) == (
        ["PT1H"],
        ["false"],
        ["false"],
    )
    assert texts(answer, "StartTimeZoneId") == ["Romance Standard Time"]
    assert texts(answer, "UID")[0].startswith("040000008200E00074C5B7101A82E008")


def test_the_default_shape_of_an_appointment_is_not_that_of_a_mail(ews: Ews) -> None:
    """As the documentation lists it, in the schema's order."""
    made = ews.call(create(at_nine("<t:Location>Room 1</t:Location>")))

    item = next(get(ews, the_id(made), "Default").iter(T + "CalendarItem"))

    assert [str(node.tag).removeprefix(T) for node in item] == [
        "ItemId", "Subject", "ResponseObjects", "HasAttachments", "Start", "End", "LegacyFreeBusyStatus", "Location",
        "CalendarItemType", "Organizer",
    ]  # fmt: skip


def test_times_without_a_zone_are_meant_in_the_zone_of_the_request(ews: Ews) -> None:
    """Unless the appointment names its own; and an unknown zone is a mistake of the whole request."""
    inner = times("2026-07-01T09:00:00", "2026-07-01T10:00:00")
    header = '<t:TimeZoneContext><t:TimeZoneDefinition Id="{}"/></t:TimeZoneContext>'

    made = ews.call(create(inner), header=header.format("Tokyo Standard Time"))
    answer = get(ews, the_id(made), "AllProperties", "calendar:StartTimeZone")

    in_utc = ews.call(create(inner.replace("00</", "00Z</")), header=header.format("Tokyo Standard Time"))

    assert texts(answer, "Start") == ["2026-07-01T00:00:00Z"]
    assert texts(get(ews, the_id(in_utc)), "Start") == ["2026-07-01T09:00:00Z"]
    assert texts(answer, "StartTimeZoneId") == ["Tokyo Standard Time"]
    assert ews.codes(create(inner), header=header.format("Middle of Nowhere")) == ["ErrorTimeZone"]


def test_all_day_appointments_begin_and_end_at_midnight_of_their_zone(ews: Ews) -> None:
    """Whatever times were given."""
    made = ews.call(
        create(
            f'{times("2026-03-27T09:00:00", "2026-03-28T10:00:00")}<t:IsAllDayEvent>true</t:IsAllDayEvent><t:StartTimeZone Id="Romance Standard Time"/>'
        )
    )

    answer = get(ews, the_id(made))

    assert (texts(answer, "Start"), texts(answer, "End")) == (["2026-03-26T23:00:00Z"], ["2026-03-28T23:00:00Z"])


@pytest.mark.parametrize(
    ("inner", "code"),
    [
        (times("2026-03-27T09:00:00Z", "2026-03-27T08:00:00Z"), "ErrorCalendarEndDateIsEarlierThanStartDate"),
        (times("2026-03-27T09:00:00Z", "2036-03-27T08:00:00Z"), "ErrorCalendarDurationIsTooLong"),
        (DAILY.replace("<t:Interval>1<", "<t:Interval>0<"), "ErrorCalendarInvalidRecurrence"),
        (DAILY.replace(">4<", ">100000<"), "ErrorCalendarInvalidRecurrence"),
        (
            "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:Name>x</t:Name></t:Mailbox></t:Attendee></t:RequiredAttendees>",
            "ErrorInvalidRecipients",
        ),
        ("<t:MimeContent>QUJD</t:MimeContent>", "ErrorUnsupportedMimeConversion"),
        ('<t:StartTimeZone Id="Nowhere"/>', "ErrorTimeZone"),
        (times("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"), "ErrorInvalidPropertySet"),
        (times("2026-03-27T09:00:00Z", "9999-12-31T23:59:59Z"), "ErrorInvalidPropertySet"),
        (times("12026-03-27T09:00:00Z", "2026-03-27T09:00:00Z"), "ErrorInvalidPropertySet"),
        (DAILY.replace("2026", "0001"), "ErrorCalendarInvalidRecurrence"),
        ("<t:IsMeeting>true</t:IsMeeting>", "ErrorInvalidPropertySet"),
    ],
)
def test_an_appointment_that_makes_no_sense_is_refused(ews: Ews, inner: str, code: str) -> None:
    """And nothing of it is kept."""
    assert ews.codes(create(inner)) == [code]
    assert ews.store.mails(ADDRESS, "calendar", offset=0, limit=1).total == 0


def test_an_appointment_belongs_into_a_calendar_and_must_say_what_is_sent(ews: Ews) -> None:
    """Exchange's refusals for both."""
    in_inbox = create(at_nine()).replace(
        "<m:Items>", '<m:SavedItemFolderId><t:DistinguishedFolderId Id="inbox"/></m:SavedItemFolderId><m:Items>'
    )

    assert ews.codes(in_inbox) == ["ErrorCannotCreateCalendarItemInNonCalendarFolder"]
    assert ews.codes(create(at_nine()).replace(' SendMeetingInvitations="SendToNone"', "")) == [
        "ErrorSendMeetingInvitationsRequired"
    ]


def test_properties_of_an_appointment_are_set_appended_and_deleted(ews: Ews) -> None:
    """Those of other kinds of items are refused."""
    identifier = the_id(ews.call(create(at_nine("<t:Location>Room 1</t:Location>" + GUEST))))
    another = "<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>x@example.net</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>"

    codes = ews.codes(
        update(
            identifier,
            setting("calendar:Start", "<t:Start>2026-03-27T08:30:00Z</t:Start>"),
            '<t:DeleteItemField><t:FieldURI FieldURI="calendar:Location"/></t:DeleteItemField>',
            f'<t:AppendToItemField><t:FieldURI FieldURI="calendar:RequiredAttendees"/><t:CalendarItem>{another}</t:CalendarItem></t:AppendToItemField>',
        )
    )
    answer = get(ews, identifier)

    assert codes == ["NoError"]
    assert (texts(answer, "Start"), texts(answer, "Location"), texts(answer, "IsMeeting")) == (
        ["2026-03-27T08:30:00Z"],
        [],
        ["true"],
    )
    assert [node.findtext(f"{T}Mailbox/{T}EmailAddress") for node in answer.iter(T + "Attendee")] == [
        OTHER,
        "x@example.net",
    ]
    assert texts(answer, "DisplayTo") == [f"{OTHER}; x@example.net"]
    assert ews.codes(update(identifier, setting("contacts:GivenName", "<t:Location>x</t:Location>"))) == [
        "ErrorInvalidPropertySet"
    ]


def test_a_view_shows_every_occurrence_at_its_local_time(ews: Ews) -> None:
    """Nine o'clock stays nine o'clock when the clocks go forward."""
    ews.call(create(at_nine(DAILY)))
    ews.call(create(f"<t:Subject>Once</t:Subject>{times('2026-03-28T12:00:00Z', '2026-03-28T13:00:00Z')}"))

    shown = view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")

    assert texts(shown, "Subject") == ["Stand-up", "Stand-up", "Once", "Stand-up", "Stand-up"]
    assert texts(shown, "Start") == [
        "2026-03-27T08:00:00Z", "2026-03-28T08:00:00Z", "2026-03-28T12:00:00Z", "2026-03-29T07:00:00Z", "2026-03-30T07:00:00Z",
    ]  # fmt: skip
    assert texts(shown, "CalendarItemType")[:3] == ["Occurrence", "Occurrence", "Single"]
    assert texts(view(ews, "2026-03-27T09:00:00Z", "2026-03-28T08:00:00Z"), "Start") == ["2026-03-27T08:00:00Z"]


def test_one_occurrence_changes_and_another_goes_while_the_series_stays(ews: Ews) -> None:
    """The master tells of both; what is done to an occurrence is not done to the master."""
    identifier = the_id(ews.call(create(at_nine(DAILY))))
    ids = [f'<t:ItemId Id="{one}"/>' for one, _ in item_ids(view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"))]
    master = item_ids(get(ews, identifier, "IdOnly"))[0][0]

    changed = ews.codes(
        update(
            ids[1].replace("/>", ' ChangeKey="CQAAAA=="/>'),
            setting("calendar:Location", "<t:Location>Roof</t:Location>"),
        )
    )
    deleted = ews.codes(delete(f'<t:OccurrenceItemId RecurringMasterId="{master}" InstanceIndex="3"/>'))
    whole = get(ews, identifier)

    assert (changed, deleted) == (["NoError"], ["NoError"])
    assert [node.findtext(T + "OriginalStart") for node in next(whole.iter(T + "ModifiedOccurrences"))] == [
        "2026-03-28T08:00:00Z"
    ]
    assert [node.findtext(T + "Start") for node in whole.iter(T + "DeletedOccurrence")] == ["2026-03-29T07:00:00Z"]
    assert (texts(whole, "Location"), texts(whole, "CalendarItemType")) == ([], ["RecurringMaster"])
    shown = view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z")
    assert texts(shown, "CalendarItemType") == ["Occurrence", "Exception", "Occurrence"]
    assert texts(shown, "Location") == ["Roof"]
    assert ews.codes(delete(ids[2])) == ["ErrorCalendarOccurrenceIsDeletedFromRecurrence"]
    assert (
        item_ids(get(ews, f'<t:RecurringMasterItemId OccurrenceId="{item_ids(shown)[0][0]}"/>', "IdOnly"))[0][0]
        == master
    )


def test_a_view_finds_an_occurrence_that_was_moved_into_it_from_afar(ews: Ews) -> None:
    """And not where it was before."""
    ews.call(create(at_nine(DAILY)))
    first = item_ids(view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"))[0]
    moved = (
        setting("calendar:Start", "<t:Start>2026-06-01T08:00:00Z</t:Start>"),
        setting("calendar:End", "<t:End>2026-06-01T09:00:00Z</t:End>"),
    )

    ews.call(update(f'<t:ItemId Id="{first[0]}" ChangeKey="{first[1]}"/>', *moved))

    assert texts(view(ews, "2026-06-01T00:00:00Z", "2026-06-02T00:00:00Z"), "OriginalStart") == ["2026-03-27T08:00:00Z"]
    assert len(texts(view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"), "Start")) == 3


def test_an_occurrence_that_would_end_before_it_begins_is_refused(ews: Ews) -> None:
    """And stays as it was."""
    ews.call(create(at_nine(DAILY)))
    first = item_ids(view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"))[0]

    late = update(
        f'<t:ItemId Id="{first[0]}" ChangeKey="{first[1]}"/>',
        setting("calendar:Start", "<t:Start>2026-03-27T12:00:00Z</t:Start>"),
    )

    assert ews.codes(late) == ["ErrorCalendarEndDateIsEarlierThanStartDate"]
    assert texts(view(ews, "2026-03-01T00:00:00Z", "2026-03-28T00:00:00Z"), "Start") == ["2026-03-27T08:00:00Z"]


def test_odd_values_that_were_set_by_number_can_be_read(ews: Ews) -> None:
    """A response that is none, a time that is in no calendar."""
    odd = "".join(
        f'<t:ExtendedProperty><t:ExtendedFieldURI DistinguishedPropertySetId="Appointment" PropertyId="{number}" PropertyType="{kind}"/><t:Value>{value}</t:Value></t:ExtendedProperty>'
        for number, kind, value in ((0x8218, "Integer", "99"), (0x8205, "Integer", "-7"))
    )
    made = ews.call(create(odd + times("2026-03-27T09:00:00Z", "2026-03-27T10:00:00Z")))

    assert texts(get(ews, the_id(made)), "MyResponseType") == ["Unknown"]


def test_an_occurrence_is_nothing_that_can_be_moved_sent_or_attached_to(ews: Ews) -> None:
    """Each would act on the whole series."""
    ews.call(create(at_nine(DAILY)))
    identifier, _ = item_ids(view(ews, "2026-03-01T00:00:00Z", "2026-04-01T00:00:00Z"))[0]
    moved = f'<m:MoveItem><m:ToFolderId><t:DistinguishedFolderId Id="deleteditems"/></m:ToFolderId><m:ItemIds><t:ItemId Id="{identifier}"/></m:ItemIds></m:MoveItem>'

    assert ews.codes(moved) == ["ErrorCalendarCannotMoveOrCopyOccurrence"]
    assert ews.store.mails(ADDRESS, "calendar", offset=0, limit=1).total == 1


@pytest.mark.parametrize(
    ("identifier", "code"),
    [
        (
            '<t:OccurrenceItemId RecurringMasterId="{0}" InstanceIndex="5"/>',
            "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
        ),
        (
            '<t:OccurrenceItemId RecurringMasterId="{0}" InstanceIndex="0"/>',
            "ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange",
        ),
        ('<t:OccurrenceItemId RecurringMasterId="{1}" InstanceIndex="1"/>', "ErrorCalendarCannotUseIdForOccurrenceId"),
        ('<t:RecurringMasterItemId OccurrenceId="{0}"/>', "ErrorCalendarCannotUseIdForRecurringMasterId"),
        ('<t:OccurrenceItemId RecurringMasterId="zzz" InstanceIndex="1"/>', "ErrorInvalidIdMalformed"),
    ],
)
def test_ids_of_occurrences_that_are_none_are_refused(ews: Ews, identifier: str, code: str) -> None:
    """Each with the code that Exchange has for it."""
    series = item_ids(ews.call(create(at_nine(DAILY))))[0][0]
    single = item_ids(ews.call(create(at_nine())))[0][0]

    answer = get(ews, identifier.format(series, single))

    assert [node.text for node in answer.iter(M + "ResponseCode")] == [code]


@pytest.mark.parametrize(
    ("attributes", "folder", "code"),
    [
        (
            'StartDate="2026-03-02T00:00:00Z" EndDate="2026-03-01T00:00:00Z"',
            "calendar",
            "ErrorCalendarEndDateIsEarlierThanStartDate",
        ),
        ('StartDate="2026-03-02T00:00:00Z" EndDate="2029-03-01T00:00:00Z"', "calendar", "ErrorCalendarViewRangeTooBig"),
        (
            'StartDate="2026-03-02T00:00:00Z" EndDate="2026-03-03T00:00:00Z"',
            "inbox",
            "ErrorCalendarFolderIsInvalidForCalendarView",
        ),
        (
            'MaxEntriesReturned="0" StartDate="2026-03-02T00:00:00Z" EndDate="2026-03-03T00:00:00Z"',
            "calendar",
            "ErrorInvalidPagingMaxRows",
        ),
    ],
)
def test_views_that_cannot_be_shown_are_refused(ews: Ews, attributes: str, folder: str, code: str) -> None:
    """Each with the code that Exchange has for it."""
    assert ews.codes(
        f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:CalendarView {attributes}/>{CALENDAR.replace("calendar", folder)}</m:FindItem>'
    ) == [code]


def delivered(ews: Ews) -> list[str]:
    """Deliver what was sent to the mailboxes of its recipients; returns their addresses."""
    to: list[str] = []
    while ews.submitted:
        mail = ews.submitted.pop(0)
        ews.store.settle(mail.submission, [(one, mail.mime) for one in mail.recipients])
        to.extend(mail.recipients)
    return to


def test_an_invitation_is_a_meeting_request_and_its_answer_a_meeting_response(ews: Ews) -> None:
    """The guest's calendar has the meeting once it is accepted, and the organizer a mail that says so."""
    ews.call(create(at_nine("<t:Location>Room 1</t:Location>" + GUEST), send="SendToAllAndSaveCopy"))
    assert delivered(ews) == [OTHER]
    found = ews.call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>',
        user=OTHER,
    )
    invitation = get(ews, the_id(found), user=OTHER)

    accept = f'<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:Items><t:AcceptItem><t:ReferenceItemId Id="{item_ids(found)[0][0]}"/></t:AcceptItem></m:Items></m:CreateItem>'
    accepted = ews.call(accept, user=OTHER)

    assert texts(invitation, "ItemClass") == ["IPM.Schedule.Meeting.Request"]
    assert (texts(invitation, "Start"), texts(invitation, "Location")) == (["2026-03-27T08:00:00Z"], ["Room 1"])
    assert [node.tag for node in next(accepted.iter(M + "Items"))] == [T + "CalendarItem", T + "MeetingRequest"]
    mine = get(ews, the_id(accepted), user=OTHER)
    assert (texts(mine, "MyResponseType"), texts(mine, "Start")) == (["Accept"], ["2026-03-27T08:00:00Z"])
    assert ews.codes(accept, user=OTHER) == ["ErrorItemNotFound"], "the invitation has gone to Deleted Items"
    assert delivered(ews) == [ADDRESS]
    response = ews.store.mails(ADDRESS, "inbox", offset=0, limit=1).mails[0]
    assert (response.item_class, response.subject) == ("IPM.Schedule.Meeting.Resp.Pos", "Accepted: Stand-up")


def test_a_meeting_called_off_tells_its_guests(ews: Ews) -> None:
    """By CancelCalendarItem, and by DeleteItem where that says so; nobody is told of an appointment of one's own."""
    first = item_ids(ews.call(create(at_nine(GUEST), send="SendOnlyToAll")))[0][0]
    second = item_ids(ews.call(create(at_nine(GUEST))))[0][0]
    alone = item_ids(ews.call(create(at_nine())))[0][0]
    delivered(ews)
    cancel = '<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:Items><t:CancelCalendarItem><t:ReferenceItemId Id="{}"/></t:CancelCalendarItem></m:Items></m:CreateItem>'

    assert ews.codes(cancel.format(first)) == ["NoError"]
    assert ews.codes(delete(f'<t:ItemId Id="{second}"/>', "SendToAllAndSaveCopy")) == ["NoError"]
    assert ews.codes(cancel.format(alone)) == ["ErrorInvalidRecipients"]
    assert delivered(ews) == [OTHER, OTHER]
    mails = ews.store.mails(OTHER, "inbox", offset=0, limit=9).mails
    assert [mail.item_class for mail in mails[-2:]] == ["IPM.Schedule.Meeting.Canceled"] * 2


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("AcceptItem", "ErrorInvalidReferenceItem"),
        ("CancelCalendarItem", "ErrorInvalidReferenceItem"),
        ("RemoveItem", "ErrorInvalidReferenceItem"),
    ],
)
def test_a_mail_is_no_meeting_to_answer(ews: Ews, kind: str, code: str) -> None:
    """Nor is one's own appointment, nor nothing."""
    mail = ews.store.deliver(ADDRESS, a_mail()).item_id
    answer = '<m:CreateItem MessageDisposition="SendOnly"><m:Items><t:{0}>{1}</t:{0}></m:Items></m:CreateItem>'
    own = item_ids(ews.call(create(at_nine())))[0][0]

    assert ews.codes(answer.format(kind, f'<t:ReferenceItemId Id="{mail}"/>')) == [code]
    assert ews.codes(answer.format(kind, "")) == ["ErrorMissingInformationReferenceItemId"]
    assert ews.codes(answer.format("DeclineItem", f'<t:ReferenceItemId Id="{own}"/>')) == [
        "ErrorCalendarIsOrganizerForDecline"
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "BEGIN:VCALENDAR",
        "BEGIN:VEVENT\r\nDTSTART:99999999T999999Z\r\nRRULE:FREQ=DAILY;INTERVAL=0;UNTIL=20269999\r\nDTEND:x",
        "DTSTART;TZID=../../etc/passwd:20260101T000000",
        "BEGIN:VEVENT\r\nATTENDEE:" + "x" * 5000,
        "BEGIN:VEVENT\r\nDTSTART;TZID=../../etc/passwd:20260101T000000\r\nRRULE:FREQ=YEARLY;BYMONTHDAY=31;BYMONTH=99999",
    ],
)
def test_a_hostile_invitation_arrives_and_can_be_read(ews: Ews, text: str) -> None:
    """Whatever its calendar says."""
    mime = f"From: a@example.net\r\nTo: {ADDRESS}\r\nSubject: x\r\nContent-Type: text/calendar; method=REQUEST\r\n\r\n{text}\r\n"

    identifier = ews.store.deliver(ADDRESS, mime.encode()).item_id
    answer = get(ews, f'<t:ItemId Id="{identifier}"/>')

    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["NoError"]
    assert texts(answer, "ItemClass") == ["IPM.Schedule.Meeting.Request"]
