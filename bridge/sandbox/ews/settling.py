"""What properties of appointments, contacts and tasks follow from others: applied to a bag before it is stored."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import zones
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.kinds import CLASSES
from bridge.sandbox.store import items, mime
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.personal import global_id

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from bridge.sandbox.store import Mailbox

_HALF_HOUR: Final = timedelta(minutes=30) // timedelta(microseconds=1)
_LONGEST: Final = timedelta(days=5 * 366) // timedelta(microseconds=1)
_COMPLETED: Final = 2
_LONGEST_NAME: Final = 255
_ATTENDEES: Final = ((k.REQUIRED, p.RECIPIENTS_TO), (k.OPTIONAL, p.RECIPIENTS_CC), (k.RESOURCES, p.RECIPIENTS_BCC))
FOLDERS: Final = {
    "CalendarItem": "calendar",
    "Contact": "contacts",
    "DistributionList": "contacts",
    "Task": "tasks",
    "PostItem": "inbox",
}
"""Where an item of a kind goes that is made without a folder."""
_FOLDER_CLASSES: Final = {
    "CalendarItem": ("ipf.appointment", "ErrorCannotCreateCalendarItemInNonCalendarFolder"),
    "Contact": ("ipf.contact", "ErrorCannotCreateContactInNonContactFolder"),
    "DistributionList": ("ipf.contact", "ErrorCannotCreateContactInNonContactFolder"),
    "Task": ("ipf.task", "ErrorCannotCreateTaskInNonTaskFolder"),
}


def check_folder(kind: str, folder_class: str) -> None:
    """
    Make sure that a folder takes new items of a kind.

    Raises:
        EwsError: It is a folder for others.
    """
    wanted, code = _FOLDER_CLASSES.get(kind, ("", ""))
    if not folder_class.lower().startswith(wanted):
        raise EwsError(code)


def new_bag(mailbox: Mailbox, kind: str, given: p.Bag, flags: int) -> p.Bag:
    """Return the bag of a new item of a kind, with what it has by itself and what was given."""
    now = items.now_micros()
    me = [[mailbox.display_name, mailbox.address]]
    bag: p.Bag = {
        **mime.bag_of(b"", EXCHANGE.now()),
        p.MESSAGE_CLASS: CLASSES[kind],
        p.DELIVERY_TIME: now,
        p.LAST_MODIFIER_NAME: mailbox.display_name,
        p.MESSAGE_FLAGS: flags,
    }
    del bag[p.INTERNET_MESSAGE_ID]
    mime.set_people(bag, me, me)
    if kind == "CalendarItem":
        bag |= {p.REMINDER_SET: True, p.REMINDER_DELTA: 15, k.RESPONSE_REQUESTED: True}
    bag |= given
    bag[p.CONVERSATION_TOPIC] = mime.topic_of(str(bag.get(p.SUBJECT, "")))
    bag[p.PREVIEW] = mime.preview_of(bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML))
    if kind in ("Contact", "DistributionList"):
        _name_contact(bag)
    settle(kind, bag, given.keys())
    mime.set_display(bag)
    return bag


def settle(kind: str, bag: p.Bag, changed: Collection[str]) -> None:
    """
    Make the bag of an item say the same throughout, once the `changed` properties are what they are.

    Raises:
        EwsError: They make no sense together.
    """
    rule = _RULES.get(kind)
    if rule is not None:
        rule(bag, changed)


def _appointment(bag: p.Bag, _changed: Collection[str]) -> None:
    now = items.now_micros()
    start = bag.setdefault(k.START, now - now % 1_000_000)
    bag.setdefault(k.END, start + _HALF_HOUR)
    bag.setdefault(k.START_ZONE, zones.UTC_NAME)
    bag.setdefault(k.END_ZONE, bag[k.START_ZONE])
    if bag.get(k.ALL_DAY):
        bag[k.START] = _midnight(bag[k.START], bag[k.START_ZONE], up=False)
        bag[k.END] = max(
            _midnight(bag[k.END], bag[k.END_ZONE], up=True), _next_midnight(bag[k.START], bag[k.START_ZONE])
        )
    if bag[k.END] < bag[k.START]:
        raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
    if bag[k.END] - bag[k.START] > _LONGEST:
        raise EwsError("ErrorCalendarDurationIsTooLong")
    bag[p.REMINDER_TIME] = bag[k.START]
    bag[k.RECURRING] = bool(bag.get(k.RECURRENCE))
    if not bag.get(k.UID):
        bag[k.UID] = _new_uid()
    bag[k.GLOBAL_ID] = bag[k.CLEAN_GLOBAL_ID] = global_id(bag[k.UID])
    bag.setdefault(k.OWNER_CRITICAL_CHANGE, now)
    for attendees, recipients in _ATTENDEES:
        bag[recipients] = [one[:2] for one in bag.get(attendees) or ()]
    invited = any(bag[recipients] for _, recipients in _ATTENDEES)
    state = bag.get(k.STATE, 0)
    bag[k.STATE] = (
        state | k.STATE_MEETING if invited else state if state & k.STATE_RECEIVED else state & ~k.STATE_MEETING
    )


def _new_uid() -> str:
    # The form that Exchange gives (MS-OXOCAL 2.2.1.27): sixteen fixed bytes, a time, and a number of its own.
    head = "040000008200E00074C5B7101A82E008" + "00000000"
    return head + f"{items.now_micros():016X}" + "0000000000000000" + "10000000" + uuid4().hex.upper()


def _midnight(moment: int, name: str, *, up: bool) -> int:
    zone = zones.zone(name)
    local = p.from_micros(moment).astimezone(zone)
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
    if up and midnight != local:
        midnight += timedelta(days=1)
    return p.to_micros(midnight)


def _next_midnight(moment: int, name: str) -> int:
    return p.to_micros(p.from_micros(moment).astimezone(zones.zone(name)) + timedelta(days=1))


def _contact(bag: p.Bag, changed: Collection[str]) -> None:
    for key in (k.GIVEN_NAME, k.MIDDLE_NAME, k.SURNAME):
        if key in changed and len(bag[key]) > _LONGEST_NAME:
            raise EwsError("ErrorPropertyUpdate")


def _name_contact(bag: p.Bag) -> None:
    """Give a new contact the names that its others make."""
    names = [bag[key] for key in (k.GIVEN_NAME, k.MIDDLE_NAME, k.SURNAME) if bag.get(key)]
    if not bag.get(k.DISPLAY_NAME) and names:
        bag[k.DISPLAY_NAME] = " ".join(names)
    if not bag.get(k.FILE_AS):
        last_first = ", ".join(bag[key] for key in (k.SURNAME, k.GIVEN_NAME) if bag.get(key))
        bag[k.FILE_AS] = last_first or bag.get(k.DISPLAY_NAME) or bag.get(k.COMPANY, "")
    if not bag.get(p.SUBJECT):
        bag[p.SUBJECT] = bag.get(k.DISPLAY_NAME, "")


def _task(bag: p.Bag, changed: Collection[str]) -> None:
    if k.TASK_COMPLETED in changed and bag.get(k.TASK_COMPLETED, 0) > items.now_micros():
        raise EwsError("ErrorInvalidCompleteDate")
    done = bag.get(k.TASK_STATUS, 0) == _COMPLETED
    if k.TASK_STATUS not in changed and k.PERCENT_COMPLETE in changed:
        done = bag[k.PERCENT_COMPLETE] >= 1
        bag[k.TASK_STATUS] = _COMPLETED if done else 1 if bag[k.PERCENT_COMPLETE] else 0
    elif k.TASK_STATUS not in changed and bag.get(k.TASK_COMPLETED) and k.TASK_COMPLETED in changed:
        done = True
        bag[k.TASK_STATUS] = _COMPLETED
    bag[k.TASK_COMPLETE] = done
    if done:
        bag[k.PERCENT_COMPLETE] = 1.0
        bag.setdefault(k.TASK_COMPLETED, items.now_micros())
    else:
        bag.pop(k.TASK_COMPLETED, None)
        if bag.get(k.PERCENT_COMPLETE, 0) >= 1:
            bag[k.PERCENT_COMPLETE] = 0
    bag[k.TASK_RECURRING] = bool(bag.get(k.RECURRENCE))
    bag[k.CHANGE_COUNT] = bag.get(k.CHANGE_COUNT, 0) + 1
    bag.setdefault(k.TASK_OWNER, bag.get(p.SENT_REPRESENTING_NAME, ""))
    if bag.get(k.TASK_START) and bag.get(k.TASK_DUE) and bag[k.TASK_DUE] < bag[k.TASK_START]:
        bag[k.TASK_DUE] = bag[k.TASK_START]


_RULES: Final[dict[str, Callable[[p.Bag, Collection[str]], Any]]] = {
    "CalendarItem": _appointment,
    "Contact": _contact,
    "DistributionList": _contact,
    "Task": _task,
}
