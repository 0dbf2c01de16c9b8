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

from bridge.adapters.spool import FileExtent, Spool
from bridge.adapters.system.parser_child import LENGTH
from bridge.adapters.system.parser_job import Files, Job, composed_by
from bridge.domain.mail import FetchedMail
from bridge.errors import MailUnreadable
from bridge.mime.parsed import Extent
from bridge.wire.inbound_messages import Composed, composed_bytes_alone, composed_unread

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from bridge.domain.defects import Defect
    from bridge.domain.mail import MimeFile, SpooledMail, UnconvertibleMail
    from bridge.wire.claims import ClaimRules, PendingBlob

_CHILD: Final = "bridge.adapters.system.parser_child"
_READ_AHEAD_BYTES: Final = 4 * 1024 * 1024
_ATTEMPTS: Final = 2
_WALL_SECONDS: Final = 300.0
"""When a process that does not answer is given up, however busy the machine: the kernel would have ended it."""
_STALLED_SECONDS: Final = 10.0
"""When one is given up that uses no CPU time, or is stopped: the mailbox whose mail it has must not wait for it."""
_LOOK_SECONDS: Final = 1.0
_RETIRE_FROM_BYTES: Final = 4 * 1024 * 1024
"""After a mail of that size a process ends: Python gives its memory back in no other way."""
_BYTES_PER_SECOND: Final = 10_000_000
"""Of a mail in a file: what reading it may take of CPU time grows with it."""
_MEMORY_BYTES: Final = 768 * 1024 * 1024
_MEMORY_PER_BYTE: Final = 40
"""Address space, of which the process itself has a few hundred megabytes; `docs/performance.md` has what mails take."""


class ParserSubprocesses:
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
        stalled_seconds: float = _STALLED_SECONDS,
    ) -> None:
        self._seconds = seconds
        self._stalled_seconds = stalled_seconds
        self._child = child
        self._turns = asyncio.Semaphore(processes)
        self._turn_of_files = asyncio.Semaphore(1)
        """The largest mails are read one after the other: what one takes of memory is what all take."""
        self._idle: list[asyncio.subprocess.Process] = []

    async def composed(
        self, mail: FetchedMail | UnconvertibleMail, alias: str, rules: ClaimRules | None = None
    ) -> Composed:
        """
        Return the messages for a mail, and what of it goes to the blob store.

        Raises:
            MailUnreadable: A mail of properties alone cannot be read: there are no bytes to publish instead.
        """
        size = len(mail.mime) if isinstance(mail, FetchedMail) else mail.ref.size_bytes
        answer = await self._read(Job(mail, alias, self._seconds, _memory_for(size), rules))
        if isinstance(answer, Composed):
            return answer
        if isinstance(mail, FetchedMail):
            return await asyncio.to_thread(composed_unread, mail, alias, answer, rules)
        raise MailUnreadable("its properties could not be read")

    async def composed_of_file(self, mail: SpooledMail, alias: str, rules: ClaimRules) -> Composed:
        """
        Return the same for a mail in a file; what of it goes to the blob store lies there, or in another file.

        Raises:
            BlobStoreUnusable: There is no room for that one.
        """
        parts = Spool()
        files = Files(mail.ref, mail.size, mail.sha256, mail.file.descriptor, parts.descriptor)
        seconds = self._seconds + mail.size / _BYTES_PER_SECOND
        answer = await self._read(Job(files, alias, seconds, _memory_for(mail.size), rules))
        if not isinstance(answer, Composed):
            answer = composed_bytes_alone(mail.ref, alias, files.raw, answer, rules)
        if all(blob.raw for blob in answer.blobs):
            parts.close()
        return answer._replace(blobs=tuple(_in_files(blob, mail.file, parts) for blob in answer.blobs))

    async def _read(self, job: Job) -> Composed | Defect:
        """Return the messages, or the defect that says why there are none."""
        in_file = isinstance(job.mail, Files)
        async with self._turn_of_files if in_file else contextlib.nullcontext(), self._turns:
            defect: Defect = "parser_failed"
            for attempt in range(_ATTEMPTS):
                try:
                    process = await self._process(job, new=attempt > 0)
                except OSError:
                    # No room for a process is the machine's trouble, not the mail's: read here, without the ceilings.
                    return await asyncio.to_thread(composed_by, job)
                try:
                    answer, ended_by = await self._ask(process, job)
                except TimeoutError:
                    defect = "parse_time_exceeded"
                    continue
                if answer is not None:
                    return answer
                if ended_by == -signal.SIGXCPU:
                    return "parse_time_exceeded"
                # Ended by somebody else, or for want of memory: once more, in another.
            return defect

    async def close(self) -> None:
        """End the processes that wait."""
        idle, self._idle = self._idle, []
        for process in idle:
            await _end(process)

    async def _ask(self, process: asyncio.subprocess.Process, job: Job) -> tuple[Composed | None, int]:
        """Return the messages, or None and how the process ended."""
        frame = pickle.dumps(job, protocol=5)
        answer: bytes | None = None
        try:
            async with asyncio.timeout(_WALL_SECONDS), _watched(process, self._stalled_seconds):
                answer = await _exchange(process, frame)
        finally:
            # Cut off in the middle, or out of time: what it says next would be the answer to another mail.
            if answer is None:
                await _end(process)
        if answer is None:
            return None, process.returncode or 0
        if len(frame) >= _RETIRE_FROM_BYTES or isinstance(job.mail, Files):
            await _end(process)
        else:
            self._idle.append(process)
        return cast("Composed | None", pickle.loads(answer)), 0  # noqa: S301 - from our own process

    async def _process(self, job: Job, *, new: bool) -> asyncio.subprocess.Process:
        """
        Return one that waits or a new one; one that waited may have died meanwhile, of which no mail is to blame.

        Files are handed to a process as it starts, and to none that was there before.
        """
        files = (job.mail.mime, job.mail.parts) if isinstance(job.mail, Files) else ()
        while self._idle and not new and not files:
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
            pass_fds=files,
        )


def _memory_for(size: int) -> int:
    return _MEMORY_BYTES + _MEMORY_PER_BYTE * size


def _in_files(blob: PendingBlob, mime: MimeFile, parts: Spool) -> PendingBlob:
    """Return a blob whose content can be read here."""
    match blob.content:
        case Extent(start=start, size=size):
            return blob._replace(content=FileExtent(mime if blob.raw else parts, start, size))
        case _:
            return blob


@contextlib.asynccontextmanager
async def _watched(process: asyncio.subprocess.Process, stalled_seconds: float) -> AsyncIterator[None]:
    """End the process where it stands still meanwhile; that is then as if it had died of something else."""
    watching = asyncio.create_task(_end_when_stalled(process, stalled_seconds))
    try:
        yield
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _end_when_stalled(process: asyncio.subprocess.Process, stalled_seconds: float) -> None:
    # Looks are counted and not time: while this loop is held up itself, the process may wait for it.
    before, still = _cpu_time(process.pid), 0
    while still < stalled_seconds / _LOOK_SECONDS:
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
