"""Who goes next: urgent requests before ordinary ones, otherwise first come, first served."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from bridge.domain.trusted_time import is_over
from bridge.egress.conclusion import Released, RetryLater
from bridge.flow.waiting import first_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from datetime import datetime

    from bridge.domain.send_rate import Begun, SendWindow
    from bridge.ports.clock import Clock

RATE_LIMITED = "rate_limited"


class _WaitQueue:
    """Waiters in priority order: urgent first, then first come, first served."""

    def __init__(self) -> None:
        self._waiting: list[tuple[bool, int]] = []
        self._numbers = itertools.count()
        self._moved = asyncio.Event()

    def join(self, *, urgent: bool) -> tuple[bool, int]:
        place = (not urgent, next(self._numbers))
        heapq.heappush(self._waiting, place)
        self.move()
        return place

    def leave(self, place: tuple[bool, int]) -> None:
        self._waiting.remove(place)
        heapq.heapify(self._waiting)
        self.move()

    def is_first(self, place: tuple[bool, int]) -> bool:
        return self._waiting[0] == place

    def move(self) -> None:
        """Wake all waiters."""
        self._moved.set()
        self._moved = asyncio.Event()

    async def wait(self, clock: Clock, seconds: float | None) -> None:
        """Return when something moved, or after `seconds`."""
        await first_of(clock, seconds, self._moved)


class ConcurrencyLimit:
    """So many requests of one mailbox are being sent at a time."""

    def __init__(self, slots: int, clock: Clock) -> None:
        self._free = slots
        self._clock = clock
        self._queue = _WaitQueue()

    @asynccontextmanager
    async def slot(self, *, urgent: bool) -> AsyncIterator[ConcurrencySlot]:
        """Hold a slot."""
        slot = ConcurrencySlot(self, urgent=urgent)
        await slot.take()
        try:
            yield slot
        finally:
            slot.leave()

    async def enter(self, *, urgent: bool) -> None:
        """Take a slot when it is one's turn."""
        place = self._queue.join(urgent=urgent)
        try:
            while not (self._free > 0 and self._queue.is_first(place)):
                await self._queue.wait(self._clock, None)
            self._free -= 1
        finally:
            self._queue.leave(place)

    def leave(self) -> None:
        """Give a slot back."""
        self._free += 1
        self._queue.move()


class ConcurrencySlot:
    """A slot in hand, which others may use while its holder waits for something else."""

    def __init__(self, slots: ConcurrencyLimit, *, urgent: bool) -> None:
        self._slots = slots
        self._urgent = urgent
        self._held = False

    async def take(self) -> None:
        """Hold it."""
        await self._slots.enter(urgent=self._urgent)
        self._held = True

    def leave(self) -> None:
        """Hold it no more."""
        if self._held:
            self._held = False
            self._slots.leave()

    @asynccontextmanager
    async def away(self) -> AsyncIterator[None]:
        """Let others have it meanwhile."""
        self.leave()
        yield
        await self.take()


class RateLimiter:
    """Lets mails pass as the window allows."""

    def __init__(self, window: SendWindow, clock: Clock, *, longest_wait_seconds: float = 60.0) -> None:
        self._window = window
        self._clock = clock
        self._longest_wait_seconds = longest_wait_seconds
        self._queue = _WaitQueue()
        self._closed = False

    def close(self) -> None:
        """Let nobody pass any more: the worker stops."""
        self._closed = True
        self._queue.move()

    async def take_turn(
        self, *, recipients: int, urgent: bool, expires_at: datetime | None
    ) -> Begun | RetryLater | Released | None:
        """
        Return when a mail may go; None once it has expired.

        `RetryLater` where its turn is further away than a request is held for; `Released` where the worker stops. An
        urgent one is to be back in time to stand in the line, before those that wait in it, when the turn comes.
        """
        place = self._queue.join(urgent=urgent)
        try:
            while True:
                if expires_at is not None and is_over(self._clock.known(), expires_at):
                    return None
                if self._closed:
                    return Released()
                if not self._queue.is_first(place):
                    await self._queue.wait(self._clock, self._until(expires_at))
                    continue
                now = self._clock.monotonic()
                wait = self._window.wait_seconds(now, recipients=recipients, urgent=urgent)
                if wait <= 0:
                    return self._window.take(now, recipients)
                if wait > self._longest_wait_seconds:
                    return RetryLater(RATE_LIMITED, min(wait, self._longest_wait_seconds / 2) if urgent else wait)
                await self._queue.wait(self._clock, self._until(expires_at, wait))
        finally:
            self._queue.leave(place)

    async def hold(self, seconds: float, *, expires_at: datetime | None) -> bool:
        """Return after so long, or once the mail has expired; False as soon as the worker stops."""
        if not self._closed:
            await self._queue.wait(self._clock, self._until(expires_at, seconds))
        return not self._closed

    def settle(self, turn: Begun) -> None:
        """Count a turn as used up by now: nothing more goes out for it."""
        self._window.settle(turn, self._clock.monotonic())
        self._queue.move()

    def give_back(self, turn: Begun) -> None:
        """Count a turn no more: the mail was not begun after all."""
        self._window.give_back(turn)
        self._queue.move()

    def _until(self, expires_at: datetime | None, wait: float | None = None) -> float | None:
        known = self._clock.known()
        if expires_at is None or known is None:
            return wait
        left = (expires_at - known.earliest).total_seconds()
        return left if wait is None else min(left, wait)
