"""Values that no property can have, wherever a request holds one: refused in words, and the sandbox does not fail."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

import pytest
from lxml import etree

from tests.support.sandbox import SandboxProcess
from tests.support.siege import EWS_PATH, MAILBOX, PING, Besieged
from tests.support.soap import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterator

_VALUES = (
    *(
        "",
        " ",
        "x",
        "0",
        "-1",
        "1e999",
        "-1e999",
        "NaN",
        "INF",
        "-INF",
        "Infinity",
        "1e-400",
        "0x10",
        "1_000",
        "\u0661",
    ),
    *("true", "9" * 20, "9" * 400, "9" * 5000, "-" + "9" * 40, "4294967296", "18446744073709551616", "1.5", "." * 100),
    *("0000-00-00T00:00:00Z", "0001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "99999-01-01T00:00:00Z", "2026-01-01"),
    *("-0001-01-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T24:00:00Z", "2026-01-01T00:00:00+14:00"),
    *("1600-12-31T23:59:59Z", "00000000-0000-0000-0000-000000000000", "{x}", "====", "AAA", "AAAA\u00e9", "\U0001f4a9"),
    *("\x7f\x80\u202e", "'; DROP TABLE items; --", '$."x"', "[1]", "{}", "%s%n", "../../etc/passwd", "\\", "\ufffd"),
    "x" * 100_000,
)
_SINGLE = ("ApplicationTime", "Binary", "CLSID", "Currency", "Double", "Float", "Integer", "Long", "Object", "Short")
_TYPES = (
    *("Boolean", "Error", "Null", "String", "StringArray", "SystemTime", "SystemTimeArray"),
    *(kind + suffix for kind in _SINGLE for suffix in ("", "Array")),
)
_FIELDS = (
    *("item:Subject", "item:Size", "item:DateTimeReceived", "item:DateTimeSent", "item:Importance", "item:Sensitivity"),
    *("item:HasAttachments", "item:ItemClass", "item:Categories", "item:Body", "item:ItemId", "item:ConversationId"),
    *("item:IsDraft", "item:LastModifiedTime", "message:IsRead", "message:From", "message:InternetMessageId"),
    "message:ToRecipients",
)
_ID_ONLY = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"
_INBOX = '<m:ParentFolderIds><t:DistinguishedFolderId Id="inbox"/></m:ParentFolderIds>'


@pytest.fixture(scope="module")
def siege(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Besieged]:
    with SandboxProcess(tmp_path_factory.mktemp("siege") / "sandbox", mailboxes=[MAILBOX]) as running:
        besieged = Besieged(running)
        for number in range(3):
            running.deliver(MAILBOX, f"Message-ID: <{number}@x>\r\nSubject: {number}\r\n\r\nx\r\n".encode())
        yield besieged


@pytest.fixture(autouse=True)
def _as_well_as_before(siege: Besieged) -> Iterator[None]:
    yield
    siege.must_be_well()


def _answered(siege: Besieged, body: str) -> etree._Element:
    """Return an answer, which is one: no failure of the sandbox's own."""
    answer = siege.ews.post(body)
    assert answer.status_code in {200, 500}
    assert b"ErrorInternalServerError" not in answer.content, (body[:600], answer.text[:600])
    return etree.fromstring(answer.content)


def _extended(kind: str, value: str) -> tuple[str, str]:
    path = (
        '<t:ExtendedFieldURI PropertySetId="6e1f2a34-9f0e-4a58-8f8b-2f6f0f9f7a01" PropertyName="Any" '
        f'PropertyType="{kind}"/>'
    )
    shown = f"<t:Value>{escape(value)}</t:Value>"
    shown = f"<t:Values>{shown * 2}</t:Values>" if kind.endswith("Array") else shown
    return path, f"<t:ExtendedProperty>{path}{shown}</t:ExtendedProperty>"


@pytest.mark.parametrize("kind", _TYPES)
def test_an_extended_property_of_any_value_is_kept_or_refused(siege: Besieged, kind: str) -> None:
    for value in _VALUES:
        path, shown = _extended(kind, value)
        answer = _answered(
            siege,
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message>{shown}</t:Message></m:Items>'
            "</m:CreateItem>",
        )
        ids = [str(node.get("Id")) for node in answer.iter(f"{TYPES}ItemId")]
        for item_id in ids:
            shape = (
                "<m:ItemShape><t:BaseShape>AllProperties</t:BaseShape><t:AdditionalProperties>"
                f"{path}</t:AdditionalProperties></m:ItemShape>"
            )
            codes = siege.ews.codes(f'<m:GetItem>{shape}<m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds></m:GetItem>')
            assert codes == ["NoError"], value[:100]


@pytest.mark.parametrize("kind", _TYPES)
def test_a_restriction_with_any_value_of_an_extended_property_is_answered(siege: Besieged, kind: str) -> None:
    for value in _VALUES:
        path, _ = _extended(kind, value)
        constant = f"<t:FieldURIOrConstant><t:Constant Value={quoteattr(value)}/></t:FieldURIOrConstant>"
        for comparison in ("IsEqualTo", "IsGreaterThan"):
            _answered(
                siege,
                f'<m:FindItem Traversal="Shallow">{_ID_ONLY}<m:Restriction><t:{comparison}>{path}{constant}'
                f"</t:{comparison}></m:Restriction>{_INBOX}</m:FindItem>",
            )


@pytest.mark.parametrize("field", _FIELDS)
def test_a_field_is_compared_with_any_value_and_set_to_any(siege: Besieged, field: str) -> None:
    item_id = siege.ews.find("inbox")[0]
    name = field.partition(":")[2]
    for value in _VALUES:
        constant = f"<t:FieldURIOrConstant><t:Constant Value={quoteattr(value)}/></t:FieldURIOrConstant>"
        _answered(
            siege,
            f'<m:FindItem Traversal="Shallow">{_ID_ONLY}<m:Restriction><t:Or><t:IsLessThanOrEqualTo>'
            f'<t:FieldURI FieldURI="{field}"/>{constant}</t:IsLessThanOrEqualTo><t:Contains '
            f'ContainmentMode="PrefixOnWords" ContainmentComparison="IgnoreCase"><t:FieldURI FieldURI="{field}"/>'
            f"<t:Constant Value={quoteattr(value)}/>"
            f"</t:Contains></t:Or></m:Restriction>{_INBOX}</m:FindItem>",
        )
        _answered(
            siege,
            '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges>'
            f'<t:ItemChange><t:ItemId Id="{item_id}"/><t:Updates><t:SetItemField><t:FieldURI FieldURI="{field}"/>'
            f"<t:Message><t:{name}>{escape(value)}</t:{name}></t:Message></t:SetItemField></t:Updates></t:ItemChange>"
            "</m:ItemChanges></m:UpdateItem>",
        )


def test_orders_and_shapes_of_ten_thousand_fields_are_answered(siege: Besieged) -> None:
    fields = '<t:FieldURI FieldURI="item:Subject"/>'
    order = f'<t:FieldOrder Order="Ascending">{fields}</t:FieldOrder>' * 10_000
    wide = "".join(
        f'<t:ExtendedFieldURI PropertySetId="6e1f2a34-9f0e-4a58-8f8b-2f6f0f9f7a01" PropertyName="P{number}" '
        'PropertyType="String"/>'
        for number in range(10_000)
    )
    for shape, sort in (
        (_ID_ONLY, f"<m:SortOrder>{order}</m:SortOrder>"),
        (_shape(fields * 10_000), ""),
        (_shape(wide), ""),
    ):
        _answered(siege, f'<m:FindItem Traversal="Shallow">{shape}{sort}{_INBOX}</m:FindItem>')


def _shape(properties: str) -> str:
    return (
        "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
        f"{properties}</t:AdditionalProperties></m:ItemShape>"
    )


def test_views_and_limits_of_any_number_are_answered(siege: Besieged) -> None:
    for value in _VALUES:
        number = quoteattr(value)
        for view in (
            f'<m:IndexedPageItemView MaxEntriesReturned={number} Offset="0" BasePoint="Beginning"/>',
            f'<m:IndexedPageItemView MaxEntriesReturned="1" Offset={number} BasePoint="End"/>',
            f'<m:FractionalPageItemView MaxEntriesReturned="1" Numerator={number} Denominator="3"/>',
            f'<m:FractionalPageItemView MaxEntriesReturned="1" Numerator="0" Denominator={number}/>',
        ):
            _answered(siege, f'<m:FindItem Traversal="Shallow">{_ID_ONLY}{view}{_INBOX}</m:FindItem>')
        _answered(
            siege,
            f'<m:SyncFolderItems>{_ID_ONLY}<m:SyncFolderId><t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId>'
            f"<m:MaxChangesReturned>{escape(value)}</m:MaxChangesReturned></m:SyncFolderItems>",
        )


@pytest.mark.parametrize("header", ["X-AnchorMailbox", "Cookie", "User-Agent", "Accept", "client-request-id", "Prefer"])
def test_headers_of_any_value_are_borne(siege: Besieged, header: str) -> None:
    prefix = "X-BackEndOverrideCookie=" if header == "Cookie" else ""
    for value in _VALUES:
        sent: dict[str, str | bytes | None] = {
            "Authorization": f"Bearer {siege.ews.token}",
            "Content-Type": "text/xml",
            header: prefix.encode() + value[:5000].strip().encode("utf-8"),
            "X-PreferServerAffinity": "true",
        }
        answer = siege.ews.session.post(siege.sandbox.info["ews_url"], data=b"<x/>", headers=sent, timeout=30)
        assert answer.status_code == 400


@pytest.mark.parametrize(
    "authorization",
    ["Bearer", "Bearer ", "Basic", "Basic x", "Basic \xff", "Negotiate AAAA", "NTLM TlRMTVNTUAA=", "x" * 5000,
     "Bearer a.b.c", "Bearer " + "e30." * 1000, "Bearer \xff", "Basic " + "/" * 5000,
     "Bearer " + base64.b64encode(b"[" * 4000).decode().rstrip("=") + ".e30.AAAA"],
    ids=range(13),
)  # fmt: skip
def test_credentials_that_are_none_are_refused_with_a_challenge(siege: Besieged, authorization: str) -> None:
    sent: dict[str, str | bytes | None] = {
        "Authorization": authorization.encode("latin-1"),
        "Content-Type": "text/xml",
    }

    answer = siege.ews.session.post(siege.sandbox.info["ews_url"], data=b"<x/>", headers=sent, timeout=30)

    assert answer.status_code == 401
    assert "WWW-Authenticate" in answer.headers


@pytest.mark.parametrize("kind", ["SmtpAddress", "PrimarySmtpAddress", "SID", "PrincipalName"])
def test_nobody_that_there_is_not_can_be_impersonated(siege: Besieged, kind: str) -> None:
    for value in _VALUES:
        body = (
            '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
            'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types" '
            'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"><s:Header><t:ExchangeImpersonation>'
            f"<t:ConnectingSID><t:{kind}>{escape(value)}</t:{kind}></t:ConnectingSID></t:ExchangeImpersonation></s:Header>"
            f"<s:Body>{PING}</s:Body></s:Envelope>"
        )
        answer = siege.post(body.encode())
        assert answer.status_code == 500
        assert b"ErrorInternalServerError" not in answer.content
        etree.fromstring(answer.content)


def test_the_path_of_ews_takes_no_part_in_what_is_done(siege: Besieged) -> None:
    for query in ("?", "?x=%00", "?" + "x" * 5000, "/?%ff"):
        url = siege.sandbox.info["ews_url"].replace("/EWS/Exchange.asmx", EWS_PATH + query)
        answer = siege.ews.session.post(
            url,
            data=b"<x/>",
            headers={"Authorization": f"Bearer {siege.ews.token}", "Content-Type": "text/xml"},
            timeout=30,
        )
        assert answer.status_code in {400, 404}


def test_a_form_of_anything_is_refused_by_entra_in_its_words(siege: Besieged) -> None:
    url = f"{siege.sandbox.info['authority_url']}/oauth2/v2.0/token"
    for value in (*_VALUES, base64.b64encode(b"[" * 4000).decode() + ".e30.AAAA"):
        for form in (
            {"grant_type": value},
            {"grant_type": "client_credentials", "client_id": value, "client_secret": value, "scope": value},
            {"grant_type": "refresh_token", "client_id": siege.sandbox.info["client_id"], "refresh_token": value,
             "client_secret": siege.sandbox.info["client_secret"], "scope": "https://outlook.office365.com/.default"},
        ):  # fmt: skip
            answer = siege.ews.session.post(url, data=form, timeout=30)
            assert answer.status_code in {400, 401}
            assert answer.json()["error"]
    for authorization in ("Basic \xff", "Basic x", "Basic " + "/" * 5000, "Bearer \xff"):
        sent: dict[str, str | bytes | None] = {"Authorization": authorization.encode("latin-1")}
        assert siege.ews.session.post(url, data={}, headers=sent, timeout=30).status_code in {400, 401}
