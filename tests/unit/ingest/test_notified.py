"""Readers are woken by what Exchange tells, and lose nothing where it tells nothing."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.system.clock import SystemClock
from bridge.domain.disposition import RetryPolicy
from bridge.domain.mail import Listing
from bridge.domain.notices import Affinity, Notice, StreamGarbled, StreamRefused, StreamSilent, Subscribed
from bridge.errors import BridgeError, MailboxUnavailable
from bridge.flow.byte_budget import ByteBudget
from bridge.ingest.notifications import streams as streams_module
from bridge.ingest.notifications.state import StreamLimits
from bridge.ingest.notifications.streams import NotificationStreams
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.ports.low_priority import low_priority_of
from bridge.telemetry.events import Event
from bridge.telemetry.health import Health
from bridge.telemetry.ingest_events import InboxListed, MailboxElsewhere
from bridge.telemetry.metrics import Metrics
from bridge.telemetry.stream_events import MailboxWoken, StreamEnded, StreamOpened, SubscribingFailed
from bridge.wire.topology import reader_lease
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import ScriptedPublisher, a_mail, compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence

    from tests.support.memory.inbox import StoredMail

_QUICK = StreamLimits(settle_seconds=0.01, good_seconds=0.0, slowly_seconds=0.2, retry=RetryPolicy(0.01, 0.05, 0.05))
_PATIENCE_SECONDS = 20.0


class ScriptedNotifications:
    """Tells what a test says; every stream is a queue."""

    def __init__(self) -> None:
        self.subscriptions: dict[str, str] = {}
        self.streams: list[tuple[tuple[str, ...], asyncio.Queue[Notice | BridgeError | None]]] = []
        self.calls: Counter[str] = Counter()
        self.refuse: BridgeError | None = None
        self.deny: BridgeError | None = None
        self.hang_at_the_end = False

    async def subscribe(
        self, mailbox: str, folders: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> Subscribed:
        assert lead_mailbox
        assert folders == ("inbox",)
        assert affinity in {None, Affinity("one", "cookie")}
        self.calls["subscribe"] += 1
        if self.deny is not None:
            raise self.deny
        made = f"sub-{self.calls['subscribe']}"
        self.subscriptions[made] = mailbox
        return Subscribed(made, Affinity("one", "cookie"))

    async def unsubscribe(self, mailbox: str, subscription: str, *, affinity: Affinity | None) -> None:
        del affinity
        self.calls["unsubscribe"] += 1
        if self.hang_at_the_end:
            await asyncio.Event().wait()
        assert self.subscriptions.pop(subscription) == mailbox

    @contextlib.asynccontextmanager
    async def stream(
        self, subscriptions: Sequence[str], *, lead_mailbox: str, affinity: Affinity | None
    ) -> AsyncIterator[AsyncIterator[Notice]]:
        assert lead_mailbox
        assert affinity == Affinity("one", "cookie")
        self.calls["stream"] += 1
        queue: asyncio.Queue[Notice | BridgeError | None] = asyncio.Queue()
        queue.put_nowait(self.refuse or Notice())
        entry = (tuple(subscriptions), queue)
        self.streams.append(entry)

        async def notices() -> AsyncIterator[Notice]:
            while (said := await queue.get()) is not None:
                if isinstance(said, Exception):
                    raise said
                yield said

        try:
            yield notices()
        finally:
            self.streams.remove(entry)

    def say(self, what: Notice | BridgeError | None) -> None:
        """Say it on every open stream."""
        for _, queue in self.streams:
            queue.put_nowait(what)

    def mail_for(self, mailbox: str) -> None:
        """Tell that mail came."""
        self.say(Notice(arrived=frozenset(one for one, owner in self.subscriptions.items() if owner == mailbox)))


@pytest.fixture
def notifications() -> ScriptedNotifications:
    return ScriptedNotifications()


@contextlib.asynccontextmanager
async def _running(
    notifications: ScriptedNotifications, emit: Callable[[Event], None]
) -> AsyncIterator[NotificationStreams]:
    streams = NotificationStreams(notifications, clock=SystemClock(), emit=emit, limits=_QUICK)
    running = asyncio.create_task(streams.run())
    try:
        yield streams
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def _until(condition: Callable[[], object], what: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_SECONDS
    while not condition():
        assert loop.time() < deadline, f"waited in vain for {what}"
        await asyncio.sleep(0.005)


async def test_a_mailbox_is_woken_when_its_stream_begins_and_when_mail_comes(
    notifications: ScriptedNotifications,
) -> None:
    woken: list[str] = []
    emitted: list[Event] = []
    async with _running(notifications, emitted.append) as streams:
        part = streams.of("dispatch", "dispatch@example.org", ("inbox",))
        with part.watching(woken.append):
            await _until(lambda: woken == ["connected"], "the stream")
            assert part.is_notified
            notifications.say(Notice())
            notifications.mail_for("dispatch@example.org")
            await _until(lambda: woken == ["connected", "notified"], "the mail")
        assert not part.is_notified
        await _until(lambda: not notifications.subscriptions and not notifications.streams, "the end")

    assert [type(event) for event in emitted if event.level != "debug"] == [StreamOpened]


@pytest.mark.parametrize("error", [MailboxUnavailable(), StreamSilent(), StreamGarbled()])
async def test_a_stream_that_fails_is_opened_again_and_the_mailboxes_are_listed(
    notifications: ScriptedNotifications, error: BridgeError
) -> None:
    woken: list[str] = []
    emitted: list[Event] = []
    async with _running(notifications, emitted.append) as streams:
        with streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(woken.append):
            await _until(lambda: woken == ["connected"], "the stream")
            notifications.say(error)
            await _until(lambda: woken == ["connected", "connected"], "the second stream")

    assert notifications.calls["subscribe"] == 1
    [ended] = [event for event in emitted if isinstance(event, StreamEnded)]
    assert (ended.code, ended.mailboxes) == (error.code, 1)


async def test_a_lost_subscription_is_made_anew(notifications: ScriptedNotifications) -> None:
    woken: list[str] = []
    async with _running(notifications, lambda _: None) as streams:
        with streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(woken.append):
            await _until(lambda: woken == ["connected"], "the stream")
            notifications.say(Notice(lost=frozenset(notifications.subscriptions), closed=True))
            await _until(lambda: woken.count("connected") == 2, "the second stream")

    assert notifications.calls["subscribe"] == 2


async def test_a_loss_that_lasts_is_listed_and_told_once(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_LOST_SECONDS", 0.1)
    monkeypatch.setattr(streams_module, "_TOLD_OF_AFTER_SECONDS", 0.3)
    woken: list[str] = []
    async with _running(notifications, lambda _: None) as streams:
        with streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(woken.append):
            await _until(lambda: woken == ["connected"], "the stream")
            assert streams.status.trouble is None
            notifications.refuse = StreamRefused("ErrorInvalidOperation")
            notifications.say(MailboxUnavailable())
            await _until(lambda: streams.status.trouble == "stream_refused", "the trouble")
            assert (streams.status.unnotified, streams.status.mailboxes) == (1, 1)
            await _until(lambda: woken != ["connected"], "the listing")
            assert woken == ["connected", "lost"]

            notifications.refuse = None
            await _until(lambda: streams.status.trouble is None, "the end of the trouble")
            await _until(lambda: woken == ["connected", "lost", "connected"], "the stream")


async def test_a_mailbox_that_cannot_be_subscribed_to_says_why(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_TOLD_OF_AFTER_SECONDS", 0.1)
    notifications.deny = MailboxUnavailable("ErrorMailboxStoreUnavailable")
    emitted: list[Event] = []
    async with _running(notifications, emitted.append) as streams:
        with streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(lambda _: None):
            await _until(lambda: streams.status.trouble == "mailbox_unavailable", "the trouble")

    failed = [event for event in emitted if isinstance(event, SubscribingFailed)]
    assert {event.mailbox for event in failed} == {"dispatch"}
    assert notifications.calls["subscribe"] < 200


async def test_two_hundred_mailboxes_share_one_stream(notifications: ScriptedNotifications) -> None:
    woken: Counter[str] = Counter()

    def waker(address: str) -> Callable[[str], None]:
        return lambda why: woken.update([f"{address} {why}"])

    async with _running(notifications, lambda _: None) as streams:
        with contextlib.ExitStack() as stack:
            names = [f"m{number}@example.org" for number in range(200)]
            for name in names:
                stack.enter_context(streams.of(name, name, ("inbox",)).watching(waker(name)))
            await _until(lambda: all(map(streams.is_notified, names)), "all to be told of")
            assert [len(ids) for ids, _ in notifications.streams] == [200]
            notifications.mail_for("m7@example.org")
            await _until(lambda: woken["m7@example.org notified"], "the mail")
            assert sum(count for what, count in woken.items() if what.endswith("notified")) == 1
            assert len(asyncio.all_tasks()) < 20


async def test_a_worker_that_ends_waits_for_no_answer(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_GOODBYE_SECONDS", 0.2)
    notifications.hang_at_the_end = True
    loop = asyncio.get_running_loop()
    async with _running(notifications, lambda _: None) as streams:
        with streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(lambda _: None):
            await _until(lambda: streams.is_notified("dispatch@example.org"), "the stream")
        started = loop.time()

    assert loop.time() - started < 5
    assert notifications.calls["unsubscribe"] == 1


async def test_a_bug_in_the_decisions_of_all_mailboxes_ends_the_teller(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumble(*_: object) -> object:
        raise KeyError("a bug")

    streams = NotificationStreams(notifications, clock=SystemClock(), emit=lambda _: None, limits=_QUICK)
    monkeypatch.setattr(streams._plan, "next", stumble)

    with pytest.raises(KeyError):
        await asyncio.wait_for(streams.run(), _PATIENCE_SECONDS)


async def test_a_bug_in_what_becomes_of_a_subscription_ends_the_teller(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The books of all streams may be wrong by then; whoever goes on with them may tell nobody of new mail."""

    def stumble(*_: object) -> object:
        raise KeyError("a bug")

    streams = NotificationStreams(notifications, clock=SystemClock(), emit=lambda _: None, limits=_QUICK)
    monkeypatch.setattr(streams._plan, "subscribed", stumble)

    with streams.watching("dispatch", "dispatch@example.org", ("inbox",), lambda _: None), pytest.raises(KeyError):
        await asyncio.wait_for(streams.run(), _PATIENCE_SECONDS)


async def test_a_bug_that_one_mailbox_or_stream_meets_ends_no_notices_of_others(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    asyncio.get_running_loop().set_exception_handler(lambda *_: None)
    subscribe, emitted, woken = notifications.subscribe, list[Event](), list[str]()

    async def stumble(mailbox: str, *arguments: Any, **more: Any) -> Subscribed:
        if mailbox == "broken@example.org":
            raise KeyError("a bug")
        return await subscribe(mailbox, *arguments, **more)

    monkeypatch.setattr(notifications, "subscribe", stumble)
    async with _running(notifications, emitted.append) as streams:
        broken = streams.of("broken", "broken@example.org", ("inbox",)).watching(lambda _: None)
        well = streams.of("dispatch", "dispatch@example.org", ("inbox",)).watching(woken.append)
        with broken, well:
            await _until(lambda: streams.is_notified("dispatch@example.org"), "the stream")
            await _until(lambda: any(isinstance(event, SubscribingFailed) for event in emitted), "the bug to be told")
            notifications.say(KeyError("a bug"))  # type: ignore[arg-type]  # anything but a BridgeError
            await _until(lambda: any(isinstance(event, StreamEnded) for event in emitted), "the stream's end")
            del woken[:]
            await _until(lambda: bool(woken), "a stream that is opened again")

    codes = {event.code for event in emitted if isinstance(event, SubscribingFailed | StreamEnded)}
    assert codes == {"unexpected_error"} | (codes & {"ok"})


class Bench:
    """A reader that is told of its mailbox."""

    def __init__(
        self,
        streams: NotificationStreams,
        *mails: StoredMail,
        poll_interval_seconds: float = 600.0,
        listing_interval_seconds: float = 600.0,
    ) -> None:
        self.inbox = MemoryInbox(*mails)
        self.publisher = ScriptedPublisher()
        self.events: list[Event] = []
        self.reader = MailboxReader(
            alias="dispatch",
            inbox=self.inbox,
            publisher=self.publisher,
            compose=compose,
            budget=ByteBudget(1 << 20),
            clock=SystemClock(),
            emit=self.events.append,
            health=Health(),
            options=IngestOptions(
                poll_interval_seconds=poll_interval_seconds, listing_interval_seconds=listing_interval_seconds
            ),
            notices=streams.of("dispatch", "dispatch@example.org", ("inbox",)),
        )

    @property
    def listings(self) -> int:
        return sum(isinstance(event, InboxListed) for event in self.events)

    @property
    def woken(self) -> list[str]:
        return [event.code for event in self.events if isinstance(event, MailboxWoken)]

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(self.reader.run(stop))
        try:
            yield
        finally:
            stop.set()
            await task


async def test_a_mail_that_is_told_of_is_published_though_no_listing_is_due(
    notifications: ScriptedNotifications,
) -> None:
    async with _running(notifications, lambda _: None) as streams:
        bench = Bench(streams)
        async with bench.reading():
            await _until(lambda: bench.reader._notices and bench.reader._notices.is_notified, "the stream")
            await _until(lambda: bench.listings >= 2, "the listing after the stream began")
            bench.inbox.mails.append(a_mail(1))
            notifications.mail_for("dispatch@example.org")
            await _until(lambda: bench.publisher.ids == ["m1"], "the mail")

    assert bench.woken[:2] == ["connected", "notified"]
    assert "interval" not in bench.woken


async def test_only_a_listing_by_the_clock_while_a_stream_tells_is_unhurried(
    notifications: ScriptedNotifications, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with _running(notifications, lambda _: None) as streams:
        bench = Bench(streams, poll_interval_seconds=0.05, listing_interval_seconds=0.05)
        hurried: dict[str, bool] = {}
        list_waiting = bench.inbox.list_waiting

        async def listing(folder: str, *, limit: int, offset: int = 0) -> Listing:
            hurried[bench.woken[-1] if bench.woken else "first"] = low_priority_of() is None
            return await list_waiting(folder, limit=limit, offset=offset)

        monkeypatch.setattr(bench.inbox, "list_waiting", listing)
        async with bench.reading():
            await _until(lambda: bench.woken[-3:] == ["interval"] * 3, "listings by the clock")
            notifications.mail_for("dispatch@example.org")
            await _until(lambda: "notified" in hurried, "the listing after a notice")

    assert hurried == {"first": True, "connected": True, "interval": False, "notified": True}


async def test_a_mailbox_takes_part_only_while_its_lease_is_held(notifications: ScriptedNotifications) -> None:
    async with _running(notifications, lambda _: None) as streams:
        bench = Bench(streams)
        name = reader_lease("dispatch")
        bench.publisher.taken.add(name)
        async with bench.reading():
            await _until(lambda: any(isinstance(e, MailboxElsewhere) for e in bench.events), "standing by")
            assert notifications.calls["subscribe"] == 0
            bench.publisher.taken.clear()
            await _until(lambda: notifications.streams, "the stream")
            bench.publisher.taken.add(name)
            bench.publisher.leases[name].set()
            await _until(lambda: not notifications.subscriptions and not notifications.streams, "the end")


async def test_a_flood_of_notices_is_no_flood_of_listings(notifications: ScriptedNotifications) -> None:
    async with _running(notifications, lambda _: None) as streams:
        bench = Bench(streams)
        async with bench.reading():
            await _until(lambda: notifications.streams, "the stream")
            until = asyncio.get_running_loop().time() + 1.0
            while asyncio.get_running_loop().time() < until:
                notifications.mail_for("dispatch@example.org")
                await asyncio.sleep(0)

    assert 2 <= bench.listings <= 15


@pytest.fixture(autouse=True)
def _metrics_take_every_event(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Whatever is emitted can be counted."""
    metrics = Metrics()
    original = NotificationStreams.__init__

    def init(self: NotificationStreams, *args: object, emit: Callable[[Event], None], **named: object) -> None:
        def both(event: Event) -> None:
            event.record(metrics)
            emit(event)

        original(self, *args, emit=both, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(NotificationStreams, "__init__", init)
    return iter(())
