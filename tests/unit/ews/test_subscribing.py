"""Subscriptions are made whatever stands in the head of an answer, and not held up by those that are ended."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.domain.notices import Affinity
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_PATIENCE_SECONDS = 30.0
_MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
_SUBSCRIBED = (
    '<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>'
    f'<m:SubscribeResponse xmlns:m="{_MESSAGES}">'
    '<m:ResponseMessages><m:SubscribeResponseMessage ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>'
    "<m:SubscriptionId>one</m:SubscriptionId></m:SubscribeResponseMessage></m:ResponseMessages></m:SubscribeResponse>"
    "</s:Body></s:Envelope>"
).encode()


@contextlib.contextmanager
def _open(answer: Callable[[socket.socket, bytes], None]) -> Iterator[EwsNotifications]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.closing(RawServer(answer)))
        connection = EwsConnection(server.url, connections=1, call_timeout_seconds=_PATIENCE_SECONDS)
        login = ("basic", "user", "password")
        client = stack.enter_context(contextlib.closing(EwsClient(connection, login=login)))
        yield stack.enter_context(contextlib.closing(EwsNotifications(connection, client, login=login)))


def _answer(connection: socket.socket, *headers: str) -> None:
    lines = "".join(f"{header}\r\n" for header in headers)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nContent-Length: {len(_SUBSCRIBED)}\r\n{lines}\r\n"
    connection.sendall(head.encode() + _SUBSCRIBED)


@pytest.mark.parametrize(
    ("cookies", "server"),
    [
        ((), None),
        (("X-BackEndOverrideCookie=",), None),
        (("other=be1~7; path=/",), None),
        (("X-BackEndOverrideCookie=be1~7; path=/",), "be1"),
        (("X-BackEndOverrideCookie=be1~7; path=/", "X-BackEndOverrideCookie=be1~7; path=/EWS"), "be1"),
        (("X-BackEndOverrideCookie=be1~7; path=/", "X-BackEndOverrideCookie=be1~7"), "be1"),
    ],
)
async def test_a_subscription_lies_where_the_cookie_says_however_often_it_does(
    cookies: tuple[str, ...], server: str | None
) -> None:
    lines = [f"Set-Cookie: {cookie}" for cookie in cookies]
    with _open(lambda connection, _: _answer(connection, *lines)) as notifications:
        made = await notifications.subscribe("a@example.org", ["inbox"], lead_mailbox="a@example.org", affinity=None)

    assert made.subscription == "one"
    assert made.affinity == (Affinity(server, f"{server}~7") if server else None)


async def test_subscriptions_whose_server_does_not_end_them_hold_up_no_new_ones() -> None:
    over = threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"Unsubscribe" in request:
            over.wait(_PATIENCE_SECONDS)
            connection.shutdown(socket.SHUT_RDWR)
        else:
            _answer(connection)

    with _open(answer) as notifications:
        ends = [
            asyncio.create_task(notifications.unsubscribe("a@example.org", f"old-{number}", affinity=None))
            for number in range(20)
        ]
        try:
            made = await asyncio.wait_for(
                notifications.subscribe("a@example.org", ["inbox"], lead_mailbox="a@example.org", affinity=None),
                _PATIENCE_SECONDS / 2,
            )
            assert not any(end.done() for end in ends)
        finally:
            over.set()
            for end in ends:
                end.cancel()
            await asyncio.gather(*ends, return_exceptions=True)

    assert made.subscription == "one"


async def test_mailboxes_whose_subscriptions_hang_hold_up_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.domain.lane_shares.SILENT_SECONDS", 0.3)
    over = threading.Event()

    def answer(connection: socket.socket, request: bytes) -> None:
        if b"stuck-" in request and b"Subscribe" in request:
            over.wait(120)
            connection.shutdown(socket.SHUT_RDWR)
        else:
            _answer(connection)

    with _open(answer) as notifications:
        stuck = [
            asyncio.create_task(
                notifications.subscribe(
                    f"stuck-{number}@example.org", ["inbox"], lead_mailbox="a@example.org", affinity=None
                )
            )
            for number in range(4)
        ]
        try:
            await asyncio.sleep(0.1)
            made = await asyncio.wait_for(
                notifications.subscribe("a@example.org", ["inbox"], lead_mailbox="a@example.org", affinity=None), 60
            )
            assert not any(task.done() for task in stuck)
        finally:
            over.set()
            for task in stuck:
                task.cancel()
            await asyncio.gather(*stuck, return_exceptions=True)

    assert made.subscription == "one"
