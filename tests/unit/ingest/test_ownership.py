"""One worker at a time reads a mailbox; the others stand by."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.domain.disposition import RetryPolicy
from bridge.errors import (
    CallRefused,
    CredentialsRejected,
    MailboxThrottled,
    MailboxUnavailable,
    PublishUnroutable,
    TokenUnavailable,
)
from bridge.telemetry.ingest_events import (
    JunkCounted,
    MailboxElsewhere,
    MailboxLeft,
    MailboxTaken,
    ReadingFailed,
)
from bridge.telemetry.metrics import Metrics
from bridge.workers.ingest import IngestOptions
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bridge.errors import BridgeError
    from bridge.ports.broker import Message

LEASE = "mail.lease.inbound.dispatch"
QUICK = IngestOptions(
    poll_seconds=0.01,
    standby_seconds=0.01,
    retry=RetryPolicy(first_seconds=0.05, pause_seconds=0.05, longest_seconds=0.05),
)


async def eventually(condition: Callable[[], bool]) -> None:
    while not condition():
        await asyncio.sleep(0.001)


@asynccontextmanager
async def running(bench: Bench) -> AsyncIterator[None]:
    task = asyncio.create_task(bench.reader.run(bench.stop))
    try:
        yield
    finally:
        bench.stop.set()
        await task


def status(bench: Bench) -> str:
    state = bench.health.state(bench.reader.part)
    return state.status if state is not None else ""


async def test_a_mailbox_that_another_worker_reads_is_left_alone_and_taken_when_it_is_free() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    bench.publisher.taken.add(LEASE)
    async with running(bench):
        await eventually(lambda: status(bench) == "standby")
        assert bench.health.ready
        assert bench.left == ["m1"]

        bench.publisher.taken.clear()

        await eventually(lambda: bench.left == [])
        await eventually(lambda: status(bench) == "ok")
    assert bench.publisher.leases == {}
    assert [event.why for event in bench.events if isinstance(event, MailboxLeft)] == ["stopping"]


async def test_whoever_takes_a_mailbox_over_stands_by_no_more_while_it_drains_the_backlog() -> None:
    """A first pass may take minutes: it is proved to work by the first mails that leave, `standby` is not said."""
    bench = Bench(*(a_mail(number) for number in range(200)), options=QUICK)
    told: dict[int, str] = {}

    def answer(_: Message) -> None:
        told.setdefault(len(bench.left), status(bench))

    bench.publisher.answer = answer
    bench.publisher.taken.add(LEASE)
    async with running(bench):
        await eventually(lambda: status(bench) == "standby")
        bench.publisher.taken.clear()
        await eventually(lambda: bench.left == [])

    assert told[200] == "starting"
    assert {status for left, status in told.items() if left < 200} == {"ok"}


async def test_a_worker_that_stands_by_shows_nothing_of_what_it_knew_as_the_reader() -> None:
    """Stale values beside the new reader's would tell of mail that waits, or of a pause that is over."""
    bench = Bench(a_mail(1), options=QUICK)
    bench.publisher.answer = lambda _: PublishUnroutable()
    metrics = Metrics()
    metrics.ingest_listing_age.start("dispatch")
    async with running(bench):
        await eventually(lambda: bool(bench.told(JunkCounted)) and status(bench) == "trouble")
        bench.publisher.taken.add(LEASE)
        bench.publisher.leases[LEASE].set()
        await eventually(lambda: status(bench) == "standby")
        for event in bench.events:
            event.record(metrics)

    shown = {line.partition("{")[0] for line in metrics.render().decode().splitlines() if '"dispatch"' in line}
    assert not shown & {
        "bridge_ingest_waiting_mails",
        "bridge_ingest_junk_mails",
        "bridge_ingest_parking_waiting_mails",
        "bridge_ingest_listing_age_seconds",
        "bridge_ingest_oldest_waiting_age_seconds",
    }
    assert len(bench.told(MailboxElsewhere)) == 1


async def test_the_pause_of_a_worker_that_another_one_follows_is_over() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    metrics = Metrics()
    bench.inbox.fails["list"] = CredentialsRejected()
    async with running(bench):
        await eventually(lambda: bool(bench.told(ReadingFailed)))
        bench.publisher.taken.add(LEASE)
        await eventually(lambda: status(bench) == "standby")
        for event in bench.events:
            event.record(metrics)

    assert metrics.registry.get_sample_value("bridge_ingest_paused", {"mailbox": "dispatch"}) == 0


async def test_a_worker_that_hears_of_its_lost_lease_reads_no_more() -> None:
    bench = Bench(options=QUICK)
    async with running(bench):
        await eventually(lambda: LEASE in bench.publisher.leases)
        bench.publisher.taken.add(LEASE)
        bench.publisher.leases[LEASE].set()
        await eventually(lambda: status(bench) == "standby")
        bench.inbox.mails.append(a_mail(1))
        for _ in range(20):
            await asyncio.sleep(0.001)

        assert bench.left == ["m1"]
    assert [event.why for event in bench.events if isinstance(event, MailboxLeft)] == ["lost"]


async def test_what_was_confirmed_is_removed_also_after_the_lease_is_lost() -> None:
    """A receipt is good for ever; without it the next reader would repeat the mail."""
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["remove"] = CallRefused()
    async with running(bench):
        await eventually(lambda: bool(bench.told(ReadingFailed)))
        bench.publisher.taken.add(LEASE)
        bench.publisher.leases[LEASE].set()
        await eventually(lambda: status(bench) == "standby")
        del bench.inbox.fails["remove"]

        await eventually(lambda: bench.left == [])
    assert bench.publisher.ids == ["m1"]


@pytest.mark.parametrize("error", [MailboxUnavailable(), TokenUnavailable(), CredentialsRejected()])
async def test_trouble_that_may_be_this_workers_own_leaves_the_mailbox_to_others(error: BridgeError) -> None:
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["list"] = error
    async with running(bench):
        await eventually(lambda: bool(bench.told(MailboxLeft)))
        assert LEASE not in bench.publisher.leases
        assert status(bench) == "trouble"
        await eventually(lambda: len(bench.told(MailboxTaken)) == 2)
        del bench.inbox.fails["list"]

        await eventually(lambda: bench.left == [])


async def test_a_wait_that_exchange_asks_for_is_kept_with_the_lease() -> None:
    """Another worker would not know of it."""
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["list"] = MailboxThrottled()
    async with running(bench):
        await eventually(lambda: len(bench.told(ReadingFailed)) >= 3)
        assert bench.told(MailboxLeft) == []


async def test_a_mailbox_is_not_left_while_receipts_are_held() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["remove"] = MailboxUnavailable()
    async with running(bench):
        await eventually(lambda: len(bench.told(ReadingFailed)) >= 3)
        assert bench.told(MailboxLeft) == []
        del bench.inbox.fails["remove"]
        await eventually(lambda: bench.left == [])
    assert bench.publisher.ids == ["m1"]


async def test_a_worker_that_is_stopped_removes_what_it_published_before_it_leaves_the_mailbox() -> None:
    """Also where Exchange does not let it at that moment; it takes nothing new meanwhile."""
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["remove"] = MailboxUnavailable()
    async with running(bench):
        await eventually(lambda: bool(bench.told(ReadingFailed)))
        bench.inbox.mails.append(a_mail(2))
        bench.stop.set()
        failed = len(bench.told(ReadingFailed))
        await eventually(lambda: len(bench.told(ReadingFailed)) >= failed + 3)
        assert bench.told(MailboxLeft) == []
        del bench.inbox.fails["remove"]
    assert bench.left == ["m2"]
    assert bench.publisher.ids == ["m1"]


async def test_a_worker_that_is_stopped_and_loses_the_mailbox_ends() -> None:
    bench = Bench(a_mail(1), options=QUICK)
    bench.inbox.fails["remove"] = MailboxUnavailable()
    async with running(bench):
        await eventually(lambda: bool(bench.told(ReadingFailed)))
        bench.stop.set()
        bench.publisher.leases[LEASE].set()
    assert bench.left == ["m1"]
