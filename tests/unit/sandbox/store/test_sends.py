"""A send is accepted and recorded at once, and settled once."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.sandbox.store import MailboxNotFoundError, Store, folders, items, sends
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.errors import AlreadySubmittedError
from bridge.sandbox.store.mime import bag_of

ME, OTHER = "dispatch@example.org", "base@example.org"
STAMP = p.named_key("6d6f6e74-0000-4000-8000-000000000001", 'Request "Id"', "String")
DRAFT = b"To: base@example.org\r\nBcc: hidden@example.net\r\nSubject: x\r\n\r\ntext\r\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with two mailboxes."""
    store = Store(tmp_path / "store.db")
    store.add_mailbox(ME, display_name="Dispatch, the")
    store.add_mailbox(OTHER)
    return store


def _submit(store: Store, *, saved: bool = True, mime: bytes = DRAFT) -> sends.SubmittedMail:
    mailbox = store.mailbox(ME)
    with store.writing() as db:
        bag = {**bag_of(mime, p.from_micros(0)), STAMP: "r-1", p.MESSAGE_FLAGS: p.FLAG_UNSENT}
        item = items.insert(db, mailbox.id, folders.folder(db, mailbox.id, "drafts").id, bag, mime=mime)
        return sends.submit(
            db, mailbox, item, save_to=folders.folder(db, mailbox.id, "sentitems").id if saved else None
        )


def _counts(store: Store, address: str = ME) -> dict[str | None, int]:
    return {one.distinguished: one.count for one in store.folders(address) if one.count}


def test_accepted_send_is_pending_and_recorded_over_a_restart(store: Store, tmp_path: Path) -> None:
    """With its stamp, whatever the property's name."""
    submitted = _submit(store)
    store.close()
    again = Store(tmp_path / "store.db")

    (pending,) = again.pending()
    (record,) = again.sends()

    assert pending == submitted
    assert pending.recipients == (OTHER, "hidden@example.net")
    assert b"hidden" not in pending.mime
    assert b'From: "Dispatch, the" <dispatch@example.org>' in pending.mime
    assert record.stamp('Request "Id"') == "r-1"
    assert record.stamp("nothing") is None
    assert record.internet_message_id == pending.internet_message_id
    assert _counts(again) == {"outbox": 1}


def test_settled_send_is_delivered_filed_and_settled_once(store: Store) -> None:
    """A second time does nothing."""
    submitted = _submit(store)

    first = store.settle(submitted.submission, [(OTHER, submitted.mime)])
    second = store.settle(submitted.submission, [(OTHER, submitted.mime)])

    assert (first, second) == (True, False)
    assert _counts(store) == {"sentitems": 1}
    assert store.mails(OTHER, "inbox").total == 1
    assert store.pending() == []
    (filed,) = store.mails(ME, "sentitems").mails
    assert b"Bcc: hidden@example.net" in store.mime(ME, filed.item_id)
    assert len(store.sends()) == 1


def test_send_without_a_copy_leaves_nothing_behind(store: Store) -> None:
    """Neither item nor content."""
    submitted = _submit(store, saved=False)
    store.settle(submitted.submission, [])

    with store.reading() as db:
        assert db.execute("SELECT count(*) FROM contents").fetchone()[0] == 0
    assert _counts(store) == {}


def test_delivery_that_fails_changes_nothing(store: Store) -> None:
    """The mail is still pending, and nobody has it."""
    submitted = _submit(store)

    with pytest.raises(MailboxNotFoundError):
        store.settle(submitted.submission, [(OTHER, submitted.mime), ("nobody@example.org", submitted.mime)])

    assert _counts(store, OTHER) == {}
    assert store.pending() == [submitted]


def test_submitted_item_is_not_submitted_again(store: Store) -> None:
    """Whoever asks."""
    _submit(store)
    mailbox = store.mailbox(ME)
    with store.writing() as db:
        item = items.read(db, mailbox.id, db.execute("SELECT id FROM items").fetchone()[0])
        with pytest.raises(AlreadySubmittedError):
            sends.submit(db, mailbox, item, save_to=None)

    assert len(store.sends()) == 1


def test_sends_are_listed_after_the_last_one_seen(store: Store) -> None:
    """In the order they were accepted."""
    for _ in range(3):
        _submit(store)
    every = store.sends()

    assert [one.id for one in store.sends(after=every[0].id, limit=1)] == [every[1].id]
    assert [one.at for one in every] == sorted(one.at for one in every)
