"""A client that shows what a server really sent, byte by byte, and how the connection ended."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

_PIECE = 1 << 16

Ended = Literal["end", "reset", "open"]


@dataclass(frozen=True, slots=True)
class Seen:
    """What came, when, and how it ended: by an end, by a reset, or not at all in the time that was waited."""

    data: bytes
    ended: Ended
    seconds: float
    pieces: list[tuple[float, int]] = field(default_factory=list)
    """When each piece came, in seconds since the request was sent, and how long it was."""

    @property
    def head(self) -> bytes:
        """The status line and the headers, as far as they came."""
        return self.data.partition(b"\r\n\r\n")[0]

    @property
    def body(self) -> bytes:
        """What came behind the head."""
        return self.data.partition(b"\r\n\r\n")[2]

    @property
    def content(self) -> bytes:
        """The body as the headers frame it: out of its chunks, where it is in chunks."""
        return unchunked(self.body)[0] if self.header("Transfer-Encoding") == ["chunked"] else self.body

    def header(self, name: str) -> list[str]:
        """Return all values of a header, in order."""
        lines = (line.partition(b":") for line in self.head.split(b"\r\n")[1:])
        return [value.decode().strip() for key, _, value in lines if key.decode().lower() == name.lower()]


def unchunked(body: bytes) -> tuple[bytes, list[bytes]]:
    """
    Return the content of chunks, and the lines behind the last one.

    Raises:
        ValueError: They are no chunks, or not all of them.
    """
    parts: list[bytes] = []
    while True:
        line, _, body = body.partition(b"\r\n")
        size = int(line.partition(b";")[0], 16)
        if size == 0:
            return b"".join(parts), body.split(b"\r\n")
        if body[size : size + 2] != b"\r\n":
            raise ValueError("a chunk that is shorter than it says")
        parts.append(body[:size])
        body = body[size + 2 :]


class Secured:
    """TLS over a socket by hand: Python's own takes a reset for an end where OpenSSL met it first."""

    def __init__(self, plain: socket.socket, context: ssl.SSLContext, host: str) -> None:
        """Do the handshake; raises what it fails with."""
        self._plain = plain
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        while True:
            try:
                self._tls.do_handshake()
                break
            except ssl.SSLWantReadError:
                plain.sendall(self._outgoing.read())
                self._take()
            except ssl.SSLError:
                plain.sendall(self._outgoing.read())
                raise
        plain.sendall(self._outgoing.read())

    def settimeout(self, seconds: float) -> None:
        """Wait no longer than that for the socket."""
        self._plain.settimeout(seconds)

    def sendall(self, data: bytes) -> None:
        """Send."""
        self._tls.write(data)
        self._plain.sendall(self._outgoing.read())

    def recv(self, most: int) -> bytes:
        """Return what comes next, nothing at the end, with or without TLS's own farewell."""
        while True:
            try:
                return self._tls.read(most)
            except ssl.SSLWantReadError:
                self._take()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
                return b""

    def close(self) -> None:
        """Close the socket."""
        self._plain.close()

    def _take(self) -> None:
        data = self._plain.recv(_PIECE)
        if data:
            self._incoming.write(data)
        else:
            self._incoming.write_eof()


@dataclass(frozen=True, slots=True)
class RawClient:
    """Makes one connection for each request; `headers` go with each."""

    host: str
    port: int
    ca_file: str
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)

    def connect(self, *, timeout: float = 5) -> socket.socket:
        """Return a plain connection."""
        return socket.create_connection((self.host, self.port), timeout)

    def secured(self, plain: socket.socket, context: ssl.SSLContext | None = None) -> Secured:
        """Return a connection after TLS, verified as any client should unless there is another `context`."""
        return Secured(plain, context or ssl.create_default_context(cafile=self.ca_file), self.host)

    def request(self, body: bytes) -> bytes:
        """Return the bytes of a POST."""
        given = {"Host": f"{self.host}:{self.port}", **self.headers, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
        return f"POST {self.path} HTTP/1.1\r\n{lines}\r\n".encode() + body

    def ask(self, body: bytes, *, patience: float = 0.5, timeout: float = 10) -> Seen:
        """Return what comes for a request until the end, or until nothing came for `patience` seconds."""
        with closing(self.secured(self.connect(timeout=timeout))) as secured:
            secured.sendall(self.request(body))
            return read(secured, patience=patience, timeout=timeout)


def read(connection: socket.socket | Secured, *, patience: float = 0.5, timeout: float = 10) -> Seen:
    """Return what comes until the end, or until nothing more came for `patience` seconds since the first byte."""
    started = time.monotonic()
    parts: list[bytes] = []
    pieces: list[tuple[float, int]] = []
    ended: Ended = "open"
    try:
        while True:
            left = started + timeout - time.monotonic()
            connection.settimeout(max(0.001, min(left, patience) if parts else left))
            part = connection.recv(_PIECE)
            if not part:
                ended = "end"
                break
            parts.append(part)
            pieces.append((time.monotonic() - started, len(part)))
    except TimeoutError:
        ended = "open"
    except ConnectionError:
        ended = "reset"
    return Seen(b"".join(parts), ended, time.monotonic() - started, pieces)
