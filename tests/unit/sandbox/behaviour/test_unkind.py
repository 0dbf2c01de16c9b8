"""What a realistic world does beside limits: late and repeated mail, drafts that are touched, a budget of calls."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.sandbox.ews.behaviour.budget import CallBudget
from bridge.sandbox.ews.behaviour.delays import spread_seconds
from bridge.sandbox.ews.behaviour.lateness import LateSearches
from bridge.sandbox.store import Store, folders, items
from tests.unit.sandbox.behaviour.world import CREW, DISPATCH, World

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class _World(World):
    def draft(self, mime: bytes) -> int:
        """Save a draft of dispatch's as EWS does; returns its number."""
        with self.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", DISPATCH)
            assert mailbox is not None
            bag = items.bag_for_delivery(mime, mailbox, datetime.now(UTC))
            item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=mime)
            self.behaviour.draft_saved(db, mailbox, item)
        return item.id

    def send(self, mime: bytes) -> None:
        """Send a mail of dispatch's."""
        number = self.draft(mime)
        with self.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", DISPATCH)
            assert mailbox is not None
            saved = folders.folder(db, mailbox.id, "sentitems").id
            self.behaviour.submit(db, mailbox, items.read(db, mailbox.id, number), save_to=saved)

    def change_of(self, number: int) -> int:
        with self.store.reading() as db:
            return int(db.execute("SELECT change FROM items WHERE id = ?", (number,)).fetchone()[0])

    def arrived(self, address: str = CREW) -> list[str]:
        return [mail.subject for mail in self.store.mails(address, "inbox").mails]


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[_World]:
    store = Store(tmp_path / "store.sqlite")
    for address in (DISPATCH, CREW):
        store.add_mailbox(address)
    yield _World(store)
    store.close()


def _mail(subject: str, *, message_id: str = "", date: str = "Wed, 02 Dec 2026 10:00:00 +0000") -> bytes:
    identity = f"Message-ID: {message_id}\r\n" if message_id else ""
    return f"To: {CREW}\r\n{identity}Date: {date}\r\nSubject: {subject}\r\n\r\nBody\r\n".encode()


async def test_mail_that_was_taken_is_there_after_its_delay_and_over_a_kill(world: _World) -> None:
    world.book.put({"delivery_delay_seconds": [1, 3]})
    for number in range(20):
        world.behaviour.deliver(CREW, _mail(str(number)))
    world.flow.settle_pending()
    assert world.arrived() == []

    world.open()
    world.now += 2
    world.flow.settle_pending()
    half = world.arrived()
    assert 0 < len(half) < 20
    world.now += 1.1
    world.flow.settle_pending()
    assert sorted(world.arrived(), key=int) == [str(number) for number in range(20)]
    assert world.flow.settle_pending()
    assert len(world.arrived()) == 20


async def test_what_ews_sent_is_delivered_late_as_well_and_its_copy_is_not(world: _World) -> None:
    world.book.put({"mailboxes": {CREW: {"delivery_delay_seconds": 5}}})
    world.send(_mail("x"))
    world.flow.settle_pending()
    assert (world.arrived(), len(world.store.mails(DISPATCH, "sentitems").mails)) == ([], 1)

    world.now += 5.1
    world.flow.settle_pending()
    assert world.arrived() == ["x"]


async def test_a_second_mail_of_one_message_id_and_time_is_dropped_within_the_window(world: _World) -> None:
    world.book.put({"duplicates_dropped_for_seconds": 60})
    for subject in ("first", "second"):
        world.behaviour.deliver(CREW, _mail(subject, message_id="<a@example.org>"))
    world.behaviour.deliver(CREW, _mail("later", message_id="<a@example.org>", date="Wed, 02 Dec 2026 10:00:01 +0000"))
    world.behaviour.deliver(CREW, _mail("other", message_id="<b@example.org>"))
    world.behaviour.deliver(DISPATCH, _mail("elsewhere", message_id="<a@example.org>"))
    for _ in range(2):
        world.behaviour.deliver(CREW, _mail("without"))
    assert world.arrived() == ["first", "later", "other", "without", "without"]
    assert world.arrived(DISPATCH) == ["elsewhere"]

    world.now += 61
    world.behaviour.deliver(CREW, _mail("again", message_id="<a@example.org>"))
    assert world.arrived()[-1] == "again"


async def test_a_repeated_mail_that_comes_late_is_dropped_when_it_arrives(world: _World) -> None:
    world.book.put({"duplicates_dropped_for_seconds": 60, "delivery_delay_seconds": 1})
    for subject in ("first", "second"):
        world.behaviour.deliver(CREW, _mail(subject, message_id="<a@example.org>"))
    world.now += 1.1
    world.flow.settle_pending()

    assert len(world.arrived()) == 1


async def test_a_draft_is_touched_once_unless_it_was_sent_meanwhile(world: _World) -> None:
    world.book.put({"draft_touched_after_seconds": 2})
    number = world.draft(_mail("draft"))
    world.send(_mail("sent"))
    before = world.change_of(number)

    world.flow.settle_pending()
    assert world.change_of(number) == before
    world.now += 2.1
    world.flow.settle_pending()
    touched = world.change_of(number)
    world.now += 60
    world.flow.settle_pending()

    assert touched > before
    assert world.change_of(number) == touched
    assert world.arrived() == ["sent"]


def test_a_budget_of_calls_refills_by_the_minute_and_says_when_to_come_back() -> None:
    now = 0.0
    budget = CallBudget(lambda: now)

    def spend(whose: str = "app") -> float:
        return budget.spend((whose, DISPATCH), a_minute=60, burst=20)

    assert [spend() for _ in range(20)] == [0.0] * 20
    assert spend() == pytest.approx(2.0)  # a tenth of what may be made at once
    assert spend("another app") == 0.0
    now = 2.0
    assert [spend() for _ in range(3)] == [0.0, 0.0, pytest.approx(2.0)]


def test_what_a_transaction_stored_is_hidden_for_a_time_of_its_own() -> None:
    now = 0.0
    late = LateSearches(lambda: now)
    late.committed(100, [1, 3])  # what was before anybody looked is found
    for change in (103, 107, 120):
        late.committed(change, [1, 3])
    late.committed(120, [1, 3])
    assert late.hidden() == [(100, 120)]

    until = {change: spread_seconds([1, 3], "search", change) for change in (103, 107, 120)}
    now = sorted(until.values())[1]
    assert sum(last - first for first, last in late.hidden()) < 20
    now = 3.0
    assert late.hidden() == []
