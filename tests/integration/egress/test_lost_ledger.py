"""What people can do to the folder `Bridge Sends`, done on the sandbox, and what becomes of requests meanwhile."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.ews.sender import EwsSender
from bridge.domain.outbound_records import Stamp
from tests.integration.egress.conftest import ADDRESS, Site, until
from tests.integration.egress.test_kills import gather
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.adapters.ews.client import EwsClient
    from bridge.domain.outbound_records import LedgerView

NAME = "Bridge Sends"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("ledger") / "sandbox"
    with SandboxProcess(directory, mailboxes=[ADDRESS]) as running:
        yield running


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    with ews_client(sandbox, call_timeout_seconds=20) as client:
        yield client


@pytest.fixture
def person(sandbox: SandboxProcess) -> Person:
    return Person(sandbox, ADDRESS)


def ledger_ids(sandbox: SandboxProcess, name: str = NAME) -> list[str]:
    return [str(folder["id"]) for folder in sandbox.folders(ADDRESS) if folder["name"] == name]


def move(person: Person, folder: str, target: str) -> None:
    body = (
        f'<m:MoveFolder><m:ToFolderId><t:DistinguishedFolderId Id="{target}"/></m:ToFolderId>'
        f'<m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds></m:MoveFolder>'
    )
    assert person.codes(body) == ["NoError"]


def rename(person: Person, folder: str, name: str) -> None:
    body = (
        f'<m:UpdateFolder><m:FolderChanges><t:FolderChange><t:FolderId Id="{folder}"/><t:Updates><t:SetFolderField>'
        f'<t:FieldURI FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder>'
        "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )
    assert person.codes(body) == ["NoError"]


def delete(person: Person, folder: str, how: str) -> None:
    body = f'<m:DeleteFolder DeleteType="{how}"><m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds></m:DeleteFolder>'
    assert person.codes(body) == ["NoError"]


def empty(person: Person, folder: str) -> None:
    body = (
        '<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="false"><m:FolderIds>'
        f'<t:FolderId Id="{folder}"/></m:FolderIds></m:EmptyFolder>'
    )
    assert person.codes(body) == ["NoError"]


async def entered(client: EwsClient) -> Stamp:
    stamp = Stamp(uuid.uuid4().hex, uuid.uuid4().hex, "d" * 64)
    await EwsSender(client, ADDRESS).enter_begun(stamp, 1)
    return stamp


async def read(client: EwsClient, stamp: Stamp) -> LedgerView:
    """As a worker reads it that was started meanwhile."""
    return await EwsSender(client, ADDRESS).find_in_ledger(stamp.request_id)


async def test_a_ledger_that_was_moved_or_renamed_is_found(
    sandbox: SandboxProcess, client: EwsClient, person: Person
) -> None:
    stamp = await entered(client)
    [folder] = ledger_ids(sandbox)

    move(person, folder, "sentitems")
    moved = await read(client, stamp)
    rename(person, folder, "Old things")
    renamed = await read(client, stamp)

    assert [entry.stamp for entry in moved.entries] == [entry.stamp for entry in renamed.entries] == [stamp]
    assert moved.since == renamed.since
    assert not ledger_ids(sandbox)
    rename(person, folder, NAME)
    move(person, folder, "msgfolderroot")


async def test_a_ledger_that_was_deleted_is_taken_out_of_deleted_items(
    sandbox: SandboxProcess, client: EwsClient, person: Person
) -> None:
    stamp = await entered(client)
    before = (await read(client, stamp)).since
    [folder] = ledger_ids(sandbox)

    delete(person, folder, "MoveToDeletedItems")
    view = await read(client, stamp)

    assert [entry.stamp for entry in view.entries] == [stamp]
    assert view.since == before
    [found] = [one for one in sandbox.folders(ADDRESS) if one["name"] == NAME]
    assert "Deleted" not in found["path"]


@pytest.mark.parametrize("how", ["HardDelete", "SoftDelete", "emptied", "deleted and Deleted Items emptied"])
async def test_a_ledger_that_was_destroyed_is_a_new_one_and_says_so(
    sandbox: SandboxProcess, client: EwsClient, person: Person, how: str
) -> None:
    stamp = await entered(client)
    running = EwsSender(client, ADDRESS)
    before = (await running.find_in_ledger(stamp.request_id)).since
    [folder] = ledger_ids(sandbox)
    await asyncio.sleep(1.1)  # the moment is told to the second

    if how == "emptied":
        empty(person, folder)
    elif how.startswith("deleted"):
        delete(person, folder, "MoveToDeletedItems")
        delete(person, folder, "HardDelete")
    else:
        delete(person, folder, how)
    view = await read(client, stamp)

    assert not view.entries
    assert view.since is not None
    assert before is None or view.since > before
    # A worker that ran all the while hears of it, too.
    assert (await running.find_in_ledger(stamp.request_id)).since == view.since
    later = await entered(client)
    assert [entry.stamp for entry in (await read(client, later)).entries] == [later]


async def test_a_ledger_of_an_older_release_is_taken_over_and_whole(tmp_path_factory: pytest.TempPathFactory) -> None:
    directory = tmp_path_factory.mktemp("older") / "sandbox"
    with SandboxProcess(directory, mailboxes=[ADDRESS]) as sandbox:
        body = (
            '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId>'
            f"<m:Folders><t:Folder><t:DisplayName>{NAME}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
        )
        assert Person(sandbox, ADDRESS).codes(body) == ["NoError"]
        with ews_client(sandbox, call_timeout_seconds=20) as client:
            stamp = await entered(client)

            view = await read(client, stamp)

            assert view.since is None
            assert [entry.stamp for entry in view.entries] == [stamp]
            assert len(ledger_ids(sandbox)) == 1


@pytest.mark.timeout(200)
@pytest.mark.parametrize(
    ("copy_delay_seconds", "told"), [(0, "outbound.sent"), (3600, "outbound.unknown")], ids=["copy there", "no copy"]
)
def test_a_worker_killed_without_an_answer_and_its_ledger_destroyed_sends_nothing_twice(
    site: Site, copy_delay_seconds: int, told: str
) -> None:
    site.sandbox.admin("/settings", method="PUT", body={"sent_copy_delay_seconds": copy_delay_seconds})
    site.environment["BRIDGE_EGRESS__UNKNOWN_AFTER_SECONDS"] = "5"
    site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": "stall_after"})
    site.request(["r-1"])
    worker = site.start()
    until(lambda: site.sent()["r-1"] == 1, "the send")
    site.kill(worker)
    [folder] = ledger_ids(site.sandbox)
    delete(Person(site.sandbox, ADDRESS), folder, "HardDelete")
    site.sandbox.faults()
    events: list[dict[str, Any]] = []

    worker = site.start()
    until(gather(site, events, 1), "its end", seconds=120)
    site.request(["r-2"])
    until(gather(site, events, 2), "the end of the next one", seconds=60)

    assert site.stop(worker) == 0
    assert [event["event"] for event in events if event["request_id"] == "r-1"] == [told]
    assert [event["event"] for event in events if event["request_id"] == "r-2"] == ["outbound.sent"]
    assert site.sent() == {"r-1": 1, "r-2": 1}
