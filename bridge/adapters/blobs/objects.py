"""Amazon S3 (and what speaks its protocol) and Azure Blob Storage as blob stores, through obstore."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

import obstore

from bridge.adapters.blobs.blocking import BlockingStore
from bridge.adapters.blobs.object_errors import FAILURES, is_about_one_blob, meaning_of
from bridge.adapters.blobs.threads import Deadline, checked, corrupted, given, is_same
from bridge.domain import blobs
from bridge.errors import BlobChanged, BlobMissing, BridgeError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from datetime import datetime

    from obstore.store import ObjectStore

    from bridge.domain.blobs import BlobRef
    from bridge.ports.blobs import Content

_PART_BYTES: Final = 8 * 1024 * 1024
_PARTS_AT_A_TIME: Final = 2
"""Together what one blob takes of memory on its way out."""


class ObjectBlobs(BlockingStore):
    """Blobs in a bucket or container, below a prefix."""

    def __init__(self, store: ObjectStore, url: str, prefix: str, *, timeout_seconds: float) -> None:
        super().__init__(url, timeout_seconds=timeout_seconds)
        self._store = store
        self._prefix = f"{prefix}/" if prefix else ""

    def _write(self, ref: BlobRef, content: Content, deadline: Deadline) -> None:
        path = self._prefix + ref.key
        pieces = checked(ref, content, deadline)
        try:
            if ref.size <= _PART_BYTES:
                obstore.put(self._store, path, b"".join(pieces), use_multipart=False)
            else:
                obstore.put(
                    self._store,
                    path,
                    pieces,
                    use_multipart=True,
                    chunk_size=_PART_BYTES,
                    max_concurrency=_PARTS_AT_A_TIME,
                )
            same = is_same(ref, self._stored(path), deadline)
        except FAILURES as error:
            raise meaning_of(error) from error
        if not same:
            with contextlib.suppress(BridgeError):  # what cannot be taken away is not published either
                self._delete(ref.key)
            raise corrupted()

    def _read(self, ref: BlobRef, give: Callable[[bytes], None], deadline: Deadline) -> None:
        try:
            same = is_same(ref, given(self._stored(self._prefix + ref.key, ref.size), give), deadline)
        except FAILURES as error:
            if is_about_one_blob(error):
                raise BlobMissing("there is no such blob") from None
            raise meaning_of(error) from error
        if not same:
            raise BlobChanged("it has other bytes")

    def _stored(self, path: str, size: int | None = None) -> Iterator[bytes]:
        found = obstore.get(self._store, path)
        if size is not None and found.meta["size"] != size:
            raise BlobChanged("it has another size")
        yield from found.stream(min_chunk_size=blobs.PIECE_BYTES)

    def _delete(self, key: str) -> None:
        try:
            obstore.delete(self._store, self._prefix + key)
        except FAILURES as error:
            if not is_about_one_blob(error):
                raise meaning_of(error) from error

    def _remove_older(self, moment: datetime, limit: int, deadline: Deadline) -> int:
        removed = 0
        try:
            for page in obstore.list(self._store, prefix=self._prefix or None, chunk_size=1000):
                deadline.check()
                old = [
                    found["path"]
                    for found in page
                    if found["last_modified"] < moment
                    and blobs.is_own_before(found["path"].removeprefix(self._prefix), moment)
                ][: limit - removed]
                if old:
                    obstore.delete(self._store, old)
                removed += len(old)
                if removed >= limit:
                    break
        except FAILURES as error:
            raise meaning_of(error) from error
        return removed
