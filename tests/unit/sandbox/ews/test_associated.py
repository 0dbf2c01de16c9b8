"""Associated items: beside a folder's items, for who asks for them alone."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, M, T, a_mail, item_ids, texts
from tests.unit.sandbox.ews.test_client_operations import INBOX, configuration, create_folder, folder_id, folder_to

_ALL = "<m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"


def _find(folder: str = INBOX, traversal: str = "Associated") -> str:
    return (
        f'<m:FindItem Traversal="{traversal}"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>'
        f"<m:ParentFolderIds>{folder}</m:ParentFolderIds></m:FindItem>"
    )


def _create(subject: str, *, disposition: str = "SaveOnly", people: str = "") -> str:
    folder = f"<m:SavedItemFolderId>{INBOX}</m:SavedItemFolderId>"
    return (
        f'<m:CreateItem MessageDisposition="{disposition}">{folder if disposition == "SaveOnly" else ""}<m:Items>'
        f"<t:Message><t:Subject>{subject}</t:Subject><t:IsAssociated>true</t:IsAssociated>{people}</t:Message>"
        "</m:Items></m:CreateItem>"
    )


def _listed(item: str) -> str:
    return f'<m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds>'


def _by_id(folder: str) -> str:
    return f'<t:FolderId Id="{folder}"/>'


def _inbox(ews: Ews, *wanted: str) -> list[str]:
    answer = ews.call(
        "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>"
        f"{INBOX}</m:FolderIds></m:GetFolder>"
    )
    return [texts(answer, one)[0] for one in wanted]


def test_an_associated_item_is_found_by_its_traversal_alone_and_counted_nowhere(ews: Ews) -> None:
    ews.store.deliver(ADDRESS, a_mail(1))
    (made,) = item_ids(ews.call(_create("Settings")))

    assert item_ids(ews.call(_find())) == [made]
    assert len(item_ids(ews.call(_find(traversal="Shallow")))) == 1
    assert made not in item_ids(ews.call(_find(traversal="Shallow")))
    assert _inbox(ews, "TotalCount") == ["1"]
    conversations = ews.call(
        '<m:FindConversation><m:IndexedPageItemView MaxEntriesReturned="9" Offset="0" BasePoint="Beginning"/>'
        f"<m:ParentFolderId>{INBOX}</m:ParentFolderId></m:FindConversation>"
    )
    assert "Settings" not in texts(conversations, "ConversationTopic")
    hierarchy = ews.call(
        "<m:SyncFolderHierarchy><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape></m:SyncFolderHierarchy>"
    )
    assert not [name for name in texts(hierarchy, "DisplayName") if name.startswith("associated")]


def test_an_associated_item_says_that_it_is_one_and_whose_folder_it_is_beside(ews: Ews) -> None:
    (made,) = item_ids(ews.call(_create("Settings")))

    answer = ews.call(f"<m:GetItem>{_ALL}{_listed(made[0])}</m:GetItem>")

    assert texts(answer, "IsAssociated") == ["true"]
    parent = next(answer.iter(T + "ParentFolderId")).get("Id")
    assert _by_id(str(parent)) == folder_id(
        ews,
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
        f"{INBOX}</m:FolderIds></m:GetFolder>",
    )


def test_an_associated_item_that_is_deleted_is_gone(ews: Ews) -> None:
    (made,) = item_ids(ews.call(_create("Settings")))

    assert ews.codes(f'<m:DeleteItem DeleteType="MoveToDeletedItems">{_listed(made[0])}</m:DeleteItem>') == ["NoError"]

    assert item_ids(ews.call(_find())) == []
    for traversal in ("Associated", "Shallow"):
        assert item_ids(ews.call(_find('<t:DistinguishedFolderId Id="deleteditems"/>', traversal))) == []


@pytest.mark.parametrize(("operation", "left"), [("MoveItem", 0), ("CopyItem", 1)])
def test_an_associated_item_stays_one_wherever_it_goes(ews: Ews, operation: str, left: int) -> None:
    (made,) = item_ids(ews.call(_create("Settings")))
    drafts = '<t:DistinguishedFolderId Id="drafts"/>'

    ews.call(f"<m:{operation}><m:ToFolderId>{drafts}</m:ToFolderId>{_listed(made[0])}</m:{operation}>")

    assert len(item_ids(ews.call(_find(drafts)))) == 1
    assert item_ids(ews.call(_find(drafts, "Shallow"))) == []
    assert len(item_ids(ews.call(_find()))) == left


def test_the_associated_items_of_a_folder_go_where_it_goes(ews: Ews) -> None:
    folder = folder_id(ews, create_folder("Clients"))
    request = configuration("Create").replace(INBOX, folder)
    assert ews.codes(request) == ["NoError"]

    copied = folder_id(ews, folder_to("CopyFolder", '<t:DistinguishedFolderId Id="drafts"/>', folder))
    assert len(item_ids(ews.call(_find(copied)))) == 1
    assert ews.codes(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{folder}</m:FolderIds></m:DeleteFolder>'
    ) == ["NoError"]
    assert len(item_ids(ews.call(_find(copied)))) == 1


def test_a_user_configuration_is_an_item_that_opens(ews: Ews) -> None:
    ews.call(configuration("Create", "Views", "<t:XmlData>QUI=</t:XmlData>"))
    wanted = "<m:UserConfigurationProperties>Id</m:UserConfigurationProperties>"
    item = next(ews.call(configuration("Get", "views", wanted)).iter(T + "ItemId")).get("Id")

    assert [found for found, _ in item_ids(ews.call(_find()))] == [item]
    shown = ews.call(f"<m:GetItem>{_ALL}{_listed(str(item))}</m:GetItem>")
    assert texts(shown, "ItemClass") == ["IPM.Configuration.Views"]


def test_what_is_there_does_not_become_an_associated_item(ews: Ews) -> None:
    mail = ews.store.deliver(ADDRESS, a_mail(1))
    change = (
        '<t:SetItemField><t:FieldURI FieldURI="item:IsAssociated"/><t:Message><t:IsAssociated>true</t:IsAssociated>'
        "</t:Message></t:SetItemField>"
    )

    codes = ews.codes(
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{mail.item_id}"/><t:Updates>{change}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>'
    )

    assert codes == ["ErrorInvalidPropertySet"]
    flags = '<t:ExtendedFieldURI PropertyTag="0xe07" PropertyType="Integer"/>'
    ews.call(
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{mail.item_id}"/><t:Updates><t:SetItemField>{flags}<t:Message><t:ExtendedProperty>{flags}'
        "<t:Value>65</t:Value></t:ExtendedProperty></t:Message></t:SetItemField></t:Updates></t:ItemChange>"
        "</m:ItemChanges></m:UpdateItem>"
    )
    assert len(item_ids(ews.call(_find(traversal="Shallow")))) == 1
    shown = ews.call(f"<m:GetItem>{_ALL}{_listed(mail.item_id)}</m:GetItem>")
    assert texts(shown, "IsAssociated") == ["false"]


def test_an_associated_item_is_not_sent(ews: Ews) -> None:
    people = "<t:ToRecipients><t:Mailbox><t:EmailAddress>a@example.net</t:EmailAddress></t:Mailbox></t:ToRecipients>"

    assert ews.codes(_create("Settings", disposition="SendOnly", people=people)) == ["ErrorInvalidOperation"]


def test_subscribers_hear_nothing_of_associated_items(ews: Ews) -> None:
    subscribed = ews.call(
        '<m:Subscribe><m:PullSubscriptionRequest SubscribeToAllFolders="true"><t:EventTypes>'
        "<t:EventType>CreatedEvent</t:EventType><t:EventType>DeletedEvent</t:EventType></t:EventTypes>"
        "<t:Timeout>10</t:Timeout></m:PullSubscriptionRequest></m:Subscribe>"
    )
    number, mark = (str(next(subscribed.iter(M + name)).text) for name in ("SubscriptionId", "Watermark"))
    (made,) = item_ids(ews.call(_create("Settings")))
    ews.call(f'<m:DeleteItem DeleteType="HardDelete">{_listed(made[0])}</m:DeleteItem>')

    answer = ews.call(
        f"<m:GetEvents><m:SubscriptionId>{number}</m:SubscriptionId><m:Watermark>{mark}</m:Watermark></m:GetEvents>"
    )

    assert not list(answer.iter(T + "CreatedEvent"))
    assert not list(answer.iter(T + "DeletedEvent"))
