"""Mails inside mails: what is kept of them, how they are opened, and what is no way to open them."""

from __future__ import annotations

from base64 import b64decode, b64encode

import pytest

from bridge.sandbox.store.ids import IdMint, parse_id
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, T, a_mail, item_ids, texts


def attached(subject: str, inner: str = "", *, more: str = "") -> str:
    """Return an ItemAttachment element of a mail, with attachments of its own."""
    inside = f"<t:Attachments>{inner}</t:Attachments>" if inner else ""
    return (
        f"<t:ItemAttachment><t:Name>{subject}</t:Name><t:Message><t:Subject>{subject}</t:Subject>{inside}{more}"
        "</t:Message></t:ItemAttachment>"
    )


def draft(ews: Ews, attachments: str) -> str:
    """Make a draft with attachments; returns its id."""
    made = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>Outer</t:Subject>'
        f"<t:Attachments>{attachments}</t:Attachments></t:Message></m:Items></m:CreateItem>"
    )
    return item_ids(made)[0][0]


def ids_of(ews: Ews, item: str) -> list[str]:
    """Return the ids of a draft's attachments."""
    shown = ews.call(
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        '<t:FieldURI FieldURI="item:Attachments"/></t:AdditionalProperties></m:ItemShape>'
        f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    return [str(one.get("Id")) for one in shown.iter(T + "AttachmentId")]


def get(attachment: str, shape: str = "") -> str:
    """Return a GetAttachment request."""
    asked = f"<m:AttachmentShape>{shape}</m:AttachmentShape>" if shape else ""
    ids = f'<m:AttachmentIds><t:AttachmentId Id="{attachment}"/></m:AttachmentIds>'
    return f"<m:GetAttachment>{asked}{ids}</m:GetAttachment>"


def test_an_attached_mail_keeps_properties_that_no_header_says(ews: Ews) -> None:
    """Categories, a named property, a reminder, importance."""
    more = (
        "<t:Categories><t:String>Zone 4</t:String></t:Categories><t:Importance>High</t:Importance>"
        "<t:ReminderIsSet>true</t:ReminderIsSet><t:ReminderMinutesBeforeStart>5</t:ReminderMinutesBeforeStart>"
    )
    (attachment,) = ids_of(ews, draft(ews, attached("Inner", more=more)))

    answer = ews.call(get(attachment))

    assert texts(answer, "String") == ["Zone 4"]
    assert texts(answer, "Importance") == ["High"]
    assert texts(answer, "ReminderMinutesBeforeStart") == ["5"]
    assert texts(answer, "IsRead") == ["true"]
    assert [one.get("Id") for one in answer.iter(T + "ItemId")] == []


def test_a_mail_in_a_mail_in_a_mail_opens_by_ids_of_its_own(ews: Ews) -> None:
    """Three levels, and a file in the innermost."""
    file = "<t:FileAttachment><t:Name>a.txt</t:Name><t:Content>QQ==</t:Content></t:FileAttachment>"
    item = draft(ews, attached("One", attached("Two", attached("Three", file))))

    (at,) = ids_of(ews, item)
    for subject in ("One", "Two", "Three"):
        answer = ews.call(get(at))
        assert texts(answer, "Subject") == [subject]
        (_, at) = [str(one.get("Id")) for one in answer.iter(T + "AttachmentId")]
    assert texts(ews.call(get(at)), "Content") == ["QQ=="]
    refused = f'<m:DeleteAttachment><m:AttachmentIds><t:AttachmentId Id="{at}"/></m:AttachmentIds></m:DeleteAttachment>'
    assert ews.codes(refused) == ["ErrorInvalidAttachmentId"]
    assert texts(ews.call(get(at)), "Content") == ["QQ=="]


def test_a_sent_mail_still_holds_the_mails_inside_it(ews: Ews) -> None:
    """Also as MIME: a part of type message/rfc822, byte for byte."""
    inner = b"Subject: Inner\r\n\r\n--_mix_\r\nBody.\r\n"
    content = f"<t:MimeContent>{b64encode(inner).decode()}</t:MimeContent>"
    item = draft(
        ews,
        "<t:ItemAttachment><t:Name>m</t:Name><t:Message>" + content + "</t:Message></t:ItemAttachment>",
    )
    shown = ews.call(
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>"
        f'</m:ItemShape><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    whole = b64decode(texts(shown, "MimeContent")[0])
    assert b"Content-Type: message/rfc822" in whole

    delivered = ews.store.deliver(ADDRESS, whole)
    (attachment,) = ids_of(ews, delivered.item_id)
    answer = ews.call(get(attachment, "<t:IncludeMimeContent>true</t:IncludeMimeContent>"))
    assert b64decode(texts(answer, "MimeContent")[0]) == inner


def test_a_mail_attached_to_itself_does_not_end_its_own_parts(ews: Ews) -> None:
    """The boundaries of the outer mail are others than those within."""
    item = draft(ews, attached("Inner"))
    mime_of = (
        "<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:IncludeMimeContent>true</t:IncludeMimeContent>"
        f'</m:ItemShape><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:GetItem>'
    )
    before = texts(ews.call(mime_of), "MimeContent")[0]
    ews.call(
        f'<m:CreateAttachment><m:ParentItemId Id="{item}"/><m:Attachments><t:ItemAttachment><t:Name>self</t:Name>'
        f"<t:Message><t:MimeContent>{before}</t:MimeContent></t:Message></t:ItemAttachment></m:Attachments>"
        "</m:CreateAttachment>"
    )
    after = ews.store.deliver(ADDRESS, b64decode(texts(ews.call(mime_of), "MimeContent")[0]))

    first, second = ids_of(ews, after.item_id)

    assert texts(ews.call(get(first)), "Subject") == ["Inner"]
    again = ews.call(get(second, "<t:IncludeMimeContent>true</t:IncludeMimeContent>"))
    assert texts(again, "MimeContent") == [before]


def test_a_shape_says_in_which_form_the_body_of_an_attached_mail_comes(ews: Ews) -> None:
    """HTML as text, which ends its line; and a property that is no part of the whole."""
    body = '<t:Body BodyType="HTML">&lt;p&gt;Bay 3&lt;/p&gt;</t:Body>'
    item = draft(
        ews,
        f"<t:ItemAttachment><t:Name>m</t:Name><t:Message><t:Subject>s</t:Subject>{body}</t:Message></t:ItemAttachment>",
    )
    (attachment,) = ids_of(ews, item)

    assert texts(ews.call(get(attachment)), "Body") == ["<p>Bay 3</p>"]
    text = ews.call(
        get(
            attachment,
            '<t:BodyType>Text</t:BodyType><t:AdditionalProperties><t:FieldURI FieldURI="item:TextBody"/>'
            "</t:AdditionalProperties>",
        )
    )
    assert texts(text, "Body") == ["Bay 3\r\n"]
    assert texts(text, "TextBody") == ["Bay 3\r\n"]
    folder = '<t:AdditionalProperties><t:FieldURI FieldURI="folder:DisplayName"/></t:AdditionalProperties>'
    assert ews.codes(get(attachment, folder)) == ["ErrorInvalidPropertyRequest"]


@pytest.mark.parametrize("path", [(9,), (1, 1), (1, 9), (2, 1), tuple([1] * 16)])
def test_a_path_to_nothing_opens_nothing(ews: Ews, path: tuple[int, ...]) -> None:
    """Neither a number that is none, nor one inside a file."""
    file = "<t:FileAttachment><t:Name>a.txt</t:Name><t:Content>QQ==</t:Content></t:FileAttachment>"
    item = draft(ews, attached("One") + file)
    entry = parse_id(item)
    assert entry.item is not None

    forged = IdMint(entry.mailbox).attachment_id(entry.folder, entry.item, *path)

    assert ews.codes(get(forged)) == ["ErrorInvalidAttachmentId"]


@pytest.mark.parametrize("end", [b"\x02\x12\x00\x00\x00\x01", b"\x11" + b"\x12\x00\x00\x00\x01" * 17, b"\x01", b"\x00"])
def test_an_attachment_id_with_a_wrong_end_is_malformed(ews: Ews, end: bytes) -> None:
    """A count that is not the number of parts, or beyond the deepest."""
    item = b64decode(ews.store.deliver(ADDRESS, a_mail()).item_id)

    assert ews.codes(get(b64encode(item + end).decode())) == ["ErrorInvalidIdMalformed"]
