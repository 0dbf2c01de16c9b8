# ruff: noqa: E501 - requests stand here as they go over the wire
"""Contacts, distribution lists, tasks and posts: kept, found, changed."""

from __future__ import annotations

import pytest

from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, M, T, item_ids, texts
from tests.unit.sandbox.ews.test_calendar import create, get, the_id

CONTACT = (
    "<t:GivenName>Anna</t:GivenName><t:CompanyName>Example</t:CompanyName>"
    '<t:EmailAddresses><t:Entry Key="EmailAddress1">anna@example.net</t:Entry><t:Entry Key="EmailAddress2">a@example.net</t:Entry></t:EmailAddresses>'
    '<t:PhysicalAddresses><t:Entry Key="Home"><t:Street>Elm St 1</t:Street><t:City>Ghent</t:City></t:Entry></t:PhysicalAddresses>'
    '<t:PhoneNumbers><t:Entry Key="HomePhone">123</t:Entry></t:PhoneNumbers><t:Surname>Smith</t:Surname>'
)


def update(identifier: str, *updates: str) -> str:
    """Return an UpdateItem request."""
    return (
        f'<m:UpdateItem ConflictResolution="AutoResolve"><m:ItemChanges><t:ItemChange>{identifier}<t:Updates>{"".join(updates)}</t:Updates>'
        "</t:ItemChange></m:ItemChanges></m:UpdateItem>"
    )


def setting(kind: str, uri: str, element: str) -> str:
    """Return a SetItemField."""
    return f'<t:SetItemField><t:FieldURI FieldURI="{uri}"/><t:{kind}>{element}</t:{kind}></t:SetItemField>'


def indexed(uri: str, index: str) -> str:
    """Return an IndexedFieldURI."""
    return f'<t:IndexedFieldURI FieldURI="{uri}" FieldIndex="{index}"/>'


def find(folder: str, shape: str, more: str = "") -> str:
    """Return a FindItem request."""
    return f'<m:FindItem Traversal="Shallow"><m:ItemShape>{shape}</m:ItemShape>{more}<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/></m:ParentFolderIds></m:FindItem>'


def test_a_contact_comes_back_as_it_was_made(ews: Ews) -> None:
    """With the names that its others make."""
    answer = get(ews, the_id(ews.call(create(CONTACT, kind="Contact"))))

    assert texts(answer, "ItemClass") == ["IPM.Contact"]
    assert (texts(answer, "DisplayName"), texts(answer, "FileAs"), texts(answer, "Subject")) == (
        ["Anna Smith"],
        ["Smith, Anna"],
        ["Anna Smith"],
    )
    assert (texts(answer, "FirstName"), texts(answer, "LastName"), texts(answer, "City")) == (
        ["Anna"],
        ["Smith"],
        ["Ghent"],
    )
    assert [(node.get("Key"), node.text) for node in next(answer.iter(T + "EmailAddresses"))] == [
        ("EmailAddress1", "anna@example.net"),
        ("EmailAddress2", "a@example.net"),
    ]


def test_entries_of_a_contact_are_properties_of_their_own(ews: Ews) -> None:
    """They are asked for, set, deleted, sorted and searched by one at a time."""
    identifier = the_id(ews.call(create(CONTACT, kind="Contact")))
    phone = '<t:Contact><t:PhoneNumbers><t:Entry Key="HomePhone">456</t:Entry></t:PhoneNumbers></t:Contact>'
    ews.call(
        update(
            identifier,
            f"<t:SetItemField>{indexed('contacts:PhoneNumber', 'HomePhone')}{phone}</t:SetItemField>",
            f"<t:DeleteItemField>{indexed('contacts:EmailAddress', 'EmailAddress1')}</t:DeleteItemField>",
            f"<t:DeleteItemField>{indexed('contacts:PhysicalAddress:City', 'Home')}</t:DeleteItemField>",
        )
    )
    shape = f"<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>{indexed('contacts:PhoneNumber', 'HomePhone')}{indexed('contacts:PhoneNumber', 'CarPhone')}{indexed('contacts:EmailAddress', 'EmailAddress2')}</t:AdditionalProperties>"
    where = f'<m:Restriction><t:IsEqualTo>{indexed("contacts:PhoneNumber", "HomePhone")}<t:FieldURIOrConstant><t:Constant Value="456"/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>'

    found = ews.call(find("contacts", shape, where))
    whole = get(ews, identifier)

    assert [str(node.tag).removeprefix(T) for node in next(found.iter(T + "Contact"))] == [
        "ItemId",
        "EmailAddresses",
        "PhoneNumbers",
    ]
    assert [node.text for node in found.iter(T + "Entry")] == ["a@example.net", "456"]
    assert (texts(whole, "City"), texts(whole, "Street")) == ([], ["Elm St 1"])


def test_a_name_that_is_too_long_is_refused(ews: Ews) -> None:
    """As Exchange refuses it for given, middle and last names alone."""
    identifier = the_id(ews.call(create(CONTACT, kind="Contact")))

    assert ews.codes(
        update(identifier, setting("Contact", "contacts:Surname", f"<t:Surname>{'x' * 256}</t:Surname>"))
    ) == ["ErrorPropertyUpdate"]
    assert texts(get(ews, identifier), "Surname") == ["Smith"]


def test_members_of_a_list_are_added_and_the_list_expands(ews: Ews) -> None:
    """Its members come back with the keys by which Exchange tells them apart."""
    member = "<t:Member><t:Mailbox><t:Name>{0}</t:Name><t:EmailAddress>{0}@example.net</t:EmailAddress></t:Mailbox></t:Member>"
    made = ews.call(
        create(
            f"<t:DisplayName>Crew</t:DisplayName><t:Members>{member.format('a')}</t:Members>", kind="DistributionList"
        )
    )
    more = f'<t:AppendToItemField><t:FieldURI FieldURI="distributionlist:Members"/><t:DistributionList><t:Members>{member.format("b")}</t:Members></t:DistributionList></t:AppendToItemField>'

    ews.call(update(the_id(made), more))
    whole = get(ews, the_id(made))
    expanded = ews.call(f"<m:ExpandDL><m:Mailbox>{the_id(made)}</m:Mailbox></m:ExpandDL>")

    assert [node.findtext(f"{T}Mailbox/{T}EmailAddress") for node in whole.iter(T + "Member")] == [
        "a@example.net",
        "b@example.net",
    ]
    assert len({node.get("Key") for node in whole.iter(T + "Member")}) == 2
    assert texts(expanded, "EmailAddress") == ["a@example.net", "b@example.net"]


def test_a_task_that_is_done_says_so_throughout(ews: Ews) -> None:
    """Status, percentage and date of completion follow each other, either way."""
    identifier = the_id(
        ews.call(
            create(
                "<t:Subject>x</t:Subject><t:PercentComplete>12.5</t:PercentComplete><t:Status>InProgress</t:Status>",
                kind="Task",
            )
        )
    )
    before = get(ews, identifier)

    ews.call(update(identifier, setting("Task", "task:PercentComplete", "<t:PercentComplete>100</t:PercentComplete>")))
    done = get(ews, identifier)
    ews.call(update(identifier, setting("Task", "task:Status", "<t:Status>NotStarted</t:Status>")))
    again = get(ews, identifier)

    assert (texts(before, "PercentComplete"), texts(before, "IsComplete"), texts(before, "CompleteDate")) == (
        ["12.5"],
        ["false"],
        [],
    )
    assert (texts(done, "Status"), texts(done, "IsComplete"), len(texts(done, "CompleteDate"))) == (
        ["Completed"],
        ["true"],
        1,
    )
    assert (texts(again, "PercentComplete"), texts(again, "IsComplete"), texts(again, "CompleteDate")) == (
        ["0"],
        ["false"],
        [],
    )
    assert texts(again, "ChangeCount") == ["3"]


@pytest.mark.parametrize(
    ("kind", "inner", "code"),
    [
        ("Task", "<t:PercentComplete>101</t:PercentComplete>", "ErrorInvalidPercentCompleteValue"),
        ("Task", "<t:PercentComplete>NaN</t:PercentComplete>", "ErrorInvalidPercentCompleteValue"),
        ("Task", "<t:IsComplete>true</t:IsComplete>", "ErrorInvalidPropertySet"),
        ("Contact", '<t:PhoneNumbers><t:Entry Key="Msn">1</t:Entry></t:PhoneNumbers>', "ErrorInvalidPropertySet"),
        (
            "DistributionList",
            "<t:Members><t:Member><t:Mailbox><t:Name>x</t:Name></t:Mailbox></t:Member></t:Members>",
            "ErrorInvalidRecipients",
        ),
    ],
)
def test_what_makes_no_sense_is_refused(ews: Ews, kind: str, inner: str, code: str) -> None:
    """And nothing of it is kept."""
    assert ews.codes(create(inner, kind=kind)) == [code]
    assert sum(ews.store.mails(ADDRESS, folder, offset=0, limit=1).total for folder in ("tasks", "contacts")) == 0


def test_a_post_is_kept_where_it_was_put(ews: Ews) -> None:
    """Contacts and tasks belong into folders of theirs."""
    into = '<m:SavedItemFolderId><t:DistinguishedFolderId Id="{}"/></m:SavedItemFolderId><m:Items>'
    post = create("<t:Subject>Read this</t:Subject>", kind="PostItem")

    made = ews.call(post.replace("<m:Items>", into.format("inbox")))

    assert [node.tag for node in next(get(ews, the_id(made)).iter(M + "Items"))] == [T + "PostItem"]
    assert ews.codes(create(CONTACT, kind="Contact").replace("<m:Items>", into.format("inbox"))) == [
        "ErrorCannotCreateContactInNonContactFolder"
    ]
    assert ews.codes(create("", kind="Task").replace("<m:Items>", into.format("inbox"))) == [
        "ErrorCannotCreateTaskInNonTaskFolder"
    ]


def test_default_shapes_show_what_each_kind_has(ews: Ews) -> None:
    """As documented, found or fetched."""
    contact = item_ids(ews.call(create(CONTACT, kind="Contact")))[0][0]
    ews.call(create("<t:Subject>x</t:Subject><t:DueDate>2026-11-24T00:00:00Z</t:DueDate>", kind="Task"))
    found = ews.call(find("tasks", "<t:BaseShape>Default</t:BaseShape>"))

    shown = [str(node.tag).removeprefix(T) for node in next(found.iter(T + "Task"))]
    fetched = {
        str(node.tag).removeprefix(T)
        for node in next(get(ews, f'<t:ItemId Id="{contact}"/>', "Default").iter(T + "Contact"))
    }

    assert shown == ["ItemId", "Subject", "HasAttachments", "DueDate", "PercentComplete", "Status"]
    assert fetched >= {"FileAs", "CompleteName", "CompanyName", "EmailAddresses", "PhysicalAddresses", "PhoneNumbers"}
