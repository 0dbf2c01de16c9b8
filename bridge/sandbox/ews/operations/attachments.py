"""GetAttachment, CreateAttachment, DeleteAttachment."""

from __future__ import annotations

from base64 import b64encode
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, change_of, child, children, entry_of
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import BY_URI, ITEM_FIELDS, stands_before_extended
from bridge.sandbox.ews.operations.changes import read_attachment
from bridge.sandbox.ews.shapes import ItemShape
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items, mime
from bridge.sandbox.store.items import Item

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox


def get_attachment(context: Context, request: etree._Element) -> str:
    """Answer attachments by id, each on its own."""
    shape = request.find(xml.M + "AttachmentShape")
    with_mime = shape is not None and xml.truth(shape.findtext(xml.T + "IncludeMimeContent"))

    def get(node: etree._Element) -> str:
        mailbox, item, number = _find(context, db, node)
        view = View(db, mailbox, item)
        attachment = view.attachments().get(number)
        if attachment is None:
            raise EwsError("ErrorInvalidAttachmentId")
        # Size, times and flags are in the item's list alone.
        head = (
            f'<t:AttachmentId Id="{mailbox.mint.attachment_id(item.folder, item.id, number)}"/>'
            f"{xml.element('Name', attachment.name)}"
        )
        if attachment.content_type == "message/rfc822":
            inner = _inner_mail(view, attachment.content, with_mime=with_mime)
            return f"<m:Attachments><t:ItemAttachment>{head}{inner}</t:ItemAttachment></m:Attachments>"
        head += xml.element("ContentType", attachment.content_type)
        if attachment.content_id:
            head += xml.element("ContentId", attachment.content_id)
        content = f"<t:Content>{b64encode(attachment.content).decode()}</t:Content>"
        return f"<m:Attachments><t:FileAttachment>{head}{content}</t:FileAttachment></m:Attachments>"

    with context.store.reading() as db:
        return batch(
            context, "GetAttachment", children(child(request, "AttachmentIds")), get, on_error="<m:Attachments/>"
        )


def create_attachment(context: Context, request: etree._Element) -> str:
    """Attach files to an item; each changes the item's change key."""
    parent = child(request, "ParentItemId")

    def create(node: etree._Element) -> str:
        if node.find(xml.T + "Name") is None:
            raise EwsError("ErrorRequiredPropertyMissing", xml='<t:ExceptionFieldURI FieldURI="attachment:Name"/>')
        change_of(parent)
        mailbox, item = context.item_by(db, entry_of(str(parent.get("Id"))))
        number = items.add_attachment(db, item, read_attachment(node))
        context.temper.check_stored(db, mailbox, item)
        view = View(db, mailbox, item)
        kind = str(node.tag).rpartition("}")[2]
        attachment_id = mailbox.mint.attachment_id(item.folder, item.id, number)
        return (
            f'<m:Attachments><t:{kind}><t:AttachmentId Id="{attachment_id}" RootItemId="{view.item_id}" '
            f'RootItemChangeKey="{view.change_key}"/></t:{kind}></m:Attachments>'
        )

    with context.store.writing() as db:
        return batch(
            context,
            "CreateAttachment",
            children(child(request, "Attachments")),
            create,
            on_error="<m:Attachments/>",
            changing=db,
        )


def delete_attachment(context: Context, request: etree._Element) -> str:
    """Take attachments away; each changes the item's change key."""

    def delete(node: etree._Element) -> str:
        mailbox, item, number = _find(context, db, node)
        if number not in {known for known, _ in items.numbered_attachments(db, item)}:
            raise EwsError("ErrorInvalidAttachmentId")
        items.remove_attachment(db, item, number)
        view = View(db, mailbox, item)
        return f'<m:RootItemId RootItemId="{view.item_id}" RootItemChangeKey="{view.change_key}"/>'

    with context.store.writing() as db:
        return batch(context, "DeleteAttachment", children(child(request, "AttachmentIds")), delete, changing=db)


def _find(context: Context, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Item, int]:
    entry = entry_of(str(node.get("Id")))
    if entry.attachment is None:
        raise EwsError("ErrorInvalidAttachmentId")
    mailbox, item = context.item_by(db, entry)
    return mailbox, item, entry.attachment


def _inner_mail(view: View, raw: bytes, *, with_mime: bool) -> str:
    """Return a mail inside a mail as a t:Message, without an id of its own."""
    bag = mime.bag_of(raw, datetime.now(UTC))
    inner = View(view.db, view.mailbox, Item(0, view.mailbox.id, 0, 0, None, bag), raw)
    fields = [field for field in ITEM_FIELDS if "g" in field.shapes and field.uri not in _OUTER_ONLY]
    if with_mime:
        fields.insert(0, BY_URI["item:MimeContent"])
    before = tuple(field for field in fields if stands_before_extended(field))
    return ItemShape(before, (), tuple(fields[len(before) :])).show(inner)


_OUTER_ONLY = frozenset({
    "item:ItemId", "item:ParentFolderId", "item:ConversationId", "item:EffectiveRights", "item:ResponseObjects",
    "item:DateTimeReceived", "item:LastModifiedName",
})  # fmt: skip
