"""Every request to Entra ends in time, with an answer that can be used; the environment decides on proxies alone."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.http import Heard, UnusableAnswerError, session, session_for
from bridge.adapters.http_trust import Trust
from bridge.ports.server_time import ServerTime
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    from collections.abc import Iterator

_APP = EntraApp("https://localhost/tenant", "client", "scope", timeout_seconds=0.4)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@contextlib.contextmanager
def answering(answer: bytes) -> Iterator[tuple[RawServer, list[bytes]]]:
    asked: list[bytes] = []

    def give(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(answer)

    with contextlib.closing(RawServer(give)) as server:
        yield server, asked


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_of_entra_that_trickles_ends_at_the_deadline(begin: bytes, more: bytes) -> None:
    over = threading.Event()

    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(begin)
        while not over.wait(0.05):
            connection.sendall(more)

    started = time.monotonic()
    with contextlib.closing(RawServer(trickle)) as server:
        with pytest.raises(requests.RequestException):
            session_for(_APP).get(server.url)
        over.set()

    assert time.monotonic() - started < 60  # for ever, without one


def test_a_date_that_came_over_plain_http_tells_no_time() -> None:
    """Anybody on the way could set it, and by it requests expire."""
    heard = ServerTime("Entra")
    dated = _OK.replace(b"OK\r\n", b"OK\r\nDate: Tue, 24 Nov 2026 03:00:00 GMT\r\n")

    with answering(dated) as (server, _):
        assert session(Trust(None), 10.0, Heard(), server_time=heard).get(server.url).headers["Date"]

    assert heard.heard() is None


def test_a_connection_to_entra_that_is_refused_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When to ask again is decided in one place, and not by a library below it."""
    tried: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)

    with pytest.raises(requests.ConnectionError):
        session_for(_APP).get("http://127.0.0.1:1/tenant")

    assert len(tried) == 1


@pytest.mark.parametrize(
    ("answer", "wait"),
    [
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 60\r\nContent-Length: 2\r\n\r\n{}", 60),
        (b"HTTP/1.1 503 No\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\n{}", 7),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 99999999\r\nContent-Length: 2\r\n\r\n{}", 3600),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: 1" + b"0" * 400 + b"\r\nContent-Length: 2\r\n\r\n{}", 5),
        (b"HTTP/1.1 429 Slow\r\nRetry-After: -5\r\nContent-Length: 2\r\n\r\n{}", 5),
        (b"HTTP/1.1 503 No\r\nRetry-After: -5\r\nContent-Length: 2\r\n\r\n{}", None),
        (
            (
                b"HTTP/1.1 429 Slow\r\nDate: Sun, 06 Nov 1994 08:49:00 GMT\r\n"
                b"Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n{}"
            ),
            37,
        ),
        (b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\n{}", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]", None),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", None),
        (b"HTTP/1.1 307 There\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 2\r\n\r\n{}", None),
    ],
)
def test_an_answer_that_is_not_entras_word_is_none(answer: bytes, wait: float | None) -> None:
    with answering(answer) as (server, _), pytest.raises(UnusableAnswerError) as caught:
        session_for(_APP).get(server.url)

    assert caught.value.retry_after_seconds == wait


def test_a_proxy_of_the_environment_is_used_and_no_other_setting_of_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: object
) -> None:
    """requests would take a login for the host from .netrc."""
    netrc = f"{tmp_path}/netrc"
    with open(netrc, "w") as file:  # noqa: PTH123 - a path for a variable
        file.write("machine entra.invalid login mArKeR password mArKeR\n")
    monkeypatch.setenv("NETRC", netrc)
    with answering(_OK) as (proxy, asked):
        monkeypatch.setenv("http_proxy", proxy.url.removesuffix("/EWS/Exchange.asmx"))
        monkeypatch.delenv("no_proxy", raising=False)
        monkeypatch.delenv("NO_PROXY", raising=False)
        answer = session_for(_APP).get("http://entra.invalid/tenant")

    assert answer.status_code == 200
    assert asked[0].startswith(b"GET http://entra.invalid/tenant")
    assert b"Authorization" not in asked[0]


@pytest.mark.parametrize("name", ["NO_PROXY", "no_proxy"])
def test_a_host_that_needs_no_proxy_is_asked_directly(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    for other in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(other, raising=False)
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv(name, "example.net, 127.0.0.0/8")
    with answering(_OK) as (server, asked):
        answer = session_for(_APP).get(server.url)

    assert answer.status_code == 200
    assert asked[0].startswith(b"GET /")


def test_the_metadata_endpoint_is_asked_directly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    with answering(_OK) as (server, _):
        answer = session(Trust(None), 1, Heard(), metadata=True).get(server.url)

    assert answer.status_code == 200


def test_the_clock_of_the_other_side_is_heard() -> None:
    heard = Heard()
    with answering(b"HTTP/1.1 200 OK\r\nDate: Sun, 06 Nov 1994 08:49:37 GMT\r\nContent-Length: 2\r\n\r\n{}") as (
        server,
        _,
    ):
        session(Trust(None), 1, heard, wall_clock=lambda: 784111777.0 - 300).get(server.url)

    assert heard.clock_ahead_seconds == 300
