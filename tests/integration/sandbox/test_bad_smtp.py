"""SMTP that no client should speak: nothing but a whole mail is delivered, nothing is held that has no end."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from tests.support.sandbox import SandboxProcess, as_given
from tests.support.siege import MAILBOX, Besieged, everything

if TYPE_CHECKING:
    from collections.abc import Iterator

_CREW = "crew@example.org"
_BEGIN = b"EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<dispatch@example.org>\r\n"
_MEGABYTE = 1 << 20


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with SandboxProcess(tmp_path_factory.mktemp("siege") / "sandbox", mailboxes=[MAILBOX, _CREW]) as running:
        yield Besieged(running)


@pytest.fixture(autouse=True)
def _as_well_as_before(siege: Besieged) -> Iterator[None]:
    yield
    siege.must_be_well()


def _said(connection: socket.socket, sent: bytes) -> bytes:
    with suppress(OSError):
        connection.sendall(sent)
    return everything(connection, seconds=2.0)


def _kept(siege: Besieged) -> list[bytes]:
    """Return the mails of the mailbox, oldest first, and take note that they were seen."""
    return [as_given(siege.sandbox.mime(MAILBOX, mail["item_id"])) for mail in siege.sandbox.mails(MAILBOX)]


@pytest.mark.parametrize(
    "end",
    [
        b"\n.\n",
        b"\r.\r",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r\n.\r",
        b"\r.\r\n",
        b"\n\n.\n\n",
        b"\r\n\x00.\r\n",
        b"\r\n.\x00\r\n",
    ],
    ids=range(9),
)
def test_only_a_dot_between_ends_of_lines_ends_a_mail(siege: Besieged, end: bytes) -> None:
    """Otherwise a second mail could be hidden in the first, and pass whatever looked at that."""
    before = len(_kept(siege))
    hidden = b"MAIL FROM:<evil@b.example>\r\nRCPT TO:<dispatch@example.org>\r\nDATA\r\nSubject: hidden\r\n\r\nx"
    mail = b"Subject: seen\r\n\r\nfirst" + end + hidden

    with siege.smtp() as connection:
        said = _said(connection, _BEGIN + b"DATA\r\n" + mail + b"\r\n.\r\nQUIT\r\n")

    assert said.count(b"\r\n250 2.6.0") == 1
    kept = _kept(siege)[before:]
    assert len(kept) == 1
    assert kept[0].count(b"Subject: hidden") == 1
    assert kept[0].startswith(b"Subject: seen")


@pytest.mark.parametrize(
    "sent",
    [
        _BEGIN,
        _BEGIN + b"DATA\r\n",
        _BEGIN + b"DATA\r\nSubject: cut\r\n\r\nx\r\n",
        _BEGIN + b"DATA\r\nSubject: cut\r\n\r\nx\r\n.",
        _BEGIN + b"DATA\r\nSubject: cut\r\n\r\nx\r\n.\r",
        _BEGIN + b"DATA\r\nSubject: cut\r\n\r\nx\n.\n",
        _BEGIN + b"RSET\r\nDATA\r\nSubject: cut\r\n\r\nx\r\n.\r\n",
        _BEGIN[:-2],
    ],
    ids=range(8),
)
def test_a_mail_without_its_end_is_no_mail(siege: Besieged, sent: bytes) -> None:
    before = len(_kept(siege))

    with siege.smtp() as connection:
        connection.sendall(sent)

    siege.must_be_well()
    assert len(_kept(siege)) == before


@pytest.mark.parametrize(
    "garbage",
    [
        b"\r\n" * 10_000,
        b"\n" * 10_000,
        b"\x00" * 10_000 + b"\r\n",
        bytes(range(256)) * 100,
        b"EHLO\r\n" * 1000,
        b"EHLO " + b"x" * 100_000 + b"\r\n",
        b"EHLO \xff\xfe\x00\r\nMAIL FROM:<\xff\x00@x>\r\n",
        b"EHLO x\r\nMAIL FROM:<" + b"a" * 5000 + b"@b.example>\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=99999999999999999999999\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b.example> SIZE=-1 BODY=\xff X=\r\n",
        b"EHLO x\r\nMAIL FROM:<a@b.example\r\nRCPT TO:dispatch@example.org>\r\nDATA\r\n",
        b"EHLO x\r\nMAIL FROM:<>\r\nMAIL FROM:<>\r\nRCPT TO:<>\r\nDATA x\r\nVRFY \xff\r\nEXPN x\r\nHELP \x00\r\n",
        b"EHLO x\r\nAUTH PLAIN AGEAYg==\r\nAUTH LOGIN\r\nSTARTTLS\r\nBDAT 10 LAST\r\n0123456789",
        b"NOOP\r\n" * 20_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    ],
    ids=range(16),
)
def test_what_is_no_command_is_refused_and_delivers_nothing(siege: Besieged, garbage: bytes) -> None:
    before = len(_kept(siege))
    siege.forget_peak()
    resting = siege.forget_peak()

    with siege.smtp() as connection:
        said = _said(connection, garbage)

    assert all(line[:3].isdigit() for line in said.split(b"\r\n") if line)
    assert len(_kept(siege)) == before
    assert siege.memory_mb() - resting < 20


def test_a_browser_that_is_made_to_post_commands_delivers_nothing(siege: Besieged) -> None:
    """The lines of an HTTP request are too many commands that there are not."""
    before = len(_kept(siege))
    head = b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: x\r\nAccept: */*\r\nOrigin: https://evil.example\r\n"
    body = _BEGIN + b"DATA\r\nSubject: posted\r\n\r\nx\r\n.\r\n"

    with siege.smtp() as connection:
        _said(connection, head + b"Content-Type: text/plain\r\nContent-Length: 999\r\n\r\n" + body)

    assert len(_kept(siege)) == before


def test_a_command_without_an_end_is_not_held(siege: Besieged) -> None:
    siege.forget_peak()
    resting = siege.forget_peak()

    with siege.smtp() as connection:
        with suppress(OSError):
            for _ in range(200):
                connection.sendall(b"x" * _MEGABYTE)
        said = _said(connection, b"\r\nNOOP\r\n")

    assert said.startswith((b"500 ", b"421 ")) or not said
    assert siege.memory_mb() - resting < 20


def test_a_mail_over_the_limit_is_refused_and_not_held(siege: Besieged) -> None:
    before = len(_kept(siege))
    siege.forget_peak()
    resting = siege.forget_peak()
    line = (b"x" * 998 + b"\r\n") * 1049

    with siege.smtp() as connection:
        connection.sendall(_BEGIN + b"DATA\r\n")
        for _ in range(400):
            connection.sendall(line)
        said = _said(connection, b".\r\nQUIT\r\n")

    assert b"\r\n552 " in said
    assert len(_kept(siege)) == before
    assert siege.memory_mb() - resting < 250  # what came before the limit, in lines


def test_a_line_of_a_mail_without_an_end_is_refused_and_the_mail_with_it(siege: Besieged) -> None:
    before = len(_kept(siege))
    siege.forget_peak()
    resting = siege.forget_peak()

    with siege.smtp() as connection:
        connection.sendall(_BEGIN + b"DATA\r\n")
        for _ in range(400):
            connection.sendall(b"x" * _MEGABYTE)
        said = _said(connection, b"\r\n.\r\nQUIT\r\n")

    assert b"\r\n500 " in said or b"\r\n552 " in said
    assert len(_kept(siege)) == before
    assert (
        siege.memory_mb() - resting < 700
    )  # a line may be as long as a mail, and is looked for an end of in one piece


def test_ten_thousand_recipients_get_one_mail_each_or_are_refused_each(siege: Besieged) -> None:
    before = len(_kept(siege))
    recipients = b"".join(
        b"RCPT TO:<%s>\r\n" % (b"dispatch@example.org" if number % 2 else b"nobody%d@example.org" % number)
        for number in range(10_000)
    )

    with siege.smtp() as connection:
        said = _said(
            connection,
            b"EHLO x\r\nMAIL FROM:<a@b.example>\r\n" + recipients + b"DATA\r\nSubject: many\r\n\r\nx\r\n.\r\nQUIT\r\n",
        )

    assert said.count(b"\r\n250 2.1.5") == 5000
    assert said.count(b"\r\n550 5.1.1") == 5000
    assert said.count(b"\r\n250 2.6.0") == 1
    assert len(_kept(siege)) == before + 1


def test_many_mails_at_once_are_all_kept(siege: Besieged) -> None:
    before = len(_kept(siege))
    connections = [siege.smtp() for _ in range(200)]
    try:
        for number, connection in enumerate(connections):
            connection.sendall(_BEGIN + b"DATA\r\nMessage-ID: <many-%d@x>\r\n\r\nx\r\n.\r\nQUIT\r\n" % number)
        said = [everything(connection, seconds=20.0) for connection in connections]
    finally:
        for connection in connections:
            connection.close()

    assert all(one.count(b"\r\n250 2.6.0") == 1 for one in said)
    assert len(_kept(siege)) == before + 200
