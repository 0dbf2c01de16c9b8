"""Meetings: invitations and cancellations, and what answers them: AcceptItem and its like, CancelCalendarItem."""

from __future__ import annotations

from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.attendant import associated, put_into_calendar
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.operations.send import check_sendable
from bridge.sandbox.ews.shapes import id_only
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import folders, icalendar, items, mime, sends
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import person, with_headers

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

# The element that answers: the word before the subject, the PARTSTAT, the number of the response.
_ANSWERS: Final = {
    "AcceptItem": ("Accepted", "ACCEPTED", 3),
    "TentativelyAcceptItem": ("Tentative", "TENTATIVE", 2),
    "DeclineItem": ("Declined", "DECLINED", 4),
}
ANSWERS: Final = frozenset({*_ANSWERS, "CancelCalendarItem", "RemoveItem"})


def answer_meeting(
    context: Context, db: sqlite3.Connection, request: etree._Element, node: etree._Element, kind: str
) -> str:
    """Do what an AcceptItem, DeclineItem, TentativelyAcceptItem, CancelCalendarItem or RemoveItem says."""
    reference = node.find(xml.T + "ReferenceItemId")
    if reference is None:
        raise EwsError("ErrorMissingInformationReferenceItemId")
    mailbox, item = context.item_referred(db, reference)
    found = element_for(str(item.bag.get(p.MESSAGE_CLASS, "")))
    if kind == "RemoveItem":
        if found != "MeetingCancellation":
            raise EwsError("ErrorInvalidReferenceItem")
        return _remove(db, mailbox, item)
    if kind == "CancelCalendarItem":
        if found != "CalendarItem":
            raise EwsError("ErrorInvalidReferenceItem")
        return _cancel(context, db, mailbox, item, node)
    if found not in ("MeetingRequest", "CalendarItem"):
        raise EwsError("ErrorInvalidReferenceItem")
    if found == "CalendarItem" and not item.bag.get(k.STATE, 0) & k.STATE_RECEIVED:
        raise EwsError(
            f"ErrorCalendarIsOrganizerFor{kind.removesuffix('Item').replace('TentativelyAccept', 'Tentative')}"
        )
    return _answer(context, db, request, (mailbox, item), node)


def invite(
    context: Context, db: sqlite3.Connection, mailbox: Mailbox, item: Item, how: str, *, only: set[str] | None = None
) -> None:
    """
    Send the invitations of an appointment that was just kept, as `SendMeetingInvitations` says.

    `only` are the addresses that are told, all attendees without it.
    """
    people = [one for one in attendees_of(item.bag) if only is None or one[1].lower() in only]
    if how == "SendToNone" or not people or item.bag.get(k.STATE, 0) & k.STATE_RECEIVED:
        return
    items.update(db, item, {k.INVITED: True})
    _send(
        context,
        db,
        mailbox,
        item.bag,
        people,
        method="REQUEST",
        subject=str(item.bag.get(p.SUBJECT, "")),
        save=how.endswith("SaveCopy"),
    )


def call_off(
    context: Context, db: sqlite3.Connection, mailbox: Mailbox, item: Item, how: str | None, *, text: str = ""
) -> None:
    """Tell the attendees that a meeting of the mailbox's own does not take place."""
    people = attendees_of(item.bag)
    if how in (None, "SendToNone") or not people or item.bag.get(k.STATE, 0) & k.STATE_RECEIVED:
        return
    subject = f"Canceled: {item.bag.get(p.SUBJECT, '')}"
    _send(
        context,
        db,
        mailbox,
        item.bag,
        people,
        method="CANCEL",
        subject=subject,
        save=str(how).endswith("SaveCopy"),
        text=text,
    )


def attendees_of(bag: p.Bag) -> list[tuple[str, str, str]]:
    """Return the name and address of all invited but the organizer, with the PARTSTAT of who did not answer."""
    organizer = str(bag.get(p.SENT_REPRESENTING_ADDRESS, "")).lower()
    every = (one for key in (k.REQUIRED, k.OPTIONAL, k.RESOURCES) for one in bag.get(key) or ())
    return [(one[0], one[1], "NEEDS-ACTION") for one in every if one[1].lower() != organizer]


def _answer(
    context: Context,
    db: sqlite3.Connection,
    request: etree._Element,
    target: tuple[Mailbox, Item],
    node: etree._Element,
) -> str:
    mailbox, item = target
    kind = str(node.tag).rpartition("}")[2]
    word, answer, number = _ANSWERS[kind]
    appointment = (
        item if element_for(str(item.bag[p.MESSAGE_CLASS])) == "CalendarItem" else associated(db, mailbox, item.bag)
    )
    if appointment is None:
        appointment = put_into_calendar(db, mailbox, item.bag)
    busy = 1 if kind == "TentativelyAcceptItem" else item.bag.get(k.INTENDED_BUSY_STATUS, 2)
    changes: p.Bag = {k.RESPONSE_STATUS: number, k.REPLY_TIME: items.now_micros(), k.BUSY_STATUS: busy}
    items.update(db, appointment, changes)
    disposition = str(request.get("MessageDisposition"))
    organizer = (item.bag.get(p.SENT_REPRESENTING_NAME, ""), item.bag.get(p.SENT_REPRESENTING_ADDRESS, ""))
    if disposition != "SaveOnly" and organizer[1]:
        subject = f"{word}: {item.bag.get(p.SUBJECT, '')}"
        text = node.findtext(xml.T + "Body") or ""
        me = [(mailbox.display_name, mailbox.address, answer)]
        save = disposition == "SendAndSaveCopy"
        _send(
            context,
            db,
            mailbox,
            appointment.bag,
            me,
            method="REPLY",
            subject=subject,
            save=save,
            text=text,
            to=organizer,
        )
    deleted = folders.folder(db, mailbox.id, "deleteditems").id
    shown = []
    if item.id != appointment.id:
        items.update(db, item, {k.PROCESSED: True, p.MESSAGE_FLAGS: item.bag.get(p.MESSAGE_FLAGS, 0) | p.FLAG_READ})
        shown.append(items.move(db, item, deleted))
    if kind == "DeclineItem":
        items.move(db, appointment, deleted)
    shown.insert(0, appointment)
    return f"<m:Items>{''.join(id_only(View(db, mailbox, one)) for one in shown)}</m:Items>"


def _cancel(context: Context, db: sqlite3.Connection, mailbox: Mailbox, item: Item, node: etree._Element) -> str:
    if item.bag.get(k.STATE, 0) & k.STATE_RECEIVED:
        raise EwsError("ErrorCalendarIsNotOrganizer")
    if not attendees_of(item.bag):
        raise EwsError("ErrorInvalidRecipients")
    items.update(db, item, {k.STATE: item.bag.get(k.STATE, 0) | k.STATE_CANCELLED})
    call_off(context, db, mailbox, item, "SendToAllAndSaveCopy", text=node.findtext(xml.T + "NewBodyContent") or "")
    gone = items.move(db, item, folders.folder(db, mailbox.id, "deleteditems").id)
    return f"<m:Items>{id_only(View(db, mailbox, gone))}</m:Items>"


def _remove(db: sqlite3.Connection, mailbox: Mailbox, item: Item) -> str:
    deleted = folders.folder(db, mailbox.id, "deleteditems").id
    appointment = associated(db, mailbox, item.bag)
    if appointment is not None:
        items.move(db, appointment, deleted)
    items.move(db, item, deleted)
    return "<m:Items/>"


def _send(
    context: Context,
    db: sqlite3.Connection,
    mailbox: Mailbox,
    bag: p.Bag,
    people: list[tuple[str, str, str]],
    *,
    method: str,
    subject: str,
    save: bool,
    text: str = "",
    to: tuple[str, str] | None = None,
) -> None:
    """Send a mail about a meeting to those that it is about, or to the one that it answers."""
    recipients = [to] if to is not None else [(name, address) for name, address, _ in people]
    content = _mime(
        mailbox, recipients, subject, text, calendar=icalendar.event_ics(bag, method, attendees=people), method=method
    )
    of_mime = mime.bag_of(content, EXCHANGE.now()) | {p.MESSAGE_FLAGS: p.FLAG_UNSENT | p.FLAG_READ}
    of_mime |= {p.DELIVERY_TIME: items.now_micros(), p.LAST_MODIFIER_NAME: mailbox.display_name}
    check_sendable(mailbox, of_mime)
    mail = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "outbox").id, of_mime, mime=content)
    context.submit(db, mailbox, mail, save_to=folders.folder(db, mailbox.id, "sentitems").id if save else None)


def _mime(
    mailbox: Mailbox, recipients: list[tuple[str, str]], subject: str, text: str, *, calendar: str, method: str
) -> bytes:
    """Return the mail: what a person reads, and beside it what a calendar reads."""
    message = EmailMessage(policy=SMTP)
    message.set_content(text or "\n", subtype="plain", charset="utf-8", cte="base64")
    message.add_alternative(calendar, subtype="calendar", charset="utf-8", cte="base64", params={"method": method})
    return with_headers(
        message.as_bytes(),
        [
            ("From", person(mailbox.display_name, mailbox.address)),
            ("To", ", ".join(person(name, address) for name, address in recipients)),
            ("Subject", subject),
            ("Date", format_datetime(EXCHANGE.now().replace(microsecond=0))),
            ("Message-ID", sends.new_message_id(mailbox)),
        ],
    )
