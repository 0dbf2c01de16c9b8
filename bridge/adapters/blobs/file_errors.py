"""What an error of the operating system means for a blob store."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Final

from bridge.errors import BlobRefused, BlobStoreUnavailable, BlobStoreUnusable
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from bridge.errors import BridgeError

_CODES: Final[dict[int, str]] = {
    errno.ENOSPC: "blob_store_full",
    errno.EDQUOT: "blob_store_full",
    errno.EFBIG: "blob_store_full",
    errno.EROFS: "blob_store_refused",
    errno.EACCES: "blob_store_refused",
    errno.EPERM: "blob_store_refused",
    errno.ELOOP: "blob_store_refused",
    errno.ENOENT: "blob_store_missing",
    errno.ENOTDIR: "blob_store_missing",
}
_LINKS: Final = frozenset({errno.ELOOP, errno.ENOTDIR, errno.EMLINK, errno.ENXIO})
"""What opening something without following links answers where it is one, or no file (ENXIO: a socket)."""


def meaning_of(error: OSError) -> BridgeError:
    """Return what an error on the way to the store, or in it, means; never with a path in it."""
    if says_none_left(error):
        return BlobStoreUnavailable(code=descriptors.CODE)
    name = errno.errorcode.get(error.errno or 0, type(error).__name__)
    code = _CODES.get(error.errno or 0)
    return BlobStoreUnavailable(name) if code is None else BlobStoreUnusable(name, code=code)


def refusal_of(error: OSError) -> BridgeError:
    """Return what an error means that a name beneath the store led to."""
    if error.errno in _LINKS:
        return BlobRefused("its name leads over a symbolic link, or to what is no file")
    return meaning_of(error)
