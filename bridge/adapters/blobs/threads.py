"""A store's blocking calls, on a few threads of its own, each under a deadline."""

from __future__ import annotations

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, TypeVar

from bridge.errors import BlobStoreUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from bridge.domain.blobs import BlobRef
    from bridge.ports.blobs import Content

_Result = TypeVar("_Result")
_THREADS: Final = 8
_SLOWEST_BYTES_PER_SECOND: Final = 1 << 20
_GRACE_SECONDS: Final = 1.0
"""The thread finds out by itself, where the system lets it."""


class Deadline:
    """A moment after which work is given up."""

    def __init__(self, seconds: float) -> None:
        self.at = time.monotonic() + seconds

    def check(self) -> None:
        """
        Go on while there is time.

        Raises:
            BlobStoreUnavailable: There is none left.
        """
        if time.monotonic() > self.at:
            raise too_slow()


def too_slow() -> BlobStoreUnavailable:
    """Return the error of a store that took too long."""
    return BlobStoreUnavailable("no answer in time", code="blob_store_slow")


def corrupted() -> BlobStoreUnavailable:
    """Return the error of a store that cannot be trusted with bytes."""
    return BlobStoreUnavailable("other bytes came back than were written", code="blob_store_corrupts")


class Threads:
    """
    Runs blocking calls.

    One that the system does not let go, on a dead network mount for instance, keeps its thread; when it keeps them all
    the others fail by their deadlines, and no more threads are made.
    """

    def __init__(self, timeout_seconds: float) -> None:
        self._timeout_seconds = timeout_seconds
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="blobs")

    async def run(self, work: Callable[[Deadline], _Result], *, size: int = 0) -> _Result:
        """
        Return what the work returns.

        Raises:
            BlobStoreUnavailable: It took longer than the time-out, and a second more for each megabyte there and back.
        """
        seconds = self._timeout_seconds + 2 * size / _SLOWEST_BYTES_PER_SECOND
        deadline = Deadline(seconds)
        try:
            async with asyncio.timeout(seconds + _GRACE_SECONDS):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work, deadline)
        except TimeoutError:
            raise too_slow() from None

    def close(self) -> None:
        """Let the threads end; nobody waits for one that hangs."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def checked(ref: BlobRef, content: Content, deadline: Deadline) -> Iterator[bytes]:
    """
    Yield the content, and find out at its end whether it is what the reference says.

    Raises:
        ValueError: It is not: a bug.
    """
    digest, size = hashlib.sha256(), 0
    for piece in content.pieces():
        deadline.check()
        digest.update(piece)
        size += len(piece)
        yield piece
    if (size, digest.hexdigest()) != (ref.size, ref.sha256):
        raise ValueError("the content is not what its reference says")


def is_same(ref: BlobRef, pieces: Iterable[bytes], deadline: Deadline) -> bool:
    """Return whether these bytes are those of the reference; no more are read than it has."""
    digest, size = hashlib.sha256(), 0
    for piece in pieces:
        deadline.check()
        digest.update(piece)
        size += len(piece)
        if size > ref.size:
            return False
    return (size, digest.hexdigest()) == (ref.size, ref.sha256)


def given(pieces: Iterable[bytes], give: Callable[[bytes], None]) -> Iterator[bytes]:
    """Yield pieces, each once `give` has it."""
    for piece in pieces:
        give(bytes(piece))
        yield piece
