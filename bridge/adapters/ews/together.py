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
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from bridge.errors import BridgeError, MailboxThrottled, OperatorError, SendTooLate, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator, Sequence

Q = TypeVar("Q")
A = TypeVar("A")

_MOST: Final = 32
"""Parts of one call: a restriction that is much longer may be refused, and all of a call hang on its answer. Two calls
carry all that are on their way where as many are as the configuration says by itself."""
_LARGEST_BYTES: Final = 4 << 20
_AT_A_TIME: Final = 2
_AT_A_TIME_ALONE: Final = 4
_ALONE_SECONDS: Final = 30.0


@dataclass(slots=True, eq=False)
class _Asked(Generic[Q, A]):
    question: Q
    size: int
    answer: asyncio.Future[A]


@dataclass(slots=True)
class Line:
    """Those of one mailbox who wait for a call of any kind."""

    kinds: list[Together[object, object]] = field(default_factory=list)

    def dismiss(self, error: MailboxThrottled) -> None:
        """Let nobody make a call that was asked for before Exchange asked for quiet."""
        for kind in self.kinds:
            kind.dismiss(error)


class Together(Generic[Q, A]):
    """
    Makes one call of the questions of several requests, and tells each its own answer.

    `call` returns for each question, in their order, its answer or its error; what it raises is everybody's. A call
    that failed as a whole may have done so for the sake of one part: for a while after it each goes alone.
    """

    def __init__(self, call: Callable[[Sequence[Q]], Awaitable[Sequence[A | BridgeError]]], line: Line) -> None:
        self._call = call
        self._line = line
        self._waiting: deque[_Asked[Q, A]] = deque()
        self._under_way: set[asyncio.Task[None]] = set()
        self._alone_until = 0.0
        line.kinds.append(self)  # type: ignore[arg-type]  # a line only dismisses

    async def ask(self, question: Q, *, size: int = 0) -> A:
        """
        Return the answer to a question of `size` bytes.

        Who gives up before the call goes out is left out of it; after that the call goes on without him.
        """
        loop = asyncio.get_running_loop()
        asked: _Asked[Q, A] = _Asked(question, size, loop.create_future())
        self._waiting.append(asked)
        # Not at once: those whose last call was answered by the same answer ask within the same round of the loop.
        loop.call_soon(self._go_on)
        return await asked.answer

    def dismiss(self, error: MailboxThrottled) -> None:
        """Answer those that wait for a call with this error."""
        _fail([self._waiting.popleft() for _ in range(len(self._waiting))], error)

    def _go_on(self) -> None:
        alone = time.monotonic() < self._alone_until
        while self._waiting and len(self._under_way) < (_AT_A_TIME_ALONE if alone else _AT_A_TIME):
            batch = list(self._next(1 if alone else _MOST))
            if batch:
                task = asyncio.create_task(self._run(batch))
                self._under_way.add(task)
                task.add_done_callback(self._done)

    def _next(self, most: int) -> Iterator[_Asked[Q, A]]:
        count, size = 0, 0
        while self._waiting and count < most:
            asked = self._waiting[0]
            if count and size + asked.size > _LARGEST_BYTES:
                return
            self._waiting.popleft()
            if not asked.answer.done():  # given up
                count, size = count + 1, size + asked.size
                yield asked

    def _done(self, task: asyncio.Task[None]) -> None:
        self._under_way.discard(task)
        self._go_on()

    async def _run(self, batch: Sequence[_Asked[Q, A]]) -> None:
        try:
            answers = await self._call([asked.question for asked in batch])
        except BridgeError as error:
            _fail(batch, error)
            if isinstance(error, MailboxThrottled):
                self._line.dismiss(error)
            elif len(batch) > 1 and not isinstance(error, OperatorError | TokenUnavailable | SendTooLate):
                self._alone_until = time.monotonic() + _ALONE_SECONDS
        except BaseException as bug:  # or the end of the loop: nobody is left waiting for ever
            _fail(batch, bug)
            if not isinstance(bug, Exception):
                raise
        else:
            self._tell(batch, answers)

    def _tell(self, batch: Sequence[_Asked[Q, A]], answers: Sequence[A | BridgeError]) -> None:
        throttled: MailboxThrottled | None = None
        for asked, answer in zip(batch, answers, strict=True):
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
