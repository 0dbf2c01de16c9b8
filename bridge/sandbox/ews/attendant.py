"""
What happens in a calendar by itself when a mail about a meeting arrives.

An invitation puts the meeting into the calendar of its guest, tentatively and unanswered; an answer is noted beside the
guest in that of the organizer; a cancellation marks the meeting as cancelled. The mails stay as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import zones
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.settling import new_bag, settle
from bridge.sandbox.store import folders, items
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

_REQUEST: Final = "ipm.schedule.meeting.request"
_CANCELLATION: Final = "ipm.schedule.meeting.canceled"
_ANSWERS: Final = {
    "ipm.schedule.meeting.resp.pos": "Accept",
    "ipm.schedule.meeting.resp.tent": "Tentative",
    "ipm.schedule.meeting.resp.neg": "Decline",
}
_NOT_ANSWERED: Final = 5
_FREE, _TENTATIVE = 0, 1
_PLANNED: Final = (
    k.START, k.END, k.ALL_DAY, k.LOCATION, k.SEQUENCE, k.RECURRENCE, k.REQUIRED, k.OPTIONAL, k.RESOURCES,
    k.OWNER_CRITICAL_CHANGE, p.SUBJECT,
)  # fmt: skip
_TAKEN_ALONG: Final = (
    *_PLANNED, k.UID, k.GLOBAL_ID, k.CLEAN_GLOBAL_ID, k.BUSY_STATUS, p.SENT_REPRESENTING_NAME,
    p.SENT_REPRESENTING_ADDRESS, p.SENT_REPRESENTING_ADDRESS_TYPE, p.SENT_REPRESENTING_SMTP_ADDRESS,
)  # fmt: skip


def attend(db: sqlite3.Connection, mailbox: Mailbox, mail: Item) -> None:
    """Do in the calendar what a mail that arrived asks for; what makes no sense there is left to people."""
    kind = str(mail.bag.get(p.MESSAGE_CLASS, "")).lower()
    # A mail about one occurrence of a series says nothing of the others.
    if not mail.bag.get(k.UID) or k.ORIGINAL_START in mail.bag:
        return
    if kind == _REQUEST:
        done = _plan(db, mailbox, mail.bag)
    elif kind == _CANCELLATION:
        done = _cancel(db, mailbox, mail.bag)
    elif kind in _ANSWERS:
        done = _note(db, mailbox, mail.bag, _ANSWERS[kind])
    else:
        return
    if done:
        mail.bag[k.PROCESSED] = True
        items.rewrite(db, mail)


def associated(db: sqlite3.Connection, mailbox: Mailbox, bag: p.Bag) -> Item | None:
    """Return the appointment in the mailbox's calendar that a mail about a meeting is about."""
    calendar = folders.folder(db, mailbox.id, "calendar").id
    query = (
        f"SELECT {', '.join('i.' + name for name in items.COLUMNS.split(', '))} FROM looked_up AS l "  # noqa: S608 - constants
        "JOIN items AS i ON i.id = l.item WHERE l.key = ? AND l.value = ? AND i.folder = ? ORDER BY i.id"
    )
    row = db.execute(query, (k.CLEAN_GLOBAL_ID, bag.get(k.CLEAN_GLOBAL_ID, ""), calendar)).fetchone()
    return None if row is None else items.item_of(row)


def put_into_calendar(db: sqlite3.Connection, mailbox: Mailbox, request: p.Bag) -> Item:
    """
    Return the appointment that an invitation is for, new in the mailbox's calendar.

    Raises:
        EwsError: No calendar has such an appointment.
    """
    taken = {key: request[key] for key in _TAKEN_ALONG if key in request}
    taken[k.START_ZONE] = zones.known(str(request.get(k.NAMED_ZONE, ""))) or zones.UTC_NAME
    taken[k.STATE] = k.STATE_MEETING | k.STATE_RECEIVED
    bag = new_bag(mailbox, "CalendarItem", taken, p.FLAG_READ)
    return items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "calendar").id, bag)


def _plan(db: sqlite3.Connection, mailbox: Mailbox, request: p.Bag) -> bool:
    if k.START not in request or _organizer(request) == mailbox.address.lower():
        return False
    waiting = {k.RESPONSE_STATUS: _NOT_ANSWERED, k.BUSY_STATUS: _TENTATIVE}
    known = associated(db, mailbox, request)
    try:
        if known is None:
            items.update(db, put_into_calendar(db, mailbox, request), waiting)
            return True
        if _organizer(known.bag) != _organizer(request) or known.bag.get(k.SEQUENCE, 0) > request.get(k.SEQUENCE, 0):
            return False
        planned = {key: request[key] for key in _PLANNED if key in request}
        moved = any(planned.get(key) != known.bag.get(key) for key in (k.START, k.END, k.RECURRENCE))
        bag = {**known.bag, **planned, k.STATE: known.bag.get(k.STATE, 0) & ~k.STATE_CANCELLED}
        settle("CalendarItem", bag, planned.keys())
    except (EwsError, OverflowError):
        return False
    items.update(
        db, known, {key: bag[key] for key in bag if bag[key] != known.bag.get(key)} | (waiting if moved else {})
    )
    return True


def _cancel(db: sqlite3.Connection, mailbox: Mailbox, mail: p.Bag) -> bool:
    known = associated(db, mailbox, mail)
    if known is None or not known.bag.get(k.STATE, 0) & k.STATE_RECEIVED or _organizer(known.bag) != _organizer(mail):
        return False
    state = known.bag.get(k.STATE, 0) | k.STATE_CANCELLED
    subject = mail.get(p.SUBJECT) or known.bag.get(p.SUBJECT, "")
    items.update(db, known, {k.STATE: state, k.BUSY_STATUS: _FREE, p.SUBJECT: subject})
    return True


def _note(db: sqlite3.Connection, mailbox: Mailbox, mail: p.Bag, answer: str) -> bool:
    known = associated(db, mailbox, mail)
    if known is None or known.bag.get(k.STATE, 0) & k.STATE_RECEIVED:
        return False
    guest, at = _organizer(mail), items.now_micros()
    noted: p.Bag = {}
    for key in (k.REQUIRED, k.OPTIONAL, k.RESOURCES):
        people = known.bag.get(key) or []
        if any(str(one[1]).lower() == guest for one in people):
            noted[key] = [[*one[:2], answer, at] if str(one[1]).lower() == guest else one for one in people]
    if noted:
        items.update(db, known, noted)
    return bool(noted)


def _organizer(bag: p.Bag) -> str:
    """Return who a mail is from, or whose a meeting is."""
    return str(bag.get(p.SENT_REPRESENTING_ADDRESS, "")).lower()
