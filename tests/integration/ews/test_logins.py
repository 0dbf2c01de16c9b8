"""Exchange Server on-premises: users sign in by name and password."""

from __future__ import annotations

import asyncio
import contextlib
import email
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.draft_calls import DraftInParts
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.domain.blobs import BytesInMemory
from bridge.domain.mail import FetchedMail
from bridge.domain.notices import Notice
from bridge.domain.outbound import AttachedFile
from bridge.domain.outbound_records import Stamp
from bridge.errors import CredentialsRejected
from tests.support.sandbox import SandboxProcess, as_given

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

_ADDRESS = "dispatch@example.org"
_MAIL = f"From: cad@example.com\r\nTo: {_ADDRESS}\r\nSubject: Request\r\n\r\nnow\r\n".encode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory: Path = tmp_path_factory.mktemp("logins") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_ADDRESS], on_premises=True) as process:
        process.deliver(_ADDRESS, _MAIL)
        yield process


def _client(server: SandboxProcess, kind: str, password: str | None = None) -> EwsClient:
    [mailbox] = server.info["mailboxes"]
    connection = EwsConnection(server.info["ews_url"], ca_file=server.info["ca_file"], connections=2, impersonate=False)
    return EwsClient(connection, login=(kind, mailbox["username"], password or mailbox["password"]))


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_a_mailbox_is_read_with_a_login(server: SandboxProcess, kind: str) -> None:
    with contextlib.closing(_client(server, kind)) as client:
        inbox = EwsInbox(client, _ADDRESS)
        for _ in range(3):  # the first call logs in, the others find the connection as it left it
            listing = await inbox.list_waiting("inbox", limit=10)
            [fetched] = await inbox.fetch(listing.refs)

            assert isinstance(fetched, FetchedMail)
            assert as_given(fetched.mime) == _MAIL


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_a_wrong_password_is_told_as_such(server: SandboxProcess, kind: str) -> None:
    with contextlib.closing(_client(server, kind, "wrong")) as client:
        inbox = EwsInbox(client, _ADDRESS)
        for _ in range(3):
            with pytest.raises(CredentialsRejected):
                await inbox.list_waiting("inbox", limit=10)


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_a_new_password_counts_from_the_next_call_on(server: SandboxProcess, kind: str) -> None:
    [mailbox] = server.info["mailboxes"]
    with contextlib.closing(_client(server, kind, "before")) as client:
        inbox = EwsInbox(client, _ADDRESS)
        with pytest.raises(CredentialsRejected):
            await inbox.list_waiting("inbox", limit=10)

        client.change_password(mailbox["password"])

        assert (await inbox.list_waiting("inbox", limit=10)).total == 1


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_a_mailbox_is_told_of_with_a_login(server: SandboxProcess, kind: str) -> None:
    [mailbox] = server.info["mailboxes"]
    connection = EwsConnection(server.info["ews_url"], ca_file=server.info["ca_file"], impersonate=False)
    login = (kind, mailbox["username"], mailbox["password"])
    with (
        contextlib.closing(_client(server, kind)) as client,
        contextlib.closing(EwsNotifications(connection, client, login=login)) as notifications,
    ):
        made = await notifications.subscribe(_ADDRESS, ["inbox"], lead_mailbox=_ADDRESS, affinity=None)
        async with notifications.stream([made.subscription], lead_mailbox=_ADDRESS, affinity=made.affinity) as notices:
            assert await asyncio.wait_for(anext(notices), 30) == Notice()
            server.deliver(_ADDRESS, _MAIL)
            assert (await asyncio.wait_for(anext(notices), 30)).arrived == {made.subscription}


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_nobody_is_told_of_mail_by_a_wrong_password(server: SandboxProcess, kind: str) -> None:
    connection = EwsConnection(server.info["ews_url"], ca_file=server.info["ca_file"], impersonate=False)
    login = (kind, server.info["mailboxes"][0]["username"], "wrong")
    with (
        contextlib.closing(_client(server, kind, "wrong")) as client,
        contextlib.closing(EwsNotifications(connection, client, login=login)) as notifications,
    ):
        with pytest.raises(CredentialsRejected):
            await notifications.subscribe(_ADDRESS, ["inbox"], lead_mailbox=_ADDRESS, affinity=None)
        async with notifications.stream(["any"], lead_mailbox=_ADDRESS, affinity=None) as notices:
            with pytest.raises(CredentialsRejected):
                await asyncio.wait_for(anext(notices), 30)


@pytest.mark.parametrize("kind", ["basic", "ntlm"])
async def test_an_attachment_that_is_sent_piece_by_piece_comes_through_a_login(
    server: SandboxProcess, kind: str
) -> None:
    """NTLM has the first request of a connection sent more than once."""
    data = bytes(range(256)) * 10_001

    async def attachments() -> AsyncIterator[AttachedFile]:
        yield AttachedFile("plan.bin", "application/octet-stream", len(data), BytesInMemory(data).pieces)

    before = {mail["item_id"] for mail in server.mails(_ADDRESS, "drafts")}
    with contextlib.closing(_client(server, kind)) as client:
        for _ in range(2):
            await DraftInParts(client, _ADDRESS).build(_MAIL, attachments(), Stamp(f"r-{kind}", "attempt", "digest"))

    made = [mail for mail in server.mails(_ADDRESS, "drafts") if mail["item_id"] not in before]
    assert len(made) == 2
    for mail in made:
        parts = email.message_from_bytes(server.mime(_ADDRESS, mail["item_id"], "drafts")).walk()
        assert [part.get_payload(decode=True) for part in parts if part.get_filename()] == [data]
