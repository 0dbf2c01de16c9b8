"""
`mail.inbound.v1`: one mail as JSON on the amqp_exchange `mail.inbound`.

Every field is always there; what does not apply is null or empty. Readers ignore fields that they do not know: later
versions may add some. Nothing of a mail is cut: what the parser did not read in detail is named in `defects`, and the
raw bytes have it.
"""

from __future__ import annotations

import base64
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from bridge.domain.defects import DEFECTS

NAME = "mail.inbound.v1"
CONTENT_TYPE = "application/json"

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Base64 = Annotated[str, Field(json_schema_extra={"contentEncoding": "base64"})]


class Part(BaseModel):
    """What all parts of this payload share: frozen, and open to fields of later versions."""

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        json_schema_serialization_defaults_required=True,
        hide_input_in_errors=True,
    )


class Address(Part):
    """A name and an address as the mail shows them. Nothing proves either; see `authentication_results`."""

    name: str
    """Empty where there is none."""
    address: str
    """Empty where a broken mail has only a name; not checked for its form."""


class Blob(Part):
    """Content that lies in the blob store."""

    url: str
    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256


class Attachment(Part):
    """A part that is not the shown text, without its transfer encoding and otherwise byte for byte as sent."""

    name: str | None
    """As sent: never use it as a path."""
    content_type: str
    """Media type in lower case, without parameters; as declared, not as found."""
    charset: str | None = None
    """As declared, for parts of type text."""
    size: int | None = Field(ge=0)
    """Bytes. Null, like `sha256` and the content, only where Exchange gave nothing but the name (`mime_refused`)."""
    sha256: Sha256 | None
    content_id: str | None
    """Without angle brackets; HTML shows it as `cid:<content_id>`."""
    inline: bool
    """True for what is shown within the text, such as an image in HTML."""
    content: Base64 | None = None
    """The bytes in base64; null where `blob` says where they are."""
    blob: Blob | None = None

    def data(self) -> bytes:
        """
        Return the bytes that the payload carries.

        Raises:
            ValueError: They lie in the blob store, or could not be had.
        """
        if self.content is None:
            raise ValueError("the payload does not carry this attachment's bytes")
        return base64.b64decode(self.content, validate=True)


class Header(Part):
    """One header field, unfolded and decoded."""

    name: str
    value: str


class AuthenticationMethod(Part):
    """One method and its result, such as `spf` and `pass`."""

    method: str
    result: str


class AuthenticationResult(Part):
    """One Authentication-Results field (RFC 8601). A sender can forge it: only one's own server's says anything."""

    server: str
    """Empty where the field names none, as in Exchange Online."""
    methods: tuple[AuthenticationMethod, ...]
    value: str
    """The whole field."""


class Raw(Part):
    """The mail's bytes exactly as Exchange gave them."""

    size: int = Field(ge=0)
    """Bytes."""
    sha256: Sha256
    content: Base64 | None = None
    """The bytes in base64; null where `blob` says where they are, or where raw bytes are left out by policy."""
    blob: Blob | None = None

    def data(self) -> bytes:
        """
        Return the bytes that the payload carries.

        Raises:
            ValueError: They lie in the blob store, or are left out by policy.
        """
        if self.content is None:
            raise ValueError("the payload does not carry the raw bytes")
        return base64.b64decode(self.content, validate=True)


class BouncedRecipient(Part):
    """What the bounce says of one recipient."""

    address: str
    """Empty where the bounce does not say."""
    action: Literal["failed", "delayed", "delivered", "relayed", "expanded"] | None
    """`delayed`: not delivered yet, the mail system goes on trying."""
    status: str | None
    """An RFC 3463 code such as `5.1.1`."""
    diagnostic: str | None
    """The words of the mail system that refused it."""


class Bounce(Part):
    """What a bounce tells of the mail that was not delivered."""

    recipients: tuple[BouncedRecipient, ...]
    standard: bool
    """True where a delivery report (RFC 3464) said it, false where it was told from the text."""
    returned_message_id: str | None
    """Message-ID of the mail that bounced."""


class Receipt(Part):
    """What a receipt tells of the mail that arrived or was read."""

    recipients: tuple[str, ...]
    event: str
    """`displayed`, `deleted`, ... of a read receipt (RFC 8098); `delivered`, `relayed`, `expanded` of another."""
    original_message_id: str | None


class InboundMail(Part):
    """One mail that arrived in a mailbox."""

    model_config = ConfigDict(title=NAME)

    schema_: Literal["mail.inbound.v1"] = Field(default="mail.inbound.v1", alias="schema")
    """Name and version of this payload."""
    message_id: str = Field(min_length=1)
    """The same after retries, restarts and over another transport: drop repeats by it. Not the Message-ID."""
    mailbox: str = Field(pattern=r"^[a-z0-9-]{1,64}$")
    """The alias of the mailbox."""
    kind: Literal["mail", "auto_reply", "bounce", "receipt", "meeting", "protected"]
    """What it is, also in the routing key. A hint made from content that anybody can write, never a proof."""
    received_at: AwareDatetime | None
    """When Exchange received it, UTC; null where Exchange gave no time that can be read."""
    internet_message_id: str | None
    """Message-ID as sent, with angle brackets; may be absent or repeated."""
    in_reply_to: str | None
    references: tuple[str, ...]
    date: AwareDatetime | None
    """The sender's clock, with its offset."""
    subject: str
    from_: Address | None = Field(alias="from")
    """The first address of From."""
    sender: Address | None
    to: tuple[Address, ...]
    cc: tuple[Address, ...]
    reply_to: tuple[Address, ...]
    text: str
    """The mail's text with LF line ends; made from the HTML where there is no plain text."""
    html: str | None
    """As sent. Hostile until proven otherwise: show it only sanitised."""
    attachments: tuple[Attachment, ...]
    headers: tuple[Header, ...]
    """All fields in their order."""
    authentication_results: tuple[AuthenticationResult, ...]
    importance: Literal["low", "normal", "high"]
    defects: tuple[str, ...] = Field(json_schema_extra={"x-known-values": list(DEFECTS)})
    """What was wrong with the MIME. Later versions may add to `x-known-values`: expect unknown ones."""
    raw: Raw | None
    """Null only where Exchange made no MIME (`mime_refused`)."""
    bounce: Bounce | None = None
    """For the kind `bounce`."""
    receipt: Receipt | None = None
    """For the kind `receipt`."""
    answers: str | None = None
    """
    The request_id of the mail that this one answers (reply, bounce, receipt, auto-reply), where it can be told.

    A hint for correlation and no proof: whoever saw the Message-ID of that mail, or guesses it, can refer to it.
    """


_ADAPTER: TypeAdapter[InboundMail] = TypeAdapter(InboundMail)


def to_json(mail: InboundMail) -> bytes:
    """Return the payload as it goes on the queue."""
    return _ADAPTER.dump_json(mail, by_alias=True)


def from_json(body: bytes) -> InboundMail:
    """
    Return the payload; fields that are not known are ignored.

    Raises:
        pydantic.ValidationError: It is not a `mail.inbound.v1`.
    """
    return _ADAPTER.validate_json(body)
