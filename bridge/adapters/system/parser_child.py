"""
The process that reads large mails for a worker; `parser_subprocess.py` starts it.

It takes mails from standard input and writes the messages to standard output, one after the other, until the input
ends: it never outlives its worker by more than one mail. A frame is eight bytes of length and a pickle.
"""

from __future__ import annotations

import os
import pickle
import resource
import signal
import struct
import sys
import time
from typing import TYPE_CHECKING, BinaryIO

from bridge.adapters.system.parser_job import composed_by

if TYPE_CHECKING:
    from bridge.adapters.system.parser_job import Job

LENGTH = struct.Struct(">Q")
_BEYOND_SECONDS = 10
"""CPU time after the mail's own at which the kernel ends this process: something does not look for signals."""


def main() -> None:
    """Read mails until the worker closes the input."""
    # The worker says when it is over; signals to its process group are meant for the worker.
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    # What a mail brings to fall must not lie on a disk.
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    source, sink = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    while (frame := _read(source)) is not None:
        job: Job = pickle.loads(frame)  # noqa: S301 - from the worker that started this
        del frame
        answer = pickle.dumps(_composed(job), protocol=5)
        sink.write(LENGTH.pack(len(answer)))
        sink.write(answer)
        sink.flush()


def _composed(job: Job) -> object:
    """Return the messages, or None where there was no way to make any."""
    _limit(resource.RLIMIT_CPU, int(time.process_time() + job.seconds) + _BEYOND_SECONDS)
    _limit(resource.RLIMIT_AS, job.memory_bytes)
    try:
        return composed_by(job)
    except Exception:  # noqa: BLE001 - the worker deals with it; what the error says may be the mail's content
        return None
    finally:
        # The answer must be written whatever the mail took.
        _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def _limit(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    resource.setrlimit(what, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))


def _read(source: BinaryIO) -> bytes | None:
    head = source.read(LENGTH.size)
    if len(head) < LENGTH.size:
        return None
    (length,) = LENGTH.unpack(head)
    frame = source.read(length)
    return frame if len(frame) == length else None


if __name__ == "__main__":
    main()
