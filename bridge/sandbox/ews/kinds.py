"""
The kinds of items: the element of each, its properties in the schema's order, and its item class.

What all items have stands first in each list, extended properties in the middle of that, what the kind alone has last.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.calendarfields import CALENDAR_FIELDS
from bridge.sandbox.ews.contactfields import CONTACT_FIELDS, INDEXED_FIELDS, LIST_FIELDS, partial
from bridge.sandbox.ews.exported import calendar_xml, card_xml
from bridge.sandbox.ews.fields import ITEM_FIELDS
from bridge.sandbox.ews.meetingfields import CANCELLATION_FIELDS, MEETING_FIELDS, REQUEST_FIELDS, RESPONSE_FIELDS
from bridge.sandbox.ews.taskfields import POST_FIELDS, TASK_FIELDS

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.sandbox.ews.field import Field

_COMMON: Final = tuple(field for field in ITEM_FIELDS if field.uri.startswith("item:"))
_CALENDAR: Final = (replace(_COMMON[0], render=calendar_xml), *_COMMON[1:])
_CARD: Final = (replace(_COMMON[0], render=card_xml), *_COMMON[1:])
_MESSAGE: Final = tuple(field for field in ITEM_FIELDS if not field.uri.startswith("item:"))

FIELDS: Final[Mapping[str, Sequence[Field]]] = {
    "Message": ITEM_FIELDS,
    "Item": ITEM_FIELDS,
    "CalendarItem": (*_CALENDAR, *CALENDAR_FIELDS),
    "Contact": (*_CARD, *CONTACT_FIELDS),
    "DistributionList": (*_COMMON, *LIST_FIELDS),
    "Task": (*_COMMON, *TASK_FIELDS),
    "PostItem": (*_COMMON, *POST_FIELDS),
    "MeetingMessage": (*_COMMON, *_MESSAGE, *MEETING_FIELDS),
    "MeetingRequest": (*_COMMON, *_MESSAGE, *MEETING_FIELDS, *REQUEST_FIELDS),
    "MeetingResponse": (*_COMMON, *_MESSAGE, *MEETING_FIELDS, *RESPONSE_FIELDS),
    "MeetingCancellation": (*_COMMON, *_MESSAGE, *MEETING_FIELDS, *CANCELLATION_FIELDS),
}
CLASSES: Final[Mapping[str, str]] = {
    "Message": "IPM.Note",
    "Item": "IPM.Note",
    "CalendarItem": "IPM.Appointment",
    "Contact": "IPM.Contact",
    "DistributionList": "IPM.DistList",
    "Task": "IPM.Task",
    "PostItem": "IPM.Post",
}
"""What a client can make, and the item class of one made without."""

BY_URI: Final[Mapping[str, Field]] = {field.uri: field for fields in FIELDS.values() for field in fields} | {
    field.uri: field for field in INDEXED_FIELDS
}
BY_ELEMENT: Final[Mapping[str, Mapping[str, Field]]] = {
    kind: {field.element: field for field in fields} for kind, fields in FIELDS.items()
}

# What the documentation lists as the Default shape of the other kinds; all of a message's is told by its own table.
_DEFAULT_COMMON: Final = frozenset({"item:ItemId", "item:Subject", "item:HasAttachments", "item:ResponseObjects"})
_NOT_THEIRS: Final = frozenset({"item:InternetMessageHeaders"})


def fields_shown(kind: str, letter: str | None, wanted: frozenset[str]) -> list[Field]:
    """
    Return the properties that an item of a kind shows, in order: those of a base shape's letter, and those named.

    What is named includes what the shape gives of a mail.
    """
    mail = kind.startswith("Meeting")
    found = []
    for field in FIELDS[kind]:
        by_shape = letter is not None and letter in field.shapes
        named = field.uri in wanted and (mail or not by_shape)
        if by_shape and not mail and field.uri.startswith("item:"):
            by_shape = field.uri in _DEFAULT_COMMON if letter in ("G", "F") else field.uri not in _NOT_THEIRS
        if by_shape or named:
            found.append(field)
        elif (some := partial(field, wanted)) is not None:
            found.append(some)
    return found
