"""A blob store that takes nothing holds up large mails, says so, and loses none."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bridge.domain.batches import BatchLimits
from bridge.domain.mail import FailedFetch
from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable
from bridge.telemetry.ingest_events import MailKept
from bridge.workers.budget import ByteBudget
from bridge.workers.ingest import IngestOptions
from bridge.workers.ingest_limits import TransferLimits
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
    monkeypatch.setattr(bench.reader, "_compose", into_a_store)
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

    monkeypatch.setattr(bench.reader, "_compose", into_a_store)

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
        monkeypatch.setattr(bench.reader, "_large_budget", large_budget)

    async def into_a_slow_store(mail: ReadMail) -> Sequence[Message]:
        begun.set()
        await answered.wait()
        return await compose(mail)

    monkeypatch.setattr(slow.reader, "_compose", into_a_slow_store)
    storing = asyncio.create_task(slow.once())
    async with asyncio.timeout(30):
        await begun.wait()
        assert await other.once() == 20
        answered.set()
        assert await storing == 1

    assert large_budget.taken_bytes == slow.budget.taken_bytes == 0
