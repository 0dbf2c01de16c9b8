"""A place for what is too large for the broker."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from bridge.domain.blobs import BlobRef


class Content(Protocol):
    """Bytes that are read piece by piece, as often as they are needed."""

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""


class BlobStore(Protocol):
    """
    One store, named by a url without a slash at its end.

    Every method may raise `BlobStoreUnavailable`, which passes, and `BlobStoreUnusable`, for which a person must act:
    it is full, read-only, or not there. No text of an error names a url, a path or a credential.
    """

    @property
    def url(self) -> str:
        """What the urls of its blobs begin with."""

    async def write(self, ref: BlobRef, content: Content) -> None:
        """
        Store a blob; it is there, as durable as the store makes it, and was read back whole, when this returns.

        A blob of that key is replaced, and whoever reads meanwhile gets the old one or the new one. Bytes that came
        back other than they were written are taken away again.

        Raises:
            ValueError: The content is not what `ref` says.
        """

    async def read(self, ref: BlobRef) -> bytes:
        """
        Return a blob that has the size and the SHA-256 of `ref`.

        Raises:
            BlobMissing: There is none.
            BlobChanged: There are other bytes.
            BlobRefused: The key leads out of the store (a symbolic link), or to something that is no blob.
        """

    async def copy(self, ref: BlobRef) -> Content:
        """
        Return the content of a blob that has the size and the SHA-256 of `ref`, of which nothing is in memory.

        It lies in a temporary file, and is what it was however the blob changes. The file goes with the last reference.

        Raises:
            BlobMissing, BlobChanged, BlobRefused: As `read`.
        """

    async def delete(self, key: str) -> None:
        """Take a blob away; one that is gone is no error."""

    async def remove_older(self, moment: datetime, *, limit: int) -> int:
        """
        Delete up to `limit` blobs that the bridge wrote before this moment; return how many.

        Old is what both the store's clock and the day in the key call old: the store's may be that of a worker. Blobs
        under keys of others stay, whatever their age.
        """

    async def close(self) -> None:
        """Let go of what is open."""
