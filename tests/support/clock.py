"""Clocks that nobody waits for."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from bridge.domain.trusted_time import TimeSpan

START = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)


class InstantClock:
    """Time passes by sleeping only, and sleeping takes no time."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.unsure: timedelta | None = timedelta()
        """How far it may be from the time; None: nobody has told what time it is."""

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def known(self) -> TimeSpan | None:
        return TimeSpan(self.now() - self.unsure, self.now() + self.unsure) if self.unsure is not None else None

    def certain_now(self) -> datetime | None:
        return self.now() - self.unsure if self.unsure is not None else None

    def readings(self) -> tuple[float, ...]:
        return (self.seconds,)

    def monotonic(self) -> float:
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        await asyncio.sleep(0)


class HeldClock(InstantClock):
    """Time stands still until a test moves it."""

    def __init__(self) -> None:
        super().__init__()
        self._moved = asyncio.Event()

    async def sleep(self, seconds: float) -> None:
        until = self.seconds + seconds
        while self.seconds < until:
            await self._moved.wait()

    async def move(self, seconds: float) -> None:
        """Move the time; whoever is about to sleep does so before, and whoever wakes up goes on."""
        await self._settle()
        self.seconds += seconds
        self._moved.set()
        self._moved = asyncio.Event()
        await self._settle()

    @staticmethod
    async def _settle() -> None:
        for _ in range(20):
            await asyncio.sleep(0)
