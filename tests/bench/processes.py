"""What processes take, by the kernel's count: with their children, which a worker has for large mails."""

from __future__ import annotations

import contextlib
import os
import re
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_PROC = Path("/proc")
_RABBITMQ = Path("/usr/lib/rabbitmq/lib")
_TICKS = os.sysconf("SC_CLK_TCK")
_ESTABLISHED = "01"


def family(pid: int) -> list[int]:
    """Return a process and all that descend from it and live."""
    found = [pid]
    for one in found:
        found += _children(one)
    return found


def cpu_seconds(pid: int) -> float:
    """
    Return user and system time of a process with its threads and children, those that have ended and were waited for.

    From proc(5), /proc/pid/stat, fields 14 to 17. 0 for one that is gone.
    """
    spent = (fields[11:15] for one in family(pid) if (fields := _stat(one)) is not None)
    return sum(int(part) for parts in spent for part in parts) / _TICKS


def resident_megabytes(pid: int) -> float:
    """
    Return what a process and its children hold in memory.

    A child that is just being made is not counted: until it runs its own program it shows its parent's memory.
    """
    own = _command(pid)
    return sum(_resident_kib(one) for one in family(pid) if one == pid or _command(one) != own) / 1024


def connections(pid: int) -> int:
    """Return how many TCP connections a process and its children have."""
    inodes: set[str] = set()
    for one in family(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            for link in (_PROC / str(one) / "fd").iterdir():
                with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                    if match := re.fullmatch(r"socket:\[(\d+)\]", str(link.readlink())):
                        inodes.add(match[1])
    rows = [line.split() for table in ("tcp", "tcp6") for line in (_PROC / "net" / table).read_text().splitlines()[1:]]
    return sum(row[3] == _ESTABLISHED and row[9] in inodes for row in rows)


def machine_cpu_seconds() -> float:
    """Return what all cores together have worked since the machine started."""
    fields = (_PROC / "stat").read_text().split("\n", 1)[0].split()[1:9]
    busy = [int(field) for place, field in enumerate(fields) if place not in {3, 4}]  # idle, and waiting for a disk
    return sum(busy) / _TICKS


def machine() -> dict[str, Any]:
    """Return what the figures are taken on."""
    with (_PROC / "cpuinfo").open() as info:
        model = next((line.partition(":")[2].strip() for line in info if line.startswith("model name")), "unknown")
    memory = (_PROC / "meminfo").read_text().split("\n", 1)[0].split()[1]
    servers = sorted(path.name.partition("-")[2] for path in _RABBITMQ.glob("rabbitmq_server-*"))
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 1024**2),
        "kernel": os.uname().release,
        "python": sys.version.split()[0],
        "rabbitmq": servers[-1] if servers else "unknown",
        "load": [round(one, 1) for one in os.getloadavg()],
    }


@dataclass(frozen=True)
class Shares:
    """Who took how much CPU time meanwhile; `rest` is proxies, this program, and what else the machine did."""

    seconds: float
    by_name: Mapping[str, float]
    rest: float

    def __str__(self) -> str:
        parts = [f"{name} {spent:.2f} s ({self.share(name):.0%})" for name, spent in self.by_name.items()]
        return f"CPU: {', '.join(parts)}, all else {self.rest:.2f} s; in {self.seconds:.1f} s of {os.cpu_count()} cores"

    def share(self, name: str) -> float:
        """Return the part of all that was spent."""
        return self.by_name[name] / ((sum(self.by_name.values()) + self.rest) or 1)


class Meter:
    """Measures the CPU time of several processes from its making on; those of one name are added."""

    def __init__(self, pids: Mapping[str, int], *, from_birth: Iterable[str] = ()) -> None:
        """`from_birth` names those whose start counts as well."""
        self._pids = pids
        self._begun = time.monotonic()
        self._machine = machine_cpu_seconds()
        born = set(from_birth)
        self._before = {name: 0.0 if name in born else cpu_seconds(pid) for name, pid in pids.items()}
        self._last: dict[str, float] = {}

    def look(self) -> None:
        """Remember what was spent so far: a process that ends takes its count with it."""
        for name, pid in self._pids.items():
            self._last[name] = max(cpu_seconds(pid), self._last.get(name, 0.0))

    def shares(self) -> Shares:
        """Return what was spent until now, or until the end of those that have ended."""
        self.look()
        by_name = {name: self._last[name] - before for name, before in self._before.items()}
        rest = max(0.0, machine_cpu_seconds() - self._machine - sum(by_name.values()))
        return Shares(time.monotonic() - self._begun, by_name, rest)


class Peak:
    """Looks at what a process holds all the time, in a thread; use as a context manager."""

    def __init__(self, pid: int, *, every_seconds: float, with_connections: bool = False) -> None:
        self._pid = pid
        self._every = every_seconds
        self._with_connections = with_connections
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.megabytes = 0.0
        self.connections = 0
        self.samples: list[float] = []
        """Megabytes, in the order in which they were seen."""

    def __enter__(self) -> Self:
        self._look()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            self._look()

    def _look(self) -> None:
        self.samples.append(resident_megabytes(self._pid))
        self.megabytes = max(self.megabytes, self.samples[-1])
        if self._with_connections:
            self.connections = max(self.connections, connections(self._pid))


def _command(pid: int) -> bytes | None:
    """Return what a process was started with; None where it has ended."""
    try:
        return (_PROC / str(pid) / "cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for task in (_PROC / str(pid) / "task").iterdir():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                found += map(int, (task / "children").read_text().split())
    return found


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/pid/stat behind the name, the state first."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None


def _resident_kib(pid: int) -> int:
    try:
        lines = (_PROC / str(pid) / "status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)
