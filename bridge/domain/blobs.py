"""
What lies in a blob store, and under which key.

Keys of the bridge are `<alias>/<date>/<message_id>/<sha256>`: no two mails share a blob, so one may be removed by its
age alone. Whoever attaches blobs to requests chooses keys of their own, and removes those blobs as well.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.errors import BlobRefused

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

PIECE_BYTES: Final = 1 << 20
UNDATED: Final = "undated"
_PART: Final = r"[A-Za-z0-9_=@+~,-][A-Za-z0-9._=@+~,-]{0,254}"
_KEY: Final = re.compile(rf"{_PART}(?:/{_PART}){{0,15}}")
_OWN: Final = re.compile(r"[a-z0-9-]{1,64}/(?:\d{4}-\d\d-\d\d|undated)/[0-9a-zA-Z_-]{1,64}/[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Where a blob lies, and what is in it."""

    key: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class BytesInMemory:
    """Content that is small enough to be held."""

    data: bytes = field(repr=False)

    def pieces(self) -> Iterator[bytes]:
        """Yield the content from its beginning."""
        for start in range(0, len(self.data), PIECE_BYTES):
            yield self.data[start : start + PIECE_BYTES]


def ref_of(alias: str, received_at: datetime | None, message_id: str, data: bytes) -> BlobRef:
    """Return where these bytes of a mail go."""
    digest = hashlib.sha256(data).hexdigest()
    return BlobRef(key_for(alias, received_at, message_id, digest), len(data), digest)


def key_for(alias: str, received_at: datetime | None, message_id: str, sha256: str) -> str:
    """Return the key of a mail's blob: the same each time that this mail is read."""
    date = received_at.strftime("%Y-%m-%d") if received_at is not None else UNDATED
    return f"{alias}/{date.zfill(10) if received_at is not None else date}/{message_id}/{sha256}"


def is_own(key: str) -> bool:
    """Return whether a key is one that the bridge made."""
    return _OWN.fullmatch(key) is not None


def is_own_before(key: str, moment: datetime) -> bool:
    """
    Return whether a key is one that the bridge made, of a mail that was received before the day of this moment.

    What a store says of a blob's age may come from the clock of the machine that wrote it. The day in the key comes
    from Exchange; no blob is older than its mail.
    """
    if not is_own(key):
        return False
    day = key.split("/")[1]
    return day == UNDATED or day < moment.strftime("%Y-%m-%d").zfill(10)


def url_of(store_url: str, key: str) -> str:
    """Return what a payload says of a blob."""
    return f"{store_url}/{key}"


def key_in(store_url: str, url: str) -> str:
    """
    Return the key that a url names beneath a store.

    Raises:
        BlobRefused: It leads elsewhere, upwards, or cannot be told apart from another: only plain names pass.
    """
    beneath = store_url + "/"
    if not url.startswith(beneath):
        raise BlobRefused("it is not in the configured store")
    key = url[len(beneath) :]
    if not _KEY.fullmatch(key):
        raise BlobRefused("its name has a part that is hidden, leads upwards, is empty, or has an odd character")
    return key
