"""The properties of the mails that tell of meetings: requests, responses, cancellations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import values
from bridge.sandbox.ews.calendarfields import (
    BUSY_KIND,
    CLOCKS,
    DETAILS,
    END,
    LOCATION,
    NO_CONFLICTS,
    PEOPLE_FIELDS,
    RECURRENCE_ID,
    STAMP,
    START,
    TIMES,
    TYPE,
    UID,
    flag,
    made,
    shown_field,
)
from bridge.sandbox.ews.field import Field
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.sandbox.ews.view import View

_ALL: Final = "gf"


def _associated(view: View) -> str:
    found = view.db.execute(
        "SELECT item FROM looked_up WHERE key = ? AND value = ?",
        (k.CLEAN_GLOBAL_ID, view.item.bag.get(k.CLEAN_GLOBAL_ID, "")),
    ).fetchall()
    for (number,) in found:
        row = view.db.execute(
            "SELECT folder, change FROM items WHERE id = ? AND mailbox = ? "  # noqa: S608 - a constant
            f"AND json_extract(props, '$.\"{p.MESSAGE_CLASS}\"') LIKE 'IPM.Appointment%'",
            (number, view.mailbox.id),
        ).fetchone()
        if row is not None:
            item_id, key = view.mailbox.mint.item_id(row[0], number), view.mailbox.mint.item_change_key(row[1])
            return f'<t:AssociatedCalendarItemId Id="{item_id}" ChangeKey="{key}"/>'
    return ""


def _meeting(element: str, render: Callable[[View], str], **more: Any) -> Field:
    return Field(f"meeting:{element}", element, _ALL, render=render, **more)


def _constant(content: str) -> Callable[[View], str]:
    return lambda _view: content


def _response_type(bag: p.Bag) -> str:
    kind = str(bag.get(p.MESSAGE_CLASS, "")).rpartition(".")[2].lower()
    return {"pos": "Accept", "neg": "Decline", "tent": "Tentative"}.get(kind, "Unknown")


MEETING_FIELDS: Final[Sequence[Field]] = (
    _meeting("AssociatedCalendarItemId", _associated, found=False),
    _meeting("IsDelegated", _constant("<t:IsDelegated>false</t:IsDelegated>")),
    _meeting("IsOutOfDate", _constant("<t:IsOutOfDate>false</t:IsOutOfDate>")),
    _meeting("HasBeenProcessed", made("HasBeenProcessed", flag(lambda bag: bag.get(k.PROCESSED)))),
    _meeting("ResponseType", made("ResponseType", _response_type)),
    UID,
    RECURRENCE_ID,
    STAMP,
    shown_field("IsOrganizer", _constant("<t:IsOrganizer>false</t:IsOrganizer>"), shapes=""),
)

REQUEST_FIELDS: Final[Sequence[Field]] = (
    Field("meetingRequest:MeetingRequestType", "MeetingRequestType", _ALL,
          render=_constant("<t:MeetingRequestType>NewMeetingRequest</t:MeetingRequestType>")),
    Field("meetingRequest:IntendedFreeBusyStatus", "IntendedFreeBusyStatus", _ALL, k.INTENDED_BUSY_STATUS, BUSY_KIND,
          default=2),
    *TIMES, TYPE, *PEOPLE_FIELDS, *NO_CONFLICTS, *DETAILS, *CLOCKS,
)  # fmt: skip

# The schema has the type of a series as a text here.
RESPONSE_FIELDS: Final[Sequence[Field]] = (
    START, END, LOCATION, next(one for one in DETAILS if one.element == "Recurrence"), TYPE,
    Field("meeting:ProposedStart", "ProposedStart", _ALL, k.COUNTER_START, values.TIME),
    Field("meeting:ProposedEnd", "ProposedEnd", _ALL, k.COUNTER_END, values.TIME),
    next(one for one in DETAILS if one.element == "EnhancedLocation"),
)  # fmt: skip
CANCELLATION_FIELDS: Final[Sequence[Field]] = tuple(
    one for one in RESPONSE_FIELDS if not one.element.startswith("Proposed")
)
