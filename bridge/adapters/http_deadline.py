"""
HTTP under a deadline that covers a whole call: connecting, TLS, sending, every header line and the body.

A timeout of requests bounds each wait on the socket: a server that sends a header line every few seconds keeps a call
for ever, and so does one that reads a large request a few bytes at a time. Here each wait is given what is left.
"""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final

import requests
import requests.adapters
import urllib3
import urllib3.connection
import urllib3.util.connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# One TLS record: SSLSocket.sendall gives each its own timeout, whatever it was asked to send.
_PIECE_BYTES: Final = 1 << 14
_deadline: ContextVar[float | None] = ContextVar("http_deadline", default=None)
_last_look: ContextVar[Callable[[], None] | None] = ContextVar("http_last_look", default=None)


@contextlib.contextmanager
def until(deadline: float) -> Iterator[float]:
    """Have HTTP of this thread end by `deadline` (of `time.monotonic`), or by an earlier one around it; gives that."""
    around = _deadline.get()
    earliest = deadline if around is None else min(deadline, around)
    kept = _deadline.set(earliest)
    try:
        yield earliest
    finally:
        _deadline.reset(kept)


class Interruption:
    """Ends the HTTP of another thread, as if the connection had broken; see `interruptible`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._over = False
        self.done = False
        """Whether it was ended."""

    def interrupt(self) -> None:
        """End it; nothing where it has ended by itself: the connection may be another call's by then."""
        with self._lock:
            if self._over:
                return
            self.done = True
            if self._socket is not None:
                _shut(self._socket)

    def waits_on(self, connection: socket.socket) -> None:
        """
        Note on which socket the next wait is.

        Raises:
            TimeoutError: It is to end.
        """
        with self._lock:
            self._socket = connection
            if self.done:
                raise TimeoutError("the call was cut short")

    def end(self) -> None:
        """Have no later interruption count."""
        with self._lock:
            self._over, self._socket = True, None


_interruption: ContextVar[Interruption | None] = ContextVar("http_interruption", default=None)


@contextlib.contextmanager
def interruptible(interruption: Interruption) -> Iterator[None]:
    """Let HTTP of this thread be ended by another one; the making of a connection ends first, or with its own time."""
    kept = _interruption.set(interruption)
    try:
        yield
    finally:
        interruption.end()
        _interruption.reset(kept)


@contextlib.contextmanager
def looking(look: Callable[[], None]) -> Iterator[None]:
    """
    Have HTTP of this thread look once more before each piece that it sends, the last one included.

    What the look raises ends the call, and no server ever has the whole of its request: a process that was frozen
    after it had decided to make a call does not make it when it wakes up.
    """
    kept = _last_look.set(look)
    try:
        yield
    finally:
        _last_look.reset(kept)


def _give_what_is_left(connection: socket.socket) -> None:
    """
    Bound the next wait on a socket.

    Raises:
        TimeoutError: Nothing is left.
    """
    interruption = _interruption.get()
    if interruption is not None:
        interruption.waits_on(connection)
    deadline = _deadline.get()
    if deadline is not None:
        connection.settimeout(_left(deadline))


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline of the call has passed")
    return left


class _Reader(io.RawIOBase):
    """What comes on a socket; no wait for it is longer than what is left."""

    def __init__(self, connection: socket.socket) -> None:
        self._sock = connection  # under the name that requests_ntlm looks for it, for its channel binding
        self._plain = connection.makefile("rb", buffering=0)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:  # noqa: ANN401 - as overridden
        _give_what_is_left(self._sock)
        return self._plain.readinto(buffer)

    def close(self) -> None:
        self._plain.close()
        super().close()


class _Response(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *arguments: Any, **named: Any) -> None:
        super().__init__(sock, *arguments, **named)
        self.fp.close()
        self.fp = io.BufferedReader(_Reader(sock))


class _Deadlined(urllib3.connection.HTTPConnection):
    response_class = _Response

    def _new_conn(self) -> socket.socket:
        """Connect, in the time for one attempt however many addresses the name has: each gets its share of it."""
        deadline = _deadline.get()
        if deadline is None:
            return super()._new_conn()
        end = min(deadline, time.monotonic() + float(self.timeout or _left(deadline)))
        name = self._dns_host
        addresses = _addresses(name, self.port)
        try:
            for number, address in enumerate(addresses):
                self._dns_host, self.timeout = address, _left(end) / (len(addresses) - number)
                try:
                    connected = super()._new_conn()
                except urllib3.exceptions.HTTPError:
                    if number == len(addresses) - 1:
                        raise
                else:
                    connected.settimeout(_left(end))  # for the handshake
                    return connected
        finally:
            self._dns_host = name
        raise TimeoutError("the name has no address")

    def send(self, data: Any) -> None:  # noqa: ANN401 - as overridden
        """Send; what is in memory goes piece by piece."""
        if self.sock is None:
            self.connect()
        if isinstance(data, bytes | bytearray):
            for start in range(0, len(data), _PIECE_BYTES):
                _give_what_is_left(self.sock)
                if (look := _last_look.get()) is not None:
                    look()
                super().send(data[start : start + _PIECE_BYTES])
        else:
            super().send(data)


class _DeadlinedTls(_Deadlined, urllib3.connection.HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Deadlined


class _TlsPool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _DeadlinedTls


_POOLS: Final = {"http": _Pool, "https": _TlsPool}


class DeadlineAdapter(requests.adapters.HTTPAdapter):
    """Sends requests over connections that know the deadline of `until`; without one they are as usual."""

    def init_poolmanager(self, *arguments: Any, **named: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*arguments, **named)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, *arguments: Any, **named: Any) -> Any:  # noqa: ANN401 - as overridden
        """Return the pools of connections through a proxy."""
        manager = super().proxy_manager_for(*arguments, **named)
        manager.pool_classes_by_scheme = _POOLS
        return manager


def interrupt(response: requests.Response) -> None:
    """Have whoever reads this answer, on another thread, see its end; nothing where it has come to it already."""
    reader = getattr(getattr(getattr(response.raw, "_fp", None), "fp", None), "raw", None)
    connection = getattr(reader, "_sock", None)
    if isinstance(connection, socket.socket):
        _shut(connection)


def _shut(connection: socket.socket) -> None:
    with contextlib.suppress(OSError):
        # Not the TLS socket's own method, which would have the other thread read the rest as if it were plain.
        socket.socket.shutdown(connection, socket.SHUT_RDWR)


def _addresses(name: str, port: int) -> list[str]:
    """Return the addresses of a name in the order to try them; the name itself where it has none to be found."""
    family = urllib3.util.connection.allowed_gai_family()
    try:
        found = socket.getaddrinfo(name, port, family, socket.SOCK_STREAM)
    except OSError:
        return [name]  # connecting to it says what is wrong
    return list(dict.fromkeys(str(address[0]) for *_, address in found)) or [name]
