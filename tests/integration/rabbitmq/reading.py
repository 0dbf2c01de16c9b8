"""A mailbox that is read into a real broker, within the test's own process."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.system.clock import SystemClock
from bridge.domain.disposition import RetryPolicy
from bridge.flow.byte_budget import ByteBudget
from bridge.ingest.reader import IngestOptions, MailboxReader
from bridge.telemetry.health import Health
from bridge.telemetry.ingest_events import MailPublished, ReadingFailed
from tests.integration.rabbitmq.support import quick
from tests.support.memory.inbox import MemoryInbox
from tests.unit.ingest.doubles import compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from bridge.telemetry.events import Event


class Reading:
    """A worker of one mailbox, and what it told."""

    def __init__(self, publisher: RabbitPublisher) -> None:
        self.publisher = publisher
        self.inbox = MemoryInbox()
        self.events: list[Event] = []
        self.health = Health()

    def reader(self) -> MailboxReader:
        """Return the worker."""
        return MailboxReader(
            alias="dispatch",
            inbox=self.inbox,
            publisher=self.publisher,
            compose=compose,
            budget=ByteBudget(1 << 20),
            clock=SystemClock(),
            emit=self.events.append,
            health=self.health,
            options=IngestOptions(poll_interval_seconds=0.05, retry=RetryPolicy(0.2, 0.5, 0.5)),
        )

    def published(self) -> list[str]:
        """Return the ids of what was confirmed."""
        return [event.message_id for event in self.events if isinstance(event, MailPublished)]

    def failures(self) -> list[str]:
        """Return the codes of what kept it from reading."""
        return [event.code for event in self.events if isinstance(event, ReadingFailed)]


@asynccontextmanager
async def reading_to(*urls: str) -> AsyncIterator[Reading]:
    """A worker at one of these nodes, stopped afterwards."""
    async with RabbitPublisher(quick(*urls)) as publisher:
        reading, stop = Reading(publisher), asyncio.Event()
        running = asyncio.create_task(reading.reader().run(stop))
        try:
            yield reading
        finally:
            stop.set()
            await running


async def wait_until(condition: Callable[[], bool], what: str, *, seconds: float = 60) -> None:
    """Return once the condition holds; fail with `what` was waited for."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}") from None
