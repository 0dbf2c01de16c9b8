"""Published mails go into the configured folder, whatever people did with the one that it was."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews import inbox as ews_inbox
from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.errors import FolderNotFound
from bridge.ports.broker import PublishReceipt
from tests.support.ews import ews_client
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient as Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.domain.mail import MailRef

_ADDRESS = "dispatch@example.org"
_CREATE = (
    '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="msgfolderroot"/></m:ParentFolderId>'
    "<m:Folders><t:Folder><t:DisplayName>Done</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
)
_MEDDLED = {
    "deleted for good": '<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{id}</m:FolderIds></m:DeleteFolder>',
    "deleted in Outlook": (
        '<m:DeleteFolder DeleteType="MoveToDeletedItems"><m:FolderIds>{id}</m:FolderIds></m:DeleteFolder>'
    ),
    "renamed": (
        "<m:UpdateFolder><m:FolderChanges><t:FolderChange>{id}<t:Updates><t:SetFolderField>"
        '<t:FieldURI FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>Old</t:DisplayName></t:Folder>'
        "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    ),
}


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[_ADDRESS]) as process:
        yield process


@pytest.fixture
def inbox(sandbox: SandboxProcess) -> Iterator[EwsInbox]:
    with ews_client(sandbox, connections=1) as client:
        yield EwsInbox(client, _ADDRESS, remove_by=RemoveBy(move_to="Done"))


async def _published(sandbox: SandboxProcess, inbox: EwsInbox) -> tuple[MailRef, PublishReceipt]:
    sandbox.deliver(_ADDRESS, f"From: cad@example.com\r\nTo: {_ADDRESS}\r\n\r\nx\r\n".encode())
    ref = (await inbox.list_waiting("inbox", limit=10)).refs[-1]
    return ref, PublishReceipt(ref.message_id)


def _folder(sandbox: SandboxProcess) -> tuple[str, int]:
    """The id of the folder `Done` beside the inbox, and how many mails it has."""
    [found] = [one for one in sandbox.folders(_ADDRESS) if one["name"] == "Done" and "Deleted" not in one["path"]]
    return str(found["id"]), int(found["count"])


@pytest.mark.parametrize("how", _MEDDLED)
async def test_mails_are_moved_again_once_the_folder_is_there_again(
    sandbox: SandboxProcess, inbox: EwsInbox, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ews_inbox, "_TARGET_GOOD_SECONDS", 0.0)
    person = Person(sandbox, _ADDRESS)
    assert person.codes(_CREATE) == ["NoError"]
    assert [removal.error for removal in await inbox.remove([await _published(sandbox, inbox)])] == [None]
    folder, count = _folder(sandbox)
    assert count == 1
    assert person.codes(_MEDDLED[how].format(id=f'<t:FolderId Id="{folder}"/>')) == ["NoError"]

    published = await _published(sandbox, inbox)
    with pytest.raises(FolderNotFound):
        await inbox.remove([published])
    assert person.codes(_CREATE) == ["NoError"]

    assert [removal.error for removal in await inbox.remove([published])] == [None]
    assert _folder(sandbox)[1] == 1


@pytest.mark.parametrize("how", _MEDDLED)
async def test_a_folder_that_is_no_more_is_seen_before_any_mail_goes_there(
    sandbox: SandboxProcess, inbox: EwsInbox, how: str
) -> None:
    person = Person(sandbox, _ADDRESS)
    assert (await inbox.count_folders()).target_missing
    assert person.codes(_CREATE) == ["NoError"]
    assert [(await inbox.count_folders()).target_missing for _ in range(2)] == [False, False]
    folder, _ = _folder(sandbox)
    assert person.codes(_MEDDLED[how].format(id=f'<t:FolderId Id="{folder}"/>')) == ["NoError"]

    assert (await inbox.count_folders()).target_missing
    assert person.codes(_CREATE) == ["NoError"]
    assert not (await inbox.count_folders()).target_missing


async def test_a_folder_that_is_gone_between_two_looks_loses_no_receipt(
    sandbox: SandboxProcess, inbox: EwsInbox
) -> None:
    person = Person(sandbox, _ADDRESS)
    assert person.codes(_CREATE) == ["NoError"]
    assert [removal.error for removal in await inbox.remove([await _published(sandbox, inbox)])] == [None]
    folder, _ = _folder(sandbox)
    gone = _MEDDLED["deleted for good"].format(id=f'<t:FolderId Id="{folder}"/>')
    assert person.codes(gone) == ["NoError"]

    published = await _published(sandbox, inbox)
    [refused] = await inbox.remove([published])
    assert isinstance(refused.error, FolderNotFound)
    assert person.codes(_CREATE) == ["NoError"]

    assert [removal.error for removal in await inbox.remove([published])] == [None]
