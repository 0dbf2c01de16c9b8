"""
Answers put on the connection byte by byte, past the HTTP library, which would never send what faults want.

What went out by `request.writer` before a head was written is not counted, checked or framed by anybody.
"""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from typing import TYPE_CHECKING, Final

from aiohttp import web

from bridge.sandbox.resets import abort_by_reset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiohttp.abc import AbstractStreamWriter

# How soon a waiting call notices that its client has gone.
_NOTICE_SECONDS: Final = 0.5
_NEVER_COPIED: Final = frozenset({"content-length", "transfer-encoding", "connection"})


class Written(web.StreamResponse):
    """An answer whose bytes have gone out, or never will: the HTTP library adds nothing to it."""

    def __init__(self, status: int, *, keep_alive: bool = False) -> None:
        """Stand for an answer; without `keep_alive` the connection ends after what was written."""
        super().__init__(status=status)
        self._goes_on = keep_alive

    @property
    def keep_alive(self) -> bool:
        """Return whether another call may come on the connection."""
        return self._goes_on

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:  # noqa: ARG002 - as overridden
        """Write no head."""
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Write no end."""


def body_of(answer: web.StreamResponse) -> bytes:
    """Return the body of an answer that is whole."""
    body = answer.body if isinstance(answer, web.Response) else b""
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def head_of(answer: web.StreamResponse, *framing: str, without: Sequence[str] = ()) -> list[bytes]:
    """Return the status line and the header lines of an answer, `framing` last; each ends its line."""
    lines = [f"HTTP/1.1 {answer.status} {answer.reason}"]
    lines += [
        f"{name}: {value}"
        for name, value in answer.headers.items()
        if name.lower() not in _NEVER_COPIED and name.lower() not in without
    ]
    if "Date" not in answer.headers:
        lines.append(f"Date: {formatdate(usegmt=True)}")
    return [line.encode("latin-1", "replace") + b"\r\n" for line in (*lines, *framing)]


def whole_head(answer: web.StreamResponse, *framing: str, without: Sequence[str] = ()) -> bytes:
    """Return a head with the empty line that ends it."""
    return b"".join(head_of(answer, *framing, without=without)) + b"\r\n"


def length(body: bytes) -> str:
    """Return the header line that frames a body."""
    return f"Content-Length: {len(body)}"


async def put(request: web.Request, data: bytes) -> None:
    """
    Put bytes on the connection.

    Raises:
        ConnectionError: The client has gone.
    """
    await request.writer.write(data)


async def wait(request: web.Request, seconds: float) -> bool:
    """Wait that long, or until the client has gone; tell whether it is still there."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        if request.transport is None or request.transport.is_closing():
            return False
        await asyncio.sleep(min(left, _NOTICE_SECONDS))
    return True


def reset(request: web.Request) -> Written:
    """Reset the connection (RST, not FIN), and return the answer that nobody gets."""
    abort_by_reset(request.transport)
    return Written(500)
