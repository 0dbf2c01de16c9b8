"""
Conversations: the mails of one topic, whatever the case of its letters from A to Z, counted for each folder.

The tables `topics` and `conversations` are kept by triggers, so that a page of a folder's conversations, their number
and the way from an id to its mails cost the same whatever the mailbox holds.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

MOST_MEMBERS: Final = 500
"""How many mails of a conversation in a folder are looked at, the newest: a topic may be that of every mail there."""

SCHEMA: Final = f"""
ALTER TABLE items ADD COLUMN topic TEXT
  GENERATED ALWAYS AS (lower(coalesce(json_extract(props, '$."{p.CONVERSATION_TOPIC}"'), ''))) VIRTUAL;
CREATE INDEX items_by_topic ON items (mailbox, topic, folder, received, id);
ALTER TABLE folders ADD COLUMN conversations INTEGER NOT NULL DEFAULT 0;
CREATE TABLE topics (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  mailbox INTEGER NOT NULL REFERENCES mailboxes,
  topic TEXT NOT NULL,
  UNIQUE (mailbox, topic)
);
CREATE TABLE conversations (
  folder INTEGER NOT NULL REFERENCES folders ON DELETE CASCADE,
  topic TEXT NOT NULL,
  total INTEGER NOT NULL,
  latest INTEGER NOT NULL,
  PRIMARY KEY (folder, topic)
) WITHOUT ROWID;
CREATE INDEX conversations_by_latest ON conversations (folder, latest, topic);
INSERT INTO topics (mailbox, topic) SELECT DISTINCT mailbox, topic FROM items;
INSERT INTO conversations SELECT folder, topic, count(*), coalesce(max(received), 0) FROM items GROUP BY folder, topic;
UPDATE folders SET conversations = (SELECT count(*) FROM conversations AS c WHERE c.folder = folders.id);

CREATE TRIGGER conversation_begun AFTER INSERT ON conversations BEGIN
  UPDATE folders SET conversations = conversations + 1 WHERE id = new.folder;
  INSERT OR IGNORE INTO topics (mailbox, topic) SELECT mailbox, new.topic FROM folders WHERE id = new.folder;
END;
CREATE TRIGGER conversation_ended AFTER DELETE ON conversations BEGIN
  UPDATE folders SET conversations = conversations - 1 WHERE id = old.folder;
  DELETE FROM topics WHERE topic = old.topic AND mailbox = (SELECT mailbox FROM folders WHERE id = old.folder)
    AND NOT EXISTS (SELECT 1 FROM items WHERE items.mailbox = topics.mailbox AND items.topic = old.topic);
END;
CREATE TRIGGER conversation_left AFTER UPDATE OF total ON conversations WHEN new.total = 0 BEGIN
  DELETE FROM conversations WHERE folder = new.folder AND topic = new.topic;
END;
CREATE TRIGGER conversation_item_added AFTER INSERT ON items BEGIN
  INSERT INTO conversations VALUES (new.folder, new.topic, 1, coalesce(new.received, 0))
    ON CONFLICT DO UPDATE SET total = total + 1, latest = max(latest, excluded.latest);
END;
CREATE TRIGGER conversation_item_removed AFTER DELETE ON items BEGIN
  UPDATE conversations SET total = total - 1, latest = coalesce((
      SELECT max(received) FROM items WHERE mailbox = old.mailbox AND topic = old.topic AND folder = old.folder), 0)
    WHERE folder = old.folder AND topic = old.topic;
END;
CREATE TRIGGER conversation_item_changed AFTER UPDATE OF folder, props ON items
  WHEN old.folder <> new.folder OR old.topic <> new.topic OR old.received IS NOT new.received BEGIN
  UPDATE conversations SET total = total - 1, latest = coalesce((
      SELECT max(received) FROM items WHERE mailbox = old.mailbox AND topic = old.topic AND folder = old.folder), 0)
    WHERE folder = old.folder AND topic = old.topic;
  INSERT INTO conversations VALUES (new.folder, new.topic, 1, coalesce(new.received, 0))
    ON CONFLICT DO UPDATE SET total = total + 1, latest = max(latest, excluded.latest);
END;
"""  # noqa: S608 - made of this program's own constants

_HIDDEN: Final = (
    "recoverableitemsroot",
    "recoverableitemsdeletions",
    "recoverableitemspurges",
    "recoverableitemsversions",
)


@dataclass(frozen=True, slots=True)
class Topics:
    """The conversations of a folder that have a mail which meets a condition: how many, and their topics by pages."""

    total: int
    page: Callable[[int, int], list[str]]
    """Gives the topics after the first so many, at most so many."""


def topics_of(
    db: sqlite3.Connection, folder: int, *, condition: str = "1", parameters: Sequence[Any] = (), descending: bool
) -> Topics:
    """
    Return the conversations of a folder by the time of their newest mail there.

    A condition of `1` is answered from what is counted; any other looks at each mail of the folder, once.
    """
    way = "DESC" if descending else "ASC"
    if condition != "1":
        found = f"FROM items WHERE folder = ? AND {condition} GROUP BY topic ORDER BY max(received) {way}, topic {way}"
        topics = [row[0] for row in db.execute(f"SELECT topic {found}", (folder, *parameters))]
        return Topics(len(topics), lambda offset, limit: topics[offset : offset + limit])
    total = db.execute("SELECT conversations FROM folders WHERE id = ?", (folder,)).fetchone()[0]
    query = f"SELECT topic FROM conversations WHERE folder = ? ORDER BY latest {way}, topic {way} LIMIT ? OFFSET ?"  # noqa: S608 - constants
    return Topics(int(total), lambda offset, limit: [row[0] for row in db.execute(query, (folder, limit, offset))])


def folders_of(db: sqlite3.Connection, mailbox: int, topic: str) -> dict[int, int]:
    """Return how many mails of a topic each folder holds, Recoverable and associated items left out."""
    query = f"""SELECT c.folder, c.total FROM folders AS f JOIN conversations AS c ON c.folder = f.id AND c.topic = ?
      WHERE f.mailbox = ? AND coalesce(f.distinguished, '') NOT LIKE 'associated:%'
      AND coalesce(f.distinguished, '') NOT IN ({", ".join("?" * len(_HIDDEN))})"""  # noqa: S608 - constants
    return dict(db.execute(query, (topic, mailbox, *_HIDDEN)).fetchall())


def members(
    db: sqlite3.Connection,
    mailbox: int,
    topic: str,
    folder: int,
    columns: str,
    *,
    condition: str = "1",
    parameters: Sequence[Any] = (),
) -> list[tuple[Any, ...]]:
    """Return columns of a folder's newest mails of a topic that meet a condition, the newest first."""
    query = (
        f"SELECT {columns} FROM items WHERE mailbox = ? AND topic = ? AND folder = ? AND {condition} "  # noqa: S608 - the caller's own
        "ORDER BY received DESC, id DESC LIMIT ?"
    )
    return db.execute(query, (mailbox, topic, folder, *parameters, MOST_MEMBERS)).fetchall()


def number_of(db: sqlite3.Connection, mailbox: int, topic: str) -> int | None:
    """Return the number of a topic as long as it has mails, whatever the case of its letters."""
    row = db.execute("SELECT id FROM topics WHERE mailbox = ? AND topic = lower(?)", (mailbox, topic)).fetchone()
    return None if row is None else int(row[0])


def topic_of(db: sqlite3.Connection, mailbox: int, number: int) -> str | None:
    """Return the topic of a number, None for one that has no mails any more."""
    row = db.execute("SELECT topic FROM topics WHERE mailbox = ? AND id = ?", (mailbox, number)).fetchone()
    return None if row is None else str(row[0])


def numbers(db: sqlite3.Connection, mailbox: int, topic: str, folder: int, until: int | None) -> list[int]:
    """Return the numbers of all mails of a topic in a folder, of those that came up to a moment if one is given."""
    query = "SELECT id FROM items WHERE mailbox = ? AND topic = ? AND folder = ?"
    if until is None:
        return [row[0] for row in db.execute(query, (mailbox, topic, folder))]
    return [row[0] for row in db.execute(query + " AND coalesce(received, 0) <= ?", (mailbox, topic, folder, until))]
