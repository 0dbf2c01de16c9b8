"""Faults in the course of an answer: resets and stalls at each point of it, heads that take for ever, slow bodies."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.faults import wire

if TYPE_CHECKING:
    from aiohttp import web

_PIECES_A_SECOND: Final = 20
_LEAST_PIECE: Final = 16


async def reset_within(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the answer up to a point, and reset the connection when the client has had the time to read that."""
    await _write_up_to(request, answer, given["at"])
    # A reset overtakes what the kernel has not handed over yet; on loopback this is more than enough.
    await wire.wait(request, 0.05)
    return wire.reset(request)


async def stall_within(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the answer up to a point, and nothing more."""
    await _write_up_to(request, answer, given["at"])
    await wire.wait(request, given["seconds"])
    return wire.reset(request)


async def _write_up_to(request: web.Request, answer: web.StreamResponse, at: str) -> None:
    body = wire.body_of(answer)
    lines = wire.head_of(answer, wire.length(body))
    if at == "status":
        await wire.put(request, lines[0])
    elif at == "headers":
        # In the middle of a line, that is.
        await wire.put(request, b"".join(lines[:-1]) + lines[-1][:8])
    elif at == "body":
        await wire.put(request, b"".join(lines) + b"\r\n")
    else:
        await wire.put(request, b"".join(lines) + b"\r\n" + body[: len(body) // 2])


async def trickle_headers(
    request: web.Request, answer: web.StreamResponse, given: dict[str, Any]
) -> web.StreamResponse:
    """Write header lines that say nothing, each within anybody's time limit, before those that matter."""
    body = wire.body_of(answer)
    status, *lines = wire.head_of(answer, wire.length(body))
    await wire.put(request, status)
    for number in range(given["lines"]):
        await wire.put(request, b"X-Trickle-%d: still here\r\n" % number)
        if not await wire.wait(request, given["seconds_per_line"]):
            return wire.Written(answer.status)
    await wire.put(request, b"".join(lines) + b"\r\n" + body)
    return wire.Written(answer.status, keep_alive=True)


async def interim_answers(
    request: web.Request, answer: web.StreamResponse, given: dict[str, Any]
) -> web.StreamResponse:
    """Tell the client again and again to go on, before the answer."""
    for _ in range(given["answers"]):
        await wire.put(request, b"HTTP/1.1 100 Continue\r\n\r\n")
        if not await wire.wait(request, given["seconds_per_answer"]):
            return wire.Written(answer.status)
    body = wire.body_of(answer)
    await wire.put(request, wire.whole_head(answer, wire.length(body)) + body)
    return wire.Written(answer.status, keep_alive=True)


async def slow_drip(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    """Write the body at so many bytes a second."""
    rate = given["bytes_per_second"]
    piece = max(_LEAST_PIECE, rate // _PIECES_A_SECOND)
    body = wire.body_of(answer)
    await wire.put(request, wire.whole_head(answer, wire.length(body)))
    for start in range(0, len(body), piece):
        part = body[start : start + piece]
        await wire.put(request, part)
        if not await wire.wait(request, len(part) / rate):
            return wire.Written(answer.status)
    return wire.Written(answer.status, keep_alive=True)
