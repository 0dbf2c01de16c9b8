"""Urgent requests go first, and nobody waits for what somebody else could use."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from bridge.domain.send_rate import RateLimits, SendWindow
from bridge.egress.admission.queue import RATE_LIMITED, ConcurrencyLimit, RateLimiter
from bridge.egress.conclusion import Released, RetryLater
from tests.support.clock import START, HeldClock


async def settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def a_gate(clock: HeldClock, per_minute: int = 1) -> RateLimiter:
    return RateLimiter(SendWindow(RateLimits(per_minute, None)), clock)


async def use_a_turn(gate: RateLimiter, *, urgent: bool = False) -> None:
    """Have a turn, and use it up at once."""
    turn = await gate.take_turn(recipients=1, urgent=urgent, expires_at=None)
    assert turn is not None
    assert not isinstance(turn, RetryLater | Released)
    gate.settle(turn)


async def test_urgent_mail_overtakes_those_that_wait() -> None:
    clock = HeldClock()
    gate, order = a_gate(clock), list[str]()

    async def take(name: str, *, urgent: bool) -> None:
        await use_a_turn(gate, urgent=urgent)
        order.append(name)

    async with asyncio.TaskGroup() as tasks:
        for name in ("first", "second", "third"):
            tasks.create_task(take(name, urgent=False))
        await settle()
        tasks.create_task(take("urgent", urgent=True))
        await settle()
        for _ in range(3):
            await clock.move(60)

    assert order == ["first", "urgent", "second", "third"]


async def test_turn_that_is_given_back_goes_to_the_next() -> None:
    clock = HeldClock()
    gate = a_gate(clock)
    turn = await gate.take_turn(recipients=1, urgent=False, expires_at=None)
    waiting = asyncio.create_task(gate.take_turn(recipients=1, urgent=False, expires_at=None))
    await settle()
    assert not waiting.done()

    assert turn is not None
    assert not isinstance(turn, RetryLater | Released)
    gate.give_back(turn)

    await asyncio.wait_for(waiting, 30)


async def test_turn_in_hand_counts_as_one_that_goes_out_at_this_moment() -> None:
    clock = HeldClock()
    gate = a_gate(clock)
    turn = await gate.take_turn(recipients=1, urgent=False, expires_at=None)
    waiting = asyncio.create_task(gate.take_turn(recipients=1, urgent=False, expires_at=None))
    await settle()

    await clock.move(59)
    assert turn is not None
    assert not isinstance(turn, RetryLater | Released)
    gate.settle(turn)
    await settle()
    await clock.move(59)
    assert not waiting.done()
    await clock.move(1)

    await asyncio.wait_for(waiting, 30)


async def test_mail_that_expires_in_the_line_gets_no_turn() -> None:
    clock = HeldClock()
    gate = a_gate(clock)
    await gate.take_turn(recipients=1, urgent=False, expires_at=None)
    waiting = [
        asyncio.create_task(gate.take_turn(recipients=1, urgent=False, expires_at=START + timedelta(seconds=5)))
        for _ in range(2)
    ]
    await settle()

    await clock.move(5)

    assert [await asyncio.wait_for(one, 30) for one in waiting] == [None, None]


async def test_worker_that_stops_sends_nobody_through() -> None:
    clock = HeldClock()
    gate = a_gate(clock)
    await gate.take_turn(recipients=1, urgent=False, expires_at=None)
    waiting = asyncio.create_task(gate.take_turn(recipients=1, urgent=False, expires_at=None))
    await settle()

    gate.close()

    assert await asyncio.wait_for(waiting, 30) == Released()


async def test_cancelled_waiter_leaves_the_line() -> None:
    clock = HeldClock()
    gate = a_gate(clock)
    await use_a_turn(gate)
    gone = asyncio.create_task(gate.take_turn(recipients=1, urgent=True, expires_at=None))
    stays = asyncio.create_task(gate.take_turn(recipients=1, urgent=False, expires_at=None))
    await settle()

    gone.cancel()
    await settle()
    await clock.move(60)

    assert await asyncio.wait_for(stays, 30)


async def test_slot_is_free_for_others_while_its_holder_is_away() -> None:
    clock = HeldClock()
    slots, order, back = ConcurrencyLimit(1, clock), list[str](), asyncio.Event()

    async def waits() -> None:
        async with slots.slot(urgent=False) as slot:
            async with slot.away():
                await back.wait()
            order.append("ordinary")

    async def works(name: str, *, urgent: bool) -> None:
        async with slots.slot(urgent=urgent):
            order.append(name)
            await settle()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(waits())
        await settle()
        tasks.create_task(works("urgent", urgent=True))
        await settle()
        assert order == ["urgent"]
        back.set()

    assert order == ["urgent", "ordinary"]


async def test_holder_cancelled_while_away_gives_no_slot_back_twice() -> None:
    clock = HeldClock()
    slots = ConcurrencyLimit(1, clock)

    async def waits() -> None:
        async with slots.slot(urgent=False) as slot, slot.away():
            await asyncio.Event().wait()

    away = asyncio.create_task(waits())
    await settle()
    away.cancel()
    await asyncio.gather(away, return_exceptions=True)

    async with slots.slot(urgent=False):
        other = asyncio.create_task(slots.enter(urgent=False))
        await settle()
        assert not other.done()
        other.cancel()


async def test_urgent_mail_whose_turn_is_far_away_is_back_in_the_line_before_it_comes() -> None:
    """A day that is used up: whoever comes back only when the day has room finds it taken by another."""
    clock = HeldClock()
    window = SendWindow(RateLimits(None, 1))
    gate = RateLimiter(window, clock, longest_wait_seconds=60)
    await gate.take_turn(recipients=1, urgent=False, expires_at=None)

    urgent = await gate.take_turn(recipients=1, urgent=True, expires_at=None)
    ordinary = await gate.take_turn(recipients=1, urgent=False, expires_at=None)

    assert urgent == RetryLater(RATE_LIMITED, 30)
    assert ordinary == RetryLater(RATE_LIMITED, 86_400)
