"""
One call for what several requests ask at the same time.

Nothing waits for company: a call goes out as soon as one is free to, with whatever has come by then. So a lone request
is alone in its calls, and many share theirs, the more the slower Exchange is.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from bridge.errors import BridgeError, MailboxThrottled, OperatorError, SendTooLate, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

Q = TypeVar("Q")
A = TypeVar("A")

_MOST: Final = 32
"""Parts of one call: a restriction that is much longer may be refused, and all of a call hang on its answer. Two calls
carry all that are on their way where as many are as the configuration says by itself."""
_LARGEST_BYTES: Final = 4 << 20
_AT_A_TIME: Final = 2
_AT_A_TIME_APART: Final = 4
_LONG_SECONDS: Final = 3.0
_MOST_LONG: Final = 4
"""Half of the connections that there are where nothing is configured."""
_APART_SECONDS: Final = 900.0
"""Longer than a request waits for its next try."""


@dataclass(slots=True, eq=False)
class _Asked(Generic[Q, A]):
    key: str
    question: Q
    size: int
    answer: asyncio.Future[A]


@dataclass(slots=True)
class _Waiting(Generic[Q, A]):
    """
    Those who wait for calls of so many parts, of which so many are made at a time.

    One that takes long is no longer waited for: a connection that hangs must not hold up who comes, urgent or not.
    """

    most: int
    at_a_time: int
    asked: deque[_Asked[Q, A]] = field(default_factory=deque)
    under_way: set[asyncio.Task[None]] = field(default_factory=set)
    """Without those that take long."""

    def next(self) -> list[_Asked[Q, A]]:
        """Take the next call's parts; none where there are none, or too many calls under way."""
        taken: list[_Asked[Q, A]] = []
        size = 0
        while self.asked and len(self.under_way) < self.at_a_time and len(taken) < self.most:
            asked = self.asked[0]
            if taken and size + asked.size > _LARGEST_BYTES:
                break
            self.asked.popleft()
            if not asked.answer.done():  # given up
                size += asked.size
                taken.append(asked)
        return taken


@dataclass(slots=True)
class BatchQueue:
    """Those of one mailbox who wait for a call of any kind."""

    kinds: list[CallBatcher[object, object]] = field(default_factory=list)
    long: set[asyncio.Task[None]] = field(default_factory=set)
    """Calls that take long, of any kind."""

    def dismiss(self, error: MailboxThrottled) -> None:
        """Let nobody make a call that was asked for before Exchange asked for quiet."""
        for kind in self.kinds:
            kind.dismiss(error)


class CallBatcher(Generic[Q, A]):
    """
    Makes one call of the questions of several requests, and tells each its own answer.

    `call` returns for each question, in their order, its answer or its error; what it raises is everybody's. A call
    that failed as a whole may have done so for the sake of one part: each of them goes alone, beside the others, until
    it has had an answer of its own.
    """

    def __init__(self, call: Callable[[Sequence[Q]], Awaitable[Sequence[A | BridgeError]]], line: BatchQueue) -> None:
        self._call = call
        self._line = line
        self._together: _Waiting[Q, A] = _Waiting(_MOST, _AT_A_TIME)
        self._apart: _Waiting[Q, A] = _Waiting(1, _AT_A_TIME_APART)
        self._suspects: dict[str, float] = {}
        """Who was in a call that failed as a whole, and until when that counts."""
        line.kinds.append(self)  # type: ignore[arg-type]  # a line only dismisses

    async def ask(self, key: str, question: Q, *, size: int = 0) -> A:
        """
        Return the answer to a question of `size` bytes; `key` is the same when it is asked again.

        Who gives up before the call goes out is left out of it; after that the call goes on without him.
        """
        loop = asyncio.get_running_loop()
        asked: _Asked[Q, A] = _Asked(key, question, size, loop.create_future())
        waiting = self._apart if self._suspects.get(key, 0.0) > time.monotonic() else self._together
        waiting.asked.append(asked)
        # Not at once: those whose last call was answered by the same answer ask within the same round of the loop.
        loop.call_soon(self._go_on)
        return await asked.answer

    def dismiss(self, error: MailboxThrottled) -> None:
        """Answer those that wait for a call with this error."""
        for waiting in (self._together, self._apart):
            _fail([waiting.asked.popleft() for _ in range(len(waiting.asked))], error)

    def _go_on(self) -> None:
        for waiting in (self._together, self._apart):
            while batch := waiting.next():
                task = asyncio.create_task(self._run(batch))
                waiting.under_way.add(task)
                self._look_later(waiting, task)
                task.add_done_callback(partial(self._done, waiting))

    def _look_later(self, waiting: _Waiting[Q, A], task: asyncio.Task[None]) -> None:
        asyncio.get_running_loop().call_later(_LONG_SECONDS, self._look_how_long, waiting, task)

    def _look_how_long(self, waiting: _Waiting[Q, A], task: asyncio.Task[None]) -> None:
        if task.done():
            return
        if len(self._line.long) >= _MOST_LONG:
            self._look_later(waiting, task)
            return
        self._line.long.add(task)
        waiting.under_way.discard(task)
        self._go_on()

    def _done(self, waiting: _Waiting[Q, A], task: asyncio.Task[None]) -> None:
        self._line.long.discard(task)
        waiting.under_way.discard(task)
        self._go_on()

    async def _run(self, batch: Sequence[_Asked[Q, A]]) -> None:
        try:
            self._deliver(batch, await self._call([asked.question for asked in batch]))
        except BaseException as error:  # a bug, too, or the end of the loop: nobody is left waiting for ever
            if not isinstance(error, OperatorError | TokenUnavailable | SendTooLate | MailboxThrottled):
                self._suspect(batch)
            _fail(batch, error)
            if isinstance(error, MailboxThrottled):
                self._line.dismiss(error)
            if not isinstance(error, Exception):
                raise

    def _suspect(self, batch: Sequence[_Asked[Q, A]]) -> None:
        now = time.monotonic()
        if len(batch) > 1 or batch[0].key in self._suspects:
            self._suspects = {key: until for key, until in self._suspects.items() if until > now}
            self._suspects.update((asked.key, now + _APART_SECONDS) for asked in batch)

    def _deliver(self, batch: Sequence[_Asked[Q, A]], answers: Sequence[A | BridgeError]) -> None:
        throttled: MailboxThrottled | None = None
        for asked, answer in zip(batch, answers, strict=True):
            self._suspects.pop(asked.key, None)
            if isinstance(answer, MailboxThrottled):
                throttled = answer
            if isinstance(answer, BridgeError):
                _fail([asked], answer)
            elif not asked.answer.done():
                asked.answer.set_result(answer)
        if throttled is not None:
            self._line.dismiss(throttled)


def _fail(batch: Sequence[_Asked[Q, A]], error: BaseException) -> None:
    for asked in batch:
        if asked.answer.done():
            continue
        if isinstance(error, Exception):
            asked.answer.set_exception(error)
        else:
            asked.answer.cancel()
