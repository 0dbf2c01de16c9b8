"""The blob store: a blob of check's own is written, read and deleted."""

from __future__ import annotations

import hashlib
import secrets
from typing import TYPE_CHECKING, Final

from bridge.bootstrap.blobs import blob_store
from bridge.doctor.findings import failed, ok, skipped
from bridge.domain.blobs import BlobRef, BytesInMemory, key_for
from bridge.errors import BridgeError, ConfigurationError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.config.blobs import BlobSettings
    from bridge.doctor.findings import Finding
    from bridge.ports.blobs import BlobStore

_STEP: Final = "blob store"
_TRIED: Final = "write, read and delete"
_ALIAS: Final = "bridge-check"
"""What a killed check leaves under this name is removed by its age, as all blobs of the bridge are."""


async def examine_blobs(settings: BlobSettings | None) -> AsyncGenerator[Finding, None]:
    """Yield what is found; what is written is deleted again, also where this is cancelled."""
    if settings is None:
        yield skipped(_STEP, _TRIED, "none is configured, so mail goes as far as the broker's largest body")
        return
    try:
        store = blob_store(settings)
    except ConfigurationError as error:
        yield failed(_STEP, "open it", error)
        return
    try:
        yield await _tried(store)
    finally:
        await store.close()


async def _tried(store: BlobStore) -> Finding:
    data = secrets.token_bytes(4096)
    digest = hashlib.sha256(data).hexdigest()
    ref = BlobRef(key_for(_ALIAS, None, secrets.token_hex(20), digest), len(data), digest)
    tried = "write a blob and read it back"
    try:
        try:
            await store.write(ref, BytesInMemory(data))
            tried = "read a blob"
            await store.read(ref)
        finally:
            tried_before, tried = tried, "delete a blob"
            await store.delete(ref.key)
        tried = tried_before
    except BridgeError as error:
        return failed(_STEP, tried, error)
    return ok(_STEP, _TRIED, "it takes blobs, gives them back and lets them go")
