"""Counts now and then what of one mailbox lies where the bridge does not read: junk, and parked mail."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING

from bridge.errors import BridgeError
from bridge.ports.unhurried import unhurried
from bridge.telemetry.ingest_events import JunkCounted, JunkFound, ParkedCounted
from bridge.workers.loop import wait_for_any

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit


class AsideWatch:
    """Of one mailbox, while this worker reads it. It warns of new junk: nobody else looks there."""

    def __init__(self, alias: str, inbox: Inbox, emit: Emit, *, every_seconds: float) -> None:
        self._alias = alias
        self._inbox = inbox
        self._emit = emit
        self._every_seconds = every_seconds
        self.junk = 0
        """How many mails were seen in the junk folder last."""

    @contextlib.asynccontextmanager
    async def running(self, ended: asyncio.Event) -> AsyncIterator[None]:
        """Count within the context."""
        watching = asyncio.create_task(self.run(ended))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def run(self, stop: asyncio.Event) -> None:
        """Count until `stop` is set."""
        told, least = 0, 0.2
        while not stop.is_set():
            with contextlib.suppress(BridgeError), unhurried():  # reading the inbox meets the same trouble, and tells
                told = await self._count(told)
            # Mailboxes that begin together would look together ever after, and keep every connection busy at once.
            await wait_for_any(self._every_seconds * random.uniform(least, 1.0), stop)  # noqa: S311 - spread
            least = 0.9

    async def _count(self, told: int) -> int:
        """Tell what lies there; return the number of junk mails that people know of by now."""
        aside = await self._inbox.count_aside()
        if aside.parked is not None:
            self._emit(ParkedCounted(self._alias, aside.parked))
        if aside.junk is None:
            return told
        self._emit(JunkCounted(self._alias, aside.junk))
        if aside.junk > told:
            self._emit(JunkFound(self._alias, aside.junk))
        self.junk = aside.junk
        return aside.junk
