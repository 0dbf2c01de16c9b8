"""SendItem, and what a mail must be like to be sent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, change_of, child, children
from bridge.sandbox.ews.errors import EwsError, FaultError
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.settling import FOLDERS
from bridge.sandbox.store import folders, sends
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox


class MaySend(Protocol):
    """Tells whether mail may be from an address; `on_behalf`, if its Sender is who acts."""

    def __call__(self, address: str, *, on_behalf: bool) -> bool:
        """Tell."""


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
        if element_for(str(item.bag.get(p.MESSAGE_CLASS, ""))) in FOLDERS:
            raise EwsError("ErrorInvalidItemForOperationSendItem")
        if not item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT:
            raise EwsError("ErrorAccessDenied")
        if change != item.change:
            raise EwsError("ErrorStaleObject")
        save_to = None
        if save:
            save_to = (
                context.find_saved_folder(db, folder_node)[1]
                if folder_node is not None
                else folders.folder(db, mailbox.id, "sentitems")
            ).id
        check_sendable(mailbox, item.bag, context.may_send)
        context.submit(db, mailbox, item, save_to=save_to)
        return ""

    with context.store.writing() as db:
        return batch(context, "SendItem", children(child(request, "ItemIds")), send, changing=db)


def check_sendable(mailbox: Mailbox, bag: p.Bag, may_send: MaySend | None = None) -> None:
    """
    Make sure that a mail may leave: as the mailbox's own, or as of whom `may_send` says.

    Raises:
        EwsError: ErrorInvalidOperation, ErrorInvalidRecipients, ErrorSendAsDenied.
    """
    if bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_ASSOCIATED:
        raise EwsError("ErrorInvalidOperation", "An associated item cannot be sent.")
    recipients = sends.recipients_of(bag)
    if not recipients:
        raise EwsError(
            "ErrorInvalidRecipients",
            "At least one recipient isn't valid., A message can't be sent because it contains no recipients.",
        )
    if not all(_is_address(address) for address in recipients):
        raise EwsError("ErrorInvalidRecipients")
    for key, on_behalf in ((p.SENT_REPRESENTING_ADDRESS, True), (p.SENDER_ADDRESS, False)):
        address = str(bag.get(key) or mailbox.address)
        if address.lower() == mailbox.address.lower():
            continue
        if may_send is None or not may_send(address, on_behalf=on_behalf):
            raise EwsError("ErrorSendAsDenied")


def _is_address(address: str) -> bool:
    local, at, domain = address.rpartition("@")
    return bool(local and at and domain) and not any(letter.isspace() or letter in "<>,;" for letter in address)
