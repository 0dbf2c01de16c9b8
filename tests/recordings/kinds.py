"""Items of all kinds as requests hold them: made like a recorded one, and the paths of its properties."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lxml import etree

from tests.schema.official import shared
from tests.support.soap import TYPES

if TYPE_CHECKING:
    from collections.abc import Mapping

MADE = frozenset({"Message", "Item", "CalendarItem", "Contact", "Task", "PostItem", "DistributionList"})
"""The elements of items that a client can make."""

FOLDERS: Mapping[str, str] = {"CalendarItem": "calendar", "Contact": "contacts", "Task": "tasks"}
"""Where items of a kind are made if nothing is said; all others go to the Inbox."""

FOLDER_KINDS: Mapping[str, str] = {
    "CalendarItem": "CalendarFolder", "Contact": "ContactsFolder", "Task": "TasksFolder",
}  # fmt: skip
"""The element of a folder for items of a kind."""

_PREFIXES = {
    "CalendarItem": ("calendar",), "Contact": ("contacts",), "Task": ("task",), "Message": ("message",),
    "DistributionList": ("distributionlist",), "PostItem": ("postitem",),
}  # fmt: skip
_XS = "{http://www.w3.org/2001/XMLSchema}"


def new(kind: str, like: etree._Element | None = None) -> str:
    """Return a new item of a kind other than mail as CreateItem takes it, a series where the recorded one is one."""
    subject = escape((None if like is None else like.findtext(TYPES + "Subject")) or "Exercise")
    if kind == "CalendarItem":
        time = "<t:Start>2026-11-28T08:00:00Z</t:Start><t:End>2026-11-28T09:00:00Z</t:End>"
        series = like is not None and like.find(TYPES + "Recurrence") is not None
        recurrence = (
            "<t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>Saturday</t:DaysOfWeek>"
            "</t:WeeklyRecurrence><t:NumberedRecurrence><t:StartDate>2026-11-28</t:StartDate><t:NumberOfOccurrences>10"
            "</t:NumberOfOccurrences></t:NumberedRecurrence></t:Recurrence>"
        )
        return (
            f"<t:CalendarItem><t:Subject>{subject}</t:Subject><t:Body BodyType='HTML'>At eight.</t:Body>"
            f"<t:ReminderMinutesBeforeStart>15</t:ReminderMinutesBeforeStart>{time}"
            f"{recurrence if series else ''}</t:CalendarItem>"
        )
    if kind == "Contact":
        return (
            "<t:Contact><t:FileAs>Crew, Air</t:FileAs><t:DisplayName>Air Crew</t:DisplayName><t:GivenName>Air"
            "</t:GivenName><t:EmailAddresses><t:Entry Key='EmailAddress1'>crew@example.net</t:Entry>"
            "</t:EmailAddresses><t:Surname>Crew</t:Surname></t:Contact>"
        )
    return f"<t:{kind}><t:Subject>{subject}</t:Subject></t:{kind}>"


def path_of(kind: str, name: str) -> str | None:
    """Return the FieldURI of an element of an item, None for one that is no property."""
    prefixes = ("item", *_PREFIXES.get(kind, ()))
    if kind == "Message":
        prefixes = ("message", "item")
    return next((f"{prefix}:{name}" for prefix in prefixes if f"{prefix}:{name}" in _known()), None)


@cache
def _known() -> frozenset[str]:
    """Return all paths of the official schema."""
    tree = etree.parse(shared() / "ews-schema" / "exchange-15.2.2562" / "types.xsd")
    kind = next(one for one in tree.iter(_XS + "simpleType") if one.get("name") == "UnindexedFieldURIType")
    return frozenset(str(one.get("value")) for one in kind.iter(_XS + "enumeration"))
