"""
Associated items: what clients keep in a folder beside its mails, such as settings, and see only when they ask for it.

Those of a folder lie in a place of their own: a folder without a parent that no list of folders holds. So nothing that
counts, lists, finds, synchronises or tells of a folder's items meets them, and nothing of that has to know of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.store import properties as p
from bridge.sandbox.store.errors import FolderNotFoundError
from bridge.sandbox.store.folders import PLACE, add_place, folder

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.store.folders import Folder


def place_of(db: sqlite3.Connection, one: Folder) -> Folder | None:
    """Return where a folder's associated items lie, None as long as it never had any."""
    try:
        return folder(db, one.mailbox, f"{PLACE}{one.id}")
    except FolderNotFoundError:
        return None


def ensure_place(db: sqlite3.Connection, one: Folder) -> Folder:
    """Return where a folder's associated items lie, made where absent; a place is its own."""
    if (one.distinguished or "").startswith(PLACE):
        return one
    return place_of(db, one) or add_place(db, one.mailbox, f"{PLACE}{one.id}")


def beside(db: sqlite3.Connection, one: Folder, flags: int) -> Folder:
    """Return where an item with such message flags goes that is put into a folder."""
    return ensure_place(db, one) if flags & p.FLAG_ASSOCIATED else one


def places(db: sqlite3.Connection, mailbox: int) -> frozenset[int]:
    """Return the numbers of all such places of a mailbox."""
    query = "SELECT id FROM folders WHERE mailbox = ? AND distinguished >= ? AND distinguished < ?"
    # The letter after the colon: a range, so that the index of distinguished names is read and nothing else.
    return frozenset(row[0] for row in db.execute(query, (mailbox, PLACE, PLACE[:-1] + ";")))
