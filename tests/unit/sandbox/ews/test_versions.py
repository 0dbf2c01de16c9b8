# ruff: noqa: ISC004 - requests stand here as they go over the wire
"""RequestServerVersion: what a client of an older Exchange is told, and what it may not ask for."""

from __future__ import annotations

import pytest
import requests
from lxml import etree

from bridge.sandbox.ews.errors import FaultError
from bridge.sandbox.ews.servers import ON_PREMISES, ONLINE
from bridge.sandbox.ews.versions import LATEST, SchemaVersion, read_version
from tests.unit.sandbox.ews.conftest import ADDRESS, Ews, M, T, a_mail, item_ids, texts

# What came with Exchange 2013 and is in the shapes of a mail.
_OF_2013 = {"Flag", "InstanceKey", "Preview"}
_OF_2010 = {"IsAssociated", "WebClientReadFormQueryString", "ConversationId"}
_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_IDS_ONLY = "<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape>"


def _version(name: str) -> str:
    return f'<t:RequestServerVersion Version="{name}"/>'


def _shape(base: str, *uris: str) -> str:
    paths = "".join(f'<t:FieldURI FieldURI="{uri}"/>' for uri in uris)
    additional = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if uris else ""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{additional}</m:ItemShape>"


def _find(shape: str = _IDS_ONLY, *, restriction: str = "", order: str = "") -> str:
    return (
        f'<m:FindItem Traversal="Shallow">{shape}{restriction}{order}<m:ParentFolderIds>{_INBOX}</m:ParentFolderIds>'
        "</m:FindItem>"
    )


def _get(item_id: str, shape: str) -> str:
    return f'<m:GetItem>{shape}<m:ItemIds><t:ItemId Id="{item_id}"/></m:ItemIds></m:GetItem>'


def _folder(shape: str, folder: str = "inbox") -> str:
    return (
        f"<m:GetFolder><m:FolderShape>{shape}</m:FolderShape><m:FolderIds>"
        f'<t:DistinguishedFolderId Id="{folder}"/></m:FolderIds></m:GetFolder>'
    )


def _create(content: str) -> str:
    return (
        '<m:CreateItem MessageDisposition="SaveOnly"><m:Items><t:Message><t:Subject>s</t:Subject>'
        f"{content}</t:Message></m:Items></m:CreateItem>"
    )


def _names(answer: etree._Element) -> set[str]:
    return {str(node.tag).removeprefix(T) for node in answer.iter(T + "*")}


@pytest.fixture
def item(ews: Ews) -> str:
    """The id of a mail in the inbox."""
    ews.store.deliver(ADDRESS, a_mail())
    return item_ids(ews.call(_find()))[0][0]


@pytest.mark.parametrize(
    ("version", "known", "unknown"),
    [
        ("Exchange2007_SP1", set(), _OF_2010 | _OF_2013),
        ("Exchange2010", _OF_2010, _OF_2013),
        ("Exchange2010_SP2", _OF_2010, _OF_2013),
        ("Exchange2013", _OF_2010 | _OF_2013, set()),
        ("Exchange2013_SP1", _OF_2010 | _OF_2013, set()),
        ("Exchange2016", _OF_2010 | _OF_2013, set()),
        ("V2017_07_11", _OF_2010 | _OF_2013, set()),
    ],
)
def test_a_shape_holds_what_the_version_knows(
    ews: Ews, item: str, version: str, known: set[str], unknown: set[str]
) -> None:
    names = _names(ews.call(_find(_shape("AllProperties")), header=_version(version)))

    assert item
    assert names >= {"Subject", "IsRead", *known}
    assert not names & unknown


@pytest.mark.parametrize(("version", "says"), [("Exchange2010_SP2", False), ("Exchange2013", True)])
def test_bodies_say_that_they_are_whole_since_exchange_2013(ews: Ews, item: str, version: str, says: bool) -> None:
    answer = ews.call(_get(item, _shape("IdOnly", "item:Body")), header=_version(version))
    body = answer.find(f".//{T}Body")

    assert body is not None
    assert (body.get("IsTruncated") is not None) is says


@pytest.mark.parametrize(
    ("version", "uri", "code"),
    [
        ("Exchange2010_SP2", "item:Flag", "ErrorInvalidPropertyRequest"),
        ("Exchange2010_SP2", "item:TextBody", "ErrorInvalidPropertyRequest"),
        ("Exchange2010_SP2", "item:ConversationId", "NoError"),
        ("Exchange2010_SP1", "item:StoreEntryId", "ErrorInvalidPropertyRequest"),
        ("Exchange2013", "item:MimeContentUTF8", "ErrorInvalidPropertyRequest"),
        ("Exchange2013_SP1", "item:MimeContentUTF8", "NoError"),
        ("Exchange2013_SP1", "item:Mentions", "ErrorInvalidPropertyRequest"),
        ("Exchange2015", "item:Mentions", "NoError"),
        ("Exchange2013", "item:Flag", "NoError"),
    ],
)
def test_a_property_that_came_later_is_refused_when_named(
    ews: Ews, item: str, version: str, uri: str, code: str
) -> None:
    answer = ews.call(_get(item, _shape("IdOnly", uri)), header=_version(version))

    assert [node.text for node in answer.iter(M + "ResponseCode")] == [code]
    if code != "NoError":
        said = answer.findtext(f".//{M}MessageText")
        assert (
            said == f"The property {uri} is not valid for this object type. The Current ExchangeVersion is {version}."
        )
        assert [node.get("FieldURI") for node in answer.iter(T + "FieldURI")] == [uri]


@pytest.mark.parametrize(
    "request_",
    [
        _find(
            restriction='<m:Restriction><t:Exists><t:FieldURI FieldURI="item:Preview"/></t:Exists></m:Restriction>',
        ),
        _find(
            order='<m:SortOrder><t:FieldOrder Order="Ascending"><t:FieldURI FieldURI="item:Flag"/></t:FieldOrder>'
            "</m:SortOrder>"
        ),
        _folder(
            "<t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>"
            '<t:FieldURI FieldURI="folder:DistinguishedFolderId"/></t:AdditionalProperties>'
        ),
    ],
)
def test_it_is_refused_in_searches_orders_and_folders_too(ews: Ews, request_: str) -> None:
    assert ews.codes(request_, header=_version("Exchange2010_SP2")) == ["ErrorInvalidPropertyRequest"]
    assert "ErrorInvalidPropertyRequest" not in ews.codes(request_, header=_version("Exchange2013"))


def test_a_folder_tells_its_distinguished_name_since_exchange_2013(ews: Ews) -> None:
    request = _folder("<t:BaseShape>AllProperties</t:BaseShape>")

    assert texts(ews.call(request, header=_version("Exchange2010_SP2")), "DistinguishedFolderId") == []
    assert texts(ews.call(request, header=_version("Exchange2013")), "DistinguishedFolderId") == ["inbox"]


_FOLDER_IDS = f"<m:FolderIds>{_INBOX}</m:FolderIds>"


@pytest.mark.parametrize(
    ("before", "since", "request_"),
    [
        ("Exchange2010_SP2", "Exchange2013",
         f"<m:MarkAllItemsAsRead><m:ReadFlag>true</m:ReadFlag><m:SuppressReadReceipts>true</m:SuppressReadReceipts>"
         f"{_FOLDER_IDS}</m:MarkAllItemsAsRead>"),
        ("Exchange2010", "Exchange2010_SP1",
         f'<m:EmptyFolder DeleteType="SoftDelete" DeleteSubFolders="false">{_FOLDER_IDS}</m:EmptyFolder>'),
        ("Exchange2007_SP1", "Exchange2010",
         '<m:GetUserConfiguration><m:UserConfigurationName Name="x"><t:DistinguishedFolderId Id="inbox"/>'
         "</m:UserConfigurationName><m:UserConfigurationProperties>All</m:UserConfigurationProperties>"
         "</m:GetUserConfiguration>"),
        ("Exchange2010_SP2", "Exchange2013", _create("<t:Flag><t:FlagStatus>Flagged</t:FlagStatus></t:Flag>")),
        ("Exchange2010_SP2", "Exchange2013", _folder("<t:BaseShape>IdOnly</t:BaseShape>", "syncissues")),
        ("Exchange2010", "Exchange2010_SP1",
         "<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds>" + _INBOX + "</t:FolderIds><t:EventTypes>"
         "<t:EventType>NewMailEvent</t:EventType></t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>"),
        ("Exchange2010_SP2", "Exchange2013",
         '<m:DeleteItem DeleteType="SoftDelete" SuppressReadReceipts="true"><m:ItemIds><t:ItemId Id="x"/></m:ItemIds>'
         "</m:DeleteItem>"),
        ("Exchange2010_SP2", "Exchange2013",
         _find("<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:NormalizedBodyType>Text</t:NormalizedBodyType>"
               "</m:ItemShape>")),
    ],
    ids=["operation 2013", "operation 2010 SP1", "operation 2010", "element", "folder", "subscription", "attribute",
         "shape"],
)  # fmt: skip
def test_what_came_later_makes_the_request_one_of_the_wrong_version(
    ews: Ews, before: str, since: str, request_: str
) -> None:
    assert ews.codes(request_, header=_version(before)) == ["ErrorIncorrectSchemaVersion"]
    assert "ErrorIncorrectSchemaVersion" not in ews.codes(request_, header=_version(since))


def test_the_wrong_version_is_a_fault_in_exchanges_words(ews: Ews) -> None:
    answer = ews.call(_create("<t:Preview>p</t:Preview>"), header=_version("Exchange2010_SP2"))

    assert "ErrorIncorrectSchemaVersion" in (answer.findtext(".//faultcode") or "")
    assert (answer.findtext(".//faultstring") or "").startswith("The request is valid but does not specify the correct")


def test_a_request_that_is_wrong_in_every_version_fails_the_schema(ews: Ews) -> None:
    assert ews.codes(_create("<t:Teapot/>"), header=_version("Exchange2010_SP2")) == ["ErrorSchemaValidation"]
    assert ews.codes("<m:GetTeapot/>", header=_version("Exchange2010_SP2")) == ["ErrorInvalidRequest"]


def test_a_request_without_a_version_is_one_of_the_first(ews: Ews, item: str) -> None:
    body = (
        '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
        'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
        'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body>'
        f"{_get(item, _shape('IdOnly', 'item:ConversationId'))}</s:Body></s:Envelope>"
    )
    answer: requests.Response = ews.post(body.encode())

    assert answer.status_code == 200
    assert "The Current ExchangeVersion is Exchange2007." in answer.text


@pytest.mark.parametrize("name", [version.name for version in SchemaVersion])
def test_every_version_is_known_to_both_products(name: str) -> None:
    assert read_version(name, ONLINE) is read_version(name, ON_PREMISES) is SchemaVersion[name]


@pytest.mark.parametrize(
    "name", ["Exchange2019", "Exchange2007_SP2", "exchange2016", "", "V", "V9_9_9_9", "V2018_\u0661"]
)
def test_a_version_that_is_none_is_refused_as_each_product_refuses_it(name: str) -> None:
    for server, code in ((ONLINE, "ErrorInvalidServerVersion"), (ON_PREMISES, "ErrorInvalidRequest")):
        with pytest.raises(FaultError) as refused:
            read_version(name, server)
        assert refused.value.code == code


def test_a_version_by_date_is_known_up_to_the_servers_own() -> None:
    assert read_version("V2_17", ONLINE) is LATEST
    assert read_version("V2018_01_08", ONLINE) is LATEST
    assert read_version("V2017_07_11", ON_PREMISES) is LATEST
    for name, server in (("V2018_01_09", ONLINE), ("V2018_01_08", ON_PREMISES)):
        with pytest.raises(FaultError):
            read_version(name, server)
