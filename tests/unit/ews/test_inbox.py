"""Answers that Exchange should not give end as errors of the bridge: one mailbox waits, the process goes on."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import pytest
from lxml import etree

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.folders import is_named
from bridge.adapters.ews.inbox import EwsInbox, RemoveBy
from bridge.adapters.ews.parked import EwsParked
from bridge.adapters.ews.soap import M, ResponseMessage, T, element, parse_answer
from bridge.domain.mail import FailedFetch, FetchedMail, MailRef
from bridge.errors import BridgeError, FolderNotFound, MailboxUnavailable
from bridge.ports.broker import PublishReceipt
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable

_ENVELOPE = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" '
    'xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages" '
    'xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"><s:Body><m:{0}Response>'
    "<m:ResponseMessages>{1}</m:ResponseMessages></m:{0}Response></s:Body></s:Envelope>"
)


def _message(operation: str, inner: str = "", *, code: str = "NoError") -> str:
    kind = "Success" if code == "NoError" else "Error"
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{kind}"><m:ResponseCode>{code}</m:ResponseCode>'
        f"{inner}</m:{operation}ResponseMessage>"
    )


def _items(*items: str, total: str = "1") -> str:
    whole = f'<m:RootFolder TotalItemsInView="{total}" IncludesLastItemInRange="true"><t:Items>{"".join(items)}'
    return _message("FindItem", f"{whole}</t:Items></m:RootFolder>")


def _item(size: str = "100", search_key: str = "QUJD", received: str = "2026-11-24T03:00:00Z") -> str:
    return (
        f'<t:Message><t:ItemId Id="item"/><t:Size>{size}</t:Size><t:DateTimeReceived>{received}</t:DateTimeReceived>'
        '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x300b" PropertyType="Binary"/>'
        f"<t:Value>{search_key}</t:Value></t:ExtendedProperty></t:Message>"
    )


class Exchange(EwsClient):
    """A client whose calls are answered out of a list of response messages."""

    def __init__(self, *answers: str) -> None:
        super().__init__(EwsConnection("http://127.0.0.1:1"), login=("basic", "user", "password"))
        self.answers = list(answers)
        self.asked: list[str] = []
        self.requests: list[etree._Element] = []

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        operation = str(payload.tag).rpartition("}")[2]
        self.asked.append(operation)
        self.requests.append(payload)
        return parse_answer(_ENVELOPE.format(operation, self.answers.pop(0)).encode(), operation)


@pytest.mark.parametrize(
    "answer",
    ["", _items() * 2, _message("FindItem"), _items(_item(), total="many"), "<m:FindItemResponseMessage/>"],
)
async def test_a_listing_that_makes_no_sense_is_trouble_and_no_bug(answer: str) -> None:
    with contextlib.closing(Exchange(answer)) as client, contextlib.suppress(BridgeError):
        await EwsInbox(client, "dispatch@example.org").list_waiting("inbox", limit=10)

    assert client.asked == ["FindItem"]


@pytest.mark.parametrize(
    "item",
    [
        _item(size="-7"),
        _item(size="much"),
        _item(size="9" * 5_000),
        _item(search_key="not base64"),
        _item(search_key="QUJ"),
        _item(received="0001-01-01T00:00:00Z"),
        _item(received="yesterday"),
    ],
)
async def test_a_mail_with_senseless_properties_is_listed_all_the_same(item: str) -> None:
    with contextlib.closing(Exchange(_items(item), _items(item))) as client:
        inbox = EwsInbox(client, "dispatch@example.org")
        [first] = (await inbox.list_waiting("inbox", limit=10)).refs
        [again] = (await inbox.list_waiting("inbox", limit=10)).refs

    assert first == again
    assert 0 <= first.size_bytes < 1 << 40


async def test_a_folder_is_listed_from_its_oldest_mail_on() -> None:
    """By when Exchange received it, and from the first one: mail is published in the order of its listing."""
    with contextlib.closing(Exchange(_items(_item()))) as client:
        await EwsInbox(client, "dispatch@example.org").list_waiting("inbox", limit=10)

    [request] = client.requests
    [order] = request.iter(f"{T}FieldOrder")
    [view] = request.iter(f"{M}IndexedPageItemView")
    assert (order.get("Order"), order[0].get("FieldURI")) == ("Ascending", "item:DateTimeReceived")
    assert (view.get("BasePoint"), view.get("Offset")) == ("Beginning", "0")


async def test_old_mail_is_left_out_of_the_listing_and_what_came_at_that_very_moment_is_not() -> None:
    with contextlib.closing(Exchange(_items(), _items())) as client:
        since = datetime(2026, 11, 24, 3, 0, tzinfo=UTC)
        await EwsInbox(client, "dispatch@example.org", ignore_before=since).list_waiting("inbox", limit=10)
        await EwsInbox(client, "dispatch@example.org").list_waiting("inbox", limit=10)

    restricted, whole = client.requests
    [[compared]] = restricted.iter(f"{M}Restriction")
    assert compared.tag == f"{T}IsGreaterThanOrEqualTo"
    assert [one.get("FieldURI") for one in compared.iter(f"{T}FieldURI")] == ["item:DateTimeReceived"]
    assert [one.get("Value") for one in compared.iter(f"{T}Constant")] == ["2026-11-24T03:00:00Z"]
    assert list(whole.iter(f"{M}Restriction")) == []


@pytest.mark.parametrize("answer", ["", _message("GetFolder"), _message("GetFolder") * 2])
async def test_a_count_that_is_missing_is_trouble_and_no_bug(answer: str) -> None:
    with contextlib.closing(Exchange(answer)) as client, pytest.raises(MailboxUnavailable):
        await EwsInbox(client, "dispatch@example.org").count("junkemail")


async def test_a_folder_for_published_mails_that_was_made_anew_is_found() -> None:
    """Its id is another one then; the one remembered must not stop the mailbox until a restart."""
    found = _message("FindFolder", '<m:RootFolder><t:Folders><t:Folder><t:FolderId Id="{}"/></t:Folder></t:Folders>')
    found = found.replace("</m:FindFolderResponseMessage>", "</m:RootFolder></m:FindFolderResponseMessage>")
    client = Exchange(
        found.format("old"),
        _message("MoveItem", code="ErrorToFolderNotFound"),
        found.format("new"),
        _message("MoveItem"),
    )
    ref = MailRef("m1", "item", None, 100, "IPM.Note")
    inbox = EwsInbox(client, "dispatch@example.org", remove_by=RemoveBy(None, "Done"))

    with contextlib.closing(client):
        [failed] = await inbox.remove([(ref, PublishReceipt("m1"))])
        [removed] = await inbox.remove([(ref, PublishReceipt("m1"))])

    assert isinstance(failed.error, FolderNotFound)
    assert removed.error is None
    assert client.asked == ["FindFolder", "MoveItem", "FindFolder", "MoveItem"]


_REF = MailRef("m1", "item", None, 100, "IPM.Note")


@pytest.mark.parametrize("delete_type", [None, "MoveToDeletedItems", "SoftDelete", "HardDelete"])
async def test_what_the_bridge_deletes_sends_no_read_receipt(
    delete_type: Literal["MoveToDeletedItems", "SoftDelete", "HardDelete"] | None,
) -> None:
    """Deleted unread, a mail that asks for one would tell its sender that nobody read it."""
    client = Exchange(_message("DeleteItem"))
    inbox = EwsInbox(client, "dispatch@example.org", remove_by=RemoveBy(delete_type, None))

    with contextlib.closing(client):
        [removed] = await inbox.remove([(_REF, PublishReceipt("m1"))])

    assert removed.error is None
    assert [one.get("SuppressReadReceipts") for one in client.requests] == ["true"]


async def test_the_reason_written_beside_a_parked_mail_sends_no_read_receipt() -> None:
    folders = '<m:RootFolder><t:Folders><t:Folder><t:FolderId Id="parked"/></t:Folder></t:Folders></m:RootFolder>'
    moved = '<m:Items><t:Message><t:ItemId Id="there"/></t:Message></m:Items>'
    client = Exchange(
        _message("FindFolder", folders), _message("MoveItem", moved), _message("UpdateItem", "<m:Items/>")
    )

    with contextlib.closing(client):
        [parked] = await EwsParked(client, "dispatch@example.org").put([(_REF, "mime_broken")])

    assert parked.error is None
    assert client.asked == ["FindFolder", "MoveItem", "UpdateItem"]
    assert client.requests[-1].get("SuppressReadReceipts") == "true"


def test_a_folder_is_asked_for_by_a_name_whose_case_is_of_no_matter() -> None:
    """Whether IsEqualTo minds the case is a guess; Contains says it."""
    restriction = is_named("Bridge Parked")
    same, contains = restriction

    assert [etree.QName(one).localname for one in (restriction, same, contains)] == ["Or", "IsEqualTo", "Contains"]
    assert contains.items() == [("ContainmentMode", "FullString"), ("ContainmentComparison", "IgnoreCase")]
    assert [one.get("Value") for one in restriction.iter("{*}Constant")] == ["Bridge Parked", "Bridge Parked"]


async def test_what_a_library_raises_over_an_answer_is_trouble_and_no_bug() -> None:
    """A challenge that is none makes the NTLM library raise something of its own."""

    def challenge(connection: socket.socket, _: bytes) -> None:
        connection.sendall(
            b"HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: NTLM TlRMTVNTUAADAAAA\r\nContent-Length: 2\r\n\r\nno"
        )

    seen: list[str] = []
    with (
        contextlib.closing(RawServer(challenge)) as server,
        contextlib.closing(
            EwsClient(
                EwsConnection(server.url, connections=1, call_timeout_seconds=5),
                login=("ntlm", "user", "password"),
                observe=lambda **call: seen.append(call["code"]),
            )
        ) as client,
    ):
        for _ in range(3):
            with pytest.raises(MailboxUnavailable):
                await client.call("dispatch@example.org", element("m:GetItem"))

    assert seen == ["mailbox_unavailable"] * 3


async def test_what_exchange_did_not_get_to_in_a_batch_is_asked_for_anew() -> None:
    """It stops after about a minute; what it did before that counts."""
    refs = [MailRef(f"m{n}", f"item-{n}", None, 10, "IPM.Note") for n in range(3)]
    mime = _message("GetItem", "<m:Items><t:Message><t:MimeContent>QQ==</t:MimeContent></t:Message></m:Items>")
    stopped = {name: _message(name, code="ErrorBatchProcessingStopped") for name in ("GetItem", "DeleteItem")}
    gone = _message("DeleteItem")
    client = Exchange(
        mime + stopped["GetItem"] * 2,
        mime * 2,
        gone * 2 + stopped["DeleteItem"],
        gone,
        stopped["GetItem"] * 3,
    )
    inbox = EwsInbox(client, "dispatch@example.org")

    with contextlib.closing(client):
        fetched = await inbox.fetch(refs)
        removals = await inbox.remove([(ref, PublishReceipt(ref.message_id)) for ref in refs])
        nothing = await inbox.fetch(refs)

    assert [mail.ref for mail in fetched if isinstance(mail, FetchedMail)] == refs
    assert [(removal.ref, removal.error) for removal in removals] == [(ref, None) for ref in refs]
    assert all(isinstance(mail, FailedFetch) for mail in nothing)
    assert client.asked == ["GetItem", "GetItem", "DeleteItem", "DeleteItem", "GetItem"]


def _refs(count: int) -> list[MailRef]:
    return [MailRef(f"m{n}", f"item-{n}", None, 10, "IPM.Note") for n in range(count)]


@pytest.mark.parametrize("code", ["ErrorIrresolvableConflict", "ErrorCannotDeleteObject", "ErrorMoveCopyFailed"])
async def test_of_two_mails_the_one_that_exchange_did_not_remove_is_not_told_as_removed(code: str) -> None:
    """Only a mail that is gone needs no removal; one that somebody just changed is still there."""
    refs = _refs(2)
    for first, second in (("NoError", code), (code, "NoError"), ("ErrorItemNotFound", code)):
        client = Exchange(_message("DeleteItem", code=first) + _message("DeleteItem", code=second))

        with contextlib.closing(client):
            removals = await EwsInbox(client, "dispatch@example.org").remove(
                [(ref, PublishReceipt(ref.message_id)) for ref in refs]
            )

        assert [removal.ref for removal in removals] == refs
        assert [removal.error is not None for removal in removals] == [first == code, second == code]


async def test_a_receipt_for_another_mail_removes_nothing_wherever_it_stands_in_a_batch() -> None:
    client, (first, second) = Exchange(_message("DeleteItem") * 2), _refs(2)

    with contextlib.closing(client), pytest.raises(ValueError, match="another mail"):
        await EwsInbox(client, "dispatch@example.org").remove(
            [(first, PublishReceipt(first.message_id)), (second, PublishReceipt("m7"))]
        )

    assert client.asked == []


@pytest.mark.parametrize("code", ["ErrorIrresolvableConflict", "ErrorMoveCopyFailed"])
async def test_of_two_mails_the_one_that_exchange_did_not_park_is_not_told_as_parked(code: str) -> None:
    folder = '<m:RootFolder><t:Folders><t:Folder><t:FolderId Id="p"/></t:Folder></t:Folders></m:RootFolder>'
    refs = _refs(2)
    for first, second in (("NoError", code), (code, "NoError"), ("ErrorItemNotFound", code)):
        client = Exchange(
            _message("FindFolder", folder), _message("MoveItem", code=first) + _message("MoveItem", code=second)
        )

        with contextlib.closing(client):
            removals = await EwsInbox(client, "dispatch@example.org").park(
                [(ref, "mime_empty", PublishReceipt(ref.message_id)) for ref in refs]
            )

        assert [removal.ref for removal in removals] == refs
        assert [removal.error is not None for removal in removals] == [first == code, second == code]
