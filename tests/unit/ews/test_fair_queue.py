"""Calls of a mailbox take turns, and their number follows from how they go."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest

from bridge.adapters.ews.fair_queue import FairQueue
from bridge.errors import BridgeError, CallRefused, MailboxThrottled, MailboxUnavailable


class Time:
    """Seconds that pass when told to."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds


async def _let_others_run() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_no_more_have_a_turn_than_are_allowed_and_they_come_in_order() -> None:
    turns, order = FairQueue(2, slow_seconds=30), list[int]()
    over = [asyncio.Event() for _ in range(5)]

    async def call(number: int) -> None:
        async with turns.one():
            order.append(number)
            await over[number].wait()

    calls = [asyncio.create_task(call(number)) for number in range(5)]
    await _let_others_run()
    assert order == [0, 1]
    over[1].set()
    await _let_others_run()
    assert order == [0, 1, 2]

    for one in over:
        one.set()
    await asyncio.gather(*calls)
    assert order == [0, 1, 2, 3, 4]


async def test_whoever_gives_up_waiting_holds_up_nobody() -> None:
    turns, over = FairQueue(1, slow_seconds=30), asyncio.Event()

    async def call() -> None:
        async with turns.one():
            await over.wait()

    first, second, third = (asyncio.create_task(call()) for _ in range(3))
    await _let_others_run()
    second.cancel()
    first.cancel()
    await _let_others_run()
    over.set()
    await asyncio.wait_for(third, 5)

    async with asyncio.timeout(5), turns.one():
        pass


async def test_whoever_is_let_in_at_the_moment_of_giving_up_leaves_the_turn_to_the_next() -> None:
    turns, over = FairQueue(1, slow_seconds=30), asyncio.Event()

    async def call() -> None:
        async with turns.one():
            await over.wait()

    second = third = None
    async with turns.one():
        second, third = asyncio.create_task(call()), asyncio.create_task(call())
        await _let_others_run()
    second.cancel()
    over.set()
    await asyncio.wait_for(third, 5)

    assert second.cancelled()
    async with asyncio.timeout(5), turns.one():
        pass


@pytest.mark.parametrize(
    ("error", "seconds", "allowed"),
    [
        (MailboxThrottled(), 0.1, 4),
        (MailboxUnavailable("no answer"), 45, 4),
        (MailboxUnavailable("reset"), 0.1, 8),
        (CallRefused(), 45, 8),
    ],
)
async def test_a_call_that_was_one_too_many_lowers_the_limit(error: BridgeError, seconds: float, allowed: int) -> None:
    time = Time()
    turns = FairQueue(8, slow_seconds=30, monotonic=time)

    async def call() -> None:
        async with turns.one():
            time.seconds += seconds
            raise error

    with pytest.raises(type(error)):
        await call()

    assert turns.limit.allowed == allowed


async def test_a_throttling_that_is_told_of_one_mail_in_a_batch_lowers_it_as_well() -> None:
    turns = FairQueue(8, slow_seconds=30)

    async with turns.one() as turn:
        turn.kind, turn.throttled = ("GetItem", 10), True

    assert turns.limit.allowed == 4


async def test_calls_that_only_wait_at_the_other_side_become_fewer() -> None:
    time = Time()
    turns = FairQueue(8, slow_seconds=1_000, monotonic=time)
    for _ in range(600):
        async with AsyncExitStack() as stack:  # whatever is under way takes as long as all of it together
            made = [await stack.enter_async_context(turns.one()) for _ in range(turns.limit.allowed)]
            time.seconds += 0.1 * len(made)
            for turn in made:
                turn.kind = "GetItem", 10

    assert 3 <= turns.limit.size <= 6
