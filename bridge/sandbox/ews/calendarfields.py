"""The properties of appointments."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import values, xml, zones
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.fields import mailbox_xml
from bridge.sandbox.ews.recurrences import read_recurrence, recurrence_xml
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store import recurrence as rules

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from lxml import etree

    from bridge.sandbox.ews.field import Take
    from bridge.sandbox.ews.view import View

_ALL = "gf"
_EVERYWHERE = "GgFf"
BUSY: Final = ("Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData")
RESPONSES: Final = ("Unknown", "Organizer", "Tentative", "Accept", "Decline", "NoResponseReceived")
_PEOPLE: Final = {"RequiredAttendees": k.REQUIRED, "OptionalAttendees": k.OPTIONAL, "Resources": k.RESOURCES}


def is_meeting(bag: p.Bag) -> bool:
    """Return whether others are invited, or the own mailbox was."""
    return bool(bag.get(k.STATE, 0) & k.STATE_MEETING) or any(bag.get(key) for key in _PEOPLE.values())


def my_response(bag: p.Bag) -> int:
    """Return the number of the response that the mailbox's owner gave: the organizer's own without any."""
    given = bag.get(k.RESPONSE_STATUS) or 1
    return given if 0 < given < len(RESPONSES) else 0


def kind_of(bag: p.Bag) -> str:
    """Return the CalendarItemType."""
    if k.OCCURRENCE in bag:
        return "Exception" if bag.get(k.CHANGED) else "Occurrence"
    return "RecurringMaster" if bag.get(k.RECURRENCE) else "Single"


def made(element: str, value: Callable[[p.Bag], str | None]) -> Callable[[View], str]:
    """Return what renders an element of what is made of the bag, None for nothing."""

    def render(view: View) -> str:
        shown = value(view.item.bag)
        return "" if shown is None else xml.element(element, shown)

    return render


def _attendees(element: str) -> Callable[[View], str]:
    def render(view: View) -> str:
        people = view.item.bag.get(_PEOPLE[element])
        listed = "".join(_attendee(*one) for one in people or ())
        return f"<t:{element}>{listed}</t:{element}>" if listed else ""

    return render


def _attendee(name: str, address: str, response: str, at: int | None) -> str:
    answered = f"<t:LastResponseTime>{xml.moment(at)}</t:LastResponseTime>" if at is not None else ""
    return f"<t:Attendee>{mailbox_xml(name, address)}<t:ResponseType>{response}</t:ResponseType>{answered}</t:Attendee>"


def _take_attendees(key: str) -> Take:
    def take(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
        found: list[list[Any]] = []
        for attendee in node.iter(xml.T + "Attendee"):
            address = (attendee.findtext(f"{xml.T}Mailbox/{xml.T}EmailAddress") or "").strip()
            if not address:
                raise EwsError("ErrorInvalidRecipients")
            name = attendee.findtext(f"{xml.T}Mailbox/{xml.T}Name") or address
            at = attendee.findtext(xml.T + "LastResponseTime")
            response = attendee.findtext(xml.T + "ResponseType") or "Unknown"
            try:
                found.append([name, address, response, None if at is None else values.read_civil_time(at)])
            except (ValueError, OverflowError) as error:
                raise EwsError("ErrorInvalidPropertySet") from error
        bag[key] = found

    return take


def _organizer(view: View) -> str:
    bag = view.item.bag
    if not bag.get(p.SENT_REPRESENTING_ADDRESS):
        return ""
    who = mailbox_xml(bag.get(p.SENT_REPRESENTING_NAME, ""), bag[p.SENT_REPRESENTING_ADDRESS], "Mailbox")
    return f"<t:Organizer>{who}</t:Organizer>"


def _duration(bag: p.Bag) -> str | None:
    if k.START not in bag or k.END not in bag:
        return None
    return zones.duration(p.from_micros(bag[k.END]) - p.from_micros(bag[k.START]))


def _take_zone(key: str) -> Take:
    def take(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
        name = zones.of_definition(node)
        if name is None:
            raise EwsError("ErrorTimeZone")
        bag[key] = name
        if key == k.START_ZONE:
            bag.setdefault(k.END_ZONE, name)

    return take


def _zone(element: str, key: str) -> Callable[[View], str]:
    def render(view: View) -> str:
        name = view.item.bag.get(key)
        return zones.definition_xml(name, element) if name else ""

    return render


def _zone_field(element: str, key: str, render: Callable[[View], str]) -> Field:
    # Given by name alone: all properties have the zones' names in their place.
    return Field(f"calendar:{element}", element, "", key, render=render, settable=True, take=_take_zone(key))


def _zone_shown(bag: p.Bag) -> str | None:
    return zones.shown(bag[k.START_ZONE]) if bag.get(k.START_ZONE) else None


def _recurrence(view: View) -> str:
    bag = view.item.bag
    return recurrence_xml(bag[k.RECURRENCE], zones.zone(bag.get(k.START_ZONE))) if bag.get(k.RECURRENCE) else ""


def _take_recurrence(node: etree._Element, bag: p.Bag, gone: set[str]) -> None:
    bag[k.RECURRENCE] = read_recurrence(node)
    # A new pattern knows nothing of what was changed in the old one's occurrences.
    gone.update((k.EXCEPTIONS, k.DELETED))


def series(bag: p.Bag, *, since: int | None = None, until: int | None = None) -> Iterator[tuple[int, int, int]]:
    """
    Yield the number, start and end of each occurrence of a master that was not deleted, as they are by now.

    What nobody changed is left out where it ends before `since` or begins at `until` or later.
    """
    if not bag.get(k.RECURRENCE):
        return
    deleted, changed = set(bag.get(k.DELETED) or ()), bag.get(k.EXCEPTIONS) or {}
    length = bag[k.END] - bag[k.START]
    kept = {int(number) for number in changed}
    last_changed = max(kept, default=0)
    zone, since = zones.zone(bag.get(k.START_ZONE)), None if since is None else since - length
    for number, start in rules.occurrences(bag[k.RECURRENCE], bag[k.START], zone, since=since, kept=kept):
        if until is not None and start >= until and number > last_changed:
            return
        if number not in deleted:
            own = changed.get(str(number), {})
            yield number, own.get(k.START, start), own.get(k.END, start + length)


def original_start(bag: p.Bag, number: int) -> int:
    """Return when an occurrence of a master would be, had nobody changed it."""
    found = rules.occurrences(bag[k.RECURRENCE], bag[k.START], zones.zone(bag.get(k.START_ZONE)))
    return next((start for index, start in found if index == number), bag[k.START])


def _first(view: View) -> str:
    found = None if k.OCCURRENCE in view.item.bag else next(series(view.item.bag), None)
    return _occurrence_xml(view, "FirstOccurrence", *found) if found else ""


def _last(view: View) -> str:
    bag = view.item.bag
    if k.OCCURRENCE in bag or not bag.get(k.RECURRENCE) or bag[k.RECURRENCE]["range"][0] == "NoEndRecurrence":
        return ""
    found = deque(series(bag), maxlen=1)
    return _occurrence_xml(view, "LastOccurrence", *found[0]) if found else ""


def _occurrence_xml(view: View, element: str, number: int, start: int, end: int) -> str:
    item_id = view.mailbox.mint.occurrence_id(view.item.folder, view.item.id, number)
    original = original_start(view.item.bag, number)
    return (
        f'<t:{element}><t:ItemId Id="{item_id}" ChangeKey="{view.change_key}"/><t:Start>{xml.moment(start)}</t:Start>'
        f"<t:End>{xml.moment(end)}</t:End><t:OriginalStart>{xml.moment(original)}</t:OriginalStart></t:{element}>"
    )


def _modified(view: View) -> str:
    changed = view.item.bag.get(k.EXCEPTIONS) or {}
    if k.OCCURRENCE in view.item.bag or not changed:
        return ""
    listed = "".join(
        _occurrence_xml(view, "Occurrence", *one) for one in series(view.item.bag) if str(one[0]) in changed
    )
    return f"<t:ModifiedOccurrences>{listed}</t:ModifiedOccurrences>" if listed else ""


def _deleted(view: View) -> str:
    bag = view.item.bag
    if k.OCCURRENCE in bag or not bag.get(k.DELETED):
        return ""
    listed = "".join(
        f"<t:DeletedOccurrence><t:Start>{xml.moment(original_start(bag, number))}</t:Start></t:DeletedOccurrence>"
        for number in bag[k.DELETED]
    )
    return f"<t:DeletedOccurrences>{listed}</t:DeletedOccurrences>"


def _enhanced(view: View) -> str:
    name = view.item.bag.get(k.LOCATION)
    if not name:
        return ""
    return (
        f"<t:EnhancedLocation><t:DisplayName>{xml.text(name)}</t:DisplayName><t:PostalAddress><t:Type>Business</t:Type>"
        "<t:LocationSource>None</t:LocationSource></t:PostalAddress></t:EnhancedLocation>"
    )


def _take_enhanced(node: etree._Element, bag: p.Bag, _gone: set[str]) -> None:
    bag[k.LOCATION] = node.findtext(xml.T + "DisplayName") or ""


def _wall_clock(element: str, key: str, zone_key: str) -> Callable[[View], str]:
    def render(view: View) -> str:
        bag = view.item.bag
        if key not in bag:
            return ""
        try:
            local = p.from_micros(bag[key]).astimezone(zones.zone(bag.get(zone_key)))
        except OverflowError:
            # A client may set the property by its number, to a time that has no date in the zone.
            return ""
        return f"<t:{element}>{local.isoformat(timespec='seconds').replace('+00:00', 'Z')}</t:{element}>"

    return render


def _plain(element: str, key: str, kind: values.Kind = values.STRING, **more: Any) -> Field:
    more.setdefault("shapes", _ALL)
    more.setdefault("settable", True)
    return Field(f"calendar:{element}", element, key=key, kind=kind, **more)


def shown_field(element: str, render: Callable[[View], str], **more: Any) -> Field:
    """Return a property of appointments that is rendered."""
    more.setdefault("shapes", _ALL)
    return Field(f"calendar:{element}", element, render=render, **more)


def flag(test: Callable[[p.Bag], object]) -> Callable[[p.Bag], str]:
    """Return what says whether a bag passes a test."""
    return lambda bag: xml.boolean(test(bag))


BUSY_KIND: Final = values.choice(*BUSY)
START: Final = _plain("Start", k.START, values.TIME, shapes=_EVERYWHERE)
END: Final = _plain("End", k.END, values.TIME, shapes=_EVERYWHERE)
LOCATION: Final = _plain("Location", k.LOCATION, shapes=_EVERYWHERE)
_ATTENDEES: Final = tuple(
    shown_field(
        element, _attendees(element), key=key, settable=True, take=_take_attendees(key), found=False, shapes="g"
    )
    for element, key in _PEOPLE.items()
)
UID: Final = _plain("UID", k.UID, gone=(k.UID, k.GLOBAL_ID, k.CLEAN_GLOBAL_ID))
STAMP: Final = _plain("DateTimeStamp", k.OWNER_CRITICAL_CHANGE, values.TIME, settable=False)
RECURRENCE_ID: Final = _plain("RecurrenceId", k.ORIGINAL_START, values.TIME, settable=False, shapes="")
TIMES: Final = (
    START,
    END,
    _plain("OriginalStart", k.ORIGINAL_START, values.TIME, settable=False),
    _plain("IsAllDayEvent", k.ALL_DAY, values.BOOLEAN, default=False),
    _plain("LegacyFreeBusyStatus", k.BUSY_STATUS, BUSY_KIND, default=2, shapes=_EVERYWHERE),
    LOCATION,
    _plain("When", k.WHEN),
    shown_field("IsMeeting", made("IsMeeting", flag(is_meeting))),
    shown_field("IsCancelled", made("IsCancelled", flag(lambda bag: bag.get(k.STATE, 0) & k.STATE_CANCELLED))),
    shown_field("IsRecurring", made("IsRecurring", flag(lambda bag: k.OCCURRENCE in bag))),
    _plain("MeetingRequestWasSent", k.INVITED, values.BOOLEAN, default=False, settable=False),
)
_RESPONSE_REQUESTED: Final = _plain("IsResponseRequested", k.RESPONSE_REQUESTED, values.BOOLEAN, default=True)
TYPE: Final = shown_field("CalendarItemType", made("CalendarItemType", kind_of), shapes=_EVERYWHERE)
PEOPLE_FIELDS: Final = (
    shown_field("MyResponseType", made("MyResponseType", lambda bag: RESPONSES[my_response(bag)])),
    shown_field("Organizer", _organizer, key=p.SENT_REPRESENTING_ADDRESS, shapes=_EVERYWHERE),
    *_ATTENDEES,
)
NO_CONFLICTS: Final = (
    shown_field(
        "ConflictingMeetingCount",
        lambda _view: "<t:ConflictingMeetingCount>0</t:ConflictingMeetingCount>",
        shapes="",
        found=False,
    ),
    shown_field(
        "AdjacentMeetingCount",
        lambda _view: "<t:AdjacentMeetingCount>0</t:AdjacentMeetingCount>",
        shapes="",
        found=False,
    ),
    shown_field("ConflictingMeetings", lambda _view: "", shapes="", found=False),
    shown_field("AdjacentMeetings", lambda _view: "", shapes="", found=False),
)
DETAILS: Final = (
    shown_field("Duration", made("Duration", _duration)),
    shown_field("TimeZone", made("TimeZone", _zone_shown)),
    _plain("AppointmentReplyTime", k.REPLY_TIME, values.TIME, settable=False),
    _plain("AppointmentSequenceNumber", k.SEQUENCE, values.INTEGER, default=0, settable=False),
    _plain("AppointmentState", k.STATE, values.INTEGER, default=0, settable=False),
    shown_field("Recurrence", _recurrence, key=k.RECURRENCE, settable=True, take=_take_recurrence, found=False,
                shapes="g", gone=(k.RECURRENCE, k.EXCEPTIONS, k.DELETED)),
    shown_field("FirstOccurrence", _first, found=False, shapes="g"),
    shown_field("LastOccurrence", _last, found=False, shapes="g"),
    shown_field("ModifiedOccurrences", _modified, found=False, shapes="g"),
    shown_field("DeletedOccurrences", _deleted, found=False, shapes="g"),
    _zone_field("MeetingTimeZone", k.START_ZONE, lambda _view: ""),
    _zone_field("StartTimeZone", k.START_ZONE, _zone("StartTimeZone", k.START_ZONE)),
    _zone_field("EndTimeZone", k.END_ZONE, _zone("EndTimeZone", k.END_ZONE)),
    _plain("ConferenceType", k.CONFERENCE_TYPE, values.INTEGER),
    _plain("AllowNewTimeProposal", k.NO_NEW_TIME, values.INVERTED),
    shown_field("IsOnlineMeeting", lambda _view: "<t:IsOnlineMeeting>false</t:IsOnlineMeeting>"),
    _plain("MeetingWorkspaceUrl", k.WORKSPACE_URL),
    _plain("NetShowUrl", k.NET_SHOW_URL),
    shown_field("EnhancedLocation", _enhanced, key=k.LOCATION, settable=True, take=_take_enhanced, shapes=""),
)  # fmt: skip
CLOCKS: Final = (
    shown_field("StartWallClock", _wall_clock("StartWallClock", k.START, k.START_ZONE), shapes="g"),
    shown_field("EndWallClock", _wall_clock("EndWallClock", k.END, k.END_ZONE), shapes="g"),
    shown_field("StartTimeZoneId", made("StartTimeZoneId", lambda bag: bag.get(k.START_ZONE)), shapes="g"),
    shown_field("EndTimeZoneId", made("EndTimeZoneId", lambda bag: bag.get(k.END_ZONE)), shapes="g"),
)

CALENDAR_FIELDS: Final[Sequence[Field]] = (
    UID, RECURRENCE_ID, STAMP, *TIMES, _RESPONSE_REQUESTED, TYPE, *PEOPLE_FIELDS, *NO_CONFLICTS, *DETAILS,
    *CLOCKS,
    shown_field("IsOrganizer", made("IsOrganizer", flag(lambda bag: my_response(bag) == 1)), shapes="g"),
)  # fmt: skip
"""In the schema's order."""
