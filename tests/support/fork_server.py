"""
A fork server: `python -m tests.support.fork_server SOCKET MODULE` loads the bridge once and forks each worker.

Loading takes two thirds of a second of CPU, which two or three workers of each of several hundred tests would spend. A
worker is a process all the same, with a memory, a log and an exit code of its own.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from tests.support.waits import line_of
from tests.support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import NoReturn, Self

    from tests.support.workers import Process

# What commands load when they need it, and not at the start; each of these brings what it needs itself.
_LOADED_LATE = (
    "bridge.adapters.blobs.files",
    "bridge.bootstrap.process",
    "bridge.bootstrap.reading",
    "bridge.bootstrap.sending",
    "bridge.cli.app",
    "bridge.cli.exits",
    "bridge.cli.reload",
    "bridge.cli.run",
    "bridge.config.load",
    "typer._adapters",
    "rich",
)
LOADED = "fork_server.loaded"
"""Last line in the log of a worker that ended by itself: which modules of the bridge it loaded after the fork."""
_READY = b"ready\n"
_NUMBER = struct.Struct("i")
_START_SECONDS = 30.0


class ForkServer:
    """Starts workers by forking a process that has loaded the bridge; ends with the process that owns it."""

    def __init__(self, directory: Path, *, module: str = "bridge.cli") -> None:
        """Load the bridge in a process of its own; `module` has the `main` that workers run."""
        self._path = directory / "fork_server"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.fork_server", str(self._path), module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        assert self._process.stdout is not None
        assert line_of(self._process.stdout, "the bridge to be loaded") == _READY

    def start(self, command: list[str], environment: Mapping[str, str], log: Path) -> ForkedProcess:
        """Return a new worker: `bridge` with these arguments, with this environment and nothing else in it."""
        log.touch()  # there to be read, however long the start takes
        line = socket.socket(socket.AF_UNIX)
        line.settimeout(_START_SECONDS)
        line.connect(str(self._path))
        line.sendall(
            json.dumps({"command": command, "environment": dict(environment), "log": str(log)}).encode() + b"\n"
        )
        return ForkedProcess(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        # Not to the end of its output, which the watchers of workers that were left over have, too.
        self._process.kill()
        self._process.wait(10)
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()


class ForkedProcess:
    """A worker process as `subprocess.Popen` shows one, as far as tests need it."""

    def __init__(self, line: socket.socket) -> None:
        """Wait for it to exist."""
        self._line = line
        [self.pid] = _NUMBER.unpack(line.recv(_NUMBER.size, socket.MSG_WAITALL))
        self._code: int | None = None

    def poll(self) -> int | None:
        """Return its exit code, None while it runs; minus the signal's number if one ended it."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            return self.wait(0.0001)
        return None

    def wait(self, timeout: float | None = None) -> int:
        """
        Return its exit code once it has ended.

        Raises:
            subprocess.TimeoutExpired: It has not, in that many seconds.
        """
        if self._code is None:
            self._line.settimeout(timeout)
            try:
                [self._code] = _NUMBER.unpack(self._line.recv(_NUMBER.size, socket.MSG_WAITALL))
            except TimeoutError:
                raise subprocess.TimeoutExpired("worker", timeout or 0) from None
            self._line.close()
        assert self._code is not None
        return self._code

    def kill(self) -> None:
        """SIGKILL, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def terminate(self) -> None:
        """SIGTERM, unless it has ended."""
        self.send_signal(signal.SIGTERM)

    def send_signal(self, number: int) -> None:
        """Send it a signal, unless it has ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)


class ForkedWorker(Worker):
    """A worker that a fork server starts."""

    def __init__(self, server: ForkServer, command: str, environment: Mapping[str, str], log: Path) -> None:
        """Prepare it."""
        super().__init__(command, environment, log)
        self._server = server
        self._arguments = [command]

    def _start_process(self, environment: Mapping[str, str]) -> Process:
        return self._server.start(self._arguments, environment, self._log)


def main() -> None:
    """Fork a worker for each line that comes in, until standard input ends."""
    path, module = sys.argv[1:]
    for name in _LOADED_LATE:
        importlib.import_module(name)
    run = cast("Callable[[], NoReturn]", importlib.import_module(module).main)
    # A collection of garbage in a worker would touch all that was loaded, and so make a copy of it.
    gc.freeze()
    # Watchers, which nobody waits for, leave no zombies.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        sys.stdout.buffer.write(_READY)
        sys.stdout.buffer.flush()
        while sys.stdin not in select.select([listener, sys.stdin], [], [])[0]:
            line, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                _watch(line, run)
                return
            line.close()


def _watch(line: socket.socket, run: Callable[[], NoReturn]) -> None:
    """Fork the worker, and send its process id and, once it has ended, its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with line, line.makefile("r", encoding="utf-8") as asked:
        wanted = json.loads(asked.readline())
        pid = os.fork()
        if pid == 0:
            line.detach()
            _run(run, wanted["command"], wanted["environment"], Path(wanted["log"]))
        line.sendall(_NUMBER.pack(pid))
        _, status = os.waitpid(pid, 0)
        with contextlib.suppress(BrokenPipeError):  # who asked may have ended meanwhile
            line.sendall(_NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _run(run: Callable[[], NoReturn], command: list[str], environment: dict[str, str], log: Path) -> NoReturn:
    with Path(os.devnull).open("rb") as nothing, log.open("ab") as written:
        for source, target in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source.fileno(), target)
    os.environ.clear()
    os.environ.update(environment)
    random.seed()  # workers of one server would otherwise wait for the same random times
    sys.argv = ["bridge", *command]
    atexit.register(_log_loaded, set(sys.modules))
    run()


def _log_loaded(before: set[str]) -> None:
    """Write into the log which modules of the bridge this worker had to load by itself."""
    late = sorted(name for name in sys.modules.keys() - before if name.startswith("bridge."))
    sys.stderr.write(json.dumps({"event": LOADED, "modules": late}) + "\n")


if __name__ == "__main__":
    main()
