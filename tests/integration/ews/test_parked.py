"""Mails are parked in the folder of that name beside the inbox, whatever people did with an earlier one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.folders import ensure_child, find_child
from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.parked import EwsParked
from bridge.adapters.ews.soap import element
from bridge.domain.parking import PARKED_FOLDER
from bridge.ports.broker import PublishReceipt
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from lxml import etree

    from bridge.adapters.ews.client import EwsClient
    from bridge.adapters.ews.soap import ResponseMessage

_ADDRESS = "dispatch@example.org"


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as process:
        yield process


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    with ews_client(sandbox, connections=1) as client:
        yield client


async def _park(sandbox: SandboxProcess, inbox: EwsInbox, name: str) -> None:
    sandbox.deliver(_ADDRESS, f"From: cad@example.com\r\nTo: {_ADDRESS}\r\nSubject: {name}\r\n\r\nx\r\n".encode())
    [ref] = (await inbox.list_waiting("inbox", limit=10)).refs
    [removal] = await inbox.park([(ref, "mail_unreadable", PublishReceipt("event"))])
    assert removal.error is None


def _deleted(how: str, folder: etree._Element) -> etree._Element:
    return element("m:DeleteFolder", folder_ids("m:FolderIds", folder), DeleteType=how)


def _renamed(folder: etree._Element) -> etree._Element:
    name = element(
        "t:SetFolderField",
        element("t:FieldURI", FieldURI="folder:DisplayName"),
        element("t:Folder", element("t:DisplayName", text="Old")),
    )
    change = element("t:FolderChange", folder, element("t:Updates", name))
    return element("m:UpdateFolder", element("m:FolderChanges", change))


def _moved(folder: etree._Element) -> etree._Element:
    target = folder_ids("m:ToFolderId", distinguished("inbox"))
    return element("m:MoveFolder", target, folder_ids("m:FolderIds", folder))


@pytest.mark.parametrize("what", ["moved to Deleted Items", "deleted for good", "renamed", "moved below the inbox"])
async def test_a_mail_is_parked_where_it_is_found_whatever_became_of_the_folder(
    sandbox: SandboxProcess, client: EwsClient, what: str
) -> None:
    """Deleting in Outlook moves a folder, which keeps its id: mails parked there would age away unseen."""
    inbox, parked = EwsInbox(client, _ADDRESS), EwsParked(client, _ADDRESS)
    await _park(sandbox, inbox, "first")
    folder = await find_child(client, _ADDRESS, distinguished("msgfolderroot"), PARKED_FOLDER)
    assert folder is not None
    request = {
        "moved to Deleted Items": lambda: _deleted("MoveToDeletedItems", folder),
        "deleted for good": lambda: _deleted("HardDelete", folder),
        "renamed": lambda: _renamed(folder),
        "moved below the inbox": lambda: _moved(folder),
    }[what]()
    done: ResponseMessage = await client.call_one(_ADDRESS, request)
    assert done.error is None
    assert await parked.list_parked() == []

    await _park(sandbox, inbox, "second")

    assert len(await parked.list_parked()) == 1
    assert await inbox.count(PARKED_FOLDER) == 1
    seen = await inbox.count_folders()
    assert (seen.junk, seen.parked, seen.parked_codes) == (0, 1, {"mail_unreadable": 1})


async def test_parked_mail_and_junk_are_counted_by_whoever_looks(sandbox: SandboxProcess, client: EwsClient) -> None:
    """One that has looked before anything was parked, and another one."""
    inbox = EwsInbox(client, _ADDRESS)
    assert (await inbox.count_folders())[:2] == (0, 0)
    junk = f"From: cad@example.com\r\nTo: {_ADDRESS}\r\nSubject: one\r\n\r\nx\r\n".encode()
    sandbox.deliver(_ADDRESS, junk)
    [ref] = (await inbox.list_waiting("inbox", limit=10)).refs
    ids = element("m:ItemIds", element("t:ItemId", Id=ref.item_id))
    target = folder_ids("m:ToFolderId", distinguished("junkemail"))
    await client.call_one(_ADDRESS, element("m:MoveItem", target, ids))

    await _park(sandbox, inbox, "two")

    assert (await inbox.count_folders())[:2] == (1, 1)
    assert (await EwsInbox(client, _ADDRESS).count_folders())[:2] == (1, 1)


async def test_a_mailbox_is_measured_against_its_quota(sandbox: SandboxProcess, client: EwsClient) -> None:
    """Whatever folder it lies in, and each time anew."""
    await _park(sandbox, EwsInbox(client, _ADDRESS), "parked")
    inbox = EwsInbox(client, _ADDRESS)
    sandbox.deliver(_ADDRESS, f"From: cad@example.com\r\nTo: {_ADDRESS}\r\n\r\n".encode() + b"x" * 100_000)
    before = (await inbox.count_folders()).size
    sandbox.deliver(_ADDRESS, f"From: cad@example.com\r\nTo: {_ADDRESS}\r\n\r\n".encode() + b"x" * 100_000)

    with sandbox.settings(mailboxes={_ADDRESS: {"mailbox_bytes": 1 << 20}}):
        after = (await inbox.count_folders()).size

    assert before is not None
    assert after is not None
    assert (before.limit_bytes, after.limit_bytes) == (100 << 30, 1 << 20)
    assert 100_000 <= before.held_bytes <= 110_000
    assert 100_000 <= after.held_bytes - before.held_bytes <= 110_000


@pytest.mark.parametrize("hours", [-5, 5])
async def test_what_was_parked_within_the_hour_is_told_by_exchanges_clock(sandbox: SandboxProcess, hours: int) -> None:
    """To a worker that was just started, whose own clock is hours off."""
    _set_clocks(sandbox, hours * 3600)
    with ews_client(sandbox, connections=1) as client:
        await _park(sandbox, EwsInbox(client, _ADDRESS), "long ago")
    _set_clocks(sandbox, hours * 3600 + 4000)
    with ews_client(sandbox, connections=1) as client:
        inbox = EwsInbox(client, _ADDRESS)
        for name in ("one", "two", "three"):
            await _park(sandbox, inbox, name)

        ages = await inbox.parked_lately(3600, limit=20)
        latest = await inbox.parked_lately(3600, limit=2)

    assert len(ages) == 3
    assert ages == sorted(ages)
    assert max(ages) < 300
    assert len(latest) == 2


async def test_where_nothing_was_ever_parked_nothing_was_lately(client: EwsClient) -> None:
    assert await EwsInbox(client, _ADDRESS).parked_lately(3600, limit=20) == []


def _set_clocks(sandbox: SandboxProcess, ahead_seconds: int) -> None:
    ahead = {f"{whose}_clock_ahead_seconds": ahead_seconds for whose in ("exchange", "entra")}
    sandbox.admin("/settings", method="PUT", body=ahead)


async def test_a_folder_that_is_there_in_another_case_is_the_one_that_is_meant(client: EwsClient) -> None:
    """Exchange makes no second one of that name."""
    beside = distinguished("msgfolderroot")
    made = await ensure_child(client, _ADDRESS, beside, PARKED_FOLDER.upper())
    again = await ensure_child(client, _ADDRESS, beside, PARKED_FOLDER)
    other = await find_child(client, _ADDRESS, beside, f"{PARKED_FOLDER} 2")

    assert (again.get("Id"), other) == (made.get("Id"), None)
