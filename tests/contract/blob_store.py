"""What every blob store promises. Subclasses supply the `store` fixture."""

from __future__ import annotations

import hashlib
import os
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.domain.blobs import BlobRef, BytesInMemory, ref_of
from bridge.errors import BlobChanged, BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ports.blobs import BlobStore

RECEIVED = datetime(2026, 11, 24, 8, 30, tzinfo=UTC)
LARGE = 20 * 1024 * 1024 + 17
OTHERS = "reports/2026/plan.pdf"


class InPieces:
    """Content that is made as it is read, in pieces of odd sizes."""

    def __init__(self, size: int) -> None:
        self.size = size

    def pieces(self) -> Iterator[bytes]:
        block, left = bytes(range(256)) * 2731, self.size
        while left:
            piece = block[: min(left, len(block))]
            left -= len(piece)
            yield piece


def a_ref(data: bytes, message_id: str = "m-1", alias: str = "dispatch") -> BlobRef:
    return ref_of(alias, RECEIVED, message_id, data)


class BlobStoreContract:
    """What every `BlobStore` promises."""

    @pytest.mark.parametrize("data", [b"", b"x", os.urandom(1 << 20), os.urandom((1 << 20) + 1)], ids=len)
    async def test_what_was_written_is_read(self, store: BlobStore, data: bytes) -> None:
        ref = a_ref(data)

        await store.write(ref, BytesInMemory(data))

        assert await store.read(ref) == data

    async def test_a_large_blob_is_written_in_pieces_and_read_whole(self, store: BlobStore) -> None:
        content = InPieces(LARGE)
        digest = hashlib.sha256(b"".join(content.pieces())).hexdigest()
        ref = BlobRef(f"dispatch/2026-11-24/m-large/{digest}", LARGE, digest)

        await store.write(ref, content)

        assert hashlib.sha256(await store.read(ref)).hexdigest() == digest
        copied = await store.copy(ref)
        for _ in range(2):
            assert hashlib.sha256(b"".join(copied.pieces())).hexdigest() == digest

    async def test_a_blob_written_again_is_the_same_blob(self, store: BlobStore) -> None:
        ref = a_ref(b"twice")

        await store.write(ref, BytesInMemory(b"twice"))
        await store.write(ref, BytesInMemory(b"twice"))

        assert await store.read(ref) == b"twice"

    @pytest.mark.parametrize("size", [100, LARGE])
    async def test_content_that_is_not_what_its_reference_says_is_no_blob(self, store: BlobStore, size: int) -> None:
        ref = BlobRef(f"dispatch/2026-11-24/m-2/{'0' * 64}", size, "0" * 64)

        with pytest.raises(ValueError, match="not what its reference says"):
            await store.write(ref, InPieces(size))

        with pytest.raises(BlobMissing):
            await store.read(ref)

    async def test_a_blob_that_is_not_there_is_missing(self, store: BlobStore) -> None:
        with pytest.raises(BlobMissing):
            await store.read(a_ref(b"never written", "m-3"))

    async def test_a_blob_with_another_size_or_other_bytes_is_not_read(self, store: BlobStore) -> None:
        ref = a_ref(b"as it was", "m-4")
        await store.write(ref, BytesInMemory(b"as it was"))

        with pytest.raises(BlobChanged):
            await store.read(BlobRef(ref.key, ref.size + 1, ref.sha256))
        with pytest.raises(BlobChanged):
            await store.read(BlobRef(ref.key, ref.size, hashlib.sha256(b"AS IT WAS").hexdigest()))
        with pytest.raises(BlobChanged):
            await store.copy(BlobRef(ref.key, ref.size, hashlib.sha256(b"AS IT WAS").hexdigest()))
        with pytest.raises(BlobMissing):
            await store.copy(a_ref(b"never written", "m-3"))

    async def test_a_copy_is_what_it_was_whatever_becomes_of_the_blob(self, store: BlobStore) -> None:
        """It is read while it is sent, long after it was compared."""
        ref = a_ref(b"as it was", "m-6")
        await store.write(ref, BytesInMemory(b"as it was"))
        copied = await store.copy(ref)

        await store.delete(ref.key)

        assert b"".join(copied.pieces()) == b"as it was"

    async def test_a_deleted_blob_is_gone_and_may_be_deleted_again(self, store: BlobStore) -> None:
        ref = a_ref(b"gone soon", "m-5")
        await store.write(ref, BytesInMemory(b"gone soon"))

        await store.delete(ref.key)
        await store.delete(ref.key)

        with pytest.raises(BlobMissing):
            await store.read(ref)

    async def test_old_blobs_of_the_bridge_are_removed_and_no_others(self, store: BlobStore) -> None:
        before = datetime.now(UTC) - timedelta(hours=1)
        after = datetime.now(UTC) + timedelta(hours=1)
        refs = [a_ref(b"one", f"old-{number}") for number in range(3)]
        other = BlobRef(OTHERS, 3, hashlib.sha256(b"one").hexdigest())
        for ref in (*refs, other):
            await store.write(ref, BytesInMemory(b"one"))

        assert await store.remove_older(before, limit=100) == 0
        assert await store.remove_older(after, limit=2) == 2
        while await store.remove_older(after, limit=100):
            pass

        for ref in refs:
            with pytest.raises(BlobMissing):
                await store.read(ref)
        assert await store.read(other) == b"one"
