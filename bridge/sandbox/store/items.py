"""
Items: one property bag each, with the mail's bytes or attachments beside it.

An item has *content* when it came as MIME: those bytes stay as they are until a property that the MIME shows is
changed; then the mail is taken apart into properties and attachments, and its MIME is made of these from then on.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.store import associated
from bridge.sandbox.store import changes as log
from bridge.sandbox.store import mime as mimes
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import compose
from bridge.sandbox.store.database import next_counter
from bridge.sandbox.store.errors import ItemNotFoundError
from bridge.sandbox.store.folders import PLACE, folder
from bridge.sandbox.store.mime import Attachment

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from bridge.sandbox.store.folders import Mailbox

Disposal = Literal["MoveToDeletedItems", "SoftDelete", "HardDelete"]

COLUMNS = "id, mailbox, folder, change, content, props"

# Properties that are not written into the MIME: changing them leaves the mail's bytes alone.
_BESIDE_THE_MIME = frozenset({
    p.MESSAGE_FLAGS, p.LAST_MODIFICATION_TIME, p.LAST_MODIFIER_NAME, p.KEYWORDS, p.FLAG_STATUS, p.DELIVERY_TIME,
    p.CREATION_TIME, p.MESSAGE_CLASS, p.MESSAGE_SIZE, p.DELETE_AFTER_SUBMIT, p.CONVERSATION_TOPIC, p.PREVIEW,
    p.MESSAGE_LOCALE, p.INTERNET_CODEPAGE, p.ICON, p.LAST_VERB, p.LAST_VERB_TIME, p.CULTURE, p.FLAG_COMPLETED,
})  # fmt: skip


@dataclass(slots=True)
class Item:
    """One item as it was read; `bag` may be changed and given to `update`."""

    id: int
    mailbox: int
    folder: int
    change: int
    content: int | None
    bag: p.Bag


def read(db: sqlite3.Connection, mailbox: int, item: int) -> Item:
    """
    Return an item of a mailbox.

    Raises:
        ItemNotFoundError: It is not there, or has another id by now.
    """
    row = db.execute(f"SELECT {COLUMNS} FROM items WHERE id = ? AND mailbox = ?", (item, mailbox)).fetchone()  # noqa: S608 - constants
    if row is None:
        raise ItemNotFoundError
    return item_of(row)


def item_of(row: tuple[Any, ...]) -> Item:
    """Return the item of a row of COLUMNS."""
    number, mailbox, folder_number, change, content_number, props = row
    return Item(number, mailbox, folder_number, change, content_number, json.loads(props))


def now_micros() -> int:
    """Return the present time as the bag keeps it."""
    return p.to_micros(EXCHANGE.now())


def bag_for_delivery(mime: bytes, mailbox: Mailbox, received_at: datetime) -> p.Bag:
    """Return the bag of a mail that arrives in a mailbox: unread, its other properties from its MIME."""
    bag = mimes.bag_of(mime, received_at)
    bag[p.DELIVERY_TIME] = p.to_micros(received_at)
    bag[p.MESSAGE_FLAGS] = p.FLAG_HAS_ATTACHMENT if bag[p.HAS_ATTACHMENTS] else 0
    bag[p.RECEIVED_BY_NAME], bag[p.RECEIVED_BY_ADDRESS] = mailbox.display_name, mailbox.address
    bag[p.LAST_MODIFIER_NAME] = mailbox.display_name
    return bag


def insert(
    db: sqlite3.Connection,
    mailbox: int,
    folder_number: int,
    bag: p.Bag,
    *,
    mime: bytes | None = None,
    attachments: Sequence[Attachment] = (),
) -> Item:
    """Put a new item into a folder: with its MIME, or made of properties and attachments."""
    fresh = next_counter(db, 2)
    content = add_content(db, mime) if mime is not None else None
    db.execute(
        "INSERT INTO items (id, mailbox, folder, change, content, props) VALUES (?,?,?,?,?,?)",
        (fresh, mailbox, folder_number, fresh + 1, content, dumps(bag)),
    )
    item = Item(fresh, mailbox, folder_number, fresh + 1, content, bag)
    for number, attachment in enumerate(attachments, 1):
        _insert_attachment(db, item, number, attachment)
    return item


def update(db: sqlite3.Connection, item: Item, changes: p.Bag, removals: Iterable[str] = ()) -> Item:
    """Set and remove properties; the change key is new, and the time of the last change is now."""
    removals = list(removals)
    touched = {*changes, *removals}
    if item.content is not None and any(not p.is_named(key) and key not in _BESIDE_THE_MIME for key in touched):
        take_apart(db, item)
    for key in removals:
        item.bag.pop(key, None)
    item.bag.update(changes)
    mimes.set_display(item.bag)
    item.bag.setdefault(p.LAST_MODIFICATION_TIME, 0)
    if p.LAST_MODIFICATION_TIME not in changes:
        item.bag[p.LAST_MODIFICATION_TIME] = now_micros()
    if item.content is None:
        item.bag[p.MESSAGE_SIZE] = size_of(db, item)
    item.change = next_counter(db)
    db.execute("UPDATE items SET props = ?, change = ? WHERE id = ?", (dumps(item.bag), item.change, item.id))
    return item


def replace(
    db: sqlite3.Connection, item: Item, bag: p.Bag, *, mime: bytes | None, attachments: Sequence[Attachment]
) -> Item:
    """Make an item say what another said; its id and its folder stay, and no attachment gets an old one's number."""
    known = (number for number, _ in numbered_attachments(db, item))
    highest = max(*known, int(item.bag.get("attachments", 0)), 0)
    held = [row[0] for row in db.execute("DELETE FROM attachments WHERE item = ? RETURNING content", (item.id,))]
    if item.content is not None:
        held.append(item.content)
    item.content = add_content(db, mime) if mime is not None else None
    item.bag = {**bag, "attachments": highest + len(attachments)}
    item.change = next_counter(db)
    db.execute(
        "UPDATE items SET content = ?, props = ?, change = ? WHERE id = ?",
        (item.content, dumps(item.bag), item.change, item.id),
    )
    for number, attachment in enumerate(attachments, highest + 1):
        _insert_attachment(db, item, number, attachment)
    drop_contents(db, held)
    return item


def rewrite(db: sqlite3.Connection, item: Item) -> Item:
    """Store the item's bag as it is now; for what belongs to making the item, so its change key stays."""
    db.execute("UPDATE items SET props = ? WHERE id = ?", (dumps(item.bag), item.id))
    return item


def move(db: sqlite3.Connection, item: Item, to: int) -> Item:
    """Put an item into another folder of its mailbox; its id and change key are new, its search key stays."""
    to = _beside(db, item, to)
    fresh = next_counter(db, 2)
    db.execute("UPDATE items SET id = ?, change = ?, folder = ? WHERE id = ?", (fresh, fresh + 1, to, item.id))
    item.id, item.change, item.folder = fresh, fresh + 1, to
    return item


def copy(db: sqlite3.Connection, item: Item, to: int) -> Item:
    """Put a second item of the same content into a folder of its mailbox; both share the search key."""
    to = _beside(db, item, to)
    fresh = next_counter(db, 2)
    bag = {**item.bag, p.LAST_MODIFICATION_TIME: now_micros()}
    db.execute(
        "INSERT INTO items (id, mailbox, folder, change, content, props) VALUES (?,?,?,?,?,?)",
        (fresh, item.mailbox, to, fresh + 1, item.content, dumps(bag)),
    )
    log.copied(db, fresh, folder=item.folder, of=item.id)
    db.execute(
        "INSERT INTO attachments SELECT ?, number, props, content FROM attachments WHERE item = ?", (fresh, item.id)
    )
    return Item(fresh, item.mailbox, to, fresh + 1, item.content, bag)


def is_associated(item: Item) -> bool:
    """Return whether an item is one that clients keep beside a folder's mails."""
    return bool(item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_ASSOCIATED)


def folder_of(db: sqlite3.Connection, item: Item) -> int:
    """Return the number of the folder that an item is in, or beside whose items it is."""
    if not is_associated(item):
        return item.folder
    named = folder(db, item.mailbox, item.folder).distinguished or ""
    return int(named.removeprefix(PLACE)) if named.startswith(PLACE) else item.folder


def _beside(db: sqlite3.Connection, item: Item, to: int) -> int:
    """Return where an item goes that is put into a folder: an associated one beside the others, there as here."""
    return associated.ensure_place(db, folder(db, item.mailbox, to)).id if is_associated(item) else to


def delete(db: sqlite3.Connection, item: Item, disposal: Disposal) -> None:
    """Delete an item in one of Exchange's three ways; what is deleted from Purges is gone, as are associated items."""
    here = folder(db, item.mailbox, item.folder).distinguished
    if here == "recoverableitemspurges" or is_associated(item):
        destroy(db, item)
        return
    target = {
        "MoveToDeletedItems": "deleteditems",
        "SoftDelete": "recoverableitemsdeletions",
        "HardDelete": "recoverableitemspurges",
    }[disposal]
    if here == "recoverableitemsdeletions":
        target = "recoverableitemspurges"
    move(db, item, folder(db, item.mailbox, target).id)


def destroy(db: sqlite3.Connection, item: Item) -> None:
    """Take an item away with all that belongs to it alone."""
    held = [row[0] for row in db.execute("SELECT content FROM attachments WHERE item = ?", (item.id,))]
    db.execute("DELETE FROM items WHERE id = ?", (item.id,))
    if item.content is not None:
        held.append(item.content)
    drop_contents(db, held)


def mime_of(db: sqlite3.Connection, item: Item) -> bytes:
    """Return an item's MIME: the bytes it came with, or those made of its properties."""
    if item.content is None:
        return compose(item.bag, attachments_of(db, item))
    return content(db, item.content)


def attachments_of(db: sqlite3.Connection, item: Item) -> list[Attachment]:
    """Return an item's attachments in the order of their numbers."""
    return [attachment for _, attachment in numbered_attachments(db, item)]


def numbered_attachments(db: sqlite3.Connection, item: Item) -> list[tuple[int, Attachment]]:
    """Return an item's attachments with their numbers, which stay when others go."""
    if item.content is not None:
        return list(enumerate(mimes.attachments(content(db, item.content)), 1))
    rows = db.execute(
        "SELECT number, props, data FROM attachments JOIN contents ON contents.id = content WHERE item = ? "
        "ORDER BY number",
        (item.id,),
    )
    return [(number, Attachment(**json.loads(props), content=data)) for number, props, data in rows]


def add_attachment(db: sqlite3.Connection, item: Item, attachment: Attachment) -> int:
    """Give an item one more attachment and a new change key; returns the attachment's number."""
    take_apart(db, item)
    row = db.execute("SELECT coalesce(max(number), 0) FROM attachments WHERE item = ?", (item.id,)).fetchone()
    number = max(int(row[0]), int(item.bag.get("attachments", 0))) + 1
    _insert_attachment(db, item, number, attachment)
    _attachments_changed(db, item, number)
    return number


def remove_attachment(db: sqlite3.Connection, item: Item, number: int) -> None:
    """
    Take an attachment away; the item's change key is new.

    Raises:
        ItemNotFoundError: There is no attachment of this number.
    """
    if number not in {known for known, _ in numbered_attachments(db, item)}:
        raise ItemNotFoundError
    take_apart(db, item)
    row = db.execute(
        "DELETE FROM attachments WHERE item = ? AND number = ? RETURNING content", (item.id, number)
    ).fetchone()
    drop_contents(db, [row[0]])
    _attachments_changed(db, item, 0)


def take_apart(db: sqlite3.Connection, item: Item) -> None:
    """Make the item one of properties and attachments, if it is still one of MIME; it says the same as before."""
    if item.content is None:
        return
    raw = content(db, item.content)
    text, html = mimes.bodies(raw)
    if text is not None:
        item.bag.setdefault(p.BODY_TEXT, text)
    if html is not None:
        item.bag.setdefault(p.BODY_HTML, html)
    for number, attachment in enumerate(mimes.attachments(raw), 1):
        _insert_attachment(db, item, number, attachment)
        item.bag["attachments"] = number
    item.bag[p.EXTRA_HEADERS] = mimes.extra_headers(raw)
    db.execute("UPDATE items SET content = NULL, props = ? WHERE id = ?", (dumps(item.bag), item.id))
    drop_contents(db, [item.content])
    item.content = None


def fix_content(db: sqlite3.Connection, item: Item, mime: bytes) -> None:
    """Make these bytes the item's MIME from now on."""
    held = [row[0] for row in db.execute("DELETE FROM attachments WHERE item = ? RETURNING content", (item.id,))]
    if item.content is not None:
        held.append(item.content)
    item.content = add_content(db, mime)
    item.bag[p.MESSAGE_SIZE] = len(mime)
    db.execute("UPDATE items SET content = ?, props = ? WHERE id = ?", (item.content, dumps(item.bag), item.id))
    drop_contents(db, held)


def add_content(db: sqlite3.Connection, data: bytes) -> int:
    """Store bytes beside the items; returns their number."""
    cursor = db.execute(
        "INSERT INTO contents (size, sha256, data) VALUES (?,?,?)", (len(data), hashlib.sha256(data).hexdigest(), data)
    )
    if cursor.lastrowid is None:
        raise AssertionError("SQLite gave no row number")
    return cursor.lastrowid


def content(db: sqlite3.Connection, number: int) -> bytes:
    """Return stored bytes."""
    row = db.execute("SELECT data FROM contents WHERE id = ?", (number,)).fetchone()
    return bytes(row[0])


def drop_contents(db: sqlite3.Connection, numbers: Iterable[int]) -> None:
    """Forget stored bytes that nothing refers to any more."""
    db.executemany(
        """DELETE FROM contents WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM items WHERE content = ?1)
           AND NOT EXISTS (SELECT 1 FROM attachments WHERE content = ?1)
           AND NOT EXISTS (SELECT 1 FROM submissions WHERE content = ?1)""",
        [(number,) for number in numbers],
    )


def dumps(bag: p.Bag) -> str:
    """Return the bag as it is stored."""
    return json.dumps(bag, separators=(",", ":"))


def _insert_attachment(db: sqlite3.Connection, item: Item, number: int, attachment: Attachment) -> None:
    props = {
        "name": attachment.name,
        "content_type": attachment.content_type,
        "content_id": attachment.content_id,
        "inline": attachment.inline,
        **({} if attachment.bag is None else {"bag": attachment.bag}),
    }
    db.execute(
        "INSERT INTO attachments (item, number, props, content) VALUES (?,?,?,?)",
        (item.id, number, json.dumps(props), add_content(db, attachment.content)),
    )


def _attachments_changed(db: sqlite3.Connection, item: Item, highest: int) -> None:
    shown = [
        not one["inline"]
        for one in (
            json.loads(row[0]) for row in db.execute("SELECT props FROM attachments WHERE item = ?", (item.id,))
        )
    ]
    flags = item.bag.get(p.MESSAGE_FLAGS, 0) & ~p.FLAG_HAS_ATTACHMENT
    update(
        db,
        item,
        {
            p.HAS_ATTACHMENTS: any(shown),
            p.MESSAGE_FLAGS: flags | (p.FLAG_HAS_ATTACHMENT if any(shown) else 0),
            "attachments": max(highest, int(item.bag.get("attachments", 0))),
        },
    )


def size_of(db: sqlite3.Connection, item: Item) -> int:
    """Return about how big an item made of properties is, in bytes."""
    held = db.execute(
        "SELECT coalesce(sum(size), 0) FROM attachments JOIN contents ON contents.id = content WHERE item = ?",
        (item.id,),
    ).fetchone()[0]
    return int(held) + sum(len(item.bag.get(key) or "") for key in (p.BODY_TEXT, p.BODY_HTML, p.SUBJECT)) + 500
