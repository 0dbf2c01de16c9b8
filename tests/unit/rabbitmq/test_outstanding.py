"""The book of unanswered publishes, without a broker."""

from __future__ import annotations

import asyncio

import pytest

from bridge.adapters.rabbitmq.outstanding import Outstanding, Written
from bridge.errors import (
    BridgeError,
    BrokerUnavailable,
    PublishRefused,
    PublishUnconfirmed,
    PublishUnroutable,
    TopologyMissing,
)
from bridge.ports.broker import PublishReceipt


class _Book:
    def __init__(self) -> None:
        self.settled: list[tuple[str, str | None]] = []
        self.outstanding = Outstanding(self._note)
        self.futures: list[asyncio.Future[PublishReceipt]] = []

    def write(self, message_id: str, *, exchange: str = "x", key: str = "k", at: float = 0.0) -> None:
        future: asyncio.Future[PublishReceipt] = asyncio.get_running_loop().create_future()
        self.futures.append(future)
        self.outstanding.add(Written(future, message_id, exchange, key, 10, at))

    def _note(self, written: Written, error: BridgeError | None) -> None:
        self.settled.append((written.message_id, error.code if error is not None else None))


@pytest.fixture
async def book() -> _Book:
    """An empty one."""
    return _Book()


async def test_one_ack_may_answer_many(book: _Book) -> None:
    """Multiple: all up to the tag, and none after it."""
    for number in range(4):
        book.write(f"m-{number}")

    book.outstanding.acked(3, multiple=True)

    assert [one.done() for one in book.futures] == [True, True, True, False]
    assert book.futures[1].result() == PublishReceipt("m-1")
    assert (len(book.outstanding), book.outstanding.size_bytes) == (1, 10)


async def test_one_nack_may_refuse_many(book: _Book) -> None:
    """Each of them stays where it was; the next one is still to be answered."""
    for number in range(4):
        book.write(f"m-{number}")

    book.outstanding.acked(1, multiple=False)
    book.outstanding.nacked(3, multiple=True)

    assert book.settled == [("m-0", None), ("m-1", "publish_refused"), ("m-2", "publish_refused")]
    assert len(book.outstanding) == 1


async def test_of_two_messages_that_one_ack_answers_the_returned_one_is_not_held(book: _Book) -> None:
    for number in range(3):
        book.write(f"m-{number}")

    book.outstanding.returned("m-1", "x", "k")
    book.outstanding.acked(3, multiple=True)

    assert book.settled == [("m-0", None), ("m-1", "publish_unroutable"), ("m-2", None)]


async def test_acks_may_come_in_any_order(book: _Book) -> None:
    """Queues answer when they can."""
    for number in range(3):
        book.write(f"m-{number}")

    for tag in (3, 1, 2):
        book.outstanding.acked(tag, multiple=False)

    assert book.settled == [("m-2", None), ("m-0", None), ("m-1", None)]


async def test_returned_messages_are_told_apart_by_identity(book: _Book) -> None:
    """The same id under another key is another message; twice the same counts from the oldest."""
    book.write("m-1", key="a")
    book.write("m-1", key="b")
    book.write("m-1", key="b")

    book.outstanding.returned("m-1", "x", "b")
    book.outstanding.acked(3, multiple=True)

    assert isinstance(book.futures[1].exception(), PublishUnroutable)
    assert [book.futures[0].result(), book.futures[2].result()] == [PublishReceipt("m-1")] * 2


async def test_a_nack_is_a_refusal_also_after_a_return(book: _Book) -> None:
    """The broker takes no responsibility."""
    book.write("m-1")

    book.outstanding.returned("m-1", "x", "k")
    book.outstanding.nacked(1, multiple=False)

    assert isinstance(book.futures[0].exception(), PublishRefused)


async def test_an_answer_after_the_timeout_is_too_late(book: _Book) -> None:
    """Its outcome was told as unknown already, and stays so."""
    book.write("m-1", at=1.0)
    book.write("m-2", at=2.0)

    assert book.outstanding.expire(1.5) == 1.0
    book.outstanding.acked(1, multiple=False)
    book.outstanding.acked(2, multiple=False)

    assert isinstance(book.futures[0].exception(), PublishUnconfirmed)
    assert book.futures[1].result() == PublishReceipt("m-2")
    assert book.outstanding.expire(9.0) is None


async def test_a_lost_channel_blames_only_what_caused_it(book: _Book) -> None:
    """Whoever published to the missing exchange must not wait for another try; the others must."""
    book.write("m-1", exchange="there")
    book.write("m-2", exchange="missing")

    book.outstanding.channel_lost(TopologyMissing("404"), "NOT_FOUND - no exchange 'missing' in vhost '/'")

    assert isinstance(book.futures[0].exception(), PublishUnconfirmed)
    assert isinstance(book.futures[1].exception(), TopologyMissing)
    assert book.outstanding.size_bytes == 0


async def test_each_future_has_an_error_of_its_own(book: _Book) -> None:
    """One exception raised in many tasks would grow one traceback."""
    for number in range(2):
        book.write(f"m-{number}")

    book.outstanding.connection_lost(BrokerUnavailable("gone", code="tls_failed"))

    first, second = (one.exception() for one in book.futures)
    assert first is not second
    assert {code for _, code in book.settled} == {"tls_failed"}, "as exact as the first"


async def test_a_cancelled_publish_is_settled_all_the_same(book: _Book) -> None:
    """Its bytes are free again."""
    book.write("m-1")
    book.futures[0].cancel()

    book.outstanding.acked(1, multiple=False)

    assert book.outstanding.size_bytes == 0
    assert book.settled == [("m-1", None)]
