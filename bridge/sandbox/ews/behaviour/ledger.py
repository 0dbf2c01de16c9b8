"""
What was accepted and what has left, mailbox by mailbox, and copies that are still on their way to Sent Items.

Tables of their own beside the store's, written in the store's transactions: after a kill they say what happened.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.store import folders, items, sends
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.store import Mailbox

MINUTE: Final = 60_000_000
DAY: Final = 86_400_000_000
_TABLES: Final = (
    (
        "CREATE TABLE IF NOT EXISTS behaviour_accepted (mailbox INTEGER NOT NULL, at INTEGER NOT NULL, "
        "recipients INTEGER NOT NULL)"
    ),
    "CREATE INDEX IF NOT EXISTS behaviour_accepted_at ON behaviour_accepted (mailbox, at, recipients)",
    "CREATE TABLE IF NOT EXISTS behaviour_departed (mailbox INTEGER NOT NULL, at INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS behaviour_departed_at ON behaviour_departed (mailbox, at)",
    (
        "CREATE TABLE IF NOT EXISTS behaviour_copies (id INTEGER PRIMARY KEY, due INTEGER NOT NULL, "
        "mailbox INTEGER NOT NULL, folder INTEGER NOT NULL, props TEXT NOT NULL, mime BLOB NOT NULL)"
    ),
    "CREATE INDEX IF NOT EXISTS behaviour_copies_due ON behaviour_copies (due)",
)
# All times are microseconds since 1970, as the store keeps them.


def prepare(db: sqlite3.Connection) -> None:
    """Make the tables that are missing."""
    for statement in _TABLES:
        db.execute(statement)


def note_accepted(db: sqlite3.Connection, mailbox: int, at: int, recipients: int) -> None:
    """Remember that a mail to so many was accepted; what is older than a day is forgotten."""
    db.execute("DELETE FROM behaviour_accepted WHERE mailbox = ? AND at <= ?", (mailbox, at - DAY))
    db.execute("INSERT INTO behaviour_accepted VALUES (?,?,?)", (mailbox, at, recipients))


def recipients_of_the_day(db: sqlite3.Connection, mailbox: int, now: int) -> int:
    """Return how many recipients the mails had that were accepted within the last 24 hours."""
    query = "SELECT coalesce(sum(recipients), 0) FROM behaviour_accepted WHERE mailbox = ? AND at > ?"
    return int(db.execute(query, (mailbox, now - DAY)).fetchone()[0])


def note_departed(db: sqlite3.Connection, mailbox: int, at: int) -> None:
    """Remember that a mail has left; what is older than a minute is forgotten."""
    db.execute("DELETE FROM behaviour_departed WHERE mailbox = ? AND at <= ?", (mailbox, at - MINUTE))
    db.execute("INSERT INTO behaviour_departed VALUES (?,?)", (mailbox, at))


def departs_at(db: sqlite3.Connection, mailbox: int, limit: int, now: int) -> int:
    """Return when the next mail may leave, so that within any minute no more than `limit` do; `now` if at once."""
    row = db.execute(
        "SELECT at FROM behaviour_departed WHERE mailbox = ? ORDER BY at DESC LIMIT 1 OFFSET ?", (mailbox, limit - 1)
    ).fetchone()
    # A clock that was set back must not hold the mail for longer than a minute.
    return now if row is None else min(max(now, row[0] + MINUTE), now + MINUTE)


def is_over_rate(db: sqlite3.Connection, mailbox: int, limit: int, now: int) -> bool:
    """Return whether a mail accepted now would have to wait: what left within the minute, and what waits already."""
    left = db.execute(
        "SELECT count(*) FROM behaviour_departed WHERE mailbox = ? AND at > ?", (mailbox, now - MINUTE)
    ).fetchone()[0]
    waiting = db.execute(
        "SELECT count(*) FROM submissions AS s JOIN sends AS r ON r.id = s.send WHERE r.mailbox = ?", (mailbox,)
    ).fetchone()[0]
    return int(left) + int(waiting) >= limit


def hold_copy(db: sqlite3.Connection, submission: int, *, due: int, now: int) -> None:
    """Keep back the copy of a mail that is about to be settled: it is in no folder until `file_copies`."""
    row = db.execute("SELECT item, save_to FROM submissions WHERE id = ?", (submission,)).fetchone()
    if row is None or row[1] is None:
        return
    item = items.item_of(db.execute(f"SELECT {items.COLUMNS} FROM items WHERE id = ?", (row[0],)).fetchone())  # noqa: S608 - constants
    flags = item.bag.get(p.MESSAGE_FLAGS, 0) & ~(p.FLAG_SUBMITTED | p.FLAG_UNSENT)
    bag = {**item.bag, p.MESSAGE_FLAGS: flags | p.FLAG_READ, p.DELIVERY_TIME: now, p.LAST_MODIFICATION_TIME: now}
    db.execute(
        "INSERT INTO behaviour_copies (due, mailbox, folder, props, mime) VALUES (?,?,?,?,?)",
        (due, sends.mailbox_of(db, row[1]), row[1], items.dumps(bag), items.mime_of(db, item)),
    )
    db.execute("UPDATE submissions SET save_to = NULL WHERE id = ?", (submission,))


def file_copies(db: sqlite3.Connection, now: int) -> int | None:
    """File the copies that are due; returns when the next one is, None where none is left."""
    due = db.execute(
        "SELECT id, mailbox, folder, props, mime FROM behaviour_copies WHERE due <= ? ORDER BY id", (now,)
    ).fetchall()
    for number, mailbox, folder, props, mime in due:
        there = db.execute("SELECT 1 FROM folders WHERE id = ? AND mailbox = ?", (folder, mailbox)).fetchone()
        target = folder if there else folders.folder(db, mailbox, "sentitems").id
        bag: dict[str, Any] = json.loads(props)
        items.insert(db, mailbox, target, bag, mime=bytes(mime))
        db.execute("DELETE FROM behaviour_copies WHERE id = ?", (number,))
    row = db.execute("SELECT min(due) FROM behaviour_copies").fetchone()
    return None if row[0] is None else int(row[0])


def strip_named(db: sqlite3.Connection, mailbox: Mailbox, submission: int) -> None:
    """Take the named properties off the item of a submission: its copy will arrive without them."""
    row = db.execute("SELECT item FROM submissions WHERE id = ?", (submission,)).fetchone()
    if row is not None:
        item = items.read(db, mailbox.id, row[0])
        items.update(db, item, {}, [key for key in item.bag if p.is_named(key)])
