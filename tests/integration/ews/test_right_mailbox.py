"""Exchange Server on-premises opens the login's own mailbox where none is named: it is not the one that is meant."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.mailbox_identity import KnownMailboxes
from bridge.adapters.ews.parked import EwsParked
from bridge.adapters.ews.sender import EwsSender
from bridge.domain.outbound_records import Stamp
from bridge.errors import BridgeError, MailboxAccessDenied, MailboxNotFound
from bridge.ports.broker import PublishReceipt
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_OWN, _OTHER, _NOBODY = "login@example.org", "dispatch@example.org", "dispach@example.org"
_MAIL = b"From: cad@example.com\r\nTo: x@example.org\r\nSubject: Request\r\n\r\nnow\r\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory: Path = tmp_path_factory.mktemp("right") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_OWN, _OTHER], on_premises=True) as process:
        process.deliver(_OWN, _MAIL)
        process.deliver(_OTHER, _MAIL)
        yield process


@pytest.fixture
def client(server: SandboxProcess) -> Iterator[EwsClient]:
    """Somebody forgot `impersonate = true`, or gave the address of one mailbox and the login of another."""
    own = next(mailbox for mailbox in server.info["mailboxes"] if mailbox["address"] == _OWN)
    connection = EwsConnection(server.info["ews_url"], ca_file=server.info["ca_file"], impersonate=False)
    login = ("basic", own["username"], own["password"])
    with contextlib.closing(EwsClient(connection, login=login, known=KnownMailboxes())) as client:
        yield client


@pytest.mark.parametrize(("address", "error"), [(_NOBODY, MailboxNotFound), (_OTHER, MailboxAccessDenied)])
async def test_a_login_for_one_mailbox_does_nothing_in_the_name_of_another(
    server: SandboxProcess, client: EwsClient, address: str, error: type[BridgeError]
) -> None:
    """The mailbox of the login was emptied under the alias of one that does not exist."""
    own = EwsInbox(client, _OWN)
    [ref] = (await own.list_waiting("inbox", limit=10)).refs
    inbox = EwsInbox(client, address)

    with pytest.raises(error):
        await inbox.list_waiting("inbox", limit=10)
    with pytest.raises(error):
        await inbox.count("inbox")
    with pytest.raises(error):
        await inbox.remove([(ref, PublishReceipt(ref.message_id))])
    with pytest.raises(error):
        await EwsParked(client, address).put([(ref, "mail_unreadable")])
    with pytest.raises(error):
        await EwsSender(client, address).create_draft(_MAIL, Stamp("r-1", "a-1", "d-1"))

    assert [one.item_id for one in (await own.list_waiting("inbox", limit=10)).refs] == [ref.item_id]
    assert server.admin("/sends") == []


async def test_a_login_with_full_access_reads_the_other_mailbox_and_leaves_its_own_alone(
    server: SandboxProcess, client: EwsClient
) -> None:
    server.admin(f"/mailboxes/{_OTHER}/grants", method="PUT", body={"full_access": [_OWN]})
    other, own = EwsInbox(client, _OTHER), EwsInbox(client, _OWN)
    [ref] = (await other.list_waiting("inbox", limit=10)).refs

    [removal] = await other.remove([(ref, PublishReceipt(ref.message_id))])

    assert removal.error is None
    assert (await other.list_waiting("inbox", limit=10)).total == 0
    assert (await other.count("deleteditems")) == 1
    assert (await own.list_waiting("inbox", limit=10)).total == 1
    assert (await own.count("deleteditems")) == 0
