"""Takes the deliveries of a queue and works on them side by side, until the worker is to stop."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Coroutine

    from bridge.ports.broker import Delivery


async def take_deliveries(
    deliveries: AsyncGenerator[Delivery, None],
    work: Callable[[Delivery], Coroutine[Any, Any, None]],
    stop: asyncio.Event,
    *,
    stop_within_seconds: float,
) -> None:
    """
    Work on each delivery in a task of its own, as many as the prefetch lets through, until `stop` is set.

    Then what is under way is finished within `stop_within_seconds`, and only after that the consumption ends: it would
    take the deliveries away from those who still work on them. What is not settled goes back to the queue.

    Raises:
        BridgeError: The queue cannot be consumed.
        Exception: A bug in `work`; the others are cancelled.
    """
    tasks: set[asyncio.Task[None]] = set()
    async with aclosing(deliveries):
        stopped = asyncio.ensure_future(stop.wait())
        arriving = _next(deliveries)
        seconds = 0.0  # cancelled from outside, or a bug: there is no time at all
        try:
            while not stop.is_set():
                await asyncio.wait({arriving, stopped, *tasks}, return_when=asyncio.FIRST_COMPLETED)
                _reap(tasks)
                if arriving.done() and not stop.is_set():
                    tasks.add(asyncio.create_task(work(arriving.result())))
                    arriving = _next(deliveries)
            seconds = stop_within_seconds
        except BridgeError:
            seconds = stop_within_seconds
            raise
        finally:
            await _finish(tasks, seconds)
            for future in (arriving, stopped):
                future.cancel()
            await asyncio.gather(arriving, stopped, return_exceptions=True)
            _reap(tasks)  # a bug is not to be lost behind a queue that failed at the same time


def _next(deliveries: AsyncGenerator[Delivery, None]) -> asyncio.Task[Delivery]:
    async def step() -> Delivery:
        return await anext(deliveries)

    return asyncio.create_task(step())


def _reap(tasks: set[asyncio.Task[None]]) -> None:
    """Forget the tasks that are done; an error of theirs is a bug, and is raised."""
    for task in [task for task in tasks if task.done()]:
        tasks.discard(task)
        if not task.cancelled():
            task.result()


async def _finish(tasks: set[asyncio.Task[None]], seconds: float) -> None:
    if not tasks:
        return
    try:
        if seconds:
            await asyncio.wait(tasks, timeout=seconds)
    finally:
        for task in tasks:
            task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
