"""Drafts that the server itself will write again, once each: with a new change key, and nothing else that shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.store import folders, items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

_TABLE: Final = "CREATE TABLE IF NOT EXISTS behaviour_touches (item INTEGER PRIMARY KEY, due INTEGER NOT NULL)"


def prepare(db: sqlite3.Connection) -> None:
    """Make the table if it is missing."""
    db.execute(_TABLE)


def plan(db: sqlite3.Connection, item: int, due: int) -> None:
    """Have a draft touched when its time has come."""
    db.execute("INSERT OR REPLACE INTO behaviour_touches VALUES (?,?)", (item, due))


def touch(db: sqlite3.Connection, now: int) -> int | None:
    """Touch the drafts that are due and still there, unsent; returns when the next one is, None where none is left."""
    columns = ", ".join("i." + name for name in items.COLUMNS.split(", "))
    due = db.execute(
        f"SELECT {columns} FROM behaviour_touches AS t JOIN items AS i ON i.id = t.item WHERE t.due <= ?",  # noqa: S608 - constants
        (now,),
    ).fetchall()
    for row in due:
        item = items.item_of(row)
        if not item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_SUBMITTED:
            items.update(db, item, {})
    db.execute("DELETE FROM behaviour_touches WHERE due <= ?", (now,))
    following = db.execute("SELECT min(due) FROM behaviour_touches").fetchone()[0]
    return None if following is None else int(following)


def is_draft_folder(db: sqlite3.Connection, mailbox: int, folder: int) -> bool:
    """Return whether a folder is the mailbox's Drafts."""
    return folders.folder(db, mailbox, "drafts").id == folder
