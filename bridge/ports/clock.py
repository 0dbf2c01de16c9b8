"""Time, so that tests need not wait for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.domain.trusted_time import TimeSpan


class Clock(Protocol):
    """
    The one place that knows the time: by what trusted servers say, never by this machine's clock alone.

    What is decided by age is decided by `known` and `certain_now`; while they return None it is not decided yet.
    """

    def now(self) -> datetime:
        """Return the likeliest time, in UTC: for stamps, and for what people read."""

    def known(self) -> TimeSpan | None:
        """Return the bounds of the time, None while nobody has told it. May be called on any thread."""

    def certain_now(self) -> datetime | None:
        """Return a time that has come by every clock that there is, this machine's too: for what is deleted by age."""

    def readings(self) -> tuple[float, ...]:
        """Return what each of this machine's clocks shows, in seconds; see `most_since`."""

    def monotonic(self) -> float:
        """Return seconds that only ever grow."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


def most_since(clock: Clock, earlier: tuple[float, ...]) -> float:
    """Return the most that may have passed since `readings`: some clocks stand still while a machine is halted."""
    return max(now - then for then, now in zip(earlier, clock.readings(), strict=True))
