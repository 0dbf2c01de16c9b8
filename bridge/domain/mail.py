"""A mail as the bridge sees it on its way from the inbox to the broker."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from bridge.errors import BridgeError


@dataclass(frozen=True, slots=True)
class MailRef:
    """One waiting mail, as a listing shows it."""

    message_id: str
    """The identity that consumers see; see `derive_message_id`."""
    item_id: str
    """Where the mail is now. Another one after each move."""
    received_at: datetime | None
    """UTC. None where Exchange gave no time that can be read."""
    size_bytes: int
    item_class: str
    """Exchange's message class, such as `IPM.Note` or `REPORT.IPM.Note.NDR`."""


@dataclass(frozen=True, slots=True)
class Listing:
    """The oldest waiting mails of one folder, oldest first, and how many there are in all."""

    refs: Sequence[MailRef]
    total: int
    complete: bool
    """True where no mail comes after these. A server may return fewer than asked for without it."""


@dataclass(frozen=True, slots=True)
class MailProperties:
    """What Exchange tells about a mail beside its MIME; the payload is made from this where MIME is refused."""

    subject: str = ""
    sender: tuple[str, str] | None = None
    """Name, address."""
    author: tuple[str, str] | None = None
    """Name, address of the From field."""
    to: Sequence[tuple[str, str]] = ()
    cc: Sequence[tuple[str, str]] = ()
    reply_to: Sequence[tuple[str, str]] = ()
    text: str = ""
    html: str | None = None
    internet_message_id: str = ""
    in_reply_to: str = ""
    references: str = ""
    importance: str = "normal"
    sent_at: datetime | None = None
    headers: Sequence[tuple[str, str]] = ()
    attachment_names: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class FetchedMail:
    """A mail with its MIME, byte for byte as Exchange gave it: present, decoded and of plausible size."""

    ref: MailRef
    mime: bytes


class MimeFile(Protocol):
    """A large mail's MIME in a file that nobody else has."""

    @property
    def descriptor(self) -> int:
        """The open file."""

    def read(self) -> bytes:
        """Return all of it."""

    def close(self) -> None:
        """Give its space back."""


@dataclass(frozen=True, slots=True)
class SpooledMail:
    """A mail with its MIME, as in `FetchedMail`, too large to be held in memory."""

    ref: MailRef
    file: MimeFile
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class UnconvertibleMail:
    """A mail whose MIME Exchange refuses to make; only its properties can be had."""

    ref: MailRef
    properties: MailProperties
    exchange_code: str


@dataclass(frozen=True, slots=True)
class VanishedMail:
    """A mail that was listed and is gone: somebody moved or deleted it. No error."""

    ref: MailRef


@dataclass(frozen=True, slots=True)
class FailedFetch:
    """A mail that could not be read this time; the error says what happens next."""

    ref: MailRef
    error: BridgeError


ReadMail = FetchedMail | SpooledMail | UnconvertibleMail
Fetched = ReadMail | VanishedMail | FailedFetch


@dataclass(frozen=True, slots=True)
class Removal:
    """What became of one removal; a mail that was gone already counts as removed."""

    ref: MailRef
    error: BridgeError | None = field(default=None)


def derive_message_id(address: str, search_key: bytes, received_at: datetime | None) -> str:
    """
    Return the identity of a mail in a mailbox: the same after retries, restarts, moves, and over another transport.

    Made of the mailbox address, PidTagSearchKey (0x300B), which a copy shares and a move keeps, and
    PidTagMessageDeliveryTime (0x0E06) in whole seconds, which is all that EWS shows of it. ItemId would change with
    each move and differs between EWS and Graph; Message-ID may be missing or repeated; a server may make the MIME
    anew at each read, so a hash of it is no identity.
    """
    seconds = str(int(received_at.timestamp())) if received_at is not None else ""
    digest = hashlib.sha256()
    for part in (b"mail.inbound.v1", address.strip().lower().encode(), search_key, seconds.encode()):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.hexdigest()[:40]
