"""Small things that recordings of Exchange show."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

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
