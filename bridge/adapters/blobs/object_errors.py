"""What an error of an object store means; its words, which may quote urls, go no further."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from bridge.errors import BlobStoreUnavailable, BlobStoreUnusable

if TYPE_CHECKING:
    from bridge.errors import BridgeError

FAILURES: Final = (BaseError, OSError)
"""What the library raises: of what is not there, Python's own FileNotFoundError."""

# Only as whole words that no key of a blob can be: an alias may well be called 403.
_MISSING: Final = re.compile(r"NoSuchBucket|ContainerNotFound|AccountNotFound|ResourceNotFound|InvalidBucketName")
_FULL: Final = re.compile(r"507 Insufficient|QuotaExceeded|StorageFull|InsufficientStorage|EntityTooLarge")
_REFUSED: Final = re.compile(
    r"403 Forbidden|401 Unauthorized|AccessDenied|AuthorizationFailure|AuthenticationFailed|AccountIsDisabled"
    r"|InvalidAccessKeyId|SignatureDoesNotMatch"
)
_SLOW: Final = re.compile(r"operation timed out|deadline has elapsed|TimedOut", re.IGNORECASE)


def is_about_one_blob(error: Exception) -> bool:
    """Return whether a blob is not there, and not the whole store."""
    return isinstance(error, FileNotFoundError) and not _MISSING.search(str(error))


def meaning_of(error: Exception) -> BridgeError:
    """Return the error of ours."""
    said, kind = str(error), type(error).__name__
    if _MISSING.search(said):
        return BlobStoreUnusable(kind, code="blob_store_missing")
    if _FULL.search(said):
        return BlobStoreUnusable(kind, code="blob_store_full")
    if isinstance(error, PermissionDeniedError | UnauthenticatedError) or _REFUSED.search(said):
        return BlobStoreUnusable(kind, code="blob_store_refused")
    if isinstance(error, FileNotFoundError):
        return BlobStoreUnavailable("what was written is not there")
    if _SLOW.search(said):
        return BlobStoreUnavailable(kind, code="blob_store_slow")
    return BlobStoreUnavailable(kind)
