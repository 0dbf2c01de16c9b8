"""CreateItem and UpdateItem of appointments, contacts, distribution lists, tasks and posts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import occurrences, xml, zones
from bridge.sandbox.ews.context import children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations.changes import Changes, read_element
from bridge.sandbox.ews.operations.meetings import attendees_of, invite
from bridge.sandbox.ews.settling import FOLDERS, check_folder, new_bag, settle
from bridge.sandbox.ews.shapes import created, id_only
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, folders, items, mime
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from datetime import tzinfo

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item


def zone_of(context: Context, node: etree._Element) -> tzinfo:
    """Return where an appointment's times are meant that name no zone: its own, else that of the request."""
    for element in ("StartTimeZone", "MeetingTimeZone", "EndTimeZone"):
        found = next(node.iter(xml.T + element), None)
        if found is not None:
            return zones.zone(zones.of_definition(found))
    return context.zone


def create_personal(
    context: Context, db: sqlite3.Connection, request: etree._Element, node: etree._Element, kind: str
) -> str:
    """Keep a new item of one of these kinds; answers it with its id."""
    changes = Changes(kind=kind, zone=zone_of(context, node))
    for element in children(node):
        read_element(element, changes)
    if changes.mime is not None:
        raise EwsError("ErrorUnsupportedMimeConversion")
    folder_node = request.find(xml.M + "SavedItemFolderId")
    if folder_node is not None:
        mailbox, folder = context.find_saved_folder(db, folder_node)
    else:
        mailbox = context.own_mailbox()
        folder = folders.folder(db, mailbox.id, FOLDERS[kind])
    check_folder(kind, folder.folder_class)
    if kind == "CalendarItem":
        changes.bag.setdefault(k.START_ZONE, context.zone_name)
    bag = new_bag(mailbox, kind, changes.bag, changes.flags(p.FLAG_READ))
    bag[p.HAS_ATTACHMENTS] = any(not one.inline for one in changes.attachments)
    folder = associated.beside(db, folder, bag[p.MESSAGE_FLAGS])
    item = items.insert(db, mailbox.id, folder.id, bag, attachments=changes.attachments)
    item.bag[p.MESSAGE_SIZE] = items.size_of(db, item)
    item.bag["attachments"] = len(changes.attachments)
    items.rewrite(db, context.signed(db, mailbox, item))
    context.behaviour.check_stored(db, mailbox, item)
    if kind == "CalendarItem":
        invite(context, db, mailbox, item, str(request.get("SendMeetingInvitations")))
    view = View(db, mailbox, item)
    return f"<m:Items>{created(view) if changes.attachments else id_only(view)}</m:Items>"


def update_personal(
    context: Context,
    db: sqlite3.Connection,
    request: etree._Element,
    target: tuple[Mailbox, Item, int | None],
    changes: Changes,
) -> Item:
    """Apply what was read to an item, or to one occurrence of it; returns it as it is then."""
    mailbox, item, occurrence = target
    if changes.kind == "CalendarItem" and request.get("SendMeetingInvitationsOrCancellations") is None:
        raise EwsError("ErrorSendMeetingInvitationsOrCancellationsRequired")
    if changes.mime is not None:
        raise EwsError("ErrorUnsupportedMimeConversion")
    known = {one[1].lower() for one in attendees_of(item.bag)}
    changed = dict(changes.bag)
    if p.SUBJECT in changed:
        changed[p.CONVERSATION_TOPIC] = mime.topic_of(changed[p.SUBJECT])
    if p.BODY_TEXT in changed or p.BODY_HTML in changed:
        changed[p.PREVIEW] = mime.preview_of(changed.get(p.BODY_TEXT), changed.get(p.BODY_HTML))
    removals = changes.removals - changed.keys()
    if occurrence is not None:
        if k.RECURRENCE in changed:
            raise EwsError("ErrorInvalidPropertySet", xml='<t:FieldURI FieldURI="calendar:Recurrence"/>')
        return occurrences.change(db, item, occurrence, changed, removals)
    to_be = {key: value for key, value in item.bag.items() if key not in removals} | changed
    settle(changes.kind, to_be, changed.keys())
    to_be[p.MESSAGE_FLAGS] = changes.flags_of(item.bag)
    to_be[p.LAST_MODIFIER_NAME] = mailbox.display_name
    different = {key: value for key, value in to_be.items() if item.bag.get(key) != value or key in changed}
    item = items.update(db, item, different, item.bag.keys() - to_be.keys())
    for attachment in changes.attachments:
        items.add_attachment(db, item, attachment)
    context.behaviour.check_stored(db, mailbox, item)
    if changes.kind == "CalendarItem":
        how = str(request.get("SendMeetingInvitationsOrCancellations"))
        added = {one[1].lower() for one in attendees_of(item.bag)} - known
        invite(context, db, mailbox, item, how, only=added if "Changed" in how else None)
    return item
