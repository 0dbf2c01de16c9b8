"""Users who call EWS by tokens of their own, over real HTTPS: the own mailbox, and what owners of others grant."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from lxml import etree

from tests.support.callers import (
    AS_USER,
    CHIEF,
    CREW,
    DISPATCH,
    EXCHANGE,
    INBOX,
    app_token,
    call,
    codes,
    folder_of,
    get_folder,
    user_tokens,
)
from tests.support.sandbox import AdminRefusedError, SandboxProcess
from tests.support.soap import TYPES

if TYPE_CHECKING:
    pass

_FIND = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
    "<m:ParentFolderIds>{}</m:ParentFolderIds></m:FindItem>"
)
_MAIL = b"From: a@example.net\r\nTo: dispatch@example.org\r\nSubject: Coal\r\nMessage-ID: <1@example.net>\r\n\r\nx\r\n"


def test_a_user_opens_the_own_mailbox_without_further_ado(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    sandbox.deliver(CREW, _MAIL)
    tokens = user_tokens(sandbox, main, CREW)

    answer = call(sandbox, get_folder(), token=tokens["access_token"])

    assert codes(answer) == ["NoError"]
    assert tokens["scope"] == AS_USER
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert (claims["aud"], claims["upn"], claims["scp"]) == (EXCHANGE, CREW, "EWS.AccessAsUser.All")
    assert "roles" not in claims


def test_a_user_opens_nobody_elses_mailbox(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    """By item errors, not by a fault: the others of a batch are answered."""
    token = user_tokens(sandbox, main, CREW)["access_token"]

    answer = call(sandbox, get_folder(INBOX + folder_of(DISPATCH) + folder_of("nobody@example.org")), token=token)

    assert codes(answer) == ["NoError", "ErrorFolderNotFound", "ErrorNonExistentMailbox"]


def test_a_user_without_the_right_impersonates_nobody_but_the_own_self(
    sandbox: SandboxProcess, main: dict[str, Any]
) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]

    refused = call(sandbox, get_folder(), token=token, impersonate=DISPATCH)

    assert (refused.status_code, codes(refused)) == (500, ["ErrorImpersonateUserDenied"])
    assert "The account does not have permission to impersonate the requested user." in refused.text
    assert codes(call(sandbox, get_folder(), token=token, impersonate=CREW)) == ["NoError"]


def test_the_right_to_impersonate_has_a_scope(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    sandbox.admin(f"/users/{CREW}", method="PUT", body={"impersonates": [DISPATCH]})
    try:
        found = {to: codes(call(sandbox, get_folder(), token=token, impersonate=to)) for to in (DISPATCH, CHIEF)}
    finally:
        sandbox.admin(f"/users/{CREW}", method="PUT", body={"impersonates": []})

    assert found == {DISPATCH: ["NoError"], CHIEF: ["ErrorImpersonateUserDenied"]}


def test_an_app_list_holds_users_off_by_their_app(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    sandbox.admin("/settings", method="PUT", body={"allowed_app_ids": ["11111111-1111-1111-1111-111111111111"]})
    try:
        answer = call(sandbox, get_folder(), token=token)
    finally:
        sandbox.admin("/settings", method="PUT", body={"allowed_app_ids": None})

    assert answer.status_code == 403
    assert answer.headers["X-EWS-Policy-Reason"] == "EWS is blocked by policy for this user or tenant"


# What owners grant.


@pytest.fixture
def item(sandbox: SandboxProcess) -> str:
    """The id of a mail in the inbox of dispatch."""
    sandbox.deliver(DISPATCH, _MAIL)
    return str(sandbox.mails(DISPATCH)[-1]["item_id"])


def _work(item: str) -> dict[str, str]:
    """Return what somebody may want to do in another's inbox."""
    ids = f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'
    where = folder_of(DISPATCH)
    return {
        "read": f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>{ids}</m:GetItem>",
        "create": f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{where}</m:SavedItemFolderId>'
        "<m:Items><t:Message><t:Subject>s</t:Subject></t:Message></m:Items></m:CreateItem>",
        "edit": '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges>'
        f'<t:ItemChange><t:ItemId Id="{item}"/><t:Updates><t:SetItemField><t:FieldURI FieldURI="message:IsRead"/>'
        "<t:Message><t:IsRead>true</t:IsRead></t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges>"
        "</m:UpdateItem>",
        "subfolder": f"<m:CreateFolder><m:ParentFolderId>{where}</m:ParentFolderId><m:Folders><t:Folder>"
        f"<t:DisplayName>{item[-12:-4].replace('/', '-')}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>",
        "delete": f'<m:DeleteItem DeleteType="HardDelete">{ids}</m:DeleteItem>',
    }


_CHANGES = ("edit", "delete")


@pytest.mark.parametrize(
    ("level", "allowed"),
    [
        ("None", set()),
        ("Contributor", {"create"}),
        ("Reviewer", {"read"}),
        ("Author", {"read", "create"}),
        ("Editor", {"read", "create", "edit", "delete"}),
        ("PublishingEditor", {"read", "create", "edit", "subfolder", "delete"}),
        ("Owner", {"read", "create", "edit", "subfolder", "delete"}),
    ],
)
def test_a_permission_level_allows_what_it_says(
    sandbox: SandboxProcess, main: dict[str, Any], item: str, level: str, allowed: set[str]
) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    grants = f"/mailboxes/{DISPATCH}/grants"
    sandbox.admin(grants, method="PUT", body={"folders": {"inbox": {CREW: level}}})
    try:
        found = {name: codes(call(sandbox, body, token=token)) for name, body in _work(item).items()}
        elsewhere = codes(call(sandbox, get_folder(folder_of(DISPATCH, "drafts")), token=token))
    finally:
        sandbox.admin(grants, method="PUT", body={"folders": {}})

    assert {name for name, code in found.items() if code == ["NoError"]} == allowed
    refused = {name: code for name, (code,) in found.items() if name not in allowed}
    if "read" in allowed:
        denied = {"create": "ErrorCreateItemAccessDenied", "subfolder": "ErrorCreateSubfolderAccessDenied"}
        assert refused == {name: denied.get(name, "ErrorAccessDenied") for name in refused}
    else:
        assert set(refused.values()) <= {"ErrorItemNotFound", "ErrorFolderNotFound", "ErrorParentFolderNotFound"}
    assert elsewhere == ["ErrorFolderNotFound"]


@pytest.mark.parametrize(
    ("level", "edits", "deletes"),
    [("NoneditingAuthor", False, True), ("Author", True, True), ("PublishingAuthor", True, True)],
)
def test_an_author_changes_the_own_items_and_no_others(  # noqa: PLR0917 - what pytest hands over
    sandbox: SandboxProcess, main: dict[str, Any], item: str, level: str, edits: bool, deletes: bool
) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    grants = f"/mailboxes/{DISPATCH}/grants"
    sandbox.admin(grants, method="PUT", body={"folders": {"inbox": {CREW: level}}})
    try:
        made = etree.fromstring(call(sandbox, _work(item)["create"], token=token).content)
        own = _work(str(next(made.iter(f"{TYPES}ItemId")).get("Id")))
        found = [codes(call(sandbox, work[what], token=token))[0] for work in (_work(item), own) for what in _CHANGES]
    finally:
        sandbox.admin(grants, method="PUT", body={"folders": {}})

    assert found[:2] == ["ErrorAccessDenied", "ErrorAccessDenied"]
    assert found[2:] == ["NoError" if may else "ErrorAccessDenied" for may in (edits, deletes)]


def _allowed(rights: etree._Element) -> str:
    names = (str(one.tag).removeprefix(TYPES) for one in rights if one.text == "true")
    return " ".join(name for name in names if name != "ViewPrivateItems")


def _effective(answer: bytes) -> dict[str, bool]:
    (found,) = etree.fromstring(answer).iter(f"{TYPES}EffectiveRights")
    return {str(one.tag).removeprefix(TYPES): one.text == "true" for one in found}


@pytest.mark.parametrize(
    ("level", "of_folder", "of_item"),
    [
        ("Reviewer", {"Read"}, {"Read"}),
        ("Author", {"CreateAssociated", "CreateContents", "Read"}, {"Read"}),
        ("Editor", {"CreateAssociated", "CreateContents", "Read"}, {"Read", "Modify", "Delete"}),
        (
            "Owner",
            {"CreateAssociated", "CreateContents", "CreateHierarchy", "Delete", "Modify", "Read"},
            {"Read", "Modify", "Delete"},
        ),
    ],
)
def test_folders_and_items_tell_what_the_caller_may_do(  # noqa: PLR0917 - what pytest hands over
    sandbox: SandboxProcess, main: dict[str, Any], item: str, level: str, of_folder: set[str], of_item: set[str]
) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    grants = f"/mailboxes/{DISPATCH}/grants"
    rights = "<t:AdditionalProperties><t:FieldURI FieldURI='{}:EffectiveRights'/></t:AdditionalProperties>"
    shape = "<t:BaseShape>IdOnly</t:BaseShape>"
    default = "<t:BaseShape>Default</t:BaseShape>"
    folder = get_folder(folder_of(DISPATCH)).replace(default, shape + rights.format("folder"))
    get = (
        f"<m:GetItem><m:ItemShape>{shape}{rights.format('item')}</m:ItemShape><m:ItemIds>"
        f'<t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    sandbox.admin(grants, method="PUT", body={"folders": {"inbox": {CREW: level}}})
    try:
        told = [_effective(call(sandbox, body, token=token).content) for body in (folder, get)]
    finally:
        sandbox.admin(grants, method="PUT", body={"folders": {}})

    for found, allowed in zip(told, (of_folder, of_item), strict=True):
        assert {name for name, may in found.items() if may and name != "ViewPrivateItems"} == allowed


def test_conversations_and_synchronised_folders_tell_it_too(
    sandbox: SandboxProcess, main: dict[str, Any], item: str
) -> None:
    """With the rights of who asks, not of the mailbox's owner."""
    token, owner = (user_tokens(sandbox, main, who)["access_token"] for who in (CREW, DISPATCH))
    grants = f"/mailboxes/{DISPATCH}/grants"
    rights = (
        '<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="{}"/></t:AdditionalProperties>'
    )
    shown = f"<m:GetItem><m:ItemShape>{rights.format('item:ConversationId')}</m:ItemShape><m:ItemIds>"
    get = f'{shown}<t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    (conversation,) = etree.fromstring(call(sandbox, get, token=owner).content).iter(f"{TYPES}ConversationId")
    create = (
        f"<m:CreateFolder><m:ParentFolderId>{INBOX}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>{{}}"
        "</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    made = etree.fromstring(call(sandbox, create.format("Told too"), token=owner).content)
    (folder,) = (str(one.get("Id")) for one in made.iter(f"{TYPES}FolderId"))
    items = (
        f"<m:GetConversationItems><m:ItemShape>{rights.format('item:EffectiveRights')}</m:ItemShape><m:Conversations>"
        f'<t:Conversation><t:ConversationId Id="{conversation.get("Id")}"/></t:Conversation></m:Conversations>'
        "</m:GetConversationItems>"
    )
    folders = (
        f"<m:SyncFolderHierarchy><m:FolderShape>{rights.format('folder:EffectiveRights')}</m:FolderShape>"
        f"<m:SyncFolderId>{folder_of(DISPATCH)}</m:SyncFolderId></m:SyncFolderHierarchy>"
    )
    granted = {"inbox": {CREW: "Reviewer"}, folder: {CREW: "Author"}}
    sandbox.admin(grants, method="PUT", body={"folders": granted})
    try:
        answers = [call(sandbox, body, token=token).content for body in (items, folders)]
    finally:
        sandbox.admin(grants, method="PUT", body={"folders": {}})

    may = [{_allowed(one) for one in etree.fromstring(answer).iter(f"{TYPES}EffectiveRights")} for answer in answers]
    assert may[0] == {"Read"}
    # Of folders that nobody granted nothing may be done.
    assert may[1] - {""} == {"CreateAssociated CreateContents Read"}


def test_full_access_opens_the_whole_mailbox_and_ends_at_once(
    sandbox: SandboxProcess, main: dict[str, Any], item: str
) -> None:
    token = user_tokens(sandbox, main, CREW)["access_token"]
    grants = f"/mailboxes/{DISPATCH}/grants"
    ask = get_folder(folder_of(DISPATCH) + folder_of(DISPATCH, "drafts") + folder_of(CHIEF))
    sandbox.admin(grants, method="PUT", body={"full_access": [CREW]})
    try:
        whole = codes(call(sandbox, ask, token=token))
        found = codes(call(sandbox, _FIND.format(folder_of(DISPATCH)), token=token))
        read = codes(call(sandbox, _work(item)["read"], token=token))
    finally:
        sandbox.admin(grants, method="PUT", body={"full_access": []})

    assert whole == ["NoError", "NoError", "ErrorFolderNotFound"]
    assert found == read == ["NoError"]
    assert codes(call(sandbox, _work(item)["read"], token=token)) == ["ErrorItemNotFound"]


def test_who_is_impersonated_brings_the_own_grants(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    """The app opens the mailbox of crew, and with it what crew may open."""
    token = app_token(sandbox, main)
    grants = f"/mailboxes/{DISPATCH}/grants"
    sandbox.admin(grants, method="PUT", body={"full_access": [CREW]})
    try:
        crew = codes(call(sandbox, get_folder(folder_of(DISPATCH)), token=token, impersonate=CREW))
        chief = codes(call(sandbox, get_folder(folder_of(DISPATCH)), token=token, impersonate=CHIEF))
    finally:
        sandbox.admin(grants, method="PUT", body={"full_access": []})

    assert (crew, chief) == (["NoError"], ["ErrorFolderNotFound"])


# Sending for others.

_FROM = "<t:From><t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox></t:From>"


def _send(*, sender: str = "", save_in: str = "") -> str:
    """Return the body that sends a mail to chief, from somebody, with a copy in a folder."""
    folder = save_in or '<t:DistinguishedFolderId Id="sentitems"/>'
    return (
        f'<m:CreateItem MessageDisposition="SendAndSaveCopy"><m:SavedItemFolderId>{folder}</m:SavedItemFolderId>'
        f"<m:Items><t:Message><t:Subject>Steel</t:Subject><t:ToRecipients><t:Mailbox><t:EmailAddress>{CHIEF}"
        f"</t:EmailAddress></t:Mailbox></t:ToRecipients>{_FROM.format(sender) if sender else ''}</t:Message></m:Items>"
        "</m:CreateItem>"
    )


def _draft_of_dispatch(sandbox: SandboxProcess, token: str) -> str:
    """Return the body that sends a draft which lies in the mailbox of dispatch."""
    body = _send().replace("SendAndSaveCopy", "SaveOnly")
    made = etree.fromstring(
        call(sandbox, body.replace('Id="sentitems"', 'Id="drafts"'), token=token, impersonate=DISPATCH).content
    )
    found = next(made.iter(f"{TYPES}ItemId"))
    return (
        f'<m:SendItem SaveItemToFolder="true"><m:ItemIds><t:ItemId Id="{found.get("Id")}" '
        f'ChangeKey="{found.get("ChangeKey")}"/></m:ItemIds></m:SendItem>'
    )


@pytest.mark.parametrize(
    ("grant", "allowed"),
    [
        ({}, set()),
        ({"full_access": [CREW]}, set()),
        ({"send_on_behalf": [CREW]}, {"from"}),
        ({"full_access": [CREW], "send_as": [CREW]}, {"from", "draft"}),
    ],
    ids=["nothing", "full access", "on behalf", "send as"],
)
def test_mail_from_somebody_else_needs_a_grant_of_its_own(
    sandbox: SandboxProcess, main: dict[str, Any], grant: dict[str, list[str]], allowed: set[str]
) -> None:
    """Full access alone opens the mailbox, but nobody may write mails as its owner."""
    token = user_tokens(sandbox, main, CREW)["access_token"]
    draft = _draft_of_dispatch(sandbox, app_token(sandbox, main))
    grants = f"/mailboxes/{DISPATCH}/grants"
    sandbox.admin(grants, method="PUT", body=grant)
    before = len(sandbox.sends())
    try:
        found = {
            name: codes(call(sandbox, body, token=token))
            for name, body in (("from", _send(sender=DISPATCH)), ("draft", draft))
        }
        sent = sandbox.sends()[before:]
    finally:
        sandbox.admin(grants, method="PUT", body={"full_access": [], "send_as": [], "send_on_behalf": []})

    assert {name for name, code in found.items() if code == ["NoError"]} == allowed
    assert {code for name, (code,) in found.items() if name not in allowed} <= {
        "ErrorSendAsDenied",
        "ErrorItemNotFound",
    }
    assert [one["from"] for one in sent] == [DISPATCH] * len(allowed)


@pytest.mark.parametrize("delay", [0, 1], ids=["at once", "late"])
def test_a_copy_is_kept_in_the_folder_of_somebody_else(
    sandbox: SandboxProcess, main: dict[str, Any], delay: int
) -> None:
    """As users of a shared mailbox want it: from the own mailbox, and the copy where the others look."""
    token = user_tokens(sandbox, main, CREW)["access_token"]
    grants = f"/mailboxes/{DISPATCH}/grants"
    sandbox.admin("/settings", method="PUT", body={"sent_copy_delay_seconds": delay})
    sandbox.admin(grants, method="PUT", body={"folders": {"sentitems": {CREW: "Author"}}})
    before = {address: len(sandbox.mails(address, "sentitems")) for address in (DISPATCH, CREW)}
    try:
        sent = codes(call(sandbox, _send(save_in=folder_of(DISPATCH, "sentitems")), token=token))
        refused = codes(call(sandbox, _send(save_in=folder_of(DISPATCH, "drafts")), token=token))
        until = time.monotonic() + 30
        while len(sandbox.mails(DISPATCH, "sentitems")) == before[DISPATCH] and time.monotonic() < until:
            pass
    finally:
        sandbox.admin(grants, method="PUT", body={"folders": {}})
        sandbox.admin("/settings", method="PUT", body={"sent_copy_delay_seconds": 0})

    assert (sent, refused) == (["NoError"], ["ErrorFolderNotFound"])
    copies = sandbox.mails(DISPATCH, "sentitems")[before[DISPATCH] :]
    assert [(copy["subject"], copy["from"]) for copy in copies] == [("Steel", "crew")]
    assert len(sandbox.mails(CREW, "sentitems")) == before[CREW]
    assert sandbox.mails(CREW, "outbox") == []
    read = _work(copies[0]["item_id"])["read"]
    assert codes(call(sandbox, read, token=app_token(sandbox, main), impersonate=DISPATCH)) == ["NoError"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        (f"/mailboxes/{DISPATCH}/grants", {"folders": {"inbox": {CREW: "Emperor"}}}, 400),
        (f"/mailboxes/{DISPATCH}/grants", {"folders": {"inbox": {CREW: ["Owner"]}}}, 400),
        (f"/mailboxes/{DISPATCH}/grants", {"folders": {"attic": {CREW: "Owner"}}}, 400),
        (f"/mailboxes/{DISPATCH}/grants", {"folders": {"inbox": {"nobody@example.org": "Owner"}}}, 404),
        (f"/mailboxes/{DISPATCH}/grants", {"folders": []}, 400),
        (f"/mailboxes/{DISPATCH}/grants", {"full_access": "crew@example.org"}, 400),
        (f"/mailboxes/{DISPATCH}/grants", {"full_access": ["nobody@example.org"]}, 404),
        (f"/mailboxes/{DISPATCH}/grants", {"full_access": [CREW], "send_as": [7]}, 400),
        ("/mailboxes/nobody@example.org/grants", {"full_access": []}, 404),
        (f"/users/{CREW}", {"password": "with:colon"}, 400),
        (f"/users/{CREW}", {"password": ""}, 400),
        (f"/users/{CREW}", {"password": "two\nlines"}, 400),
        (f"/users/{CREW}", {"impersonates": ["everybody"]}, 400),
        (f"/users/{CREW}", {"impersonates": ["*@*"]}, 400),
        (f"/users/{CREW}", {"enabled": "yes"}, 400),
        (f"/users/{CREW}", {"emperor": True}, 400),
        ("/users/nobody@example.org", {"enabled": True}, 404),
    ],
)
def test_what_makes_no_sense_changes_nothing(
    sandbox: SandboxProcess, path: str, body: dict[str, Any], status: int
) -> None:
    before = sandbox.admin("/users"), sandbox.admin(f"/mailboxes/{DISPATCH}/grants")

    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin(path, method="PUT", body={"enabled": False, **body} if "password" in body else body)

    assert refused.value.status == status
    assert (sandbox.admin("/users"), sandbox.admin(f"/mailboxes/{DISPATCH}/grants")) == before
