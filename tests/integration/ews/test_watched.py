"""A configuration under which mails would come back for ever, or that reads what is no arriving mail, reads nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.folder_ids import distinguished
from bridge.adapters.ews.folders import ensure_child
from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.adapters.ews.ledger_folder import LedgerFolder
from bridge.errors import FolderNotFound, FoldersConflict
from bridge.ports.broker import PublishReceipt
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.adapters.ews.client import EwsClient

_ADDRESS = "dispatch@example.org"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("watched") / "sandbox", mailboxes=[_ADDRESS]) as process:
        process.deliver(_ADDRESS, f"From: cad@example.com\r\nTo: {_ADDRESS}\r\n\r\nx\r\n".encode())
        yield process


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    with ews_client(sandbox, connections=2) as client:
        yield client


def _inbox(client: EwsClient, folders: Sequence[str], move_to: str | None = None) -> EwsInbox:
    return EwsInbox(client, _ADDRESS, remove_by=RemoveBy(None, move_to) if move_to else None, folders=folders)


@pytest.mark.parametrize(
    ("folders", "move_to"),
    [
        (["inbox"], "inbox/"),
        (["inbox"], "/inbox"),
        (["inbox"], "msgfolderroot/Inbox"),
        (["inbox", "msgfolderroot/Inbox"], None),
        (["Sent Items"], None),
        (["inbox", "Deleted Items"], None),
        (["Bridge Parked"], None),
        (["inbox"], "Bridge Parked"),
        (["Bridge Sends"], None),
        (["inbox"], "Bridge Sends"),
        (["Archive/Sends of old"], None),
    ],
)
async def test_folders_that_do_not_go_together_are_told_before_anything_is_published(
    client: EwsClient, folders: Sequence[str], move_to: str | None
) -> None:
    root = distinguished("msgfolderroot")
    await ensure_child(client, _ADDRESS, root, "Bridge Parked")
    await ensure_child(client, _ADDRESS, root, "Bridge Sends")
    archive = await ensure_child(client, _ADDRESS, root, "Archive")
    moved = await ensure_child(client, _ADDRESS, archive, "Sends of old")
    # Where people move the ledger and rename it, it is the bridge's all the same.
    await LedgerFolder(client, _ADDRESS)._stamp(moved, "BridgeLedger")
    inbox = _inbox(client, folders, move_to)

    for _ in range(2):
        with pytest.raises(FoldersConflict):
            await inbox.list_waiting(folders[0], limit=10)


async def test_folders_that_go_together_are_compared_once(client: EwsClient) -> None:
    await ensure_child(client, _ADDRESS, distinguished("msgfolderroot"), "Done")
    inbox = _inbox(client, ["inbox", "junkemail"], "Done")

    await inbox.list_waiting("inbox", limit=10)

    assert inbox._watched._compared
    assert (await inbox.list_waiting("inbox", limit=10)).total == 1


async def test_a_folder_that_is_made_later_is_compared_before_the_next_listing(client: EwsClient) -> None:
    """Mails are not moved to a folder that is missing, so that nothing is published twice until then."""
    inbox = _inbox(client, ["inbox"], "Later")
    [ref] = (await inbox.list_waiting("inbox", limit=10)).refs
    with pytest.raises(FolderNotFound):
        await inbox.remove([(ref, PublishReceipt(ref.message_id))])
    assert not inbox._watched._compared

    await ensure_child(client, _ADDRESS, distinguished("msgfolderroot"), "Later")
    await inbox.list_waiting("inbox", limit=10)

    assert inbox._watched._compared
