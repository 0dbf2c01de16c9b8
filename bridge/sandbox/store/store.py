"""The store as its users see it: open it on a path, and ask."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.store import changes, folders, items, reception, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.database import Database
from bridge.sandbox.store.errors import FolderNotFoundError, ItemNotFoundError, MailboxNotFoundError
from bridge.sandbox.store.ids import MalformedIdError, parse_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from bridge.sandbox.store.folders import Folder, Mailbox
    from bridge.sandbox.store.items import Item
    from bridge.sandbox.store.sends import Send, SubmittedMail

    Attendant = Callable[[sqlite3.Connection, Mailbox, Item], None]

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FolderSummary:
    """One folder for people and scripts."""

    id: str
    name: str
    path: str
    count: int
    unread: int
    distinguished: str | None


@dataclass(frozen=True, slots=True)
class MailSummary:
    """One mail for people and scripts; `size` and `sha256` are those of the MIME."""

    item_id: str
    internet_message_id: str
    received_at: datetime
    size: int
    sha256: str
    subject: str
    item_class: str
    sender: str = ""
    """The name of From, or its address."""
    read: bool = False
    has_attachments: bool = False


@dataclass(frozen=True, slots=True)
class MailPage:
    """Some mails of a folder, in the order asked for, and how many it holds in all."""

    total: int
    mails: Sequence[MailSummary]


class Store:
    """
    All mailboxes of a sandbox, in one SQLite file. Any number of threads may use it at once.

    Whatever a method answered is kept, also when the process is killed the moment after. The methods here are for
    the shell around Exchange; EWS operations work with the functions of `folders`, `items` and `sends` inside
    `reading()` or `writing()`.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path)
        self._attendants: list[Attendant] = []

    def close(self) -> None:
        """Close the file; no thread may use the store any more."""
        self._database.close()

    def reading(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give a connection that sees one moment's state for the whole block."""
        return self._database.reading()

    def writing(self) -> AbstractContextManager[sqlite3.Connection]:
        """Give a connection whose changes are kept together when the block ends well, or not at all."""
        return self._database.writing()

    def listen(self, listener: Callable[[], None]) -> Callable[[], None]:
        """Call `listener` after every commit, on the thread that committed; returns what ends it."""
        return self._database.listen(listener)

    def attend_by(self, attendant: Attendant) -> None:
        """Have `attendant` see each mail that arrives before anybody does; what it changes is kept with the mail."""
        self._attendants.append(attendant)

    # Mailboxes

    def add_mailbox(
        self,
        address: str,
        *,
        alias: str | None = None,
        display_name: str | None = None,
        username: str | None = None,
        password: str = "",
    ) -> Mailbox:
        """Make a mailbox; one that is there already is given back as it is. The local part is what names default to."""
        local = address.partition("@")[0]
        with self.writing() as db:
            return folders.add_mailbox(
                db,
                address,
                alias=alias or local,
                display_name=display_name or local,
                username=username or address,
                password=password,
            )

    def mailboxes(self) -> list[Mailbox]:
        """Return all mailboxes in the order they were made."""
        with self.reading() as db:
            return folders.mailboxes(db)

    def mailbox(self, address: str) -> Mailbox:
        """
        Return the mailbox of an address, whose case does not matter.

        Raises:
            MailboxNotFoundError: There is none.
        """
        with self.reading() as db:
            return _mailbox(db, address)

    def find_mailbox(self, **by: str) -> Mailbox | None:
        """Return the mailbox with this `address`, `username`, `alias`, `sid` or `guid`, None if there is none."""
        ((column, value),) = by.items()
        with self.reading() as db:
            return folders.mailbox_by(db, column, value)

    # Folders and mails

    def folders(self, address: str) -> list[FolderSummary]:
        """Return a mailbox's folders with their counts, parents before children."""
        with self.reading() as db:
            mailbox = _mailbox(db, address)
            every = folders.folders(db, mailbox.id)
        paths = folders.paths(every)
        return [
            FolderSummary(
                mailbox.mint.folder_id(one.id), one.name, paths[one.id], one.total, one.unread, one.distinguished
            )
            for one in every
        ]

    def deliver(
        self, address: str, mime: bytes, *, received_at: datetime | None = None, folder: str = "inbox"
    ) -> MailSummary:
        """
        Put a mail into a mailbox, byte for byte; it is there for good when this returns. In the inbox, rules act on it.

        `folder` is a folder id or a distinguished name. No mail is refused for its content.

        Raises:
            MailboxNotFoundError: There is no mailbox of this address.
            FolderNotFoundError: It has no such folder.
        """
        # Read before the lock is taken: a big mail must not hold up other writers.
        mailbox = self.mailbox(address)
        bag = items.bag_for_delivery(mime, mailbox, received_at or EXCHANGE.now())
        with self.writing() as db:
            if received_at is None:
                bag[p.DELIVERY_TIME] = items.now_micros()
            where = _folder(db, mailbox, folder)
            if where.distinguished == "inbox":
                item = reception.receive(db, mailbox, bag, mime)
                self._attend(db, mailbox, item)
            else:
                item = items.insert(db, mailbox.id, where.id, bag, mime=mime)
                changes.arrived(db, item.id)
        return _summary(mailbox, item, len(mime), sha256(mime).hexdigest())

    def mails(
        self, address: str, folder: str, *, offset: int = 0, limit: int = 100, newest_first: bool = False
    ) -> MailPage:
        """
        Return a page of a folder's mails, oldest first unless told. `folder` is a folder id or a distinguished name.

        Raises:
            MailboxNotFoundError, FolderNotFoundError: There is none such.
        """
        with self.reading() as db:
            mailbox = _mailbox(db, address)
            where = _folder(db, mailbox, folder)
            columns = ", ".join("i." + name for name in items.COLUMNS.split(", "))
            way = "DESC" if newest_first else "ASC"
            rows = db.execute(
                f"""SELECT {columns}, c.size, c.sha256 FROM (
                      SELECT id FROM items WHERE folder = ? ORDER BY received {way}, id {way} LIMIT ? OFFSET ?) AS page
                    JOIN items AS i ON i.id = page.id LEFT JOIN contents AS c ON c.id = i.content
                    ORDER BY i.received {way}, i.id {way}""",  # noqa: S608 - constants
                (where.id, limit, offset),
            ).fetchall()
            found = []
            for row in rows:
                item, size, digest = items.item_of(row[:6]), row[6], row[7]
                if digest is None:
                    mime = items.mime_of(db, item)
                    size, digest = len(mime), sha256(mime).hexdigest()
                found.append(_summary(mailbox, item, size, digest))
        return MailPage(where.total, found)

    def mime(self, address: str, item_id: str) -> bytes:
        """
        Return a mail's MIME.

        Raises:
            MailboxNotFoundError, ItemNotFoundError: There is none such.
        """
        with self.reading() as db:
            mailbox = _mailbox(db, address)
            try:
                entry = parse_id(item_id)
            except MalformedIdError as error:
                raise ItemNotFoundError from error
            if entry.item is None or entry.mailbox != mailbox.guid:
                raise ItemNotFoundError
            return items.mime_of(db, items.read(db, mailbox.id, entry.item))

    def latest(self) -> tuple[int, ...]:
        """Return numbers that differ when a mailbox, a folder, a mail or a send does."""
        with self.reading() as db:
            row = db.execute(
                """SELECT (SELECT value FROM counters WHERE name = 'change'), (SELECT count(*) FROM mailboxes),
                          (SELECT coalesce(sum(total), 0) FROM folders), (SELECT coalesce(sum(unread), 0) FROM folders),
                          (SELECT coalesce(max(id), 0) FROM sends)"""
            ).fetchone()
        return tuple(row)

    # Sends

    def waiting(self) -> list[tuple[int, str]]:
        """Return the submission and the sender's mailbox of all that is pending, without reading any mail."""
        with self.reading() as db:
            return sends.waiting(db)

    def pending_mail(self, submission: int) -> SubmittedMail | None:
        """Return one of the pending mails, None if it was settled."""
        with self.reading() as db:
            return next(sends.pending(db, submission), None)

    def pending(self) -> list[SubmittedMail]:
        """Return what was accepted for sending and is not settled: what a mail flow takes up again after a restart."""
        with self.reading() as db:
            return list(sends.pending(db))

    def settle(self, submission: int, deliveries: Iterable[tuple[str, bytes]], *, at: datetime | None = None) -> bool:
        """
        Finish a submission: each (address, MIME) is delivered, the copy is where the client wanted it.

        All of it happens or nothing. Returns False, and does nothing, if it was settled before.

        Raises:
            MailboxNotFoundError: One of the addresses has no mailbox.
        """
        with self.writing() as db:
            targets = [(_mailbox(db, address), mime) for address, mime in deliveries]
            arrived = sends.settle(db, submission, targets, at or EXCHANGE.now())
            for (mailbox, _), item in zip(targets, arrived or (), strict=False):
                self._attend(db, mailbox, item)
        return arrived is not None

    def sends(self, *, after: int = 0, limit: int = 1_000_000) -> list[Send]:
        """Return the sends that Exchange accepted, in order; `after` is the id of the last one already seen."""
        with self.reading() as db:
            return sends.sends(db, after=after, limit=limit)

    def _attend(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item) -> None:
        for attendant in self._attendants:
            db.execute("SAVEPOINT attendant")
            try:
                attendant(db, mailbox, item)
            except Exception as error:  # noqa: BLE001 - the mail is there, whatever is made of it
                db.execute("ROLLBACK TO attendant")
                _LOG.error("nothing is made of a mail that arrived: %s", type(error).__name__)
            db.execute("RELEASE attendant")


def _mailbox(db: sqlite3.Connection, address: str) -> Mailbox:
    found = folders.mailbox_by(db, "address", address)
    if found is None:
        raise MailboxNotFoundError
    return found


def _folder(db: sqlite3.Connection, mailbox: Mailbox, which: str) -> Folder:
    try:
        entry = parse_id(which)
    except MalformedIdError:
        return folders.folder(db, mailbox.id, which)
    if entry.item is not None or entry.mailbox != mailbox.guid:
        raise FolderNotFoundError
    return folders.folder(db, mailbox.id, entry.folder)


def _summary(mailbox: Mailbox, item: Item, size: int, digest: str) -> MailSummary:
    return MailSummary(
        mailbox.mint.item_id(item.folder, item.id),
        item.bag.get(p.INTERNET_MESSAGE_ID, ""),
        p.from_micros(item.bag.get(p.DELIVERY_TIME, 0)),
        size,
        digest,
        item.bag.get(p.SUBJECT, ""),
        item.bag.get(p.MESSAGE_CLASS, ""),
        sender=item.bag.get(p.SENT_REPRESENTING_NAME, ""),
        read=bool(item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_READ),
        has_attachments=bool(item.bag.get(p.HAS_ATTACHMENTS)),
    )
