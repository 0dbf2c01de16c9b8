"""
A directory as a blob store.

By the operating system's own calls and not through a library: what libraries offer for files follows symbolic links,
and says "written" of what a power cut takes away (`docs/decisions/0008-blob-stores.md`). Every directory below the
root is opened by the one above it, never following a link, so nobody can lead a name out of the store.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from typing import TYPE_CHECKING, Final

from bridge.adapters.blobs.blocking import BlockingStore
from bridge.adapters.blobs.file_errors import meaning_of, refusal_of
from bridge.adapters.blobs.threads import Deadline, checked, corrupted, given, is_same
from bridge.domain import blobs
from bridge.errors import BlobChanged, BlobMissing, BlobRefused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime
    from pathlib import Path

    from bridge.domain.blobs import BlobRef
    from bridge.ports.blobs import Content

_DIRECTORY: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_NO_LINK: Final = os.O_NOFOLLOW
_UNFINISHED: Final = ".part"
_DEEPEST: Final = 3
"""Directories above a blob of the bridge's own."""


class FileBlobs(BlockingStore):
    """Blobs in a directory that exists. File, read back, name, directory: in that order."""

    def __init__(self, root: Path, *, timeout_seconds: float) -> None:
        super().__init__(f"file://{root}", timeout_seconds=timeout_seconds)
        self._root = root

    def _write(self, ref: BlobRef, content: Content, deadline: Deadline) -> None:
        *parents, name = ref.key.split("/")
        unfinished = f".{secrets.token_hex(8)}{_UNFINISHED}"
        try:
            with self._directory(parents, make=True) as directory:
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | _NO_LINK
                file = os.open(unfinished, flags, 0o640, dir_fd=directory)
                try:
                    for piece in checked(ref, content, deadline):
                        _write_all(file, piece)
                    os.fsync(file)
                    _read_back(file, ref, deadline)
                    os.rename(unfinished, name, src_dir_fd=directory, dst_dir_fd=directory)
                    os.fsync(directory)
                except BaseException:
                    with contextlib.suppress(OSError):
                        os.unlink(unfinished, dir_fd=directory)
                    raise
                finally:
                    os.close(file)
        except OSError as error:
            raise meaning_of(error) from error

    def _read(self, ref: BlobRef, give: Callable[[bytes], None], deadline: Deadline) -> None:
        *parents, name = ref.key.split("/")
        with self._root_open() as root:
            try:
                with _beneath(root, parents) as directory:
                    file = os.open(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | _NO_LINK, dir_fd=directory)
            except FileNotFoundError:
                raise BlobMissing("there is no such blob") from None
            except OSError as error:
                raise refusal_of(error) from error
            try:
                status = os.fstat(file)
                if not stat.S_ISREG(status.st_mode):
                    raise BlobRefused("it is no file")
                if status.st_size != ref.size:
                    raise BlobChanged("it has another size")
                if not is_same(ref, given(_pieces(file), give), deadline):
                    raise BlobChanged("it has other bytes")
            except OSError as error:
                raise meaning_of(error) from error
            finally:
                os.close(file)

    def _delete(self, key: str) -> None:
        *parents, name = key.split("/")
        try:
            with (
                self._root_open() as root,
                contextlib.suppress(FileNotFoundError),
                _beneath(root, parents) as directory,
            ):
                os.unlink(name, dir_fd=directory)
                os.fsync(directory)
        except OSError as error:
            raise meaning_of(error) from error

    def _remove_older(self, moment: datetime, limit: int, deadline: Deadline) -> int:
        try:
            with self._root_open() as root:
                return _Sweep(moment, limit, deadline).below(root)
        except OSError as error:
            raise meaning_of(error) from error

    @contextlib.contextmanager
    def _root_open(self) -> Iterator[int]:
        try:
            root = os.open(self._root, _DIRECTORY)
        except OSError as error:
            raise meaning_of(error) from error
        try:
            yield root
        finally:
            os.close(root)

    @contextlib.contextmanager
    def _directory(self, parents: list[str], *, make: bool) -> Iterator[int]:
        with self._root_open() as root, _beneath(root, parents, make=make) as directory:
            yield directory


@contextlib.contextmanager
def _beneath(root: int, parents: list[str], *, make: bool = False) -> Iterator[int]:
    """Open a directory by its names, one from another; made on the way, it is there after a power cut as well."""
    with contextlib.ExitStack() as opened:
        directory = root
        for name in parents:
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(name, 0o750, dir_fd=directory)
                os.fsync(directory)  # also where another made it, who may have died before this
            directory = os.open(name, _DIRECTORY | _NO_LINK, dir_fd=directory)
            opened.callback(os.close, directory)
        yield directory


def _write_all(file: int, piece: bytes) -> None:
    left = memoryview(piece)
    while left:
        left = left[os.write(file, left) :]


def _read_back(file: int, ref: BlobRef, deadline: Deadline) -> None:
    """Compare what the disk has, and not what is in memory still, where the system offers that."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(file, 0, 0, os.POSIX_FADV_DONTNEED)
    if not is_same(ref, _pieces(file), deadline):
        raise corrupted()


def _pieces(file: int) -> Iterator[bytes]:
    position = 0
    while piece := os.pread(file, blobs.PIECE_BYTES, position):
        position += len(piece)
        yield piece


class _Sweep:
    """Deletes what is old in a directory and below, up to a number of blobs."""

    def __init__(self, before: datetime, limit: int, deadline: Deadline) -> None:
        self._before = before
        self._deadline = deadline
        self._left = limit

    def below(self, directory: int, at: str = "") -> int:
        """Return how many blobs were deleted."""
        left = self._left
        for name in sorted(os.listdir(directory)):
            self._deadline.check()
            if not self._left:
                break
            with contextlib.suppress(FileNotFoundError):  # another worker sweeps, too
                self._look_at(directory, at, name)
        return left - self._left

    def _look_at(self, directory: int, at: str, name: str) -> None:
        status = os.stat(name, dir_fd=directory, follow_symlinks=False)
        if stat.S_ISDIR(status.st_mode) and at.count("/") < _DEEPEST:
            inner = os.open(name, _DIRECTORY | _NO_LINK, dir_fd=directory)
            try:
                removed = self.below(inner, f"{at}{name}/")
            finally:
                os.close(inner)
            if removed:
                with contextlib.suppress(OSError):  # something is in it still, or comes into it just now
                    os.rmdir(name, dir_fd=directory)
        elif stat.S_ISREG(status.st_mode) and self._is_old(status, at, name):
            os.unlink(name, dir_fd=directory)
            self._left -= 1

    def _is_old(self, status: os.stat_result, at: str, name: str) -> bool:
        digest = "0" * 64 if name.startswith(".") and name.endswith(_UNFINISHED) else name
        return status.st_mtime < self._before.timestamp() and blobs.is_own_before(at + digest, self._before)
