"""What lies beside an inbox, and how full it is, is told in one call; no folder that moved is missed for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews import stamps
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.folder_counts import EwsFolderCounts
from bridge.adapters.ews.soap import MESSAGES, TYPES, ResponseMessage, parse_answer
from bridge.errors import BridgeError, CallNotPossible, MailboxThrottled, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lxml import etree

_ENVELOPE = (
    f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" xmlns:m="{MESSAGES}" xmlns:t="{TYPES}"><s:Body>'
    "<m:{0}Response><m:ResponseMessages>{1}</m:ResponseMessages></m:{0}Response></s:Body></s:Envelope>"
)


def _message(operation: str, inner: str = "", code: str = "NoError") -> str:
    kind = "Success" if code == "NoError" else "Error"
    return (
        f'<m:{operation}ResponseMessage ResponseClass="{kind}"><m:ResponseCode>{code}</m:ResponseCode>'
        f"{inner}</m:{operation}ResponseMessage>"
    )


def _found(*ids: str) -> str:
    folders = "".join(f'<t:Folder><t:FolderId Id="{one}"/></t:Folder>' for one in ids)
    return _message("FindFolder", f"<m:RootFolder><t:Folders>{folders}</t:Folders></m:RootFolder>")


def _sized(**sizes: int) -> str:
    folders = "".join(
        f'<t:Folder><t:FolderId Id="{one}"/>{_property("0xe08", size)}</t:Folder>' for one, size in sizes.items()
    )
    return _message("FindFolder", f"<m:RootFolder><t:Folders>{folders}</t:Folders></m:RootFolder>")


def _property(tag: str, value: int | str, named: str = "") -> str:
    uri = f'PropertySetId="{stamps.PROPERTY_SET}" PropertyName="{named}"' if named else f'PropertyTag="{tag}"'
    kind = "String" if named else "Long"
    return (
        f'<t:ExtendedProperty><t:ExtendedFieldURI {uri} PropertyType="{kind}"/><t:Value>{value}</t:Value>'
        "</t:ExtendedProperty>"
    )


def _folder(name: str, total: int = 0, *, size: int | None = None, parent: str = "top", shown: str = "") -> str:
    measured = "" if size is None else _property("0x0E08", size)
    return _message(
        "GetFolder",
        f'<m:Folders><t:Folder><t:FolderId Id="{name}"/><t:ParentFolderId Id="{parent}"/>'
        f"<t:DisplayName>{shown or name}</t:DisplayName><t:TotalCount>{total}</t:TotalCount>{measured}"
        "</t:Folder></m:Folders>",
    )


def _root(*, send_kb: int | None = None, receive_kb: int | None = None) -> str:
    limits = [("0x666E", send_kb), ("0x666A", receive_kb)]
    shown = "".join(_property(tag, limit) for tag, limit in limits if limit is not None)
    return _message("GetFolder", f'<m:Folders><t:Folder><t:FolderId Id="root"/>{shown}</t:Folder></m:Folders>')


def _holds(junk: int | str, *parked: int | str) -> str:
    """Answer for the root, the junk folder, those that grow, and the one of parked mails."""
    counts = [("junk", junk), *[(name, 0) for name in ("inbox", "deleted", "sent")], *[("parked", n) for n in parked]]
    return _root() + "".join(
        _message("GetFolder", code=count) if isinstance(count, str) else _folder(name, count) for name, count in counts
    )


def _without_root(junk: int) -> str:
    return _holds(junk).removeprefix(_root())


def _fault(code: str) -> str:
    return f"<s:Fault><faultcode>s:{code}</faultcode></s:Fault>"


def _reasons(*codes: str) -> str:
    items = "".join(
        f'<t:Message><t:ItemId Id="{n}"/>{_property("", code, stamps.REASON) if code else ""}</t:Message>'
        for n, code in enumerate(codes)
    )
    last = 'IncludesLastItemInRange="true" TotalItemsInView="1"'
    return _message("FindItem", f"<m:RootFolder {last}><t:Items>{items}</t:Items></m:RootFolder>")


class Exchange(EwsClient):
    """A client whose calls are answered out of a list of response messages."""

    def __init__(self) -> None:
        super().__init__(EwsConnection("http://127.0.0.1:1"), login=("basic", "user", "password"))
        self.answers: list[str] = []
        self.asked: list[str] = []
        self.folders: list[list[str | None]] = []

    def _call(
        self, address: str, payload: etree._Element, timeout_seconds: float | None, look: Callable[[], None]
    ) -> list[ResponseMessage]:
        operation = str(payload.tag).rpartition("}")[2]
        self.asked.append(operation)
        if operation == "GetFolder":
            self.folders.append([one.get("Id") for one in payload[-1]])
        answer, envelope = self.answers.pop(0), _ENVELOPE
        if answer.startswith("<s:Fault>"):
            envelope = _ENVELOPE.partition("<s:Body>")[0] + "<s:Body>{1}</s:Body></s:Envelope>"
        return parse_answer(envelope.format(operation, answer).encode(), operation)


@pytest.fixture
def exchange() -> Iterator[Exchange]:
    made = Exchange()
    yield made
    made.close()


class Clock:
    """Stands still until it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


async def _counts(aside: EwsFolderCounts) -> tuple[int | None, int | None]:
    return (await aside.count())[:2]


async def test_both_folders_are_counted_in_one_call_once_they_are_known(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found("parked-id"), _sized(), _holds(3, 2), _reasons("", ""), _holds(4, 2), _holds(5, 0)]

    assert [await _counts(aside) for _ in range(3)] == [(3, 2), (4, 2), (5, 0)]
    assert exchange.asked == ["FindFolder", "FindFolder", "GetFolder", "FindItem", "GetFolder", "GetFolder"]
    assert exchange.folders == [["root", "junkemail", "inbox", "deleteditems", "sentitems", "parked-id"]] * 3


async def test_where_nothing_was_ever_parked_nothing_is_looked_for_each_time(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found(), _sized(), _holds(0), _holds(1)]

    assert [await _counts(aside), await _counts(aside)] == [(0, 0), (1, 0)]
    assert exchange.asked == ["FindFolder", "FindFolder", "GetFolder", "GetFolder"]


@pytest.mark.parametrize("how", ["parked", "time"])
async def test_the_folder_is_looked_for_after_a_mail_was_parked_and_now_and_then(exchange: Exchange, how: str) -> None:
    clock = Clock()
    aside = EwsFolderCounts(exchange, "dispatch@example.org", monotonic=clock)
    exchange.answers = [_found(), _sized(), _holds(0), _found("made"), _sized(), _holds(0, 1), _reasons("")]
    await aside.count()

    if how == "parked":
        aside.look_anew()
    else:
        clock.now = 601.0

    assert await _counts(aside) == (0, 1)


async def test_a_folder_that_is_gone_is_looked_for_the_next_time(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found("old"), _sized(), _holds(1, "ErrorItemNotFound")]
    exchange.answers += [_found("new"), _sized(), _holds(1, 5), _reasons("")]

    assert [await _counts(aside), await _counts(aside)] == [(1, None), (1, 5)]


async def test_parked_mail_is_counted_though_the_junk_folder_cannot_be(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found("parked-id"), _sized(), _holds("ErrorAccessDenied", 2), _reasons("", "")]

    assert await _counts(aside) == (None, 2)


async def test_a_search_that_failed_is_made_again(exchange: Exchange) -> None:
    """Otherwise a moment's trouble would hide parked mail for minutes."""
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_message("FindFolder", code="ErrorServerBusy")]
    exchange.answers += [_found("parked-id"), _sized(), _holds(0, 7), _reasons("")]
    with pytest.raises(MailboxThrottled):
        await aside.count()

    assert await _counts(aside) == (0, 7)


async def test_another_number_of_answers_is_trouble_and_no_bug(exchange: Exchange) -> None:
    exchange.answers = [_found("parked-id"), _sized(), _holds(1)]

    with pytest.raises(MailboxUnavailable):
        await EwsFolderCounts(exchange, "dispatch@example.org").count()


async def test_parked_mails_are_told_by_their_reasons_and_asked_for_once(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found("parked-id"), _sized(), _holds(0, 3), _reasons("mail_unreadable", "", "mail_unreadable")]
    exchange.answers += [_holds(0, 3), _holds(0, 1), _reasons("too_large_for_broker")]

    seen = [(await aside.count()).parked_codes for _ in range(3)]

    assert seen == [{"mail_unreadable": 2, "": 1}] * 2 + [{"too_large_for_broker": 1}]


async def test_parked_mails_are_told_though_their_reasons_cannot_be_had(exchange: Exchange) -> None:
    exchange.answers = [_found("parked-id"), _sized(), _holds(0, 3), _message("FindItem", code="ErrorServerBusy")]

    assert await _counts(EwsFolderCounts(exchange, "dispatch@example.org")) == (0, 3)


async def test_a_mailbox_is_measured_whole_and_what_grows_is_measured_at_each_look(exchange: Exchange) -> None:
    """Without what is counted twice: folders that are measured each time are part of the whole, too."""
    aside = EwsFolderCounts(exchange, "dispatch@example.org")

    def growing(deleted: int) -> str:
        sizes = {"junk": 1, "inbox": 10, "deleted": deleted, "sent": 1_000}
        limits = _root(send_kb=-1, receive_kb=4)
        return limits + "".join(_folder(name, size=size) for name, size in sizes.items())

    whole = _sized(junk=1, inbox=10, deleted=100, sent=1_000, archive=2_000)
    exchange.answers = [_found(), whole, growing(100), growing(985), growing(986)]

    sizes = [(await aside.count()).size for _ in range(3)]

    assert [(size.held_bytes, size.limit_bytes, size.full) for size in sizes if size is not None] == [
        (3_111, 4_096, False),
        (3_996, 4_096, False),
        (3_997, 4_096, False),
    ]


@pytest.mark.parametrize("what", ["no sizes", "no sum", "one missing", "no such properties"])
async def test_where_sizes_are_not_told_a_mailbox_is_not_measured_and_all_else_is_told(
    exchange: Exchange, what: str
) -> None:
    exchange.answers = [_found(), _sized(archive=1)]
    if what == "no sizes":
        exchange.answers += [_holds(2)]
    elif what == "no sum":
        exchange.answers[1] = _message("FindFolder", code="ErrorAccessDenied")
        exchange.answers += [_root() + "".join(_folder(n, 2, size=1) for n in ("junk", "inbox", "deleted", "sent"))]
    elif what == "one missing":
        sent = _message("GetFolder", code="ErrorAccessDenied")
        exchange.answers += [_root() + "".join(_folder(n, 2, size=1) for n in ("junk", "inbox", "deleted")) + sent]
    else:
        exchange.answers += [_message("GetFolder", code="ErrorInvalidPropertyRequest") * 5, _without_root(2)]

    seen = await EwsFolderCounts(exchange, "dispatch@example.org").count()

    assert (seen.junk, seen.parked, seen.size) == (2, 0, None)


async def test_the_folder_of_published_mails_is_looked_at_in_the_same_call(exchange: Exchange) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org", target="inbox/CAD/Done")
    path = [_folder("inbox-id"), _folder("cad", parent="inbox-id", shown="CAD")]
    done = _folder("done", parent="cad", shown="Done")
    exchange.answers = [_found(), _sized(), _holds(0), _found("cad"), _found("done")]
    exchange.answers += [_holds(0) + "".join(path) + done] * 2

    assert [(await aside.count()).target_missing for _ in range(3)] == [False] * 3
    assert exchange.asked[5:] == ["GetFolder"] * 2


@pytest.mark.parametrize("how", ["gone", "renamed", "deleted in Outlook", "its parent deleted in Outlook"])
async def test_a_folder_of_published_mails_that_is_no_more_is_told_until_it_is_there_again(
    exchange: Exchange, how: str
) -> None:
    """Who deletes a folder in Outlook moves it to Deleted Items: it keeps its id, and mails age away in it."""
    aside = EwsFolderCounts(exchange, "dispatch@example.org", target="inbox/CAD/Done")
    cad = _folder("cad", parent="deleted" if how.startswith("its parent") else "inbox-id", shown="CAD")
    done = {
        "gone": _message("GetFolder", code="ErrorItemNotFound"),
        "renamed": _folder("done", parent="cad", shown="Old"),
        "deleted in Outlook": _folder("done", parent="deleted", shown="Done"),
    }.get(how, _folder("done", parent="cad", shown="Done"))
    exchange.answers = [_found(), _sized(), _holds(0), _found("cad"), _found("done")]
    exchange.answers += [_holds(0) + _folder("inbox-id") + cad + done, _found("cad"), _found()]
    exchange.answers += [_holds(0), _found("cad"), _found("new")]

    assert [(await aside.count()).target_missing for _ in range(3)] == [False, True, False]


@pytest.mark.parametrize(
    "refusal",
    [
        pytest.param(_fault("ErrorInvalidRequest"), id="the whole call"),
        pytest.param(_fault("Client"), id="in words of its own"),
        pytest.param(_message("GetFolder", code="ErrorInvalidRequest") * 5, id="each folder"),
        pytest.param(_message("GetFolder", code="ErrorInvalidRequest"), id="one answer for all"),
    ],
)
async def test_a_server_that_refuses_sizes_in_any_way_is_asked_for_counts_alone(
    exchange: Exchange, refusal: str
) -> None:
    """Otherwise junk and parked mail go unseen on servers that are not Exchange."""
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found(), _sized(), refusal, _without_root(2), _without_root(3)]

    assert [await _counts(aside) for _ in range(2)] == [(2, 0), (3, 0)]
    assert [folders[0] for folders in exchange.folders] == ["root", "junkemail", "junkemail"]


@pytest.mark.parametrize("trouble", ["", _fault("ErrorServerBusy"), _fault("ErrorMailboxStoreUnavailable")])
async def test_trouble_that_passes_and_an_empty_answer_end_no_measuring(exchange: Exchange, trouble: str) -> None:
    aside = EwsFolderCounts(exchange, "dispatch@example.org")
    exchange.answers = [_found(), _sized(), trouble, _holds(1), _fault("ErrorInvalidRequest"), _holds(2)]
    with pytest.raises(BridgeError):
        await aside.count()

    assert await _counts(aside) == (1, 0)
    with pytest.raises(CallNotPossible):  # no refusal of sizes: the question was answered before
        await aside.count()
    assert await _counts(aside) == (2, 0)
    assert [folders[0] for folders in exchange.folders] == ["root"] * 4
