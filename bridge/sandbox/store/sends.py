"""
What leaves: an item is submitted and recorded in one transaction, and settled in another.

Between the two, the mail lies in the Outbox and in `submissions`. A process killed there finds it in `pending` and
settles it once; a settled one cannot be settled again. So no accepted send is lost or delivered twice.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from bridge.sandbox.store import items, reception
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import headers_set, person, with_headers, without_bcc, without_header
from bridge.sandbox.store.database import next_counter
from bridge.sandbox.store.errors import AlreadySubmittedError
from bridge.sandbox.store.folders import folder
from bridge.sandbox.store.structure import parse

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from bridge.sandbox.store.folders import Mailbox
    from bridge.sandbox.store.items import Item


@dataclass(frozen=True, slots=True)
class Send:
    """One accepted send. `named` holds all named properties that the item had, by bag key."""

    id: int
    mailbox: str
    at: datetime
    internet_message_id: str
    sender: str
    recipients: tuple[str, ...]
    named: dict[str, Any]

    def stamp(self, name: str) -> Any:  # noqa: ANN401 - whatever JSON value the client gave the property
        """Return the value of the named property of this name in whichever property set, None if there is none."""
        return next((value for key, value in self.named.items() if p.name_of(key) == name), None)


@dataclass(frozen=True, slots=True)
class SubmittedMail:
    """A mail that Exchange accepted and has to deliver. `recipients` includes Bcc, `mime` does not show it."""

    submission: int
    mailbox: str
    internet_message_id: str
    sender: str
    recipients: tuple[str, ...]
    at: datetime
    mime: bytes = field(repr=False)


def submit(
    db: sqlite3.Connection,
    mailbox: Mailbox,
    item: Item,
    *,
    save_to: int | None,
    waits_in: str = "outbox",
    message_id: str | None = None,
) -> SubmittedMail:
    """
    Accept an item for sending: it is in the Outbox, marked, with its final MIME, and in the record of sends.

    Date is the time of submission, whatever the draft said. It, a missing From and a missing Message-ID come before the
    mail's own headers; its other bytes stay. `save_to` is the folder that gets the copy, None for no copy. With
    `waits_in` the item lies in that distinguished folder, under its old id if it was there already. `message_id` takes
    the place of the one that the mail has.

    Raises:
        AlreadySubmittedError: It was submitted before.
    """
    if item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_SUBMITTED:
        raise AlreadySubmittedError
    at = items.now_micros()
    mime = _completed(db, mailbox, item, at, message_id)
    items.fix_content(db, item, mime)
    item.bag[p.MESSAGE_FLAGS] = item.bag.get(p.MESSAGE_FLAGS, 0) | p.FLAG_SUBMITTED | p.FLAG_UNSENT | p.FLAG_READ
    items.update(db, item, {p.MESSAGE_FLAGS: item.bag[p.MESSAGE_FLAGS]})
    target = folder(db, mailbox.id, waits_in).id
    if waits_in == "outbox" or item.folder != target:
        items.move(db, item, target)
    recipients = recipients_of(item.bag)
    sender = item.bag[p.SENT_REPRESENTING_ADDRESS]
    send = db.execute(
        "INSERT INTO sends (mailbox, at, internet_message_id, sender, recipients, named) VALUES (?,?,?,?,?,?)",
        (
            mailbox.id,
            at,
            item.bag[p.INTERNET_MESSAGE_ID],
            sender,
            json.dumps(recipients),
            json.dumps({key: value for key, value in item.bag.items() if p.is_named(key)}),
        ),
    ).lastrowid
    shown = without_bcc(mime)
    content = item.content if shown is mime else items.add_content(db, shown)
    submission = next_counter(db)
    db.execute(
        "INSERT INTO submissions (id, item, save_to, recipients, content, send) VALUES (?,?,?,?,?,?)",
        (submission, item.id, save_to, json.dumps(recipients), content, send),
    )
    return SubmittedMail(
        submission,
        mailbox.address,
        item.bag[p.INTERNET_MESSAGE_ID],
        sender,
        tuple(recipients),
        p.from_micros(at),
        shown,
    )


def recipients_of(bag: p.Bag) -> list[str]:
    """Return the addresses of To, Cc and Bcc, each once."""
    found: dict[str, str] = {}
    for key in (p.RECIPIENTS_TO, p.RECIPIENTS_CC, p.RECIPIENTS_BCC):
        for _, address in bag.get(key, ()):
            if address:
                found.setdefault(address.lower(), address)
    return list(found.values())


def waiting(db: sqlite3.Connection) -> list[tuple[int, str]]:
    """Return the submission and the sender's mailbox of all that `pending` yields, without reading any mail."""
    return db.execute(
        """SELECT s.id, m.address FROM submissions AS s JOIN sends AS r ON r.id = s.send
           JOIN mailboxes AS m ON m.id = r.mailbox ORDER BY s.id"""
    ).fetchall()


def pending(db: sqlite3.Connection, submission: int | None = None) -> Iterator[SubmittedMail]:
    """Yield what was accepted and is not settled yet, oldest first; only the one that is named."""
    rows = db.execute(
        """SELECT s.id, m.address, r.internet_message_id, r.sender, s.recipients, r.at, s.content
           FROM submissions AS s JOIN sends AS r ON r.id = s.send JOIN mailboxes AS m ON m.id = r.mailbox
           WHERE ?1 IS NULL OR s.id = ?1 ORDER BY s.id""",
        (submission,),
    ).fetchall()
    for number, address, message_id, sender, recipients, at, content in rows:
        yield SubmittedMail(
            number,
            address,
            message_id,
            sender,
            tuple(json.loads(recipients)),
            p.from_micros(at),
            items.content(db, content),
        )


def settle(
    db: sqlite3.Connection, submission: int, deliveries: Iterable[tuple[Mailbox, bytes]], at: datetime
) -> list[Item] | None:
    """
    Deliver a submitted mail, bounces included, and file its copy; answer what was delivered.

    None if it was settled before. Everything happens in the caller's one transaction.
    """
    row = db.execute(
        f"""SELECT s.save_to, s.content, {", ".join("i." + name for name in items.COLUMNS.split(", "))}
            FROM submissions AS s JOIN items AS i ON i.id = s.item WHERE s.id = ?""",  # noqa: S608 - constants
        (submission,),
    ).fetchone()
    if row is None:
        return None
    save_to, content = row[:2]
    item = items.item_of(row[2:])
    delivered = [reception.receive(db, to, _arriving(item, mime, to, at), mime) for to, mime in deliveries]
    db.execute("DELETE FROM submissions WHERE id = ?", (submission,))
    if save_to is None:
        items.destroy(db, item)
    else:
        flags = item.bag.get(p.MESSAGE_FLAGS, 0) & ~(p.FLAG_SUBMITTED | p.FLAG_UNSENT)
        moment = p.to_micros(at)
        items.update(db, item, {p.MESSAGE_FLAGS: flags | p.FLAG_READ, p.DELIVERY_TIME: moment})
        _file(db, item, save_to)
    items.drop_contents(db, [content])
    return delivered


def mailbox_of(db: sqlite3.Connection, folder_number: int) -> int:
    """Return whose a folder is that a copy is to be filed in: somebody else's, for who may write there."""
    return int(db.execute("SELECT mailbox FROM folders WHERE id = ?", (folder_number,)).fetchone()[0])


def _file(db: sqlite3.Connection, item: Item, save_to: int) -> None:
    owner = mailbox_of(db, save_to)
    if owner == item.mailbox:
        items.move(db, item, save_to)
        return
    items.insert(db, owner, save_to, item.bag, mime=items.mime_of(db, item))
    items.destroy(db, item)


def _arriving(sent: Item, mime: bytes, to: Mailbox, at: datetime) -> p.Bag:
    """Return the bag of a mail that comes of one that was sent; a report about that one points to it."""
    bag = items.bag_for_delivery(mime, to, at)
    about = bag.get(p.IN_REPLY_TO)
    if bag[p.MESSAGE_CLASS].startswith("REPORT.") and about and about == sent.bag.get(p.INTERNET_MESSAGE_ID):
        bag[p.PARENT_KEY] = sent.bag[p.SEARCH_KEY]
    return bag


def sends(db: sqlite3.Connection, *, after: int = 0, limit: int = 1_000_000) -> list[Send]:
    """Return the accepted sends whose id is greater than `after`, in the order they were accepted."""
    rows = db.execute(
        """SELECT s.id, m.address, s.at, s.internet_message_id, s.sender, s.recipients, s.named
           FROM sends AS s JOIN mailboxes AS m ON m.id = s.mailbox WHERE s.id > ? ORDER BY s.id LIMIT ?""",
        (after, limit),
    )
    return [
        Send(number, address, p.from_micros(at), message_id, sender, tuple(json.loads(recipients)), json.loads(named))
        for number, address, at, message_id, sender, recipients, named in rows
    ]


def new_message_id(mailbox: Mailbox) -> str:
    """Return a Message-ID that nothing else has."""
    return f"<{uuid4().hex.upper()}@{mailbox.address.rpartition('@')[2]}>"


def _completed(db: sqlite3.Connection, mailbox: Mailbox, item: Item, at: int, message_id: str | None) -> bytes:
    """Return the item's MIME with From, Message-ID and the Date of its submission; the bag says the same."""
    bag = item.bag
    replaced = message_id is not None
    if message_id is not None:
        bag[p.INTERNET_MESSAGE_ID] = message_id
    if not bag.get(p.INTERNET_MESSAGE_ID):
        bag[p.INTERNET_MESSAGE_ID] = new_message_id(mailbox)
    if not bag.get(p.SENT_REPRESENTING_ADDRESS):
        for name, address, kind in (
            (p.SENT_REPRESENTING_NAME, p.SENT_REPRESENTING_ADDRESS, p.SENT_REPRESENTING_ADDRESS_TYPE),
            (p.SENDER_NAME, p.SENDER_ADDRESS, p.SENDER_ADDRESS_TYPE),
        ):
            bag[name], bag[address], bag[kind] = mailbox.display_name, mailbox.address, "SMTP"
        bag[p.SENT_REPRESENTING_SMTP_ADDRESS] = bag[p.SENDER_SMTP_ADDRESS] = mailbox.address
    mime = items.mime_of(db, item)
    if replaced:
        mime = without_header(mime, "Message-ID")
    bag[p.CLIENT_SUBMIT_TIME] = at
    mime = without_header(mime, "Date")
    root = parse(mime)
    missing = []
    if not root.header("From"):
        missing.append(("From", person(bag[p.SENT_REPRESENTING_NAME], bag[p.SENT_REPRESENTING_ADDRESS])))
    missing.append(("Date", p.from_micros(at).strftime("%a, %d %b %Y %H:%M:%S +0000")))
    if not root.header("Message-ID"):
        missing.append(("Message-ID", bag[p.INTERNET_MESSAGE_ID]))
    missing += [pair for name, pair in headers_set(bag).items() if root.header(name) is None]
    return with_headers(mime, missing)
