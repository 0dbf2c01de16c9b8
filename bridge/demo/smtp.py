"""
Hands mails to an SMTP server byte for byte.

smtplib stuffs dots after bare line feeds, which a server that keeps bytes must not take out again; here a line ends
with CRLF and nothing else.
"""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TIMEOUT_SECONDS = 60.0


class SmtpRefusedError(Exception):
    """The server did not take a mail; the text is its answer."""


def as_delivered(mail: bytes) -> bytes:
    """Return the bytes that arrive: SMTP ends every mail with CRLF."""
    return mail if mail.endswith(b"\r\n") else mail + b"\r\n"


def deliver(server: str, mails: Iterable[bytes], *, sender: str, recipient: str) -> Iterator[int]:
    """
    Deliver the mails over one connection, yielding the number of those that were taken.

    Raises:
        SmtpRefusedError: One was not taken; those yielded were.
    """
    host, _, port = server.rpartition(":")
    with socket.create_connection((host, int(port)), _TIMEOUT_SECONDS) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        lines = connection.makefile("rb")
        _expect(lines.readline(), b"2")
        _say(connection, lines, b"EHLO localhost", b"2")
        for number, mail in enumerate(mails, 1):
            _say(connection, lines, f"MAIL FROM:<{sender}>".encode(), b"2")
            _say(connection, lines, f"RCPT TO:<{recipient}>".encode(), b"2")
            _say(connection, lines, b"DATA", b"3")
            stuffed = re.sub(rb"(\A|\r\n)\.", rb"\1..", as_delivered(mail))
            connection.sendall(stuffed + b".\r\n")
            _answer(lines, b"2")
            yield number
        _say(connection, lines, b"QUIT", b"2")


def _say(connection: socket.socket, lines: Iterable[bytes], command: bytes, expected: bytes) -> None:
    connection.sendall(command + b"\r\n")
    _answer(lines, expected)


def _answer(lines: Iterable[bytes], expected: bytes) -> None:
    for line in lines:
        if line[3:4] != b"-":
            _expect(line, expected)
            return
    raise SmtpRefusedError("the connection was closed")


def _expect(line: bytes, expected: bytes) -> None:
    if not line.startswith(expected):
        raise SmtpRefusedError(line.decode("ascii", "replace").strip() or "no answer")
