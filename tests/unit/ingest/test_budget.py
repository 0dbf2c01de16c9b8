"""The ceiling on bytes in flight."""

import asyncio
import contextlib

from bridge.flow.byte_budget import ByteBudget


async def test_what_does_not_fit_waits_its_turn() -> None:
    budget = ByteBudget(100)
    first = await budget.take(60)
    second, third = asyncio.create_task(budget.take(60)), asyncio.create_task(budget.take(10))
    await asyncio.sleep(0)

    assert (second.done(), third.done(), budget.taken_bytes) == (False, False, 60)
    budget.give_back(first)
    assert (await second, await third, budget.taken_bytes) == (60, 10, 70)


async def test_what_is_larger_than_the_whole_waits_until_it_is_alone() -> None:
    budget = ByteBudget(100)
    small = await budget.take(1)
    huge = asyncio.create_task(budget.take(5_000))
    await asyncio.sleep(0)

    assert not huge.done()
    budget.give_back(small)
    assert await huge == 100


async def test_one_who_gives_up_waiting_takes_nothing() -> None:
    budget = ByteBudget(100)
    first = await budget.take(100)
    given_up, next_one = asyncio.create_task(budget.take(50)), asyncio.create_task(budget.take(80))
    await asyncio.sleep(0)

    given_up.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await given_up
    budget.give_back(first)

    assert (await next_one, budget.taken_bytes) == (80, 80)


async def test_one_who_gives_up_as_his_turn_comes_gives_it_on() -> None:
    budget = ByteBudget(100)
    first = await budget.take(100)
    given_up, next_one = asyncio.create_task(budget.take(90)), asyncio.create_task(budget.take(90))
    await asyncio.sleep(0)

    budget.give_back(first)
    given_up.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await given_up

    assert (await next_one, budget.taken_bytes) == (90, 90)
