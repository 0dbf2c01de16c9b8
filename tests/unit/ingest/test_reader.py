"""A mail leaves the inbox only with proof that the broker holds it, and nothing is skipped."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence

import pytest

from bridge.domain.batches import BatchLimits
from bridge.domain.disposition import RetryPolicy
from bridge.domain.mail import FailedFetch, Fetched, MailRef, ReadMail, UnconvertibleMail, VanishedMail
from bridge.domain.mailbox_state import MailboxSize
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import (
    BridgeError,
    BrokerUnavailable,
    CallNotPossible,
    CredentialsRejected,
    EwsBlocked,
    FolderNotFound,
    MailboxAccessDenied,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    MessageError,
    MessageTooLarge,
    PublishUnconfirmed,
    PublishUnroutable,
    RemovalImpossible,
    TokenUnavailable,
)
from bridge.flow.byte_budget import ByteBudget
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.ports.broker import Message, PublishReceipt
from bridge.telemetry.events import Event
from bridge.telemetry.health import Health
from bridge.telemetry.ingest_events import (
    BacklogFound,
    JunkCounted,
    JunkFound,
    MailKept,
    MailPublished,
    ParkedCounted,
    ReadingFailed,
    ReadingResumed,
)
from tests.support.clock import InstantClock
from tests.support.memory.inbox import MemoryInbox, StoredMail
from tests.unit.ingest.doubles import ScriptedPublisher, a_mail, compose


class Bench:
    """A reader with everything around it."""

    def __init__(
        self,
        *mails: StoredMail,
        options: IngestOptions | None = None,
        page_limit: int = 1_000,
        inbox: MemoryInbox | None = None,
        clock: InstantClock | None = None,
    ) -> None:
        self.inbox = inbox or MemoryInbox(*mails, page_limit=page_limit)
        self.publisher = ScriptedPublisher()
        self.clock = clock or InstantClock()
        self.events: list[Event] = []
        self.health = Health(monotonic=self.clock.monotonic)
        self.budget = ByteBudget(10_000)
        self.stop = asyncio.Event()
        self.reader = MailboxReader(
            alias="dispatch",
            inbox=self.inbox,
            publisher=self.publisher,
            compose=compose,
            budget=self.budget,
            clock=self.clock,
            emit=self.events.append,
            health=self.health,
            options=options or IngestOptions(limits=TransferLimits(batch=BatchLimits(3, 1_000))),
        )

    async def once(self) -> int:
        return await self.reader.read_once(self.stop)

    @property
    def left(self) -> list[str]:
        return [mail.ref.message_id for mail in self.inbox.mails if mail.folder != PARKED_FOLDER]

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


async def test_mails_are_published_in_the_order_received_and_removed() -> None:
    bench = Bench(*(a_mail(n) for n in range(20)))

    assert await bench.once() == 20

    assert bench.publisher.ids == [f"m{n}" for n in range(20)]
    assert bench.left == []
    assert bench.budget.taken_bytes == 0
    assert len(bench.told(MailPublished)) == 20


@pytest.mark.parametrize("error", [PublishUnconfirmed(), BrokerUnavailable()])
async def test_mail_stays_in_inbox_when_broker_does_not_confirm(error: Exception) -> None:
    """No confirm, no removal."""
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda _: error

    with pytest.raises(type(error)):
        await bench.once()

    assert bench.left == ["m1"]
    assert bench.inbox.removals == []
    assert bench.budget.taken_bytes == 0


async def test_mail_is_published_again_under_the_same_id_after_an_unknown_outcome() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda _: PublishUnconfirmed()
    with pytest.raises(PublishUnconfirmed):
        await bench.once()
    bench.publisher.answer = lambda _: None

    await bench.once()

    assert bench.publisher.ids == ["m1", "m1"]
    assert bench.left == []


async def test_what_was_confirmed_before_a_failure_is_removed() -> None:
    bench = Bench(*(a_mail(n) for n in range(6)))
    bench.publisher.answer = lambda message: BrokerUnavailable() if message.message_id == "m3" else None

    with pytest.raises(BrokerUnavailable):
        await bench.once()

    assert "m3" in bench.left
    assert not {"m0", "m1", "m2"} & set(bench.left)


async def test_a_mail_that_no_queue_wants_stays_and_the_others_pass() -> None:
    bench = Bench(*(a_mail(n) for n in range(5)))
    bench.publisher.answer = lambda message: PublishUnroutable() if message.message_id == "m2" else None

    await bench.once()
    await bench.once()

    assert bench.left == ["m2"]
    assert bench.told(MailKept) == [MailKept("dispatch", "m2", "publish_unroutable")]


async def test_a_mail_that_stays_is_tried_again_later() -> None:
    bench = Bench(a_mail(1), a_mail(2))
    bench.publisher.answer = lambda message: PublishUnroutable() if message.message_id == "m1" else None
    await bench.once()
    bench.publisher.answer = lambda _: None

    await bench.once()
    assert bench.left == ["m1"]
    bench.clock.seconds += IngestOptions().keep_seconds
    await bench.once()

    assert bench.left == []


async def test_the_mailbox_pauses_when_no_mail_is_wanted() -> None:
    bench = Bench(*(a_mail(n) for n in range(100)))
    bench.publisher.answer = lambda _: PublishUnroutable()

    with pytest.raises(PublishUnroutable):
        await bench.once()

    assert len(bench.left) == 100
    assert len(bench.publisher.published) < 20


async def test_mails_that_no_queue_wants_hold_up_none_behind_them_however_many_they_are() -> None:
    """Each page that found nothing but those looks further than the last one."""
    bench = Bench(*(a_mail(n) for n in range(1_000)), options=IngestOptions())
    bench.publisher.answer = lambda message: None if message.message_id == "m999" else PublishUnroutable()

    for _ in range(6):
        with contextlib.suppress(PublishUnroutable):
            await bench.once()

    assert "m999" not in bench.left
    assert len(bench.publisher.ids) == 1_000


async def test_of_the_mails_that_no_queue_wants_one_is_tried_now_and_then() -> None:
    bench = Bench(*(a_mail(n) for n in range(9)))
    bench.publisher.answer = lambda _: PublishUnroutable()
    await bench.once()

    for _ in range(10):
        bench.clock.seconds += IngestOptions().keep_seconds
        await bench.once()
        await bench.once()

    assert len(bench.publisher.ids) == 9 + 10


async def test_more_unwanted_mails_than_are_remembered_are_fetched_again_a_few_at_a_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("bridge.ingest.deferrals._UNROUTABLE_REMEMBERED", 500)
    monkeypatch.setattr("bridge.ingest.deferrals._DUE_WHEN_FULL", 20)
    bench = Bench(*(a_mail(n) for n in range(700)), options=IngestOptions())
    bench.publisher.answer = lambda _: PublishUnroutable()
    for _ in range(10):
        with contextlib.suppress(PublishUnroutable):
            await bench.once()
    before = len(bench.publisher.published)

    for _ in range(10):
        with contextlib.suppress(PublishUnroutable):
            await bench.once()

    assert len(bench.publisher.published) - before <= 10 * 20
    bench.publisher.answer = lambda _: None
    bench.clock.seconds += IngestOptions().keep_seconds
    for _ in range(60):
        await bench.once()
    assert bench.left == []


async def test_all_mails_that_no_queue_wanted_pass_once_one_does() -> None:
    bench = Bench(*(a_mail(n) for n in range(9)))
    bench.publisher.answer = lambda _: PublishUnroutable()
    await bench.once()
    bench.publisher.answer = lambda _: None
    bench.clock.seconds += IngestOptions().keep_seconds

    await bench.once()
    await bench.once()

    assert bench.left == []


async def test_a_mail_too_large_for_the_broker_is_parked_and_the_others_pass() -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    bench.publisher.answer = lambda message: MessageTooLarge() if message.message_id == "m0" else None

    await bench.once()

    assert bench.left == []
    assert bench.inbox.parked == {"m0": "too_large_for_broker"}


async def test_a_mail_without_mime_is_published_from_its_properties() -> None:
    bench = Bench(a_mail(1, mime=None))
    composed: list[ReadMail] = []

    async def remember(mail: ReadMail) -> Sequence[Message]:
        composed.append(mail)
        return await compose(mail)

    bench.reader._large._compose = remember
    await bench.once()

    assert [type(mail) for mail in composed] == [UnconvertibleMail]
    assert bench.left == []


async def test_an_unreadable_mail_stays_and_the_others_pass() -> None:
    bench = Bench(*(a_mail(n) for n in range(5)))
    bench.inbox.unreadable.add("item-2")

    await bench.once()

    assert bench.left == ["m2"]
    assert bench.told(MailKept) == [MailKept("dispatch", "m2", "mail_unreadable")]


async def test_a_mail_that_vanishes_between_listing_and_fetch_is_no_error() -> None:
    bench = Bench(a_mail(1), a_mail(2), a_mail(3))
    listed = bench.inbox.list_waiting

    async def list_then_lose(folder: str, *, limit: int, offset: int = 0) -> object:
        listing = await listed(folder, limit=limit, offset=offset)
        bench.inbox.mails = [mail for mail in bench.inbox.mails if mail.ref.item_id != "item-2"]
        return listing

    bench.inbox.list_waiting = list_then_lose  # type: ignore[method-assign,assignment]
    await bench.once()

    assert bench.publisher.ids == ["m1", "m3"]
    assert bench.left == []


async def test_a_failed_removal_is_repeated_without_a_second_publish() -> None:
    bench = Bench(a_mail(1), a_mail(2))
    bench.inbox.fails["remove"] = MailboxUnavailable()
    with pytest.raises(MailboxUnavailable):
        await bench.once()
    assert bench.left == ["m1", "m2"]
    del bench.inbox.fails["remove"]

    await bench.once()

    assert bench.publisher.ids == ["m1", "m2"]
    assert bench.left == []


async def test_nothing_new_is_published_while_published_mail_cannot_be_removed() -> None:
    bench = Bench(*(a_mail(n) for n in range(40)))
    bench.inbox.fails["remove"] = MailboxAccessDenied()
    with pytest.raises(RemovalImpossible):
        await bench.once()
    so_far = len(bench.publisher.published)

    for _ in range(3):
        with pytest.raises(RemovalImpossible):
            await bench.once()

    assert len(bench.publisher.published) == so_far


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (MailboxAccessDenied("ErrorAccessDenied"), "mailbox_access_denied"),
        (FolderNotFound("move:Done"), "folder_not_found"),
        (MailUnreadable(), "removal_impossible"),
    ],
)
async def test_a_removal_that_is_refused_is_told_by_the_reason_that_a_person_mends(
    refusal: BridgeError, code: str
) -> None:
    bench = Bench(a_mail(1), options=IngestOptions(poll_interval_seconds=0.01, retry=RetryPolicy(pause_seconds=0.01)))
    bench.inbox.fails["remove"] = refusal
    running = asyncio.create_task(bench.reader.run(bench.stop))

    state = bench.health.state(bench.reader.part)
    async with asyncio.timeout(10):
        while state is None or state.status != "trouble":
            await asyncio.sleep(0.001)
            state = bench.health.state(bench.reader.part)
    assert state.code == code

    bench.inbox.fails.clear()
    async with asyncio.timeout(10):
        while bench.left:
            await asyncio.sleep(0.001)
    bench.stop.set()
    await running
    assert bench.publisher.ids == ["m1"]


async def test_mails_that_exchange_says_are_gone_but_lists_are_not_published_for_ever() -> None:
    """ErrorItemNotFound means gone, or no right."""
    bench = Bench(a_mail(1), a_mail(2))
    bench.inbox.denies_removal = True

    for _ in range(5):
        await bench.once()
    with pytest.raises(RemovalImpossible):
        await bench.once()

    assert bench.publisher.ids == ["m1", "m2"]


async def test_a_stale_listing_does_not_publish_twice() -> None:
    bench = Bench(a_mail(1))
    stale = await bench.inbox.list_waiting("inbox", limit=10)
    await bench.once()

    async def list_stale(folder: str, *, limit: int, offset: int = 0) -> object:
        return stale

    bench.inbox.list_waiting = list_stale  # type: ignore[method-assign,assignment]
    bench.inbox.mails.append(a_mail(1))  # a server that lists it still gives it, too
    await bench.once()

    assert bench.publisher.ids == ["m1"]
    assert bench.left == []


async def test_a_receipt_for_another_mail_removes_nothing() -> None:
    inbox = MemoryInbox(a_mail(1))

    with pytest.raises(ValueError, match="another mail"):
        await inbox.remove([(a_mail(1).ref, PublishReceipt("m2"))])

    assert len(inbox.mails) == 1


async def test_batches_shrink_to_the_one_mail_that_spoils_them_and_the_others_pass() -> None:
    """A mail that makes every call with it fail is passed over after it failed alone three times."""
    bench = Bench(*(a_mail(n) for n in range(9)))
    fetch = bench.inbox.fetch

    async def spoiled(refs: list[MailRef]) -> object:
        bench.inbox.fails.pop("fetch", None)
        if any(ref.item_id == "item-4" for ref in refs):
            bench.inbox.fails["fetch"] = MailboxUnavailable()
        return await fetch(refs)

    bench.inbox.fetch = spoiled  # type: ignore[method-assign,assignment]
    failures = 0
    while len(bench.left) > 1:
        try:
            await bench.once()
        except MailboxUnavailable:
            failures += 1
            assert failures < 10

    assert bench.left == ["m4"]


async def test_a_mail_that_is_too_much_for_exchange_stays_and_the_others_pass() -> None:
    """ErrorNotEnoughMemory and its like come for one mail, too; no number of them makes a mail a bad one."""
    bench = Bench(*(a_mail(n) for n in range(9)))
    fetch = bench.inbox.fetch

    async def exhausted(refs: Sequence[MailRef]) -> Sequence[Fetched]:
        fetched = await fetch(refs)
        return [FailedFetch(one.ref, MailboxThrottled()) if one.ref.item_id == "item-4" else one for one in fetched]

    bench.inbox.fetch = exhausted  # type: ignore[method-assign]
    for _ in range(20):
        with contextlib.suppress(MailboxThrottled):
            await bench.once()
        bench.clock.seconds += 3

    assert bench.left == ["m4"]
    assert bench.inbox.parked == {}


async def test_all_pages_of_a_folder_are_read() -> None:
    bench = Bench(*(a_mail(n) for n in range(25)), page_limit=4)
    bench.publisher.answer = lambda message: PublishUnroutable() if message.message_id in {"m1", "m9"} else None

    await bench.once()

    assert bench.left == ["m1", "m9"]
    assert sorted(bench.publisher.ids) == sorted(f"m{n}" for n in range(25))


async def test_every_watched_folder_is_read() -> None:
    bench = Bench(
        a_mail(1),
        a_mail(2, folder="junkemail"),
        options=IngestOptions(folders=("inbox", "junkemail")),
    )

    await bench.once()

    assert bench.left == []


async def test_unconfirmed_mails_and_bytes_stay_below_their_bounds() -> None:
    limits = TransferLimits(batch=BatchLimits(5, 500), fetches_in_flight=2, unconfirmed=7)
    bench = Bench(*(a_mail(n, size=100) for n in range(60)), options=IngestOptions(limits=limits))
    bench.budget = bench.reader._budget = ByteBudget(1_500)
    bench.publisher.withhold = True
    reading = asyncio.create_task(bench.once())
    most = 0

    while not reading.done():
        for _ in range(50):
            await asyncio.sleep(0)
        most = max(most, len(bench.publisher.outstanding))
        assert bench.budget.taken_bytes <= 1_500
        settled = len(bench.publisher.published) - len(bench.publisher.outstanding)
        assert 100 * (sum(map(len, bench.inbox.fetches)) - settled) <= 1_500
        bench.publisher.confirm_all()

    assert await reading == 60
    assert most == 7


async def test_stop_finishes_what_is_under_way_and_starts_nothing() -> None:
    bench = Bench(*(a_mail(n) for n in range(50)))
    bench.publisher.withhold = True
    reading = asyncio.create_task(bench.once())
    while len(bench.publisher.outstanding) < 3:
        await asyncio.sleep(0)

    bench.stop.set()
    while not reading.done():
        bench.publisher.confirm_all()
        await asyncio.sleep(0)

    published = set(bench.publisher.ids)
    assert 3 <= len(published) < 50
    assert not published & set(bench.left)


@pytest.mark.parametrize("call", ["list_waiting", "fetch"])
async def test_stop_gives_up_a_read_that_hangs_and_gives_its_bytes_back(
    call: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Bench(a_mail(1))
    reached = asyncio.Event()

    async def hang(*_: object, **__: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(bench.inbox, call, hang)
    running = asyncio.create_task(bench.reader.run(bench.stop))
    await reached.wait()

    bench.stop.set()

    await asyncio.wait_for(running, 5)
    assert bench.budget.taken_bytes == 0
    assert bench.left


async def test_throttling_is_obeyed_and_told() -> None:
    bench = Bench(a_mail(1), options=IngestOptions(retry=RetryPolicy(first_seconds=0.01)))
    bench.inbox.fails["list"] = MailboxThrottled(retry_after_seconds=0.05)
    running = asyncio.create_task(bench.reader.run(bench.stop))
    while not bench.told(ReadingFailed):
        await asyncio.sleep(0)
    state = bench.health.state("mailbox:dispatch:ingest")
    del bench.inbox.fails["list"]

    while not bench.told(ReadingResumed):
        await asyncio.sleep(0.005)
    bench.stop.set()
    await running

    [failed] = bench.told(ReadingFailed)[:1]
    assert isinstance(failed, ReadingFailed)
    assert 0.05 <= failed.wait_seconds <= 0.06
    assert state is not None
    assert (state.status, state.code) == ("trouble", "mailbox_throttled")
    assert bench.left == []


async def test_an_operators_error_pauses_the_mailbox() -> None:
    bench = Bench(a_mail(1))
    bench.inbox.fails["list"] = EwsBlocked()
    running = asyncio.create_task(bench.reader.run(bench.stop))

    while not bench.told(ReadingFailed):
        await asyncio.sleep(0)
    bench.stop.set()
    await running

    [failed] = bench.told(ReadingFailed)
    assert isinstance(failed, ReadingFailed)
    assert (failed.paused, failed.code) == (True, "ews_blocked")
    assert failed.wait_seconds >= 30


async def test_a_bug_stops_the_reader_and_leaves_the_mail() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda _: ZeroDivisionError()

    with pytest.raises(ZeroDivisionError):
        await bench.reader.run(bench.stop)

    assert bench.left == ["m1"]


async def test_old_mail_is_told_of_before_it_is_taken() -> None:
    bench = Bench(a_mail(-30 * 86_400), a_mail(1))

    await bench.once()

    first = next(n for n, event in enumerate(bench.events) if isinstance(event, BacklogFound))
    assert not any(isinstance(event, MailPublished) for event in bench.events[:first])
    [told] = bench.told(BacklogFound)
    assert isinstance(told, BacklogFound)
    assert (told.waiting, told.oldest_age_seconds) == (2, 30 * 86_400)


async def test_much_mail_is_told_of_before_it_is_taken_though_it_is_young() -> None:
    bench = Bench(*(a_mail(n) for n in range(1_000)))

    await bench.once()

    [told] = bench.told(BacklogFound)
    assert isinstance(told, BacklogFound)
    assert told.waiting == 1_000


async def test_mail_in_the_junk_folder_is_counted_and_warned_of() -> None:
    bench = Bench(a_mail(1, folder="junkemail"), a_mail(2, folder="junkemail"))
    watching = asyncio.create_task(bench.reader.folder_watch.run(bench.stop))

    while not bench.told(JunkFound):
        await asyncio.sleep(0)
    bench.stop.set()
    await watching

    assert bench.told(JunkCounted) == [JunkCounted("dispatch", 2)]
    assert bench.told(JunkFound) == [JunkFound("dispatch", 2)]
    assert bench.left == ["m1", "m2"]


@pytest.mark.parametrize(("folders", "code"), [(("inbox",), "junk_waits"), (("inbox", "junkemail"), "ok")])
async def test_mail_in_the_junk_folder_is_a_warning_until_somebody_takes_it_away(
    folders: tuple[str, ...], code: str
) -> None:
    """Unless it is read as well."""
    options = IngestOptions(folders=folders, poll_interval_seconds=0.01, folder_counts_seconds=0.01)
    bench = Bench(a_mail(1, folder="junkemail"), options=options)
    counting = asyncio.create_task(bench.reader.folder_watch.run(bench.stop))
    while not bench.told(JunkCounted):
        await asyncio.sleep(0)
    running = asyncio.create_task(bench.reader.run(bench.stop))

    def told() -> str:
        state = bench.health.state(bench.reader.part)
        return state.code if state is not None else ""

    async with asyncio.timeout(10):
        while told() != code:
            await asyncio.sleep(0.001)
    assert bench.health.ready

    bench.inbox.mails.clear()
    async with asyncio.timeout(10):
        while told() != "ok":
            await asyncio.sleep(0.001)
    bench.stop.set()
    await asyncio.gather(counting, running)


@pytest.mark.parametrize(
    ("what", "code", "ready"),
    [
        ("parked", "mail_parked", True),
        ("nearly full", "mailbox_nearly_full", True),
        ("full", "mailbox_full", False),
        ("target gone", "folder_not_found", False),
    ],
)
async def test_what_is_wrong_beside_the_inbox_is_told_without_any_mail_until_it_is_mended(
    what: str, code: str, ready: bool
) -> None:
    """At once, though no listing is due for long; a mailbox that takes no more mail, or lets none go, is not ready."""
    options = IngestOptions(poll_interval_seconds=1_000, folder_counts_seconds=0.01)
    bench = Bench(options=options)
    running = asyncio.create_task(bench.reader.run(bench.stop))

    async def until_told(wanted: str) -> None:
        async with asyncio.timeout(10):
            while (state := bench.health.state(bench.reader.part)) is None or state.code != wanted:
                await asyncio.sleep(0.001)

    await until_told("ok")
    if what == "parked":
        parked = a_mail(1, folder=PARKED_FOLDER)
        bench.inbox.mails.append(parked)
        bench.inbox.parked[parked.ref.message_id] = "mail_unreadable"
    elif what == "target gone":
        bench.inbox.target_missing = True
    else:
        bench.inbox.size = MailboxSize(95 if what.startswith("nearly") else 100, 100, 100)
    await until_told(code)

    assert bench.health.ready == ready
    if what == "parked":
        assert ParkedCounted("dispatch", 1, {"mail_unreadable": 1}) in bench.events
    bench.inbox.mails.clear()
    bench.inbox.target_missing, bench.inbox.size = False, MailboxSize(1, 100, 100)
    await until_told("ok")
    if what == "parked":
        assert bench.told(ParkedCounted)[-1] in (
            ParkedCounted("dispatch", 0, {"mail_unreadable": 0}),
            ParkedCounted("dispatch", 0, {}),
        )
    bench.stop.set()
    await running


async def test_looks_beside_the_inbox_that_fail_again_and_again_are_told_while_mail_is_read() -> None:
    """Reading meets no such trouble: nobody would know that junk, parked mail and a full mailbox go unseen."""
    bench = Bench(options=IngestOptions(poll_interval_seconds=1_000, folder_counts_seconds=0.01))
    bench.inbox.fails["count"] = CallNotPossible()
    running = asyncio.create_task(bench.reader.run(bench.stop))

    async def until_told(wanted: str) -> None:
        async with asyncio.timeout(10):
            while (state := bench.health.state(bench.reader.part)) is None or state.code != wanted:
                await asyncio.sleep(0.001)

    await until_told(CallNotPossible.code)
    assert bench.health.ready
    del bench.inbox.fails["count"]
    await until_told("ok")
    bench.stop.set()
    await running


async def test_mails_between_publish_and_removal_are_counted() -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    bench.publisher.withhold = True
    reading = asyncio.create_task(bench.once())
    while len(bench.publisher.outstanding) < 3:
        await asyncio.sleep(0)

    during = bench.reader.in_flight
    while not reading.done():
        bench.publisher.confirm_all()
        await asyncio.sleep(0)

    assert (during, bench.reader.in_flight) == (3, 0)


async def test_a_mailbox_resumes_once_its_mails_can_be_removed_again() -> None:
    bench = Bench(a_mail(1), a_mail(2))
    bench.inbox.denies_removal = True
    for _ in range(5):
        await bench.once()
    with pytest.raises(RemovalImpossible):
        await bench.once()

    bench.inbox.denies_removal = False
    bench.inbox.mails.append(a_mail(3))
    await bench.once()

    assert bench.publisher.ids == ["m1", "m2", "m3"]
    assert bench.left == []


async def test_a_mail_listed_twice_is_published_once() -> None:
    bench = Bench(a_mail(1), a_mail(2), a_mail(1))

    await bench.once()

    assert bench.publisher.ids == ["m1", "m2"]
    assert bench.left == []


async def test_a_mail_that_is_listed_and_never_found_is_told_of() -> None:
    """ErrorItemNotFound of GetItem means gone, or no right: the next listings tell which."""
    bench = Bench(a_mail(1), a_mail(2))
    fetch = bench.inbox.fetch

    async def without_the_first(refs: list[MailRef]) -> object:
        return [VanishedMail(ref) if ref.message_id == "m1" else (await fetch([ref]))[0] for ref in refs]

    bench.inbox.fetch = without_the_first  # type: ignore[method-assign,assignment]
    for _ in range(3):
        await bench.once()

    assert bench.told(MailKept) == [MailKept("dispatch", "m1", "mail_unreadable")]
    assert bench.left == ["m1"]


@pytest.mark.parametrize(
    ("error", "code"), [(MailUnreadable(), "mail_unreadable"), (RecursionError("private"), "unexpected_error")]
)
async def test_a_mail_that_cannot_be_composed_stays_and_the_others_pass(error: Exception, code: str) -> None:
    bench = Bench(*(a_mail(n) for n in range(7)))

    async def stumble(mail: ReadMail) -> Sequence[Message]:
        if mail.ref.message_id == "m3":
            raise error
        return await compose(mail)

    bench.reader._large._compose = stumble
    for _ in range(3):
        await bench.once()

    assert bench.left == ["m3"]
    assert bench.told(MailKept) == [MailKept("dispatch", "m3", code)]
    assert bench.budget.taken_bytes == 0


async def test_a_mail_that_cannot_be_written_stays_and_the_others_pass() -> None:
    """A property that AMQP cannot carry, say."""
    bench = Bench(*(a_mail(n) for n in range(7)))
    bench.publisher.answer = lambda message: MessageError("x") if message.message_id == "m3" else None

    await bench.once()

    assert bench.left == ["m3"]
    assert bench.told(MailKept) == [MailKept("dispatch", "m3", "message")]


@pytest.mark.parametrize("error", [MailUnreadable(), MailboxThrottled(retry_after_seconds=0.0), MessageError()])
async def test_a_failing_listing_is_never_repeated_at_once(error: BridgeError) -> None:
    bench = Bench(a_mail(1))
    bench.inbox.fails["list"] = error
    running = asyncio.create_task(bench.reader.run(bench.stop))

    while not bench.told(ReadingFailed):
        await asyncio.sleep(0)
    bench.stop.set()
    await running

    [failed] = bench.told(ReadingFailed)
    assert isinstance(failed, ReadingFailed)
    assert failed.wait_seconds >= 1


async def test_a_stated_wait_has_a_ceiling() -> None:
    bench = Bench(a_mail(1))
    bench.inbox.fails["list"] = MailboxThrottled(retry_after_seconds=999_999_999.0)
    running = asyncio.create_task(bench.reader.run(bench.stop))

    while not bench.told(ReadingFailed):
        await asyncio.sleep(0)
    bench.stop.set()
    await running

    [failed] = bench.told(ReadingFailed)
    assert isinstance(failed, ReadingFailed)
    assert failed.wait_seconds <= 2 * 3_600


async def test_confirms_that_never_come_end_the_pass_and_not_the_process() -> None:
    """As after a process was frozen for longer than every bound: all its timers are due at once."""
    limits = TransferLimits(batch=BatchLimits(3, 1_000), settle_seconds=0.05)
    bench = Bench(a_mail(1), options=IngestOptions(limits=limits))
    bench.publisher.withhold = True

    with pytest.raises(PublishUnconfirmed):
        await bench.once()

    bench.publisher.withhold = False
    bench.publisher.confirm_all()  # late: proof all the same
    await bench.once()
    assert bench.publisher.ids == ["m1"]
    assert bench.left == []


@pytest.mark.parametrize(
    "error", [MailboxThrottled(retry_after_seconds=1.0), TokenUnavailable(), CredentialsRejected()]
)
async def test_no_mail_is_blamed_for_what_concerns_all(error: BridgeError) -> None:
    bench = Bench(a_mail(1))
    bench.inbox.fails["fetch"] = error

    for _ in range(8):
        with pytest.raises(type(error)):
            await bench.once()

    assert bench.told(MailKept) == []


async def test_no_more_mails_are_between_publish_and_removal_than_may_be_repeated() -> None:
    """A slow removal must not let the publishes run ahead: a crash repeats all of them."""
    limits = TransferLimits(batch=BatchLimits(5, 1_000), unconfirmed=7)
    bench = Bench(*(a_mail(n) for n in range(60)), options=IngestOptions(limits=limits))
    remove, most = bench.inbox.remove, 0

    async def slowly(published: list[tuple[MailRef, PublishReceipt]]) -> object:
        nonlocal most
        for _ in range(50):
            await asyncio.sleep(0)
            most = max(most, len(set(bench.publisher.ids) & set(bench.left)))
        return await remove(published)

    bench.inbox.remove = slowly  # type: ignore[method-assign,assignment]

    assert await bench.once() == 60
    assert bench.left == []
    assert most == 7


async def test_a_bug_in_the_removal_ends_the_reader() -> None:
    limits = TransferLimits(batch=BatchLimits(5, 1_000), unconfirmed=7)
    bench = Bench(*(a_mail(n) for n in range(60)), options=IngestOptions(limits=limits))

    async def stumble(_: object) -> object:
        raise ZeroDivisionError

    bench.inbox.remove = stumble  # type: ignore[method-assign,assignment]

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(bench.once(), 5)

    assert len(bench.publisher.ids) <= 7


async def test_health_says_so_while_nothing_that_waits_can_pass() -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    bench.publisher.answer = lambda _: PublishUnroutable()
    running = asyncio.create_task(bench.reader.run(bench.stop))
    while (state := bench.health.state(bench.reader.part)) is None or state.status == "starting":
        await asyncio.sleep(0)

    bench.stop.set()
    await running

    assert (state.status, state.code) == ("trouble", "publish_unroutable")


async def test_mails_that_pass_keep_health_good_while_one_stays() -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    bench.inbox.unreadable.add("item-1")
    running = asyncio.create_task(bench.reader.run(bench.stop))
    while (state := bench.health.state(bench.reader.part)) is None or state.status == "starting":
        await asyncio.sleep(0)

    bench.stop.set()
    await running

    assert state.status == "ok"


async def test_one_failure_does_not_slow_the_whole_backlog_down() -> None:
    """The mail that spoiled its batch is among the first; behind them whole batches are asked for again."""
    limits = TransferLimits(batch=BatchLimits(10, 10_000), unconfirmed=50)
    bench = Bench(*(a_mail(n, size=10) for n in range(400)), options=IngestOptions(limits=limits))
    bench.inbox.fails["fetch"] = MailboxUnavailable()
    with pytest.raises(MailboxUnavailable):
        await bench.once()
    del bench.inbox.fails["fetch"]
    before = len(bench.inbox.fetches)

    await bench.once()

    assert bench.left == []
    assert len(bench.inbox.fetches) - before < 60


async def test_a_receipt_that_comes_late_during_the_next_pass_holds_nothing_up() -> None:
    limits = TransferLimits(batch=BatchLimits(3, 1_000), unconfirmed=3, settle_seconds=0.05)
    bench = Bench(*(a_mail(n) for n in range(3)), options=IngestOptions(limits=limits))
    bench.publisher.withhold = True
    with pytest.raises(PublishUnconfirmed):
        await bench.once()
    bench.publisher.withhold = False
    bench.inbox.mails += [a_mail(3), a_mail(4)]

    async def as_the_receipts_come(mail: ReadMail) -> Sequence[Message]:
        bench.publisher.confirm_all()
        for _ in range(20):
            await asyncio.sleep(0)
        return await compose(mail)

    bench.reader._large._compose = as_the_receipts_come
    await asyncio.wait_for(bench.once(), 5)

    assert bench.left == []


async def test_a_mail_that_cannot_be_removed_is_passed_over_and_removed_later_without_a_second_publish() -> None:
    bench = Bench(*(a_mail(n) for n in range(6)))
    bench.inbox.stuck.add("item-2")

    await bench.once()
    await bench.once()
    assert bench.left == ["m2"]
    assert bench.told(MailKept) == [MailKept("dispatch", "m2", "removal_impossible")]

    bench.inbox.stuck.clear()
    bench.clock.seconds += IngestOptions().keep_seconds
    await bench.once()

    assert bench.left == []
    assert bench.publisher.ids == [f"m{n}" for n in range(6)]


async def test_the_mailbox_pauses_when_too_many_mails_cannot_be_removed_and_resumes() -> None:
    bench = Bench(*(a_mail(n) for n in range(60)))
    bench.inbox.stuck.update(f"item-{n}" for n in range(60))

    for _ in range(5):
        with pytest.raises(RemovalImpossible):
            await bench.once()
    published = len(bench.publisher.published)
    bench.inbox.stuck.clear()
    await bench.once()

    assert published < 30
    assert bench.left == []
    assert len(bench.publisher.published) == 60
