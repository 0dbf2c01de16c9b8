"""No more go out in a minute than Exchange takes, whichever worker dies, hangs or takes over at whichever moment."""

from __future__ import annotations

import asyncio
import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.domain.disposition import RetryPolicy
from bridge.domain.outbound_records import Stamp
from bridge.domain.send_rate import (
    OPEN_SECONDS,
    BegunSend,
    RateLimits,
    SendWindow,
    wait_in_line,
)
from bridge.errors import SendOutcomeUnknown
from tests.support.memory.broker import MemoryConsumer
from tests.unit.egress.harness import PLENTY, Bench, eventually

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
THREE = RateLimits(3, None)
PACED = replace(PLENTY, rate=THREE, consuming=RetryPolicy(0.01, 0.01, 0.01))
SENT = ("outbound.sent", None)


def begun(attempt: str, ago: float, *, done: float | None = None, recipients: int = 1) -> BegunSend:
    done_at = None if done is None else NOW - timedelta(seconds=done)
    return BegunSend(NOW - timedelta(seconds=ago), recipients, attempt, done_at)


def test_a_send_waits_for_those_before_it_and_for_none_behind_it() -> None:
    sends = [begun("a", 30, done=30), begun("b", 20), begun("c", 10, done=9), begun("d", 5), begun("e", 4)]

    assert wait_in_line(sends, NOW, THREE, attempt="c") == 0
    assert wait_in_line(sends, NOW, THREE, attempt="d") == 31  # when a is a minute and a second old
    assert wait_in_line(sends, NOW, THREE, attempt="e") > 31


def test_an_open_send_counts_for_three_minutes_and_a_done_one_for_one_from_when_it_was_marked() -> None:
    before = [begun(str(number), 170) for number in range(3)]

    assert wait_in_line([*before, begun("x", 0)], NOW, THREE, attempt="x") == OPEN_SECONDS - 170
    before = [begun(str(number), 170, done=10) for number in range(3)]
    assert wait_in_line([*before, begun("x", 0)], NOW, THREE, attempt="x") == 51
    before = [begun(str(number), 170, done=61) for number in range(3)]
    assert wait_in_line([*before, begun("x", 0)], NOW, THREE, attempt="x") == 0


def test_recipients_of_a_day_are_counted_in_line_too() -> None:
    limits = RateLimits(None, 10)
    sends = [begun("a", 7200, done=7200, recipients=6), begun("b", 60, done=59, recipients=4), begun("c", 0)]

    assert wait_in_line(sends, NOW, limits, attempt="b") == 0
    assert wait_in_line(sends, NOW, limits, attempt="c") == 86_400 - 7200 + 1


def test_a_turn_that_was_settled_while_the_ledger_was_read_is_not_forgotten() -> None:
    window = SendWindow(THREE)
    turns = [window.take(100, 1) for _ in range(3)]
    window.settle(turns[0], 101)
    window.settle(turns[1], 103)

    window.read_anew([], since=102)

    assert window.left(103) == (1, float("inf"))


def most_in_a_minute(moments: Sequence[datetime]) -> int:
    minute = timedelta(seconds=60)
    return max(sum(1 for other in moments if last - minute < other <= last) for last in moments)


@pytest.mark.parametrize("method", ["create_draft", "find_drafts", "find_in_ledger", "enter_begun", "begun_since"])
async def test_a_worker_that_hangs_with_a_turn_in_hand_sends_none_too_many_when_it_wakes_up(method: str) -> None:
    bench = Bench(options=PACED)
    stop, other_stop = asyncio.Event(), asyncio.Event()
    consumer = MemoryConsumer(bench.broker)
    hung = asyncio.create_task(bench.sender(consumer).run(stop))
    await eventually(lambda: len(bench.broker.consumers) == 2)
    await eventually(lambda: "begun_since" in bench.mailbox.calls)
    reached, go = bench.mailbox.freeze(method)
    bench.request("hung")
    await eventually(reached.is_set)

    for number in range(3):
        await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp(f"o-{number}", f"o-{number}", "d"), 1))
        bench.mailbox.submitted_at.append(bench.clock.now())
    go.set()
    await eventually(lambda: bool(bench.events()) or bool(bench.waiting()))

    assert most_in_a_minute(bench.mailbox.submitted_at) <= 3
    for event in (stop, other_stop):
        event.set()
    await hung


async def test_a_worker_that_is_frozen_at_the_call_itself_sends_none_too_many_when_it_wakes_up() -> None:
    """Its entry is counted no more by then, and others have had the minute."""
    bench = Bench(options=PACED)
    reached, go = bench.mailbox.freeze("send")
    bench.request("frozen")

    async with bench.running():
        await eventually(reached.is_set)
        bench.clock.seconds += OPEN_SECONDS
        for number in range(3):
            await bench.mailbox.mark_done(await bench.mailbox.enter_begun(Stamp(f"o-{number}", f"o-{number}", "d"), 1))
            bench.mailbox.submitted_at.append(bench.clock.now())
        go.set()
        await eventually(lambda: bool(bench.events()) or bool(bench.waiting()))
        assert bench.mailbox.calls.count("send") == 1
        assert not bench.mailbox.submissions
        bench.come_back()
        await eventually(lambda: bool(bench.events()))

    assert bench.told() == [SENT]
    assert most_in_a_minute(bench.mailbox.submitted_at) <= 3


@pytest.mark.timeout(120)
@pytest.mark.parametrize("seed", range(12))
async def test_none_too_many_go_out_in_any_minute_however_workers_die_and_lose_answers(seed: int) -> None:
    chance = random.Random(seed)
    bench = Bench(options=PACED)
    bench.mailbox.jitter = chance
    requests = [f"r-{number}" for number in range(12)]
    for request_id in requests:
        bench.request(request_id, urgent=chance.random() < 0.3)

    for _ in range(6):
        for method in ("send", "enter_begun", "mark_done"):
            if chance.random() < 0.5:
                bench.mailbox.lose_answer(method, chance.choice(["executed", "never"]))
        calls = len(bench.mailbox.calls) + chance.randrange(5, 60)
        bench.come_back()
        workers = [asyncio.create_task(bench.sender().run(asyncio.Event())) for _ in range(2)]
        turns = 0
        while len(bench.mailbox.calls) < calls and turns < 3000:
            turns += 1
            await asyncio.sleep(0)
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    bench.mailbox._losses.clear()

    def all_members() -> bool:
        bench.clock.seconds += 0.05
        bench.come_back()
        return {event.request_id for event in bench.events() if event.event != "outbound.delayed"} == set(requests)

    async with bench.running():
        await eventually(all_members)

    assert len(bench.mailbox.submissions) <= len(requests)
    assert most_in_a_minute(bench.mailbox.submitted_at) <= 3


async def test_a_send_whose_answer_comes_late_counts_from_when_it_went_out() -> None:
    """The window is about mails, not about entries: a slow one may go out a minute after its entry."""
    bench = Bench(options=PACED)
    bench.mailbox.fail_next("send", SendOutcomeUnknown(retry_after_seconds=4))
    for number in range(7):
        bench.request(f"r-{number}")

    def all_members() -> bool:
        bench.come_back()
        return bench.told() == [SENT] * 7

    async with bench.running():
        await eventually(all_members)

    assert most_in_a_minute(bench.mailbox.submitted_at) <= 3
