"""What one thread has given back is there for the others, or for the system."""

from __future__ import annotations

import subprocess
import sys

import pytest

# Each thread takes room, keeps a little above it, and gives the room back; none ends, so that none inherits a heap.
_PROGRAM = """
import re, sys, threading
from pathlib import Path
{heaps}
size, kept, taken, over = int(sys.argv[1]), [], threading.Semaphore(0), threading.Event()

def work():
    room = [b"x" * size for _ in range(16_000_000 // size)]
    kept.append(b"x" * 2_000)
    del room
    taken.release()
    over.wait()

def resident():
    return int(re.search(r"VmRSS:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

b"x" * 30_000_000
before = resident()
threads = [threading.Thread(target=work) for _ in range(12)]
for thread in threads:
    thread.start()
    taken.acquire()
print(resident() - before)
over.set()
"""
_WORKER = "from bridge.cli.malloc_tuning import share_heaps; share_heaps()"
_SANDBOX = "from bridge.sandbox.arenas import thread_begins; thread_begins(); thread_begins()"
_ONE_THREAD_KIB = 16_000


@pytest.mark.parametrize("heaps", [_WORKER, _SANDBOX], ids=["worker", "sandbox"])
@pytest.mark.parametrize(("size", "rooms"), [(100_000, 2.5), (1_000_000, 0.5)])
def test_threads_do_not_each_keep_the_room_that_they_needed_once(heaps: str, size: int, rooms: float) -> None:
    """Without it these twelve keep all that each of them took."""
    ended = subprocess.run(
        [sys.executable, "-c", _PROGRAM.format(heaps=heaps), str(size)], check=True, capture_output=True, text=True
    )

    assert int(ended.stdout) < rooms * _ONE_THREAD_KIB
