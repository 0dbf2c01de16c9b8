"""What was asked for, and whether a mail that went out is that: kept outside of Exchange and of the bridge."""

from __future__ import annotations

import email
import hashlib
from dataclasses import dataclass
from email import policy
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from email.message import EmailMessage


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what is to become of it."""

    wanted: str
    """`sent`, `failed`, or `any` (sent or expired)."""
    sender: str = ""
    recipients: tuple[str, ...] = ()
    subject: str = ""
    text: str = ""
    attachments: tuple[tuple[str, str], ...] = ()
    """The name and the hash of each."""

    def differs(self, mime: bytes) -> Iterator[str]:
        """Tell in what a mail is another one than was asked for."""
        mail: EmailMessage = email.message_from_bytes(mime, policy=policy.default)
        if _addresses(mail, "From") != [self.sender]:
            yield "sent in another name"
        if sorted(_addresses(mail, "To", "Cc", "Bcc")) != sorted(self.recipients):
            yield "sent to others"
        if str(mail["Subject"]) != self.subject:
            yield "sent with another subject"
        body = mail.get_body(("plain",))
        if body is None or _lines(str(body.get_content())) != _lines(self.text):
            yield "sent with another text"
        found = [(part.get_filename() or "", part.get_payload(decode=True)) for part in mail.iter_attachments()]
        hashes = [(name, hashlib.sha256(bytes(content)).hexdigest()) for name, content in found]
        if tuple(hashes) != self.attachments:
            yield "sent with other attachments"


def _addresses(mail: EmailMessage, *fields: str) -> list[str]:
    return [one.addr_spec for field in fields for header in mail.get_all(field, ()) for one in header.addresses]


def _lines(text: str) -> list[str]:
    return text.rstrip().splitlines()
