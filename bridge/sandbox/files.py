"""Files that are whole or absent, and the claim of one process on a directory."""

from __future__ import annotations

import fcntl
import os
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

PRIVATE = 0o600
PUBLIC = 0o644


def write_atomically(path: Path, content: bytes, *, mode: int = PRIVATE, sync: bool = True) -> None:
    """
    Leave `content` under `path`, readable as `mode` says; a kill leaves the old file or the new one.

    Without `sync` that holds for a killed process, not for a power cut.

    Raises:
        OSError: The disk refuses; the old file is as it was.
    """
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    try:
        os.fchmod(descriptor, mode)  # a draft that a crash left behind keeps its old mode
        with open(descriptor, "wb", closefd=False) as file:  # the descriptor has its mode from birth
            file.write(content)
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    draft.replace(path)
    if sync:
        sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make renames and creations in `path` survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class DirectoryInUseError(RuntimeError):
    """Another process holds the directory."""


class DirectoryClaim:
    """
    The claim of this process on a directory, from `__enter__` to `__exit__` or death.

    The kernel drops it with the process, so a killed sandbox never locks its successor out.
    """

    def __init__(self, directory: Path) -> None:
        """Prepare a claim on `directory`, which exists."""
        self._path = directory / "lock"
        self._descriptor = -1

    def __enter__(self) -> Self:
        """
        Hold the directory.

        Raises:
            DirectoryInUseError: Another process holds it.
        """
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, PRIVATE)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(descriptor)
            message = f"another sandbox runs in {self._path.parent}"
            raise DirectoryInUseError(message) from error
        self._descriptor = descriptor
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let the directory go."""
        os.close(self._descriptor)
