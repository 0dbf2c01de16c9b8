"""A server that answers with the bytes it is given, as a broken proxy or a slow Exchange would."""

from __future__ import annotations

import contextlib
import socket
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO


class RawServer:
    """
    Calls `answer` with the connection and each request that came on it, until one side ends.

    An answer ends its connection by `shutdown`: closed, it stays open for the reader of the next request.
    """

    def __init__(
        self, answer: Callable[[socket.socket, bytes], None], *, read_bytes_per_second: int | None = None
    ) -> None:
        self._answer = answer
        self._rate = read_bytes_per_second
        self._over = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.connections = 0
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}/EWS/Exchange.asmx"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """End everything."""
        self._over.set()
        for one in (self._listener, *self._open):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                self._open.append(connection)
                self.connections += 1
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            while request := _read_request(iter(reader.readline, b""), lambda size: self._read(reader, size)):
                self._answer(connection, request)

    def _read(self, reader: BinaryIO, size: int) -> bytes:
        if self._rate is None:
            return reader.read(size)
        piece, parts = self._rate // 20, list[bytes]()
        for start in range(0, size, piece):
            parts.append(reader.read(min(piece, size - start)))
            if self._over.wait(piece / self._rate):
                break
        return b"".join(parts)


def _read_request(lines: Iterator[bytes], read: Callable[[int], bytes]) -> bytes:
    """Return one request, head and body; nothing where none came."""
    head, length = b"", 0
    for line in lines:
        head += line
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
        if not line.strip():
            return head + read(length)
    return head
