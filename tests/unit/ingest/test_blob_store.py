"""A blob store that takes nothing holds up large mails, says so, and loses none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bridge.domain.batches import BatchLimits, is_large
from bridge.domain.mail import FailedFetch
from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable
from bridge.flow.byte_budget import ByteBudget
from bridge.ingest.limits import TransferLimits
from bridge.ingest.reader import IngestOptions
from bridge.telemetry.ingest_events import MailKept
from tests.unit.ingest.doubles import a_mail, compose
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import Fetched, MailRef, ReadMail
    from bridge.errors import BridgeError
    from bridge.ports.broker import Message


def _code(bench: Bench) -> str:
    state = bench.health.state(bench.reader.part)
    return state.code if state is not None else ""


@pytest.mark.parametrize(
    "error",
    [
        BlobStoreUnavailable(),
        BlobStoreUnavailable(code="blob_store_slow"),
        BlobStoreUnavailable(code="blob_store_corrupts"),
        BlobStoreUnusable(code="blob_store_full"),
        BlobStoreUnusable(code="blob_store_refused"),
        BlobStoreUnusable(code="blob_store_missing"),
        BlobStoreUnusable(code="spool_unusable"),
    ],
)
async def test_a_large_mail_waits_for_the_store_and_small_ones_pass_it(
    error: BridgeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays where it is, health says why, and it goes once the store takes it."""
    store_takes_nothing = True

    async def into_a_store(mail: ReadMail) -> Sequence[Message]:
        if mail.ref.message_id == "m1" and store_takes_nothing:
            raise error
        return await compose(mail)

    bench = Bench(*(a_mail(n) for n in range(3)))
    monkeypatch.setattr(bench.reader._large, "_compose", into_a_store)
    stop = asyncio.Event()
    reading = asyncio.create_task(bench.reader.run(stop))

    async with asyncio.timeout(30):
        while bench.left != ["m1"] or _code(bench) != error.code:
            await asyncio.sleep(0)
        assert bench.publisher.ids == ["m0", "m2"]
        assert bench.told(MailKept) != []
        store_takes_nothing = False
        bench.clock.seconds += IngestOptions().keep_seconds
        bench.reader.wake.set()
        while bench.left or _code(bench) != "ok":
            await asyncio.sleep(0)
    stop.set()
    await reading

    assert bench.publisher.ids == ["m0", "m2", "m1"]
    assert bench.budget.taken_bytes == 0


async def test_a_large_mail_that_cannot_be_kept_on_its_way_waits_and_others_pass(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = Bench(*(a_mail(n) for n in range(3)))
    fetch = bench.inbox.fetch

    async def fetch_without_room(refs: Sequence[MailRef]) -> Sequence[Fetched]:
        no_room = BlobStoreUnusable(code="spool_unusable")
        return [
            FailedFetch(ref, no_room) if ref.item_id == "item-1" else found
            for ref, found in zip(refs, await fetch(refs), strict=True)
        ]

    monkeypatch.setattr(bench.inbox, "fetch", fetch_without_room)

    await bench.once()

    assert bench.left == ["m1"]
    assert bench.publisher.ids == ["m0", "m2"]


async def test_large_mails_are_not_fetched_one_after_the_other_for_a_store_that_takes_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each is up to 150 MB of Exchange's allowance; the first tells as much as all."""
    large = [a_mail(number, size=5 << 20) for number in range(20)]
    limits = TransferLimits(batch=BatchLimits(3, 1_000), fetches_in_flight=1)
    bench = Bench(*large, a_mail(20), options=IngestOptions(limits=limits))

    async def into_a_store(mail: ReadMail) -> Sequence[Message]:
        if mail.ref.size_bytes > 1_000:
            raise BlobStoreUnusable(code="blob_store_full")
        return await compose(mail)

    monkeypatch.setattr(bench.reader._large, "_compose", into_a_store)

    await bench.once()

    assert len(bench.inbox.fetches) <= 3
    assert bench.publisher.ids == ["m20"]
    assert len(bench.left) == 20
    assert {event.code for event in bench.told(MailKept) if isinstance(event, MailKept)} == {"blob_store_full"}
    assert bench.budget.taken_bytes == 0


async def test_a_large_mail_that_waits_for_a_store_holds_up_no_other_mailbox(monkeypatch: pytest.MonkeyPatch) -> None:
    """It takes all that large mails may take together, for as long as the store does not answer."""
    slow, other = Bench(a_mail(0, size=100 << 20)), Bench(*(a_mail(n) for n in range(20)))
    large_budget, begun, answered = ByteBudget(100 << 20), asyncio.Event(), asyncio.Event()
    for bench in (slow, other):
        monkeypatch.setattr(bench.reader, "_budget", slow.budget)
        monkeypatch.setattr(bench.reader._large, "_budget", large_budget)

    async def into_a_slow_store(mail: ReadMail) -> Sequence[Message]:
        begun.set()
        await answered.wait()
        return await compose(mail)

    monkeypatch.setattr(slow.reader._large, "_compose", into_a_slow_store)
    storing = asyncio.create_task(slow.once())
    async with asyncio.timeout(30):
        await begun.wait()
        assert await other.once() == 20
        answered.set()
        assert await storing == 1

    assert large_budget.taken_bytes == slow.budget.taken_bytes == 0


class _HangingStore:
    """Answers nothing for large mails until it is told to, and counts who asks."""

    def __init__(self) -> None:
        self.answers = asyncio.Event()
        self.error: BridgeError | None = None
        self.asked: list[str] = []
        self.budget = ByteBudget(10 << 20)

    async def compose(self, mail: ReadMail) -> Sequence[Message]:
        if is_large(mail.ref):
            self.asked.append(mail.ref.message_id)
            await self.answers.wait()
            if self.error is not None:
                raise self.error
        return await compose(mail)


def _beside_a_hanging_store(monkeypatch: pytest.MonkeyPatch, *large: int) -> tuple[Bench, _HangingStore]:
    store = _HangingStore()
    bench = Bench(*(a_mail(n, size=(5 << 20) if n in large else 100) for n in range(6)))
    monkeypatch.setattr(bench.reader._large, "_compose", store.compose)
    monkeypatch.setattr(bench.reader._large, "_budget", store.budget)
    monkeypatch.setattr(bench.reader._large, "_patience", lambda _: 0.01)
    return bench, store


async def test_mails_pass_a_large_one_whose_store_does_not_answer_and_it_follows_without_being_fetched_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, store = _beside_a_hanging_store(monkeypatch, 1, 3)
    stop = asyncio.Event()
    reading = asyncio.create_task(bench.reader.run(stop))

    async with asyncio.timeout(30):
        while bench.left != ["m1", "m3"] or _code(bench) != "blob_store_slow":
            await asyncio.sleep(0)
        assert bench.publisher.ids == ["m0", "m2", "m4", "m5"]
        assert store.asked == ["m1"]
        fetches = list(bench.inbox.fetches)
        store.answers.set()
        while bench.left or _code(bench) != "ok":
            await asyncio.sleep(0)
    stop.set()
    await reading

    assert bench.publisher.ids == ["m0", "m2", "m4", "m5", "m1", "m3"]
    assert store.asked == ["m1", "m3"]
    assert bench.inbox.fetches[len(fetches) :] == [["item-3"]]
    assert bench.budget.taken_bytes == store.budget.taken_bytes == 0


async def test_what_became_of_a_large_mail_that_others_passed_is_told_and_it_is_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, store = _beside_a_hanging_store(monkeypatch, 1)
    store.error = BlobStoreUnusable(code="blob_store_full")

    await bench.once()
    assert bench.left == ["m1"]
    assert store.budget.taken_bytes == 5 << 20
    store.answers.set()
    async with asyncio.timeout(30):
        await bench.reader.wake.wait()
    assert store.budget.taken_bytes == 0
    await bench.once()

    assert bench.left == ["m1"]
    kept = [event.code for event in bench.told(MailKept) if isinstance(event, MailKept)]
    assert kept == ["blob_store_slow", "blob_store_full"]
    store.error = None
    bench.clock.seconds += IngestOptions().keep_seconds
    await bench.once()
    assert bench.publisher.ids[-1] == "m1"
    assert bench.left == []


async def test_a_stop_gives_up_a_large_mail_that_others_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    bench, store = _beside_a_hanging_store(monkeypatch, 1)
    stop = asyncio.Event()
    reading = asyncio.create_task(bench.reader.run(stop))

    async with asyncio.timeout(30):
        while bench.left != ["m1"]:
            await asyncio.sleep(0)
        stop.set()
        await reading

    assert bench.left == ["m1"]
    assert bench.budget.taken_bytes == store.budget.taken_bytes == 0
