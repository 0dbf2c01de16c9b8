"""
The SQLite file behind the store: its tables, one connection for each thread, one writer at a time.

Write-ahead logging with `synchronous=NORMAL`: a commit is in the operating system's hands when it returns, so
killing the process at any moment loses nothing that was committed (a power cut may lose the last commits).
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from bridge.sandbox.store import arrivals, changes, conversations, searching
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

# A store of an older version gets what it lacks when it is opened; a new one gets all of it.
_UPGRADES = {2: changes.SCHEMA, 3: conversations.SCHEMA + searching.SCHEMA, 4: arrivals.SCHEMA}
_VERSION = max(_UPGRADES)

# The columns beside the bag are made of the bag by SQLite itself, so they cannot differ from it.
# `looked_up` holds the few properties that must be found among 100,000 items at once: all named properties, and
# the two that say which mail it is.
_SCHEMA = f"""
CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counters VALUES ('change', 1000);

CREATE TABLE mailboxes (
  id INTEGER PRIMARY KEY,
  guid TEXT NOT NULL UNIQUE,
  address TEXT NOT NULL UNIQUE COLLATE NOCASE,
  alias TEXT NOT NULL,
  display_name TEXT NOT NULL,
  username TEXT NOT NULL UNIQUE COLLATE NOCASE,
  password TEXT NOT NULL,
  sid TEXT NOT NULL UNIQUE
);

CREATE TABLE folders (
  id INTEGER PRIMARY KEY,
  mailbox INTEGER NOT NULL REFERENCES mailboxes,
  parent INTEGER REFERENCES folders,
  distinguished TEXT,
  name TEXT NOT NULL COLLATE NOCASE,
  class TEXT NOT NULL,
  change INTEGER NOT NULL,
  props TEXT NOT NULL,
  total INTEGER NOT NULL DEFAULT 0,
  unread INTEGER NOT NULL DEFAULT 0,
  UNIQUE (mailbox, distinguished),
  UNIQUE (parent, name)
);
CREATE INDEX folders_by_mailbox ON folders (mailbox, parent);

CREATE TABLE contents (
  id INTEGER PRIMARY KEY,
  size INTEGER NOT NULL,
  sha256 TEXT NOT NULL,
  data BLOB NOT NULL
);

CREATE TABLE items (
  id INTEGER PRIMARY KEY,
  mailbox INTEGER NOT NULL REFERENCES mailboxes,
  folder INTEGER NOT NULL REFERENCES folders,
  change INTEGER NOT NULL,
  content INTEGER REFERENCES contents,
  props TEXT NOT NULL,
  received INTEGER GENERATED ALWAYS AS (json_extract(props, '$."{p.DELIVERY_TIME}"')) STORED,
  unread INTEGER GENERATED ALWAYS AS
    ((coalesce(json_extract(props, '$."{p.MESSAGE_FLAGS}"'), 0) & {p.FLAG_READ}) = 0) STORED
);
CREATE INDEX items_by_received ON items (folder, received, id, change);
CREATE INDEX items_by_content ON items (content);

CREATE TABLE looked_up (
  key TEXT NOT NULL,
  value NOT NULL,
  item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE ON UPDATE CASCADE,
  PRIMARY KEY (item, key, value)
) WITHOUT ROWID;
CREATE INDEX looked_up_by_value ON looked_up (key, value, item);

CREATE TABLE attachments (
  item INTEGER NOT NULL REFERENCES items ON DELETE CASCADE ON UPDATE CASCADE,
  number INTEGER NOT NULL,
  props TEXT NOT NULL,
  content INTEGER NOT NULL REFERENCES contents,
  PRIMARY KEY (item, number)
) WITHOUT ROWID;
CREATE INDEX attachments_by_content ON attachments (content);

CREATE TABLE submissions (
  id INTEGER PRIMARY KEY,
  item INTEGER NOT NULL UNIQUE REFERENCES items ON DELETE CASCADE ON UPDATE CASCADE,
  save_to INTEGER REFERENCES folders,
  recipients TEXT NOT NULL,
  content INTEGER NOT NULL REFERENCES contents,
  send INTEGER NOT NULL REFERENCES sends
);
CREATE INDEX submissions_by_content ON submissions (content);

CREATE TABLE sends (
  id INTEGER PRIMARY KEY,
  mailbox INTEGER NOT NULL REFERENCES mailboxes,
  at INTEGER NOT NULL,
  internet_message_id TEXT NOT NULL,
  sender TEXT NOT NULL,
  recipients TEXT NOT NULL,
  named TEXT NOT NULL
);

CREATE TRIGGER item_added AFTER INSERT ON items BEGIN
  UPDATE folders SET total = total + 1, unread = unread + new.unread WHERE id = new.folder;
  INSERT INTO looked_up SELECT key, value, new.id FROM json_each(new.props)
    WHERE atom IS NOT NULL AND (key >= '{{' OR key IN ('{p.INTERNET_MESSAGE_ID}', '{p.SEARCH_KEY}'));
END;
CREATE TRIGGER item_removed AFTER DELETE ON items BEGIN
  UPDATE folders SET total = total - 1, unread = unread - old.unread WHERE id = old.folder;
END;
CREATE TRIGGER item_moved AFTER UPDATE OF folder ON items WHEN old.folder <> new.folder BEGIN
  UPDATE folders SET total = total - 1, unread = unread - old.unread WHERE id = old.folder;
  UPDATE folders SET total = total + 1, unread = unread + old.unread WHERE id = new.folder;
END;
CREATE TRIGGER item_changed AFTER UPDATE OF props ON items BEGIN
  UPDATE folders SET unread = unread + new.unread - old.unread WHERE id = new.folder AND new.unread <> old.unread;
  DELETE FROM looked_up WHERE item = new.id;
  INSERT INTO looked_up SELECT key, value, new.id FROM json_each(new.props)
    WHERE atom IS NOT NULL AND (key >= '{{' OR key IN ('{p.INTERNET_MESSAGE_ID}', '{p.SEARCH_KEY}'));
END;
"""  # noqa: S608 - made of this program's own constants


class Database:
    """
    One SQLite file. `reading()` may be used by any number of threads at once; writers wait for each other.

    A database that a later version of the sandbox wrote is refused with RuntimeError.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._local = threading.local()
        self._write_lock = threading.RLock()
        self._opened: list[sqlite3.Connection] = []
        self._opened_lock = threading.Lock()
        self._closed = False
        self._listeners: list[Callable[[], None]] = []
        with self.writing() as db:
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version > _VERSION:
                raise RuntimeError(f"the sandbox's store is of version {version}, newer than this program's {_VERSION}")
            if version == 0:
                for statement in _statements(_SCHEMA):
                    db.execute(statement)
            for number, script in _UPGRADES.items():
                if number > version:
                    for statement in _statements(script):
                        db.execute(statement)
            db.execute(f"PRAGMA user_version = {_VERSION}")

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every commit, on the thread that committed; returns what ends it."""
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Give a connection on which all reads within the block see the same moment."""
        db = self._connection()
        if db.in_transaction:
            yield db
            return
        db.execute("BEGIN")
        try:
            yield db
        finally:
            db.execute("ROLLBACK")

    @contextmanager
    def writing(self) -> Iterator[sqlite3.Connection]:
        """Commit what the block did when it ends well, else undo all of it. Blocks of one thread may nest."""
        with self._write_lock:
            db = self._connection()
            if db.in_transaction:
                if not self._local.writes:
                    raise RuntimeError("writing() within reading() would never be committed")
                yield db
                return
            db.execute("BEGIN IMMEDIATE")
            self._local.writes = True
            try:
                yield db
                db.execute("COMMIT")
            finally:
                self._local.writes = False
                if db.in_transaction:
                    db.execute("ROLLBACK")
        for listener in tuple(self._listeners):
            listener()

    def close(self) -> None:
        """Close every thread's connection; nothing may use the database any more."""
        self._closed = True
        with self._opened_lock:
            for db in self._opened:
                db.close()
            self._opened.clear()

    def _connection(self) -> sqlite3.Connection:
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            if self._closed:
                raise RuntimeError("the store is closed")
            # Closed by another thread at the end, hence check_same_thread; used by this one alone until then.
            db = sqlite3.connect(
                self._path, isolation_level=None, timeout=60, check_same_thread=False, cached_statements=512
            )
            db.execute("PRAGMA journal_mode = WAL")
            db.execute("PRAGMA synchronous = NORMAL")
            db.execute("PRAGMA foreign_keys = ON")
            # For each thread: the system keeps the file's pages for all of them.
            db.execute("PRAGMA cache_size = -2048")
            db.execute("PRAGMA wal_autocheckpoint = 4000")
            db.execute("PRAGMA temp_store = MEMORY")
            searching.install(db)
            self._local.db = db
            self._local.writes = False
            with self._opened_lock:
                self._opened.append(db)
        return db


def next_counter(db: sqlite3.Connection, amount: int = 1) -> int:
    """Return the first of `amount` numbers never given out before; ids and change numbers are made of them."""
    row = db.execute(
        "UPDATE counters SET value = value + ? WHERE name = 'change' RETURNING value", (amount,)
    ).fetchone()
    return int(row[0]) - amount + 1


def _statements(script: str) -> Iterator[str]:
    """Split a script, so that it can run inside a transaction (executescript commits first)."""
    collected = ""
    for line in script.splitlines(keepends=True):
        collected += line
        if sqlite3.complete_statement(collected):
            yield collected
            collected = ""
