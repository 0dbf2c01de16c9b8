"""The blob store from the configuration, for workers and commands alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.blobs.opening import BlobSettings as StoreSettings
from bridge.adapters.blobs.opening import open_store

if TYPE_CHECKING:
    from bridge.config.blobs import BlobSettings
    from bridge.ports.blobs import BlobStore


def blob_store(settings: BlobSettings) -> BlobStore:
    """
    Return the blob store; nobody is asked yet.

    Raises:
        ConfigurationError: It cannot be used as it is configured.
    """
    secret, key = settings.secret_access_key, settings.account_key
    return open_store(
        StoreSettings(
            url=settings.url,
            timeout_seconds=settings.timeout_seconds,
            endpoint_url=settings.endpoint_url,
            ca_file=settings.ca_file,
            region=settings.region,
            access_key_id=settings.access_key_id,
            secret_access_key=secret.get_secret_value() if secret is not None else None,
            account_name=settings.account_name,
            account_key=key.get_secret_value() if key is not None else None,
        )
    )
