"""Threads for blocking calls: each begins when its mailbox may have one, as `domain/lane_shares.py` decides."""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.adapters.http_deadline import Interruption, interruptible
from bridge.domain.lane_shares import Asked, LaneShares
from bridge.errors import BridgeError, MailboxUnavailable, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

_Result = TypeVar("_Result")
_NO_ANSWER: Final = (MailboxUnavailable, TokenUnavailable)
_LOOK_SECONDS: Final = 0.25
"""How often those that wait are looked at while no call ends: time alone may let them in."""


@dataclass(frozen=True, slots=True, eq=False)
class _Waiting:
    asked: Asked
    begun: asyncio.Future[int]


class Lanes:
    """Of all mailboxes of one client. Use it on one event loop, and close it at the end."""

    def __init__(self, lanes: int, *, name: str, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._shares = LaneShares(lanes)
        self._threads = ThreadPoolExecutor(self._shares.most, thread_name_prefix=name)
        self._monotonic = monotonic
        self._waiting: list[_Waiting] = []
        self._calls: dict[int, Interruption] = {}
        self._look: asyncio.TimerHandle | None = None

    @property
    def most(self) -> int:
        """How many calls are in progress at the very most."""
        return self._shares.most

    @property
    def unanswered(self) -> int:
        """How many calls in progress are without an answer for long, or of mailboxes that give none."""
        return self._shares.unanswered(self._monotonic())

    async def run(self, mailbox: str, kind: str, work: Callable[[], _Result], *, reads: bool) -> _Result:
        """
        Return the result of blocking work for a mailbox, done on a thread once the mailbox may have one.

        Whoever gives up leaves the work behind: it counts until it ends.
        """
        loop = asyncio.get_running_loop()
        number = await self._enter(_Waiting(Asked(mailbox, kind, reads), loop.create_future()))
        interruption = self._calls[number]

        def made() -> _Result:
            try:
                with interruptible(interruption):
                    return work()
            except MailboxUnavailable as error:
                if interruption.done:
                    raise MailboxUnavailable("no answer, and others needed the connection") from error
                raise

        def ended(done: Future[_Result]) -> None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(self._ended, number, _is_answered(done))

        done = self._threads.submit(made)
        done.add_done_callback(ended)
        return await asyncio.wrap_future(done)

    def close(self) -> None:
        """Make no more calls; those in progress end first, or with their timeout."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def _enter(self, waiting: _Waiting) -> int:
        self._waiting.append(waiting)
        self._let_in()
        try:
            return await waiting.begun
        except asyncio.CancelledError:
            if waiting.begun.cancelled():
                self._waiting.remove(waiting)
            else:  # it was let in at the same moment
                self._ended(waiting.begun.result(), answered=False)
            raise

    def _ended(self, number: int, answered: bool) -> None:  # noqa: FBT001 - called by the loop
        del self._calls[number]
        self._shares.end(number, self._monotonic(), answered=answered)
        self._let_in()

    def _let_in(self) -> None:
        now = self._monotonic()
        left: list[_Waiting] = []
        for place in self._shares.in_order([one.asked for one in self._waiting]):
            waiting = self._waiting[place]
            if waiting.begun.done() or not self._shares.may_begin(waiting.asked, now):
                left.append(waiting)
                continue
            number = self._shares.begin(waiting.asked, now)
            self._calls[number] = Interruption()
            waiting.begun.set_result(number)
        for number in self._shares.to_cut([one.asked for one in left], now):
            self._calls[number].interrupt()
        self._waiting = [one for one in self._waiting if not one.begun.done() or one.begun.cancelled()]
        if self._waiting and self._look is None:
            self._look = asyncio.get_running_loop().call_later(_LOOK_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        self._let_in()


def _is_answered(done: Future[_Result]) -> bool:
    """Return whether Exchange said something, if only that it refuses."""
    if done.cancelled():
        return False
    error = done.exception()
    return error is None or (isinstance(error, BridgeError) and not isinstance(error, _NO_ANSWER))
