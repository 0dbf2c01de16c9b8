"""The demo's directory: gone when the demo ends, and when one was killed, gone at the next demo's start."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

_PREFIX = "bridge-demo-"
_LOCK = "lock"


@contextmanager
def demo_directory() -> Iterator[Path]:
    """Yield a new directory that others may not read; it is removed afterwards with all that is in it."""
    with tempfile.TemporaryDirectory(prefix=_PREFIX) as name, _held(Path(name)):
        yield Path(name)


def remove_leftovers() -> list[Path]:
    """Remove the directories of this user's demos that were killed, and return them. One that runs keeps its own."""
    removed = []
    for directory in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        # The directory of temporary files is everybody's: follow no link, touch nothing that is another user's.
        if directory.is_symlink() or not directory.is_dir() or directory.stat().st_uid != os.getuid():
            continue
        if _is_free(directory / _LOCK):
            shutil.rmtree(directory, ignore_errors=True)
            if directory.exists():  # a process of that demo is still ending in there: the next demo tries again
                (directory / _LOCK).touch()
            else:
                removed.append(directory)
    return removed


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Hold the directory's lock, which the kernel lets go however this process ends."""
    new = directory / f"{_LOCK}.new"
    with new.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        new.rename(directory / _LOCK)  # it appears locked: no moment at which it looks like a dead demo's
        yield


def _is_free(lock: Path) -> bool:
    """Whether there is such a lock and nobody holds it."""
    try:
        file: IO[str] = lock.open()
    except OSError:
        return False
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
