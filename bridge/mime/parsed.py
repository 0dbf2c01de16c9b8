"""What the parser makes of a mail: plain frozen values."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.domain.defects import Defect

Importance = Literal["low", "normal", "high"]


@dataclass(frozen=True, slots=True)
class Address:
    """A mailbox in a header: display name and address, either of which may be empty in broken mail."""

    name: str
    address: str


@dataclass(frozen=True, slots=True)
class Header:
    """One header field, unfolded and decoded; names as sent."""

    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Extent:
    """A stretch of a file: content that is too large to be held."""

    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Attachment:
    """A part that is not the shown text, decoded from its transfer encoding and otherwise byte for byte as sent."""

    name: str | None
    """As sent: never a safe path."""
    content_type: str
    charset: str | None
    size: int
    sha256: str
    content_id: str | None
    inline: bool
    """True for what is shown within the text, such as an image in HTML."""
    content: bytes = field(repr=False)
    """Empty where `extent` says where it lies."""
    extent: Extent | None = None
    """Only where the parser was given a sink for large content."""


@dataclass(frozen=True, slots=True)
class AuthenticationResult:
    """One Authentication-Results field (RFC 8601), methods in their order."""

    server: str
    methods: tuple[tuple[str, str], ...]
    """Method and result, such as `("spf", "pass")`."""
    value: str


@dataclass(frozen=True, slots=True)
class ReportedRecipient:
    """What a delivery report, or a bounce in another form, says of one recipient."""

    address: str
    action: str
    """`failed`, `delayed`, `delivered`, `relayed`, `expanded`; empty where nothing is said."""
    status: str
    """An RFC 3463 code such as `5.1.1`; empty where nothing is said."""
    diagnostic: str


@dataclass(frozen=True, slots=True)
class Report:
    """The machine-readable part of a bounce or receipt, or what could be told from its text."""

    kind: Literal["delivery", "disposition"]
    recipients: tuple[ReportedRecipient, ...]
    disposition: str = ""
    """Of a disposition notification (RFC 8098): `displayed`, `deleted`, ..."""
    standard: bool = True
    """False where it was told from text or from headers that no standard names."""


@dataclass(frozen=True, slots=True)
class KindInputs:
    """What the kind of the mail is decided by, see `bridge.mime.kind`."""

    report: Report | None = None
    calendar_method: str = ""
    protected: bool = False
    auto_reply: bool = False


@dataclass(frozen=True, slots=True)
class ParsedMail:
    """A mail, decoded. Always complete as an object, whatever the bytes were; `defects` says what was wrong."""

    headers: tuple[Header, ...] = ()
    subject: str = ""
    author: Address | None = None
    """The first address of From."""
    sender: Address | None = None
    to: tuple[Address, ...] = ()
    cc: tuple[Address, ...] = ()
    reply_to: tuple[Address, ...] = ()
    date: datetime | None = None
    """With the sender's UTC offset."""
    message_id: str | None = None
    """Message-ID with its angle brackets."""
    in_reply_to: str | None = None
    references: tuple[str, ...] = ()
    text: str = ""
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()
    importance: Importance = "normal"
    authentication_results: tuple[AuthenticationResult, ...] = ()
    kind_inputs: KindInputs = KindInputs()
    refers_to: tuple[str, ...] = ()
    """Every Message-ID that the mail says it answers, returns or reports on; most certain first."""
    answered_request_id: str | None = None
    """The `X-Bridge-Request-Id` of a returned original. A claim of the mail's writer, no proof."""
    defects: tuple[Defect, ...] = ()
