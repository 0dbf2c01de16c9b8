"""A page in place of an answer is told as that, whoever was asked."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.client import EntraClient
from bridge.adapters.entra.credential import Credential
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.soap import element
from bridge.errors import BridgeError, MailboxUnavailable, TokenUnavailable
from bridge.telemetry.reasons import CODES
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    import requests

_PAGE = b"<!DOCTYPE html><html><title>Sign in to mArKeR network</title></html>"
_PORTALS = {
    "a page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_PAGE), _PAGE),
    "the way to one": b"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/mArKeR\r\nContent-Length: 0\r\n\r\n",
    "its own status": b"HTTP/1.1 511 Network Authentication Required\r\nContent-Length: 0\r\n\r\n",
    "a page without a type": b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n\n <!-- mArKeR -->%s"
    % (len(_PAGE) + 17, _PAGE),
}
_NONE = {
    "a gateway in trouble": b"HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s"
    % (len(_PAGE), _PAGE),
    "no page": b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 3\r\n\r\n<a>",
}


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[str]:
    def give(connection: socket.socket, _: bytes) -> None:
        connection.sendall(answer)

    with contextlib.closing(RawServer(give)) as server:
        yield server.url


async def of_exchange(answer: bytes) -> BridgeError:
    with answering(answer) as url:
        connection = EwsConnection(url=url, connections=1, call_timeout_seconds=10)
        with (
            contextlib.closing(EwsClient(connection, login=("basic", "user", "password"))) as client,
            pytest.raises(BridgeError) as caught,
        ):
            await client.call("dispatch@example.org", element("m:GetItem"))
    return caught.value


def of_entra(answer: bytes, monkeypatch: pytest.MonkeyPatch) -> BridgeError:
    """MSAL asks an https:// authority alone; what it asks is brought to the server."""
    with answering(answer) as url:
        client = EntraClient(EntraApp("https://login.invalid/tenant", "client", "scope", timeout_seconds=10))
        session, there = client._session, url.partition("/EWS")[0]
        send = session.send

        def moved(request: requests.PreparedRequest, **options: Any) -> requests.Response:
            request.url = str(request.url).replace("https://login.invalid", there)
            return send(request, **options)

        monkeypatch.setattr(session, "send", moved)
        with pytest.raises(BridgeError) as caught:
            client.ask(Credential("client secret", "f", secret="s"), "https://outlook.office365.com/.default")
    return caught.value


@pytest.mark.parametrize("portal", _PORTALS)
async def test_a_captive_portal_in_front_of_exchange_is_told_as_a_page(portal: str) -> None:
    error = await of_exchange(_PORTALS[portal])

    assert (type(error), error.code) == (MailboxUnavailable, "page_instead_of_answer")
    assert "mArKeR" not in error.detail
    assert error.code in CODES


@pytest.mark.parametrize("portal", _PORTALS)
def test_a_captive_portal_in_front_of_entra_is_told_as_a_page(portal: str, monkeypatch: pytest.MonkeyPatch) -> None:
    error = of_entra(_PORTALS[portal], monkeypatch)

    assert (type(error), error.code) == (TokenUnavailable, "page_instead_of_answer")
    assert "mArKeR" not in error.detail


@pytest.mark.parametrize("answer", _NONE)
async def test_what_is_no_page_or_a_servers_own_trouble_is_not_told_as_one(
    answer: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert (await of_exchange(_NONE[answer])).code != "page_instead_of_answer"
    assert of_entra(_NONE[answer], monkeypatch).code == "token_unavailable"
