"""Refusals, each asked for by SOAP written after Microsoft's documentation, and answered as it says there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.callers import EXCHANGE, app_token, call, folder_of, get_folder, user_tokens
from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

ADDRESS = "dispatch@example.org"
_SHAPE = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
_FOLDER_SHAPE = "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_NO_ID = '<m:ItemIds><t:ItemId Id="NoSuchId"/></m:ItemIds>'
_DRAFT = "<m:Items><t:Message><t:Subject>s</t:Subject>{}</t:Message></m:Items>"
_TO = "<t:ToRecipients><t:Mailbox><t:EmailAddress>{}</t:EmailAddress></t:Mailbox></t:ToRecipients>"
_FROM = "<t:From><t:Mailbox><t:EmailAddress>crew@example.org</t:EmailAddress></t:Mailbox></t:From>"
_PARENTS = f"<m:ParentFolderIds>{_INBOX}</m:ParentFolderIds>"
_FIND = f'<m:FindItem Traversal="Shallow">{_SHAPE}{{}}</m:FindItem>'


@dataclass(frozen=True)
class Refusal:
    """What is asked, and the HTTP status and response code of the answer."""

    name: str
    body: str
    code: str
    """The response code, or the `error_category` of a refusal before any SOAP."""
    status: int = 200
    who: str = "app"
    impersonates: str | None = None
    version: str = "Exchange2016"


REFUSALS = (
    Refusal(
        "GetItem with an id that is none: ErrorInvalidIdMalformed",
        f"<m:GetItem>{_SHAPE}{_NO_ID}</m:GetItem>",
        "ErrorInvalidIdMalformed",
    ),
    Refusal(
        "GetItem with an empty id: ErrorInvalidIdEmpty",
        f'<m:GetItem>{_SHAPE}<m:ItemIds><t:ItemId Id=""/></m:ItemIds></m:GetItem>',
        "ErrorInvalidIdEmpty",
    ),
    Refusal(
        "GetItem without a shape: a fault, ErrorSchemaValidation",
        f"<m:GetItem>{_NO_ID}</m:GetItem>",
        "ErrorSchemaValidation",
        500,
    ),
    Refusal(
        "GetFolder with a distinguished name that there is not: a fault, ErrorSchemaValidation",
        f'<m:GetFolder>{_FOLDER_SHAPE}<m:FolderIds><t:DistinguishedFolderId Id="attic"/></m:FolderIds></m:GetFolder>',
        "ErrorSchemaValidation",
        500,
    ),
    Refusal(
        "GetFolder of a mailbox that there is not: ErrorNonExistentMailbox",
        f'<m:GetFolder>{_FOLDER_SHAPE}<m:FolderIds><t:DistinguishedFolderId Id="inbox"><t:Mailbox><t:EmailAddress>'
        "nobody@example.org</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId></m:FolderIds></m:GetFolder>",
        "ErrorNonExistentMailbox",
    ),
    Refusal(
        "CreateItem of a message without a disposition: a fault, ErrorMessageDispositionRequired",
        f"<m:CreateItem>{_DRAFT.format('')}</m:CreateItem>",
        "ErrorMessageDispositionRequired",
        500,
    ),
    Refusal(
        "CreateItem that sends to nobody: ErrorInvalidRecipients",
        f'<m:CreateItem MessageDisposition="SendOnly">{_DRAFT.format("")}</m:CreateItem>',
        "ErrorInvalidRecipients",
    ),
    Refusal(
        "CreateItem that sends as somebody else: ErrorSendAsDenied",
        f'<m:CreateItem MessageDisposition="SendOnly">{_DRAFT.format(_TO.format(ADDRESS) + _FROM)}</m:CreateItem>',
        "ErrorSendAsDenied",
    ),
    Refusal(
        "SendItem without a change key: ErrorChangeKeyRequired",
        f'<m:SendItem SaveItemToFolder="true">{_NO_ID}</m:SendItem>',
        "ErrorChangeKeyRequired",
    ),
    Refusal(
        "SendItem that keeps nothing and says where: a fault, ErrorInvalidSendItemSaveSettings",
        f'<m:SendItem SaveItemToFolder="false">{_NO_ID}<m:SavedItemFolderId>{_INBOX}</m:SavedItemFolderId>'
        "</m:SendItem>",
        "ErrorInvalidSendItemSaveSettings",
        500,
    ),
    Refusal(
        "DeleteItem without a kind of deletion: a fault, ErrorSchemaValidation",
        f"<m:DeleteItem>{_NO_ID}</m:DeleteItem>",
        "ErrorSchemaValidation",
        500,
    ),
    Refusal(
        "DeleteFolder of the Inbox: ErrorDeleteDistinguishedFolder",
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{_INBOX}</m:FolderIds></m:DeleteFolder>',
        "ErrorDeleteDistinguishedFolder",
    ),
    Refusal(
        "FindItem with a MIME content among its properties: ErrorInvalidPropertyRequest",
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true'
        f"</t:IncludeMimeContent></m:ItemShape>{_PARENTS}</m:FindItem>",
        "ErrorInvalidPropertyRequest",
    ),
    Refusal(
        "FindItem with a page of nothing: ErrorInvalidPagingMaxRows",
        _FIND.format(f'<m:IndexedPageItemView MaxEntriesReturned="0" Offset="0" BasePoint="Beginning"/>{_PARENTS}'),
        "ErrorInvalidPagingMaxRows",
    ),
    Refusal(
        "FindItem with an offset before the beginning: ErrorInvalidIndexedPagingParameters",
        _FIND.format(f'<m:IndexedPageItemView MaxEntriesReturned="5" Offset="-1" BasePoint="Beginning"/>{_PARENTS}'),
        "ErrorInvalidIndexedPagingParameters",
    ),
    Refusal(
        "FindItem in a fraction beyond one: ErrorInvalidFractionalPagingParameters",
        _FIND.format(f'<m:FractionalPageItemView MaxEntriesReturned="5" Numerator="3" Denominator="2"/>{_PARENTS}'),
        "ErrorInvalidFractionalPagingParameters",
    ),
    Refusal(
        "GetAttachment with an id that is none: ErrorInvalidAttachmentId or malformed",
        '<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="NoSuchId"/></m:AttachmentIds></m:GetAttachment>',
        "ErrorInvalidIdMalformed ErrorInvalidAttachmentId",
    ),
    Refusal(
        "ResolveNames of nobody: ErrorNameResolutionNoResults",
        '<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>nobody</m:UnresolvedEntry></m:ResolveNames>',
        "ErrorNameResolutionNoResults",
    ),
    Refusal(
        "SyncFolderItems with a state that is none: ErrorInvalidSyncStateData",
        f"<m:SyncFolderItems>{_SHAPE}<m:SyncFolderId>{_INBOX}</m:SyncFolderId><m:SyncState>AAAA</m:SyncState>"
        "<m:MaxChangesReturned>10</m:MaxChangesReturned></m:SyncFolderItems>",
        "ErrorInvalidSyncStateData",
    ),
    Refusal(
        "an operation that Exchange does not know: a fault, ErrorInvalidRequest",
        "<m:GetTeapot/>",
        "ErrorInvalidRequest",
        500,
    ),
)

# By whom it is asked, and in which version: `get_folder` is right in itself.
REFUSALS_OF_CALLERS = (
    Refusal("a call without a token: 401", get_folder(), "", 401, who="nobody"),
    Refusal("a call with what is no token: 401, invalid_token", get_folder(), "invalid_token", 401, who="garbage"),
    Refusal(
        "a token for another resource: 401, invalid_resource",
        get_folder(),
        "invalid_resource",
        401,
        who="app of graph",
    ),
    Refusal("an app without any right: 401, invalid_grant", get_folder(), "invalid_grant", 401, who="app without"),
    Refusal("an app with other roles: 403, invalid_grant", get_folder(), "invalid_grant", 403, who="app of others"),
    Refusal("a user's token for something else: 403, invalid_grant", get_folder(), "invalid_grant", 403, who="reader"),
    Refusal(
        "an app that impersonates nobody: a fault, ErrorInvalidExchangeImpersonationHeaderData",
        get_folder(),
        "ErrorInvalidExchangeImpersonationHeaderData",
        500,
    ),
    Refusal(
        "an app that impersonates who does not exist: a fault, ErrorNonExistentMailbox",
        get_folder(),
        "ErrorNonExistentMailbox",
        500,
        impersonates="nobody@example.org",
    ),
    Refusal(
        "an app that impersonates beyond its scope: a fault, ErrorImpersonateUserDenied",
        get_folder(),
        "ErrorImpersonateUserDenied",
        500,
        who="app of crew",
        impersonates=ADDRESS,
    ),
    Refusal(
        "a user without the right to impersonate: a fault, ErrorImpersonateUserDenied",
        get_folder(),
        "ErrorImpersonateUserDenied",
        500,
        who="user",
        impersonates="crew@example.org",
    ),
    Refusal(
        "a user in a folder of somebody else: ErrorFolderNotFound",
        get_folder(folder_of("crew@example.org")),
        "ErrorFolderNotFound",
        who="user",
    ),
    Refusal(
        "a user who may only read a folder and writes into it: ErrorCreateItemAccessDenied",
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{folder_of("crew@example.org", "drafts")}'
        f"</m:SavedItemFolderId>{_DRAFT.format('')}</m:CreateItem>",
        "ErrorCreateItemAccessDenied",
        who="user",
    ),
    Refusal(
        "a version that there is not: a fault, ErrorInvalidServerVersion",
        get_folder(),
        "ErrorInvalidServerVersion",
        500,
        who="user",
        version="Exchange2007_SP2",
    ),
    Refusal(
        "an operation newer than the version asked for: a fault, ErrorIncorrectSchemaVersion",
        f'<m:MarkAsJunk IsJunk="true" MoveItem="false">{_NO_ID}</m:MarkAsJunk>',
        "ErrorIncorrectSchemaVersion",
        500,
        who="user",
        version="Exchange2010_SP2",
    ),
    Refusal(
        "a property newer than the version asked for: ErrorInvalidPropertyRequest",
        _FIND.format(_PARENTS).replace(
            "</t:BaseShape>",
            '</t:BaseShape><t:AdditionalProperties><t:FieldURI FieldURI="item:Flag"/></t:AdditionalProperties>',
        ),
        "ErrorInvalidPropertyRequest",
        who="user",
        version="Exchange2010_SP2",
    ),
)


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One with two mailboxes."""
    folder = tmp_path_factory.mktemp("refusals") / "sandbox"
    with SandboxProcess(folder, mailboxes=[ADDRESS, "crew@example.org"]) as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> EwsClient:
    """A client of a mailbox."""
    return EwsClient(sandbox, ADDRESS)


@pytest.fixture(scope="module")
def tokens(sandbox: SandboxProcess) -> dict[str, str | None]:
    """The token of each who calls."""

    def app(**rights: Any) -> dict[str, Any]:
        made: dict[str, Any] = sandbox.admin("/apps", method="POST", body=rights)
        return made

    main = {key: sandbox.info[key] for key in ("client_id", "client_secret")}
    reader = app(scopes=["Mail.Read"])
    grants = {"folders": {"drafts": {ADDRESS: "Reviewer"}}}
    sandbox.admin("/mailboxes/crew@example.org/grants", method="PUT", body=grants)
    return {
        "nobody": None,
        "garbage": "garbage",
        "app": app_token(sandbox, main),
        "app of graph": app_token(sandbox, main, "https://graph.microsoft.com"),
        "app without": app_token(sandbox, app()),
        "app of others": app_token(sandbox, app(roles=["Mail.Read"])),
        "app of crew": app_token(sandbox, app(mailboxes=["crew@example.org"])),
        "reader": user_tokens(sandbox, reader, ADDRESS, f"{EXCHANGE}/Mail.Read")["access_token"],
        "user": user_tokens(sandbox, main, ADDRESS)["access_token"],
    }


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_refusal(client: EwsClient, refusal: Refusal) -> None:
    answer = client.post(refusal.body)
    found = [str(one.text) for one in etree.fromstring(answer.content).iter() if str(one.tag).endswith("}ResponseCode")]
    assert answer.status_code == refusal.status
    assert found[0] in refusal.code.split()


@pytest.mark.parametrize("refusal", REFUSALS_OF_CALLERS, ids=lambda refusal: refusal.name)
def test_a_refusal_of_who_calls(sandbox: SandboxProcess, tokens: dict[str, str | None], refusal: Refusal) -> None:
    token = tokens[refusal.who]

    answer = call(sandbox, refusal.body, token=token, impersonate=refusal.impersonates, version=refusal.version)

    assert answer.status_code == refusal.status
    if refusal.status in (401, 403):
        said = answer.headers.get("x-ms-diagnostics", "")
        assert said.rpartition("error_category=")[2].strip('"') == refusal.code
        assert ("WWW-Authenticate" in answer.headers) is (refusal.status == 401)
        return
    found = [str(one.text) for one in etree.fromstring(answer.content).iter() if str(one.tag).endswith("}ResponseCode")]
    assert found == [refusal.code]
