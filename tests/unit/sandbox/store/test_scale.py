"""
What a call costs does not grow with the mailbox: SQLite's own steps are counted, which no busy machine changes.

`tests/bench/run.sh sandbox` measures the same in time, over HTTPS, at 100,000 mails.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.operations.searches import NEWEST_FIRST, Search
from bridge.sandbox.ews.restrictions import Restriction, read_restriction, read_sort_order
from bridge.sandbox.store import Store, changes, conversations, folders, items
from bridge.sandbox.store import properties as p
from tests.unit.sandbox.ews.conftest import a_mail

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Iterator

    Work = Callable[[sqlite3.Connection, "Box"], object]

_BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
_STAMP = p.named_key("6d6f6e74-0000-4000-8000-000000000001", "RequestId", "String")
_FEW, _MANY = 200, 8_000
_PAGE = 50
_WITHIN = 2.0


class Box:
    """A mailbox of so many mails, four to a topic, one each minute, each with a property of its own."""

    def __init__(self, store: Store, address: str, mails: int) -> None:
        self.mailbox = store.add_mailbox(address)
        self.mails = mails
        with store.writing() as db:
            self.inbox = folders.folder(db, self.mailbox.id, "inbox").id
            self.archive = folders.folder(db, self.mailbox.id, "archive").id
            for number in range(mails):
                mime = a_mail(number, subject=f"Transport {number // 4}")
                bag = items.bag_for_delivery(mime, self.mailbox, _BEGIN + timedelta(minutes=number))
                bag[_STAMP] = f"r-{number}"
                made = items.insert(db, self.mailbox.id, self.inbox, bag, mime=mime)
                if number == mails // 2:
                    self._middle = made.id

    def one(self, db: sqlite3.Connection) -> items.Item:
        """Return a mail from the middle."""
        return items.read(db, self.mailbox.id, self._middle)

    def search(self, db: sqlite3.Connection, restriction: Restriction, order: str = NEWEST_FIRST) -> Search:
        return Search(db, self.inbox, restriction, order)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    made = Store(tmp_path_factory.mktemp("scale") / "store.db")
    yield made
    made.close()


@pytest.fixture(scope="module")
def boxes(store: Store) -> tuple[Box, Box]:
    return Box(store, "few@example.org", _FEW), Box(store, "many@example.org", _MANY)


def _element(content: str) -> etree._Element:
    return etree.fromstring(f'<t:Restriction xmlns:t="{xml.T[1:-1]}">{content}</t:Restriction>')


def _compared(how: str, path: str, value: str) -> Restriction:
    constant = f'<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
    return read_restriction(_element(f"<t:{how}>{path}{constant}</t:{how}>"))


def _since(moment: datetime) -> Restriction:
    path = '<t:FieldURI FieldURI="item:DateTimeReceived"/>'
    return _compared("IsGreaterThanOrEqualTo", path, moment.isoformat())


def _rising() -> str:
    order = read_sort_order(
        _element('<t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:DateTimeReceived"/></t:FieldOrder>')
    )
    assert order is not None
    return order


def _stamped(value: str) -> Restriction:
    path = (
        '<t:ExtendedFieldURI PropertySetId="6d6f6e74-0000-4000-8000-000000000001" PropertyName="RequestId" '
        'PropertyType="String"/>'
    )
    return _compared("IsEqualTo", path, value)


def _conversations(db: sqlite3.Connection, box: Box) -> object:
    found = conversations.topics_of(db, box.inbox, descending=True)
    assert found.total == box.mails // 4
    return [
        conversations.members(db, box.mailbox.id, topic, folder, items.COLUMNS)
        for topic in found.page(0, _PAGE)
        for folder in conversations.folders_of(db, box.mailbox.id, topic)
    ]


def _delivered(db: sqlite3.Connection, box: Box) -> None:
    bag = items.bag_for_delivery(a_mail(1), box.mailbox, _BEGIN + timedelta(days=300))
    changes.arrived(db, items.insert(db, box.mailbox.id, box.inbox, bag, mime=a_mail(1)).id)


def _moved_there_and_back(db: sqlite3.Connection, box: Box) -> None:
    items.move(db, items.move(db, box.one(db), box.archive), box.inbox)


CASES: dict[str, Work] = {
    "a page, the newest first": lambda db, box: box.search(db, Restriction()).page(0, _PAGE),
    "a page, the oldest first": lambda db, box: box.search(db, Restriction(), _rising()).page(0, _PAGE),
    "how many came since": lambda db, box: box.search(db, _since(_BEGIN + timedelta(minutes=50))).count(),
    "a page of what came since": lambda db, box: box.search(db, _since(_BEGIN + timedelta(minutes=50)), _rising()).page(
        0, _PAGE
    ),
    "the mail of a named property": lambda db, box: box.search(db, _stamped("r-7")).page(0, _PAGE),
    "conversations": _conversations,
    "one mail": lambda db, box: box.one(db),
    "a delivery": _delivered,
    "a move": _moved_there_and_back,
    "a mark": lambda db, box: items.update(db, box.one(db), {p.MESSAGE_FLAGS: p.FLAG_READ}),
}


@pytest.mark.parametrize("name", CASES)
def test_a_bigger_mailbox_takes_no_more_steps(store: Store, boxes: tuple[Box, Box], name: str) -> None:
    few, many = (_steps(store, CASES[name], box) for box in boxes)

    assert 0 < many <= few * _WITHIN + 100


def test_steps_are_counted(store: Store, boxes: tuple[Box, Box]) -> None:
    """What has to look at every mail is seen to."""
    looking = Restriction("folded(json_extract(props, '$.x')) IS NULL")

    few, many = (_steps(store, lambda db, box: box.search(db, looking).count(), box) for box in boxes)

    assert many > few * 20


def _steps(store: Store, work: Work, box: Box) -> int:
    """Return how many steps SQLite took for it; what it changed is undone."""
    counted = 0

    def step() -> int:
        nonlocal counted
        counted += 1
        return 0

    with suppress(_DoneError), store.writing() as db:
        db.set_progress_handler(step, 1)
        try:
            work(db, box)
        finally:
            db.set_progress_handler(None, 0)
        raise _DoneError
    return counted


class _DoneError(Exception):
    """Ends a transaction without keeping it."""
