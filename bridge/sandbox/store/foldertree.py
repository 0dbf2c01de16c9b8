"""Whole branches of a mailbox's folders: moved, copied."""

from __future__ import annotations

import json
import sqlite3
from typing import TYPE_CHECKING

from bridge.sandbox.store import associated, items
from bridge.sandbox.store.database import next_counter
from bridge.sandbox.store.errors import FolderExistsError
from bridge.sandbox.store.folders import children, create_folder, folder

if TYPE_CHECKING:
    from bridge.sandbox.store import properties as p
    from bridge.sandbox.store.folders import Folder


def is_within(db: sqlite3.Connection, inner: int, outer: int) -> bool:
    """Return whether a folder is another one, or lies anywhere below it."""
    row = db.execute(
        """WITH RECURSIVE above (id) AS (
             SELECT ? UNION SELECT f.parent FROM folders AS f JOIN above ON f.id = above.id)
           SELECT 1 FROM above WHERE id = ?""",
        (inner, outer),
    ).fetchone()
    return row is not None


def move_folder(db: sqlite3.Connection, one: Folder, to: Folder) -> Folder:
    """
    Put a folder below another of its mailbox; its id and what it holds stay, its change key is new.

    Raises:
        FolderExistsError: There is one of its name, whatever its case.
    """
    try:
        db.execute("UPDATE folders SET parent = ?, change = ? WHERE id = ?", (to.id, next_counter(db), one.id))
    except sqlite3.IntegrityError as error:
        raise FolderExistsError from error
    return folder(db, one.mailbox, one.id)


def copy_folder(db: sqlite3.Connection, one: Folder, to: Folder) -> Folder:
    """
    Put a copy of a folder, its items and the folders below it under another of its mailbox, which lies not below it.

    Raises:
        FolderExistsError: There is one of its name, whatever its case.
    """
    made = create_folder(db, to, one.name, one.folder_class, one.bag)
    waiting = [(one, made)]
    while waiting:
        source, target = waiting.pop()
        numbers = db.execute("SELECT id FROM items WHERE folder = ? ORDER BY id", (source.id,)).fetchall()
        for (number,) in numbers:
            items.copy(db, items.read(db, source.mailbox, number), target.id)
        place = associated.place_of(db, source)
        if place is not None:
            for (number,) in db.execute("SELECT id FROM items WHERE folder = ? ORDER BY id", (place.id,)).fetchall():
                items.copy(db, items.read(db, source.mailbox, number), target.id)
        waiting.extend(
            (below, create_folder(db, target, below.name, below.folder_class, below.bag))
            for below in children(db, source.id)
        )
    return folder(db, made.mailbox, made.id)


def keep_quietly(db: sqlite3.Connection, one: Folder, bag: p.Bag) -> None:
    """Give a folder a bag that differs in what no client sees as its property; its change key stays."""
    db.execute("UPDATE folders SET props = ? WHERE id = ?", (json.dumps(bag), one.id))
