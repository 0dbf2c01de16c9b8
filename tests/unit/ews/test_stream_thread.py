"""A stream ends within its bounds, whatever the other side sends, and takes no more memory than a message."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
import tracemalloc
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest
import requests

from bridge.adapters.ews import stream_thread
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.adapters.ews.stream_thread import StreamThread, StreamTimes
from bridge.domain.notices import Affinity, Notice, StreamGarbled, StreamRefused, StreamSilent
from bridge.errors import BridgeError, CredentialsRejected, EwsBlocked, MailboxUnavailable
from tests.support.raw_server import RawServer
from tests.unit.ews.test_stream_parser import came, envelope, ok, refused, status, told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/xml\r\nTransfer-Encoding: chunked\r\n\r\n"
_OK = envelope(ok(status("OK")))
_TIMES = StreamTimes(first_seconds=60.0, silence_seconds=60.0)
_SHORT = StreamTimes(first_seconds=1.0, silence_seconds=1.0)
"""For silence alone: what is said may come late on a busy machine."""
_PATIENCE_SECONDS = 30.0


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


@contextlib.asynccontextmanager
async def _stream(
    answer: Callable[[socket.socket, bytes], None], times: StreamTimes = _TIMES
) -> AsyncIterator[AsyncIterator[Notice]]:
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(contextlib.closing(RawServer(answer)))
        connection = EwsConnection(server.url, connections=1, call_timeout_seconds=60)
        login = ("basic", "user", "password")
        client = stack.enter_context(contextlib.closing(EwsClient(connection, login=login)))
        notifications = stack.enter_context(
            contextlib.closing(EwsNotifications(connection, client, login=login, times=times))
        )
        async with notifications.stream(
            ["one"], lead_mailbox="dispatch@example.org", affinity=Affinity("be1", "be1~7")
        ) as notices:
            yield notices


async def _all(notices: AsyncIterator[Notice]) -> list[Notice]:
    async def collect() -> list[Notice]:
        return [notice async for notice in notices]

    return await asyncio.wait_for(collect(), _PATIENCE_SECONDS)


def _sends(*pieces: bytes, over: threading.Event | None = None) -> Callable[[socket.socket, bytes], None]:
    """Return an answer of these pieces; then the connection stays open until `over`, or ends."""

    def answer(connection: socket.socket, _: bytes) -> None:
        for piece in pieces:
            connection.sendall(piece)
        if over is not None:
            over.wait(_PATIENCE_SECONDS)
        connection.shutdown(socket.SHUT_RDWR)

    return answer


async def test_a_stream_is_asked_for_with_its_anchor_and_its_cookie_and_uncompressed() -> None:
    asked: list[bytes] = []

    def answer(connection: socket.socket, request: bytes) -> None:
        asked.append(request)
        closed = envelope(ok(status("Closed")))
        connection.sendall(_HEAD + _chunk(_OK) + _chunk(envelope(ok(told("one", came())))) + _chunk(closed))

    async with _stream(answer) as notices:
        said = await _all(notices)

    assert said[-1].closed
    assert frozenset().union(*(notice.arrived for notice in said)) == {"one"}
    [request] = asked
    head = request.partition(b"\r\n\r\n")[0].lower()
    assert b"x-anchormailbox: dispatch@example.org" in head
    assert b"x-preferserveraffinity: true" in head
    assert b"cookie: x-backendoverridecookie=be1~7" in head
    assert b"accept-encoding: identity" in head
    assert b"<m:ConnectionTimeout" in request


@pytest.mark.parametrize(
    ("pieces", "error"),
    [
        ((_HEAD,), StreamSilent),
        ((b"HTTP/1.1 200 OK\r\n",), StreamSilent),
        ((), StreamSilent),
        ((_HEAD + _chunk(_OK),), StreamSilent),
        ((_HEAD + _chunk(_OK[:100]),), StreamSilent),
        ((_HEAD + _chunk(b"\x00\xff"),), StreamGarbled),
        ((_HEAD + _chunk(_OK) + _chunk(b"no xml"),), StreamGarbled),
        ((_HEAD + _chunk(envelope(refused("ErrorInvalidOperation"))),), StreamRefused),
        ((_HEAD + _chunk(_OK) + b"zz\r\n",), MailboxUnavailable),
        ((b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n",), CredentialsRejected),
        ((b"HTTP/1.1 403 No\r\nX-EWS-Policy-Reason: EWS is disabled\r\nContent-Length: 0\r\n\r\n",), EwsBlocked),
        ((b"HTTP/1.1 302 No\r\nLocation: https://example.com/\r\nContent-Length: 0\r\n\r\n",), MailboxUnavailable),
        ((b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\noops",), MailboxUnavailable),
    ],
)
async def test_a_stream_that_stays_open_and_says_nothing_right_ends_with_an_error(
    pieces: tuple[bytes, ...], error: type[BridgeError]
) -> None:
    over = threading.Event()
    started = time.monotonic()
    try:
        async with _stream(_sends(*pieces, over=over), _SHORT if error is StreamSilent else _TIMES) as notices:
            with pytest.raises(error):
                await _all(notices)
        assert time.monotonic() - started < 15
    finally:
        over.set()


@pytest.mark.parametrize("tail", [b"", _chunk(_OK[:100]), _chunk(b"  ")[:3]])
async def test_a_stream_that_breaks_off_is_no_stream_that_ends(tail: bytes) -> None:
    async with _stream(_sends(_HEAD + _chunk(_OK) + tail)) as notices:
        with pytest.raises(MailboxUnavailable):
            await _all(notices)


async def test_half_a_message_at_the_end_is_garbled() -> None:
    async with _stream(_sends(_HEAD + _chunk(_OK) + _chunk(_OK[:100]) + b"0\r\n\r\n")) as notices:
        with pytest.raises(StreamGarbled):
            await _all(notices)


async def test_bytes_without_messages_are_no_sign_of_life() -> None:
    """A proxy that keeps the connection warm would keep a dead stream for ever."""
    over = threading.Event()

    def warm(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD + _chunk(_OK))
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(_chunk(b" "))

    try:
        async with _stream(warm, _SHORT) as notices:
            with pytest.raises(StreamSilent):
                await _all(notices)
    finally:
        over.set()


async def test_a_stream_that_never_closes_is_left_after_its_time(monkeypatch: pytest.MonkeyPatch) -> None:
    over = threading.Event()
    # Time passes as notices are taken. It is ahead of the machine's, so that nothing is late by that one.
    now = time.monotonic() + 3_600
    monkeypatch.setattr(stream_thread, "time", SimpleNamespace(monotonic=lambda: now))

    def beat(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD)
        with contextlib.suppress(OSError):
            while not over.wait(0.05):
                connection.sendall(_chunk(_OK))

    taken = 0
    try:
        times = StreamTimes(minutes=0, first_seconds=60, silence_seconds=60, late_seconds=1.0)
        async with _stream(beat, times) as notices, asyncio.timeout(_PATIENCE_SECONDS):
            async for _ in notices:
                taken += 1
                now += 0.25
    finally:
        over.set()

    assert taken >= 4


async def test_a_flood_is_taken_piece_by_piece_and_not_into_memory() -> None:
    over = threading.Event()
    flood = _chunk(envelope(ok(told("one", *(came() for _ in range(50)))))) * 20

    def pour(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD)
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection.sendall(flood)

    try:
        async with _stream(pour) as notices:
            await anext(notices)
            tracemalloc.start()
            await asyncio.sleep(1.5)  # the time in which nobody takes anything
            held = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
            count = 0
            until = time.monotonic() + 1.0
            while time.monotonic() < until:
                await anext(notices)
                count += 1
    finally:
        over.set()

    assert held < 16 << 20
    assert count <= 120


async def test_leaving_ends_the_thread_at_once_and_the_server_sees_it() -> None:
    gone = threading.Event()

    def wait(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD + _chunk(_OK))
        while connection.recv(100):
            pass
        gone.set()

    times = StreamTimes(first_seconds=60, silence_seconds=60)
    async with _stream(wait, times) as notices:
        assert await anext(notices) == Notice()
        started = time.monotonic()

    assert await asyncio.to_thread(gone.wait, _PATIENCE_SECONDS)
    assert time.monotonic() - started < 10


async def test_a_connection_that_cannot_be_closed_is_told_of_and_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def stumble(_: requests.Response) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(requests.Response, "close", stumble)
    async with _stream(_sends(_HEAD + _chunk(_OK) + _chunk(envelope(ok(status("Closed")))))) as notices:
        with pytest.raises(MailboxUnavailable, match="ConnectionResetError"):
            await _all(notices)


@pytest.mark.filterwarnings("error:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.parametrize("closed_first", [False, True])
def test_a_thread_whose_loop_is_gone_ends_and_leaves_nothing_undone(*, closed_first: bool) -> None:
    """A worker that ends waits for no answer, which may come right before its loop is closed, or after."""
    asked, over = threading.Event(), threading.Event()

    def late(_: float) -> requests.Response:
        asked.set()
        over.wait(_PATIENCE_SECONDS)
        raise MailboxUnavailable

    async def begin() -> StreamThread:
        return StreamThread(late, ["one"], _TIMES)

    before = {*threading.enumerate()}
    loop = asyncio.new_event_loop()
    stream = loop.run_until_complete(begin())
    [thread] = {*threading.enumerate()} - before
    assert asked.wait(_PATIENCE_SECONDS)
    if closed_first:
        loop.close()
    stream.close()
    over.set()
    thread.join(_PATIENCE_SECONDS)
    loop.close()

    assert not thread.is_alive()
    gc.collect()


async def test_a_thread_whose_loop_does_not_listen_waits_and_ends_when_told() -> None:
    over = threading.Event()

    def pour(connection: socket.socket, _: bytes) -> None:
        connection.sendall(_HEAD)
        with contextlib.suppress(OSError):
            while not over.is_set():
                connection.sendall(_chunk(_OK))

    before = {*threading.enumerate()}
    try:
        async with _stream(pour) as notices:
            await anext(notices)
            [thread] = [one for one in {*threading.enumerate()} - before if one.name == "ews-stream"]
            await asyncio.sleep(1.0)  # the time in which nobody takes anything
            assert thread.is_alive()
        await asyncio.to_thread(thread.join, _PATIENCE_SECONDS)
        assert not thread.is_alive()
    finally:
        over.set()
