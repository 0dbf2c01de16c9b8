"""A mail as the bridge sends it: plain values, checked by `bridge.wire.outbound_v1` or made by the bridge itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime

Importance = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A name, often empty, and an address; both without control characters."""

    address: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Attachment:
    """One file. With a `content_id`, and an HTML text, it belongs to the HTML."""

    name: str
    content_type: str
    content: bytes
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class AttachedFile:
    """One file that is not held in memory; see `Attachment`."""

    name: str
    content_type: str
    size: int
    pieces: Callable[[], Iterator[bytes]]
    """Gives its content from the beginning, as often as it is needed."""
    content_id: str | None = None


@dataclass(frozen=True, slots=True)
class OutboundMail:
    """Everything that goes into the MIME of one mail."""

    request_id: str
    digest: str
    """Of the request's content; see `bridge.wire.outbound_v1`."""
    sender: Mailbox
    date: datetime
    to: Sequence[Mailbox] = ()
    cc: Sequence[Mailbox] = ()
    bcc: Sequence[Mailbox] = ()
    reply_to: Sequence[Mailbox] = ()
    subject: str = ""
    text: str | None = None
    html: str | None = None
    attachments: Sequence[Attachment] = ()
    in_reply_to: str | None = None
    """With its angle brackets, as are `references`."""
    references: Sequence[str] = ()
    importance: Importance = "normal"
    delivery_receipt: bool = False
    read_receipt: bool = False
    auto_generated: bool = True
    headers: Sequence[tuple[str, str]] = ()
    """Only names that begin with X-."""

    @property
    def recipients(self) -> int:
        """How many recipients Exchange counts for it."""
        return len(self.to) + len(self.cc) + len(self.bcc)
