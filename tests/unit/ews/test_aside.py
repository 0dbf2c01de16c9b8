"""Junk and parked mail of a mailbox are counted in one call, and no folder that moved is missed for long."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.aside import EwsAside
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.soap import MESSAGES, TYPES, ResponseMessage, parse_answer
from bridge.domain.mail import LeftAside
from bridge.errors import MailboxThrottled, MailboxUnavailable

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


def _holds(*counts: int | str) -> str:
    return "".join(
        _message("GetFolder", code=one)
        if isinstance(one, str)
        else _message("GetFolder", f"<m:Folders><t:Folder><t:TotalCount>{one}</t:TotalCount></t:Folder></m:Folders>")
        for one in counts
    )


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
        return parse_answer(_ENVELOPE.format(operation, self.answers.pop(0)).encode(), operation)


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


async def test_both_folders_are_counted_in_one_call_once_they_are_known(exchange: Exchange) -> None:
    aside = EwsAside(exchange, "dispatch@example.org")
    exchange.answers = [_found("parked-id"), _holds(3, 2), _holds(4, 0)]

    assert [await aside.count(), await aside.count()] == [LeftAside(3, 2), LeftAside(4, 0)]
    assert exchange.asked == ["FindFolder", "GetFolder", "GetFolder"]
    assert exchange.folders == [["junkemail", "parked-id"]] * 2


async def test_where_nothing_was_ever_parked_nothing_is_looked_for_each_time(exchange: Exchange) -> None:
    aside = EwsAside(exchange, "dispatch@example.org")
    exchange.answers = [_found(), _holds(0), _holds(1)]

    assert [await aside.count(), await aside.count()] == [LeftAside(0, 0), LeftAside(1, 0)]
    assert exchange.asked == ["FindFolder", "GetFolder", "GetFolder"]


@pytest.mark.parametrize("how", ["parked", "time"])
async def test_the_folder_is_looked_for_after_a_mail_was_parked_and_now_and_then(exchange: Exchange, how: str) -> None:
    clock = Clock()
    aside = EwsAside(exchange, "dispatch@example.org", monotonic=clock)
    exchange.answers = [_found(), _holds(0), _found("made"), _holds(0, 1)]
    await aside.count()

    if how == "parked":
        aside.look_anew()
    else:
        clock.now = 601.0

    assert await aside.count() == LeftAside(0, 1)


async def test_a_folder_that_is_gone_is_looked_for_the_next_time(exchange: Exchange) -> None:
    aside = EwsAside(exchange, "dispatch@example.org")
    exchange.answers = [_found("old"), _holds(1, "ErrorItemNotFound"), _found("new"), _holds(1, 5)]

    assert [await aside.count(), await aside.count()] == [LeftAside(1, None), LeftAside(1, 5)]


async def test_parked_mail_is_counted_though_the_junk_folder_cannot_be(exchange: Exchange) -> None:
    aside = EwsAside(exchange, "dispatch@example.org")
    exchange.answers = [_found("parked-id"), _holds("ErrorAccessDenied", 2)]

    assert await aside.count() == LeftAside(None, 2)


async def test_a_search_that_failed_is_made_again(exchange: Exchange) -> None:
    """Otherwise a moment's trouble would hide parked mail for minutes."""
    aside = EwsAside(exchange, "dispatch@example.org")
    exchange.answers = [_message("FindFolder", code="ErrorServerBusy"), _found("parked-id"), _holds(0, 7)]
    with pytest.raises(MailboxThrottled):
        await aside.count()

    assert await aside.count() == LeftAside(0, 7)


async def test_another_number_of_answers_is_trouble_and_no_bug(exchange: Exchange) -> None:
    exchange.answers = [_found("parked-id"), _holds(1)]

    with pytest.raises(MailboxUnavailable):
        await EwsAside(exchange, "dispatch@example.org").count()
