"""GetItem."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.sandbox.ews import occurrences
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.shapes import ItemShape, read_item_shape
from bridge.sandbox.ews.view import View

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context


def get_item(context: Context, request: etree._Element) -> str:
    """Answer items by id, each on its own: one that fails does not fail the others."""
    shape: ItemShape | EwsError
    try:
        read = read_item_shape(child(request, "ItemShape"), finding=False, version=context.version)
        shape = replace(read, rights=context.rights_on_item)
    except EwsError as error:
        shape = error

    def get(node: etree._Element) -> str:
        if isinstance(shape, EwsError):
            raise shape
        mailbox, item, number = occurrences.find(context, db, node)
        view = View(db, mailbox, item if number is None else occurrences.occurrence(item, number))
        if any(field.uri == "item:MimeContent" for field in shape.before):
            context.behaviour.check_conversion(view)
            view = context.behaviour.as_read(view)
        return f"<m:Items>{shape.show(view)}</m:Items>"

    with context.store.reading() as db:
        return batch(context, "GetItem", children(child(request, "ItemIds")), get, on_error="<m:Items/>")
