"""Waits of the workers' loops."""

from __future__ import annotations

import asyncio

from bridge.flow.waiting import wait_for_any


async def test_a_wait_that_is_cancelled_ends_whatever_is_set_meanwhile() -> None:
    """A task that survives its cancellation holds up the end of a worker that has met a bug."""
    for turns in range(12):
        event = asyncio.Event()

        async def wait(event: asyncio.Event = event) -> None:
            await wait_for_any(60, event)
            await asyncio.Event().wait()

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        event.set()
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()

        done, _ = await asyncio.wait({task}, timeout=1)

        assert done
        assert task.cancelled()
