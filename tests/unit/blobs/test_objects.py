"""A bucket as a blob store that gives back something else than it was given."""

from __future__ import annotations

from typing import TYPE_CHECKING

import obstore
import pytest
from obstore.store import MemoryStore

from bridge.adapters.blobs.objects import ObjectBlobs
from bridge.domain.blobs import BytesInMemory
from bridge.errors import BlobMissing, BlobStoreUnavailable
from tests.contract.blob_store import BlobStoreContract, a_ref

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from obstore.store import ObjectStore


@pytest.fixture
def bucket() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
async def store(bucket: MemoryStore) -> AsyncIterator[ObjectBlobs]:
    made = ObjectBlobs(bucket, "s3://bucket/mails", "mails", timeout_seconds=30)
    yield made
    await made.close()


class TestObjectBlobs(BlobStoreContract):
    """In a bucket in memory."""


async def test_what_is_there_already_with_the_same_size_is_not_taken_for_the_blob(
    store: ObjectBlobs, bucket: MemoryStore
) -> None:
    """A worker that died while it wrote, or a store that corrupts, left it."""
    ref = a_ref(b"as it is")
    obstore.put(bucket, f"mails/{ref.key}", b"as it wa")

    await store.write(ref, BytesInMemory(b"as it is"))

    assert await store.read(ref) == b"as it is"


async def test_a_blob_that_comes_back_with_the_same_size_and_other_bytes_is_not_written(
    store: ObjectBlobs, bucket: MemoryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its mail must not be published: nobody could read it, and the mailbox has it no more."""
    ref, real = a_ref(b"as it is"), obstore.put

    def corrupting(to: ObjectStore, path: str, _: object, *, use_multipart: bool) -> object:
        return real(to, path, b"as it wa", use_multipart=use_multipart)

    monkeypatch.setattr(obstore, "put", corrupting)

    with pytest.raises(BlobStoreUnavailable) as caught:
        await store.write(ref, BytesInMemory(b"as it is"))

    assert caught.value.code == "blob_store_corrupts"
    with pytest.raises(BlobMissing):
        await store.read(ref)
    assert not [one for page in obstore.list(bucket) for one in page]
