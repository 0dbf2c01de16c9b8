"""Guesses about appointments, contacts, tasks, names and permissions, in folders of the probe's own."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import folder_ids
from bridge.adapters.ews.soap import element
from bridge.probe import private
from bridge.probe import requests_ews as ews
from bridge.probe.errors import NotCheckable
from bridge.probe.guesses import Needs, Seen, step

if TYPE_CHECKING:
    from lxml import etree

    from bridge.probe.context import ProbeContext
    from bridge.probe.requests_ews import ItemId

_ZONE: Final = "Romance Standard Time"
_A_TUESDAY: Final = "2030-01-01"
_TOO_LONG: Final = 300


def _folder(probe: ProbeContext, kind: str) -> etree._Element:
    """Return a new folder of a kind, such as CalendarFolder, below the probe's own."""
    parent = probe.ground.folder()
    made = element(f"t:{kind}", element("t:DisplayName", text=probe.ground.next_name()))
    answer = probe.ok(
        element("m:CreateFolder", folder_ids("m:ParentFolderId", parent), element("m:Folders", made))
    )  # fmt: skip
    return element("t:FolderId", Id=answer.first("FolderId").get("Id") or "")


def _create(folder: etree._Element, item: etree._Element, **attributes: str) -> etree._Element:
    return element(
        "m:CreateItem", folder_ids("m:SavedItemFolderId", folder), element("m:Items", item), **attributes
    )  # fmt: skip


def _appointment(
    probe: ProbeContext, folder: etree._Element, day: str, hours: tuple[int, int], *more: etree._Element
) -> ItemId:
    item = element(
        "t:CalendarItem",
        element("t:Subject", text=probe.ground.next_name()),
        element("t:Start", text=f"{day}T{hours[0]:02}:00:00Z"),
        element("t:End", text=f"{day}T{hours[1]:02}:00:00Z"),
        *more,
    )
    return ews.id_of(probe.ok(_create(folder, item, SendMeetingInvitations="SendToNone")).first("ItemId"))


def _mondays() -> etree._Element:
    """Return a weekly series of three Mondays, whose first day is said to be a Tuesday."""
    return element(
        "t:Recurrence",
        element("t:WeeklyRecurrence", element("t:Interval", text="1"), element("t:DaysOfWeek", text="Monday")),
        element(
            "t:NumberedRecurrence",
            element("t:StartDate", text=_A_TUESDAY),
            element("t:NumberOfOccurrences", text="3"),
        ),
    )


def _view(folder: etree._Element, start: str, end: str) -> etree._Element:
    return element(
        "m:FindItem",
        ews.shape(),
        element("m:CalendarView", StartDate=start, EndDate=end),
        folder_ids("m:ParentFolderIds", folder),
        Traversal="Shallow",
    )


@step(99, "times are answered in UTC whatever TimeZoneContext says", needs=Needs.WRITE)
def time_zone_context(probe: ProbeContext) -> Seen:
    made = _appointment(probe, _folder(probe, "CalendarFolder"), "2030-07-01", (10, 11))
    request = ews.get(made, ews.field("calendar:Start"))
    without, within = (probe.wire.call(request, zone=zone).first("Start").text for zone in (None, _ZONE))
    same = without == within == "2030-07-01T10:00:00Z"
    return Seen(
        same, "with the header and without it: " + ("the same, in UTC" if same else "not the same, or not in UTC")
    )


@step(100, "GetServerTimeZones tells one rule for each zone")
def time_zone_rules(probe: ProbeContext) -> Seen:
    ids = element("m:Ids", element("t:Id", text=_ZONE))
    groups = len(probe.ok(element("m:GetServerTimeZones", ids, ReturnFullTimeZoneData="true")).all("TransitionsGroup"))
    return Seen(groups == 1, f"groups of transitions of {_ZONE}: {groups}")


@step(101, "the master of a series keeps the start that was given, also off the pattern", needs=Needs.WRITE)
def start_of_a_series(probe: ProbeContext) -> Seen:
    made = _appointment(probe, _folder(probe, "CalendarFolder"), _A_TUESDAY, (10, 11), _mondays())
    start = probe.ok(ews.get(made, ews.field("calendar:Start"))).first("Start").text or ""
    kept = start.startswith(_A_TUESDAY)
    return Seen(kept, "a series of Mondays that begins on a Tuesday: " + ("kept" if kept else "moved"))


@step(102, "what overlaps a CalendarView begins before its end and ends at its start or later", needs=Needs.WRITE)
def edges_of_a_view(probe: ProbeContext) -> Seen:
    folder = _folder(probe, "CalendarFolder")
    before = _appointment(probe, folder, "2030-07-01", (10, 11))
    after = _appointment(probe, folder, "2030-07-01", (12, 13))
    answer = probe.ok(_view(folder, "2030-07-01T11:00:00Z", "2030-07-01T12:00:00Z"))
    found = {shown.get("Id") for shown in answer.all("ItemId")}
    there = {True: "there", False: "not there"}
    ends, begins = before[0] in found, after[0] in found
    return Seen(ends and not begins, f"what ends at its start: {there[ends]}; what begins at its end: {there[begins]}")


@step(103, "an attachment to an occurrence is ErrorCalendarCannotMoveOrCopyOccurrence", needs=Needs.WRITE)
def attached_to_an_occurrence(probe: ProbeContext) -> Seen:
    folder = _folder(probe, "CalendarFolder")
    _appointment(probe, folder, _A_TUESDAY, (10, 11), _mondays())
    one = probe.ok(_view(folder, "2030-01-05T00:00:00Z", "2030-01-12T00:00:00Z")).first("ItemId")
    attachment = element("t:FileAttachment", element("t:Name", text="a.txt"), element("t:Content", text="QUJD"))
    code = probe.code(
        element(
            "m:CreateAttachment",
            element("m:ParentItemId", Id=one.get("Id") or ""),
            element("m:Attachments", attachment),
        )
    )
    return Seen(code == "ErrorCalendarCannotMoveOrCopyOccurrence", code)


@step(107, "a given, middle or last name over 255 letters is ErrorPropertyUpdate", needs=Needs.WRITE)
def long_names(probe: ProbeContext) -> Seen:
    folder = _folder(probe, "ContactsFolder")
    codes = [
        probe.code(_create(folder, element("t:Contact", element(f"t:{name}", text="x" * _TOO_LONG))))
        for name in ("GivenName", "MiddleName", "Surname")
    ]
    return Seen(set(codes) == {"ErrorPropertyUpdate"}, ", ".join(codes))


@step(108, "a task of 100 percent is completed, with a completion date", needs=Needs.WRITE)
def completed_task(probe: ProbeContext) -> Seen:
    task = element(
        "t:Task", element("t:Subject", text=probe.ground.next_name()), element("t:PercentComplete", text="100")
    )
    made = ews.id_of(probe.ok(_create(_folder(probe, "TasksFolder"), task)).first("ItemId"))
    fields = [ews.field("task:Status"), ews.field("task:CompleteDate")]
    answer = probe.ok(ews.get(made, *fields))
    status, dated = private.code(answer.first("Status").text), bool(answer.all("CompleteDate"))
    return Seen(status == "Completed" and dated, f"{status}, {'with' if dated else 'without'} a date")


@step(109, "ResolveNames does not find the middle of a name")
def middle_of_a_name(probe: ProbeContext) -> Seen:
    middle = probe.wire.target.address.partition("@")[0][1:-1]
    if len(middle) < 3:
        raise NotCheckable("the mailbox's name is too short to have a middle")
    code = probe.code(
        element("m:ResolveNames", element("m:UnresolvedEntry", text=middle), ReturnFullContactData="false")
    )
    return Seen(code == "ErrorNameResolutionNoResults", code)


@step(113, "a level together with rights that differ from it is ErrorInvalidPermissionSettings", needs=Needs.WRITE)
def level_and_rights(probe: ProbeContext) -> Seen:
    permission = element(
        "t:Permission",
        element("t:UserId", element("t:DistinguishedUser", text="Default")),
        element("t:CanCreateSubFolders", text="true"),
        element("t:PermissionLevel", text="Editor"),
    )
    permissions = element("t:PermissionSet", element("t:Permissions", permission))
    change = element("t:SetFolderField", ews.field("folder:PermissionSet"), element("t:Folder", permissions))
    changes = element("t:FolderChange", probe.ground.subfolder(), element("t:Updates", change))
    code = probe.code(element("m:UpdateFolder", element("m:FolderChanges", changes)))
    return Seen(code == "ErrorInvalidPermissionSettings", code)


@step(
    121, "all properties of an appointment hold ids of time zones, StartTimeZone comes only by name", needs=Needs.WRITE
)
def zones_of_an_appointment(probe: ProbeContext) -> Seen:
    made = _appointment(probe, _folder(probe, "CalendarFolder"), "2030-07-01", (10, 11))
    shape = element("m:ItemShape", element("t:BaseShape", text="AllProperties"))
    ids = element("m:ItemIds", ews.item_id((made[0], "")))
    every = probe.ok(element("m:GetItem", shape, ids))
    named = probe.ok(ews.get(made, ews.field("calendar:StartTimeZone")))
    held = [name for name in ("StartTimeZoneId", "EndTimeZoneId", "StartTimeZone") if every.all(name)]
    same = held == ["StartTimeZoneId", "EndTimeZoneId"] and bool(named.all("StartTimeZone"))
    return Seen(same, f"in all properties: {' '.join(held) or 'none'}; by name: {len(named.all('StartTimeZone'))}")


@step(134, "the MimeContent of an appointment is a calendar, that of a contact a vCard", needs=Needs.WRITE)
def exported(probe: ProbeContext) -> Seen:
    contacts = _folder(probe, "ContactsFolder")
    contact = element("t:Contact", element("t:Subject", text=probe.ground.next_name()))
    made = [
        _appointment(probe, _folder(probe, "CalendarFolder"), _A_TUESDAY, (9, 10)),
        ews.id_of(probe.ok(_create(contacts, contact)).first("ItemId")),
    ]
    contents = [probe.ok(ews.get(one, mime=True)).first("MimeContent").text or "" for one in made]
    begins = [base64.b64decode(content).lstrip().startswith(head)
              for content, head in zip(contents, (b"BEGIN:VCALENDAR", b"BEGIN:VCARD"), strict=True)]  # fmt: skip
    return Seen(all(begins), f"a calendar: {begins[0]}; a card: {begins[1]}")
