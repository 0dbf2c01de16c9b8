"""What the tests do in a session, and the mail that they do it with."""

from __future__ import annotations

import imaplib
from typing import Any

from tests.support.sandbox import SandboxProcess

DISPATCH, CREW = "dispatch@example.org", "crew@example.org"
MAIL = (
    b"From: Anna Example <anna@example.net>\r\nTo: dispatch@example.org\r\nSubject: Transport %d to zone 4\r\n"
    b"Message-ID: <%d@example.net>\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\nMIME-Version: 1.0\r\n"
    b"Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n"
    b"Good morning.\r\n"
    b"--b\r\nContent-Type: application/pdf; name=order.pdf\r\nContent-Disposition: attachment; filename=order.pdf\r\n"
    b"Content-Transfer-Encoding: base64\r\n\r\nJVBERi0xLjQK\r\n--b--\r\n"
)


def deliver(sandbox: SandboxProcess, *numbers: int) -> None:
    for number in numbers:
        sandbox.deliver(DISPATCH, MAIL % (number, number))


def selected(client: imaplib.IMAP4, folder: str = "INBOX") -> int:
    status, found = client.select(folder)
    assert status == "OK", found
    return int(found[0] or b"0")


def fetched(client: imaplib.IMAP4, number: str, what: str) -> bytes:
    status, found = client.fetch(number, what)
    assert status == "OK", found
    return b"\r\n".join(part if isinstance(part, bytes) else b"\r\n".join(part) for part in found if part)


def body(client: imaplib.IMAP4, number: str, what: str = "(RFC822)") -> bytes:
    status, found = client.fetch(number, what)
    assert status == "OK", found
    return next(part[1] for part in found if isinstance(part, tuple))


def inbox(sandbox: SandboxProcess) -> dict[str, Any]:
    return next(one for one in sandbox.folders(DISPATCH) if one["distinguished_name"] == "inbox")
