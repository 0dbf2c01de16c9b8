# ruff: noqa: E501, ISC004 - requests stand here as they go over the wire
"""Single operations, as bytes on the wire: what is answered, and what is refused with which code."""

from __future__ import annotations

from base64 import b64decode, b64encode
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime
from typing import cast

import pytest
import requests
from lxml import etree

from bridge.sandbox.ews.hooks import ItemError
from bridge.sandbox.ews.operations import OPERATIONS
from bridge.sandbox.store.properties import tag_key
from tests.unit.sandbox.ews.conftest import ADDRESS, OTHER, OUT_OF_SCOPE, Ews, M, T, a_mail, item_ids, texts

IDS_ONLY = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
STAMP = '<t:ExtendedFieldURI PropertySetId="6d6f6e74-0000-4000-8000-000000000001" PropertyName="RequestId" PropertyType="String"/>'
SEARCH_KEY = '<t:ExtendedFieldURI PropertyTag="0x300B" PropertyType="Binary"/>'
DELIVERY_TIME = '<t:ExtendedFieldURI PropertyTag="0x0E06" PropertyType="SystemTime"/>'


def find(
    folder: str = "inbox", *, shape: str = IDS_ONLY, view: str = "", restriction: str = "", order: str = ""
) -> str:
    """Return a FindItem request."""
    where = f"<m:Restriction>{restriction}</m:Restriction>" if restriction else ""
    sort = f"<m:SortOrder>{order}</m:SortOrder>" if order else ""
    return (
        f'<m:FindItem Traversal="Shallow">{shape}{view}{where}{sort}<m:ParentFolderIds><t:DistinguishedFolderId Id="{folder}"/>'
        "</m:ParentFolderIds></m:FindItem>"
    )


def page(limit: int, offset: int = 0, base: str = "Beginning") -> str:
    """Return an IndexedPageItemView."""
    return f'<m:IndexedPageItemView MaxEntriesReturned="{limit}" Offset="{offset}" BasePoint="{base}"/>'


def by(uri: str, direction: str = "Ascending") -> str:
    """Return a FieldOrder."""
    return f'<t:FieldOrder Order="{direction}"><t:FieldURI FieldURI="{uri}"/></t:FieldOrder>'


def equal(path: str, value: str, operation: str = "IsEqualTo") -> str:
    """Return a comparison with a constant."""
    return f'<t:{operation}>{path}<t:FieldURIOrConstant><t:Constant Value="{value}"/></t:FieldURIOrConstant></t:{operation}>'


def get(ids: list[str], shape: str) -> str:
    """Return a GetItem request."""
    listed = "".join(f'<t:ItemId Id="{one}"/>' for one in ids)
    return f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{shape}</m:ItemShape><m:ItemIds>{listed}</m:ItemIds></m:GetItem>"


def wanting(*paths: str) -> str:
    """Return an AdditionalProperties element."""
    shown = "".join(path if path.startswith("<") else f'<t:FieldURI FieldURI="{path}"/>' for path in paths)
    return f"<t:AdditionalProperties>{shown}</t:AdditionalProperties>"


def save(message: str, *, disposition: str = "SaveOnly", folder: str = "") -> str:
    """Return a CreateItem request for one message."""
    saved = f'<m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId>' if folder else ""
    return f'<m:CreateItem MessageDisposition="{disposition}">{saved}<m:Items><t:Message>{message}</t:Message></m:Items></m:CreateItem>'


def with_mime(mime: bytes) -> str:
    """Return a MimeContent element."""
    return f'<t:MimeContent CharacterSet="UTF-8">{b64encode(mime).decode()}</t:MimeContent>'


def people(element: str, *addresses: str) -> str:
    """Return a list of recipients."""
    listed = "".join(f"<t:Mailbox><t:EmailAddress>{address}</t:EmailAddress></t:Mailbox>" for address in addresses)
    return f"<t:{element}>{listed}</t:{element}>"


def stamped(value: str) -> str:
    """Return the named property with a value."""
    return f"<t:ExtendedProperty>{STAMP}<t:Value>{value}</t:Value></t:ExtendedProperty>"


def transfer(operation: str, item: str, folder: str) -> str:
    """Return a MoveItem or CopyItem request."""
    return (
        f'<m:{operation}><m:ToFolderId><t:DistinguishedFolderId Id="{folder}"/></m:ToFolderId><m:ItemIds><t:ItemId Id="{item}"/>'
        f"</m:ItemIds></m:{operation}>"
    )


def delete(item: str, kind: str, key: str = "") -> str:
    """Return a DeleteItem request."""
    change = f' ChangeKey="{key}"' if key else ""
    return f'<m:DeleteItem DeleteType="{kind}"><m:ItemIds><t:ItemId Id="{item}"{change}/></m:ItemIds></m:DeleteItem>'


def change(item: str, key: str, update: str, *, conflict: str = "NeverOverwrite", disposition: str = "SaveOnly") -> str:
    """Return an UpdateItem request."""
    given = f' ChangeKey="{key}"' if key else ""
    return (
        f'<m:UpdateItem ConflictResolution="{conflict}" MessageDisposition="{disposition}"><m:ItemChanges><t:ItemChange>'
        f'<t:ItemId Id="{item}"{given}/><t:Updates>{update}</t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>'
    )


def setting(path: str, element: str) -> str:
    """Return a SetItemField."""
    return f"<t:SetItemField>{path}<t:Message>{element}</t:Message></t:SetItemField>"


def send(item: str, key: str, *, saved: str = "true", folder: str = "") -> str:
    """Return a SendItem request."""
    to = f'<m:SavedItemFolderId><t:DistinguishedFolderId Id="{folder}"/></m:SavedItemFolderId>' if folder else ""
    given = f' ChangeKey="{key}"' if key else ""
    return (
        f'<m:SendItem SaveItemToFolder="{saved}"><m:ItemIds><t:ItemId Id="{item}"{given}/></m:ItemIds>{to}</m:SendItem>'
    )


def delivered(ews: Ews, count: int, *, every: timedelta = timedelta(seconds=1)) -> None:
    """Put mails into the inbox, the first the oldest."""
    start = datetime(2026, 11, 24, 8, 0, tzinfo=UTC)
    for number in range(count):
        ews.store.deliver(ADDRESS, a_mail(number), received_at=start + number * every)


# Who may call


def test_nobody_without_credentials_gets_further_than_401(ews: Ews) -> None:
    """A client that begins with a GET learns how to sign in."""
    got = requests.get(ews.url.lower(), timeout=30)
    posted = requests.post(ews.url, data=b"x", timeout=30)

    assert (got.status_code, posted.status_code) == (401, 401)
    assert "NTLM" in got.headers["WWW-Authenticate"]


def impersonating(address: str, kind: str = "PrimarySmtpAddress") -> str:
    """Return the header that an application acts with."""
    return f"<t:ExchangeImpersonation><t:ConnectingSID><t:{kind}>{address}</t:{kind}></t:ConnectingSID></t:ExchangeImpersonation>"


def test_application_must_say_as_whom_it_acts(ews: Ews) -> None:
    """Impersonation and the anchor mailbox are both required of app-only calls."""
    alone = ews.codes(find(), user="app")
    without_anchor = ews.codes(find(), user="app", header=impersonating(ADDRESS))
    complete = ews.codes(find(), user="app", header=impersonating(ADDRESS), anchor=ADDRESS)

    assert alone == ["ErrorInvalidExchangeImpersonationHeaderData"]
    assert without_anchor == ["ErrorInvalidExchangeImpersonationHeaderData"]
    assert complete == ["NoError"]


@pytest.mark.parametrize("kind", ["PrimarySmtpAddress", "SmtpAddress", "PrincipalName"])
def test_mailbox_is_named_in_several_ways(ews: Ews, kind: str) -> None:
    """Each names the same mailbox."""
    assert ews.codes(find(), user="service", header=impersonating(ADDRESS.upper(), kind)) == ["NoError"]


def test_sid_names_a_mailbox(ews: Ews) -> None:
    """As Exchange Server knows accounts."""
    assert ews.codes(find(), user="service", header=impersonating(ews.store.mailbox(OTHER).sid, "SID")) == ["NoError"]


def test_mailbox_out_of_scope_and_unknown_mailbox_are_told_apart(ews: Ews) -> None:
    """Faults, HTTP 500."""
    refused = ews.codes(find(), user="app", header=impersonating(OUT_OF_SCOPE), anchor=OUT_OF_SCOPE)
    unknown = ews.codes(find(), user="app", header=impersonating("nobody@example.org"), anchor="nobody@example.org")

    assert refused == ["ErrorImpersonateUserDenied"]
    assert unknown == ["ErrorNonExistentMailbox"]


def test_user_opens_no_other_mailbox(ews: Ews) -> None:
    """Neither by a folder's mailbox nor by an id out of it."""
    ews.store.deliver(OTHER, a_mail())
    ((foreign, _),) = item_ids(ews.call(find(), user=OTHER))
    request = find().replace(
        'Id="inbox"/>',
        f'Id="inbox"><t:Mailbox><t:EmailAddress>{OTHER}</t:EmailAddress></t:Mailbox></t:DistinguishedFolderId>',
    )

    assert ews.codes(request) == ["ErrorFolderNotFound"]
    assert ews.codes(get([foreign], "")) == ["ErrorItemNotFound"]
    assert ews.codes(delete(foreign, "HardDelete")) == ["ErrorItemNotFound"]


# What is no request


def test_schema_violation_has_the_form_of_a_real_server(ews: Ews) -> None:
    """Fault code, text, detail and place as recorded of Exchange."""
    answer = ews.post(b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/">\n<s:Body>'
                      b'<m:GetFolder xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"/></s:Body></s:Envelope>')  # fmt: skip

    assert answer.status_code == 500
    assert "<faultcode xmlns:a=" in answer.text
    assert ">a:ErrorSchemaValidation</faultcode>" in answer.text
    assert "The request failed schema validation: The element 'GetFolder' in namespace" in answer.text
    assert "<t:LineNumber>2</t:LineNumber>" in answer.text


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 500),
        (b"no xml", 500),
        (b"<a/>", 400),
        (b'<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', 500),
        (b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"/>', 400),
        (b"<a>" * 300 + b"</a>" * 300, 500),
        (b"\xff\xfe\x00\x00", 500),
    ],
)
def test_hostile_bodies_are_refused(ews: Ews, body: bytes, status: int) -> None:
    """Nothing that is no envelope gets further."""
    assert ews.post(body).status_code == status


def test_request_over_the_cap_is_refused(ews: Ews) -> None:
    """By its announced length, before it is read."""
    answer = requests.post(ews.url, data=iter([b"x" * (1 << 20)] * 65), auth=(ADDRESS, "x"), timeout=60)

    assert answer.status_code == 413


def test_unknown_operation_and_version_are_refused(ews: Ews) -> None:
    """With the codes that Exchange has for them."""
    assert ews.codes("<m:GetClientExtension/>") == ["ErrorInvalidRequest"]
    assert ews.codes(find(), header='<t:RequestServerVersion Version="Exchange2031"/>') == ["ErrorInvalidServerVersion"]


# Finding


def test_pages_are_ordered_and_say_whether_they_are_the_last(ews: Ews) -> None:
    """At any offset, from either end."""
    delivered(ews, 25)
    order = by("item:DateTimeReceived")
    shape = f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{wanting('item:Subject')}</m:ItemShape>"

    first = ews.call(find(shape=shape, view=page(10), order=order))
    last = ews.call(find(shape=shape, view=page(10, 20), order=order))
    end = ews.call(find(shape=shape, view=page(3, 0, "End"), order=order))
    beyond = ews.call(find(shape=shape, view=page(10, 100), order=order))

    assert texts(first, "Subject") == [f"Transport {number}" for number in range(10)]
    assert texts(last, "Subject") == [f"Transport {number}" for number in range(20, 25)]
    assert texts(end, "Subject") == ["Transport 22", "Transport 23", "Transport 24"]
    assert texts(beyond, "Subject") == []
    assert _root(first) == {"IndexedPagingOffset": "10", "TotalItemsInView": "25", "IncludesLastItemInRange": "false"}
    assert _root(last)["IncludesLastItemInRange"] == "true"


def _root(answer: etree._Element) -> dict[str, str]:
    folder = answer.find(f".//{M}RootFolder")
    assert folder is not None
    return {str(name): str(value) for name, value in folder.attrib.items()}


def test_no_answer_holds_more_than_exchange_gives(ews: Ews) -> None:
    """A thousand, 250 with a restriction; without paging there is an error instead."""
    with ews.store.writing():
        delivered(ews, 1001)

    assert len(item_ids(ews.call(find(view=page(5000))))) == 1000
    assert (
        len(
            item_ids(
                ews.call(find(view=page(5000), restriction=equal('<t:FieldURI FieldURI="item:Importance"/>', "Normal")))
            )
        )
        == 250
    )
    assert ews.codes(find()) == ["ErrorExceededFindCountLimit"]


@pytest.mark.parametrize(
    ("restriction", "numbers"),
    [
        (equal('<t:FieldURI FieldURI="item:Subject"/>', "Transport 2"), [2]),
        (equal('<t:FieldURI FieldURI="item:Subject"/>', "Transport 2", "IsNotEqualTo"), [0, 1, 3, 4]),
        (equal('<t:FieldURI FieldURI="item:DateTimeReceived"/>', "2026-11-24T08:00:02Z", "IsGreaterThan"), [3, 4]),
        (equal('<t:FieldURI FieldURI="item:DateTimeReceived"/>', "2026-11-24T09:00:02+01:00", "IsGreaterThanOrEqualTo"), [2, 3, 4]),
        (equal(DELIVERY_TIME, "2026-11-24T08:00:01.5Z", "IsLessThan"), [0, 1]),
        (equal('<t:FieldURI FieldURI="message:InternetMessageId"/>', "&lt;3@example.net&gt;"), [3]),
        (equal('<t:FieldURI FieldURI="message:IsRead"/>', "false"), [0, 1, 2, 3, 4]),
        (equal('<t:FieldURI FieldURI="message:IsRead"/>', "true"), []),
        (equal('<t:FieldURI FieldURI="item:ItemClass"/>', "IPM.Note"), [0, 1, 2, 3, 4]),
        (equal('<t:FieldURI FieldURI="calendar:Location"/>', "x"), []),
        ("<t:Or>" + equal('<t:FieldURI FieldURI="item:Subject"/>', "Transport 2")
         + equal('<t:FieldURI FieldURI="item:Subject"/>', "Transport 4") + "</t:Or>", [2, 4]),
        ("<t:Not>" + equal('<t:FieldURI FieldURI="item:Subject"/>', "Transport 2") + "</t:Not>", [0, 1, 3, 4]),
        (f"<t:Exists>{STAMP}</t:Exists>", []),
        (f"<t:Not><t:Exists>{STAMP}</t:Exists></t:Not>", [0, 1, 2, 3, 4]),
        ('<t:Excludes><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Bitmask Value="0x1"/></t:Excludes>', [0, 1, 2, 3, 4]),
        ('<t:Contains ContainmentMode="Substring" ContainmentComparison="IgnoreCase"><t:FieldURI FieldURI="item:Subject"/>'
         '<t:Constant Value="PORT 3"/></t:Contains>', [3]),
        ('<t:Contains ContainmentMode="Prefixed" ContainmentComparison="Exact"><t:FieldURI FieldURI="item:Subject"/>'
         '<t:Constant Value="transport"/></t:Contains>', []),
        ('<t:Contains ContainmentMode="Substring" ContainmentComparison="IgnoreCase"><t:FieldURI FieldURI="message:ToRecipients"/>'
         '<t:Constant Value="dispatch@"/></t:Contains>', [0, 1, 2, 3, 4]),
    ],
)  # fmt: skip
def test_restrictions_find(ews: Ews, restriction: str, numbers: list[int]) -> None:
    """On standard and extended properties."""
    delivered(ews, 5)
    shape = f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{wanting('item:Subject')}</m:ItemShape>"

    answer = ews.call(find(shape=shape, restriction=restriction, order=by("item:DateTimeReceived")))

    assert texts(answer, "Subject") == [f"Transport {number}" for number in numbers]


@pytest.mark.parametrize(
    ("request_xml", "code"),
    [
        (find(shape=f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{wanting('item:MimeContent')}</m:ItemShape>"), "ErrorInvalidPropertyRequest"),
        (find(shape=f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{wanting('item:Body')}</m:ItemShape>"), "ErrorInvalidPropertyRequest"),
        (find(view=page(0)), "ErrorInvalidPagingMaxRows"),
        (find(view=page(5, -1)), "ErrorInvalidIndexedPagingParameters"),
        (find(restriction=equal('<t:FieldURI FieldURI="item:ItemId"/>', "x")), "ErrorUnsupportedPathForQuery"),
        (find(restriction=equal('<t:FieldURI FieldURI="item:DateTimeReceived"/>', "yesterday")), "ErrorInvalidValueForProperty"),
        (find(order=by("item:Body")), "ErrorUnsupportedPathForSortGroup"),
        (find("archiveinbox"), "ErrorFolderNotFound"),
        (find().replace('t:DistinguishedFolderId Id="inbox"', 't:FolderId Id="AAMkx"'), "ErrorInvalidIdMalformed"),
        (get(["AAMk"], ""), "ErrorInvalidIdMalformed"),
        (get([""], ""), "ErrorInvalidIdEmpty"),
        (get(["x"], wanting('<t:ExtendedFieldURI PropertyType="String"/>')), "ErrorInvalidExtendedProperty"),
        ('<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds><t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:DeleteFolder>',
         "ErrorDeleteDistinguishedFolder"),
        ('<m:CreateItem><m:Items><t:Message/></m:Items></m:CreateItem>', "ErrorMessageDispositionRequired"),
        (save("<t:Size>5</t:Size>"), "ErrorInvalidPropertySet"),
        (save('<t:MimeContent CharacterSet="UTF-8">!!</t:MimeContent>'), "ErrorMimeContentInvalidBase64String"),
        (save('<t:MimeContent CharacterSet="UTF-8"/>'), "ErrorMimeContentInvalid"),
        (save("<t:Subject>s</t:Subject>", disposition="SendOnly"), "ErrorInvalidRecipients"),
        (save(people("ToRecipients", "nobody"), disposition="SendAndSaveCopy"), "ErrorInvalidRecipients"),
        (save(people("ToRecipients", OTHER) + f"<t:From><t:Mailbox><t:EmailAddress>{OUT_OF_SCOPE}</t:EmailAddress></t:Mailbox></t:From>",
              disposition="SendOnly"), "ErrorSendAsDenied"),
        (save('<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0017" PropertyType="Integer"/><t:Value>x</t:Value></t:ExtendedProperty>'),
         "ErrorInvalidExtendedPropertyValue"),
        ('<m:ResolveNames ReturnFullContactData="false"><m:UnresolvedEntry>nobody</m:UnresolvedEntry></m:ResolveNames>',
         "ErrorNameResolutionNoResults"),
    ],
)  # fmt: skip
def test_refusals_have_exchanges_codes(ews: Ews, request_xml: str, code: str) -> None:
    """And nothing is left behind."""
    assert ews.codes(request_xml) == [code]
    assert all(folder.count == 0 for folder in ews.store.folders(ADDRESS))


# Reading


def test_one_bad_id_does_not_fail_the_others(ews: Ews) -> None:
    """Item errors stand inside an HTTP 200, in the request's order."""
    delivered(ews, 2)
    ids = [one for one, _ in item_ids(ews.call(find()))]
    ews.call(delete(ids[0], "HardDelete"))

    assert ews.codes(get([ids[1], ids[0], ids[1]], "")) == ["NoError", "ErrorItemNotFound", "NoError"]


def test_mime_is_the_bytes_that_came(ews: Ews) -> None:
    """Also of a mail that no parser likes."""
    mime = b"\x00\xff: \r\r\n\n\n--x\r\nContent-Type: multipart/mixed; boundary=x\r\n" + bytes(range(256)) * 40
    ews.store.deliver(ADDRESS, mime)
    ((item, _),) = item_ids(ews.call(find()))

    (content,) = texts(ews.call(get([item], wanting("item:MimeContent"))), "MimeContent")

    assert b64decode(content) == mime


def test_all_properties_of_a_rich_mail_are_shown(ews: Ews) -> None:
    """Bodies, people, attachments and headers out of the MIME."""
    ews.store.deliver(ADDRESS, RICH)
    ((item, _),) = item_ids(ews.call(find()))
    everything = ews.call(get([item], "").replace("IdOnly", "AllProperties"))
    text = ews.call(
        get([item], "<t:BodyType>Text</t:BodyType>" + wanting("item:Body", "item:Attachments", "item:Preview"))
    )
    paths = (
        '<t:IndexedFieldURI FieldURI="item:InternetMessageHeader" FieldIndex="X-A"/>',
        '<t:ExtendedFieldURI PropertyTag="0x007D" PropertyType="String"/>', DELIVERY_TIME, SEARCH_KEY,
    )  # fmt: skip
    extended = ews.call(get([item], wanting(*paths)))

    assert texts(everything, "Subject") == ["Überführung"]
    assert texts(everything, "Importance") == ["High"]
    assert texts(everything, "Sensitivity") == ["Private"]
    assert texts(everything, "InReplyTo") == ["<a@example.net>"]
    assert texts(everything, "References") == ["<a@example.net>"]
    assert texts(everything, "HasAttachments") == ["true"]
    assert texts(everything, "EmailAddress")[:1] == ["anna@example.net"]
    assert "Grüße" in texts(everything, "Body")[0]
    assert texts(text, "Body") == ["Grüße\r\n"]
    assert texts(text, "Preview") == ["Grüße"]
    assert texts(text, "Name") == ["Plan ä.pdf"]
    assert texts(extended, "Value")[0].startswith("From: Anna")


RICH = (
    b"From: Anna Example <anna@example.net>\r\nTo: Dispatch <dispatch@example.org>, b@example.org\r\nCc: c@example.org\r\n"
    b"Subject: =?utf-8?q?=C3=9Cberf=C3=BChrung?=\r\nImportance: high\r\nSensitivity: Private\r\nIn-Reply-To: <a@example.net>\r\n"
    b"References: <a@example.net>\r\nX-A: 1\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=o\r\n\r\n--o\r\n"
    b"Content-Type: multipart/alternative; boundary=i\r\n\r\n--i\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nGr\xc3\xbc\xc3\x9fe\r\n\r\n"
    b"--i\r\nContent-Type: text/html; charset=iso-8859-1\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n<p>Gr=FC=DFe</p>\r\n"
    b"--i--\r\n--o\r\nContent-Type: application/pdf; name*=utf-8''Plan%20%C3%A4.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBERg==\r\n"
    b"--o--\r\n"
)


@pytest.mark.parametrize(
    ("head", "element", "item_class"),
    [
        ("Content-Type: text/plain", "Message", "IPM.Note"),
        ("Content-Type: application/pkcs7-mime; smime-type=enveloped-data", "Message", "IPM.Note.SMIME"),
        ('Content-Type: multipart/signed; protocol="application/pkcs7-signature"', "Message", "IPM.Note.SMIME.MultipartSigned"),
        ("Content-Type: text/calendar; method=REQUEST", "MeetingRequest", "IPM.Schedule.Meeting.Request"),
        ("Content-Type: text/calendar; method=CANCEL", "MeetingCancellation", "IPM.Schedule.Meeting.Canceled"),
        ("Content-Type: text/calendar; method=REPLY", "MeetingResponse", "IPM.Schedule.Meeting.Resp.Tent"),
        ("Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\nContent-Type: message/delivery-status\n\n"
         "Reporting-MTA: dns; x\n\nAction: failed\n--b--", "Message", "REPORT.IPM.Note.NDR"),
    ],
)  # fmt: skip
def test_item_class_comes_from_the_content(ews: Ews, head: str, element: str, item_class: str) -> None:
    """And decides what element the item is."""
    ews.store.deliver(ADDRESS, f"Subject: x\n{head}\n\nbody\n".encode())
    answer = ews.call(find(shape="<m:ItemShape><t:BaseShape>AllProperties</t:BaseShape></m:ItemShape>"))

    assert texts(answer, "ItemClass") == [item_class]
    assert answer.find(f".//{T}{element}") is not None


# Moving and deleting


def test_id_changes_on_move_and_search_key_stays(ews: Ews) -> None:
    """The old id is gone; a copy shares the search key."""
    delivered(ews, 1)
    ((old, old_key),) = item_ids(ews.call(find()))
    key = texts(ews.call(get([old], wanting(SEARCH_KEY, DELIVERY_TIME))), "Value")
    ((new, new_key),) = item_ids(ews.call(transfer("MoveItem", old, "drafts")))
    ((copied, _),) = item_ids(ews.call(transfer("CopyItem", new, "junkemail")))

    assert len({old, new, copied}) == 3
    assert old_key != new_key
    assert ews.codes(get([old], "")) == ["ErrorItemNotFound"]
    assert texts(ews.call(get([new], wanting(SEARCH_KEY, DELIVERY_TIME))), "Value") == key
    assert texts(ews.call(get([copied], wanting(SEARCH_KEY, DELIVERY_TIME))), "Value") == key


@pytest.mark.parametrize(
    ("kind", "folder"),
    [
        ("MoveToDeletedItems", "deleteditems"),
        ("SoftDelete", "recoverableitemsdeletions"),
        ("HardDelete", "recoverableitemspurges"),
    ],
)
def test_deleted_mail_lies_where_exchange_keeps_it(ews: Ews, kind: str, folder: str) -> None:
    """A stale change key is no matter."""
    delivered(ews, 1)
    ((item, key),) = item_ids(ews.call(find()))
    read = setting('<t:FieldURI FieldURI="message:IsRead"/>', "<t:IsRead>true</t:IsRead>")
    ews.call(change(item, key, read))

    assert ews.codes(delete(item, kind, key)) == ["NoError"]
    assert ews.codes(delete(item, kind, key)) == ["ErrorItemNotFound"]
    assert len(item_ids(ews.call(find(folder)))) == 1
    assert item_ids(ews.call(find())) == []


def test_moving_to_nowhere_is_refused(ews: Ews) -> None:
    """And the mail stays."""
    delivered(ews, 1)
    ((item, _),) = item_ids(ews.call(find()))

    assert ews.codes(transfer("MoveItem", item, "archiveinbox")) == ["ErrorToFolderNotFound"]
    assert len(item_ids(ews.call(find()))) == 1


def test_struck_item_is_left_alone(ews: Ews) -> None:
    """A fault of one item, inside a 200, with values in its MessageXml."""
    delivered(ews, 2)
    ids = [one for one, _ in item_ids(ews.call(find()))]
    ews.strikes.items = {2: ItemError("ErrorInternalServerError", "x", {"InnerErrorResponseCode": "ErrorServerBusy"})}
    request = delete(ids[0], "HardDelete").replace("</m:ItemIds>", f'<t:ItemId Id="{ids[1]}"/></m:ItemIds>')

    answer = ews.call(request)
    ews.strikes.items = {}

    assert texts(answer, "Value") == ["ErrorServerBusy"]
    assert [one for one, _ in item_ids(ews.call(find()))] == [ids[1]]
    assert ews.strikes.calls[-2].folders >= {"inbox"}


# Writing


def test_draft_of_mime_stays_those_bytes(ews: Ews) -> None:
    """Though the client repeats its properties beside it, reads it and stamps it."""
    mime = b"To: <base@example.org>\nsubject:  odd   \nX-Odd: \xe4\n\nbody\n"
    beside = "<t:Importance>Normal</t:Importance><t:IsRead>true</t:IsRead>"
    ((item, key),) = item_ids(ews.call(save(with_mime(mime) + "<t:Sensitivity>Normal</t:Sensitivity>" + beside)))
    ((item, key),) = item_ids(ews.call(change(item, key, setting(STAMP, stamped("r-1")))))

    answer = ews.call(get([item], wanting("item:MimeContent", "item:IsDraft", STAMP)))

    assert b64decode(texts(answer, "MimeContent")[0]) == mime
    assert texts(answer, "IsDraft") == ["true"]
    assert texts(answer, "Value") == ["r-1"]


def test_mime_is_made_of_properties(ews: Ews) -> None:
    """Recipients, both bodies' kinds, attachments and own headers, and the same bytes each time."""
    header = '<t:ExtendedFieldURI DistinguishedPropertySetId="InternetHeaders" PropertyName="X-Bridge" PropertyType="String"/>'
    message = (
        '<t:Subject>Über &amp; drüber</t:Subject><t:Body BodyType="HTML">&lt;p&gt;ä&lt;/p&gt;</t:Body><t:Attachments>'
        "<t:FileAttachment><t:Name>p.txt</t:Name><t:ContentId>c1</t:ContentId><t:IsInline>true</t:IsInline><t:Content>QUJD</t:Content>"
        "</t:FileAttachment></t:Attachments><t:Importance>High</t:Importance>"
        f"<t:ExtendedProperty>{header}<t:Value>yes</t:Value></t:ExtendedProperty>"
        + people("ToRecipients", OTHER) + people("BccRecipients", "hidden@example.net")
    )  # fmt: skip
    ((item, _),) = item_ids(ews.call(save(message)))
    first = b64decode(texts(ews.call(get([item], wanting("item:MimeContent"))), "MimeContent")[0])
    second = b64decode(texts(ews.call(get([item], wanting("item:MimeContent"))), "MimeContent")[0])

    mail = message_from_bytes(first, policy=policy.default)
    assert first == second
    assert mail["Subject"] == "Über & drüber"
    assert mail["To"] == OTHER
    assert mail["Bcc"] == "hidden@example.net"
    assert mail["Importance"] == "high"
    assert mail["X-Bridge"] == "yes"
    assert mail["From"].addresses[0].addr_spec == ADDRESS
    html = mail.get_body(("html",))
    assert html is not None
    assert html.get_content() == "<p>ä</p>"
    assert [part.get_content() for part in mail.walk() if part.get_filename() == "p.txt"] == [b"ABC"]


def test_changed_subject_is_in_the_mime(ews: Ews) -> None:
    """A draft of MIME becomes one of properties when a property in it is changed; nothing else of it is lost."""
    ((item, key),) = item_ids(ews.call(save(with_mime(RICH))))
    renamed = setting('<t:FieldURI FieldURI="item:Subject"/>', "<t:Subject>New</t:Subject>")
    appended = (
        '<t:AppendToItemField><t:FieldURI FieldURI="message:ToRecipients"/><t:Message>'
        + people("ToRecipients", "d@example.org")
        + "</t:Message></t:AppendToItemField>"
    )
    ((item, key),) = item_ids(ews.call(change(item, key, renamed + appended)))
    answer = ews.call(
        get(
            [item], wanting("item:MimeContent", "item:Subject", "item:Attachments", "item:Body", "message:ToRecipients")
        )
    )

    mime = b64decode(texts(answer, "MimeContent")[0])
    assert texts(answer, "Subject") == ["New"]
    assert texts(answer, "Name")[0] == "Plan ä.pdf"
    assert "d@example.org" in texts(answer, "EmailAddress")
    assert b"Subject: New\r\n" in mime
    assert b"X-A: 1\r\n" in mime
    assert b"JVBERg==" in mime


@pytest.mark.parametrize("conflict", ["AutoResolve", "AlwaysOverwrite"])
def test_later_writer_wins_where_the_client_says_so(ews: Ews, conflict: str) -> None:
    """With a key that is not current."""
    ((item, key),) = item_ids(ews.call(save("<t:Subject>s</t:Subject>")))
    update = setting(STAMP, stamped("a"))
    ews.call(change(item, key, update))

    assert ews.codes(change(item, key, setting(STAMP, stamped("b")), conflict=conflict)) == ["NoError"]
    assert ews.codes(change(item, key, setting(STAMP, stamped("c")))) == ["ErrorIrresolvableConflict"]
    assert ews.codes(change(item, "", update)) == ["ErrorChangeKeyRequiredForWriteOperations"]
    assert ews.codes(change(item, "x!", update)) == ["ErrorInvalidChangeKey"]


def test_property_is_taken_away(ews: Ews) -> None:
    """A named property, categories, a body."""
    ((item, key),) = item_ids(
        ews.call(
            save("<t:Body BodyType='Text'>x</t:Body><t:Categories><t:String>a</t:String></t:Categories>" + stamped("r"))
        )
    )
    gone = "".join(
        f"<t:DeleteItemField>{path}</t:DeleteItemField>"
        for path in (STAMP, '<t:FieldURI FieldURI="item:Categories"/>', '<t:FieldURI FieldURI="item:Body"/>')
    )
    ((item, key),) = item_ids(ews.call(change(item, key, gone)))
    answer = ews.call(get([item], wanting("item:Categories", "item:Body", STAMP)))

    assert texts(answer, "Value") + texts(answer, "String") == []
    assert texts(answer, "Body") == [""]
    assert item_ids(ews.call(find("drafts", restriction=equal(STAMP, "r")))) == []


def test_recipients_of_a_sent_mail_cannot_be_changed(ews: Ews) -> None:
    """Nor is it a draft that could be sent."""
    delivered(ews, 1)
    ((item, key),) = item_ids(ews.call(find()))
    update = setting('<t:FieldURI FieldURI="message:ToRecipients"/>', people("ToRecipients", OTHER))

    assert ews.codes(change(item, key, update)) == ["ErrorInvalidPropertyUpdateSentMessage"]
    assert ews.codes(send(item, key)) == ["ErrorAccessDenied"]


# Sending


def test_sent_at_once_there_is_no_id_and_the_copy_is_filed(ews: Ews) -> None:
    """SendAndSaveCopy into a folder of one's own choice, SendOnly into none."""
    message = (
        f"<t:Subject>s</t:Subject>{stamped('r-9')}"
        + people("ToRecipients", OTHER)
        + people("BccRecipients", "hidden@example.net")
    )
    saved = ews.call(save(message, disposition="SendAndSaveCopy", folder="junkemail"))
    only = ews.call(save(message, disposition="SendOnly"))
    for submitted in ews.submitted:
        ews.store.settle(submitted.submission, [(OTHER, submitted.mime)])

    assert item_ids(saved) + item_ids(only) == []
    assert len(item_ids(ews.call(find("junkemail", restriction=equal(STAMP, "r-9"))))) == 1
    assert item_ids(ews.call(find("outbox"))) + item_ids(ews.call(find("sentitems"))) == []
    assert [one.recipients for one in ews.store.sends()] == [(OTHER, "hidden@example.net")] * 2
    assert all(b"hidden@" not in submitted.mime for submitted in ews.submitted)
    assert len(item_ids(ews.call(find(), user=OTHER))) == 2


def test_send_needs_the_current_change_key(ews: Ews) -> None:
    """None, a stale one, another's: the draft stays a draft."""
    ((item, key),) = item_ids(ews.call(save("<t:Subject>s</t:Subject>" + people("ToRecipients", OTHER))))
    ((_, newer),) = item_ids(ews.call(change(item, key, setting(STAMP, stamped("void")))))

    assert ews.codes(send(item, "")) == ["ErrorChangeKeyRequired"]
    assert ews.codes(send(item, key)) == ["ErrorStaleObject"]
    assert ews.codes(send(item, newer, saved="false", folder="sentitems")) == ["ErrorInvalidSendItemSaveSettings"]
    assert ews.store.sends() == []
    assert ews.codes(send(item, newer)) == ["NoError"]
    assert ews.codes(send(item, newer)) == ["ErrorItemNotFound"]
    assert len(ews.store.sends()) == 1


def test_sent_mime_keeps_its_bytes_but_for_what_was_missing(ews: Ews) -> None:
    """From, Date and Message-ID come before the mail's own headers; Bcc goes."""
    mime = b"To: base@example.org\nBcc: hidden@example.net,\n more@example.net\nSubject: x\nContent-Type: text/plain\n\nbody\n"
    ((item, key),) = item_ids(ews.call(save(with_mime(mime))))
    ews.call(send(item, key))
    (submitted,) = ews.submitted

    added, own = submitted.mime.split(b"To: base", 1)
    assert sorted(line.split(b":")[0] for line in added.splitlines()) == [b"Date", b"From", b"Message-ID"]
    assert b"To: base" + own == b"To: base@example.org\nSubject: x\nContent-Type: text/plain\n\nbody\n"
    assert set(submitted.recipients) == {"base@example.org", "hidden@example.net", "more@example.net"}


def test_the_date_of_a_mime_draft_is_the_time_of_its_submission(ews: Ews) -> None:
    """Whatever the client wrote there; once, in the copy as in what is delivered."""
    mime = b"To: base@example.org\r\ndate: Mon, 2 Nov 2026\r\n 08:00:00 +0000\r\nSubject: x\r\n\r\nDate: body\r\n"
    ((item, key),) = item_ids(ews.call(save(with_mime(mime))))
    ews.call(send(item, key))
    (submitted,) = ews.submitted

    header, body = submitted.mime.split(b"\r\n\r\n")
    [date] = [line for line in header.split(b"\r\n") if line.lower().startswith(b"date:")]
    assert parsedate_to_datetime(date.partition(b":")[2].decode()) == submitted.at.replace(microsecond=0)
    assert b"08:00:00" not in header
    assert body == b"Date: body\r\n"


def test_a_distinguished_folder_without_a_mailbox_is_one_of_the_login_or_of_who_is_impersonated(ews: Ews) -> None:
    """Whichever mailbox the client may have meant: it has to name it."""
    look = (
        "<m:GetFolder><m:FolderShape><t:BaseShape>Default</t:BaseShape></m:FolderShape><m:FolderIds>"
        '<t:DistinguishedFolderId Id="inbox"/></m:FolderIds></m:GetFolder>'
    )
    for address in (ADDRESS, OTHER, OTHER):
        ews.store.deliver(address, a_mail())

    def count(**how: str) -> str | None:
        return ews.call(look, **how).findtext(f".//{T}TotalCount")

    who = "<t:ExchangeImpersonation><t:ConnectingSID><t:SmtpAddress>{}</t:SmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>"
    assert [count(user=ADDRESS), count(user=OTHER)] == ["1", "2"]
    assert [count(user="service", header=who.format(address), anchor=address) for address in (ADDRESS, OTHER)] == [
        "1",
        "2",
    ]


# Folders, attachments and the rest


def test_folders_are_made_renamed_listed_emptied_and_deleted(ews: Ews) -> None:
    """With their counts."""
    made = (
        '<m:CreateFolder><m:ParentFolderId><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderId><m:Folders><t:Folder>'
        "<t:DisplayName>{}</t:DisplayName></t:Folder></m:Folders></m:CreateFolder>"
    )
    folder = ews.call(made.format("Bridge Parked")).find(f".//{T}FolderId")
    assert folder is not None
    where = f'<t:FolderId Id="{folder.get("Id")}"/>'
    renamed = (
        f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{where}<t:Updates><t:SetFolderField><t:FieldURI "
        'FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>Parked</t:DisplayName></t:Folder></t:SetFolderField></t:Updates>'
        "</t:FolderChange></m:FolderChanges></m:UpdateFolder>"
    )
    listed = (
        '<m:FindFolder Traversal="Deep"><m:FolderShape><t:BaseShape>AllProperties</t:BaseShape></m:FolderShape><m:Restriction>'
        + equal('<t:FieldURI FieldURI="folder:DisplayName"/>', "Parked")
        + '</m:Restriction><m:ParentFolderIds><t:DistinguishedFolderId Id="root"/></m:ParentFolderIds></m:FindFolder>'
    )
    ews.store.deliver(ADDRESS, a_mail(), folder=str(folder.get("Id")))

    assert ews.codes(made.format("bridge parked")) == ["ErrorFolderExists"]
    assert ews.codes(renamed) == ["NoError"]
    assert texts(ews.call(listed), "TotalCount") == ["1"]
    assert ews.codes(
        f'<m:EmptyFolder DeleteType="SoftDelete" DeleteSubFolders="true"><m:FolderIds>{where}</m:FolderIds></m:EmptyFolder>'
    ) == ["NoError"]
    assert texts(ews.call(listed), "TotalCount") == ["0"]
    assert ews.codes(
        f'<m:DeleteFolder DeleteType="HardDelete"><m:FolderIds>{where}</m:FolderIds></m:DeleteFolder>'
    ) == ["NoError"]
    assert texts(ews.call(listed), "TotalCount") == []
    assert ews.codes(find().replace('<t:DistinguishedFolderId Id="inbox"/>', where)) == ["ErrorItemNotFound"]


def test_mail_inside_a_mail_is_an_item_attachment(ews: Ews) -> None:
    """Read with its own properties and MIME."""
    inner = a_mail(7)
    outer = (
        b"Subject: outer\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\ntext\r\n--b\r\nContent-Type: message/rfc822\r\n\r\n"
        + inner
        + b"\r\n--b--\r\n"
    )
    ews.store.deliver(ADDRESS, outer)
    ((item, _),) = item_ids(ews.call(find()))
    attachment = ews.call(get([item], wanting("item:Attachments"))).find(f".//{T}AttachmentId")
    assert attachment is not None

    answer = ews.call(
        "<m:GetAttachment><m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:AttachmentShape>"
        f'<m:AttachmentIds><t:AttachmentId Id="{attachment.get("Id")}"/></m:AttachmentIds></m:GetAttachment>'
    )

    assert b64decode(texts(answer, "MimeContent")[0]) == inner
    assert texts(answer, "Subject") == ["Transport 7"]


def test_directory_and_time_zone_answer(ews: Ews) -> None:
    """What clients ask for on their way."""
    resolve = '<m:ResolveNames ReturnFullContactData="true"><m:UnresolvedEntry>{}</m:UnresolvedEntry></m:ResolveNames>'

    assert texts(ews.call(resolve.format("disp")), "EmailAddress") == [ADDRESS]
    assert ews.codes("<m:GetServerTimeZones/>") == ["NoError"]


def test_flags_given_at_creation_make_a_received_mail(ews: Ews) -> None:
    """PidTagMessageFlags without the unsent bit: how programs put a mail into an inbox."""
    flags = '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Value>1</t:Value></t:ExtendedProperty>'
    ews.call(save(with_mime(a_mail()) + flags, folder="inbox"))
    answer = ews.call(
        find(
            shape=f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{wanting('item:IsDraft', 'message:IsRead')}</m:ItemShape>"
        )
    )

    assert texts(answer, "IsDraft") == ["false"]
    assert texts(answer, "IsRead") == ["true"]
    assert tag_key(0x0E07, "Integer") == "0x0E070003"


def test_defect_of_an_operation_is_logged_by_place_and_answered(
    ews: Ews, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The client gets Exchange's internal error; the log says where, and nothing of what was in it."""

    def fail(*_: object) -> str:
        raise ValueError("a subject")

    monkeypatch.setitem(cast("dict[str, object]", OPERATIONS), "FindItem", fail)

    assert ews.codes(find()) == ["ErrorInternalServerError"]
    assert "FindItem failed: ValueError < test_operations.py" in caplog.text
    assert "a subject" not in caplog.text


def test_mail_flow_that_fails_leaves_the_mail_pending(ews: Ews) -> None:
    """It was accepted, and the answer says so; a later start of the mail flow finds it."""
    ews.submitted.refusing = True
    ((item, key),) = item_ids(ews.call(save(people("ToRecipients", OTHER))))

    assert ews.codes(send(item, key)) == ["NoError"]
    assert len(ews.store.pending()) == 1
