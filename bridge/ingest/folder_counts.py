"""Looks now and then at what of one mailbox the listing of its folders does not show: junk, parked mail, its size."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from typing import TYPE_CHECKING, Final

from bridge.domain.concern import Concern
from bridge.domain.mailbox_state import MailboxState
from bridge.errors import BridgeError
from bridge.flow.ticks import until_tick
from bridge.flow.waiting import wait_for_any
from bridge.ports.low_priority import low_priority
from bridge.telemetry.ingest_events import JunkCounted, JunkFound, MailboxMeasured, ParkedCounted
from bridge.telemetry.reasons import count_known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

_UNSEEN_LOOKS: Final = 3
"""So many looks in vain, one after the other, are told: reading the inbox may meet no such trouble."""


class FolderWatch:
    """Of one mailbox, while this worker reads it; `changed` is called when there is other news for people."""

    def __init__(
        self,
        alias: str,
        inbox: Inbox,
        emit: Emit,
        *,
        every_seconds: float,
        junk_is_read: bool = False,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._emit = emit
        self._every_seconds = every_seconds
        self._junk_is_read = junk_is_read
        self._changed = changed
        self._state = MailboxState()
        self._junk_announced = 0
        """How many mails in the junk folder people know of by now."""
        self._in_vain = 0
        """How many looks failed since one did not."""
        self.concerns: Sequence[Concern] = ()
        """What a person should see to, the worst first."""

    @contextlib.asynccontextmanager
    async def running(self, ended: asyncio.Event) -> AsyncIterator[None]:
        """Look within the context."""
        watching = asyncio.create_task(self.run(ended))
        try:
            yield
        finally:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)

    async def run(self, stop: asyncio.Event) -> None:
        """Look until `stop` is set."""
        self._junk_announced, least = 0, 0.2
        while not stop.is_set():
            with low_priority():
                await self._look()
            # Mailboxes that begin together would look together ever after, and keep every connection busy at once.
            wait = self._every_seconds * random.uniform(least, 1.0)  # noqa: S311 - spread
            await wait_for_any(until_tick(wait, time.monotonic()), stop)
            least = 0.9

    async def _look(self) -> None:
        try:
            seen = await self._inbox.count_folders()
        except BridgeError as error:
            self._in_vain += 1
            if self._in_vain >= _UNSEEN_LOOKS:
                unseen = Concern(error.code, "junk, parked mail and the mailbox's size cannot be looked at")
                self._report(*self._state.concerns(junk_is_read=self._junk_is_read), unseen)
            return
        self._in_vain = 0
        if seen.parked_codes:
            seen = seen._replace(parked_codes=count_known(seen.parked_codes))
        codes_before = dict.fromkeys(self._state.parked_codes, 0)
        self._state.update(seen)
        if seen.parked is not None:
            self._emit(ParkedCounted(self._alias, seen.parked, codes_before | self._state.parked_codes))
        if seen.size is not None:
            self._emit(MailboxMeasured(self._alias, seen.size.held_bytes, seen.size.limit_bytes))
        if seen.junk is not None:
            self._emit(JunkCounted(self._alias, seen.junk))
            if seen.junk > self._junk_announced:
                self._emit(JunkFound(self._alias, seen.junk))
            self._junk_announced = seen.junk
        self._report(*self._state.concerns(junk_is_read=self._junk_is_read))

    def _report(self, *concerns: Concern) -> None:
        if concerns != self.concerns:
            self.concerns = concerns
            self._changed()
