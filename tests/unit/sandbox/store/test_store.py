"""Mailboxes, folders and mails: what is kept, counted and given back."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest

from bridge.sandbox.store import (
    FolderExistsError,
    FolderNotFoundError,
    ItemNotFoundError,
    MailboxNotFoundError,
    Store,
    folders,
    items,
)
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.errors import DistinguishedFolderError
from bridge.sandbox.store.ids import MalformedIdError, parse_id

ADDRESS = "dispatch@example.org"
MAIL = b"From: Anna <anna@example.net>\r\nTo: dispatch@example.org\r\nSubject: x\r\nMessage-ID: <1@x>\r\n\r\ntext\r\n"


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """A store with one mailbox."""
    store = Store(tmp_path / "store.db")
    store.add_mailbox(ADDRESS, display_name="Dispatch")
    return store


def _count(store: Store, folder: str = "inbox") -> int:
    return next(one.count for one in store.folders(ADDRESS) if one.distinguished == folder)


def _item(store: Store, item_id: str) -> items.Item:
    number = parse_id(item_id).item
    assert number is not None
    with store.reading() as db:
        return items.read(db, store.mailbox(ADDRESS).id, number)


def test_mail_is_kept_byte_for_byte_over_a_restart(store: Store, tmp_path: Path) -> None:
    """Whatever the bytes are."""
    mime = bytes(range(256)) * 100

    delivered = store.deliver(ADDRESS, mime)
    store.close()
    again = Store(tmp_path / "store.db")

    assert again.mime(ADDRESS, delivered.item_id) == mime
    (listed,) = again.mails(ADDRESS, "inbox").mails
    assert (listed.size, listed.sha256) == (len(mime), sha256(mime).hexdigest())
    assert listed == delivered


def test_mails_are_paged_oldest_first_whatever_the_order_of_arrival(store: Store) -> None:
    """Two of the same moment come as they arrived."""
    start = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    for number in (3, 1, 2, 1, 0):
        store.deliver(ADDRESS, b"Message-ID: <%d@x>\n\n" % number, received_at=start + timedelta(microseconds=number))

    page = store.mails(ADDRESS, "inbox", offset=1, limit=3)

    assert page.total == 5
    assert [one.internet_message_id for one in page.mails] == ["<1@x>", "<1@x>", "<2@x>"]
    assert page.mails[0].item_id != page.mails[1].item_id


def test_unknown_names_are_told_apart(store: Store) -> None:
    """Mailbox, folder, item."""
    with pytest.raises(MailboxNotFoundError):
        store.deliver("nobody@example.org", MAIL)
    with pytest.raises(FolderNotFoundError):
        store.deliver(ADDRESS, MAIL, folder="nowhere")
    with pytest.raises(ItemNotFoundError):
        store.mime(ADDRESS, "AAAA")
    assert _count(store) == 0


def test_mailbox_is_found_by_each_of_its_names_and_made_once(store: Store) -> None:
    """Whatever the case of the address."""
    mailbox = store.mailbox(ADDRESS.upper())

    assert store.add_mailbox(ADDRESS.title(), password="other") == mailbox
    assert store.find_mailbox(sid=mailbox.sid) == store.find_mailbox(username=ADDRESS) == mailbox
    assert store.find_mailbox(alias="nobody") is None
    assert len(store.mailboxes()) == 1


def test_id_belongs_to_the_place_and_the_search_key_to_the_mail(store: Store) -> None:
    """A move gives a new id and a new change; a copy has its own id and the same search key."""
    delivered = store.deliver(ADDRESS, MAIL)
    mailbox = store.mailbox(ADDRESS)
    with store.writing() as db:
        item = _item(store, delivered.item_id)
        key, change = item.bag[p.SEARCH_KEY], item.change
        moved = items.move(db, item, folders.folder(db, mailbox.id, "drafts").id)
        copied = items.copy(db, moved, folders.folder(db, mailbox.id, "junkemail").id)
    moved_id = mailbox.mint.item_id(moved.folder, moved.id)

    assert moved.change != change
    assert moved.bag[p.SEARCH_KEY] == copied.bag[p.SEARCH_KEY] == key
    assert store.mime(ADDRESS, moved_id) == MAIL
    with pytest.raises(ItemNotFoundError):
        store.mime(ADDRESS, delivered.item_id)
    assert [_count(store, folder) for folder in ("inbox", "drafts", "junkemail")] == [0, 1, 1]


def test_content_stays_until_the_last_item_of_it_is_gone(store: Store) -> None:
    """Copies share it; what nobody has takes no room."""
    delivered = store.deliver(ADDRESS, MAIL)
    with store.writing() as db:
        first = _item(store, delivered.item_id)
        second = items.copy(db, first, first.folder)
        items.destroy(db, first)
        kept = items.mime_of(db, second)
        items.destroy(db, second)
        left = db.execute("SELECT count(*) FROM contents").fetchone()[0]
        looked_up = db.execute("SELECT count(*) FROM looked_up").fetchone()[0]

    assert kept == MAIL
    assert (left, looked_up) == (0, 0)


def test_counts_follow_every_change(store: Store) -> None:
    """Total and unread, kept by the database itself."""
    delivered = [store.deliver(ADDRESS, MAIL) for _ in range(4)]
    with store.writing() as db:
        item = _item(store, delivered[0].item_id)
        items.update(db, item, {p.MESSAGE_FLAGS: p.FLAG_READ})
        items.move(db, item, folders.folder(db, item.mailbox, "drafts").id)
        items.delete(db, _item(store, delivered[1].item_id), "SoftDelete")
        items.update(db, _item(store, delivered[2].item_id), {p.MESSAGE_FLAGS: p.FLAG_READ})

    found = {one.distinguished: (one.count, one.unread) for one in store.folders(ADDRESS) if one.count}
    assert found == {"inbox": (2, 1), "drafts": (1, 0), "recoverableitemsdeletions": (1, 1)}


@pytest.mark.parametrize("disposal", ["MoveToDeletedItems", "SoftDelete", "HardDelete"])
def test_deleting_leads_to_purges_in_the_end_and_then_away(store: Store, disposal: items.Disposal) -> None:
    """However often the same is asked for."""
    item = _item(store, store.deliver(ADDRESS, MAIL).item_id)
    with store.writing() as db:
        items.delete(db, item, disposal)
        items.delete(db, item, "SoftDelete")
        items.delete(db, item, "HardDelete")
        if disposal == "MoveToDeletedItems":
            items.delete(db, item, "HardDelete")
        left = db.execute("SELECT count(*) FROM items").fetchone()[0]

    assert left == 0


def test_folders_have_one_name_and_take_their_mails_along(store: Store) -> None:
    """Names are compared without case; what a deleted folder held is in Purges."""
    mailbox = store.mailbox(ADDRESS)
    with store.writing() as db:
        inbox = folders.folder(db, mailbox.id, "inbox")
        made = folders.create_folder(db, inbox, "Bridge Parked")
        below = folders.create_folder(db, made, "below")
        with pytest.raises(FolderExistsError):
            folders.create_folder(db, inbox, "bridge parked")
        with pytest.raises(DistinguishedFolderError):
            folders.delete_folder(db, inbox, to_deleted_items=False)
    store.deliver(ADDRESS, MAIL, folder=mailbox.mint.folder_id(below.id))
    paths = {one.path for one in store.folders(ADDRESS)}
    with store.writing() as db:
        folders.delete_folder(db, made, to_deleted_items=False)

    assert "root/Top of Information Store/Inbox/Bridge Parked/below" in {f"root/{path}" for path in paths}
    assert _count(store, "recoverableitemspurges") == 1
    assert not any(one.name in ("below", "Bridge Parked") for one in store.folders(ADDRESS))


def test_folder_moved_to_deleted_items_gets_a_free_name(store: Store) -> None:
    """The second of a name stands beside the first."""
    mailbox = store.mailbox(ADDRESS)
    for _ in range(3):
        with store.writing() as db:
            made = folders.create_folder(db, folders.folder(db, mailbox.id, "inbox"), "x")
            folders.delete_folder(db, made, to_deleted_items=True)

    assert sorted(one.name for one in store.folders(ADDRESS) if one.name.startswith("x")) == ["x", "x1", "x2"]


@pytest.mark.parametrize(
    "text", ["", "x", "AAMk", "AAMkAA==", "%%%%", "A" * 152, "AAMk" + "B" * 148, "AAMkA" + "=" * 3, "ä", "\0"]
)
def test_what_is_no_id_is_refused(store: Store, text: str) -> None:
    """Nor is an id with one letter in the other case the same."""
    real = store.deliver(ADDRESS, MAIL).item_id

    with pytest.raises(MalformedIdError):
        parse_id(text)
    assert real.swapcase() != real
    with pytest.raises(ItemNotFoundError):
        store.mime(ADDRESS, real.swapcase())


def test_failed_block_leaves_nothing(store: Store) -> None:
    """All of a block's changes or none; blocks of one thread nest."""

    def fail_in_the_middle() -> None:
        with store.writing():
            store.deliver(ADDRESS, MAIL)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_in_the_middle()

    assert _count(store) == 0
    assert store.deliver(ADDRESS, MAIL)


def test_writing_inside_reading_is_refused(store: Store) -> None:
    """It could never be committed."""
    with store.reading(), pytest.raises(RuntimeError), store.writing():
        pass


def test_store_of_a_later_program_is_refused(store: Store, tmp_path: Path) -> None:
    """Rather than damaged."""
    store.close()
    with sqlite3.connect(tmp_path / "store.db") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()

    with pytest.raises(RuntimeError, match="newer"):
        Store(tmp_path / "store.db")


def test_many_threads_work_at_once_and_nothing_is_lost_or_doubled(store: Store) -> None:
    """Writers, movers and readers; each mail is somewhere exactly once."""
    problems: list[str] = []
    done = threading.Event()

    with ThreadPoolExecutor(12) as pool:
        readers = [pool.submit(_watch_counts, store, done, problems) for _ in range(3)]
        workers = [pool.submit(_deliver_some, store, writer) for writer in range(6)]
        workers += [pool.submit(_move_some, store) for _ in range(3)]
        for worker in workers:
            worker.result()
        done.set()
        for reader in readers:
            reader.result()

    found = [one for folder in ("inbox", "drafts") for one in store.mails(ADDRESS, folder, limit=1000).mails]
    wanted = [f"<{writer}-{number}@x>" for writer in range(6) for number in range(40)]
    assert problems == []
    assert sorted(one.internet_message_id for one in found) == sorted(wanted)


def _deliver_some(store: Store, writer: int) -> None:
    for number in range(40):
        store.deliver(ADDRESS, b"Message-ID: <%d-%d@x>\n\n" % (writer, number))


def _move_some(store: Store) -> None:
    mailbox = store.mailbox(ADDRESS)
    for _ in range(60):
        with store.writing() as db:
            inbox, drafts = (folders.folder(db, mailbox.id, name).id for name in ("inbox", "drafts"))
            row = db.execute("SELECT id FROM items WHERE folder = ? LIMIT 1", (inbox,)).fetchone()
            if row:
                items.move(db, items.read(db, mailbox.id, row[0]), drafts)


def _watch_counts(store: Store, done: threading.Event, problems: list[str]) -> None:
    mailbox = store.mailbox(ADDRESS)
    while not done.is_set():
        with store.reading() as db:
            total = db.execute("SELECT count(*) FROM items").fetchone()[0]
            counted = sum(one.total for one in folders.folders(db, mailbox.id))
        if total != counted:
            problems.append(f"{total} mails, {counted} counted")
