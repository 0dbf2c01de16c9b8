"""A bug in one mailbox stops that mailbox, says so, and is tried again; the others go on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

from bridge.domain.mail import Fetched, Listing, MailRef, Removal
from bridge.errors import ConfigurationError
from bridge.flow.byte_budget import ByteBudget
from bridge.flow.waiting import Restarts
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.ports.broker import PublishReceipt
from bridge.telemetry.health import Health
from bridge.telemetry.process_events import WorkEnded, WorkResumed
from bridge.wire.topology import outbound_queue, reader_lease
from bridge.worker.supervision import Supervision
from tests.support.clock import HeldClock
from tests.support.memory.inbox import MemoryInbox
from tests.unit.egress.harness import ALIAS, Bench, eventually
from tests.unit.ingest.doubles import ScriptedPublisher, a_mail, compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.telemetry.events import Event

SENT = ("outbound.sent", None)
SECRET = "Patient: Erika Mustermann"
LONGEST_SECONDS = 600.0 * 1.5


class BrokenInbox(MemoryInbox):
    """A mailbox that meets a bug wherever `broken` says."""

    broken = ""

    async def list_waiting(self, folder: str, *, limit: int, offset: int = 0) -> Listing:
        self._stumble("list")
        return await super().list_waiting(folder, limit=limit, offset=offset)

    async def remove(self, receipts: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        self._stumble("remove")
        return await super().remove(receipts)

    async def fetch(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        if any(ref.message_id == self.broken for ref in refs):
            raise KeyError(SECRET)
        return await super().fetch(refs)

    def _stumble(self, where: str) -> None:
        if self.broken == where:
            raise KeyError(SECRET)


class Process:
    """Readers of one process, each kept going, on a broker that others use as well."""

    def __init__(self, publisher: ScriptedPublisher | None = None) -> None:
        self.clock = HeldClock()
        self.health = Health(monotonic=self.clock.monotonic)
        self.told: list[Event] = []
        self.publisher = publisher or ScriptedPublisher()
        self.supervision = Supervision(self.clock, self.health, self.told.append)
        self.stop = asyncio.Event()

    def reader(self, alias: str, inbox: MemoryInbox) -> MailboxReader:
        return MailboxReader(
            alias=alias,
            inbox=inbox,
            publisher=self.publisher,
            compose=compose,
            budget=ByteBudget(1 << 20),
            clock=self.clock,
            emit=self.told.append,
            health=self.health,
            options=IngestOptions(poll_interval_seconds=0.001, standby_seconds=0.001),
        )

    @contextlib.asynccontextmanager
    async def keeping(self, *readers: MailboxReader) -> AsyncIterator[list[asyncio.Task[None]]]:
        tasks = [
            asyncio.create_task(self.supervision.keep(one.part, lambda one=one: one.run(self.stop), self.stop))  # type: ignore[misc]
            for one in readers
        ]
        try:
            yield tasks
        finally:
            self.stop.set()
            await asyncio.wait_for(asyncio.gather(*tasks), 20)

    def ended(self) -> list[WorkEnded]:
        return [event for event in self.told if isinstance(event, WorkEnded)]

    def code(self, alias: str) -> str:
        state = self.health.state(f"mailbox:{alias}:ingest")
        return state.code if state is not None else ""


async def test_a_bug_in_one_mailbox_stops_that_one_and_the_others_go_on() -> None:
    process = Process()
    broken, well = BrokenInbox(a_mail(1)), MemoryInbox(a_mail(2))
    broken.broken = "list"

    async with process.keeping(process.reader("broken", broken), process.reader("well", well)):
        await eventually(lambda: bool(process.ended()) and not well.mails)
        well.mails.append(a_mail(3))
        await eventually(lambda: not well.mails)

        assert process.code("broken") == "unexpected_error"
        assert process.code("well") == "ok"
    assert len(broken.mails) == 1


async def test_it_is_tried_again_and_goes_on_where_it_was() -> None:
    process = Process()
    inbox = BrokenInbox(a_mail(1))
    inbox.broken = "list"

    async with process.keeping(process.reader("dispatch", inbox)):
        await eventually(lambda: bool(process.ended()))
        inbox.broken = ""
        await process.clock.move(process.ended()[0].wait_seconds)
        await eventually(lambda: not inbox.mails)
        await eventually(lambda: process.code("dispatch") == "ok")

    assert any(isinstance(event, WorkResumed) for event in process.told)


async def test_its_lease_is_free_for_another_worker_meanwhile() -> None:
    process = Process()
    inbox = BrokenInbox(a_mail(1))
    inbox.broken = "list"

    async with process.keeping(process.reader("dispatch", inbox)):
        await eventually(lambda: bool(process.ended()))

        assert reader_lease("dispatch") not in process.publisher.leases
        other = Process(process.publisher)
        inbox.broken = ""
        async with other.keeping(other.reader("dispatch", inbox)):
            await eventually(lambda: not inbox.mails)


async def test_a_mail_that_was_published_before_the_bug_is_not_published_again() -> None:
    """The receipts outlive it: otherwise a bug in the removal would repeat mails for ever."""
    process = Process()
    inbox = BrokenInbox(*(a_mail(n) for n in range(5)))
    inbox.broken = "remove"

    async with process.keeping(process.reader("dispatch", inbox)):
        for number in range(1, 6):
            await eventually(lambda number=number: len(process.ended()) == number)  # type: ignore[misc]
            await process.clock.move(process.ended()[-1].wait_seconds)
        inbox.broken = ""
        await eventually(lambda: bool(process.ended()))
        await process.clock.move(LONGEST_SECONDS)
        await eventually(lambda: not inbox.mails)

    assert sorted(process.publisher.ids) == [f"m{n}" for n in range(5)]


async def test_published_mail_is_removed_before_another_worker_may_have_the_mailbox() -> None:
    process = Process()
    inbox = BrokenInbox(*(a_mail(n) for n in range(5)))
    removing = MemoryInbox.remove
    calls = 0

    async def remove(receipts: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise KeyError(SECRET)
        return await removing(inbox, receipts)

    inbox.remove = remove  # type: ignore[method-assign]

    async with process.keeping(process.reader("dispatch", inbox)):
        await eventually(lambda: bool(process.ended()))

        published = set(process.publisher.ids)
        assert published
        assert published.isdisjoint(mail.ref.message_id for mail in inbox.mails)


async def test_one_mail_that_a_bug_keeps_from_being_read_is_parked_and_the_others_pass() -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    process = Process()
    inbox = BrokenInbox(*(a_mail(n) for n in range(5)))
    inbox.broken = "m2"
    stop = asyncio.Event()
    reader = process.reader("dispatch", inbox)

    for _ in range(4):
        await reader.read_once(stop)
        await process.clock.move(60)

    assert inbox.parked == {"m2": "unexpected_error"}
    assert [mail.ref.message_id for mail in inbox.mails if mail.folder == "inbox"] == []


async def test_the_log_has_the_kind_of_the_bug_and_where_it_was_and_nothing_of_its_text() -> None:
    process = Process()
    inbox = BrokenInbox(a_mail(1))
    inbox.broken = "list"

    async with process.keeping(process.reader("dispatch", inbox)):
        await eventually(lambda: bool(process.ended()))
        state = process.health.state("mailbox:dispatch:ingest")

    [ended] = process.ended()
    assert (ended.part, ended.code, ended.error) == ("mailbox:dispatch:ingest", "unexpected_error", "KeyError")
    assert "bridge/ingest/reader.py" in ended.where
    assert state is not None
    assert SECRET not in repr(ended) + state.detail


async def test_health_says_so_for_as_long_as_the_mailbox_stands_still() -> None:
    process = Process()

    async def work() -> None:
        raise KeyError

    task = asyncio.create_task(process.supervision.keep("mailbox:dispatch:egress", work, process.stop))
    for _ in range(8):  # until a wait is longer than a part may be silent
        await eventually(lambda: len(process.ended()) > 0)
        await process.clock.move(process.ended()[-1].wait_seconds)
        await asyncio.sleep(0.01)
    waited = 0.0
    while waited < 300:
        await process.clock.move(10)
        waited += 10
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        state = process.health.state("mailbox:dispatch:egress")
        assert state is not None
        assert (state.status, state.code) == ("trouble", "unexpected_error")
    process.stop.set()
    await asyncio.wait_for(task, 20)


async def test_who_stops_the_process_does_not_wait_for_the_next_try() -> None:
    process = Process()
    inbox = BrokenInbox(a_mail(1))
    inbox.broken = "list"

    async with process.keeping(process.reader("dispatch", inbox)) as tasks:
        await eventually(lambda: bool(process.ended()))
        process.stop.set()
        await asyncio.wait_for(asyncio.gather(*tasks), 20)


async def test_a_wrong_configuration_ends_the_process_at_once() -> None:
    process = Process()

    async def work() -> None:
        raise ConfigurationError("entra.client_id")

    with pytest.raises(ConfigurationError):
        await process.supervision.keep("mailbox:dispatch:ingest", work, process.stop)


def test_waits_grow_from_seconds_to_minutes() -> None:
    restarts = Restarts()

    waits = [restarts.after(1.0) for _ in range(12)]

    assert waits[0] < 10
    assert waits[-1] >= 600
    assert max(waits) <= LONGEST_SECONDS


def test_a_bug_that_is_the_same_on_each_of_three_workers_is_met_few_times_an_hour() -> None:
    """Each hands the mailbox to the next at once; each waits longer each time."""
    workers = [(Restarts(), 0.0) for _ in range(3)]
    met: list[float] = []
    now = 0.0

    while now < 3 * 3_600:
        restarts, _ = workers.pop(0)
        met.append(now)
        workers.append((restarts, now + 1.0 + restarts.after(1.0)))
        workers.sort(key=lambda one: one[1])
        now = max(now + 1.0, workers[0][1])

    assert sum(moment >= 2 * 3_600 for moment in met) <= 3 * 7


def test_work_that_ran_for_long_before_its_bug_is_begun_again_soon() -> None:
    restarts = Restarts()
    for _ in range(12):
        restarts.after(1.0)

    assert restarts.after(LONGEST_SECONDS + 1) < 10


async def test_a_mailbox_that_sends_goes_on_with_its_requests_after_a_bug() -> None:
    bench = Bench()
    stop = asyncio.Event()
    supervision = Supervision(bench.clock, bench.health, bench.emitted.append)
    bench.mailbox.fail_next("prepare", ZeroDivisionError())  # type: ignore[arg-type]  # anything but a BridgeError
    bench.request()
    sender = bench.sender()

    task = asyncio.create_task(supervision.keep(sender.part, lambda: sender.run(stop), stop))
    await eventually(lambda: bench.told() == [SENT])
    stop.set()
    await asyncio.wait_for(task, 20)

    assert [type(event) for event in bench.emitted if isinstance(event, WorkEnded | WorkResumed)] == [
        WorkEnded,
        WorkResumed,
    ]
    assert len(bench.mailbox.submissions) == 1
    assert bench.broker.messages(outbound_queue(ALIAS)) == []


async def test_a_mailbox_that_a_bug_stopped_is_not_announced_as_drained() -> None:
    bench = Bench()
    bench.request("r-1")
    sender, stop = bench.sender(), asyncio.Event()
    task = asyncio.create_task(sender.run(stop))
    await eventually(lambda: sender.holds)

    bench.mailbox.fail_next("prepare", *[ZeroDivisionError()] * 3)  # type: ignore[arg-type]
    sender._rate.others_sent = True  # so that the next request reads the ledger
    bench.request("r-2")
    with contextlib.suppress(ZeroDivisionError, ExceptionGroup):
        await asyncio.wait_for(task, 20)

    assert not sender.holds
