"""Faults of an answer's form: its type, its date, its length, its chunks, its packing."""

from __future__ import annotations

import asyncio
import gzip
import struct
import zlib
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime, parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.faults import wire

if TYPE_CHECKING:
    from collections.abc import Iterable

    from aiohttp import web

_MB: Final = 1 << 20
_CHUNKED: Final = "Transfer-Encoding: chunked"
_NO_HTTP: Final = b"\x00\x01\x02 220 this is another protocol\r\n\r\n"


async def no_http(request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.StreamResponse:
    """Write what no client takes for HTTP."""
    await wire.put(request, _NO_HTTP)
    return wire.Written(answer.status)


async def wrong_type(_request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Give the answer another Content-Type."""
    answer.headers["Content-Type"] = given["content_type"]
    return answer


async def wrong_date(_request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Give the answer another Date."""
    told = answer.headers.get("Date")
    date = parsedate_to_datetime(told) if told else datetime.now(UTC)
    answer.headers["Date"] = format_datetime(date + timedelta(seconds=given["seconds"]), usegmt=True)
    return answer


async def wrong_length(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the whole answer under a Content-Length that it does not have."""
    body, how = wire.body_of(answer), given["how"]
    size = len(body)
    framing: dict[str, tuple[str, ...]] = {
        "too_long": (f"Content-Length: {size + 100}",),
        "too_short": (f"Content-Length: {size // 2}",),
        "negative": (f"Content-Length: -{size or 1}",),
        "not_a_number": ("Content-Length: many",),
        "twice": (f"Content-Length: {size}", f"Content-Length: {size + 1}"),
        "chunked": (f"Content-Length: {size // 2}", _CHUNKED),
    }
    sent = b"".join(_chunks(body, max(1, size))) + b"0\r\n\r\n" if how == "chunked" else body
    await wire.put(request, wire.whole_head(answer, *framing[how]) + sent)
    if how == "too_long":
        # Such a server believes that it has said everything, and listens for the next request.
        await wire.wait(request, given["seconds"])
        return wire.Written(answer.status)
    return wire.Written(answer.status, keep_alive=True)


async def chunked(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the answer in chunks, in a form that is correct and rarely seen."""
    form, named = given["form"], ""
    framing = [_CHUNKED]
    last = b"0\r\n\r\n"
    if form == "extensions":
        named = ';part="a;b";x'
    elif form == "trailers":
        framing.append("Trailer: X-Checked")
        last = b"0\r\nX-Checked: yes\r\nContent-Length: 3\r\n\r\n"
    await wire.put(request, wire.whole_head(answer, *framing))
    for chunk in _chunks(wire.body_of(answer), given["bytes"], named):
        await wire.put(request, chunk)
    await wire.put(request, last)
    return wire.Written(answer.status, keep_alive=True)


async def chunked_broken(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write chunks that break off in some way, and end the connection."""
    body = wire.body_of(answer)
    half, rest = body[: len(body) // 2], body[len(body) // 2 :]
    first = b"".join(_chunks(half, max(1, len(half))))
    written = {
        "bad_size": first + b"several\r\n" + rest + b"\r\n0\r\n\r\n",
        "huge_size": first + b"f" * 16 + b"\r\n" + rest + b"\r\n0\r\n\r\n",
        "early_end": first + b"0\r\n\r\n" + rest,
        "short": first + b"%x\r\n" % (len(rest) + 100) + rest,
        "no_end": first + b"".join(_chunks(rest, max(1, len(rest)))),
    }
    await wire.put(request, wire.whole_head(answer, _CHUNKED) + written[given["how"]])
    return wire.Written(answer.status)


async def packed(request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.StreamResponse:
    """Write the answer packed with gzip."""
    return await _written_packed(request, answer, gzip.compress(wire.body_of(answer)))


async def gzip_broken(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write what cannot be unpacked, or is not what the headers say."""
    body, how = wire.body_of(answer), given["how"]
    if how == "mislabelled":
        return await _written_packed(request, answer, body)
    data = gzip.compress(body)
    if how == "truncated":
        return await _written_packed(request, answer, data[: len(data) // 2])
    if how == "corrupt":
        middle = len(data) // 2
        return await _written_packed(request, answer, data[:middle] + bytes(255 - one for one in data[middle:]))
    await wire.put(request, wire.whole_head(answer, wire.length(data)) + data)
    return wire.Written(answer.status, keep_alive=True)


async def gzip_bomb(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the answer with a great deal of white space behind it: well-formed, and small on the wire."""
    data = await asyncio.to_thread(_bomb, wire.body_of(answer), given["megabytes"])
    return await _written_packed(request, answer, data)


async def _written_packed(request: web.Request, answer: web.StreamResponse, data: bytes) -> web.StreamResponse:
    head = wire.whole_head(answer, "Content-Encoding: gzip", wire.length(data), without=("content-encoding",))
    await wire.put(request, head + data)
    return wire.Written(answer.status, keep_alive=True)


def _bomb(body: bytes, megabytes: int) -> bytes:
    """Return gzip of the body and so many megabytes of spaces, without ever holding more than one of them."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
    first = packer.compress(body) + packer.flush(zlib.Z_FULL_FLUSH)
    space = b" " * _MB
    # After a full flush every megabyte is packed alike, so it is packed once.
    each = packer.compress(space) + packer.flush(zlib.Z_FULL_FLUSH)
    last = packer.flush(zlib.Z_FINISH)
    check = zlib.crc32(body)
    for _ in range(megabytes):
        check = zlib.crc32(space, check)
    size = (len(body) + megabytes * _MB) & 0xFFFFFFFF
    head = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\xff"
    return head + first + each * megabytes + last + struct.pack("<II", check, size)


def _chunks(body: bytes, size: int, named: str = "") -> Iterable[bytes]:
    for start in range(0, len(body), size):
        part = body[start : start + size]
        yield b"%x%s\r\n%s\r\n" % (len(part), named.encode(), part)
