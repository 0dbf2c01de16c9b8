"""DavMail before a sandbox, and a session of a mail program with it."""

from __future__ import annotations

import imaplib
from collections.abc import Iterator

import pytest

from tests.foreign.davmail.gateway import DavMail
from tests.foreign.davmail.session import CREW, DISPATCH
from tests.support.sandbox import SandboxProcess


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox that takes names and passwords."""
    folder = tmp_path_factory.mktemp("davmail") / "sandbox"
    with SandboxProcess(folder, mailboxes=[DISPATCH, CREW], on_premises=True) as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def gateway(sandbox: SandboxProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[DavMail]:
    """DavMail before it."""
    with DavMail(tmp_path_factory.mktemp("gateway"), sandbox) as gateway:
        yield gateway


@pytest.fixture
def imap(sandbox: SandboxProcess, gateway: DavMail) -> Iterator[imaplib.IMAP4]:
    """The dispatch mailbox's session; its Inbox is empty."""
    client = gateway.imap(sandbox.info["mailboxes"][0])
    client.select("INBOX")
    client.store("1:*", "+FLAGS", r"(\Deleted)")
    client.expunge()
    yield client
    client.logout()
