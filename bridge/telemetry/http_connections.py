"""
Bounds for those who ask: how many connections there are, and how long each may take to ask and be answered.

The HTTP library waits for ever for the head of a request, on any number of connections. Each takes a descriptor, and a
process without descriptors can read no secret, open no connection and tell nobody.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, Literal, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MOST: Final = 32
"""A probe, a few Prometheus servers and a person take four."""
SECONDS: Final = 10.0
"""For a request from the connection on, for the next one, and for taking an answer."""

Why = Literal["too_many", "too_slow"]


class Connections:
    """Of one server."""

    def __init__(self, closed: Callable[[Why], None], *, most: int = MOST, seconds: float = SECONDS) -> None:
        """`closed` hears of each connection that was ended here."""
        self._closed = closed
        self._most = most
        self.seconds = seconds
        self._open: dict[asyncio.BaseTransport, asyncio.TimerHandle] = {}
        """Who was answered longest ago, or never, first."""

    def guarded(self, make: Callable[[], asyncio.Protocol]) -> Callable[[], asyncio.Protocol]:
        """Return what makes protocols whose connections are bounded."""
        return lambda: _Guarded(make(), self)

    def opened(self, transport: asyncio.BaseTransport) -> None:
        """Give a connection its time; where there are too many, the one that has been idle longest is closed for it."""
        self._give_time(transport)
        if len(self._open) > self._most:
            self._end(next(iter(self._open)), "too_many")

    def answering(self, transport: asyncio.BaseTransport | None) -> None:
        """Give a connection that has asked its time anew."""
        if transport in self._open:
            self._open.pop(transport).cancel()
            self._give_time(transport)

    def lost(self, transport: asyncio.BaseTransport) -> None:
        """Forget one that is closed."""
        if (timer := self._open.pop(transport, None)) is not None:
            timer.cancel()

    def _give_time(self, transport: asyncio.BaseTransport) -> None:
        self._open[transport] = asyncio.get_running_loop().call_later(self.seconds, self._end, transport, "too_slow")

    def _end(self, transport: asyncio.BaseTransport, why: Why) -> None:
        self.lost(transport)
        self._closed(why)
        cast("asyncio.WriteTransport", transport).abort()  # what nobody takes would keep it open


class _Guarded(asyncio.Protocol):
    """Passes everything on, and tells of the connection."""

    def __init__(self, inner: asyncio.Protocol, connections: Connections) -> None:
        self._inner = inner
        self._connections = connections
        self._transport: asyncio.BaseTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._inner.connection_made(transport)
        self._connections.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is not None:
            self._connections.lost(self._transport)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received()

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()
