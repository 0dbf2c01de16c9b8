"""Faults of connections: what happens between the kernel's accept and the first byte of HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.resets import close_by_reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    Effect = Callable[["Line", dict[str, Any]], Awaitable[None]]

# A client that connects and says nothing is not waited for any longer.
_HELLO_SECONDS: Final = 60.0
_FAREWELL_SECONDS: Final = 5.0
_MOST_BYTES: Final = 1 << 16
_PIECES_A_SECOND: Final = 20
_FATAL: Final = 2
_PROTOCOL_VERSION: Final = 70
_PAGE: Final = b"<html><body>This port speaks HTTP without TLS.</body></html>"
_PLAINTEXT: Final = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/html\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s"
    % (len(_PAGE), _PAGE)
)


class Line:
    """One accepted connection, its socket ours alone; `serve` hands a socket on to the HTTPS server."""

    def __init__(
        self, plain: socket.socket, context: ssl.SSLContext, serve: Callable[[socket.socket], Awaitable[None]]
    ) -> None:
        """Own `plain`; `context` is what the server would show."""
        self.plain = plain
        self.context = context
        self.serve = serve

    async def hello(self) -> bytes:
        """Return what the client says first, nothing where it says nothing."""
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(_HELLO_SECONDS):
            return await loop.sock_recv(self.plain, _MOST_BYTES)

    async def say(self, data: bytes) -> None:
        """Put bytes on the connection."""
        await asyncio.get_running_loop().sock_sendall(self.plain, data)

    async def hold(self, seconds: float) -> None:
        """Say nothing for so long, or until the client has gone; what it says is not listened to."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while await loop.sock_recv(self.plain, _MOST_BYTES):
                    pass

    def reset(self) -> None:
        """End the connection by a reset."""
        close_by_reset(self.plain)

    async def end(self) -> None:
        """End the connection so that what was said arrives."""
        self.plain.shutdown(socket.SHUT_WR)
        await self.hold(_FAREWELL_SECONDS)
        self.plain.close()


async def strike(line: Line, kind: str, given: dict[str, Any]) -> None:
    """Do a fault to a connection; it is closed afterwards. What the network does to it meanwhile is no error."""
    try:
        # An OSError, of which TimeoutError is one: the client has gone, or said nothing. Nobody is left to do it to.
        with contextlib.suppress(OSError):
            await _EFFECTS[kind](line, given)
    finally:
        line.plain.close()


async def _tcp_reset(line: Line, _given: dict[str, Any]) -> None:
    line.reset()


async def _tcp_silent(line: Line, given: dict[str, Any]) -> None:
    await line.hold(given["seconds"])
    line.reset()


async def _tls_reset(line: Line, _given: dict[str, Any]) -> None:
    await line.hello()
    line.reset()


async def _tls_stall(line: Line, given: dict[str, Any]) -> None:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    handshake = line.context.wrap_bio(incoming, outgoing, server_side=True)
    incoming.write(await line.hello())
    with contextlib.suppress(ssl.SSLError):  # it wants what the client says next, or does not like what it said
        handshake.do_handshake()
    answer = outgoing.read()
    await line.say(answer[: len(answer) // 2])
    await line.hold(given["seconds"])
    line.reset()


async def _tls_alert(line: Line, given: dict[str, Any]) -> None:
    await _alert(line, given["description"])


async def _tls_version_refused(line: Line, _given: dict[str, Any]) -> None:
    await _alert(line, _PROTOCOL_VERSION)


async def _alert(line: Line, description: int) -> None:
    await line.hello()
    await line.say(bytes([21, 3, 3, 0, 2, _FATAL, description]))
    await line.end()


async def _tls_plaintext(line: Line, _given: dict[str, Any]) -> None:
    await line.hello()
    await line.say(_PLAINTEXT)
    await line.end()


async def _slow_line(line: Line, given: dict[str, Any]) -> None:
    # The server gets the other end of a pair, and every byte goes by here.
    ours, theirs = socket.socketpair()
    ours.settimeout(0)
    theirs.settimeout(0)
    ways = [
        asyncio.ensure_future(line.serve(theirs)),
        asyncio.create_task(_carry(line.plain, ours, given["request_bytes_per_second"])),
        asyncio.create_task(_carry(ours, line.plain, given["answer_bytes_per_second"])),
    ]
    try:
        # One way that broke makes the others of no use.
        await asyncio.wait(ways, return_when=asyncio.FIRST_EXCEPTION)
    finally:
        for way in ways:
            way.cancel()
        # Nobody may wait for a socket that is closed: its number is soon another's.
        await asyncio.gather(*ways, return_exceptions=True)
        ours.close()


async def _carry(source: socket.socket, target: socket.socket, rate: int | None) -> None:
    """Carry bytes until the source ends, at a rate."""
    loop = asyncio.get_running_loop()
    most = _MOST_BYTES if rate is None else max(1, min(_MOST_BYTES, rate // _PIECES_A_SECOND))
    while data := await loop.sock_recv(source, most):
        await loop.sock_sendall(target, data)
        if rate is not None:
            await asyncio.sleep(len(data) / rate)
    target.shutdown(socket.SHUT_WR)


_EFFECTS: Final[Mapping[str, Effect]] = {
    "tcp_reset": _tcp_reset,
    "tcp_silent": _tcp_silent,
    "tls_reset": _tls_reset,
    "tls_stall": _tls_stall,
    "tls_alert": _tls_alert,
    "tls_version_refused": _tls_version_refused,
    "tls_plaintext": _tls_plaintext,
    "slow_line": _slow_line,
}
WRONG_CERTIFICATES: Final = {
    "certificate_expired": "expired",
    "certificate_not_yet_valid": "not_yet_valid",
    "certificate_wrong_host": "wrong_host",
    "certificate_untrusted": "untrusted",
}
"""The kinds that serve as usual, but under one of the wrong certificates of `bridge.sandbox.presented`."""
