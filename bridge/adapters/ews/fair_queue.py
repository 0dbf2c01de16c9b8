"""The calls of one mailbox: first come, first served, as many at a time as its limit allows."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.domain.call_limit import CallLimit
from bridge.errors import BridgeError, MailboxThrottled, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable


@dataclass(slots=True)
class FairQueueTurn:
    """What one call tells of itself."""

    kind: tuple[str, int] | None = None
    """Calls of a kind take equally long where nothing waits; None where nothing can be said."""
    throttled: bool = False
    """Whether Exchange asked for less, of one mail in it at least."""


class FairQueue:
    """Of one mailbox."""

    def __init__(self, most: int, *, slow_seconds: float, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Take a call without an answer for one too many from so many seconds on."""
        self.limit = CallLimit(most)
        self._slow_seconds = slow_seconds
        self._monotonic = monotonic
        self._in_progress = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[FairQueueTurn]:
        """Have a turn within the context; the limit learns from how it went."""
        await self._enter()
        turn, began, begun_in, in_progress = FairQueueTurn(), self._monotonic(), self.limit.round, self._in_progress
        try:
            yield turn
        except BridgeError as error:
            slow = isinstance(error, MailboxUnavailable) and self._monotonic() - began >= self._slow_seconds
            if slow or isinstance(error, MailboxThrottled):
                self.limit.refused(begun_in)
            raise
        else:
            if turn.throttled:
                self.limit.refused(begun_in)
            elif turn.kind is not None:
                self.limit.answered(turn.kind, self._monotonic() - began, in_progress=in_progress)
        finally:
            self._in_progress -= 1
            self._let_in()

    async def _enter(self) -> None:
        if self._in_progress < self.limit.allowed and not self._waiting:
            self._in_progress += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # passed over already
                    self._waiting.remove(turn)
            else:  # it was let in at the same moment
                self._in_progress -= 1
            self._let_in()
            raise

    def _let_in(self) -> None:
        while self._waiting and self._in_progress < self.limit.allowed:
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_progress += 1
                turn.set_result(None)
