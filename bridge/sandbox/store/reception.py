"""A mail comes in: it is put where the inbox rules of its mailbox want it, and told as arrived."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.store import changes, inboxrules, items

if TYPE_CHECKING:
    import sqlite3

    from bridge.sandbox.store import properties as p
    from bridge.sandbox.store.folders import Mailbox
    from bridge.sandbox.store.items import Item


def receive(db: sqlite3.Connection, mailbox: Mailbox, bag: p.Bag, mime: bytes) -> Item:
    """Keep a mail that arrives, as `items.bag_for_delivery` has made its bag; return it where it is then."""
    fate = inboxrules.apply(db, mailbox, bag, mime)
    item = items.insert(db, mailbox.id, fate.folder, bag, mime=mime)
    changes.arrived(db, item.id)
    for folder in fate.copies:
        items.copy(db, item, folder)
    return item
