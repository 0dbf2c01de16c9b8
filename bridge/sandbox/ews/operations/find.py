"""FindItem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.operations.paging import read_page
from bridge.sandbox.ews.restrictions import Restriction, read_restriction, read_sort_order
from bridge.sandbox.ews.shapes import ItemShape, read_item_shape
from bridge.sandbox.ews.versions import check_paths
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder, Mailbox


def find_item(context: Context, request: etree._Element) -> str:
    """Answer the items of folders, a page of each."""

    def find(node: etree._Element) -> str:
        shape = read_item_shape(child(request, "ItemShape"), finding=True, version=context.version)
        for part in ("Restriction", "SortOrder"):
            check_paths(context.version, request.find(xml.M + part))
        if request.find(xml.M + "GroupBy") is not None or request.find(xml.M + "DistinguishedGroupBy") is not None:
            raise EwsError("ErrorInvalidOperation")
        if request.find(xml.M + "QueryString") is not None:
            raise EwsError("ErrorInvalidOperation")
        mailbox, folder = context.folder_of(db, node)
        return _found(db, request, shape, mailbox, folder, limits)

    book = context.temper.book
    limits = book.of_all("find_items"), book.of_all("find_items_restricted")

    with context.store.reading() as db:
        return batch(context, "FindItem", children(child(request, "ParentFolderIds")), find)


def _found(  # noqa: PLR0917 - what a find is made of
    db: sqlite3.Connection,
    request: etree._Element,
    shape: ItemShape,
    mailbox: Mailbox,
    folder: Folder,
    limits: tuple[int, int],
) -> str:
    """Return the page of one folder; `limits` is what it may hold, the second number with a restriction."""
    node = request.find(xml.M + "Restriction")
    restriction = read_restriction(node)
    order = read_sort_order(request.find(xml.M + "SortOrder"))
    # Without an order Exchange gives the newest first.
    order = "received DESC, id DESC" if order is None else f"{order}, id"
    # No item of this store is associated (FAI) or soft-deleted in place, so those traversals find nothing.
    if request.get("Traversal") != "Shallow":
        restriction.sql, restriction.parameters = "0", []
    total = folder.total if restriction.sql == "1" else _count(db, folder, restriction)
    page = read_page(request, "Item", total, limits[node is not None])
    parameters = (folder.id, *restriction.parameters, page.limit, page.offset)
    # Offsets are walked in the index alone; only the page's own rows are read.
    wanted = [row[0] for row in db.execute(_query(restriction, order), parameters)]
    listed = _ids(db, mailbox, folder, wanted) if shape.ids_only else _shown(db, mailbox, shape, wanted)
    return f"<m:RootFolder{page.attributes}><t:Items>{listed}</t:Items></m:RootFolder>"


def _count(db: sqlite3.Connection, folder: Folder, restriction: Restriction) -> int:
    query = f"SELECT count(*) FROM items WHERE {_folder_condition(restriction)} AND {restriction.sql}"  # noqa: S608 - built here
    return int(db.execute(query, (folder.id, *restriction.parameters)).fetchone()[0])


def _query(restriction: Restriction, order: str) -> str:
    return (
        f"SELECT id FROM items WHERE {_folder_condition(restriction)} AND {restriction.sql} "  # noqa: S608 - built here
        f"ORDER BY {order} LIMIT ? OFFSET ?"
    )


def _shown(db: sqlite3.Connection, mailbox: Mailbox, shape: ItemShape, wanted: list[int]) -> str:
    query = f"SELECT {items.COLUMNS} FROM items WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
    found = {row[0]: row for row in db.execute(query, (str(wanted),))}
    return "".join(shape.show(View(db, mailbox, items.item_of(found[number]))) for number in wanted)


def _folder_condition(restriction: Restriction) -> str:
    # The plus keeps SQLite from walking the folder when an index of the restriction's own leads to a few items.
    return "+folder = ?" if restriction.looks_up else "folder = ?"


def _ids(db: sqlite3.Connection, mailbox: Mailbox, folder: Folder, wanted: list[int]) -> str:
    mint = mailbox.mint
    query = (
        f"SELECT id, change, json_extract(props, '$.\"{p.MESSAGE_CLASS}\"') FROM items "  # noqa: S608 - a constant
        "WHERE id IN (SELECT value FROM json_each(?))"
    )
    found = {number: (change, message_class) for number, change, message_class in db.execute(query, (str(wanted),))}
    parts = []
    for number in wanted:
        change, message_class = found[number]
        name, item_id, key = (
            element_for(message_class or ""),
            mint.item_id(folder.id, number),
            mint.item_change_key(change),
        )
        parts.append(f'<t:{name}><t:ItemId Id="{item_id}" ChangeKey="{key}"/></t:{name}>')
    return "".join(parts)
