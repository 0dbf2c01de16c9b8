"""Refusals, each asked for by SOAP written after Microsoft's documentation, and answered as it says there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest
from lxml import etree

from tests.support.sandbox import SandboxProcess
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Iterator

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
    status: int = 200


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


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EwsClient]:
    """A client of a mailbox."""
    folder = tmp_path_factory.mktemp("refusals") / "sandbox"
    with SandboxProcess(folder, mailboxes=[ADDRESS, "crew@example.org"]) as sandbox:
        yield EwsClient(sandbox, ADDRESS)


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: refusal.name)
def test_a_refusal(client: EwsClient, refusal: Refusal) -> None:
    answer = client.post(refusal.body)
    found = [str(one.text) for one in etree.fromstring(answer.content).iter() if str(one.tag).endswith("}ResponseCode")]
    assert answer.status_code == refusal.status
    assert found[0] in refusal.code.split()
