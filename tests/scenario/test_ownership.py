"""Two workers and one mailbox: one reads, the other takes over, whatever ends the first."""

from __future__ import annotations

import base64
import hashlib
import json
from collections import Counter
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest

from tests.scenario.conftest import ADDRESS
from tests.support.proxy import TcpProxy
from tests.support.rights import with_least_rights
from tests.support.sandbox import as_given
from tests.support.workers import Worker, repeats, take, until

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.demo.broker_node import BrokerNode
    from tests.scenario.conftest import Site

_PART = "mailbox:dispatch:ingest"
_IN_FLIGHT = 20
_QUICK = {
    "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "1",
    "BRIDGE_INGEST__BATCH_MAILS": "5",
    "BRIDGE_INGEST__UNCONFIRMED_MAILS": str(_IN_FLIGHT),
}


class Pair:
    """Two ingest workers of one mailbox."""

    def __init__(self, site: Site, stack: ExitStack) -> None:
        self.site = site
        self.workers: list[Worker] = []
        self._stack = stack
        self._delivered: Counter[str] = Counter()

    def start(self, **settings: str) -> Worker:
        """Start one more."""
        environment = with_least_rights("ingest", {**self.site.environment, **_QUICK, **settings})
        worker = self.site.process("ingest", environment, self.site.directory / f"ingest-{len(self.workers)}.log")
        self.workers.append(self._stack.enter_context(worker))
        return worker

    def start_both(self) -> tuple[Worker, Worker]:
        """Start the one that reads, then the one that stands by."""
        owner = self.start()
        until(lambda: status(owner) == "ok", "the first to read")
        other = self.start()
        until(lambda: status(other) == "standby", "the second to stand by")
        return owner, other

    def deliver(self, count: int) -> None:
        """Deliver mails, each of its own bytes."""
        first = self._delivered.total()
        for number in range(first, first + count):
            mail = f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: {number}\r\n\r\nRequest {number}.\r\n".encode()
            self.site.sandbox.deliver(ADDRESS, mail)
            self._delivered[hashlib.sha256(mail).hexdigest()] += 1

    def check(self) -> int:
        """Every mail arrived; return how many did so again."""
        taken = take(self.site.amqp_url)
        by_id = {
            message_id: as_given(base64.b64decode(json.loads(body)["raw"]["content"])) for message_id, body in taken
        }
        assert Counter(hashlib.sha256(raw).hexdigest() for raw in by_id.values()) == self._delivered
        return repeats([message_id for message_id, _ in taken])


def status(worker: Worker) -> str:
    """Return how the worker says that reading the mailbox is."""
    return str(worker.health()[_PART]["status"])


@pytest.fixture
def pair(site: Site) -> Iterator[Pair]:
    """Workers that are ended afterwards."""
    with ExitStack() as stack:
        yield Pair(site, stack)


def test_one_reads_and_the_other_is_ready_and_takes_over_at_once_without_a_repeat(pair: Pair) -> None:
    """A deploy, hand by hand: a graceful stop in the middle of the work, four times."""
    owner, other = pair.start_both()
    until(other.ready, "the second to be ready")  # each part is looked at once a second
    assert (owner.metric("bridge_ingest_owned"), other.metric("bridge_ingest_owned")) == (1, 0)

    for _ in range(4):
        until(lambda other=other: status(other) == "standby", "the other to stand by")  # type: ignore[misc]
        pair.deliver(40)
        until(lambda: pair.site.count() < 30, "some mails to leave")
        assert owner.stop() == 0
        until(lambda other=other: status(other) == "ok", "the other to read", seconds=5)  # type: ignore[misc]
        owner, other = other, pair.start()

    until(lambda: pair.site.count() == 0, "the inbox to be empty")
    assert pair.check() == 0
    until(other.ready, "the last one to be ready")  # told to stop before it listens for that, it dies of the signal
    assert {owner.stop(), other.stop()} == {0}


def test_a_killed_reader_is_followed_within_seconds(pair: Pair) -> None:
    owner, other = pair.start_both()
    pair.deliver(100)
    until(lambda: pair.site.count() < 90, "some mails to leave")

    owner.kill()

    until(lambda: status(other) == "ok", "the other to read", seconds=10)
    until(lambda: pair.site.count() == 0, "the inbox to be empty")
    assert pair.check() <= _IN_FLIGHT


def test_a_frozen_reader_is_followed_and_does_no_harm_when_it_wakes_up(pair: Pair) -> None:
    """It removes what it holds receipts for, publishes nothing, and stands by."""
    owner, other = pair.start_both()
    pair.deliver(200)
    until(lambda: pair.site.count() < 190, "some mails to leave")

    owner.freeze()

    until(lambda: status(other) == "ok", "the other to read", seconds=20)
    until(lambda: pair.site.count() == 0, "the inbox to be empty")
    owner.thaw()
    until(lambda: status(owner) == "standby", "the first one to stand by", seconds=30)
    pair.deliver(5)
    until(lambda: pair.site.count() == 0, "the inbox to be empty")
    assert pair.check() <= _IN_FLIGHT


def test_a_reader_whose_broker_link_is_black_holed_stops_by_itself(pair: Pair, broker: BrokerNode) -> None:
    with TcpProxy(broker.amqp_port) as proxy:
        through = pair.site.amqp_url.replace(f":{broker.amqp_port}", f":{proxy.port}")
        owner = pair.start(BRIDGE_RABBITMQ__URLS=through)
        until(lambda: status(owner) == "ok", "the first to read")
        other = pair.start()
        until(lambda: status(other) == "standby", "the second to stand by")

        proxy.blackhole()

        until(lambda: status(owner) == "trouble", "the first to say so", seconds=10)
        assert owner.metric("bridge_ingest_owned") == 0
        pair.deliver(20)
        until(lambda: status(other) == "ok", "the other to read", seconds=10)
        until(lambda: pair.site.count() == 0, "the inbox to be empty")
        proxy.carry()
        proxy.cut()
        until(lambda: status(owner) == "standby", "the first one to stand by", seconds=30)
    assert pair.check() == 0


def test_a_reader_that_alone_cannot_reach_exchange_leaves_the_mailbox_to_the_other(pair: Pair) -> None:
    port = int(pair.site.sandbox.info["ews_url"].split(":")[2].split("/")[0])
    with TcpProxy(port) as proxy:
        through = pair.site.sandbox.info["ews_url"].replace(f":{port}/", f":{proxy.port}/")
        owner = pair.start(BRIDGE_EWS__URL=through)
        until(lambda: status(owner) == "ok", "the first to read")
        other = pair.start()
        until(lambda: status(other) == "standby", "the second to stand by")
        proxy.refuse()
        proxy.cut()
        pair.deliver(20)

        until(lambda: pair.site.count() == 0, "the other to empty the inbox", seconds=30)

        # Exchange has removed the last mail before the worker hears of it.
        until(lambda: status(other) == "ok", "the other to say that it reads", seconds=5)
        assert other.metric("bridge_ingest_owned") == 1
    assert pair.check() == 0
