"""What recordings and foreign clients showed of Exchange."""

from __future__ import annotations

import base64
from datetime import UTC, datetime

from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, T, a_mail, item_ids, texts

_NUMBER = '<t:ExtendedFieldURI PropertyTag="0x0E23" PropertyType="Integer"/>'
_FIND = (
    '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>{}</t:BaseShape>{}</m:ItemShape>{}<m:ParentFolderIds>'
    '<t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds></m:FindItem>'
)


def test_items_are_numbered_and_sorted_by_their_number(ews: Ews) -> None:
    for number in range(3):
        ews.store.deliver(ADDRESS, a_mail(number), received_at=datetime(2026, 11, 24, 8, 30 - number, tzinfo=UTC))
    paths = f"<t:AdditionalProperties>{_NUMBER}</t:AdditionalProperties>"
    order = f'<m:SortOrder><t:FieldOrder Order="Ascending">{_NUMBER}</t:FieldOrder></m:SortOrder>'
    numbers = [int(text) for text in texts(ews.call(_FIND.format("IdOnly", paths, order)), "Value")]
    assert len(set(numbers)) == 3
    assert numbers == sorted(numbers)


def test_a_mail_begins_a_conversation_and_names_who_changed_it(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, a_mail(), received_at=datetime(2026, 11, 24, 8, tzinfo=UTC))
    found = ews.call(_FIND.format("AllProperties", "", ""))
    index = base64.b64decode(texts(found, "ConversationIndex")[0])
    assert (len(index), index[0]) == (22, 1)
    assert texts(found, "LastModifiedName")


def test_a_new_item_names_the_attachments_that_it_was_made_with(ews: Ews) -> None:
    answer = ews.call(
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Attachments><t:FileAttachment>'
        "<t:Name>a</t:Name><t:Content>QUJD</t:Content></t:FileAttachment></t:Attachments></t:Message></m:Items>"
        "</m:CreateItem>"
    )
    made = [str(node.get("Id")) for node in answer.iter(T + "AttachmentId")]
    assert len(item_ids(answer)) == len(made) == 1
    got = ews.call(
        f'<m:GetAttachment><m:AttachmentIds><t:AttachmentId Id="{made[0]}"/></m:AttachmentIds></m:GetAttachment>'
    )
    assert texts(got, "Content") == ["QUJD"]
