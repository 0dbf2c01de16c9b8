"""How much a mailbox holds."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import sqlite3

_HELD = """
SELECT coalesce((SELECT sum(c.size) FROM items AS i JOIN contents AS c ON c.id = i.content WHERE i.mailbox = ?1), 0)
     + coalesce((SELECT sum(c.size) FROM items AS i JOIN attachments AS a ON a.item = i.id
                 JOIN contents AS c ON c.id = a.content WHERE i.mailbox = ?1), 0)
     + coalesce((SELECT sum(length(i.props)) FROM items AS i WHERE i.mailbox = ?1 AND i.content IS NULL), 0)
"""


def held_bytes(db: sqlite3.Connection, mailbox: int) -> int:
    """Return how many bytes the items of a mailbox take, deleted ones that can be recovered included."""
    return int(db.execute(_HELD, (mailbox,)).fetchone()[0])


def is_full(db: sqlite3.Connection, mailbox: int, quota: int | None, *, added: int = 0) -> bool:
    """Return whether a mailbox is over its quota, or would be with `added` bytes more."""
    if quota is None:
        return False
    # No mailbox holds more than the whole file: that spares counting with quotas as they are by default.
    pages, page = db.execute("PRAGMA page_count").fetchone()[0], db.execute("PRAGMA page_size").fetchone()[0]
    if pages * page + added <= quota:
        return False
    return held_bytes(db, mailbox) + added > quota
