"""The rules as the EWS service, the mail flow and the SMTP port ask for them."""

from __future__ import annotations

import os
import re
import time
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews.behaviour import arriving, ledger, quota, touches
from bridge.sandbox.ews.behaviour.budget import CallBudget
from bridge.sandbox.ews.behaviour.connections import Connections
from bridge.sandbox.ews.behaviour.delays import spread_seconds
from bridge.sandbox.ews.behaviour.lateness import LateSearches
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import folders, items, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import with_headers, without_headers
from bridge.sandbox.store.remade import remade

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Sequence

    from bridge.sandbox.ews.behaviour.book import BehaviourSettings
    from bridge.sandbox.ews.view import View
    from bridge.sandbox.store import Mailbox, Store, SubmittedMail
    from bridge.sandbox.store.items import Item

_FULL: Final = "Mailbox has exceeded maximum mailbox size."
_TOO_BIG: Final = "The message exceeds the maximum supported size."
_MICROS: Final = 1_000_000
# What a header firewall takes out of mail of strangers (Microsoft, "Header firewall").
_OF_EXCHANGE_ALONE: Final = ("X-MS-Exchange-Organization-", "X-MS-Exchange-Forest-")
_AUTH_AS: Final = "X-MS-Exchange-Organization-AuthAs"
_DIRECTION: Final = "X-MS-Exchange-Organization-MessageDirectionality"
_INTERNAL: Final = "Internal"
_ANONYMOUS: Final = "Anonymous"


@dataclass(slots=True)
class ServerBehaviour:
    """All rules over one store. `now` gives seconds since 1970, `elapsed` seconds for measuring how long work takes."""

    book: BehaviourSettings
    store: Store
    now: Callable[[], float] = time.time
    elapsed: Callable[[], float] = time.monotonic
    connections: Connections = field(default_factory=Connections)
    planned: Callable[[], None] = lambda: None
    """Called where something was planned for later (`do_due`), maybe before that is committed."""
    budget: CallBudget = field(init=False)
    _late: LateSearches = field(init=False)

    def __post_init__(self) -> None:
        """Make the tables that are missing."""
        with self.store.writing() as db:
            for part in (ledger, arriving, touches):
                part.prepare(db)
        self.budget, self._late = CallBudget(self.elapsed), LateSearches(self.elapsed)
        self._settings_changed()
        self.book.listen(self._settings_changed)
        self.store.listen(self._committed)

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

    def call_waits(self, budget: tuple[str, str], address: str) -> float:
        """Count a call; return the seconds after which the next one will do where this one is too much, else 0."""
        a_minute = self.book.of("calls_per_minute", address)
        if a_minute is None:
            return 0.0
        return self.budget.spend(budget, a_minute=a_minute, burst=self.book.of("calls_at_once", address))

    def hidden_from_searches(self) -> list[tuple[int, int]]:
        """Return the change numbers of what a search by named property does not find yet (`LateSearches.hidden`)."""
        return self._late.hidden() if self.book.of_all("search_delay_seconds") else []

    def draft_saved(self, db: sqlite3.Connection, mailbox: Mailbox, item: Item) -> None:
        """Plan that the server touches an item that was saved, where it is a draft."""
        delay = self.book.of("draft_touched_after_seconds", mailbox.address)
        if delay is not None and touches.is_draft_folder(db, mailbox.id, item.folder):
            touches.plan(db, item.id, self._due(delay, "touch", item.id))
            self.planned()

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

    def settle(
        self, mail: SubmittedMail, deliveries: Sequence[tuple[str, bytes]], reports: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """
        Settle a mail and remember that it left; its copy comes now or later, whole or without named properties.

        `reports` about it come at once, `deliveries` when their mailboxes get mail.
        """
        with self.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", mail.mailbox)
            if mailbox is not None:
                if not self.book.of("sent_copy_keeps_named_properties", mail.mailbox):
                    ledger.strip_named(db, mailbox, mail.submission)
                delay = spread_seconds(self.book.of("sent_copy_delay_seconds", mail.mailbox), "copy", mail.submission)
                now = self._micros()
                if delay:
                    ledger.hold_copy(db, mail.submission, due=now + int(delay * _MICROS), now=now)
            direct, late = [], []
            for address, mime in deliveries:
                stamped = self._stamped(address, mime, _INTERNAL)
                if self._comes_late(address):
                    late.append((address, stamped))
                else:
                    direct.append((address, self._as_kept(address, stamped)))
            direct += [(to, self._as_kept(to, self._stamped(to, report, _INTERNAL))) for to, report in reports]
            if self.store.settle(mail.submission, direct) and mailbox is not None:
                ledger.note_departed(db, mailbox.id, now)
                for address, mime in late:
                    self.deliver(address, mime)

    def _comes_late(self, address: str) -> bool:
        """Return whether a mail for a mailbox does not simply arrive with the settlement of its submission."""
        return any(self.book.of(name, address) for name in ("delivery_delay_seconds", "duplicates_dropped_for_seconds"))

    def do_due(self) -> float | None:
        """
        Do what was planned and is due: file copies, deliver mail, touch drafts.

        Returns the seconds until there is more to do, None where nothing is planned.
        """
        now = self._micros()
        while self._deliver_due(now):
            pass
        with self.store.writing() as db:
            times = (ledger.file_copies(db, now), touches.touch(db, now), arriving.next_due(db))
        following = [time for time in times if time is not None]
        return max(0.0, (min(following) - self._micros()) / _MICROS) if following else None

    def _deliver_due(self, now: int) -> bool:
        with self.store.writing() as db:  # a mail leaves the table in the transaction in which it arrives
            taken = arriving.take(db, now)
            if taken is not None:
                self._arrive(db, *taken)
        return taken is not None

    def _arrive(self, db: sqlite3.Connection, address: str, mime: bytes) -> None:
        window = self.book.of("duplicates_dropped_for_seconds", address)
        if window and arriving.is_repeated(db, address, mime, now=self._micros(), window=int(window * _MICROS)):
            return
        self.store.deliver(address, self._as_kept(address, mime))

    def has_too_many_recipients(self, mail: SubmittedMail) -> bool:
        """Return whether a mail goes to more recipients than its sender may name."""
        most = self.book.of("recipients_per_message", mail.mailbox)
        return most is not None and len(mail.recipients) > most

    # What whoever delivers asks

    def deliver(self, address: str, mime: bytes) -> None:
        """Take a mail for a mailbox: it is there, or will be after its delay, whatever happens to this process."""
        delay = self.book.of("delivery_delay_seconds", address)
        if delay:
            with self.store.writing() as db:
                arriving.put(db, address, mime, self._due(delay, "delivery", address, arriving.next_number(db)))
            self.planned()
        elif self.book.of("duplicates_dropped_for_seconds", address):
            with self.store.writing() as db:
                self._arrive(db, address, mime)
        else:
            self.store.deliver(address, self._as_kept(address, mime))

    def from_outside(self, address: str, mime: bytes) -> bytes:
        """Return a mail that a stranger handed in as it passes the border: what only Exchange may say is taken out."""
        if self.book.of("header_firewall", address):
            for names in _OF_EXCHANGE_ALONE:
                mime = without_headers(mime, names)
        return self._stamped(address, mime, _ANONYMOUS)

    def _stamped(self, address: str, mime: bytes, auth_as: str) -> bytes:
        """Return a mail with what Exchange says of its sender, where its MIME is no longer what came."""
        if self.book.of("mime_made_anew", address) is None:
            return mime
        way = "Incoming" if auth_as == _ANONYMOUS else "Originating"
        return with_headers(mime, [(_AUTH_AS, auth_as), (_DIRECTION, way)])

    def _as_kept(self, address: str, mime: bytes) -> bytes:
        """Return a mail as the store keeps it."""
        if self.book.of("mime_made_anew", address) != "on_delivery":
            return mime
        return remade(mime, at=EXCHANGE.now())

    def as_read(self, view: View) -> View:
        """Return an item as its MIME is read: made anew, with other boundaries each time, where it is to be so."""
        said = str(view.item.bag.get(p.MESSAGE_CLASS, ""))
        if (
            self.book.of("mime_made_anew", view.mailbox.address) != "on_reading"
            or view.item.content is None
            or view.raw is not None
            or not said.startswith(("IPM.Note", "IPM.Schedule.", "REPORT."))
        ):
            return view
        return replace(view, made_anew=remade(view.mime(), at=EXCHANGE.now(), salt=os.urandom(16)))

    def is_full(self, address: str, added: int) -> bool:
        """Return whether a mailbox has no room for a mail of so many bytes."""
        limit = self.book.of("mailbox_bytes", address)
        if limit is None:
            return False
        with self.store.reading() as db:
            mailbox = folders.mailbox_by(db, "address", address)
            return mailbox is not None and quota.is_full(db, mailbox.id, limit, added=added)

    def is_too_big_for(self, address: str, size: int) -> bool:
        """Return whether a mail is bigger than a mailbox takes."""
        limit = self.book.of("receive_bytes", address)
        return limit is not None and size > limit

    def _settings_changed(self) -> None:
        if self.book.of_all("search_delay_seconds"):
            self._committed()
        else:
            self._late.forget()

    def _committed(self) -> None:
        delay = self.book.of_all("search_delay_seconds")
        if delay:
            with self.store.reading() as db:
                change = db.execute("SELECT value FROM counters WHERE name = 'change'").fetchone()[0]
            self._late.committed(int(change), delay)

    def _due(self, delay: float | Sequence[float], *what: object) -> int:
        return self._micros() + int(spread_seconds(delay, *what) * _MICROS)

    def _micros(self) -> int:
        return int(self.now() * _MICROS)
