"""The rules as the EWS service, the mail flow and the SMTP port ask for them."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import folders, items, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.temper import ledger, quota
from bridge.sandbox.temper.connections import Connections
from bridge.sandbox.temper.delays import spread_seconds

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterable

    from bridge.sandbox.ews.view import View
    from bridge.sandbox.store import Mailbox, Store, SubmittedMail
    from bridge.sandbox.store.items import Item
    from bridge.sandbox.temper.book import TemperBook

_FULL: Final = "Mailbox has exceeded maximum mailbox size."
_TOO_BIG: Final = "The message exceeds the maximum supported size."
_MICROS: Final = 1_000_000


@dataclass(slots=True)
class Temper:
    """All rules over one store. `now` gives seconds since 1970, `elapsed` seconds for measuring how long work takes."""

    book: TemperBook
    store: Store
    now: Callable[[], float] = time.time
    elapsed: Callable[[], float] = time.monotonic
    connections: Connections = field(default_factory=Connections)

    def __post_init__(self) -> None:
        """Make the tables that are missing."""
        with self.store.writing() as db:
            ledger.prepare(db)

    # What EWS operations ask

    def check_open(self, mailbox: Mailbox) -> None:
        """
        Make sure that a mailbox can be opened.

        Raises:
            EwsError: ErrorMailboxMoveInProgress.
        """
        if self.now() < self.book.moved(mailbox.address).until:
            raise EwsError(
                "ErrorMailboxMoveInProgress", "Mailbox move in progress. Try again later., Cannot open mailbox."
            )

    def batch_end(self) -> float | None:
        """Return when, by `elapsed`, a batch that begins now takes up no further items; None for never."""
        seconds = self.book.of_all("batch_seconds")
        return None if seconds is None else self.elapsed() + float(seconds)

    def check_stored(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item | None) -> None:
        """
        Make sure that what a transaction has just stored may stay: that is neither too big nor too much.

        Raises:
            EwsError: ErrorMessageSizeExceeded, ErrorQuotaExceeded.
        """
        limit = self.book.of("send_bytes", mailbox.address)
        if item is not None and limit is not None and item.bag.get(p.MESSAGE_SIZE, 0) > limit:
            raise EwsError("ErrorMessageSizeExceeded", _TOO_BIG)
        if quota.is_full(db, mailbox.id, self.book.of("mailbox_bytes", mailbox.address)):
            raise EwsError("ErrorQuotaExceeded", _FULL)

    def quota_bytes(self, address: str) -> int | None:
        """Return how much a mailbox may hold; None for any amount."""
        limit = self.book.of("mailbox_bytes", address)
        return None if limit is None else int(limit)

    def check_conversion(self, view: View) -> None:
        """
        Make sure that the MIME of an item can be had.

        Raises:
            EwsError: ErrorMimeContentConversionFailed, it was chosen to fail.
        """
        chosen = self.book.of_all("conversion_refused")
        subject = str(view.item.bag.get(p.SUBJECT, ""))
        if view.item_id in chosen.get("item_ids", ()) or any(
            re.search(pattern, subject) for pattern in chosen.get("subjects", ())
        ):
            raise EwsError("ErrorMimeContentConversionFailed", "The MIME content conversion failed.")

    def submit(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item, *, save_to: int | None) -> SubmittedMail:
        """
        Accept an item for sending as `sends.submit` does, within the mailbox's limits.

        A mail over the rate is accepted like any other and waits where the settings say.

        Raises:
            EwsError: ErrorSubmissionQuotaExceeded, ErrorMessageSizeExceeded, ErrorQuotaExceeded.
            AlreadySubmittedError: It was submitted before.
        """
        address, now = mailbox.address, self._micros()
        recipients = len(sends.recipients_of(item.bag))
        a_day = self.book.of("recipients_per_day", address)
        if a_day is not None and ledger.recipients_of_the_day(db, mailbox.id, now) + recipients > a_day:
            raise EwsError(
                "ErrorSubmissionQuotaExceeded",
                "The message can't be submitted because the sender's submission quota was exceeded.",
            )
        rate = self.book.of("sends_per_minute", address)
        waits_in = "outbox"
        if rate is not None and ledger.is_over_rate(db, mailbox.id, rate, now):
            waits_in = self.book.of("throttled_mail_waits_in", address)
        submitted = sends.submit(
            db,
            mailbox,
            self._leaving(db, mailbox, item),
            save_to=save_to,
            waits_in=waits_in,
            message_id=sends.new_message_id(mailbox) if self.book.of("replaces_message_id", address) else None,
        )
        self.check_stored(db, mailbox, item)
        ledger.note_accepted(db, mailbox.id, now, recipients)
        return submitted

    def _leaving(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item) -> Item:
        """Return what leaves: the item, or a copy, where a sent draft is to stay as it was."""
        if not self.book.of("sent_draft_stays", mailbox.address):
            return item
        return items.insert(db, mailbox.id, item.folder, dict(item.bag), mime=items.mime_of(db, item))

    # What the mail flow asks

    def wait_seconds(self, address: str) -> float:
        """Return how long the next mail of a mailbox has to wait before it leaves."""
        rate = self.book.of("sends_per_minute", address)
        if rate is None:
            return 0.0
        now = self._micros()
        with self.store.reading() as db:
            mailbox = folders.mailbox_by(db, "address", address)
            return 0.0 if mailbox is None else (ledger.departs_at(db, mailbox.id, rate, now) - now) / _MICROS

    def settle(self, mail: SubmittedMail, deliveries: Iterable[tuple[str, bytes]]) -> None:
        """Settle a mail and remember that it left; its copy comes now or later, whole or without named properties."""
        with self.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", mail.mailbox)
            if mailbox is not None:
                if not self.book.of("sent_copy_keeps_named_properties", mail.mailbox):
                    ledger.strip_named(db, mailbox, mail.submission)
                delay = spread_seconds(self.book.of("sent_copy_delay_seconds", mail.mailbox), "copy", mail.submission)
                now = self._micros()
                if delay:
                    ledger.hold_copy(db, mail.submission, due=now + int(delay * _MICROS), now=now)
            if self.store.settle(mail.submission, deliveries) and mailbox is not None:
                ledger.note_departed(db, mailbox.id, now)

    def file_copies(self) -> float | None:
        """File the copies that are due in Sent Items; returns the seconds until the next one, None where none is."""
        with self.store.writing() as db:
            following = ledger.file_copies(db, self._micros())
        return None if following is None else max(0.0, (following - self._micros()) / _MICROS)

    def has_too_many_recipients(self, mail: SubmittedMail) -> bool:
        """Tell whether a mail goes to more recipients than its sender may name."""
        most = self.book.of("recipients_per_message", mail.mailbox)
        return most is not None and len(mail.recipients) > most

    # What whoever delivers asks

    def is_full(self, address: str, added: int) -> bool:
        """Tell whether a mailbox has no room for a mail of so many bytes."""
        limit = self.book.of("mailbox_bytes", address)
        if limit is None:
            return False
        with self.store.reading() as db:
            mailbox = folders.mailbox_by(db, "address", address)
            return mailbox is not None and quota.is_full(db, mailbox.id, limit, added=added)

    def is_too_big_for(self, address: str, size: int) -> bool:
        """Tell whether a mail is bigger than a mailbox takes."""
        limit = self.book.of("receive_bytes", address)
        return limit is not None and size > limit

    def _micros(self) -> int:
        return int(self.now() * _MICROS)
