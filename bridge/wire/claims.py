"""
The claim check: what of a mail's payload goes to the blob store, and what the payload says of it.

The payload is made before anything is written, since keys follow from the content. Who publishes it writes the blobs
first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from bridge.domain import blobs
from bridge.ports.blobs import Content

if TYPE_CHECKING:
    from bridge.domain.blobs import BlobRef
    from bridge.domain.mail import MailRef
    from bridge.mime.parsed import Extent


@dataclass(frozen=True, slots=True)
class ClaimRules:
    """Where blobs go, and which contents are blobs."""

    store_url: str
    above_bytes: int
    largest_body_bytes: int
    """What the broker carries. A payload that would be larger has all of its contents in the store."""


class HeldContent(Content, Protocol):
    """Content that takes room until it is closed."""

    def close(self) -> None:
        """Give the room back: nothing of it is needed any more."""


class PendingBlob(NamedTuple):
    """A blob that must be in the store before its payload is published."""

    ref: BlobRef
    content: bytes | Extent | HeldContent
    """The bytes, or where they lie in a file of the one who made the payload, or what reads them there."""
    raw: bool
    """Whether it is the mail itself."""


@dataclass(slots=True)
class Claims:
    """The blobs of one payload, as they are found."""

    rules: ClaimRules
    alias: str
    mail: MailRef
    above_bytes: int
    pending: dict[str, PendingBlob] = field(default_factory=dict)

    def claim(self, content: bytes | Extent, *, size: int, sha256: str, raw: bool = False) -> dict[str, Any] | None:
        """Return what the payload says of a content that goes to the store; None for one that it carries itself."""
        if isinstance(content, bytes) and size <= self.above_bytes:
            return None
        key = blobs.key_for(self.alias, self.mail.received_at, self.mail.message_id, sha256)
        ref = blobs.BlobRef(key, size, sha256)
        self.pending.setdefault(key, PendingBlob(ref, content, raw))
        return {"url": blobs.url_of(self.rules.store_url, key), "size": size, "sha256": sha256}
