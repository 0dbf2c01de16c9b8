"""No request that came back ends without its event."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.domain.roster import Announcement, Roster
from bridge.egress.returned import NOBODY, ReturnedDrain
from bridge.errors import MailboxFull
from bridge.ports.broker import Message
from bridge.telemetry.egress_events import QueueMissing, RequestEnded
from bridge.wire.outbound_v1 import OutboundLimits
from bridge.wire.topology import OUTBOUND_RETURNED, outbound_queue, outbound_urgent_queue, topology
from tests.support.clock import START
from tests.support.memory.broker import MemoryBroker, MemoryConsumer, MemoryPublisher
from tests.unit.egress.harness import ALIAS, Bench, a_body, eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.ports.broker import HeaderValue

HOME = outbound_queue(ALIAS)


@contextlib.asynccontextmanager
async def draining(bench: Bench, roster: Roster | None = None) -> AsyncIterator[None]:
    """A drain beside a sender that does not consume by itself."""
    drain = ReturnedDrain(
        senders={ALIAS: bench.sender()},
        publisher=bench.publisher,
        consumer=MemoryConsumer(bench.broker),
        clock=bench.clock,
        emit=bench.emitted.append,
        health=bench.health,
        limits=OutboundLimits(),
        roster=roster,
    )
    stop = asyncio.Event()
    task = asyncio.create_task(drain.run(stop))
    try:
        yield
    finally:
        stop.set()
        await task


def died(bench: Bench, reason: str, *, queue: str = HOME, first: str | None = None, alias: str = ALIAS) -> None:
    """Put a request where RabbitMQ puts one that it gave up."""
    headers: dict[str, HeaderValue] = {
        "x-last-death-queue": queue,
        "x-last-death-reason": reason,
        "x-first-death-queue": first or queue,
        "x-first-death-reason": "expired" if first else reason,
    }
    bench.broker.publish(Message(OUTBOUND_RETURNED, alias, a_body(), "r-1", "mail.outbound.v1", headers=headers))


async def test_request_of_an_unknown_alias_fails_and_its_name_becomes_no_label() -> None:
    bench = Bench()
    bench.request(alias="nobody")

    async with draining(bench):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "unknown_alias")]
    assert bench.events()[0].mailbox == "nobody"
    assert len(bench.dead()) == 1
    assert [e.mailbox for e in bench.emitted if isinstance(e, RequestEnded)] == [NOBODY]


def a_roster(*announced: str, gathered: bool = True) -> Roster:
    """What a worker knows that hears the others, and one that announced these aliases."""
    seconds = 0.0
    roster = Roster("0" * 32, frozenset({ALIAS}), lambda: seconds)
    for _ in range(10 if gathered else 1):
        seconds += 5
        roster.hear(Announcement("0" * 32, "1", "egress", [], [ALIAS], []), 10)
    if announced:
        roster.hear(Announcement("1" * 32, "1", "egress", [], announced, []), 10)
    return roster


async def test_request_for_a_mailbox_of_another_configuration_waits_until_its_queue_is_there() -> None:
    """The other worker is heard, and its queue is still to be made: the request is no unknown alias."""
    bench = Bench()
    bench.request(alias="fleet")

    async with draining(bench, a_roster("fleet")):
        for _ in range(3):
            await eventually(lambda: bench.waiting() == {"5s": 1})
            assert bench.retried().headers["x-bridge-reason"] == "queue_missing"
            bench.come_back()

    assert not bench.events()
    assert {e.mailbox for e in bench.emitted if isinstance(e, QueueMissing)} == {"fleet"}


async def test_request_that_waits_long_for_the_queue_of_another_configuration_is_told_as_delayed_once() -> None:
    bench = Bench()
    bench.request(alias="fleet", headers={"x-bridge-first-seen": "2026-11-24T02:50:00+00:00"})

    async with draining(bench, a_roster("fleet")):
        for _ in range(2):
            await eventually(lambda: bench.waiting() == {"5s": 1})
            bench.come_back()

    assert bench.told() == [("outbound.delayed", "queue_missing")]
    assert bench.events()[0].mailbox == "fleet"


async def test_request_of_an_alias_that_nobody_announced_fails_once_everybody_was_heard() -> None:
    bench = Bench()
    bench.request(alias="fleet")

    async with draining(bench, a_roster("others-2")):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "unknown_alias")]


async def test_while_announcements_gather_no_alias_is_unknown_and_its_name_is_in_no_log() -> None:
    bench = Bench()
    bench.request(alias="fleet")

    async with draining(bench, a_roster(gathered=False)):
        await eventually(lambda: bench.waiting() == {"5s": 1})

    assert not bench.events()
    assert "fleet" not in str(bench.emitted)


async def test_what_cannot_be_an_alias_fails_at_once() -> None:
    bench = Bench()
    bench.request(alias="Fleet@example.org")

    async with draining(bench, a_roster(gathered=False)):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "unknown_alias")]


async def test_an_alias_whose_queue_is_there_is_not_unknown() -> None:
    """It was made meanwhile, or has lost its binding."""
    bench = Bench()
    bench.broker = MemoryBroker(topology([ALIAS, "fleet"]))
    bench.publisher = MemoryPublisher(bench.broker)
    bench.broker.publish(Message(OUTBOUND_RETURNED, "fleet.urgent", a_body(), "r-1", "mail.outbound.v1"))

    async with draining(bench, a_roster()):
        await eventually(lambda: bool(bench.waiting()))

    assert not bench.events()


async def test_request_that_asks_for_copies_does_not_lose_what_is_wrong_with_it_by_waiting() -> None:
    bench = Bench()
    bench.request(alias="fleet", headers={"CC": "x"})

    async with draining(bench, a_roster("fleet")):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "invalid_request")]


async def test_request_whose_queue_is_missing_is_tried_again_with_an_alarm() -> None:
    bench = Bench()
    bench.broker.delete_queue(HOME)
    bench.request()

    async with draining(bench):
        await eventually(lambda: bench.waiting() == {"5s": 1})
        bench.come_back()
        await eventually(lambda: bench.waiting() == {"5s": 1})

    assert [e.mailbox for e in bench.emitted if isinstance(e, QueueMissing)] == [ALIAS, ALIAS]
    assert not bench.events()


async def test_request_whose_queue_is_missing_still_expires() -> None:
    bench = Bench()
    bench.broker.delete_queue(HOME)
    bench.request(expires_at=START.isoformat())

    async with draining(bench):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.expired", "expired")]


async def test_expiration_set_by_the_publisher_ends_as_expired() -> None:
    bench = Bench()
    died(bench, "expired")

    async with draining(bench):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.expired", "expired")]
    assert not bench.mailbox.submissions


async def test_wait_in_a_retry_queue_is_no_expiration() -> None:
    bench = Bench()
    died(bench, "delivery_limit", first="mail.outbound.retry.5s")

    async with draining(bench):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "delivery_limit")]


@pytest.mark.parametrize("reason", ["expired", "delivery_limit"])
async def test_request_that_was_sent_before_the_broker_gave_it_up_is_told_as_sent(reason: str) -> None:
    bench = Bench()
    bench.request()
    async with bench.running():
        await eventually(lambda: bool(bench.events()))
    died(bench, reason, queue=outbound_urgent_queue(ALIAS))

    async with draining(bench):
        await eventually(lambda: len(bench.events()) == 2)

    assert len({event.event_id for event in bench.events()}) == 1
    assert len(bench.mailbox.submissions) == 1


async def test_request_that_expired_in_the_broker_stays_expired_while_its_mailbox_cannot_be_used() -> None:
    bench = Bench()
    bench.mailbox.broken = MailboxFull()
    died(bench, "expired")

    async with draining(bench):
        await eventually(lambda: bool(bench.waiting()))
    bench.mailbox.broken = None
    bench.come_back()
    async with bench.running():
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.expired", "expired")]
    assert not bench.mailbox.submissions


@pytest.mark.parametrize("reason", ["expired", "delivery_limit"])
async def test_request_of_a_mailbox_of_other_workers_goes_home_to_be_ended_by_them(reason: str) -> None:
    bench = Bench()
    died(bench, reason, queue="mail.outbound.theirs", alias="theirs")

    async with draining(bench):
        await eventually(lambda: bench.waiting() == {"5s": 1})

    assert not bench.events()
    assert (bench.retried().routing_key, bench.retried().headers["x-bridge-end"]) == ("theirs", reason)


async def test_requests_of_a_mailbox_that_nobody_has_any_more_keep_no_other_back() -> None:
    bench = Bench()
    for _ in range(50):
        died(bench, "expired", queue="mail.outbound.theirs", alias="theirs")
    bench.request(alias="nobody")

    async with draining(bench):
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "unknown_alias")]


async def test_request_that_is_too_large_to_wait_goes_back_to_its_queue() -> None:
    bench = Bench()
    bench.broker.delete_queue(HOME)
    bench.request()
    bench.publisher = MemoryPublisher(bench.broker, largest_body_bytes=10)

    async with draining(bench):
        await eventually(lambda: bench.clock.seconds >= 60)

    assert len(bench.broker.messages(OUTBOUND_RETURNED)) == 1


async def test_a_bug_that_one_returned_request_meets_holds_up_none_of_other_mailboxes() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    bench = Bench()
    bench.mailbox.fail_next("prepare", *[ZeroDivisionError()] * 1_000)  # type: ignore[arg-type]
    died(bench, "delivery_limit")

    async with draining(bench):
        await eventually(lambda: "prepare" in bench.mailbox.calls)
        bench.request("r-2", alias="nobody")
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [("outbound.failed", "unknown_alias")]
    assert [message.message_id for message in bench.broker.messages(OUTBOUND_RETURNED)] == ["r-1"]
