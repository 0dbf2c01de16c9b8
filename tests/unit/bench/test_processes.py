"""A worker's children are counted with it, living and dead, and what others take is told apart."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.bench.processes import Meter, Peak, Shares, connections, cpu_seconds, family, resident_megabytes
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_HOLDING = "import sys; held = bytearray(40 << 20); print('ready', flush=True); sys.stdin.read()"
_PARENT = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {_HOLDING!r}], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
sys.stdin.read()
"""
_SPENDING = "import sys, time\nwhile time.process_time() < 0.3: pass"
_PARENT_OF_THE_DEAD = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_SPENDING!r}], check=True)
print("ready", flush=True)
sys.stdin.read()
"""

_ROUNDED = 4 / os.sysconf("SC_CLK_TCK")
"""User and system time, a process's own and its children's: the kernel shows whole ticks of each."""


@contextlib.contextmanager
def running(code: str) -> Iterator[int]:
    """A process that has done what it does, and waits."""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid


def test_memory_of_a_child_counts() -> None:
    with running(_PARENT) as pid:
        assert len(family(pid)) == 2
        assert resident_megabytes(pid) > 40


def test_cpu_time_of_a_child_that_has_ended_counts() -> None:
    with running(_PARENT_OF_THE_DEAD) as pid:
        assert family(pid) == [pid]
        assert cpu_seconds(pid) >= 0.3 - _ROUNDED


def test_process_that_is_gone_takes_its_count_with_it_and_the_meter_remembers() -> None:
    process = subprocess.Popen([sys.executable, "-c", _SPENDING])
    meter = Meter({"worker": process.pid}, from_birth=["worker"])
    until(lambda: cpu_seconds(process.pid) >= 0.2, "it to spend some")
    meter.look()
    process.wait()

    assert cpu_seconds(process.pid) == 0.0
    assert meter.shares().by_name["worker"] >= 0.2


def test_meter_leaves_out_what_was_spent_before() -> None:
    with running(_PARENT_OF_THE_DEAD) as pid:
        assert Meter({"worker": pid}).shares().by_name["worker"] < 0.3


def test_shares_are_of_all_that_the_machine_did() -> None:
    shares = Shares(10.0, {"worker": 1.0, "sandbox": 2.0}, rest=1.0)

    assert [shares.share(name) for name in ("worker", "sandbox")] == [0.25, 0.5]
    assert "worker 1.00 s (25%)" in str(shares)
    assert Shares(1.0, {"worker": 0.0}, rest=0.0).share("worker") == 0.0


def test_connections_are_those_that_are_open() -> None:
    before = connections(os.getpid())
    with socket.create_server(("127.0.0.1", 0)) as server:
        with socket.create_connection(server.getsockname()), server.accept()[0]:
            assert connections(os.getpid()) == before + 2  # both ends are this process's
        assert connections(os.getpid()) == before


def test_peak_is_kept_when_it_has_passed() -> None:
    with running(_PARENT) as pid, Peak(pid, every_seconds=0.01) as peak:
        until(lambda: len(peak.samples) > 3, "some samples")

    assert peak.megabytes == max(peak.samples)
    assert peak.megabytes > 40


@pytest.mark.parametrize("which", [family, resident_megabytes, cpu_seconds, connections])
def test_process_that_never_was_has_nothing(which: object) -> None:
    assert callable(which)
    assert which(1 << 22) in (0, [1 << 22])
