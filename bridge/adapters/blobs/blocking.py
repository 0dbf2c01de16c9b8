"""What stores have in common: blocking calls, run aside under a deadline."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from bridge.adapters.blobs.threads import Threads
from bridge.adapters.spool import FileExtent, Spool

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from bridge.adapters.blobs.threads import Deadline
    from bridge.domain.blobs import BlobRef
    from bridge.ports.blobs import Content


class BlockingStore(ABC):
    """Keeps the promise of `ports.blobs.BlobStore` with blocking calls of which a store has its own."""

    def __init__(self, url: str, *, timeout_seconds: float) -> None:
        self._url = url
        self._threads = Threads(timeout_seconds)

    @property
    def url(self) -> str:
        """What the urls of its blobs begin with."""
        return self._url

    async def write(self, ref: BlobRef, content: Content) -> None:
        """Store a blob and read it back whole; a crash leaves no half of it under its name."""
        await self._threads.run(lambda deadline: self._write(ref, content, deadline), size=ref.size)

    async def read(self, ref: BlobRef) -> bytes:
        """Return a blob that has the size and the SHA-256 of `ref`."""
        kept: list[bytes] = []
        await self._threads.run(lambda deadline: self._read(ref, kept.append, deadline), size=ref.size)
        return b"".join(kept)

    async def copy(self, ref: BlobRef) -> Content:
        """Return the content of a blob that has the size and the SHA-256 of `ref`, in a temporary file."""

        def copied(deadline: Deadline) -> Content:
            spool = Spool()
            self._read(ref, spool.append, deadline)
            return FileExtent(spool, 0, ref.size)

        return await self._threads.run(copied, size=ref.size)

    async def delete(self, key: str) -> None:
        """Take a blob away; one that is gone is no error."""
        await self._threads.run(lambda _: self._delete(key))

    async def remove_older(self, moment: datetime, *, limit: int) -> int:
        """Delete old blobs of the bridge, at most so many, and return how many."""
        return await self._threads.run(lambda deadline: self._remove_older(moment, limit, deadline))

    async def close(self) -> None:
        """Let go of what is open."""
        self._threads.close()

    @abstractmethod
    def _write(self, ref: BlobRef, content: Content, deadline: Deadline) -> None: ...

    @abstractmethod
    def _read(self, ref: BlobRef, give: Callable[[bytes], None], deadline: Deadline) -> None: ...

    @abstractmethod
    def _delete(self, key: str) -> None: ...

    @abstractmethod
    def _remove_older(self, moment: datetime, limit: int, deadline: Deadline) -> int: ...
