"""The blob store that a configuration names."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from bridge.adapters.blobs.files import FileBlobs
from bridge.errors import ConfigurationError

if TYPE_CHECKING:
    from obstore.store import ObjectStore

    from bridge.ports.blobs import BlobStore

_CONNECT_SECONDS: Final = 10.0
_RETRIES: Final = 2
"""Of one part of one blob, which means the same however often it is written. What still fails is the worker's."""


@dataclass(frozen=True, slots=True)
class BlobSettings:
    """Where the store is and how the bridge signs in; what is not given is the library's to find."""

    url: str
    timeout_seconds: float = 60.0
    endpoint_url: str | None = None
    ca_file: Path | None = None
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    account_name: str | None = None
    account_key: str | None = field(default=None, repr=False)


def open_store(settings: BlobSettings) -> BlobStore:
    """
    Return the store; nobody is asked yet.

    Raises:
        ConfigurationError: It cannot be used as it is configured.
    """
    scheme, _, rest = settings.url.partition("://")
    if scheme == "file":
        return FileBlobs(Path(rest), timeout_seconds=settings.timeout_seconds)
    return _object_store(settings, scheme, *rest.split("/", 1))


def _object_store(settings: BlobSettings, scheme: str, bucket: str, prefix: str = "") -> BlobStore:
    try:
        from obstore.exceptions import BaseError  # noqa: PLC0415 - an extra; directories need nothing
        from obstore.store import AzureStore, S3Store  # noqa: PLC0415

        from bridge.adapters.blobs.objects import ObjectBlobs  # noqa: PLC0415
    except ImportError as error:
        text = f"blobs.url: {scheme}:// needs {error.name}; in a checkout of the bridge: pip install '.[blobs]'"
        raise ConfigurationError(text) from error
    client: Any = {
        "connect_timeout": timedelta(seconds=min(_CONNECT_SECONDS, settings.timeout_seconds)),
        "timeout": timedelta(seconds=settings.timeout_seconds),
        "allow_http": (settings.endpoint_url or "").startswith("http://"),
        **({"root_certificate": _pem(settings.ca_file)} if settings.ca_file is not None else {}),
    }
    retry: Any = {"max_retries": _RETRIES, "retry_timeout": timedelta(seconds=settings.timeout_seconds)}
    given = {
        "endpoint": settings.endpoint_url,
        "region": settings.region,
        "access_key_id": settings.access_key_id,
        "secret_access_key": settings.secret_access_key,
        "account_name": settings.account_name,
        "account_key": settings.account_key,
    }
    known: Any = {name: value for name, value in given.items() if value is not None}
    store: ObjectStore
    try:
        if scheme == "s3":
            # Not every server that speaks S3 deletes many at a time.
            store = S3Store(bucket, client_options=client, retry_config=retry, disable_bulk_delete=True, **known)
        else:
            store = AzureStore(bucket, client_options=client, retry_config=retry, **known)
    except BaseError as error:
        raise ConfigurationError(f"blobs: {type(error).__name__}; is the account, region or key missing?") from None
    return ObjectBlobs(store, settings.url, prefix, timeout_seconds=settings.timeout_seconds)


def _pem(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"blobs.ca_file cannot be read ({type(error).__name__})") from error
