"""Rate, quotas, sizes and copies, by a clock that the test moves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import Store, folders, items, sends
from bridge.sandbox.store.properties import is_named, named_key
from tests.unit.sandbox.behaviour.world import CREW, DISPATCH, World

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_STAMP = named_key("6ed8da90-450b-101b-98da-00aa003f1305", "RequestId", "String")


class _Sandbox(World):
    def send(self, subject: str = "x", *, to: str = CREW, size: int = 0, extra: str = "") -> None:
        """Send a mail of dispatch's drafts, with a stamp."""
        mime = f"To: {to}\r\nSubject: {subject}\r\n{extra}\r\n{'x' * size}".encode()
        with self.store.writing() as db:
            mailbox = folders.mailbox_by(db, "address", DISPATCH)
            assert mailbox is not None
            bag = {**items.bag_for_delivery(mime, mailbox, datetime.now(UTC)), _STAMP: subject}
            item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=mime)
            saved = folders.folder(db, mailbox.id, "sentitems").id
            self.behaviour.submit(db, mailbox, item, save_to=saved)

    def arrived(self) -> list[str]:
        """Return the subjects of what crew got, in order."""
        return self.subjects(CREW, "inbox")

    def subjects(self, address: str, folder: str) -> list[str]:
        return [mail.subject for mail in self.store.mails(address, folder).mails]

    def stamps(self, folder: str) -> list[str]:
        """Return the named properties that dispatch's mails in a folder have."""
        with self.store.reading() as db:
            mailbox = folders.mailbox_by(db, "address", DISPATCH)
            assert mailbox is not None
            where = folders.folder(db, mailbox.id, folder).id
            rows = db.execute(f"SELECT {items.COLUMNS} FROM items WHERE folder = ?", (where,)).fetchall()  # noqa: S608 - constants
        return [value for row in rows for key, value in items.item_of(row).bag.items() if is_named(key)]


@pytest.fixture
async def sandbox(tmp_path: Path) -> Any:  # noqa: ANN401 - a fixture that yields
    store = Store(tmp_path / "store.sqlite")
    for address in (DISPATCH, CREW):
        store.add_mailbox(address)
    yield _Sandbox(store, tmp_path)
    store.close()


async def test_what_exceeds_the_rate_waits_in_order_and_leaves_a_minute_later(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sends_per_minute": 3})
    for number in range(8):
        sandbox.send(str(number))
    assert len(sandbox.store.sends()) == 8

    assert sandbox.flow.settle_pending()
    assert sandbox.arrived() == ["0", "1", "2"]
    assert sandbox.subjects(DISPATCH, "outbox") == ["3", "4", "5", "6", "7"]
    sandbox.now += 59.9
    sandbox.flow.settle_pending()
    assert len(sandbox.arrived()) == 3
    sandbox.now += 0.2
    sandbox.flow.settle_pending()
    sandbox.now += 60.1
    sandbox.flow.settle_pending()
    assert sandbox.arrived() == [str(number) for number in range(8)]
    assert sandbox.subjects(DISPATCH, "sentitems") == [str(number) for number in range(8)]


async def test_a_restart_forgets_neither_what_left_nor_what_waits(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sends_per_minute": 2})
    for number in range(4):
        sandbox.send(str(number))
    sandbox.flow.settle_pending()

    sandbox.open()
    sandbox.flow.settle_pending()
    assert sandbox.arrived() == ["0", "1"]
    sandbox.now += 60.1
    sandbox.flow.settle_pending()
    assert sandbox.arrived() == ["0", "1", "2", "3"]


async def test_a_clock_that_was_set_back_holds_mail_no_longer_than_a_minute(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sends_per_minute": 1})
    sandbox.send("0")
    sandbox.flow.settle_pending()
    sandbox.now -= 3600

    assert sandbox.behaviour.wait_seconds(DISPATCH) == 60


async def test_a_lifted_limit_lets_all_leave(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sends_per_minute": 1})
    for number in range(5):
        sandbox.send(str(number))
    sandbox.flow.settle_pending()

    sandbox.book.put({"mailboxes": {DISPATCH: {"sends_per_minute": None}}})
    sandbox.flow.settle_pending()

    assert len(sandbox.arrived()) == 5


async def test_throttled_mail_may_stay_in_drafts_as_submitted(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sends_per_minute": 1, "throttled_mail_waits_in": "drafts"})
    for number in range(3):
        sandbox.send(str(number))

    assert sandbox.subjects(DISPATCH, "outbox") == ["0"]
    assert sandbox.subjects(DISPATCH, "drafts") == ["1", "2"]
    for _ in range(3):
        sandbox.flow.settle_pending()
        sandbox.now += 60.1
    assert sandbox.arrived() == ["0", "1", "2"]
    assert sandbox.subjects(DISPATCH, "drafts") == []


async def test_recipients_of_a_day_are_limited_and_come_back_after_it(sandbox: _Sandbox) -> None:
    sandbox.book.put({"recipients_per_day": 3})
    sandbox.send(to=f"{CREW}, away@elsewhere.example")
    with pytest.raises(EwsError, match="ErrorSubmissionQuotaExceeded"):
        sandbox.send(to=f"{CREW}, away@elsewhere.example")
    sandbox.send()
    sandbox.now += 86_401
    sandbox.send(to=f"{CREW}, away@elsewhere.example")

    assert len(sandbox.store.sends()) == 3
    assert len(sandbox.subjects(DISPATCH, "drafts")) == 0


async def test_too_many_recipients_make_a_bounce_and_nobody_gets_the_mail(sandbox: _Sandbox) -> None:
    sandbox.book.put({"recipients_per_message": 2})
    sandbox.send(to=f"{CREW}, a@elsewhere.example, b@elsewhere.example")
    sandbox.flow.settle_pending()

    assert sandbox.arrived() == []
    (bounced,) = sandbox.store.mails(DISPATCH, "inbox").mails
    mime = sandbox.store.mime(DISPATCH, bounced.item_id)
    assert b"550 5.5.3 RESOLVER.ADR.RecipLimit" in mime
    assert mime.count(b"Final-Recipient:") == 3


@pytest.mark.parametrize(
    ("settings", "status"), [({"mailbox_bytes": 0}, b"552 5.2.2"), ({"receive_bytes": 10}, b"550 5.2.3")]
)
async def test_a_mailbox_that_does_not_take_a_mail_makes_a_bounce(
    sandbox: _Sandbox, settings: dict[str, Any], status: bytes
) -> None:
    sandbox.book.put({"mailboxes": {CREW: settings}})
    sandbox.send(size=100)
    sandbox.flow.settle_pending()

    assert sandbox.arrived() == []
    (bounced,) = sandbox.store.mails(DISPATCH, "inbox").mails
    assert b"Diagnostic-Code: smtp;" + status in sandbox.store.mime(DISPATCH, bounced.item_id)


@pytest.mark.parametrize(
    ("settings", "code"),
    [({"mailbox_bytes": 50}, "ErrorQuotaExceeded"), ({"send_bytes": 100}, "ErrorMessageSizeExceeded")],
)
async def test_what_is_too_much_to_send_leaves_nothing_behind(
    sandbox: _Sandbox, settings: dict[str, Any], code: str
) -> None:
    sandbox.book.put(settings)
    with pytest.raises(EwsError, match=code):
        sandbox.send(size=100)

    assert sandbox.store.sends() == []
    assert sandbox.store.waiting() == []


async def test_a_mailbox_of_exactly_its_quota_is_not_full(sandbox: _Sandbox) -> None:
    sandbox.store.deliver(CREW, b"Subject: x\r\n\r\n")
    sandbox.book.put({"mailboxes": {CREW: {"mailbox_bytes": 114}}})

    assert not sandbox.behaviour.is_full(CREW, 100)
    assert sandbox.behaviour.is_full(CREW, 101)


async def test_a_late_copy_is_nowhere_until_its_time_and_survives_a_restart(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sent_copy_delay_seconds": 30})
    sandbox.send("late", extra=f"Bcc: {DISPATCH}\r\n")
    sandbox.flow.settle_pending()

    assert sandbox.arrived() == ["late"]
    assert [sandbox.subjects(DISPATCH, name) for name in ("drafts", "outbox", "sentitems")] == [[], [], []]
    sandbox.open()
    sandbox.now += 30.1
    sandbox.flow.settle_pending()
    assert sandbox.subjects(DISPATCH, "sentitems") == ["late"]
    assert sandbox.stamps("sentitems") == ["late"]
    (copy,) = sandbox.store.mails(DISPATCH, "sentitems").mails
    assert b"Bcc" in sandbox.store.mime(DISPATCH, copy.item_id)


@pytest.mark.parametrize("delay", [0, 5])
async def test_a_copy_may_come_without_its_named_properties(sandbox: _Sandbox, delay: int) -> None:
    sandbox.book.put({"sent_copy_keeps_named_properties": False, "sent_copy_delay_seconds": delay})
    sandbox.send("bare")
    sandbox.flow.settle_pending()
    sandbox.now += 5.1
    sandbox.flow.settle_pending()

    assert sandbox.subjects(DISPATCH, "sentitems") == ["bare"]
    assert sandbox.stamps("sentitems") == []
    assert sandbox.store.sends()[0].stamp("RequestId") == "bare"


async def test_the_message_id_may_be_replaced_everywhere(sandbox: _Sandbox) -> None:
    sandbox.book.put({"replaces_message_id": True})
    sandbox.send(extra="Message-ID:\r\n <mine@example.org>\r\nX-Last: 1\r\n")
    sandbox.flow.settle_pending()

    (send,) = sandbox.store.sends()
    (arrived,) = sandbox.store.mails(CREW, "inbox").mails
    (copy,) = sandbox.store.mails(DISPATCH, "sentitems").mails
    mime = sandbox.store.mime(CREW, arrived.item_id)
    assert send.internet_message_id == arrived.internet_message_id == copy.internet_message_id
    assert b"mine@example.org" not in mime
    assert mime.count(b"Message-ID:") == 1
    assert b"X-Last: 1" in mime


async def test_a_sent_draft_may_stay_as_it_was_and_be_sent_again(sandbox: _Sandbox) -> None:
    sandbox.book.put({"sent_draft_stays": True})
    sandbox.send("once")
    sandbox.flow.settle_pending()

    (draft,) = sandbox.store.mails(DISPATCH, "drafts").mails
    (copy,) = sandbox.store.mails(DISPATCH, "sentitems").mails
    assert len(sandbox.store.mails(CREW, "inbox").mails) == 1
    assert draft.item_id != copy.item_id


def _stored(store: Store) -> Iterator[sends.SubmittedMail]:
    with store.reading() as db:
        yield from sends.pending(db)


async def test_a_mail_that_was_settled_is_not_pending(sandbox: _Sandbox) -> None:
    sandbox.send()
    ((submission, address),) = sandbox.store.waiting()
    assert address == DISPATCH
    assert [mail.submission for mail in _stored(sandbox.store)] == [submission]
    assert sandbox.store.pending_mail(submission) is not None
    sandbox.flow.settle_pending()

    assert sandbox.store.pending_mail(submission) is None
