"""Lines of other processes and ends of threads, waited for no longer than stated."""

from __future__ import annotations

import select
from typing import IO, TYPE_CHECKING, AnyStr

if TYPE_CHECKING:
    import threading


def line_of(pipe: IO[AnyStr] | None, what: str, *, seconds: float = 60.0) -> AnyStr:
    """
    Return the next line of a pipe, empty at its end; fail with `what` was waited for.

    For a pipe that has been read by whole lines, each of them awaited before the next is written.
    """
    assert pipe is not None
    if not select.select([pipe], [], [], seconds)[0]:
        raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
    return pipe.readline()


def joined(thread: threading.Thread, *, seconds: float = 60.0) -> None:
    """Return once the thread has ended; fail with its name if it has not in time."""
    thread.join(seconds)
    if thread.is_alive():
        raise AssertionError(f"waited {seconds:.0f} s in vain for {thread.name} to end")
