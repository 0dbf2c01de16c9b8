"""Limits calls that nobody waits for: few at a time, as long as those come to an end."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from bridge.domain.lane_shares import SILENT_SECONDS
from bridge.ports.low_priority import low_priority_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_LONGEST_WAIT_SECONDS: Final = 5.0
"""While none of the others comes to an end: they hang."""
_MOST_WAITS: Final = 3
"""Where Exchange is slow, a call would come too late altogether."""


class LowPriorityLimit:
    """Of all mailboxes of one client."""

    def __init__(self, calls: int) -> None:
        self._free = asyncio.Semaphore(calls)
        self._ended = 0

    @contextlib.asynccontextmanager
    async def enough(self) -> AsyncIterator[None]:
        """Wait for room, not for ever, where the call is one that nobody waits for; others go at once."""
        how = low_priority_of()
        if how is None:
            yield
            return
        waiting = asyncio.ensure_future(self._free.acquire())
        told = asyncio.ensure_future(how.until.wait()) if how.until is not None else None
        given_back = False

        def give_back() -> None:
            nonlocal given_back
            if given_back:
                return
            given_back = True
            # It may have come late, while the call was made without it.
            if waiting.done() and not waiting.cancelled():
                self._free.release()
            else:
                waiting.cancel()

        try:
            either = [waiting] if told is None else [waiting, told]
            for _ in range(_MOST_WAITS):
                ended = self._ended
                done, _ = await asyncio.wait(either, timeout=_LONGEST_WAIT_SECONDS, return_when=asyncio.FIRST_COMPLETED)
                if done or self._ended == ended:
                    break
            # A call that hangs keeps no room from the others.
            asyncio.get_running_loop().call_later(SILENT_SECONDS, give_back)
            yield
        finally:
            self._ended += 1
            if told is not None:
                told.cancel()
            give_back()
