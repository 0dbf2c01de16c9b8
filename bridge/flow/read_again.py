"""A read whose answer was lost is asked again at once: it changed nothing, and a mail is late for every second."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.domain.disposition import RetryPolicy
from bridge.errors import MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from bridge.ports.clock import Clock

T = TypeVar("T")

_TRIES: Final = 4
_WAITS: Final = RetryPolicy(first_seconds=0.1, spread_factors=(0.5, 1.0))
_WITHIN_SECONDS: Final = 5.0
"""Not after a time-out: who was silent that long is asked again by the worker's own, slower rules."""


async def read_again(read: Callable[[], Awaitable[T]], clock: Clock) -> T:
    """
    Return what a read returns; one that got no answer is repeated, three times at most and within five seconds.

    Raises:
        BridgeError: Of the last try. Whatever Exchange really answers, throttling above all, is never repeated here.
    """
    started = clock.monotonic()
    for number in range(_TRIES):
        try:
            return await read()
        except MailboxUnavailable as error:
            over = clock.monotonic() - started >= _WITHIN_SECONDS
            if over or number == _TRIES - 1 or error.retry_after_seconds is not None:
                raise
        await clock.sleep(_WAITS.wait_seconds(number + 1, random.random()))  # noqa: S311 - spread
    raise AssertionError("unreachable")
