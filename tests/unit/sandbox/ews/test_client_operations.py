# ruff: noqa: E501 - requests stand here as they go over the wire
"""What mail clients do beside reading and sending: folders in whole, marks, export, settings of a mailbox."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest
from lxml import etree

from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, Ews, M, T, a_mail, item_ids, texts

INBOX = '<t:DistinguishedFolderId Id="inbox"/>'


def create_folder(name: str, parent: str = INBOX) -> str:
    """Return a CreateFolder request."""
    return f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>{name}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"


def folder_to(operation: str, to: str, *folders: str) -> str:
    """Return a MoveFolder or CopyFolder request."""
    return (
        f"<m:{operation}><m:ToFolderId>{to}</m:ToFolderId><m:FolderIds>{''.join(folders)}</m:FolderIds></m:{operation}>"
    )


def folder_id(ews: Ews, request: str) -> str:
    """Return the FolderId that a request answers, as an element."""
    found = next(ews.call(request).iter(T + "FolderId"))
    return f'<t:FolderId Id="{found.get("Id")}"/>'


def names_below(ews: Ews, parent: str) -> list[str]:
    """Return the names of the folders below one, all levels."""
    return texts(
        ews.call(
            f'<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:ParentFolderIds>{parent}</m:ParentFolderIds></m:FindFolder>'
        ),
        "DisplayName",
    )


def listed(*ids: str) -> str:
    """Return ItemIds."""
    return "<m:ItemIds>" + "".join(f'<t:ItemId Id="{one}"/>' for one in ids) + "</m:ItemIds>"


def test_a_folder_moves_with_all_it_holds_and_keeps_its_id(ews: Ews) -> None:
    """Also the counts of what is in it stay."""
    outer = folder_id(ews, create_folder("Outer"))
    inner = folder_id(ews, create_folder("Inner", outer))

    moved = folder_id(ews, folder_to("MoveFolder", '<t:DistinguishedFolderId Id="drafts"/>', outer))

    assert moved == outer
    assert names_below(ews, '<t:DistinguishedFolderId Id="drafts"/>') == ["Outer", "Inner"]
    assert names_below(ews, INBOX) == []
    assert ews.codes(folder_to("MoveFolder", inner, outer)) == ["ErrorMoveCopyFailed"]


def test_a_copied_folder_holds_copies(ews: Ews) -> None:
    """The original keeps its own; deleting one leaves the other."""
    mail = ews.store.deliver(ADDRESS, a_mail())
    outer = folder_id(ews, create_folder("Outer"))
    folder_id(ews, create_folder("Inner", outer))
    ews.call(f"<m:CopyItem><m:ToFolderId>{outer}</m:ToFolderId>{listed(mail.item_id)}</m:CopyItem>")

    copied = folder_id(ews, folder_to("CopyFolder", '<t:DistinguishedFolderId Id="drafts"/>', outer))
    ews.call(f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{outer}</m:FolderIds></m:DeleteFolder>')

    shown = ews.call(
        f"<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>{copied}</m:FolderIds></m:GetFolder>"
    )
    assert texts(shown, "TotalCount") == ["1"]
    assert names_below(ews, '<t:DistinguishedFolderId Id="drafts"/>') == ["Outer", "Inner"]


@pytest.mark.parametrize(
    ("operation", "to", "folder", "code"),
    [
        ("MoveFolder", '<t:DistinguishedFolderId Id="drafts"/>', INBOX, "ErrorMoveDistinguishedFolder"),
        ("MoveFolder", '<t:FolderId Id="AAMk"/>', INBOX, "ErrorInvalidIdMalformed"),
        ("CopyFolder", INBOX, '<t:DistinguishedFolderId Id="root"/>', "ErrorMoveCopyFailed"),
        ("CopyFolder", '<t:DistinguishedFolderId Id="msgfolderroot"/>', INBOX, "ErrorMoveCopyFailed"),
    ],
)
def test_folders_that_cannot_go_there_stay(ews: Ews, operation: str, to: str, folder: str, code: str) -> None:
    """Each refusal has the code of its reason."""
    assert ews.codes(folder_to(operation, to, folder)) == [code]


def test_all_items_are_marked_at_once(ews: Ews) -> None:
    """Those that were so already keep their change keys."""
    for number in range(3):
        ews.store.deliver(ADDRESS, a_mail(number))
    request = "<m:MarkAllItemsAsRead><m:ReadFlag>{}</m:ReadFlag><m:SuppressReadReceipts>true</m:SuppressReadReceipts><m:FolderIds><t:DistinguishedFolderId Id='inbox'/></m:FolderIds></m:MarkAllItemsAsRead>"
    unread = "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id='inbox'/></m:FolderIds></m:GetFolder>"
    find = f'<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:ParentFolderIds>{INBOX}</m:ParentFolderIds></m:FindItem>'

    assert ews.codes(request.format("true")) == ["NoError"]
    assert texts(ews.call(unread), "UnreadCount") == ["0"]
    before = item_ids(ews.call(find))
    ews.call(request.format("true"))
    assert item_ids(ews.call(find)) == before
    ews.call(request.format("0"))
    assert texts(ews.call(unread), "UnreadCount") == ["3"]


def test_junk_goes_to_its_folder_and_comes_back(ews: Ews) -> None:
    """The answer names where it is now; without MoveItem nothing moves and nothing is named."""
    mail = ews.store.deliver(ADDRESS, a_mail())

    stayed = ews.call(f'<m:MarkAsJunk IsJunk="true" MoveItem="false">{listed(mail.item_id)}</m:MarkAsJunk>')
    junk = ews.call(f'<m:MarkAsJunk IsJunk="true" MoveItem="true">{listed(mail.item_id)}</m:MarkAsJunk>')
    moved = str(next(junk.iter(M + "MovedItemId")).get("Id"))
    assert list(stayed.iter(M + "MovedItemId")) == []
    assert ews.store.mails(ADDRESS, "junkemail").total == 1
    ews.call(f'<m:MarkAsJunk IsJunk="false" MoveItem="true">{listed(moved)}</m:MarkAsJunk>')
    assert ews.store.mails(ADDRESS, "inbox").total == 1
    assert ews.codes(f'<m:MarkAsJunk IsJunk="1" MoveItem="1">{listed(moved)}</m:MarkAsJunk>') == ["ErrorItemNotFound"]


def test_nothing_is_archived_without_an_archive(ews: Ews) -> None:
    """Every item gets the documented refusal."""
    mail = ews.store.deliver(ADDRESS, a_mail())
    request = f"<m:ArchiveItem><m:ArchiveSourceFolderId>{INBOX}</m:ArchiveSourceFolderId>{listed(mail.item_id, 'x')}</m:ArchiveItem>"

    answer = ews.call(request)

    assert [node.text for node in answer.iter(M + "ResponseCode")] == ["ErrorInvalidOperation"] * 2
    assert next(answer.iter(M + "MessageText")).text == "Archive mailbox is not enabled for this user."


def export(ews: Ews, item_id: str) -> str:
    """Return the data of an exported item."""
    answer = ews.call(f"<m:ExportItems>{listed(item_id)}</m:ExportItems>")
    return next(answer.iter(M + "Data")).text or ""


def upload(ews: Ews, data: str, *, action: str = "CreateNew", item: str = "", folder: str = "drafts") -> list[str]:
    """Upload an item; returns the response code and the new id."""
    identifier = next(
        ews.call(
            f"<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id='{folder}'/></m:FolderIds></m:GetFolder>"
        ).iter(T + "FolderId")
    ).get("Id")
    answer = ews.call(
        f'<m:UploadItems><m:Items><t:Item CreateAction="{action}"><t:ParentFolderId Id="{identifier}"/>{item}<t:Data>{data}</t:Data></t:Item></m:Items></m:UploadItems>'
    )
    return [
        next(answer.iter(M + "ResponseCode")).text or "",
        *(str(one.get("Id")) for one in answer.iter(M + "ItemId")),
    ]


def test_an_exported_item_comes_back_byte_for_byte(ews: Ews) -> None:
    """As a new item, or in place of another."""
    mail = ews.store.deliver(ADDRESS, a_mail(7))
    data = export(ews, mail.item_id)

    code, fresh = upload(ews, data)
    assert (code, ews.store.mime(ADDRESS, fresh)) == ("NoError", a_mail(7))
    other = export(ews, ews.store.deliver(ADDRESS, a_mail(8)).item_id)
    code, again = upload(ews, other, action="Update", item=f'<t:ItemId Id="{fresh}"/>', folder="inbox")
    assert (code, again) == ("NoError", fresh)
    assert ews.store.mails(ADDRESS, "drafts").total == 1
    assert ews.store.mime(ADDRESS, again) == a_mail(8)


def test_an_upload_in_place_of_an_item_that_is_gone_makes_one_only_where_that_is_asked_for(ews: Ews) -> None:
    """Update wants it there, UpdateOrCreate does not."""
    data = export(ews, ews.store.deliver(ADDRESS, a_mail(7)).item_id)
    _, gone = upload(ews, data)
    ews.call(f'<m:DeleteItem DeleteType="HardDelete">{listed(gone)}</m:DeleteItem>')
    item = f'<t:ItemId Id="{gone}"/>'

    assert upload(ews, data, action="Update", item=item) == ["ErrorItemNotFound"]
    code, fresh = upload(ews, data, action="UpdateOrCreate", item=item)
    assert code == "NoError"
    assert fresh != gone


def test_an_upload_with_an_old_change_key_replaces_nothing(ews: Ews) -> None:
    """The first one makes the key old."""
    data = export(ews, ews.store.deliver(ADDRESS, a_mail(7)).item_id)
    answer = ews.call(f"<m:ExportItems>{listed(upload(ews, data)[1])}</m:ExportItems>")
    known = next(answer.iter(M + "ItemId"))
    item = f'<t:ItemId Id="{known.get("Id")}" ChangeKey="{known.get("ChangeKey")}"/>'

    assert upload(ews, data, action="Update", item=item)[0] == "NoError"
    assert upload(ews, data, action="Update", item=item) == ["ErrorStaleObject"]


def test_attachments_that_an_upload_replaced_open_nothing(ews: Ews) -> None:
    """Nor do those that came instead answer to the old ids."""
    made = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>s</t:Subject><t:Attachments>'
        "<t:FileAttachment><t:Name>a.txt</t:Name><t:Content>QQ==</t:Content></t:FileAttachment></t:Attachments>"
        "</t:Message></m:Items></m:CreateItem>"
    )
    old, item = next(made.iter(T + "AttachmentId")).get("Id"), next(made.iter(T + "ItemId")).get("Id")
    data = export(ews, str(item))

    assert upload(ews, data, action="Update", item=f'<t:ItemId Id="{item}"/>') == ["NoError", item]

    assert ews.codes(
        f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{old}"/></m:AttachmentIds></m:GetAttachment>'
    ) == ["ErrorInvalidAttachmentId"]


def test_an_answer_that_was_asked_for_is_kept_as_said(ews: Ews) -> None:
    """IsResponseRequested, true, false, and not said at all."""
    for said in ("true", "false", None):
        element = f"<t:IsResponseRequested>{said}</t:IsResponseRequested>" if said else ""
        made = ews.call(
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>s</t:Subject>{element}'
            "</t:Message></m:Items></m:CreateItem>"
        )
        shown = ews.call(
            "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"
            + listed(item_ids(made)[0][0])
            + "</m:GetItem>"
        )
        assert texts(shown, "IsResponseRequested") == ([said] if said else [])


@pytest.mark.parametrize("data", ["", "QUI=", b64encode(b"\x01\x00\x00\x00sandbox-item-1\x00garbage").decode()])
def test_data_that_nobody_exported_is_refused(ews: Ews, data: str) -> None:
    """Nothing is stored."""
    assert upload(ews, data) == ["ErrorCorruptData"]


def test_every_cut_of_exported_data_is_refused(ews: Ews) -> None:
    """Half an item is none."""
    raw = b64decode(export(ews, ews.store.deliver(ADDRESS, a_mail()).item_id))

    for length in range(0, len(raw), 37):
        assert upload(ews, b64encode(raw[:length]).decode()) == ["ErrorCorruptData"]


def set_oof(
    state: str, *, days: tuple[str, str] | None = ("2090-01-01T00:00:00Z", "2090-01-02T00:00:00Z"), who: str = ADDRESS
) -> str:
    """Return a SetUserOofSettings request."""
    duration = (
        f"<t:Duration><t:StartTime>{days[0]}</t:StartTime><t:EndTime>{days[1]}</t:EndTime></t:Duration>" if days else ""
    )
    return f"<m:SetUserOofSettingsRequest><t:Mailbox><t:Address>{who}</t:Address></t:Mailbox><t:UserOofSettings><t:OofState>{state}</t:OofState><t:ExternalAudience>Known</t:ExternalAudience>{duration}<t:InternalReply><t:Message>Away &amp; out</t:Message></t:InternalReply></t:UserOofSettings></m:SetUserOofSettingsRequest>"


def get_oof(who: str = ADDRESS) -> str:
    """Return a GetUserOofSettings request."""
    return f"<m:GetUserOofSettingsRequest><t:Mailbox><t:Address>{who}</t:Address></t:Mailbox></m:GetUserOofSettingsRequest>"


def test_absence_is_kept_and_shown_to_senders(ews: Ews) -> None:
    """Disabled at first; the reply shows as a mail tip while it holds."""
    tips = f"<m:GetMailTips><m:SendingAs><t:EmailAddress>{OTHER}</t:EmailAddress></m:SendingAs><m:Recipients><t:Mailbox><t:EmailAddress>{ADDRESS}</t:EmailAddress></t:Mailbox><t:Mailbox><t:EmailAddress>nobody@example.org</t:EmailAddress></t:Mailbox></m:Recipients><m:MailTipsRequested>OutOfOfficeMessage InvalidRecipient</m:MailTipsRequested></m:GetMailTips>"
    assert texts(ews.call(get_oof()), "OofState") == ["Disabled"]

    assert ews.codes(set_oof("Enabled")) == ["NoError"]

    answer = ews.call(get_oof())
    assert texts(answer, "OofState") + texts(answer, "Message") == ["Enabled", "Away & out", ""]
    assert texts(answer, "StartTime") == ["2090-01-01T00:00:00Z"]
    told = ews.call(tips)
    assert texts(told, "Message") == ["Away & out"]
    assert texts(told, "InvalidRecipient") == ["false", "true"]


@pytest.mark.parametrize(
    "days", [None, ("2090-01-02T00:00:00Z", "2090-01-01T00:00:00Z"), ("2010-01-01T00:00:00Z", "2010-01-02T00:00:00Z")]
)
def test_a_scheduled_absence_needs_a_time_to_come(ews: Ews, days: tuple[str, str] | None) -> None:
    """Nothing is kept of a refused one."""
    assert ews.codes(set_oof("Scheduled", days=days)) == ["ErrorInvalidScheduledOofDuration"]
    assert texts(ews.call(get_oof()), "OofState") == ["Disabled"]


def test_the_absence_of_others_is_not_ours(ews: Ews) -> None:
    """A stranger is not found, a colleague is not opened."""
    assert ews.codes(get_oof(OTHER)) == ["ErrorAccessDenied"]
    assert ews.codes(set_oof("Enabled", who="nobody@example.org")) == ["ErrorMailRecipientNotFound"]


def configuration(operation: str, name: str = "Test", content: str = "") -> str:
    """Return a request about a user configuration of the Inbox."""
    named = f'UserConfigurationName Name="{name}">{INBOX}</{{}}:UserConfigurationName>'
    if operation in ("Create", "Update"):
        return f"<m:{operation}UserConfiguration><m:UserConfiguration><t:{named.format('t')}{content}</m:UserConfiguration></m:{operation}UserConfiguration>"
    return f"<m:{operation}UserConfiguration><m:{named.format('m')}{content}</m:{operation}UserConfiguration>"


def test_a_user_configuration_is_made_changed_and_forgotten(ews: Ews) -> None:
    """Parts that an update does not give stay; the folder's own counts and key do not change."""
    wanted = "<m:UserConfigurationProperties>XmlData BinaryData</m:UserConfigurationProperties>"
    assert ews.codes(configuration("Get", content=wanted)) == ["ErrorItemNotFound"]
    assert ews.codes(
        configuration("Create", content="<t:XmlData>QUI=</t:XmlData><t:BinaryData>QkI=</t:BinaryData>")
    ) == ["NoError"]
    assert ews.codes(configuration("Create")) == ["ErrorItemSave"]
    assert ews.codes(configuration("Update", content="<t:XmlData>Q0M=</t:XmlData>")) == ["NoError"]

    answer = ews.call(configuration("Get", content=wanted))
    assert texts(answer, "XmlData") + texts(answer, "BinaryData") == ["Q0M=", "QkI="]
    assert ews.codes(configuration("Delete")) == ["NoError"]
    assert ews.codes(configuration("Delete")) == ["ErrorItemNotFound"]
    assert ews.codes(configuration("Create", "IPM.Configuration.x")) == ["ErrorInvalidOperation"]


def test_conversations_are_listed_newest_first(ews: Ews) -> None:
    """Replies belong to what they answer; a page holds what was asked for."""
    for number, subject in enumerate(("Coal", "Steel", "Re: Coal")):
        ews.store.deliver(ADDRESS, a_mail(number, subject=subject))
    request = f'<m:FindConversation><m:IndexedPageItemView MaxEntriesReturned="{{}}" Offset="0" BasePoint="Beginning"/><m:ParentFolderId>{INBOX}</m:ParentFolderId></m:FindConversation>'

    answer = ews.call(request.format(10))

    assert texts(answer, "ConversationTopic") == ["Coal", "Steel"]
    assert texts(answer, "MessageCount") == ["2", "1"]
    assert next(answer.iter(M + "TotalConversationsInView")).text == "2"
    assert texts(ews.call(request.format(1)), "ConversationTopic") == ["Coal"]


def test_groups_and_rules_are_none(ews: Ews) -> None:
    """Said as Exchange says it."""
    expand = "<m:ExpandDL><m:Mailbox><t:EmailAddress>{}</t:EmailAddress></m:Mailbox></m:ExpandDL>"
    assert ews.codes(expand.format("crews@example.org")) == ["ErrorNameResolutionNoResults"]
    assert ews.codes(expand.format(ADDRESS)) == ["ErrorNameResolutionNoMailbox"]
    assert ews.codes("<m:GetInboxRules/>") == ["NoError"]
    assert ews.codes(f"<m:GetInboxRules><m:MailboxSmtpAddress>{OTHER}</m:MailboxSmtpAddress></m:GetInboxRules>") == [
        "ErrorAccessDenied"
    ]
    configured = ews.call(
        "<m:GetServiceConfiguration><m:RequestedConfiguration><m:ConfigurationName>MailTips</m:ConfigurationName></m:RequestedConfiguration></m:GetServiceConfiguration>"
    )
    assert texts(configured, "MailTipsEnabled") == ["true"]


def response(kind: str, item: str, content: str = "", *, disposition: str = "SaveOnly") -> str:
    """Return a CreateItem request with a response object."""
    return f'<m:CreateItem MessageDisposition="{disposition}"><m:Items><t:{kind}>{content}<t:ReferenceItemId Id="{item}"/><t:NewBodyContent BodyType="Text">Agreed.</t:NewBodyContent></t:{kind}></m:Items></m:CreateItem>'


def shown(ews: Ews, item: str, *fields: str) -> etree._Element:
    """Return an item with all its properties."""
    wanted = "".join(fields)
    extra = f"<t:AdditionalProperties>{wanted}</t:AdditionalProperties>" if wanted else ""
    return ews.call(
        f"<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:BodyType>Text</t:BodyType>{extra}</m:ItemShape>{listed(item)}</m:GetItem>"
    )


def test_a_reply_names_and_quotes_what_it_answers(ews: Ews) -> None:
    """The original is marked as answered, and its MIME stays as it came."""
    mail = ews.store.deliver(ADDRESS, a_mail(1, subject="Re: Coal", body="Two wagons."))

    reply = item_ids(ews.call(response("ReplyToItem", mail.item_id)))[0][0]

    answer = shown(ews, reply)
    assert texts(answer, "Subject") == ["RE: Coal"]
    assert texts(answer, "InReplyTo") == ["<1@example.net>"]
    assert [node.text for node in answer.iterfind(f".//{T}ToRecipients/{T}Mailbox/{T}EmailAddress")] == [
        "anna@example.net"
    ]
    body = texts(answer, "Body")[0]
    assert body.startswith("Agreed.")
    assert "Two wagons." in body
    assert ews.store.mime(ADDRESS, mail.item_id) == a_mail(1, subject="Re: Coal", body="Two wagons.")
    icon = shown(ews, mail.item_id, '<t:ExtendedFieldURI PropertyTag="0x1080" PropertyType="Integer"/>')
    assert texts(icon, "Value") == ["261"]


def test_a_reply_to_all_leaves_out_the_one_who_answers(ews: Ews) -> None:
    """Everybody else gets it once."""
    mime = a_mail(1).replace(
        b"To: <dispatch@example.org>",
        b"To: dispatch@example.org, b@example.net\r\nCc: anna@example.net, C <c@example.net>",
    )
    mail = ews.store.deliver(ADDRESS, mime)

    answer = shown(ews, item_ids(ews.call(response("ReplyAllToItem", mail.item_id)))[0][0])

    assert [node.text for node in answer.iterfind(f".//{T}ToRecipients/{T}Mailbox/{T}EmailAddress")] == [
        "anna@example.net",
        "b@example.net",
    ]
    assert [node.text for node in answer.iterfind(f".//{T}CcRecipients/{T}Mailbox/{T}EmailAddress")] == [
        "c@example.net"
    ]


def test_a_forwarded_mail_takes_its_attachments_along(ews: Ews) -> None:
    """It is sent to whom the request says."""
    item = "<t:Attachments><t:FileAttachment><t:Name>list.txt</t:Name><t:Content>QUJD</t:Content></t:FileAttachment></t:Attachments>"
    made = ews.call(
        f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>Coal</t:Subject>{item}<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Value>1</t:Value></t:ExtendedProperty></t:Message></m:Items></m:CreateItem>'
    )
    original = item_ids(made)[0][0]
    to = f"<t:ToRecipients><t:Mailbox><t:EmailAddress>{OTHER}</t:EmailAddress></t:Mailbox></t:ToRecipients>"

    assert ews.codes(response("ForwardItem", original, to, disposition="SendAndSaveCopy")) == ["NoError"]
    assert ews.submitted[0].recipients == (OTHER,)
    assert b"list.txt" in ews.submitted[0].mime
    assert ews.codes(response("ForwardItem", original, disposition="SendOnly")) == ["ErrorInvalidRecipients"]


def test_a_draft_is_not_answered(ews: Ews) -> None:
    """Nor is what is not there."""
    draft = item_ids(
        ews.call('<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message/></m:Items></m:CreateItem>')
    )[0][0]

    assert ews.codes(response("ReplyToItem", draft)) == ["ErrorInvalidOperation"]
    assert ews.codes(response("ReplyToItem", "AAMk")) == ["ErrorInvalidIdMalformed"]


def test_a_mail_made_of_properties_can_be_attached(ews: Ews) -> None:
    """Also with a mail in it; too many inside each other are refused."""

    def attached(levels: int) -> str:
        inner = f"<t:Attachments>{attached(levels - 1)}</t:Attachments>" if levels > 1 else ""
        return f"<t:ItemAttachment><t:Name>level {levels}</t:Name><t:Message><t:Subject>level {levels}</t:Subject>{inner}</t:Message></t:ItemAttachment>"

    mail = ews.store.deliver(ADDRESS, a_mail())
    request = f'<m:CreateAttachment><m:ParentItemId Id="{mail.item_id}"/><m:Attachments>{{}}</m:Attachments></m:CreateAttachment>'

    made = ews.call(request.format(attached(2)))
    number = str(next(made.iter(T + "AttachmentId")).get("Id"))
    got = ews.call(
        f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{number}"/></m:AttachmentIds></m:GetAttachment>'
    )
    assert "level 2" in texts(got, "Subject")
    assert ews.codes(request.format(attached(40))) == ["ErrorAttachmentNestLevelLimitExceeded"]


def test_a_folder_changes_name_and_class_but_not_its_kind(ews: Ews) -> None:
    """Folders that every mailbox has stay as they are."""
    made = folder_id(ews, create_folder("Outer"))
    request = "<m:UpdateFolder><m:FolderChanges><t:FolderChange>{}<t:Updates><t:SetFolderField><t:FieldURI FieldURI='folder:FolderClass'/><t:Folder><t:FolderClass>{}</t:FolderClass></t:Folder></t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"

    assert ews.codes(request.format(made, "IPF.Note.Special")) == ["NoError"]
    assert ews.codes(request.format(made, "IPF.Contact")) == ["ErrorObjectTypeChanged"]
    assert ews.codes(request.format(INBOX, "IPF.Note.Special")) == ["ErrorFolderSave"]


def test_a_subject_is_cut_at_255_letters(ews: Ews) -> None:
    """When it is made, and when it is changed."""
    made = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>'
        + "ä" * 300
        + "</t:Subject></t:Message></m:Items></m:CreateItem>"
    )
    ((item, change),) = item_ids(made)
    get = f"<m:GetItem><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>{listed(item)}</m:GetItem>"
    assert texts(ews.call(get), "Subject") == ["ä" * 255]

    ews.call(
        '<m:UpdateItem MessageDisposition="SaveOnly" ConflictResolution="AlwaysOverwrite"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{item}" ChangeKey="{change}"/><t:Updates><t:SetItemField><t:FieldURI FieldURI="item:Subject"/>'
        "<t:Message><t:Subject>" + "x" * 256 + "</t:Subject></t:Message></t:SetItemField></t:Updates></t:ItemChange>"
        "</m:ItemChanges></m:UpdateItem>"
    )
    assert texts(ews.call(get), "Subject") == ["x" * 255]


def test_a_setting_without_a_value_is_kept_as_one(ews: Ews) -> None:
    """xsi:nil comes back, and has no content."""
    entry = (
        "<t:DictionaryEntry><t:DictionaryKey><t:Type>String</t:Type><t:Value>empty</t:Value></t:DictionaryKey>"
        '<t:DictionaryValue xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true">{}</t:DictionaryValue>'
        "</t:DictionaryEntry>"
    )
    dictionary = f"<t:Dictionary>{entry}</t:Dictionary>"
    wanted = "<m:UserConfigurationProperties>Dictionary</m:UserConfigurationProperties>"

    assert ews.codes(configuration("Create", "Nil", dictionary.format(""))) == ["NoError"]

    (value,) = ews.call(configuration("Get", "Nil", wanted)).iter(T + "DictionaryValue")
    assert value.get("{http://www.w3.org/2001/XMLSchema-instance}nil") == "true"
    assert len(value) == 0
    refused = configuration("Create", "Nil2", dictionary.format("<t:Type>String</t:Type><t:Value>x</t:Value>"))
    assert ews.codes(refused) == ["ErrorSchemaValidation"]
