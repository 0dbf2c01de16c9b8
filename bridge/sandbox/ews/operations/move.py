"""MoveItem and CopyItem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.shapes import id_only
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store.items import Item

    Transfer = Callable[[sqlite3.Connection, Item, int], Item]


def move_item(context: Context, request: etree._Element) -> str:
    """Move items into a folder; their ids and change keys are new."""
    return _transfer(context, request, "MoveItem", items.move)


def copy_item(context: Context, request: etree._Element) -> str:
    """Copy items into a folder."""
    return _transfer(context, request, "CopyItem", items.copy)


def _transfer(context: Context, request: etree._Element, operation: str, transfer: Transfer) -> str:
    returned = request.findtext(xml.M + "ReturnNewItemIds")

    def do(node: etree._Element) -> str:
        target_mailbox, target = context.target_folder(db, request)
        mailbox, item = context.item_of(db, node)
        if mailbox.id != target_mailbox.id:
            raise EwsError("ErrorCrossMailboxMoveCopy")
        done = transfer(db, item, target.id)
        if operation == "CopyItem":
            context.behaviour.check_stored(db, mailbox, None)
        shown = id_only(View(db, mailbox, done)) if returned is None or xml.truth(returned) else ""
        return f"<m:Items>{shown}</m:Items>" if shown else "<m:Items/>"

    with context.store.writing() as db:
        return batch(context, operation, children(child(request, "ItemIds")), do, on_error="<m:Items/>", changing=db)
