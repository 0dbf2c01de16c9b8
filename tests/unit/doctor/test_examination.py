"""A call to Exchange that is under way is brought to its end, whatever becomes of who waits for it."""

from __future__ import annotations

import asyncio
import gc

import pytest

from bridge.doctor.examination import to_its_end
from bridge.errors import MailboxUnavailable


async def test_who_is_interrupted_leaves_once_the_call_has_ended() -> None:
    may_end, ended = asyncio.Event(), asyncio.Event()

    async def call() -> None:
        await may_end.wait()
        ended.set()

    waiting = asyncio.create_task(to_its_end(call()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    assert not waiting.done()
    may_end.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert ended.is_set()


async def test_a_call_that_fails_for_nobody_says_nothing() -> None:
    """asyncio would tell of it on standard error, with a traceback."""
    told: list[dict[str, object]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    may_fail = asyncio.Event()

    async def call() -> None:
        await may_fail.wait()
        raise MailboxUnavailable

    waiting = asyncio.create_task(to_its_end(call()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.sleep(0)
    may_fail.set()

    with pytest.raises(asyncio.CancelledError):
        await waiting
    del waiting
    gc.collect()
    assert told == []


async def test_a_failure_is_handed_on() -> None:
    async def call() -> None:
        raise MailboxUnavailable

    with pytest.raises(MailboxUnavailable):
        await to_its_end(call())
