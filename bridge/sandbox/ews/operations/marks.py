"""MarkAllItemsAsRead, MarkAsJunk, ArchiveItem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import item_id_xml
from bridge.sandbox.ews.operations import receipts
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import folders, items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context


def mark_all_items_as_read(context: Context, request: etree._Element) -> str:
    """Mark every item of folders as read or unread; items that are so already keep their change keys."""
    read = xml.truth(request.findtext(xml.M + "ReadFlag"))
    suppress = request.findtext(xml.M + "SuppressReadReceipts")

    def mark(node: etree._Element) -> str:
        mailbox, folder = context.folder_of(db, node)
        unread = db.execute("SELECT id FROM items WHERE folder = ? AND unread = ?", (folder.id, int(read))).fetchall()
        for (number,) in unread:
            item = items.read(db, mailbox.id, number)
            if read:
                receipts.settle(context, db, mailbox, item, deleted=False, suppress=suppress)
            flags = item.bag.get(p.MESSAGE_FLAGS, 0)
            items.update(db, item, {p.MESSAGE_FLAGS: flags | p.FLAG_READ if read else flags & ~p.FLAG_READ})
        return ""

    with context.store.writing() as db:
        return batch(context, "MarkAllItemsAsRead", children(child(request, "FolderIds")), mark, changing=db)


def mark_as_junk(context: Context, request: etree._Element) -> str:
    """
    Move mails to Junk Email, or those that are none back to the Inbox; without MoveItem they stay where they are.

    Whose mail is blocked from now on is kept nowhere: no filter of the sandbox's looks at senders.
    """
    target = "junkemail" if xml.truth(request.get("IsJunk")) else "inbox"

    def mark(node: etree._Element) -> str:
        mailbox, item = context.item_of(db, node)
        if not xml.truth(request.get("MoveItem")):
            return ""
        moved = items.move(db, item, folders.folder(db, mailbox.id, target).id)
        return item_id_xml(View(db, mailbox, moved)).replace("<t:ItemId", "<m:MovedItemId")

    with context.store.writing() as db:
        return batch(context, "MarkAsJunk", children(child(request, "ItemIds")), mark, changing=db)


def archive_item(context: Context, request: etree._Element) -> str:
    """Refuse every item: no mailbox has an archive mailbox, as is usual without a licence for it."""

    def archive(_node: etree._Element) -> str:
        raise EwsError("ErrorInvalidOperation", "Archive mailbox is not enabled for this user.")

    return batch(context, "ArchiveItem", children(child(request, "ItemIds")), archive, on_error="<m:Items/>")
