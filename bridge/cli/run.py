"""Runs a worker until it is told to stop, and sees that it does."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import threading
import time
from typing import TYPE_CHECKING, NoReturn

from bridge.cli.exits import Exit
from bridge.cli.malloc_tuning import share_heaps
from bridge.telemetry.failures import describe
from bridge.telemetry.logging import LineLimit, logger

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import Any

    Work = Callable[[asyncio.Event], Awaitable[int]]

_UNWIND_SECONDS = 5.0
_THREADS_SECONDS = 1.0
_UNATTENDED = LineLimit()


def run_until_stopped(work: Work, *, grace_seconds: float) -> int:
    """
    Run `work` and return its exit code.

    The first SIGTERM or SIGINT sets the event that `work` is given: it takes nothing new, finishes what is in flight
    and returns. After `grace_seconds`, or at a second signal, it is cancelled; what was in flight then stays where it
    was (a mail in its inbox, a request in its queue) and comes again. A thread that still waits for an answer from
    outside does not keep the process.
    """
    share_heaps()
    code = asyncio.run(_supervise(work, grace_seconds))
    _let_go_of_threads(code)
    return code


async def _supervise(work: Work, grace_seconds: float) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(tell_of_lost_error)
    stop, force = asyncio.Event(), asyncio.Event()

    def told_to_stop(signal_number: int) -> None:
        if stop.is_set():
            logger().warning("process.stop_forced", signal=signal.Signals(signal_number).name)
            force.set()
            return
        logger().info("process.stopping", signal=signal.Signals(signal_number).name, within_seconds=grace_seconds)
        stop.set()
        loop.call_later(grace_seconds, force.set)
        # Covers what comes after `work`: threads that the interpreter would wait for at its end.
        last_resort = threading.Timer(grace_seconds + 2 * _UNWIND_SECONDS, _leave)
        last_resort.daemon = True
        last_resort.start()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop, number)
    task = asyncio.ensure_future(work(stop))
    forced = asyncio.ensure_future(force.wait())
    await asyncio.wait({task, forced}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        logger().warning("process.stopped_unfinished")
        task.cancel()
        await asyncio.wait({task}, timeout=_UNWIND_SECONDS)
        # A thread blocked in a call cannot be cancelled, and both the loop and the interpreter would wait for it.
        _leave()
    forced.cancel()
    return task.result()


def _let_go_of_threads(code: int) -> None:
    """End the process here where a thread waits for an answer that nobody needs; the interpreter would wait, too."""
    deadline = time.monotonic() + _THREADS_SECONDS
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and not thread.daemon:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                _leave(code)


def _leave(code: int = Exit.UNFINISHED) -> NoReturn:
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def tell_of_lost_error(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log what a task nobody waits for died of: asyncio's own handler would print the exception, text and all."""
    error = context.get("exception")
    fields = describe(error) if isinstance(error, BaseException) else {}
    more = _UNATTENDED.fields(str(fields))
    if more is not None:
        logger().error("process.error_unattended", **fields, **more)
