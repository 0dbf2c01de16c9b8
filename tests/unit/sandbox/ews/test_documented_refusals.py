"""Each refusal has the response code that Microsoft's reference (the page "ResponseCode") gives for its case."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, a_mail, item_ids, texts

_ID = '<t:ItemId Id="{}" ChangeKey="{}"/>'
_GET = "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{}</m:ItemShape><m:ItemIds>{}</m:ItemIds></m:GetItem>"
_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_ROOT = '<t:DistinguishedFolderId Id="msgfolderroot"/>'


def create(item: str, attributes: str = 'MessageDisposition="SaveOnly"', folder: str = "") -> str:
    return f"<m:CreateItem {attributes}>{folder}<m:Items>{item}</m:Items></m:CreateItem>"


def make_folder(element: str, parent: str = _ROOT) -> str:
    where = f"<m:ParentFolderId>{parent}</m:ParentFolderId>"
    return f"<m:CreateFolder>{where}<m:Folders>{element}</m:Folders></m:CreateFolder>"


def draft(ews: Ews) -> tuple[str, str]:
    to = f"<t:ToRecipients><t:Mailbox><t:EmailAddress>{OTHER}</t:EmailAddress></t:Mailbox></t:ToRecipients>"
    return item_ids(ews.call(create(f"<t:Message><t:Subject>Bed 12</t:Subject>{to}</t:Message>")))[0]


def update(key: tuple[str, str], path: str, element: str) -> str:
    return (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f'{_ID.format(*key)}<t:Updates><t:SetItemField><t:FieldURI FieldURI="{path}"/><t:Message>{element}</t:Message>'
        "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def attach(key: tuple[str, str], attachment: str) -> str:
    return (
        f'<m:CreateAttachment><m:ParentItemId Id="{key[0]}"/><m:Attachments>{attachment}</m:Attachments>'
        "</m:CreateAttachment>"
    )


def nested(depth: int) -> str:
    inner = ""
    for _ in range(depth):
        held = f"<t:Attachments>{inner}</t:Attachments>" if inner else ""
        inner = f"<t:ItemAttachment><t:Name>mail</t:Name><t:Message>{held}</t:Message></t:ItemAttachment>"
    return inner


def test_the_folder_for_the_copy_is_gone(ews: Ews) -> None:
    made = ews.call(make_folder("<t:Folder><t:DisplayName>Old</t:DisplayName></t:Folder>"))
    folder = next(str(node.get("Id")) for node in made.iter() if str(node.tag).endswith("}FolderId"))
    named = f'<m:FolderIds><t:FolderId Id="{folder}"/></m:FolderIds>'
    assert ews.codes(f'<m:DeleteFolder DeleteType="HardDelete">{named}</m:DeleteFolder>') == ["NoError"]
    saved = f'<m:SavedItemFolderId><t:FolderId Id="{folder}"/></m:SavedItemFolderId>'
    send = f'<m:SendItem SaveItemToFolder="true"><m:ItemIds>{_ID.format(*draft(ews))}</m:ItemIds>{saved}</m:SendItem>'

    assert ews.codes(send) == ["ErrorSavedItemFolderNotFound"]
    assert ews.codes(create("<t:Message/>", folder=saved)) == ["ErrorSavedItemFolderNotFound"]
    assert ews.submitted == []


def test_what_is_no_mail_is_not_sent(ews: Ews) -> None:
    contact = item_ids(ews.call(create("<t:Contact><t:GivenName>Anna</t:GivenName></t:Contact>", "")))[0]
    send = f'<m:SendItem SaveItemToFolder="true"><m:ItemIds>{_ID.format(*contact)}</m:ItemIds></m:SendItem>'

    assert ews.codes(send) == ["ErrorInvalidItemForOperationSendItem"]


def test_messages_of_meetings_are_made_by_nobody(ews: Ews) -> None:
    request = "<t:MeetingRequest><t:Subject>Round</t:Subject></t:MeetingRequest>"
    attachment = f"<t:ItemAttachment><t:Name>m</t:Name>{request}</t:ItemAttachment>"

    assert ews.codes(create(request)) == ["ErrorInvalidItemForOperationCreateItem"]
    assert ews.codes(attach(draft(ews), attachment)) == ["ErrorInvalidItemForOperationCreateItemAttachment"]


def test_an_item_attachment_holds_an_item(ews: Ews) -> None:
    codes = ews.codes(attach(draft(ews), "<t:ItemAttachment><t:Name>m</t:Name></t:ItemAttachment>"))

    assert codes == ["ErrorMissingItemForCreateItemAttachment"]


@pytest.mark.parametrize(("depth", "code"), [(10, "NoError"), (11, "ErrorAttachmentNestLevelLimitExceeded")])
def test_ten_attachments_may_be_one_in_the_other(ews: Ews, depth: int, code: str) -> None:
    assert ews.codes(attach(draft(ews), nested(depth))) == [code]


def test_an_id_of_an_item_is_none_of_an_attachment(ews: Ews) -> None:
    item, _ = draft(ews)
    get = f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{item}"/></m:AttachmentIds></m:GetAttachment>'

    assert ews.codes(get) == ["ErrorInvalidIdNotAnItemAttachmentId"]


def test_a_header_is_given_once(ews: Ews) -> None:
    shape = "<m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape>"
    get = f"<m:GetFolder>{shape}<m:FolderIds>{_INBOX}</m:FolderIds></m:GetFolder>"
    twice = "<t:MailboxCulture>de-DE</t:MailboxCulture>" * 2

    assert ews.codes(get, header=twice) == ["ErrorDuplicateSOAPHeader"]
    assert ews.codes(get, header='<x:Own xmlns:x="urn:x"/><x:Own xmlns:x="urn:x"/>') == ["NoError"]


@pytest.mark.parametrize(
    ("uri", "code"),
    [
        ('PropertyTag="0x8000" PropertyType="String"', "ErrorNoPropertyTagForCustomProperties"),
        ('PropertyTag="0x7fff" PropertyType="String"', "NoError"),
        *((f'PropertyTag="0x3001" PropertyType="{kind}"', "ErrorUnsupportedMapiPropertyType")
          for kind in ("Object", "ObjectArray", "Error", "Null")),
    ],
)  # fmt: skip
def test_a_mapi_property_that_cannot_be_asked_for(ews: Ews, uri: str, code: str) -> None:
    more = f"<t:AdditionalProperties><t:ExtendedFieldURI {uri}/></t:AdditionalProperties>"

    assert ews.codes(_GET.format(more, _ID.format(*draft(ews)))) == [code]


def test_the_class_of_a_typed_folder_is_implied(ews: Ews) -> None:
    given = "<t:FolderClass>IPF.Note</t:FolderClass><t:DisplayName>Shifts</t:DisplayName>"

    assert ews.codes(make_folder(f"<t:CalendarFolder>{given}</t:CalendarFolder>")) == ["ErrorNoFolderClassOverride"]
    assert ews.codes(make_folder(f"<t:Folder>{given}</t:Folder>")) == ["NoError"]


@pytest.mark.parametrize("entry", [" ", ",", "-"])
def test_what_is_no_name_is_not_resolved(ews: Ews, entry: str) -> None:
    resolve = (
        f'<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>{entry}</m:UnresolvedEntry></m:ResolveNames>'
    )

    assert ews.codes(resolve) == ["ErrorInvalidNameForNameResolution"]


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        (_INBOX, "ErrorResolveNamesInvalidFolderType"),
        ('<t:DistinguishedFolderId Id="contacts"/>' * 2, "ErrorResolveNamesOnlyOneContactsFolderAllowed"),
        ('<t:DistinguishedFolderId Id="contacts"/>', "ErrorNameResolutionNoResults"),
    ],
)
def test_names_are_resolved_in_one_folder_of_contacts(ews: Ews, ids: str, code: str) -> None:
    codes = ews.codes(
        '<m:ResolveNames ReturnFullContactData="false" SearchScope="Contacts">'
        f"<m:ParentFolderIds>{ids}</m:ParentFolderIds><m:UnresolvedEntry>anna</m:UnresolvedEntry></m:ResolveNames>"
    )

    assert codes == [code]


def test_a_read_receipt_is_suppressed_once_and_only_where_one_is_asked_for(ews: Ews) -> None:
    asking = a_mail(2).replace(b"\r\n\r\n", b"\r\nDisposition-Notification-To: anna@example.net\r\n\r\n", 1)
    plain, asked = (ews.store.deliver(ADDRESS, mime).item_id for mime in (a_mail(1), asking))

    def suppress(item: str) -> list[str]:
        reference = f'<t:ReferenceItemId Id="{item}"/>'
        return ews.codes(create(f"<t:SuppressReadReceipt>{reference}</t:SuppressReadReceipt>"))

    assert suppress(plain) == ["ErrorReadReceiptNotPending"]
    assert suppress(asked) == ["NoError"]
    assert suppress(asked) == ["ErrorReadReceiptNotPending"]


@pytest.mark.parametrize(
    ("culture", "code"), [("de-DE", "NoError"), ("zh-Hant-TW", "NoError"), ("xx-foo-bar-zz", "ErrorUnsupportedCulture")]
)
def test_a_culture_is_one(ews: Ews, culture: str, code: str) -> None:
    assert ews.codes(update(draft(ews), "item:Culture", f"<t:Culture>{culture}</t:Culture>")) == [code]


@pytest.mark.parametrize(
    ("element", "code"),
    [
        ("<t:CompleteDate>2999-01-01T00:00:00Z</t:CompleteDate>", "ErrorInvalidCompleteDate"),
        ("<t:CompleteDate>2020-01-01T00:00:00Z</t:CompleteDate>", "NoError"),
        ("<t:PercentComplete>101</t:PercentComplete>", "ErrorInvalidPercentCompleteValue"),
    ],
)
def test_a_task_is_done_when_it_is_done(ews: Ews, element: str, code: str) -> None:
    assert ews.codes(create(f"<t:Task><t:Subject>Clean</t:Subject>{element}</t:Task>", "")) == [code]


def test_an_item_stays_what_it_is(ews: Ews) -> None:
    key = draft(ews)

    assert ews.codes(update(key, "item:ItemClass", "<t:ItemClass>IPM.Contact</t:ItemClass>")) == [
        "ErrorObjectTypeChanged"
    ]
    assert ews.codes(update(key, "item:ItemClass", "<t:ItemClass>IPM.Note.Own</t:ItemClass>")) == ["NoError"]
    assert texts(ews.call(_GET.format("", _ID.format(*key))), "Message") != []


@pytest.mark.parametrize(
    ("path", "element", "of_draft"),
    [
        ("message:InternetMessageId", "<t:InternetMessageId>&lt;own@example.org&gt;</t:InternetMessageId>", "NoError"),
        (
            "message:ReplyTo",
            "<t:ReplyTo><t:Mailbox><t:EmailAddress>a@example.org</t:EmailAddress></t:Mailbox></t:ReplyTo>",
            "NoError",
        ),
        ("message:ConversationIndex", "<t:ConversationIndex>AQID</t:ConversationIndex>", "ErrorInvalidPropertySet"),
    ],
)  # fmt: skip
def test_what_a_mail_said_when_it_went_stays(ews: Ews, path: str, element: str, of_draft: str) -> None:
    """As exchangelib and the Managed API know these properties: read-only after the send, and always."""
    arrived = ews.store.deliver(ADDRESS, a_mail()).item_id, "CQAAAA=="
    of_mail = "ErrorInvalidPropertyUpdateSentMessage" if of_draft == "NoError" else of_draft

    assert ews.codes(update(draft(ews), path, element)) == [of_draft]
    assert ews.codes(update(arrived, path, element)) == [of_mail]


@pytest.mark.parametrize(
    ("people", "code"), [(0, "ErrorMailboxDataArrayEmpty"), (101, "ErrorMailboxDataArrayTooBig"), (100, "NoError")]
)
def test_availability_is_asked_of_one_to_a_hundred(ews: Ews, people: int, code: str) -> None:
    email = f"<t:Email><t:Address>{ADDRESS}</t:Address></t:Email>"
    one = f"<t:MailboxData>{email}<t:AttendeeType>Required</t:AttendeeType></t:MailboxData>"
    times = "<t:StartTime>2026-11-24T00:00:00</t:StartTime><t:EndTime>2026-11-25T00:00:00</t:EndTime>"
    window = f"<t:TimeWindow>{times}</t:TimeWindow>"
    codes = ews.codes(
        f"<m:GetUserAvailabilityRequest><m:MailboxDataArray>{one * people}</m:MailboxDataArray>"
        f"<t:FreeBusyViewOptions>{window}<t:RequestedView>FreeBusy</t:RequestedView></t:FreeBusyViewOptions>"
        "</m:GetUserAvailabilityRequest>"
    )

    assert set(codes) == {code}
