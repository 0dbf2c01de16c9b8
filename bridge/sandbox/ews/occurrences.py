"""
Occurrences of recurring appointments.

Only the master is stored, with what differs in single occurrences. One that is looked at is an item made up for the
moment: it has the master's number and change key, an id of its own, and is never written back as it is.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import takewhile
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.calendarfields import original_start, series
from bridge.sandbox.ews.context import change_of, entry_of
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import items
from bridge.sandbox.store import personal as k

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store import properties as p
    from bridge.sandbox.store.items import Item

_OF_THE_MASTER: Final = frozenset({k.RECURRENCE, k.EXCEPTIONS, k.DELETED})


def find(context: Context, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Item, int | None]:
    """
    Return the item that an id of any form names, and the number of the occurrence where it names one.

    Raises:
        EwsError: There is no such item, or its series has no such occurrence.
    """
    change_of(node)
    if node.tag == xml.T + "OccurrenceItemId":
        mailbox, item = context.item_by(db, entry_of(str(node.get("RecurringMasterId"))))
        return mailbox, item, _checked(item, int(str(node.get("InstanceIndex"))))
    of_master = node.tag == xml.T + "RecurringMasterItemId"
    if node.tag != xml.T + "ItemId" and not of_master:
        raise EwsError("ErrorItemNotFound")
    entry = entry_of(str(node.get("OccurrenceId" if of_master else "Id")))
    if of_master and entry.occurrence is None:
        raise EwsError("ErrorCalendarCannotUseIdForRecurringMasterId")
    mailbox, item = context.item_by(db, replace(entry, occurrence=None))
    if of_master or entry.occurrence is None:
        return mailbox, item, None
    return mailbox, item, _checked(item, entry.occurrence)


def _checked(item: Item, number: int) -> int:
    if not item.bag.get(k.RECURRENCE):
        raise EwsError("ErrorCalendarCannotUseIdForOccurrenceId")
    if number in (item.bag.get(k.DELETED) or ()):
        raise EwsError("ErrorCalendarOccurrenceIsDeletedFromRecurrence")
    if not any(number == one[0] for one in takewhile(lambda one: one[0] <= number, series(item.bag))):
        raise EwsError("ErrorCalendarOccurrenceIndexIsOutOfRecurrenceRange")
    return number


def occurrence(item: Item, number: int) -> Item:
    """Return an occurrence of a master, as it is by now."""
    _, start, end = next(one for one in series(item.bag) if one[0] == number)
    return _made_up(item, number, start, end)


def within(item: Item, start: int, end: int) -> list[Item]:
    """Return the occurrences of a master that a view from `start` to `end` shows."""
    return [
        _made_up(item, *one) for one in series(item.bag, since=start, until=end) if one[1] < end and one[2] >= start
    ]


def change(db: sqlite3.Connection, item: Item, number: int, changed: p.Bag, removals: set[str]) -> Item:
    """Let one occurrence differ from its series; returns it as it is then."""
    exceptions = dict(item.bag.get(k.EXCEPTIONS) or {})
    own = {key: value for key, value in exceptions.get(str(number), {}).items() if key not in removals}
    exceptions[str(number)] = own | changed
    changed_to = occurrence(items.update(db, item, {k.EXCEPTIONS: exceptions}), number)
    if changed_to.bag[k.END] < changed_to.bag[k.START]:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    return changed_to


def delete(db: sqlite3.Connection, item: Item, number: int) -> None:
    """Take one occurrence out of its series."""
    exceptions = {key: value for key, value in (item.bag.get(k.EXCEPTIONS) or {}).items() if key != str(number)}
    items.update(db, item, {k.EXCEPTIONS: exceptions, k.DELETED: sorted({*(item.bag.get(k.DELETED) or ()), number})})


def _made_up(item: Item, number: int, start: int, end: int) -> Item:
    own = (item.bag.get(k.EXCEPTIONS) or {}).get(str(number), {})
    bag = {key: value for key, value in item.bag.items() if key not in _OF_THE_MASTER} | own
    bag |= {k.START: start, k.END: end, k.OCCURRENCE: number, k.ORIGINAL_START: original_start(item.bag, number)}
    bag[k.CHANGED] = bool(own)
    return items.Item(item.id, item.mailbox, item.folder, item.change, item.content, bag)
