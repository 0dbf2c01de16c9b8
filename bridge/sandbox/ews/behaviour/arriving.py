"""
Mail on its way to a mailbox, and the mail that a mailbox had lately, by which a second one like it is known.

Tables of their own beside the store's, written in the store's transactions: what was accepted outlives a kill. All
times are microseconds since 1970, as the store keeps them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.store.structure import parse

if TYPE_CHECKING:
    import sqlite3

_TABLES: Final = (
    (
        "CREATE TABLE IF NOT EXISTS behaviour_arriving (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, "
        "address TEXT NOT NULL, mime BLOB NOT NULL)"
    ),
    "CREATE INDEX IF NOT EXISTS behaviour_arriving_due ON behaviour_arriving (due, id)",
    (
        "CREATE TABLE IF NOT EXISTS behaviour_had (address TEXT NOT NULL COLLATE NOCASE, message_id TEXT NOT NULL, "
        "submitted TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY (address, message_id, submitted)) WITHOUT ROWID"
    ),
    "CREATE INDEX IF NOT EXISTS behaviour_had_at ON behaviour_had (at)",
)


def prepare(db: sqlite3.Connection) -> None:
    """Make the tables that are missing."""
    for statement in _TABLES:
        db.execute(statement)


def next_number(db: sqlite3.Connection) -> int:
    """Return the number that the next mail on its way will have."""
    row = db.execute("SELECT seq FROM sqlite_sequence WHERE name = 'behaviour_arriving'").fetchone()
    return 1 if row is None else int(row[0]) + 1


def put(db: sqlite3.Connection, address: str, mime: bytes, due: int) -> None:
    """Keep a mail until its time has come."""
    db.execute("INSERT INTO behaviour_arriving (due, address, mime) VALUES (?,?,?)", (due, address, mime))


def take(db: sqlite3.Connection, now: int) -> tuple[str, bytes] | None:
    """Take out the mail that has been due for longest; None where none is."""
    row = db.execute(
        "SELECT id, address, mime FROM behaviour_arriving WHERE due <= ? ORDER BY due, id LIMIT 1", (now,)
    ).fetchone()
    if row is None:
        return None
    db.execute("DELETE FROM behaviour_arriving WHERE id = ?", (row[0],))
    return str(row[1]), bytes(row[2])


def next_due(db: sqlite3.Connection) -> int | None:
    """Return when the next mail is due, None where none is on its way."""
    row = db.execute("SELECT min(due) FROM behaviour_arriving").fetchone()
    return None if row[0] is None else int(row[0])


def count(db: sqlite3.Connection) -> int:
    """Return how many mails are on their way."""
    return int(db.execute("SELECT count(*) FROM behaviour_arriving").fetchone()[0])


def is_repeated(db: sqlite3.Connection, address: str, mime: bytes, *, now: int, window: int) -> bool:
    """
    Return whether a mailbox had a mail of the same Message-ID and the same time of submission within `window`.

    One that it had not is remembered. A mail without either header is like no other.
    """
    head = parse(mime)
    message_id, submitted = (head.header("Message-ID") or "").strip(), (head.header("Date") or "").strip()
    if not message_id or not submitted:
        return False
    db.execute("DELETE FROM behaviour_had WHERE at <= ?", (now - window,))
    return not db.execute(
        "INSERT OR IGNORE INTO behaviour_had VALUES (?,?,?,?)", (address, message_id, submitted, now)
    ).rowcount
