"""FindItem."""

from __future__ import annotations

from dataclasses import replace
from itertools import groupby
from typing import TYPE_CHECKING

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.operations.calendarview import calendar_view
from bridge.sandbox.ews.operations.paging import read_page, read_seek, seek_page
from bridge.sandbox.ews.operations.searches import CLASS, NEWEST_FIRST, Search, read_grouping
from bridge.sandbox.ews.query import read_query
from bridge.sandbox.ews.restrictions import Restriction, read_restriction, read_sort_order
from bridge.sandbox.ews.shapes import ItemShape, read_item_shape
from bridge.sandbox.ews.timing import within
from bridge.sandbox.ews.versions import check_paths
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, folders, items

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.ews.operations.searches import Grouping
    from bridge.sandbox.store import Folder, Mailbox


def find_item(context: Context, request: etree._Element) -> str:
    """Answer the items of folders, a page of each."""

    def find(node: etree._Element) -> str:
        shape = read_item_shape(child(request, "ItemShape"), finding=True, version=context.version)
        shape = replace(shape, rights=context.rights_on_item)
        for part in ("Restriction", "SortOrder", "GroupBy", "SeekToConditionPageItemView"):
            check_paths(context.version, request.find(xml.M + part))
        mailbox, folder = context.folder_of(db, node)
        with within(db, seconds):
            return _found(db, request, shape, mailbox, folder, limits, indexed=indexed, hidden=hidden)

    book = context.behaviour.book
    indexed = book.of_all("named_properties_indexed")
    limits, seconds = (book.of_all("find_items"), book.of_all("find_items_restricted")), book.of_all("find_seconds")

    hidden = context.behaviour.hidden_from_searches()
    with context.store.reading() as db:
        return batch(context, "FindItem", children(child(request, "ParentFolderIds")), find)


def _found(  # noqa: PLR0917 - what a find is made of
    db: sqlite3.Connection,
    request: etree._Element,
    shape: ItemShape,
    mailbox: Mailbox,
    folder: Folder,
    limits: tuple[int, int],
    *,
    indexed: bool,
    hidden: list[tuple[int, int]],
) -> str:
    """Return the page of one folder; `limits` is what it may hold, the second number with a restriction."""
    if request.find(xml.M + "CalendarView") is not None:
        return calendar_view(db, request, shape, mailbox, folder)
    restriction = _restriction(request, indexed=indexed)
    most = limits[restriction is not None]
    restriction = restriction or Restriction()
    if restriction.named:
        restriction.hide(hidden)
    traversal = request.get("Traversal")
    if traversal == "SoftDeleted":
        folder = folders.folder(db, mailbox.id, "recoverableitemsdeletions")
    elif traversal == "Associated":
        place = associated.place_of(db, folder)
        folder, restriction = (folder, Restriction("0")) if place is None else (place, restriction)
    grouping = read_grouping(request)
    order = read_sort_order(request.find(xml.M + "SortOrder")) or NEWEST_FIRST
    search = Search(db, folder.id, restriction, f"{grouping.order}, {order}" if grouping else order)
    attributes, wanted = _page(search, request, folder, most)
    listed = _ids(db, mailbox, folder, wanted) if shape.ids_only else _shown(db, mailbox, shape, wanted)
    content = (
        f"<t:Items>{''.join(listed)}</t:Items>" if grouping is None else _grouped(search, grouping, wanted, listed)
    )
    return f"<m:RootFolder{attributes}>{content}</m:RootFolder>"


def _restriction(request: etree._Element, *, indexed: bool) -> Restriction | None:
    """Return what Restriction or QueryString say, None where neither is there."""
    node, query = request.find(xml.M + "Restriction"), request.find(xml.M + "QueryString")
    if node is not None and query is not None:
        raise EwsError("ErrorInvalidOperation", "A query string cannot be combined with a restriction.")
    if request.get("Traversal") == "Associated" and query is not None:
        raise EwsError("ErrorInvalidOperation", "A query string does not find associated items.")
    return read_query(query) if node is None else read_restriction(node, indexed=indexed)


def _page(search: Search, request: etree._Element, folder: Folder, most: int) -> tuple[str, list[int]]:
    """Return the attributes of a page, and the numbers of its items."""
    condition = read_seek(request)
    if condition is not None:
        marked = search.marked(read_restriction(condition))
        page = seek_page(request, [hit for _, hit in marked], most)
        return page.attributes, [number for number, _ in marked[page.offset : page.offset + page.limit]]
    if search.restriction.reads_items:
        # Each item is looked at once: what is found is counted and cut here.
        every = search.numbers()
        page = read_page(request, "Item", len(every), most)
        return page.attributes, every[page.offset : page.offset + page.limit]
    page = read_page(request, "Item", folder.total if search.restriction.sql == "1" else search.count(), most)
    return page.attributes, search.page(page.offset, page.limit)


def _grouped(search: Search, grouping: Grouping, wanted: list[int], listed: list[str]) -> str:
    found = search.groups_of(wanted, grouping.key, grouping.shown)
    parts = []
    for _, group in groupby(zip(wanted, listed, strict=True), key=lambda one: found[one[0]][0]):
        members = list(group)
        title = xml.element("GroupIndex", grouping.title(found[members[0][0]][1]))
        shown = "".join(element for _, element in members)
        parts.append(f"<t:GroupedItems>{title}<t:Items>{shown}</t:Items></t:GroupedItems>")
    return f"<t:Groups>{''.join(parts)}</t:Groups>"


def _shown(db: sqlite3.Connection, mailbox: Mailbox, shape: ItemShape, wanted: list[int]) -> list[str]:
    query = f"SELECT {items.COLUMNS} FROM items WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - constants
    found = {row[0]: row for row in db.execute(query, (str(wanted),))}
    return [shape.show(View(db, mailbox, items.item_of(found[number]))) for number in wanted]


def _ids(db: sqlite3.Connection, mailbox: Mailbox, folder: Folder, wanted: list[int]) -> list[str]:
    mint = mailbox.mint
    query = (
        f"SELECT id, change, {CLASS} FROM items "  # noqa: S608 - a constant
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
    return parts
