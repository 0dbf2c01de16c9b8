"""Tries the blob store now and then, so that what is wrong with it is known before a large mail needs it."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from bridge.domain.blobs import BlobRef, BytesInMemory, key_for
from bridge.errors import BlobMissing, BridgeError

if TYPE_CHECKING:
    from bridge.ports.blobs import BlobStore
    from bridge.ports.clock import Clock
    from bridge.telemetry.health import Health

PART: Final = "blobs"
_EVERY_SECONDS: Final = 45.0
_PATIENCE_SECONDS: Final = 10.0
_END_SECONDS: Final = 2.0
"""A process that stops does not wait longer for a store."""
STALE_AFTER_SECONDS: Final = _EVERY_SECONDS + _PATIENCE_SECONDS + 15.0
_ALIAS, _NAME = "bridge-probe", "probe"
_BYTES: Final = 1024


class BlobProbe:
    """
    Writes a small blob, which the store reads back, and deletes it; where only reading is this process's work, reads.

    Each process has one blob of its own, so that none deletes another's in the middle. What a killed process leaves is
    removed by its age, like any blob. Small mails need no store: what is wrong is a warning, until a mail waits for it.
    """

    def __init__(self, store: BlobStore, clock: Clock, health: Health, *, writes: bool) -> None:
        data = secrets.token_bytes(_BYTES)
        digest = hashlib.sha256(data).hexdigest()
        self._content = BytesInMemory(data)
        self._ref = BlobRef(key_for(_ALIAS, None, _NAME, digest), len(data), digest)
        self._store = store
        self._clock = clock
        self._health = health
        self._writes = writes

    async def run(self) -> None:
        """Try until cancelled."""
        self._health.expect(PART, stale_after_seconds=STALE_AFTER_SECONDS)
        trying: asyncio.Task[None] | None = None
        try:
            while True:
                # One that hangs is not followed by another: it may keep a thread for as long as it hangs.
                trying = trying or asyncio.ensure_future(self._try())
                await asyncio.wait({trying}, timeout=_PATIENCE_SECONDS)
                if self._say(trying):
                    trying = None
                await self._clock.sleep(_EVERY_SECONDS)
        finally:
            if trying is not None:
                await asyncio.wait({trying}, timeout=_END_SECONDS)  # so that its blob is deleted
                trying.cancel()
                await asyncio.gather(trying, return_exceptions=True)

    def _say(self, trying: asyncio.Task[None]) -> bool:
        """Say in health how it went; return whether it has come to an end."""
        if not trying.done():
            self._health.warn(PART, "blob_store_slow", "a small blob takes long")
            return False
        try:
            trying.result()
        except BridgeError as error:
            self._health.warn(PART, error.code, error.detail)
        else:
            self._health.ok(PART)
        return True

    async def _try(self) -> None:
        if not self._writes:
            with contextlib.suppress(BlobMissing):  # the store is there, and this blob never was
                await self._store.read(self._ref)
            return
        try:
            await self._store.write(self._ref, self._content)
        finally:
            await self._store.delete(self._ref.key)
