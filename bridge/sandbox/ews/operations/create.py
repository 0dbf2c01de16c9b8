"""CreateItem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError, FaultError
from bridge.sandbox.ews.operations.changes import Changes, read_element
from bridge.sandbox.ews.operations.meetings import ANSWERS, answer_meeting
from bridge.sandbox.ews.operations.personal import create_personal
from bridge.sandbox.ews.operations.responses import TAGS as RESPONSES
from bridge.sandbox.ews.operations.responses import read_response, suppress_read_receipt
from bridge.sandbox.ews.operations.send import check_sendable
from bridge.sandbox.ews.settling import FOLDERS
from bridge.sandbox.ews.shapes import created, id_only
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, folders, items, mime, sends
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item


def create_item(context: Context, request: etree._Element) -> str:
    """Make items of MIME or of properties: keep them as drafts, or send them at once."""
    nodes = children(child(request, "Items"))
    disposition = request.get("MessageDisposition")
    _check_attributes(request, nodes)

    def create(node: etree._Element) -> str:
        if node.tag == xml.T + "SuppressReadReceipt":
            suppress_read_receipt(context, db, node)
            return "<m:Items/>"
        kind = str(node.tag).rpartition("}")[2]
        if kind in FOLDERS:
            return create_personal(context, db, request, node, kind)
        if kind in ANSWERS:
            return answer_meeting(context, db, request, node, kind)
        if node.tag in RESPONSES:
            changes = read_response(context, db, node)
        elif node.tag in (xml.T + "Message", xml.T + "Item"):
            changes = Changes()
            for element in children(node):
                read_element(element, changes)
        else:
            # Meeting messages are made by what one does with appointments, never by themselves.
            by_itself = kind.startswith("Meeting")
            raise EwsError("ErrorInvalidItemForOperationCreateItem" if by_itself else "ErrorInvalidOperation")
        folder_node = request.find(xml.M + "SavedItemFolderId")
        if disposition in (None, "SaveOnly"):
            mailbox, folder = (
                context.find_saved_folder(db, folder_node)
                if folder_node is not None
                else (context.own_mailbox(), folders.folder(db, context.own_mailbox().id, "drafts"))
            )
            folder = associated.beside(db, folder, changes.flags(0))
            item = context.signed(db, mailbox, _insert(db, mailbox, folder.id, changes))
            context.behaviour.check_stored(db, mailbox, item)
            context.behaviour.draft_saved(db, mailbox, item)
            view = View(db, mailbox, item)
            # Clients that hand attachments over with the item take their ids from here, or attach them once more.
            return f"<m:Items>{created(view) if changes.attachments else id_only(view)}</m:Items>"
        mailbox = context.own_mailbox()
        save_to = None
        if disposition == "SendAndSaveCopy":
            save_to = (
                context.find_saved_folder(db, folder_node)[1]
                if folder_node is not None
                else folders.folder(db, mailbox.id, "sentitems")
            ).id
        # Looked at before anything is stored: an item that is refused must leave nothing behind.
        check_sendable(mailbox, _bag_to_be(mailbox, changes), context.may_send)
        item = _insert(db, mailbox, folders.folder(db, mailbox.id, "outbox").id, changes)
        context.submit(db, mailbox, item, save_to=save_to)
        return "<m:Items/>"

    with context.store.writing() as db:
        return batch(context, "CreateItem", nodes, create, on_error="<m:Items/>", changing=db)


def _check_attributes(request: etree._Element, nodes: list[etree._Element]) -> None:
    """Make sure that the request says of each kind of item that it makes what is to be sent."""
    kinds = {node.tag for node in nodes}
    answers = {xml.T + name for name in ANSWERS}
    if request.get("MessageDisposition") is None and kinds & {xml.T + "Message", *RESPONSES, *answers}:
        raise FaultError("ErrorMessageDispositionRequired")
    if request.get("SendMeetingInvitations") is None and xml.T + "CalendarItem" in kinds:
        raise FaultError("ErrorSendMeetingInvitationsRequired")


def _insert(db: sqlite3.Connection, mailbox: Mailbox, folder: int, changes: Changes) -> Item:
    if changes.mime is None:
        bag = _bag_to_be(mailbox, changes)
        item = items.insert(db, mailbox.id, folder, bag, attachments=changes.attachments)
        item.bag[p.MESSAGE_SIZE] = items.size_of(db, item)
        item.bag["attachments"] = len(changes.attachments)
        return items.rewrite(db, item)
    bag = {**_bag_of_mime(changes.mime, changes), p.LAST_MODIFIER_NAME: mailbox.display_name}
    item = items.insert(db, mailbox.id, folder, bag, mime=changes.mime)
    # What the elements beside the MIME only repeat leaves its bytes alone; the rest is applied like an update.
    differing = {key: value for key, value in changes.bag.items() if bag.get(key, _ABSENT.get(key)) != value}
    if differing:
        items.update(db, item, differing)
    for attachment in changes.attachments:
        items.add_attachment(db, item, attachment)
    return item


_ABSENT: p.Bag = {
    p.IMPORTANCE: 1,
    p.SENSITIVITY: 0,
    p.READ_RECEIPT_REQUESTED: False,
    p.DELIVERY_RECEIPT_REQUESTED: False,
}


def _bag_to_be(mailbox: Mailbox, changes: Changes) -> p.Bag:
    if changes.mime is not None:
        return {**_bag_of_mime(changes.mime, changes), **changes.bag}
    now = items.now_micros()
    bag = {
        **mime.bag_of(b"", EXCHANGE.now()),
        p.RECIPIENTS_TO: [],
        p.DELIVERY_TIME: now,
        p.INTERNET_MESSAGE_ID: sends.new_message_id(mailbox),
        p.LAST_MODIFIER_NAME: mailbox.display_name,
    }
    me = [[mailbox.display_name, mailbox.address]]
    mime.set_people(bag, me, me)
    bag.update(changes.bag)
    bag.setdefault(p.CONVERSATION_TOPIC, bag.get(p.SUBJECT, ""))
    if p.SUBJECT in changes.bag:
        bag[p.CONVERSATION_TOPIC] = mime.topic_of(changes.bag[p.SUBJECT])
    bag[p.HAS_ATTACHMENTS] = any(not one.inline for one in changes.attachments)
    bag[p.PREVIEW] = mime.preview_of(bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML))
    bag[p.MESSAGE_FLAGS] = changes.flags(p.FLAG_UNSENT | p.FLAG_READ) | (
        p.FLAG_HAS_ATTACHMENT if bag[p.HAS_ATTACHMENTS] else 0
    )
    mime.set_display(bag)
    return bag


def _bag_of_mime(content: bytes, changes: Changes) -> p.Bag:
    now = EXCHANGE.now()
    bag = mime.bag_of(content, now)
    bag[p.DELIVERY_TIME] = p.to_micros(now)
    flags = changes.flags(p.FLAG_UNSENT | p.FLAG_READ)
    bag[p.MESSAGE_FLAGS] = flags | (p.FLAG_HAS_ATTACHMENT if bag[p.HAS_ATTACHMENTS] else 0)
    return bag
