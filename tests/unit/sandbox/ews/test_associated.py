"""Associated items: beside a folder's items, for who asks for them alone."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, M, T, a_mail, item_ids, texts
from tests.unit.sandbox.ews.test_client_operations import INBOX, configuration, create_folder, folder_id, folder_to

if TYPE_CHECKING:
    from lxml import etree

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


def _said(answer: etree._Element, name: str) -> list[str]:
    return [one.text or "" for one in answer.iter(M + name)]


def _inbox_id(ews: Ews) -> str:
    return folder_id(
        ews,
        "<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds>"
        f"{INBOX}</m:FolderIds></m:GetFolder>",
    ).replace("t:FolderId", "t:ParentFolderId")


def _sync(state: str = "", scope: str = "NormalAndAssociatedItems", most: int = 100) -> str:
    return (
        "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
        f"<m:SyncFolderId>{INBOX}</m:SyncFolderId>{f'<m:SyncState>{state}</m:SyncState>' if state else ''}"
        f"<m:MaxChangesReturned>{most}</m:MaxChangesReturned><m:SyncScope>{scope}</m:SyncScope></m:SyncFolderItems>"
    )


def _told(ews: Ews, state: str = "", scope: str = "NormalAndAssociatedItems") -> tuple[list[tuple[str, str]], str]:
    """What synchronisation tells, one change an answer, and the state after it."""
    found: list[tuple[str, str]] = []
    while True:
        answer = ews.call(_sync(state, scope, 1))
        (state,) = _said(answer, "SyncState")
        (told,) = answer.iter(M + "Changes")
        found += [(str(one.tag).removeprefix(T), str(next(one.iter(T + "ItemId")).get("Id"))) for one in told]
        if _said(answer, "IncludesLastItemInRange") == ["true"]:
            return found, state


def test_who_wants_associated_items_is_told_of_them_too(ews: Ews) -> None:
    before = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    _, empty = _told(ews)
    (first,) = (one[0] for one in item_ids(ews.call(_create("Settings"))))
    mail = ews.store.deliver(ADDRESS, a_mail(2)).item_id
    (second,) = (one[0] for one in item_ids(ews.call(_create("More"))))

    whole, _ = _told(ews)
    new, state = _told(ews, empty)
    ews.call(f'<m:DeleteItem DeleteType="HardDelete">{_listed(first)}</m:DeleteItem>')
    gone, _ = _told(ews, state)
    normal, _ = _told(ews, scope="NormalItems")

    assert whole == [("Create", one) for one in (before, first, mail, second)]
    assert new == [("Create", one) for one in (first, mail, second)]
    assert gone == [("Delete", first)]
    assert normal == [("Create", one) for one in (before, mail)]


def test_what_comes_and_goes_between_two_pages_is_told_as_gone_alone(ews: Ews) -> None:
    kept, passing = (ews.store.deliver(ADDRESS, a_mail(number)).item_id for number in (1, 2))
    first = ews.call(_sync(scope="NormalItems", most=1))
    ews.call(f'<m:DeleteItem DeleteType="HardDelete">{_listed(passing)}</m:DeleteItem>')

    rest, state = _told(ews, _said(first, "SyncState")[0], "NormalItems")
    later, _ = _told(ews, state, "NormalItems")

    assert [str(one.get("Id")) for one in first.iter(T + "ItemId")] == [kept]
    assert (rest, later) == ([], [("Delete", passing)])


def test_a_state_is_of_one_scope(ews: Ews) -> None:
    _, state = _told(ews)

    assert ews.codes(_sync(state, "NormalItems")) == ["ErrorInvalidSyncStateData"]


@pytest.mark.parametrize("asked", [' IsAssociated="true"', ""])
def test_an_associated_item_is_exported_and_uploaded_as_one(ews: Ews, asked: str) -> None:
    (made,) = (one[0] for one in item_ids(ews.call(_create("Settings"))))
    (data,) = _said(ews.call(f"<m:ExportItems>{_listed(made)}</m:ExportItems>"), "Data")

    upload = (
        f'<m:UploadItems><m:Items><t:Item CreateAction="CreateNew"{asked}>{_inbox_id(ews)}'
        f"<t:Data>{data}</t:Data></t:Item></m:Items></m:UploadItems>"
    )

    assert ews.codes(upload) == ["NoError"]
    assert len(item_ids(ews.call(_find()))) == 2
    assert item_ids(ews.call(_find(traversal="Shallow"))) == []


def test_a_mail_is_uploaded_as_an_associated_item_where_that_is_asked_for(ews: Ews) -> None:
    mail = ews.store.deliver(ADDRESS, a_mail(1)).item_id
    (data,) = _said(ews.call(f"<m:ExportItems>{_listed(mail)}</m:ExportItems>"), "Data")

    upload = (
        '<m:UploadItems><m:Items><t:Item CreateAction="CreateNew" IsAssociated="true">'
        f"{_inbox_id(ews)}<t:Data>{data}</t:Data></t:Item></m:Items></m:UploadItems>"
    )

    assert ews.codes(upload) == ["NoError"]
    assert len(item_ids(ews.call(_find()))) == 1
    assert _inbox(ews, "TotalCount") == ["1"]
