"""A worker stops when told, within its limit, and whatever is in the way."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bridge.cli.exits import Exit

ROOT = Path(__file__).resolve().parents[3]

_PROGRAM = """
import asyncio, sys, time
from bridge.cli.run import run_until_stopped
from bridge.telemetry.logging import configure
configure(style="json")
{work}
print("ready", flush=True)
sys.exit(run_until_stopped(work, grace_seconds={grace}))
"""

_FINISHES = """
async def work(stop):
    print("up", flush=True)
    await stop.wait()
    print("finished", flush=True)
    return 0
"""
_IGNORES = """
async def work(stop):
    print("up", flush=True)
    await asyncio.Event().wait()
"""
_BLOCKED_THREAD = """
async def work(stop):
    print("up", flush=True)
    await asyncio.to_thread(time.sleep, 60)
"""
_REFUSES_TO_BE_CANCELLED = """
async def work(stop):
    print("up", flush=True)
    while True:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.to_thread(time.sleep, 60)
"""
_LEAVES_A_THREAD = """
async def work(stop):
    import threading
    threading.Thread(target=time.sleep, args=(60,)).start()
    print("up", flush=True)
    await stop.wait()
    return 0
"""
_LOSES_A_TASK = """
async def work(stop):
    async def fail():
        raise RuntimeError("mArKeR")
    asyncio.ensure_future(fail())
    await asyncio.sleep(0)
    import gc
    gc.collect()
    return 0
"""


class Worker:
    """The program in a process of its own."""

    def __init__(self, work: str, grace: float = 30.0) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM.format(work=work, grace=grace)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def wait_until_up(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line == "up\n":
                return

    def tell(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_one_signal_finishes_what_is_in_flight(number: int) -> None:
    worker = Worker(_FINISHES)
    worker.wait_until_up()

    worker.tell(number)

    code, out, err = worker.end()
    assert (code, out) == (Exit.OK, "finished\n")
    assert "process.stopping" in err


def test_a_worker_that_does_not_finish_is_ended_at_its_limit() -> None:
    worker = Worker(_IGNORES, grace=0.2)
    worker.wait_until_up()

    worker.tell(signal.SIGTERM)

    code, _, err = worker.end()
    assert code == Exit.UNFINISHED
    assert "process.stopped_unfinished" in err


def test_a_second_signal_does_not_wait_for_the_limit() -> None:
    worker = Worker(_IGNORES, grace=600)
    worker.wait_until_up()
    started = time.monotonic()

    worker.tell(signal.SIGINT)
    assert worker.process.stderr is not None
    assert "process.stopping" in worker.process.stderr.readline()
    worker.tell(signal.SIGINT)

    assert worker.end()[0] == Exit.UNFINISHED
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("work", [_BLOCKED_THREAD, _REFUSES_TO_BE_CANCELLED])
def test_a_thread_that_waits_for_an_answer_does_not_keep_the_process(work: str) -> None:
    worker = Worker(work, grace=0.1)
    worker.wait_until_up()
    started = time.monotonic()

    worker.tell(signal.SIGTERM)

    assert worker.end()[0] == Exit.UNFINISHED
    assert time.monotonic() - started < 20


def test_a_worker_that_has_finished_does_not_wait_for_a_thread_whose_answer_nobody_needs() -> None:
    worker = Worker(_LEAVES_A_THREAD, grace=600)
    worker.wait_until_up()
    started = time.monotonic()

    worker.tell(signal.SIGTERM)

    assert worker.end()[0] == Exit.OK
    assert time.monotonic() - started < 20


def test_what_a_lost_task_died_of_is_logged_without_its_text() -> None:
    code, out, err = Worker(_LOSES_A_TASK).end()

    assert code == Exit.OK
    assert "process.error_unattended" in err
    assert "RuntimeError" in err
    assert "mArKeR" not in out + err
