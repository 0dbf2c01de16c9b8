"""Bridge commands as processes: started, watched over HTTP, killed. Imports nothing of the bridge."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pika

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path
    from types import TracebackType

_BRIDGE = (sys.executable, "-m", "bridge")
_LOOK_SECONDS = 0.02
_LONGEST_LOOK_SECONDS = 0.25
_SHARE_OF_WAIT = 0.05


def bridge(
    *arguments: str, environment: Mapping[str, str], stdin: str | None = None, timeout_seconds: float = 60
) -> subprocess.CompletedProcess[str]:
    """Run a `bridge` command to its end and return what it said."""
    return subprocess.run(
        [*_BRIDGE, *arguments],
        env=clean(environment),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout_seconds,
        check=False,
    )


def clean(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the surroundings without proxies and without settings of a bridge, and with these on top."""
    kept = {
        key: value
        for key, value in os.environ.items()
        if not key.lower().endswith("_proxy") and not key.startswith("BRIDGE_")
    }
    return {**kept, **environment}


def until(
    condition: Callable[[], bool], what: str, *, seconds: float = 60.0, look_seconds: float = _LOOK_SECONDS
) -> None:
    """
    Return once the condition holds; fail with `what` was waited for.

    It is looked at every `look_seconds` and, the longer the wait, the more seldom: a look costs the CPU of a request or
    a connection, and one that is a twentieth of the wait too late costs nobody anything.
    """
    begun = time.monotonic()
    while not condition():
        waited = time.monotonic() - begun
        if waited > seconds:
            raise AssertionError(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(max(look_seconds, min(_SHARE_OF_WAIT * waited, _LONGEST_LOOK_SECONDS)))


class Process(Protocol):
    """What is needed of a process: `subprocess.Popen` is one."""

    @property
    def pid(self) -> int: ...
    def poll(self) -> int | None: ...
    def wait(self, timeout: float | None = None) -> int: ...
    def kill(self) -> None: ...
    def terminate(self) -> None: ...


class Worker(AbstractContextManager["Worker"]):
    """One worker process: `ingest`, `egress` or `run`."""

    def __init__(self, command: str, environment: Mapping[str, str], log: Path, *arguments: str) -> None:
        """Prepare it; `log` is appended to by every start."""
        self._command = [*_BRIDGE, command, *arguments]
        self._environment = {"BRIDGE_LOG__FORMAT": "json", "BRIDGE_HTTP__LISTEN": "127.0.0.1:0", **environment}
        self._log = log
        self._process: Process | None = None
        self._begin = 0

    def __enter__(self) -> Worker:
        """Start it."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it in whatever state it is; its log is shown when a test failed."""
        if self._process is not None and self._process.poll() is None:
            self.kill()
        if error is not None:
            sys.stderr.write(self._log.read_text(errors="replace")[-8_000:])

    def start(self) -> None:
        """Start the process; it connects by itself."""
        self._begin = self._log.stat().st_size if self._log.exists() else 0
        self._process = self._start_process(clean(self._environment))

    def _start_process(self, environment: Mapping[str, str]) -> Process:
        with self._log.open("ab") as log:
            return subprocess.Popen(self._command, env=environment, stdout=log, stderr=log)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process is not None
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the process is there."""
        return self._process is not None and self._process.poll() is None

    def kill(self) -> None:
        """SIGKILL, as a crash."""
        assert self._process is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self._process.pid, signal.SIGCONT)
        self._process.kill()
        self._process.wait(10)

    def stop(self, *, seconds: float = 30.0) -> int:
        """SIGTERM, and its exit code."""
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(seconds)

    def wait(self, *, seconds: float = 30.0) -> int:
        """Return its exit code once it ends by itself."""
        assert self._process is not None
        return self._process.wait(seconds)

    def freeze(self) -> None:
        """SIGSTOP."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        os.kill(self.pid, signal.SIGCONT)

    def log_lines(self) -> list[dict[str, Any]]:
        """Return the JSON lines that it wrote since its last start."""
        with self._log.open("rb") as file:
            file.seek(self._begin)
            lines = file.read().decode(errors="replace").splitlines()
        found = []
        for line in lines:
            with contextlib.suppress(ValueError):
                found.append(json.loads(line))
        return [line for line in found if isinstance(line, dict)]

    def told(self, event: str) -> list[dict[str, Any]]:
        """Return its log lines of one event."""
        return [line for line in self.log_lines() if line.get("event") == event]

    def url(self) -> str:
        """Return where it serves /metrics and /health, once it does."""
        until(lambda: bool(self.told("process.started")) or not self.running, "the worker to start")
        assert self.running, f"the worker ended: {self._log.read_text(errors='replace')[-2_000:]}"
        return str(self.told("process.started")[0]["health"]).removesuffix("/health")

    def health(self) -> dict[str, dict[str, Any]]:
        """Return the parts of /health by name."""
        with urlopen(f"{self.url()}/health", timeout=10) as answer:  # noqa: S310 - loopback
            return {part["part"]: part for part in json.load(answer)["parts"]}

    def ready(self) -> bool:
        """Whether /health/ready says so."""
        try:
            with urlopen(f"{self.url()}/health/ready", timeout=10) as answer:  # noqa: S310 - loopback
                return bool(answer.status == 200)
        except HTTPError as error:
            error.close()
            return False
        except URLError:
            return False

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's values over all series with these labels."""
        return sum(value for found, value in self.series(name) if labels.items() <= found.items())

    def series(self, name: str) -> list[tuple[dict[str, str], float]]:
        """Return each series of a metric, its labels and its value, all of one moment."""
        with urlopen(f"{self.url()}/metrics", timeout=10) as answer:  # noqa: S310 - loopback
            text = answer.read().decode()
        matches = (re.match(r"([a-z_]+)(?:\{(.*)\})? (\S+)$", line) for line in text.splitlines())
        return [
            (dict(re.findall(r'(\w+)="([^"]*)"', match[2] or "")), float(match[3]))
            for match in matches
            if match is not None and match[1] == name
        ]


def take(amqp_url: str, queue: str = "mail.inbound") -> list[tuple[str, bytes]]:
    """Take everything out of a queue: message_id and body."""
    taken: list[tuple[str, bytes]] = []
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as connection:
        channel = connection.channel()
        while True:
            method, properties, body = channel.basic_get(queue)
            if method is None or properties is None or body is None:
                return taken
            taken.append((properties.message_id or "", body))
            channel.basic_ack(method.delivery_tag)


def repeats(message_ids: Sequence[str]) -> int:
    """Return how many arrivals were repeats of an earlier one."""
    return sum(count - 1 for count in Counter(message_ids).values())
