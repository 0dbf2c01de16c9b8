"""
The broker node of a test run: one for all workers of pytest-xdist, started by the first test that needs it.

The process that started pytest owns it through a named pipe: when that process ends, however it ends, the pipe
closes and the node stops itself.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.demo.broker_node import BrokerNode
from tests.support.rights import make_vhosts
from tests.support.waits import line_of
from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Iterator

_BATCH = 20
_START_SECONDS = 110.0
"""The node itself gives up starting, or is killed while stopping, well before."""


class BrokerOwner:
    """Held by the process that started pytest; nothing runs until a test asks for the node."""

    def __init__(self) -> None:
        self.directory = Path(tempfile.mkdtemp(prefix="bridge-tests-broker-"))
        os.mkfifo(self.directory / "owner")
        # Read and write, so that opening does not wait for a reader; as long as it is open the node's input is.
        self._pipe = os.open(self.directory / "owner", os.O_RDWR | os.O_CLOEXEC)

    def close(self) -> None:
        """Stop the node where one was started, wait for its end, and remove its directory."""
        os.close(self._pipe)
        # The node's process holds a lock for as long as it lives.
        with _locked(self.directory / "alive", "the broker node of the test run to end"):
            pass
        shutil.rmtree(self.directory, ignore_errors=True)


class SharedBroker:
    """The run's node, seen from a test process, with a virtual host for every test."""

    def __init__(self, directory: Path, worker: str) -> None:
        self._worker = worker
        with _locked(directory / "starting", "another process to start the broker node of the test run"):
            if not (directory / "ready.json").exists():
                _start(directory)
        # Not started by this object: it only administers.
        self.node = BrokerNode(directory / "node")
        self._batch = 0
        self._vhosts: list[str] = []

    def new_vhost(self) -> str:
        """Return the name of a virtual host that nobody used before."""
        if not self._vhosts:
            names = [f"{self._worker}-{self._batch}-{number}" for number in range(_BATCH)]
            self._batch += 1  # also where the making fails: what was made of it is not used
            make_vhosts(self.node, names)
            self._vhosts = names
        return self._vhosts.pop()


def _start(directory: Path) -> None:
    pipe = os.open(directory / "owner", os.O_RDONLY | os.O_CLOEXEC)
    alive = os.open(directory / "alive", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    fcntl.flock(alive, fcntl.LOCK_SH)
    try:
        process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "bridge.demo.broker_node",
                "--dir",
                str(directory / "node"),
                "--until-stdin-closes",
            ],
            stdin=pipe,
            stdout=subprocess.PIPE,
            pass_fds=[alive],
            start_new_session=True,  # a Ctrl-C meant for the tests must not take the node from under their clean-up
        )
    finally:
        os.close(pipe)
        os.close(alive)
    assert process.stdout is not None
    line = line_of(process.stdout, "the broker node of the test run to start", seconds=_START_SECONDS)
    process.stdout.close()
    if not line:
        process.wait(_START_SECONDS)
        raise end_run("the broker node of the test run did not start; see above")
    ready = json.loads(line)
    (directory / "ready.json").write_text(json.dumps(ready))


def end_run(reason: str) -> BaseException:
    """Return what ends the whole run: a missing service is a failure, never a skip."""
    return pytest.exit.Exception(reason, returncode=1)


@contextlib.contextmanager
def _locked(file: Path, what: str) -> Iterator[None]:
    """Hold the file's lock; `what` is waited for where somebody else has it."""
    with file.open("ab") as opened:
        until(lambda: _lock(opened.fileno()), what, seconds=_START_SECONDS)
        yield


def _lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
