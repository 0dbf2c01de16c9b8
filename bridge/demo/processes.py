"""The processes of a demo: started in order, watched, stopped in the opposite order, gone when the demo is gone."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import subprocess
import sys
import threading
from functools import partial
from typing import TYPE_CHECKING, Any

from bridge.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

_STOP_SECONDS = 30.0


_STOPPING = frozenset({signal.SIGINT, signal.SIGTERM})


@contextlib.contextmanager
def _stopping_later() -> Iterator[None]:
    """
    Let signals that stop the demo wait.

    A KeyboardInterrupt in the middle of a fork is lost in the callbacks that Python runs there, or loses the process
    that was just started. Blocking the signals would not help: another thread would take them.
    """
    told: list[int] = []
    handlers = {number: signal.getsignal(number) for number in _STOPPING}
    waiting = {number: handler for number, handler in handlers.items() if handler is not signal.SIG_IGN}
    for number in waiting:
        signal.signal(number, lambda number, _: told.append(number))
    try:
        yield
    finally:
        for number, handler in waiting.items():
            signal.signal(number, handler)
    if told:
        raise KeyboardInterrupt


def _end_with(parent: int) -> None:
    """Have the kernel end this process when the demo is killed (prctl PR_SET_PDEATHSIG), or end it if that has been."""
    ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if os.getppid() != parent:
        os._exit(1)


def inherited(environ: Mapping[str, str]) -> dict[str, str]:
    """Return what the demo's processes may see: no setting of another bridge, and no proxy on the way to loopback."""
    settings = tuple(f"BRIDGE_{section.upper()}" for section in Settings.model_fields)
    return {
        name: value
        for name, value in environ.items()
        if not name.startswith(settings) and not name.lower().endswith("_proxy")
    }


class ProcessFailedError(Exception):
    """A process of the demo did not start or ended early; the text names it and the end of its log."""


class Processes:
    """Started by `start`; each writes its log beside the others. Use as a context manager."""

    def __init__(self, directory: Path, environment: Mapping[str, str]) -> None:
        self._directory = directory
        self._environment = {**inherited(os.environ), **environment}
        self._running: list[tuple[str, subprocess.Popen[bytes]]] = []

    def start(
        self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start `bridge` with these arguments, and variables of its own; its standard error goes to a log."""
        with self._log(name).open("wb") as log, _stopping_later():
            process = subprocess.Popen(  # noqa: S603 - this very program
                # -P: a file in the folder that the demo is started from is no module of ours
                [sys.executable, "-P", "-m", "bridge", *arguments],
                env={**self._environment, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # a Ctrl-C is for the demo, which stops the others in order
                preexec_fn=partial(_end_with, os.getpid()),  # noqa: PLW1509 - system calls, no threads hold locks in them
            )
            self._running.append((name, process))
        return process

    def start_and_read(self, name: str, arguments: Sequence[str]) -> dict[str, Any]:
        """Start one that prints a JSON line when it is ready, and return the line."""
        process = self.start(name, arguments)
        if process.stdout is None:
            raise ProcessFailedError(name)
        line = process.stdout.readline()
        threading.Thread(target=process.stdout.read, daemon=True).start()  # or it would block on a full pipe
        if not line:
            process.wait()
            raise ProcessFailedError(self._told(name))
        found: dict[str, Any] = json.loads(line)
        return found

    def run(self, name: str, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Run one to its end."""
        process = self.start(name, arguments, environment)
        process.communicate()
        self._running.remove((name, process))
        if process.returncode != 0:
            raise ProcessFailedError(self._told(name))

    def check(self) -> None:
        """Raise if one of them has ended."""
        for name, process in self._running:
            if process.poll() is not None:
                raise ProcessFailedError(self._told(name))

    def take_ended(self) -> list[str]:
        """Return the names of those that have ended by themselves, each once; they are not stopped any more."""
        ended = [name for name, process in self._running if process.poll() is not None]
        self._running = [(name, process) for name, process in self._running if name not in ended]
        return ended

    def logged(self, name: str, event: str, field: str) -> str:
        """Return a field of the first such event in a log of JSON lines; empty where there is none."""
        for line in self._log(name).read_text(errors="replace").splitlines():
            with contextlib.suppress(ValueError):
                entry = json.loads(line)
                if entry.get("event") == event:
                    return str(entry.get(field, ""))
        return ""

    def stop(self) -> None:
        """Ask each to stop, the last started first; kill what does not."""
        for _, process in reversed(self._running):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdout is not None:
                process.stdout.close()
        self._running.clear()

    def __enter__(self) -> Processes:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all."""
        self.stop()

    def _log(self, name: str) -> Path:
        return self._directory / f"{name}.log"

    def _told(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return f"{name} ended early" + "".join(f"\n  {line}" for line in lines[-12:])
