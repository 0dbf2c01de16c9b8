"""No library repeats a call on its own: a send that got no answer must not be made a second time."""

from __future__ import annotations

import contextlib
import socket

import pytest
from exchangelib import FailFast

from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.soap import element
from bridge.errors import BridgeError
from tests.support.raw_server import RawServer


def test_exchangelib_gives_up_at_the_first_failure_on_every_connection() -> None:
    with contextlib.closing(
        EwsClient(EwsConnection("http://127.0.0.1:1", connections=3), login=("basic", "u", "p"))
    ) as made:
        lanes = [made._lanes.get() for _ in range(3)]

    assert {type(lane.config.retry_policy) for lane in lanes} == {FailFast}


async def test_a_connection_that_is_refused_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    connection = EwsConnection("http://127.0.0.1:1", connections=1, call_timeout_seconds=5)

    with (
        contextlib.closing(EwsClient(connection, login=("basic", "u", "p"))) as client,
        pytest.raises(BridgeError),
    ):
        await client.call("dispatch@example.org", element("m:SendItem"))

    assert len(tried) == 1


@pytest.mark.parametrize(
    "last_words", [b"", b"HTTP/1.1 200 OK\r\nContent-Le", b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n"]
)
async def test_a_call_whose_answer_is_lost_is_made_once(last_words: bytes) -> None:
    asked: list[bytes] = []

    def die(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        connection.sendall(last_words)
        connection.shutdown(socket.SHUT_RDWR)

    with contextlib.closing(RawServer(die)) as server:
        connection = EwsConnection(server.url, connections=1, call_timeout_seconds=5)
        with (
            contextlib.closing(EwsClient(connection, login=("basic", "u", "p"))) as client,
            pytest.raises(BridgeError),
        ):
            await client.call("dispatch@example.org", element("m:SendItem"))

    assert len(asked) == 1
