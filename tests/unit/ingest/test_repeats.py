"""Whatever brings a mail back after it was published: it stops, the others pass, and it is told."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.domain.publish_brake import PUBLISHES_PER_HOUR
from bridge.errors import BridgeError, PublishedTooOften, PublishRefused, PublishUnconfirmed, PublishUnroutable
from bridge.telemetry.ingest_events import MailKept
from tests.unit.ingest.doubles import a_mail
from tests.unit.ingest.test_reader import Bench

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailRef, Removal
    from bridge.ports.broker import PublishReceipt
    from tests.support.memory.inbox import StoredMail


def that_comes_back(bench: Bench, *, but: str = "") -> None:
    """Let a rule put every removed mail back into the inbox, under a new id as Exchange does."""
    take_out = bench.inbox.remove
    moves = 0

    async def remove(published: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        nonlocal moves
        back: list[StoredMail] = []
        for stored in bench.inbox.mails:
            if stored.ref.item_id in {ref.item_id for ref, _ in published} and stored.ref.message_id != but:
                moves += 1
                back.append(replace(stored, ref=replace(stored.ref, item_id=f"moved-{moves}")))
        removals = await take_out(published)
        bench.inbox.mails += back
        return removals

    bench.inbox.remove = remove  # type: ignore[method-assign]


async def passes(bench: Bench, seconds: float, *, each: float = 1.0) -> None:
    for _ in range(int(seconds / each)):
        with contextlib.suppress(BridgeError):  # as the reader's own loop does, which waits then
            await bench.once()
        bench.clock.seconds += each


async def test_a_mail_that_comes_back_each_time_is_published_a_stated_number_of_times_an_hour() -> None:
    bench = Bench(a_mail(1), a_mail(2), a_mail(3))
    that_comes_back(bench, but="m2")

    await passes(bench, 3_599)

    assert bench.publisher.ids.count("m1") <= PUBLISHES_PER_HOUR
    assert bench.publisher.ids.count("m3") <= PUBLISHES_PER_HOUR
    assert bench.publisher.ids.count("m2") == 1
    assert sorted(bench.left) == ["m1", "m3"]
    assert {event.code for event in bench.told(MailKept)} == {PublishedTooOften.code}  # type: ignore[attr-defined]


async def test_others_pass_a_mail_that_is_stopped() -> None:
    bench = Bench(a_mail(1))
    that_comes_back(bench, but="m2")
    await passes(bench, 60)

    bench.inbox.mails.append(a_mail(2))
    await passes(bench, 1)

    assert bench.publisher.ids == ["m1"] * 10 + ["m2"]


async def test_a_stopped_mail_is_not_fetched_again_and_again() -> None:
    bench = Bench(a_mail(1))
    that_comes_back(bench)

    await passes(bench, 300)

    assert len(bench.inbox.fetches) == 10


@pytest.mark.parametrize("answer", [PublishUnconfirmed(), PublishRefused()])
async def test_publishes_that_may_have_left_a_copy_count_whatever_their_answer(answer: BridgeError) -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda _: answer

    await passes(bench, 3_599)

    assert bench.publisher.ids.count("m1") <= PUBLISHES_PER_HOUR
    assert bench.left == ["m1"]


async def test_a_mail_that_no_queue_wanted_all_day_passes_as_soon_as_one_does() -> None:
    bench = Bench(a_mail(1))
    bench.publisher.answer = lambda _: PublishUnroutable()
    await passes(bench, 3_600, each=31)
    tried = len(bench.publisher.ids)
    assert tried > PUBLISHES_PER_HOUR

    bench.publisher.answer = lambda _: None
    await passes(bench, 31, each=31)

    assert bench.left == []


async def test_copies_of_a_mail_on_one_page_are_counted_together() -> None:
    """A person can copy a mail in Outlook; the copies have its message_id."""
    copy = a_mail(1)
    bench = Bench(*(replace(copy, ref=replace(copy.ref, item_id=f"copy-{n}")) for n in range(30)))

    await bench.once()

    assert bench.publisher.ids == ["m1"] * 10
    assert len(bench.left) == 20


async def test_a_stopped_mail_shows_in_health_while_others_pass() -> None:
    bench = Bench(a_mail(1))
    that_comes_back(bench, but="m2")
    await passes(bench, 60)
    bench.inbox.mails.append(a_mail(2))

    task = asyncio.create_task(bench.reader.run(bench.stop))
    state = None
    async with asyncio.timeout(30):
        while state is None or state.status != "trouble" or bench.left != ["m1"]:
            await asyncio.sleep(0)
            state = bench.health.state("mailbox:dispatch:ingest")
    bench.stop.set()
    await task

    assert state.code == PublishedTooOften.code
