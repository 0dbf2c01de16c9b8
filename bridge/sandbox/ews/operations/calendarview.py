"""FindItem by CalendarView: what happens in a time, with the occurrences of recurring appointments."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import occurrences, xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.values import read_civil_time
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.shapes import ItemShape
    from bridge.sandbox.store import Folder, Mailbox
    from bridge.sandbox.store.items import Item

MOST_SHOWN: Final = 1000
_WIDEST: Final = timedelta(days=2 * 366) // timedelta(microseconds=1)


def calendar_view(
    db: sqlite3.Connection, request: etree._Element, shape: ItemShape, mailbox: Mailbox, folder: Folder
) -> str:
    """Return the root folder of a view: what touches its time, in the order of its beginnings."""
    view = request.find(xml.M + "CalendarView")
    if view is None or request.find(xml.M + "Restriction") is not None or request.find(xml.M + "SortOrder") is not None:
        # As documented, a view is all that such a call may say of which items, and in which order.
        raise EwsError("ErrorInvalidOperation")
    if not folder.folder_class.lower().startswith("ipf.appointment"):
        raise EwsError("ErrorCalendarFolderIsInvalidForCalendarView")
    try:
        start, end = (read_civil_time(str(view.get(name))) for name in ("StartDate", "EndDate"))
    except (ValueError, OverflowError) as error:
        raise EwsError("ErrorInvalidOperation", "The calendar view is beyond the range of calendars.") from error
    if end < start:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if end - start > _WIDEST:
        raise EwsError("ErrorCalendarViewRangeTooBig")
    most = int(view.get("MaxEntriesReturned") or MOST_SHOWN)
    if most < 1:
        raise EwsError("ErrorInvalidPagingMaxRows")
    found = in_time(db, folder.id, start, end)
    if len(found) > MOST_SHOWN and view.get("MaxEntriesReturned") is None:
        raise EwsError("ErrorExceededFindCountLimit")
    listed = "".join(shape.show(View(db, mailbox, one)) for one in found[:most])
    return (
        f'<m:RootFolder TotalItemsInView="{len(found)}" IncludesLastItemInRange="{xml.boolean(most >= len(found))}">'
        f"<t:Items>{listed}</t:Items></m:RootFolder>"
    )


def in_time(db: sqlite3.Connection, folder: int, start: int, end: int) -> list[Item]:
    """Return the appointments and occurrences in a folder that begin before `end` and end at `start` or later."""
    begins, ends, series = (f"json_extract(props, '$.\"{key}\"')" for key in (k.START, k.END, k.RECURRENCE))
    an_appointment = f"json_extract(props, '$.\"{p.MESSAGE_CLASS}\"') LIKE 'IPM.Appointment%'"
    query = (
        f"SELECT {items.COLUMNS} FROM items WHERE folder = ? AND {begins} < ? "  # noqa: S608 - constants
        f"AND ({ends} >= ? OR {series} IS NOT NULL) AND {an_appointment}"
    )
    found: list[Item] = []
    for row in db.execute(query, (folder, end, start)):
        item = items.item_of(row)
        found.extend(occurrences.within(item, start, end) if item.bag.get(k.RECURRENCE) else [item])
    return sorted(found, key=lambda one: (one.bag[k.START], one.id))
