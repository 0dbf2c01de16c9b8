"""Keeps a bug in the work on one mailbox from ending the work on the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import ConfigurationError
from bridge.flow.waiting import Restarts, first_of
from bridge.telemetry.failures import describe
from bridge.telemetry.process_events import WorkEnded, WorkResumed

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable

    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health

CODE: Final = "unexpected_error"
_LIFE_SECONDS: Final = 15.0


class Supervision:
    """
    Begins work again that a bug ended, later each time, and says in health and log that it stands still.

    Work that ends so has given back what it held: a lease passes to another worker, a request to its queue. Where the
    bug is the same there, both wait longer and longer, and the mailbox is tried a few times an hour in all.
    """

    def __init__(self, clock: Clock, health: Health, emit: Emit) -> None:
        self._clock = clock
        self._health = health
        self._emit = emit

    async def keep(
        self, part: str, work: Callable[[], Awaitable[None]], stop: asyncio.Event, *, needed: bool = True
    ) -> None:
        """
        Return once the work has ended in good order, or `stop` is set after a bug.

        Args:
            part: What the work is called in `/health`.
            work: Begins it, as often as it is called.
            stop: Nothing is begun again once it is set.
            needed: Whether mail or requests wait for it. Otherwise health only warns.

        Raises:
            ConfigurationError: Nothing of this process can work.
        """
        restarts = Restarts()
        while True:
            begun = self._clock.monotonic()
            try:
                await work()
            except ConfigurationError:
                raise
            except Exception as bug:  # noqa: BLE001 - the work on other mailboxes goes on
                wait = restarts.after(self._clock.monotonic() - begun)
                told = describe(bug)
                where = " < ".join(str(frame) for frame in reversed(list(told["at"])))  # type: ignore[call-overload]
                self._emit(WorkEnded(part, CODE, str(told["error"]), where, wait))
                await self._wait(part, f"{told['error']}; it is begun again", wait, stop, needed=needed)
                if stop.is_set():
                    return
                if not needed:
                    self._health.forget(part)
                self._emit(WorkResumed(part))
            else:
                return

    async def _wait(self, part: str, detail: str, seconds: float, stop: asyncio.Event, *, needed: bool) -> None:
        tell = self._health.trouble if needed else self._health.warn
        until = self._clock.monotonic() + seconds
        while not stop.is_set() and (left := until - self._clock.monotonic()) > 0:
            tell(part, CODE, f"{detail} in {left:.0f} s")
            await first_of(self._clock, min(left, _LIFE_SECONDS), stop)
