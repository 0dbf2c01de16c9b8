"""
How long to wait after a failure: `Backoff` counts, `RetryPolicy` (`domain/disposition.py`) says how long.

Nothing else computes such a wait, and libraries' own retries are off.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

from bridge.domain.disposition import Disposition, Pause, Retry, RetryPolicy, disposition

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine, Iterator

    from bridge.errors import BridgeError
    from bridge.ports.clock import Clock

T = TypeVar("T")

_SHORTEST_WAIT_SECONDS = 0.01  # the rounding of a sum must not become a busy loop


@dataclass(slots=True)
class Backoff:
    """Counts failures in a row and turns each into what happens next."""

    policy: RetryPolicy = field(default_factory=RetryPolicy)
    attempt: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def after(self, error: BridgeError) -> Disposition:
        """Count this failure and return what follows."""
        self.attempt += 1
        return disposition(error, attempt=self.attempt, policy=self.policy, spread=self._random.random())

    def wait_seconds(self, *, ways: int = 1) -> float:
        """
        Count a failure and return the wait that follows, whatever failed.

        Of several ways to reach the same thing, such as the nodes of a cluster, each is tried once before the first
        wait.
        """
        self.attempt += 1
        rounds = (self.attempt - 1) // ways
        if rounds == 0 and self.attempt % ways:
            return 0.0  # there is one that was not tried yet
        return self.policy.wait_seconds(rounds + 1, self._random.random())

    def forget(self) -> None:
        """Start counting anew: something went well."""
        self.attempt = 0


@dataclass(slots=True)
class Restarts:
    """Counts the bugs that ended some work, and says how long it rests before it is begun again."""

    policy: RetryPolicy = field(default_factory=lambda: RetryPolicy(first_seconds=5.0, longest_seconds=600.0))
    attempt: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def after(self, ran_seconds: float) -> float:
        """Return the wait after a bug; work that ran for longer than the longest wait begins to count anew."""
        if ran_seconds > self.policy.longest_seconds:
            self.attempt = 0
        self.attempt += 1
        return self.policy.wait_seconds(self.attempt, self._random.random())


def wait_after(error: BridgeError, *, attempt: int, policy: RetryPolicy, spread: float) -> float:
    """Return the seconds to wait after the `attempt`-th failure in a row of work of which nothing is set aside."""
    match disposition(error, attempt=attempt, policy=policy, spread=spread):
        case Retry(after_seconds=seconds) | Pause(after_seconds=seconds):
            return seconds
        case _:
            return policy.pause_seconds


def wait_within_attempt(failures: int, longest_seconds: float) -> float:
    """Return the wait before the next call of the same attempt: 0.25 s, 1 s, 2.25 s and so on, up to the longest."""
    return min(longest_seconds, failures**2 / 4)


def wait_of(after: Disposition) -> float:
    """Return the seconds to wait for, none for a message that is set aside."""
    match after:
        case Retry(after_seconds=seconds) | Pause(after_seconds=seconds):
            return seconds
        case _:
            return 0.0


async def wait_for_any(seconds: float, *events: asyncio.Event) -> None:
    """Return when one of the events is set, or after `seconds`."""
    if any(event.is_set() for event in events):
        return
    waiters = [asyncio.ensure_future(event.wait()) for event in events]
    try:
        await asyncio.wait(waiters, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


async def first_of(clock: Clock, seconds: float | None, event: asyncio.Event) -> None:
    """Return when the event is set, or after `seconds` by this clock."""
    waiters: set[asyncio.Future[Any]] = {asyncio.ensure_future(event.wait())}
    if seconds is not None:
        waiters.add(asyncio.ensure_future(clock.sleep(max(seconds, _SHORTEST_WAIT_SECONDS))))
    try:
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for waiter in waiters:
            waiter.cancel()
        await asyncio.gather(*waiters, return_exceptions=True)


async def unless_set(event: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return what the work returns; None where the event is set first, and the work is given up."""
    task = asyncio.ensure_future(work)
    told = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for future in (task, told):
            future.cancel()
        await asyncio.gather(task, told, return_exceptions=True)


ANSWER_LATE_SECONDS = 15.0
"""After which a call without an answer is told: a listing or a probe takes a tenth of a second, and begins every 30."""


@contextlib.contextmanager
def called_when_late(seconds: float, late: Callable[[], None]) -> Iterator[None]:
    """Have `late` called, once, if what is done in the context takes longer than this."""
    timer = asyncio.get_running_loop().call_later(seconds, late)
    try:
        yield
    finally:
        timer.cancel()


@contextlib.asynccontextmanager
async def any_of(*events: asyncio.Event) -> AsyncIterator[asyncio.Event]:
    """Yield an event that is set as soon as one of these is."""
    either = asyncio.Event()

    async def pass_on(event: asyncio.Event) -> None:
        await event.wait()
        either.set()

    if any(event.is_set() for event in events):
        either.set()
    tasks = [asyncio.create_task(pass_on(event)) for event in events]
    try:
        yield either
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def report_bug(message: str, bug: Exception) -> None:
    """Have a bug logged that concerns one thing alone, so that the work goes on."""
    asyncio.get_running_loop().call_exception_handler({"message": message, "exception": bug})
