"""
The log of what changed in the mailboxes: written by triggers, so no path that changes an item or a folder can miss it.

Two kinds of numbers order it. `seq` counts the entries as they were committed: notifications go by it. `at` is the
change number of the item or folder, taken from the same counter as ids and change keys: synchronisation goes by it,
because an object with a number up to a state's was there when the state was given out.

The log holds the last `KEPT` entries. Whoever comes with an older place learns that it has been forgotten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator, Sequence

KEPT: Final = 250_000

CREATED, ARRIVED, COPIED, MODIFIED, READ_FLAG, MOVED, DELETED = (
    "created", "arrived", "copied", "modified", "read", "moved", "deleted",
)  # fmt: skip

_FLAGS: Final = f'$."{p.MESSAGE_FLAGS}"'
_LAST_CHANGE: Final = f'$."{p.LAST_MODIFICATION_TIME}"'
_NOW: Final = "CAST(strftime('%s', 'now') AS INTEGER)"


def _same_but_read() -> str:
    """Return the condition that nothing but the read flag (and the time of the change) differs."""
    old, new = (f"json_remove({side}.props, '{_FLAGS}', '{_LAST_CHANGE}')" for side in ("old", "new"))
    flags = [f"(coalesce(json_extract({side}.props, '{_FLAGS}'), 0) | {p.FLAG_READ})" for side in ("old", "new")]
    return f"old.unread <> new.unread AND {flags[0]} = {flags[1]} AND {old} = {new}"


# For an item `folder` and `object` are where it is and its number; for a folder its parent and its own. The old ones
# are those before a move or a deletion, and of what was copied.
SCHEMA: Final = f"""
CREATE TABLE changes (
  seq INTEGER PRIMARY KEY,
  at INTEGER NOT NULL,
  moment INTEGER NOT NULL,
  mailbox INTEGER NOT NULL,
  of_folder INTEGER NOT NULL,
  kind TEXT NOT NULL,
  folder INTEGER,
  object INTEGER,
  old_folder INTEGER,
  old_object INTEGER
);
CREATE INDEX changes_by_mailbox ON changes (mailbox);
CREATE INDEX changes_by_object ON changes (object, at) WHERE object IS NOT NULL;
CREATE INDEX changes_that_took_away ON changes (old_folder, at) WHERE kind IN ('{MOVED}', '{DELETED}');
CREATE INDEX items_by_number ON items (folder);
CREATE INDEX items_by_change ON items (folder, change);

CREATE TRIGGER change_logged AFTER INSERT ON changes BEGIN
  DELETE FROM changes WHERE seq <= new.seq - {KEPT};
END;
CREATE TRIGGER log_item_added AFTER INSERT ON items BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object)
    VALUES (new.change, {_NOW}, new.mailbox, 0, '{CREATED}', new.folder, new.id);
END;
CREATE TRIGGER log_item_changed AFTER UPDATE OF change ON items
WHEN old.change <> new.change AND old.id = new.id AND old.folder = new.folder BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object)
    VALUES (new.change, {_NOW}, new.mailbox, 0,
      CASE WHEN {_same_but_read()} THEN '{READ_FLAG}' ELSE '{MODIFIED}' END, new.folder, new.id);
END;
CREATE TRIGGER log_item_moved AFTER UPDATE OF id, folder ON items
WHEN old.id <> new.id OR old.folder <> new.folder BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object, old_folder, old_object)
    VALUES (new.change, {_NOW}, new.mailbox, 0, '{MOVED}', new.folder, new.id, old.folder, old.id);
END;
CREATE TRIGGER log_item_removed AFTER DELETE ON items BEGIN
  UPDATE counters SET value = value + 1 WHERE name = 'change';
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, old_folder, old_object)
    SELECT value, {_NOW}, old.mailbox, 0, '{DELETED}', old.folder, old.id FROM counters WHERE name = 'change';
END;
CREATE TRIGGER log_folder_added AFTER INSERT ON folders WHEN new.parent IS NOT NULL BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object)
    VALUES (new.change, {_NOW}, new.mailbox, 1, '{CREATED}', new.parent, new.id);
END;
CREATE TRIGGER log_folder_changed AFTER UPDATE OF change ON folders
WHEN old.change <> new.change AND old.parent = new.parent BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object)
    VALUES (new.change, {_NOW}, new.mailbox, 1, '{MODIFIED}', new.parent, new.id);
END;
CREATE TRIGGER log_folder_moved AFTER UPDATE OF parent ON folders WHEN old.parent <> new.parent BEGIN
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object, old_folder, old_object)
    VALUES (new.change, {_NOW}, new.mailbox, 1, '{MOVED}', new.parent, new.id, old.parent, new.id);
END;
CREATE TRIGGER log_folder_removed AFTER DELETE ON folders WHEN old.parent IS NOT NULL BEGIN
  UPDATE counters SET value = value + 1 WHERE name = 'change';
  INSERT INTO changes (at, moment, mailbox, of_folder, kind, old_folder, old_object)
    SELECT value, {_NOW}, old.mailbox, 1, '{DELETED}', old.parent, old.id FROM counters WHERE name = 'change';
END;
"""  # noqa: S608 - made of this program's own constants

_COLUMNS: Final = "seq, at, moment, of_folder, kind, folder, object, old_folder, old_object"


@dataclass(frozen=True, slots=True)
class Change:
    """One entry of the log; `moment` is in seconds since 1970."""

    seq: int
    at: int
    moment: int
    of_folder: bool
    kind: str
    folder: int | None
    object: int | None
    old_folder: int | None
    old_object: int | None


def arrived(db: sqlite3.Connection, item: int) -> None:
    """Note that an item that was just put into a folder came in by mail."""
    db.execute(
        f"""INSERT INTO changes (at, moment, mailbox, of_folder, kind, folder, object)
            SELECT change, {_NOW}, mailbox, 0, '{ARRIVED}', folder, id FROM items WHERE id = ?""",  # noqa: S608 - constants
        (item,),
    )


def copied(db: sqlite3.Connection, item: int, *, folder: int, of: int) -> None:
    """Note that an item that was just put into a folder is a copy of item `of` in `folder`."""
    db.execute(
        f"UPDATE changes SET kind = '{COPIED}', old_folder = ?, old_object = ? "  # noqa: S608 - a constant
        f"WHERE object = ? AND kind = '{CREATED}' AND NOT of_folder",
        (folder, of, item),
    )


def last(db: sqlite3.Connection) -> int:
    """Return the `seq` of the last entry, 0 when there is none."""
    return int(db.execute("SELECT coalesce(max(seq), 0) FROM changes").fetchone()[0])


def is_kept(db: sqlite3.Connection, seq: int) -> bool:
    """Return whether everything after the entry `seq` is still in the log, and that entry is no later than the last."""
    first, latest = db.execute("SELECT coalesce(min(seq), 1), coalesce(max(seq), 0) FROM changes").fetchone()
    return int(first) - 1 <= seq <= int(latest)


def after(db: sqlite3.Connection, mailbox: int, seq: int, limit: int) -> list[Change]:
    """Return a mailbox's entries after `seq`, in order."""
    query = f"SELECT {_COLUMNS} FROM changes WHERE mailbox = ? AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608 - constants
    return [_change(row) for row in db.execute(query, (mailbox, seq, limit))]


def number_now(db: sqlite3.Connection) -> int:
    """Return the last number given out: every object and change up to it is in this moment's state."""
    return int(db.execute("SELECT value FROM counters WHERE name = 'change'").fetchone()[0])


def knows_since(db: sqlite3.Connection, number: int) -> bool:
    """Return whether all changes after a number are still in the log, and the number was given out at all."""
    if number > number_now(db):
        return False
    first_seq = db.execute("SELECT min(seq) FROM changes").fetchone()[0]
    if first_seq is None or first_seq == 1:
        return True
    return number >= int(db.execute("SELECT at FROM changes WHERE seq = ?", (first_seq,)).fetchone()[0])


def items_created(db: sqlite3.Connection, folder: int, limit: int, *, after: int, until: int) -> list[int]:
    """Return the items of a folder with numbers above `after`, up to `until`, in the order of their numbers."""
    rows = db.execute(
        "SELECT id FROM items INDEXED BY items_by_number WHERE folder = ? AND id > ? AND id <= ? ORDER BY id LIMIT ?",
        (folder, after, until, limit),
    )
    return [row[0] for row in rows]


def items_changed(
    db: sqlite3.Connection, folder: int, limit: int, *, known: int, after: int, until: int
) -> Iterator[tuple[int, int, bool]]:
    """
    Yield (number, when, whether it has gone) of items up to number `known` that changed or left the folder.

    When is a change number above `after` and up to `until`; they come in its order.
    """
    yield from (
        (number, at, bool(gone))
        for number, at, gone in db.execute(
            f"""SELECT id AS number, change AS at, 0 AS gone FROM items
                  WHERE folder = ?1 AND change > ?3 AND change <= ?4 AND id <= ?2
                UNION ALL
                SELECT old_object, at, 1 FROM changes WHERE old_folder = ?1 AND at > ?3 AND at <= ?4
                  AND old_object <= ?2 AND kind IN ('{MOVED}', '{DELETED}') AND NOT of_folder
                ORDER BY at, number LIMIT ?5""",  # noqa: S608 - constants
            (folder, known, after, until, limit),
        )
    )


def only_read_flag(db: sqlite3.Connection, item: int, after: int) -> bool:
    """Return whether all that was done to an item after a change number was to mark it read or unread."""
    kinds = {row[0] for row in db.execute("SELECT kind FROM changes WHERE object = ? AND at > ?", (item, after))}
    return kinds == {READ_FLAG}


def folder_moves(db: sqlite3.Connection, mailbox: int, after: int) -> Sequence[Change]:
    """Return how folders of a mailbox moved or went after a change number, in order."""
    query = (
        f"SELECT {_COLUMNS} FROM changes WHERE mailbox = ? AND of_folder AND at > ? "  # noqa: S608 - constants
        f"AND kind IN ('{MOVED}', '{DELETED}') ORDER BY seq"
    )
    return [_change(row) for row in db.execute(query, (mailbox, after))]


def _change(row: tuple[int, ...]) -> Change:
    seq, at, moment, of_folder, kind, *places = row
    return Change(seq, at, moment, bool(of_folder), str(kind), *places)
