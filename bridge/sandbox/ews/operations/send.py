"""SendItem, and what a mail must be like to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, change_of, child, children
from bridge.sandbox.ews.errors import EwsError, FaultError
from bridge.sandbox.store import folders, sends
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox


def send_item(context: Context, request: etree._Element) -> str:
    """Send drafts. Each needs its current change key: a changed or a sent one is refused."""
    save = xml.truth(request.get("SaveItemToFolder"))
    folder_node = request.find(xml.M + "SavedItemFolderId")
    if folder_node is not None and not save:
        raise FaultError("ErrorInvalidSendItemSaveSettings")

    def send(node: etree._Element) -> str:
        change = change_of(node)
        if change is None:
            raise EwsError("ErrorChangeKeyRequired")
        mailbox, item = context.item_of(db, node)
        if not item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT:
            raise EwsError("ErrorAccessDenied")
        if change != item.change:
            raise EwsError("ErrorStaleObject")
        save_to = None
        if save:
            save_to = (
                context.find_folder(db, folder_node)[1]
                if folder_node is not None
                else folders.folder(db, mailbox.id, "sentitems")
            ).id
        check_sendable(mailbox, item.bag)
        context.submit(db, mailbox, item, save_to=save_to)
        return ""

    with context.store.writing() as db:
        return batch(context, "SendItem", children(child(request, "ItemIds")), send, changing=db)


def check_sendable(mailbox: Mailbox, bag: p.Bag) -> None:
    """
    Make sure that a mail may leave.

    Raises:
        EwsError: ErrorInvalidRecipients, ErrorSendAsDenied.
    """
    recipients = sends.recipients_of(bag)
    if not recipients:
        raise EwsError(
            "ErrorInvalidRecipients",
            "At least one recipient isn't valid., A message can't be sent because it contains no recipients.",
        )
    if not all(_is_address(address) for address in recipients):
        raise EwsError("ErrorInvalidRecipients")
    for key in (p.SENT_REPRESENTING_ADDRESS, p.SENDER_ADDRESS):
        if bag.get(key) and str(bag[key]).lower() != mailbox.address.lower():
            raise EwsError("ErrorSendAsDenied")


def _is_address(address: str) -> bool:
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and not any(letter.isspace() or letter in "<>,;" for letter in address)
