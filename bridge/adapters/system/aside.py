"""
Large mails are read in processes of their own.

A thread would not do: a single regular expression over 30 MB holds the interpreter's lock for seconds, heartbeats
stop, and a thread cannot be ended. A process can: the kernel ends it at its CPU time and refuses it memory, and what
it leaves behind is gone with it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast

from bridge.adapters.system.aside_child import LENGTH
from bridge.domain.mail import FetchedMail
from bridge.errors import MailUnreadable
from bridge.wire.inbound_messages import composed, composed_unread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bridge.domain.mail import UnconvertibleMail
    from bridge.mime.defects import Defect
    from bridge.wire.inbound_messages import Composed

_CHILD: Final = "bridge.adapters.system.aside_child"
_READ_AHEAD_BYTES: Final = 4 * 1024 * 1024
_ATTEMPTS: Final = 2
_WALL_SECONDS: Final = 300.0
"""When a process that does not answer is given up, however busy the machine: the kernel would have ended it."""
_STILL_SECONDS: Final = 10.0
"""When one is given up that uses no CPU time, or is stopped: the mailbox whose mail it has must not wait for it."""
_LOOK_SECONDS: Final = 1.0
_RETIRE_FROM_BYTES: Final = 4 * 1024 * 1024
"""After a mail of that size a process ends: Python gives its memory back in no other way."""
_MEMORY_BYTES: Final = 768 * 1024 * 1024
_MEMORY_PER_BYTE: Final = 40
"""Address space, of which the process itself has a few hundred megabytes; `docs/performance.md` has what mails take."""


class Aside:
    """
    Makes the messages of large mails, two at a time, in processes that start when they are needed and stay.

    Nothing that a mail does to its process is more than the end of that mail's reading: it is then made of its bytes
    alone, with the defect that says why.
    """

    def __init__(
        self,
        *,
        seconds: float = 10.0,
        processes: int = 2,
        child: Sequence[str] = ("-m", _CHILD),
        still_seconds: float = _STILL_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._still_seconds = still_seconds
        self._child = child
        self._turns = asyncio.Semaphore(processes)
        self._idle: list[asyncio.subprocess.Process] = []

    async def composed(self, mail: FetchedMail | UnconvertibleMail, alias: str) -> Composed:
        """
        Return the messages for a mail.

        Raises:
            MailUnreadable: A mail of properties alone cannot be read: there are no bytes to publish instead.
        """
        async with self._turns:
            defect: Defect = "parser_failed"
            for attempt in range(_ATTEMPTS):
                try:
                    process = await self._process(new=attempt > 0)
                except OSError:
                    # No room for a process is the machine's trouble, not the mail's: read here, without the ceilings.
                    return await asyncio.to_thread(composed, mail, alias, seconds=self._seconds)
                try:
                    answer, ended_by = await self._ask(process, mail, alias)
                except TimeoutError:
                    defect = "parse_time_exceeded"
                    continue
                if answer is not None:
                    return answer
                if ended_by == -signal.SIGXCPU:
                    defect = "parse_time_exceeded"
                    break
                # Ended by somebody else, or for want of memory: once more, in another.
        if isinstance(mail, FetchedMail):
            return await asyncio.to_thread(composed_unread, mail, alias, defect)
        raise MailUnreadable("its properties could not be read")

    async def close(self) -> None:
        """End the processes that wait."""
        idle, self._idle = self._idle, []
        for process in idle:
            await _end(process)

    async def _ask(
        self, process: asyncio.subprocess.Process, mail: FetchedMail | UnconvertibleMail, alias: str
    ) -> tuple[Composed | None, int]:
        """Return the messages, or None and how the process ended."""
        size = len(mail.mime) if isinstance(mail, FetchedMail) else mail.ref.size_bytes
        memory = _MEMORY_BYTES + _MEMORY_PER_BYTE * size
        frame = pickle.dumps((mail, alias, self._seconds, memory), protocol=5)
        answer: bytes | None = None
        try:
            async with asyncio.timeout(_WALL_SECONDS), _watched(process, self._still_seconds):
                answer = await _exchange(process, frame)
        finally:
            # Cut off in the middle, or out of time: what it says next would be the answer to another mail.
            if answer is None:
                await _end(process)
        if answer is None:
            return None, process.returncode or 0
        if len(frame) >= _RETIRE_FROM_BYTES:
            await _end(process)
        else:
            self._idle.append(process)
        return cast("Composed | None", pickle.loads(answer)), 0  # noqa: S301 - from our own process

    async def _process(self, *, new: bool) -> asyncio.subprocess.Process:
        """Return one that waits or a new one; one that waited may have died meanwhile, of which no mail is to blame."""
        while self._idle and not new:
            process = self._idle.pop()
            if process.returncode is None:
                return process
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *self._child,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            # An error's words may be the mail's.
            stderr=asyncio.subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if not name.startswith("BRIDGE_")},
            limit=_READ_AHEAD_BYTES,
        )


@contextlib.asynccontextmanager
async def _watched(process: asyncio.subprocess.Process, still_seconds: float) -> AsyncIterator[None]:
    """End the process where it stands still meanwhile; that is then as if it had died of something else."""
    watching = asyncio.create_task(_end_when_still(process, still_seconds))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _end_when_still(process: asyncio.subprocess.Process, still_seconds: float) -> None:
    # Looks are counted and not time: while this loop is held up itself, the process may wait for it.
    before, still = _cpu_time(process.pid), 0
    while still < still_seconds / _LOOK_SECONDS:
        await asyncio.sleep(_LOOK_SECONDS)
        used = _cpu_time(process.pid)
        still = still + 1 if used is not None and used == before else 0
        before = used
    with contextlib.suppress(ProcessLookupError):
        process.kill()


def _cpu_time(pid: int) -> int | None:
    """Return the CPU time of a process that does not run; None where it does, gets no turn, or nothing tells."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("ascii", "replace").rpartition(")")[2].split()
    except OSError:
        return None
    state, user, system = fields[0], fields[11], fields[12]
    return None if state == "R" else int(user) + int(system)


async def _exchange(process: asyncio.subprocess.Process, frame: bytes) -> bytes | None:
    """Return the answer, or None where the process ended without one."""
    if process.stdin is None or process.stdout is None:  # both are pipes
        raise RuntimeError("a process without pipes")
    try:
        process.stdin.write(LENGTH.pack(len(frame)))
        process.stdin.write(frame)
        await process.stdin.drain()
        (length,) = LENGTH.unpack(await process.stdout.readexactly(LENGTH.size))
        return await process.stdout.readexactly(length)
    except (OSError, asyncio.IncompleteReadError):
        await process.wait()
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.wait()
