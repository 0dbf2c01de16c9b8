"""GetAttachment, CreateAttachment, DeleteAttachment."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from typing import TYPE_CHECKING

from lxml import etree

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, change_of, child, children, entry_of
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations.changes import read_attachment
from bridge.sandbox.ews.shapes import ItemShape, read_item_shape
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.ews.versions import SchemaVersion
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item
    from bridge.sandbox.store.mime import Attachment


def get_attachment(context: Context, request: etree._Element) -> str:
    """Answer attachments by id, each on its own."""
    asked = request.find(xml.M + "AttachmentShape")
    shape: ItemShape | EwsError
    try:
        shape = _shape_of_mails(
            asked if asked is not None else etree.Element(xml.M + "AttachmentShape"), context.version
        )
    except EwsError as error:
        shape = error

    def get(node: etree._Element) -> str:
        if isinstance(shape, EwsError):
            raise shape
        mailbox, item, path = _find(context, db, node)
        view = View(db, mailbox, item)
        for number in path[:-1]:
            if not _is_mail(view.attachments().get(number)):
                raise EwsError("ErrorInvalidAttachmentId")
            view = view.inner(number)
        number = path[-1]
        attachment = view.attachments().get(number)
        if attachment is None:
            raise EwsError("ErrorInvalidAttachmentId")
        # Size, times and flags are in the item's list alone.
        head = f'<t:AttachmentId Id="{view.attachment_id(number)}"/>{xml.element("Name", attachment.name)}'
        if _is_mail(attachment):
            inner = shape.show(view.inner(number))
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
        context.behaviour.check_stored(db, mailbox, item)
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
        mailbox, item, path = _find(context, db, node)
        number = path[0]
        # What is inside an attached mail goes with it, not by itself.
        if len(path) > 1 or number not in {known for known, _ in items.numbered_attachments(db, item)}:
            raise EwsError("ErrorInvalidAttachmentId")
        items.remove_attachment(db, item, number)
        view = View(db, mailbox, item)
        return f'<m:RootItemId RootItemId="{view.item_id}" RootItemChangeKey="{view.change_key}"/>'

    with context.store.writing() as db:
        return batch(context, "DeleteAttachment", children(child(request, "AttachmentIds")), delete, changing=db)


def _find(context: Context, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Item, tuple[int, ...]]:
    entry = entry_of(str(node.get("Id")))
    if not entry.attachment:
        raise EwsError("ErrorInvalidIdNotAnItemAttachmentId")
    mailbox, item = context.item_by(db, entry)
    return mailbox, item, entry.attachment


def _is_mail(attachment: Attachment | None) -> bool:
    return attachment is not None and attachment.content_type == "message/rfc822"


def _shape_of_mails(node: etree._Element, version: SchemaVersion) -> ItemShape:
    """Return how mails inside mails are shown: whole, with what is asked for besides, without what only items have."""
    whole = read_item_shape(node, finding=False, version=version, base="AllProperties")
    return replace(
        whole,
        before=tuple(field for field in whole.before if field.uri not in _OUTER_ONLY),
        after=tuple(field for field in whole.after if field.uri not in _OUTER_ONLY),
    )


_OUTER_ONLY = frozenset({
    "item:ItemId", "item:ParentFolderId", "item:ConversationId", "item:EffectiveRights", "item:ResponseObjects",
    "item:DateTimeReceived", "item:LastModifiedName", "item:InstanceKey",
})  # fmt: skip
