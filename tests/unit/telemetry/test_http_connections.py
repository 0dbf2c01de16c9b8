"""Those who ask over HTTP are bounded, in number and in time, and one who asks properly is answered all the same."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pytest

from bridge.telemetry import http_connections
from bridge.telemetry.health import Health
from bridge.telemetry.http import TelemetryServer
from bridge.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_HALF = b"GET /health/live HTTP/1.1\r\nHost: a\r\n"
_WHOLE = _HALF + b"\r\n"
_FOR_EVER = 1_000.0
"""No test is that slow: a connection is closed because there are too many, or not at all."""


class Place:
    """A server, and connections to it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.server = TelemetryServer(self.metrics, Health(), {})
        self._writers: list[asyncio.StreamWriter] = []

    async def connected(self, text: bytes = b"") -> asyncio.StreamReader:
        """Return what comes on a connection on which this was said."""
        port = int(self.server.url.rpartition(":")[2])
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        self._writers.append(writer)
        writer.write(text)
        await writer.drain()
        return reader

    def say(self, text: bytes) -> None:
        """Say more on the last connection."""
        self._writers[-1].write(text)

    def closed(self, reason: str) -> int:
        """Return how many connections the server ended, by its own count."""
        return int(self.metrics.closed_http_connections.labels(reason)._value.get())

    async def close(self) -> None:
        for writer in self._writers:
            writer.close()
        await self.server.close()


@pytest.fixture
def seconds() -> float:
    """How long a connection may take; tests of that say less."""
    return _FOR_EVER


@pytest.fixture
async def place(monkeypatch: pytest.MonkeyPatch, seconds: float) -> AsyncIterator[Place]:
    monkeypatch.setattr(http_connections.Connections.__init__, "__kwdefaults__", {"most": 4, "seconds": seconds})
    made = Place()
    await made.server.start("127.0.0.1", 0)
    yield made
    await made.close()


async def _ended(reader: asyncio.StreamReader) -> bytes:
    """Return what came until the end, whichever end it was."""
    said = b""
    with contextlib.suppress(ConnectionError):
        async with asyncio.timeout(60):
            while piece := await reader.read(1 << 16):
                said += piece
    return said


@pytest.mark.parametrize("seconds", [1.0])
@pytest.mark.parametrize("said", [b"", _HALF, b"POST /health HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n"])
async def test_whoever_does_not_come_to_the_end_of_a_request_is_closed(place: Place, said: bytes) -> None:
    reader = await place.connected(said)

    await _ended(reader)

    assert place.closed("too_slow") == 1


@pytest.mark.parametrize("seconds", [1.0])
async def test_a_request_that_trickles_does_not_buy_time(place: Place) -> None:
    reader = await place.connected(b"GET /health/live HTTP/1.1\r\n")
    ended = asyncio.create_task(_ended(reader))

    while not ended.done():
        place.say(b"X-A: b\r\n")
        await asyncio.wait({ended}, timeout=0.05)

    assert await ended == b""
    assert place.closed("too_slow") == 1


async def test_a_connection_beyond_the_bound_takes_the_place_of_the_one_that_is_idle_longest(place: Place) -> None:
    first = await place.connected(_WHOLE)
    assert (await first.readline()).startswith(b"HTTP/1.1 200")
    half = [await place.connected(_HALF) for _ in range(3)]
    assert place.closed("too_many") == 0

    asked = [await place.connected(_WHOLE) for _ in range(3)]
    for reader in asked:
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")

    assert place.closed("too_many") == 3
    assert await _ended(first) != b""
    assert [await _ended(reader) for reader in half[:2]] == [b"", b""]


async def test_three_hundred_half_requests_keep_nobody_from_an_answer(place: Place) -> None:
    for _ in range(300):
        await place.connected(_HALF)

    reader = await place.connected(_WHOLE)

    async with asyncio.timeout(60):
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert place.closed("too_many") == 297


class Transport(asyncio.Transport):
    """Is aborted, or not."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


async def test_each_question_gives_a_connection_its_time_anew() -> None:
    """As Prometheus asks, again and again on one connection."""
    ended: list[str] = []
    connections = http_connections.Connections(ended.append, most=2, seconds=1_000)
    asks, is_silent, comes = Transport(), Transport(), Transport()
    connections.opened(asks)
    connections.opened(is_silent)

    connections.answering(asks)
    connections.opened(comes)

    assert (asks.aborted, is_silent.aborted, comes.aborted) == (False, True, False)
    assert ended == ["too_many"]
    for one in (asks, comes):
        connections.lost(one)
