"""Entries of requests that are long over move into archives, and every look finds them there."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews import ledger
from bridge.adapters.ews.ledger_folder import ARCHIVES, LedgerFolder, archive_of
from bridge.adapters.ews.sender import EwsSender
from bridge.domain.outbound_records import EndReason, Stamp
from bridge.errors import MailboxUnavailable
from tests.integration.egress.test_lost_ledger import NAME, delete, empty
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from bridge.adapters.ews.client import EwsClient
    from bridge.domain.outbound_records import LedgerEntry

_LONG = timedelta(days=14)
_NO_AGE = timedelta(seconds=-5)
"""Surely after what was just stored, by the most careful of clocks."""
_REQUESTS = 12


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("archives") / "sandbox"
    with SandboxProcess(directory, mailboxes=["dispatch@example.org"]) as running:
        yield running


@pytest.fixture
def address(sandbox: SandboxProcess) -> str:
    address = f"a{uuid.uuid4().hex[:12]}@example.org"
    sandbox.add_mailbox(address)
    return address


@pytest.fixture
def client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    with ews_client(sandbox, call_timeout_seconds=30) as client:
        yield client


@pytest.fixture(autouse=True)
def few_are_worth_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "WORTH_MOVING", 5)
    monkeypatch.setattr(ledger, "_MOVED_AT_ONCE", 3)


@pytest.fixture
async def stamps(client: EwsClient, address: str) -> list[Stamp]:
    """Requests of every kind: one that is still open, one that never went out, one that ended, and sent ones."""
    stamps = [Stamp(uuid.uuid4().hex, uuid.uuid4().hex, "d" * 64) for _ in range(_REQUESTS)]
    sender = EwsSender(client, address)
    entry_ids = [await sender.enter_begun(stamp, 1) for stamp in stamps[:-1]]
    await sender.mark_unsent(entry_ids[1])
    for entry_id in entry_ids[2:]:
        await sender.mark_done(entry_id)
    await sender.enter_ended(stamps[-1], EndReason("expired", "expired", "too late"))
    return stamps


@pytest.fixture
def later(stamps: list[Stamp], monkeypatch: pytest.MonkeyPatch) -> None:
    """Have all of that be long over: Exchange's clock cannot leap without taking the tokens with it."""
    assert stamps
    monkeypatch.setattr(ledger, "ARCHIVED_AFTER", _NO_AGE)


async def entries(sender: EwsSender, stamps: Sequence[Stamp]) -> list[list[LedgerEntry]]:
    views = await asyncio.gather(*(sender.find_in_ledger(stamp.request_id) for stamp in stamps))
    return [list(view.entries) for view in views]


def told(found: list[list[LedgerEntry]]) -> list[list[tuple[object, ...]]]:
    """Without what differs between two places."""
    return [[(one.kind, one.stamp, one.call, one.recipients, one.reason) for one in view] for view in found]


def in_folder(sandbox: SandboxProcess, address: str) -> int:
    [folder] = [one for one in sandbox.folders(address) if one["name"] == NAME]
    return len(sandbox.mails(address, folder["id"]))


async def a_sweep(client: EwsClient, address: str) -> None:
    """Of a worker that knows nothing yet but the time."""
    sender = EwsSender(client, address)
    await sender.find_in_ledger("none")
    assert await sender.sweep(_LONG, limit=100) == 0


@pytest.mark.usefixtures("later")
async def test_what_is_over_moves_and_every_look_finds_it(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    other = EwsSender(client, address)
    before = await entries(other, stamps)  # so this worker knows of no archives

    await a_sweep(client, address)
    await a_sweep(client, address)

    assert in_folder(sandbox, address) == 3  # since when it is whole, that there are archives, and the open one
    for sender in (other, EwsSender(client, address)):
        assert told(await entries(sender, stamps)) == told(before)
        assert (await sender.find_in_ledger(stamps[0].request_id)).since is None
        assert [one.stamp for one in (await sender.find_in_ledger(stamps[5].request_id)).entries] == [stamps[5]]
    [still_open] = (await entries(other, stamps))[0]
    await other.mark_done(still_open.entry_id)
    assert [one.kind for one in (await entries(other, stamps))[0]] == ["done"]


@pytest.mark.usefixtures("stamps")
async def test_nothing_young_moves(sandbox: SandboxProcess, client: EwsClient, address: str) -> None:
    before = in_folder(sandbox, address)

    await a_sweep(client, address)

    assert in_folder(sandbox, address) == before
    assert not ledger_folders_below(sandbox, address)


def ledger_folders_below(sandbox: SandboxProcess, address: str) -> list[str]:
    return [str(one["id"]) for one in sandbox.folders(address) if len(one["name"]) == 2 and one["name"].isdecimal()]


@pytest.mark.usefixtures("later")
async def test_few_that_are_over_stay(
    sandbox: SandboxProcess, client: EwsClient, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ledger, "WORTH_MOVING", _REQUESTS)

    await a_sweep(client, address)

    assert not ledger_folders_below(sandbox, address)


@pytest.mark.usefixtures("later")
async def test_several_workers_move_at_a_time_and_nothing_is_lost_or_doubled(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    before = await entries(EwsSender(client, address), stamps)

    for told_of in await asyncio.gather(*(a_sweep(client, address) for _ in range(3)), return_exceptions=True):
        assert told_of is None or isinstance(told_of, MailboxUnavailable)
    await a_sweep(client, address)

    assert told(await entries(EwsSender(client, address), stamps)) == told(before)
    assert len(ledger_folders_below(sandbox, address)) == ARCHIVES


@pytest.mark.usefixtures("later")
async def test_a_ledger_with_an_archive_that_is_destroyed_is_known_for_new_by_every_look(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    await a_sweep(client, address)
    person = Person(sandbox, address)
    lost = archive_of(stamps[5].request_id)
    [folder] = [one["id"] for one in sandbox.folders(address) if one["name"] == f"{lost:02}"]
    knowing = EwsSender(client, address)
    await knowing.find_in_ledger(stamps[5].request_id)
    elsewhere = next(one for one in stamps[2:-1] if archive_of(one.request_id) != lost)

    delete(person, folder, "HardDelete")

    for sender in (knowing, EwsSender(client, address)):
        view = await sender.find_in_ledger(stamps[5].request_id)
        assert not view.entries
        assert view.since is not None
        other = await sender.find_in_ledger(elsewhere.request_id)
        assert other.entries
        assert other.since == view.since == sender.ledger_since


@pytest.mark.usefixtures("later")
async def test_a_ledger_with_an_archive_that_is_emptied_is_known_for_new(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    await a_sweep(client, address)
    number = archive_of(stamps[5].request_id)
    [folder] = [one["id"] for one in sandbox.folders(address) if one["name"] == f"{number:02}"]

    empty(Person(sandbox, address), folder)

    view = await EwsSender(client, address).find_in_ledger(stamps[5].request_id)
    assert not view.entries
    assert view.since is not None


@pytest.mark.usefixtures("later")
async def test_looks_at_a_time_for_several_archives_that_are_destroyed_all_tell_it(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    await a_sweep(client, address)
    person, over = Person(sandbox, address), stamps[1:]
    knowing = EwsSender(client, address)
    await entries(knowing, stamps)
    names = {f"{archive_of(stamp.request_id):02}" for stamp in over}

    for folder in [one for one in sandbox.folders(address) if one["name"] in names]:
        delete(person, folder["id"], "HardDelete")

    for view in await asyncio.gather(*(knowing.find_in_ledger(stamp.request_id) for stamp in over)):
        assert not view.entries
        assert view.since is not None


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("what", ["an archive", "all of it"])
async def test_what_lies_in_deleted_items_is_put_back(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp], what: str
) -> None:
    await a_sweep(client, address)
    before = await entries(EwsSender(client, address), stamps)
    name = NAME if what == "all of it" else f"{archive_of(stamps[5].request_id):02}"
    [folder] = [one["id"] for one in sandbox.folders(address) if one["name"] == name]

    person = Person(sandbox, address)
    delete(person, folder, "MoveToDeletedItems")

    sender = EwsSender(client, address)
    assert told(await entries(sender, stamps)) == told(before)
    assert (await sender.find_in_ledger(stamps[5].request_id)).since is None
    assert (
        f'Id="{folder}"'
        not in person.post(
            '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>'
            '<m:ParentFolderIds><t:DistinguishedFolderId Id="deleteditems"/></m:ParentFolderIds></m:FindFolder>'
        ).text
    )


@pytest.mark.usefixtures("later")
async def test_a_folder_that_is_emptied_leaves_the_archives_to_be_read(
    sandbox: SandboxProcess, client: EwsClient, address: str, stamps: list[Stamp]
) -> None:
    await a_sweep(client, address)
    [folder] = [one["id"] for one in sandbox.folders(address) if one["name"] == NAME]

    empty(Person(sandbox, address), folder)

    view = await EwsSender(client, address).find_in_ledger(stamps[5].request_id)
    assert [one.stamp for one in view.entries] == [stamps[5]]
    assert view.since is not None


@pytest.mark.usefixtures("later")
@pytest.mark.parametrize("step", ["_make_archives", "_births", "_write"])
async def test_who_stops_while_archives_are_made_leaves_a_ledger_that_is_whole(
    client: EwsClient, address: str, stamps: list[Stamp], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    before = await entries(EwsSender(client, address), stamps)
    ordinary = getattr(LedgerFolder, step)
    calls = 0

    async def some(self: LedgerFolder, *given: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 5 or step == "_make_archives":
            await ordinary(self, *given, **named)
            raise MailboxUnavailable("the worker ends here")
        return await ordinary(self, *given, **named)

    dying = EwsSender(client, address)
    await dying.find_in_ledger("none")
    monkeypatch.setattr(LedgerFolder, step, some)
    with pytest.raises(MailboxUnavailable):
        await dying.sweep(_LONG, limit=100)
    monkeypatch.setattr(LedgerFolder, step, ordinary)

    reader = EwsSender(client, address)
    assert told(await entries(reader, stamps)) == told(before)
    assert (await reader.find_in_ledger(stamps[5].request_id)).since is None
    await a_sweep(client, address)
    assert told(await entries(reader, stamps)) == told(before)
    assert (await reader.find_in_ledger(stamps[5].request_id)).since is None


@pytest.mark.usefixtures("later")
async def test_what_is_old_leaves_the_archives_too(client: EwsClient, address: str, stamps: list[Stamp]) -> None:
    await a_sweep(client, address)
    sender = EwsSender(client, address)
    await sender.find_in_ledger("none")
    deleted = 0
    while swept := await sender.sweep(_NO_AGE, limit=4):
        deleted += swept

    assert deleted == _REQUESTS
    assert not any(await entries(sender, stamps))
    assert (await sender.find_in_ledger(stamps[5].request_id)).since is None
