"""What a client finds that walks through a new mailbox."""

from __future__ import annotations

import re

from bridge.sandbox.ews.grammar.words import ENUMERATIONS
from bridge.sandbox.store.newmailbox import HIDDEN, SEEN
from tests.unit.sandbox.ews.conftest import Ews, T, texts

_SHAPE = (
    "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
    '<t:FieldURI FieldURI="folder:DisplayName"/></t:AdditionalProperties></m:FolderShape>'
)


def below(ews: Ews, parent: str, traversal: str = "Deep") -> list[str]:
    """Return the names of the folders below a distinguished one."""
    where = f'<m:ParentFolderIds><t:DistinguishedFolderId Id="{parent}"/></m:ParentFolderIds>'
    return texts(ews.call(f'<m:FindFolder Traversal="{traversal}">{_SHAPE}{where}</m:FindFolder>'), "DisplayName")


def test_what_exchange_keeps_for_itself_lies_outside_of_what_people_see(ews: Ews) -> None:
    """More than forty folders in all, of which a mail program shows a few."""
    everything, seen = below(ews, "root"), below(ews, "msgfolderroot")

    assert len(everything) > 40
    for hidden in ("Common Views", "Freebusy Data", "Spooler Queue", "Reminders"):
        assert hidden in everything
        assert hidden not in seen
    assert below(ews, "msgfolderroot", "Shallow") == [
        "Archive", "Calendar", "Contacts", "Conversation History", "Deleted Items", "Drafts", "Inbox", "Journal",
        "Junk Email", "Notes", "Outbox", "Sent Items", "Sync Issues", "Tasks",
    ]  # fmt: skip
    assert "Recipient Cache" in below(ews, "contacts")


def test_what_exchange_keeps_for_itself_stays(ews: Ews) -> None:
    """Nobody deletes or renames it, though it has no distinguished name."""
    where = '<m:ParentFolderIds><t:DistinguishedFolderId Id="contacts"/></m:ParentFolderIds>'
    found = ews.call(f'<m:FindFolder Traversal="Shallow">{_SHAPE}{where}</m:FindFolder>')
    (one,) = [node for node in found.iter(T + "ContactsFolder") if texts(node, "DisplayName") == ["GAL Contacts"]]
    identifier = f'<t:FolderId Id="{next(one.iter(T + "FolderId")).get("Id")}"/>'

    for kind in ("HardDelete", "MoveToDeletedItems"):
        delete = f'<m:DeleteFolder DeleteType="{kind}"><m:FolderIds>{identifier}</m:FolderIds></m:DeleteFolder>'
        assert ews.codes(delete) == ["ErrorDeleteDistinguishedFolder"]
    renamed = (
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{identifier}<t:Updates><t:SetFolderField><t:FieldURI "
        'FieldURI="folder:DisplayName"/><t:ContactsFolder><t:DisplayName>Mine</t:DisplayName></t:ContactsFolder>'
        "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )
    assert ews.codes(renamed) != ["NoError"]
    assert "GAL Contacts" in below(ews, "contacts")


def test_there_are_no_public_folders_and_the_answer_says_so(ews: Ews) -> None:
    """Unlike a folder that this mailbox only has not."""
    get = "<m:GetFolder>" + _SHAPE + '<m:FolderIds><t:DistinguishedFolderId Id="{}"/></m:FolderIds></m:GetFolder>'

    assert ews.codes(get.format("publicfoldersroot")) == ["ErrorNoPublicFolderReplicaAvailable"]
    assert ews.codes(get.format("voicemail")) == ["ErrorFolderNotFound"]


def test_every_distinguished_name_that_is_shown_is_one_of_the_schema() -> None:
    """Exchange Online is asked for more than the schema lists; an answer with such a name would be read by nobody."""
    line = re.search(r"^DistinguishedFolderIdName : ((?:.*\n)(?: .*\n)*)", ENUMERATIONS, re.MULTILINE)
    assert line is not None
    names = line[1].split()
    known = set(names[: names.index("allcategorizeditems")])

    assert {name for name, *_ in (*SEEN, *HIDDEN) if name} <= known
