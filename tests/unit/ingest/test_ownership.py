"""One worker at a time reads a mailbox; the others stand by."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest

from bridge.domain.disposition import RetryPolicy
from bridge.domain.roster import Announcement, Holding, Roster
from bridge.errors import (
    CallRefused,
    CredentialsRejected,
    MailboxThrottled,
    MailboxUnavailable,
    PublishUnroutable,
    TokenUnavailable,
)
from bridge.ingest.reader import IngestOptions
from bridge.telemetry.health import Health
from bridge.telemetry.ingest_events import (
    JunkCounted,
    MailboxElsewhere,
    MailboxLeft,
    MailboxTaken,
    MailKept,
    ReadingFailed,
)
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.standby_events import HolderUnknown, NobodyWorks, SomebodyWorks
from bridge.worker.standing_by import StandingBy
from tests.support.clock import InstantClock
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import a_mail, compose
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bridge.domain.mail import ReadMail
    from bridge.errors import BridgeError
    from bridge.ports.broker import Message
    from bridge.telemetry.events import Event
    from bridge.telemetry.health import PartState
    from tests.support.memory.inbox import StoredMail

LEASE = "mail.lease.inbound.dispatch"
QUICK = IngestOptions(
    poll_interval_seconds=0.01,
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


async def test_a_mailbox_is_not_left_while_published_mails_are_stuck() -> None:
    """Whoever came next would publish them again, as those whose removal was not answered."""
    bench = Bench(a_mail(1), a_mail(2), options=QUICK)
    bench.inbox.stuck.add("item-2")
    async with running(bench):
        await eventually(lambda: bool(bench.told(MailKept)))
        bench.inbox.fails["list"] = MailboxUnavailable()
        await eventually(lambda: len(bench.told(ReadingFailed)) >= 3)

        assert bench.told(MailboxLeft) == []
        assert bench.left == ["m2"]
    assert bench.publisher.ids == ["m1", "m2"]


@pytest.mark.parametrize("ends", ["stop", "lost"])
async def test_what_was_fetched_is_not_published_once_the_worker_is_stopped_or_has_lost_the_mailbox(ends: str) -> None:
    """It stays for the next reader, who may have the mailbox already."""
    bench = Bench(*(a_mail(number) for number in range(1, 7)), options=QUICK)
    composed: list[str] = []

    async def composing(mail: ReadMail) -> Sequence[Message]:
        composed.append(mail.ref.message_id)
        if len(composed) == 2:
            (bench.stop if ends == "stop" else bench.publisher.leases[LEASE]).set()
            bench.publisher.taken.add(LEASE)
            for _ in range(5):  # whoever waits for it has heard of it then
                await asyncio.sleep(0)
        return await compose(mail)

    bench.reader._large._compose = composing
    async with running(bench):
        await eventually(lambda: bool(bench.told(MailboxLeft)))

    assert composed[:2] == ["m1", "m2"]
    assert bench.publisher.ids == ["m1"]
    assert bench.left == ["m2", "m3", "m4", "m5", "m6"]
    assert bench.budget.taken_bytes == 0


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


class Watched:
    """A worker that stands by, one second after the other."""

    def __init__(self, *mails: StoredMail) -> None:
        self.clock = InstantClock()
        self.roster = Roster("0" * 32, frozenset({"dispatch"}), self.clock.monotonic)
        self.health = Health(monotonic=self.clock.monotonic)
        self.inbox = MemoryInbox(*mails)
        self.events: list[Event] = []
        self.standing_by = StandingBy(
            self.roster,
            "ingest",
            "dispatch",
            part="part",
            lease=LEASE,
            look=self.look,
            health=self.health,
            emit=self.events.append,
        )
        self.away = False
        self.late = False

    async def look(self) -> list[str]:
        if self.away:
            raise MailboxUnavailable("away")
        if self.late:
            raise TimeoutError
        return [ref.message_id for ref in (await self.inbox.list_waiting("inbox", limit=1)).refs]

    async def pass_time(self, seconds: int, *, status: str | None = None) -> PartState:
        for _ in range(seconds):
            self.clock.seconds += 1
            self.roster.hear(Announcement("0" * 32, "1", "ingest", [], [], []), 10)
            if status is not None:
                held = Holding("ingest", "dispatch", status, "mailbox_throttled", 4.0)
                self.roster.hear(Announcement("1" * 32, "1", "ingest", [], [], [held]), 10)
            self.standing_by.report()
            for _ in range(3):
                await asyncio.sleep(0)
        state = self.health.state("part")
        assert state is not None
        return state


async def test_nobody_who_works_is_told_once_in_the_log_and_in_health_with_how_to_find_the_holder() -> None:
    watched = Watched(a_mail(1))

    state = await watched.pass_time(60)

    assert (state.status, state.code) == ("trouble", "nobody_works")
    assert not watched.health.ready
    assert LEASE in state.detail
    assert "list_queues" in state.hint
    assert "owner_pid" in state.hint
    assert [type(event) for event in watched.events] == [HolderUnknown, NobodyWorks]

    state = await watched.pass_time(1, status="ok")
    assert (state.status, state.code) == ("standby", "standby")
    assert watched.health.ready
    assert isinstance(watched.events[-1], SomebodyWorks)


async def test_an_older_release_that_does_its_work_alarms_nobody() -> None:
    watched = Watched()

    state = await watched.pass_time(600)

    assert (state.status, state.code) == ("warning", "holder_unknown")
    assert watched.health.ready


async def test_a_holder_that_is_in_trouble_is_named_with_its_trouble() -> None:
    watched = Watched(a_mail(1))

    state = await watched.pass_time(120, status="trouble")

    assert (state.status, state.detail) == ("standby", f"worker {'1' * 32} has it, and says mailbox_throttled")
    assert watched.events == []


async def test_a_holder_whose_work_hangs_is_named_with_since_when() -> None:
    watched = Watched()
    await watched.pass_time(10, status="ok")

    state = await watched.pass_time(60, status="stale")

    assert (state.code, state.detail) == (
        "nobody_works",
        f"worker {'1' * 32} has it, and its work has shown no life for 4 s",
    )


async def test_where_exchange_cannot_be_asked_silence_alone_is_what_counts() -> None:
    watched = Watched()
    watched.away = True

    assert (await watched.pass_time(60)).code == "nobody_works"


async def test_a_look_that_this_workers_own_work_held_up_pages_nobody() -> None:
    watched = Watched(a_mail(1))
    watched.late = True

    assert (await watched.pass_time(60)).code == "holder_unknown"


async def test_a_look_finds_more_than_the_mail_that_may_rightly_stay() -> None:
    bench = Bench(a_mail(1), a_mail(2))

    assert await bench.reader._left_undone() == ["m1", "m2"]


async def test_whoever_takes_over_what_nobody_worked_on_begins_anew() -> None:
    watched = Watched(a_mail(1))
    await watched.pass_time(60)

    watched.standing_by.end(owned=True)
    watched.health.begin("part")

    state = watched.health.state("part")
    assert state is not None
    assert state.status == "starting"


async def test_a_look_that_meets_a_bug_does_not_hide_it() -> None:
    watched = Watched()
    watched.inbox.mails.append("no mail")  # type: ignore[arg-type]

    with pytest.raises(AttributeError):
        await watched.pass_time(60)


async def test_an_ordinary_wait_of_a_reader_is_not_stale_and_one_that_does_not_end_is() -> None:
    """It waited for up to 90 s, and was told as hanging after 45."""
    bench = Bench(options=IngestOptions(poll_interval_seconds=30.0))
    async with running(bench):
        await eventually(lambda: status(bench) == "ok" and bench.health._parts[bench.reader.part].silent_until > 0)

        bench.clock.seconds += 30 + 44
        assert status(bench) == "ok"
        bench.clock.seconds += 2
        assert status(bench) == "stale"


async def test_a_wait_that_exchange_asked_for_keeps_its_reason_and_is_not_called_stale() -> None:
    bench = Bench(a_mail(1), options=IngestOptions())
    bench.inbox.fails["list"] = MailboxThrottled(retry_after_seconds=300)
    async with running(bench):
        await eventually(lambda: bool(bench.told(ReadingFailed)))

        bench.clock.seconds += 300
        assert status(bench) == "trouble"


@pytest.mark.parametrize("code", ["broker_login_refused", "broker_unavailable"])
async def test_a_reader_says_at_once_what_is_wrong_with_the_broker(code: str) -> None:
    bench = Bench(options=QUICK)
    never = asyncio.Event()

    async def wait_ready() -> None:
        await never.wait()

    bench.publisher.wait_ready = wait_ready  # type: ignore[method-assign]
    bench.publisher.trouble = code
    async with running(bench):
        async with asyncio.timeout(30):
            await eventually(lambda: status(bench) == "trouble")
        state = bench.health.state(bench.reader.part)
        assert state is not None
        assert state.code == code
