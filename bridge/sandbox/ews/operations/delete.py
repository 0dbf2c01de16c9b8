"""DeleteItem."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from bridge.sandbox.ews import occurrences
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations import receipts
from bridge.sandbox.ews.operations.meetings import call_off
from bridge.sandbox.store import items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store.items import Disposal


def delete_item(context: Context, request: etree._Element) -> str:
    """Delete items in the way that DeleteType says; a change key that is not current is no matter."""
    disposal = cast("Disposal", request.get("DeleteType"))

    def delete(node: etree._Element) -> str:
        mailbox, item, occurrence = occurrences.find(context, db, node)
        item_class = str(item.bag.get(p.MESSAGE_CLASS, "")).lower()
        if item_class.startswith("ipm.appointment") and request.get("SendMeetingCancellations") is None:
            raise EwsError("ErrorSendMeetingCancellationsRequired")
        if item_class.startswith("ipm.task") and request.get("AffectedTaskOccurrences") is None:
            raise EwsError("ErrorAffectedTaskOccurrencesRequired")
        if occurrence is not None:
            occurrences.delete(db, item, occurrence)
        else:
            if item_class.startswith("ipm.appointment"):
                call_off(context, db, mailbox, item, request.get("SendMeetingCancellations"))
            receipts.settle(context, db, mailbox, item, deleted=True, suppress=request.get("SuppressReadReceipts"))
            items.delete(db, item, disposal)
        return ""

    with context.store.writing() as db:
        return batch(context, "DeleteItem", children(child(request, "ItemIds")), delete, changing=db)
