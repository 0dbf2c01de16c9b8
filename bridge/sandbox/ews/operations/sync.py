"""SyncFolderItems and SyncFolderHierarchy."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import item_id_xml
from bridge.sandbox.ews.folderfields import read_folder_shape
from bridge.sandbox.ews.shapes import ItemShape, read_item_shape
from bridge.sandbox.ews.syncstate import InvalidSyncStateError, SyncState, begin, read_sync_state
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, changes, folders, items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder, Mailbox

_ITEMS: Final = "items"
_WITH_ASSOCIATED: Final = "items and associated"
_HIERARCHY: Final = "hierarchy"
_KEY_OF_ONE_GONE: Final = "CQAAAA=="


def sync_folder_items(context: Context, request: etree._Element) -> str:
    """Answer what changed in a folder since the state that the client brings, up to as many changes as it takes."""
    most = int((request.findtext(xml.M + "MaxChangesReturned") or "").strip())
    ignored = {str(node.get("Id")) for node in children(request.find(xml.M + "Ignore"))}
    every = request.findtext(xml.M + "SyncScope") == "NormalAndAssociatedItems"

    def sync(_: etree._Element) -> str:
        shape = read_item_shape(child(request, "ItemShape"), finding=True, whole=True, version=context.version)
        shape = replace(shape, rights=context.rights_on_item)
        mailbox, folder = _folder(context, db, child(request, "SyncFolderId"))
        state = _state(db, request, _WITH_ASSOCIATED if every else _ITEMS, mailbox, folder)
        beside = associated.place_of(db, folder) if every else None
        where = (folder.id,) if beside is None else (folder.id, beside.id)
        if state.finished:
            state = replace(state, known=state.until, until=changes.number_now(db))
        shown, state = _round(_Round(db, mailbox, where, shape, ignored), state, most)
        return _answer(state, "Item", shown, complete=state.finished)

    with context.store.reading() as db:
        return batch(context, "SyncFolderItems", [request], sync, on_error=_on_error("Item"))


def sync_folder_hierarchy(context: Context, request: etree._Element) -> str:
    """Answer which folders below one, or below the root, were made, changed or deleted since the client's state."""

    def sync(_: etree._Element) -> str:
        shape = read_folder_shape(child(request, "FolderShape"), version=context.version)
        shape = replace(shape, rights=context.rights_on)
        holder = request.find(xml.M + "SyncFolderId")
        if holder is None:
            mailbox = context.own_mailbox()
            top = folders.folder(db, mailbox.id, "root")
        else:
            mailbox, top = _folder(context, db, holder)
        state = _state(db, request, _HIERARCHY, mailbox, top)
        now = changes.number_now(db)
        made, changed, gone = _hierarchy(db, mailbox, top, state.until)
        shown = "".join(
            f"<t:{what}>{shape.show(mailbox, folder)}</t:{what}>"
            for what, found in (("Create", made), ("Update", changed))
            for folder in found
        )
        shown += "".join(
            f'<t:Delete><t:FolderId Id="{mailbox.mint.folder_id(number)}" ChangeKey="AQAAAA=="/></t:Delete>'
            for number in gone
        )
        return _answer(SyncState(_HIERARCHY, state.mailbox, top.id, now, now, now, now), "Folder", shown, complete=True)

    with context.store.reading() as db:
        return batch(context, "SyncFolderHierarchy", [request], sync, on_error=_on_error("Folder"))


class _Round:
    """Shows what a round of item changes tells; `where` are the numbers of the folder and of its associated items."""

    def __init__(
        self, db: sqlite3.Connection, mailbox: Mailbox, where: tuple[int, ...], shape: ItemShape, ignored: set[str]
    ) -> None:
        self.db = db
        self.mailbox = mailbox
        self.where = where
        self._shape = shape
        self._ignored = ignored

    def made(self, number: int) -> str:
        """Show an item that the client does not know."""
        return self._item("Create", number)

    def changed(self, number: int, *, gone_from: int | None, since: int) -> str:
        """Show what happened to an item that the client knows."""
        if gone_from is not None:
            item_id = self.mailbox.mint.item_id(gone_from, number)
            if item_id in self._ignored:
                return ""
            return f'<t:Delete><t:ItemId Id="{item_id}" ChangeKey="{_KEY_OF_ONE_GONE}"/></t:Delete>'
        if changes.only_read_flag(self.db, number, since):
            view = View(self.db, self.mailbox, items.read(self.db, self.mailbox.id, number))
            if view.item_id in self._ignored:
                return ""
            read = xml.boolean(view.item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_READ)
            return f"<t:ReadFlagChange>{item_id_xml(view)}<t:IsRead>{read}</t:IsRead></t:ReadFlagChange>"
        return self._item("Update", number)

    def _item(self, what: str, number: int) -> str:
        view = View(self.db, self.mailbox, items.read(self.db, self.mailbox.id, number))
        return "" if view.item_id in self._ignored else f"<t:{what}>{self._shape.show(view)}</t:{what}>"


def _round(tell: _Round, state: SyncState, most: int) -> tuple[str, SyncState]:
    """Return as many changes as one answer takes, and where the round is after them."""
    parts: list[str] = []
    made = sorted(
        number
        for folder in tell.where
        for number in changes.items_created(tell.db, folder, most + 1, after=state.made, until=state.until)
    )[: most + 1]
    parts.extend(tell.made(number) for number in made[:most])
    if len(made) > most:
        return "".join(parts), replace(state, made=made[most - 1])
    state = replace(state, made=state.until)
    left = most - len(made)
    # The last change of a page is known by its number alone, and all changes have different ones.
    found = sorted(
        (at, number, folder if gone else None)
        for folder in tell.where
        for number, at, gone in changes.items_changed(
            tell.db, folder, left + 1, known=state.known, after=state.changed, until=state.until
        )
    )[: left + 1]
    parts.extend(tell.changed(number, gone_from=gone_from, since=state.known) for _, number, gone_from in found[:left])
    if len(found) <= left:
        return "".join(parts), replace(state, changed=state.until)
    return "".join(parts), replace(state, changed=found[left - 1][0] if left else state.changed)


def _hierarchy(
    db: sqlite3.Connection, mailbox: Mailbox, top: Folder, since: int
) -> tuple[list[Folder], list[Folder], list[int]]:
    """
    Return the folders below `top` that are new, those that changed, and the numbers of those gone, since a number.

    A folder that was moved in from elsewhere is new with all below it; one that was moved out is gone likewise.
    """
    every = folders.folders(db, mailbox.id)
    inside = _below(every, {top.id})
    moves = changes.folder_moves(db, mailbox.id, since) if since else []
    gone: dict[int, None] = {}
    for move in reversed(moves):
        number, parent = move.old_object, move.old_folder
        if number is None or number > since or number in inside:
            continue
        if parent in inside or parent in gone:
            gone.setdefault(number)
            if move.kind == changes.MOVED:
                gone.update(dict.fromkeys(sorted(one for one in _below(every, {number}) if one <= since)))
    came = {
        move.object
        for move in moves
        if move.kind == changes.MOVED and move.object in inside and move.old_folder not in (inside | gone.keys())
    }
    fresh = _below(every, {number for number in came if number is not None})
    made, changed = [], []
    for folder in _parents_first(every, top.id):
        if folder.id > since or folder.id in fresh:
            made.append(folder)
        elif folder.change > since:
            changed.append(folder)
    return made, changed, list(reversed(gone))


def _below(every: list[Folder], tops: set[int]) -> set[int]:
    """Return the numbers of these folders and of all below them."""
    lower: dict[int | None, list[int]] = {}
    for one in every:
        lower.setdefault(one.parent, []).append(one.id)
    found, waiting = set(tops), list(tops)
    while waiting:
        for number in lower.get(waiting.pop(), ()):
            if number not in found:
                found.add(number)
                waiting.append(number)
    return found


def _parents_first(every: list[Folder], top: int) -> list[Folder]:
    lower: dict[int | None, list[Folder]] = {}
    for one in every:
        lower.setdefault(one.parent, []).append(one)
    found: list[Folder] = []
    waiting = list(lower.get(top, ()))
    while waiting:
        found.extend(waiting)
        waiting = [below for one in waiting for below in lower.get(one.id, ())]
    return found


def _folder(context: Context, db: sqlite3.Connection, holder: etree._Element) -> tuple[Mailbox, Folder]:
    try:
        return context.find_folder(db, holder)
    except EwsError as error:
        if error.code in ("ErrorItemNotFound", "ErrorFolderNotFound"):
            raise EwsError("ErrorSyncFolderNotFound") from error
        raise


def _state(db: sqlite3.Connection, request: etree._Element, kind: str, mailbox: Mailbox, folder: Folder) -> SyncState:
    text = request.findtext(xml.M + "SyncState")
    if not text:
        return begin(kind, mailbox.guid.hex, folder.id)
    try:
        state = read_sync_state(text, kind, mailbox.guid.hex, folder.id)
    except InvalidSyncStateError as error:
        raise EwsError("ErrorInvalidSyncStateData") from error
    needed = state.until if state.finished else state.known
    if state.until > changes.number_now(db) or not (needed == 0 or changes.knows_since(db, needed)):
        raise EwsError("ErrorInvalidSyncStateData")
    return state


def _answer(state: SyncState, suffix: str, shown: str, *, complete: bool) -> str:
    told = f"<m:Changes>{shown}</m:Changes>" if shown else "<m:Changes/>"
    return (
        f"<m:SyncState>{state.text()}</m:SyncState><m:IncludesLast{suffix}InRange>{xml.boolean(complete)}"
        f"</m:IncludesLast{suffix}InRange>{told}"
    )


def _on_error(suffix: str) -> str:
    return f"<m:SyncState/><m:IncludesLast{suffix}InRange>true</m:IncludesLast{suffix}InRange>"
