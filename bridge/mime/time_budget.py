"""A ceiling on the time that one mail may take, in CPU seconds, for code that does nothing but compute."""

from __future__ import annotations

import contextlib
import math
import signal
import threading
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_AGAIN_SECONDS = 0.05
_deadline = math.inf


class ParseTimeExceeded(BaseException):
    """The time is over. No `Exception`: nothing on the way out may take it for an error of the mail and go on."""


@contextlib.contextmanager
def cpu_seconds(seconds: float) -> Iterator[None]:
    """
    Raise `ParseTimeExceeded` within the block, wherever it is, once the main thread has spent that much CPU time.

    The interval timer of the kernel interrupts even a regular expression, which looks for signals as it goes. CPU time
    and not the wall clock: a process that was stopped, or had to wait for a core, has spent none. The timer counts that
    of all threads, so what the main thread has spent is looked at again. Signal handlers run in the main thread alone:
    in any other there is no ceiling.
    """
    global _deadline  # noqa: PLW0603 - there is one timer in a process, and one main thread
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    # Stays installed: a signal that is late would otherwise meet the default action, which ends the process.
    signal.signal(signal.SIGPROF, _look)
    _deadline = time.thread_time() + seconds
    signal.setitimer(signal.ITIMER_PROF, seconds, _AGAIN_SECONDS)
    try:
        yield
    finally:
        _deadline = math.inf
        signal.setitimer(signal.ITIMER_PROF, 0)


def _look(_signal: int, _frame: FrameType | None) -> None:
    """Raise once: the way out must not be interrupted by the next tick."""
    global _deadline  # noqa: PLW0603 - as above
    if time.thread_time() >= _deadline:
        _deadline = math.inf
        raise ParseTimeExceeded
