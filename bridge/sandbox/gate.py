"""Where the connections of an HTTPS server come in; the rules for faults see each before TLS begins."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from typing import TYPE_CHECKING, Final

from bridge.sandbox.faults.lines import WRONG_CERTIFICATES, Line, strike

if TYPE_CHECKING:
    import socket
    import ssl

    from aiohttp import web

    from bridge.sandbox.faults.rules import FaultBook
    from bridge.sandbox.presented import Presented

_HANDSHAKE_SECONDS: Final = 60.0
# As asyncio's own servers do: with no descriptor to be had, wait until somebody gives one back.
_OUT_OF_DESCRIPTORS: Final = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM})
_TRY_AGAIN_SECONDS: Final = 1.0


class Gate:
    """Accepts connections for one HTTPS server, from `open` to `close`."""

    def __init__(
        self, service: str, listener: socket.socket, server: web.Server, presented: Presented, book: FaultBook
    ) -> None:
        """Hand what comes to `listener`, a listening socket, on to `server`; `service` is its name in rules."""
        self._service = service
        self._listener = listener
        self._server = server
        self._presented = presented
        self._book = book
        self._connecting: set[asyncio.Task[None]] = set()
        self._accepting: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Accept from now on."""
        self._accepting = asyncio.create_task(self._accept())

    async def close(self) -> None:
        """Accept no more; connections that HTTP has not reached yet end, the others are the server's to end."""
        ending = [*self._connecting, *([self._accepting] if self._accepting is not None else [])]
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)
        self._listener.close()

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                plain, _ = await loop.sock_accept(self._listener)
            except OSError as error:
                if error.errno in _OUT_OF_DESCRIPTORS:
                    await asyncio.sleep(_TRY_AGAIN_SECONDS)
                # Else the client had gone before it was its turn.
                continue
            task = asyncio.create_task(self._connect(plain))
            self._connecting.add(task)
            task.add_done_callback(self._connecting.discard)

    async def _connect(self, plain: socket.socket) -> None:
        fault = self._book.connect(self._service)
        if fault is None:
            await self._serve(plain, self._presented.context)
        elif fault.kind in WRONG_CERTIFICATES:
            await self._serve(plain, self._presented.wrong(WRONG_CERTIFICATES[fault.kind]))
        else:
            context = self._presented.context
            line = Line(plain, context, lambda other: self._serve(other, context))
            await strike(line, fault.kind, fault.parameters)

    async def _serve(self, plain: socket.socket, context: ssl.SSLContext) -> None:
        # A handshake that fails is the client's affair; the socket is closed by then.
        with contextlib.suppress(OSError):
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server, plain, ssl=context, ssl_handshake_timeout=_HANDSHAKE_SECONDS
            )
