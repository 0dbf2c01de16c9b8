"""The machine's clocks, and what trusted servers say of the time."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.domain.trusted_time import ClockState, TimeSpan, counted, hull
from bridge.ports.elapsed import elapsed_seconds
from bridge.ports.server_time import ServerTime

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.domain.trusted_time import Heard


class SystemClock:
    """
    Keeps the promise of `ports.clock.Clock`.

    The time is what servers said, and goes on by a clock that nobody sets. This machine's own, which people and time
    services set, is asked for stamps while no server has said anything, and as a second opinion before anything is
    deleted.
    """

    def __init__(
        self, *, wall_clock: Callable[[], float] = time.time, elapsed: Callable[[], float] = elapsed_seconds
    ) -> None:
        self._wall_clock, self._elapsed = wall_clock, elapsed
        self._servers: dict[str, ServerTime] = {}
        self._missed_at: float | None = None

    def server(self, name: str) -> ServerTime:
        """Return the place to tell of answers of a server; the same one for the same name."""
        return self._servers.setdefault(name, ServerTime(name, elapsed=self._elapsed))

    def now(self) -> datetime:
        """Return the likeliest time: what the server says that was heard last."""
        heard = self._counted()
        if not heard:
            return datetime.fromtimestamp(self._wall_clock(), UTC)
        return datetime.fromtimestamp(self._elapsed() + (heard[0].offset.low + heard[0].offset.high) / 2, UTC)

    def known(self) -> TimeSpan | None:
        """Return the bounds of the time: those of all servers together."""
        heard = self._counted()
        if not heard:
            self._missed_at = self._missed_at if self._missed_at is not None else self._elapsed()
            return None
        self._missed_at = None
        return hull(one.offset for one in heard).span(self._elapsed())

    def certain_now(self) -> datetime | None:
        """Return the earliest time that it can be by any server, and by this machine's own clock."""
        known = self.known()
        return min(known.earliest, datetime.fromtimestamp(self._wall_clock(), UTC)) if known is not None else None

    def state(self) -> ClockState:
        """Return how the clocks stand to each other, for health."""
        heard, elapsed, missed_at = self._counted(), self._elapsed(), self._missed_at
        if not heard:
            return ClockState(missed_seconds=elapsed - missed_at if missed_at is not None else 0.0)
        whole, own = hull(one.offset for one in heard), self._wall_clock() - elapsed
        return ClockState(tuple(heard), own - min(max(own, whole.low), whole.high))

    def readings(self) -> tuple[float, ...]:
        """Return what each of this machine's clocks shows."""
        return self.monotonic(), self._elapsed(), self._wall_clock()

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""
        await asyncio.sleep(seconds)

    def _counted(self) -> list[Heard]:
        # Servers are added at the start only, before any other thread asks.
        return counted(heard for one in self._servers.values() if (heard := one.heard()) is not None)
