"""A mail program that waits to be told, through DavMail, which looks once a minute at the shortest."""

from __future__ import annotations

import imaplib
from typing import TYPE_CHECKING

import pytest

from tests.foreign.davmail.session import deliver, selected

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess


@pytest.mark.timeout(240)
def test_a_mail_that_arrives_is_told_to_who_waits_for_it(imap: imaplib.IMAP4, sandbox: SandboxProcess) -> None:
    assert selected(imap) == 0
    assert imap.sock is not None
    imap.sock.settimeout(150)
    imap.send(b"W1 IDLE\r\n")
    assert imap.readline().startswith(b"+")
    deliver(sandbox, 50)
    lines = [imap.readline()]
    while b"EXISTS" not in lines[-1]:
        assert lines[-1], lines
        lines.append(imap.readline())
    assert lines[-1].strip() == b"* 1 EXISTS"
    imap.send(b"DONE\r\n")
    while not lines[-1].startswith(b"W1 "):
        assert lines[-1], lines
        lines.append(imap.readline())
    assert lines[-1].startswith(b"W1 OK")
