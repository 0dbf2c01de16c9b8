"""Mailboxes and their folders: what a new mailbox has, and what can be done with a folder."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from bridge.sandbox.store import newmailbox
from bridge.sandbox.store.database import next_counter
from bridge.sandbox.store.errors import DistinguishedFolderError, FolderExistsError, FolderNotFoundError
from bridge.sandbox.store.ids import IdMint

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.store import properties as p

    _Named = tuple[str | None, str, str]
    """Distinguished name, display name, class."""

PLACE = "associated:"
"""What the distinguished name of a place begins with where associated items lie (associated.py); no list has it."""
_SYSTEM = "system"
"""Marks a folder that Exchange keeps for itself and that has no distinguished name."""
_FOLDER_COLUMNS = """f.id, f.mailbox, f.parent, f.distinguished, f.name, f.class, f.change, f.total, f.unread,
  (SELECT count(*) FROM folders AS c WHERE c.parent = f.id), f.props"""
_MAILBOX_COLUMNS = "id, guid, address, alias, display_name, username, password, sid"


@dataclass(frozen=True)
class Mailbox:
    """One mailbox, and who signs in to it by name on premises."""

    id: int
    guid: UUID
    address: str
    alias: str
    display_name: str
    username: str
    password: str = field(repr=False)
    sid: str

    @cached_property
    def mint(self) -> IdMint:
        """What makes this mailbox's ids."""
        return IdMint(self.guid)


@dataclass(frozen=True, slots=True)
class Folder:
    """One folder with its counts; `name` is what people see, `distinguished` what EWS calls it."""

    id: int
    mailbox: int
    parent: int | None
    distinguished: str | None
    name: str
    folder_class: str
    change: int
    total: int
    unread: int
    children: int
    bag: p.Bag


def add_mailbox(
    db: sqlite3.Connection, address: str, *, alias: str, display_name: str, username: str, password: str
) -> Mailbox:
    """Make a mailbox with its folders; an existing one of this address is given back as it is."""
    if known := mailbox_by(db, "address", address):
        return known
    guid = uuid4()
    sid = f"S-1-5-21-{guid.fields[0]}-{guid.fields[1]}{guid.fields[2]}-{guid.node % 1_000_000_000}-1100"
    number = db.execute(
        "INSERT INTO mailboxes (guid, address, alias, display_name, username, password, sid) VALUES (?,?,?,?,?,?,?)",
        (str(guid), address, alias, display_name, username, password, sid),
    ).lastrowid
    if number is None:
        raise AssertionError("SQLite gave no row number")
    made: dict[str, int] = {}
    for distinguished, parent, name, folder_class in newmailbox.SEEN:
        made[distinguished] = _insert(db, number, made.get(parent), (distinguished, name, folder_class), {})
    for distinguished, parent, name, folder_class in newmailbox.HIDDEN:
        _insert(db, number, made[parent], (distinguished or None, name, folder_class), {_SYSTEM: True})
    return Mailbox(number, guid, address, alias, display_name, username, password, sid)


def mailboxes(db: sqlite3.Connection) -> list[Mailbox]:
    """Return all mailboxes in the order they were made."""
    return [_mailbox(row) for row in db.execute(f"SELECT {_MAILBOX_COLUMNS} FROM mailboxes ORDER BY id")]  # noqa: S608 - constants


def mailbox_by(db: sqlite3.Connection, column: str, value: str | int) -> Mailbox | None:
    """Return the mailbox whose `address`, `username`, `alias`, `guid`, `sid` or `id` this is."""
    if column not in {"address", "username", "alias", "guid", "sid", "id"}:
        raise ValueError(column)
    row = db.execute(f"SELECT {_MAILBOX_COLUMNS} FROM mailboxes WHERE {column} = ?", (value,)).fetchone()  # noqa: S608 - checked above
    return _mailbox(row) if row else None


def set_password(db: sqlite3.Connection, mailbox: Mailbox, password: str) -> None:
    """Give the mailbox's user another password."""
    db.execute("UPDATE mailboxes SET password = ? WHERE id = ?", (password, mailbox.id))


def folders(db: sqlite3.Connection, mailbox: int) -> list[Folder]:
    """Return all folders of a mailbox, parents before their children."""
    query = f"SELECT {_FOLDER_COLUMNS} FROM folders AS f WHERE f.mailbox = ? ORDER BY f.id"  # noqa: S608 - constants
    every = (_folder(row) for row in db.execute(query, (mailbox,)))
    return [one for one in every if not (one.distinguished or "").startswith(PLACE)]


def children(db: sqlite3.Connection, folder: int) -> list[Folder]:
    """Return the folders directly below one, by name."""
    query = f"SELECT {_FOLDER_COLUMNS} FROM folders AS f WHERE f.parent = ? ORDER BY f.name"  # noqa: S608 - constants
    return [_folder(row) for row in db.execute(query, (folder,))]


def folder(db: sqlite3.Connection, mailbox: int, which: int | str) -> Folder:
    """
    Return a folder by number or distinguished name.

    Raises:
        FolderNotFoundError: This mailbox has none such.
    """
    column = "distinguished" if isinstance(which, str) else "id"
    query = f"SELECT {_FOLDER_COLUMNS} FROM folders AS f WHERE f.mailbox = ? AND f.{column} = ?"  # noqa: S608 - constants
    row = db.execute(query, (mailbox, which)).fetchone()
    if row is None:
        raise FolderNotFoundError
    return _folder(row)


def paths(every: Sequence[Folder]) -> dict[int, str]:
    """Return for each folder number its place below the root, such as `Top of Information Store/Inbox`."""
    known: dict[int, str] = {}
    for one in sorted(every, key=lambda found: found.id):
        above = known.get(one.parent, "") if one.parent else ""
        known[one.id] = f"{above}/{one.name}" if above else one.name
    return known


def create_folder(
    db: sqlite3.Connection, parent: Folder, name: str, folder_class: str = "IPF.Note", bag: p.Bag | None = None
) -> Folder:
    """
    Make a folder below another.

    Raises:
        FolderExistsError: There is one of this name, whatever its case.
    """
    try:
        number = _insert(db, parent.mailbox, parent.id, (None, name, folder_class), bag or {})
    except sqlite3.IntegrityError as error:
        raise FolderExistsError from error
    return folder(db, parent.mailbox, number)


def add_place(db: sqlite3.Connection, mailbox: int, distinguished: str) -> Folder:
    """Make a folder that stands beside the tree, and return it."""
    return folder(db, mailbox, _insert(db, mailbox, None, (distinguished, distinguished, "IPF"), {}))


def delete_folder(db: sqlite3.Connection, one: Folder, *, to_deleted_items: bool) -> None:
    """
    Move a folder to Deleted Items, or take it away with all that it holds.

    Raises:
        DistinguishedFolderError: It belongs to every mailbox.
    """
    if one.distinguished or one.bag.get(_SYSTEM):
        raise DistinguishedFolderError
    if to_deleted_items:
        deleted = folder(db, one.mailbox, "deleteditems")
        name, number = one.name, 1
        while db.execute(
            "SELECT 1 FROM folders WHERE parent = ? AND name = ? AND id <> ?", (deleted.id, name, one.id)
        ).fetchone():
            name, number = f"{one.name}{number}", number + 1
        db.execute(
            "UPDATE folders SET parent = ?, name = ?, change = ? WHERE id = ?",
            (deleted.id, name, next_counter(db), one.id),
        )
        return
    below = [
        row[0]
        for row in db.execute(
            """WITH RECURSIVE below (id, depth) AS (
                 SELECT ?, 0 UNION SELECT f.id, depth + 1 FROM folders AS f JOIN below ON f.parent = below.id)
               SELECT id FROM below ORDER BY depth DESC""",
            (one.id,),
        )
    ]
    purges = folder(db, one.mailbox, "recoverableitemspurges")
    for number in below:
        db.execute("UPDATE submissions SET save_to = NULL WHERE save_to = ?", (number,))
        place = db.execute(
            "SELECT id FROM folders WHERE mailbox = ? AND distinguished = ?", (one.mailbox, f"{PLACE}{number}")
        ).fetchone()
        gone = (number, place[0] if place else number)
        held = db.execute("SELECT id FROM items WHERE folder IN (?, ?) ORDER BY id", gone).fetchall()
        fresh = next_counter(db, 2 * len(held)) if held else 0
        db.executemany(
            "UPDATE items SET id = ?, change = ?, folder = ? WHERE id = ?",
            [(fresh + 2 * at, fresh + 2 * at + 1, purges.id, row[0]) for at, row in enumerate(held)],
        )
        db.execute("DELETE FROM folders WHERE id IN (?, ?)", gone)


def rename_folder(
    db: sqlite3.Connection,
    one: Folder,
    *,
    name: str | None = None,
    folder_class: str | None = None,
    bag: p.Bag | None = None,
) -> Folder:
    """
    Give a folder another name, class or other properties, and a new change key.

    Raises:
        FolderExistsError: A sister has this name.
        DistinguishedFolderError: Its name belongs to every mailbox.
    """
    if name is not None and (one.distinguished or one.bag.get(_SYSTEM)):
        raise DistinguishedFolderError
    try:
        db.execute(
            "UPDATE folders SET name = ?, class = ?, props = ?, change = ? WHERE id = ?",
            (
                one.name if name is None else name,
                one.folder_class if folder_class is None else folder_class,
                json.dumps(one.bag if bag is None else bag),
                next_counter(db),
                one.id,
            ),
        )
    except sqlite3.IntegrityError as error:
        raise FolderExistsError from error
    return folder(db, one.mailbox, one.id)


def _insert(db: sqlite3.Connection, mailbox: int, parent: int | None, named: _Named, bag: p.Bag) -> int:
    number = next_counter(db, 2)
    db.execute(
        "INSERT INTO folders (id, mailbox, parent, distinguished, name, class, change, props) VALUES (?,?,?,?,?,?,?,?)",
        (number, mailbox, parent, *named, number + 1, json.dumps(bag)),
    )
    return number


def _mailbox(row: tuple[Any, ...]) -> Mailbox:
    number, guid, *rest = row
    return Mailbox(number, UUID(guid), *rest)


def _folder(row: tuple[Any, ...]) -> Folder:
    fields: list[Any] = [*row[:-1], json.loads(row[-1])]
    return Folder(*fields)
