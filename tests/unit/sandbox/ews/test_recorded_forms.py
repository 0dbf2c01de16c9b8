"""Small things that recordings of Exchange show."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid4

from lxml import etree

from bridge.sandbox.store.ids import IdMint
from tests.unit.sandbox.ews.conftest import ADDRESS, E, M, T

if TYPE_CHECKING:
    from tests.unit.sandbox.ews.conftest import Ews

_TWO_ATTACHED = (
    '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>a</t:Subject><t:Attachments>'
    "<t:FileAttachment><t:Name>a.txt</t:Name><t:ContentType>text/plain</t:ContentType><t:ContentId>one</t:ContentId>"
    "<t:Content>QUJD</t:Content></t:FileAttachment><t:ItemAttachment><t:Name>mail</t:Name><t:Message><t:Subject>b"
    "</t:Subject></t:Message></t:ItemAttachment></t:Attachments></t:Message></m:Items></m:CreateItem>"
)


def _attached(ews: Ews) -> list[etree._Element]:
    made = ews.call(_TWO_ATTACHED)
    ids = "".join(f'<t:AttachmentId Id="{one.get("Id")}"/>' for one in made.iter(T + "AttachmentId"))
    answer = ews.call(f"<m:GetAttachment><m:AttachmentIds>{ids}</m:AttachmentIds></m:GetAttachment>")
    return [one for holder in answer.iter(M + "Attachments") for one in holder]


def test_get_attachment_tells_names_kinds_and_content_and_nothing_of_size_and_times(ews: Ews) -> None:
    file, item = _attached(ews)

    assert [one.tag for one in file] == [
        T + "AttachmentId", T + "Name", T + "ContentType", T + "ContentId", T + "Content",
    ]  # fmt: skip
    assert [one.tag for one in item] == [T + "AttachmentId", T + "Name", T + "Message"]


def test_an_attachment_without_a_name_is_refused_and_the_missing_property_named(ews: Ews) -> None:
    made = ews.call(_TWO_ATTACHED)
    parent = next(made.iter(T + "ItemId")).get("Id")

    refused = ews.call(
        f'<m:CreateAttachment><m:ParentItemId Id="{parent}"/><m:Attachments><t:FileAttachment><t:Content>QUJD'
        "</t:Content></t:FileAttachment></m:Attachments></m:CreateAttachment>"
    )

    assert refused.findtext(f".//{M}ResponseCode") == "ErrorRequiredPropertyMissing"
    named = refused.find(f".//{M}MessageXml/{T}ExceptionFieldURI")
    assert named is not None
    assert named.get("FieldURI") == "attachment:Name"


def test_an_id_of_a_mailbox_without_an_address_is_refused_for_its_address_first(ews: Ews) -> None:
    source = '<t:AlternateId Format="EwsId" Id="DUMMY" Mailbox="{}"/>'

    def codes(mailbox: str) -> list[str]:
        ids = source.format(mailbox)
        return ews.codes(f'<m:ConvertId DestinationFormat="EwsId"><m:SourceIds>{ids}</m:SourceIds></m:ConvertId>')

    assert codes("DUMMY") == ["ErrorInvalidSmtpAddress"]
    assert codes(ADDRESS) == ["ErrorInvalidIdMalformed"]


def test_an_ampersand_alone_is_told_with_its_place(ews: Ews) -> None:
    body = b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">\n<s:Body>a & b</s:Body></s:Envelope>'
    fault = etree.fromstring(ews.post(body).content)

    told = "An error occurred while parsing EntityName. Line 2, position 12."
    assert fault.findtext(f".//{E}ResponseCode") == "ErrorSchemaValidation"
    assert fault.findtext(".//faultstring") == f"The request failed schema validation: {told}"


def _folder(ews: Ews, version: str) -> etree._Element:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
        'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Header><t:RequestServerVersion '
        f'Version="{version}"/></s:Header><s:Body><m:GetFolder><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape>'
        '</m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder></s:Body>'
        "</s:Envelope>"
    )
    return etree.fromstring(ews.post(body.encode()).content)


def test_rights_tell_of_private_items_since_exchange_2010_sp2(ews: Ews) -> None:
    assert _folder(ews, "Exchange2010").find(f".//{T}ViewPrivateItems") is None
    assert _folder(ews, "Exchange2010_SP2").findtext(f".//{T}ViewPrivateItems") == "true"


def test_every_folder_says_whether_it_is_hidden_and_is_found_by_it(ews: Ews) -> None:
    hidden = '<t:ExtendedFieldURI PropertyTag="0x10F4" PropertyType="Boolean"/>'
    inbox = '<t:DistinguishedFolderId Id="inbox"/>'
    set_so = f"<t:ExtendedProperty>{hidden}<t:Value>true</t:Value></t:ExtendedProperty>"
    for name, more in (("Seen", ""), ("Unseen", set_so)):
        ews.call(
            f"<m:CreateFolder><m:ParentFolderId>{inbox}</m:ParentFolderId><m:Folders><t:Folder><t:DisplayName>{name}"
            f"</t:DisplayName>{more}</t:Folder></m:Folders></m:CreateFolder>"
        )

    def found(restriction: str) -> list[tuple[str | None, str | None]]:
        shape = f"<t:BaseShape>Default</t:BaseShape><t:AdditionalProperties>{hidden}</t:AdditionalProperties>"
        answer = ews.call(
            f'<m:FindFolder Traversal="Shallow"><m:FolderShape>{shape}</m:FolderShape>{restriction}<m:ParentFolderIds>'
            f"{inbox}</m:ParentFolderIds></m:FindFolder>"
        )
        return [
            (one.findtext(T + "DisplayName"), one.findtext(f"{T}ExtendedProperty/{T}Value"))
            for one in answer.iter(T + "Folder")
        ]

    def is_hidden(value: str) -> str:
        constant = f'<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant>'
        return f"<m:Restriction><t:IsEqualTo>{hidden}{constant}</t:IsEqualTo></m:Restriction>"

    assert found("") == [("Seen", "false"), ("Unseen", "true")]
    assert found(is_hidden("true")) == [("Unseen", "true")]
    assert found(is_hidden("false")) == [("Seen", "false")]


def test_an_id_of_a_mailbox_that_there_is_not_names_that_mailbox(ews: Ews) -> None:
    guid = uuid4()
    stranger = IdMint(guid).item_id(7, 1)

    answer = ews.call(f'<m:ExportItems><m:ItemIds><t:ItemId Id="{stranger}"/></m:ItemIds></m:ExportItems>')

    assert answer.findtext(f".//{M}ResponseCode") == "ErrorNonExistentMailbox"
    assert answer.findtext(f".//{M}MessageText") == "No mailbox with such guid."
    assert answer.findtext(f".//{M}MessageXml/{T}Value[@Name='MailboxGuid']") == str(guid)


def test_an_item_tells_of_private_rights_and_nobody_is_offered_a_reply_to_a_report(ews: Ews) -> None:
    report = (
        b"From: <postmaster@example.org>\nSubject: Undeliverable\nMIME-Version: 1.0\nContent-Type: multipart/report; "
        b'report-type=delivery-status; boundary="b"\n\n--b\nContent-Type: text/plain\n\nNo.\n--b\nContent-Type: '
        b"message/delivery-status\n\nReporting-MTA: dns;m\n\nFinal-Recipient: rfc822;a@b\nAction: failed\n--b--\n"
    )
    ews.store.deliver(ADDRESS, report.replace(b"\n", b"\r\n"))
    found = ews.call(
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
    )
    item = next(found.iter(T + "ItemId")).get("Id")

    answer = ews.call(
        "<m:GetItem><m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape><m:ItemIds>"
        f'<t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )

    assert answer.findtext(f".//{T}ItemClass") == "REPORT.IPM.Note.NDR"
    assert [one.tag for one in next(answer.iter(T + "ResponseObjects"))] == [T + "ForwardItem"]
    assert answer.findtext(f".//{T}EffectiveRights/{T}ViewPrivateItems") == "true"
    assert answer.find(f".//{T}InstanceKey") is not None
