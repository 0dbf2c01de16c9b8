"""Faults done to HTTP calls: one function for each kind, by the name that the table of kinds gives it."""

from __future__ import annotations

import asyncio
import socket
import struct
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bridge.sandbox.faults.rules import Fault

    Before = Callable[[web.Request, "Refusals", dict[str, Any]], Awaitable[web.StreamResponse | None]]
    After = Callable[[web.Request, web.StreamResponse, dict[str, Any]], Awaitable[web.StreamResponse]]

_GATEWAY_PAGE = (
    "<html><head><title>{status}</title></head><body><h1>{status}</h1>"
    "<p>The gateway could not answer this request.</p></body></html>"
)
_DRIP_BYTES = 16
# How soon a waiting call notices that its client has gone.
_NOTICE_SECONDS = 0.5


class Refusals(Protocol):
    """What a server answers in place of work; Entra and EWS word it differently."""

    def unavailable(self, request: web.Request, *, status: int, retry_after_seconds: int | None) -> web.Response:
        """Return an HTTP-level refusal such as 503 or 429."""

    def soap_fault(self, code: str, values: Mapping[str, str]) -> web.Response:
        """Return a fault with a response code; `values` go into its MessageXml."""


async def strike_before(faults: Sequence[Fault], request: web.Request, refusals: Refusals) -> web.StreamResponse | None:
    """Do what strikes before the work; an answer means that there will be no work."""
    for fault in faults:
        answer = await _BEFORE[fault.kind](request, refusals, fault.parameters)
        if answer is not None:
            return answer
    return None


async def strike_after(faults: Sequence[Fault], request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
    """Do what strikes after the work, and return what is left of the answer."""
    for fault in faults:
        answer = await _AFTER[fault.kind](request, answer, fault.parameters)
    return answer


async def _latency(request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> None:
    await _wait(request, given["seconds"])


async def _unavailable(request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    return refusals.unavailable(request, status=given["status"], retry_after_seconds=given["retry_after_seconds"])


async def _server_busy(_request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    return refusals.soap_fault("ErrorServerBusy", {"BackOffMilliseconds": str(given["back_off_milliseconds"])})


async def _soap_fault(_request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    return refusals.soap_fault(given["code"], {})


async def _http_error(_request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> web.Response:
    page = _GATEWAY_PAGE.format(status=given["status"])
    return web.Response(status=given["status"], text=page, content_type="text/html")


async def _blocked_by_policy(_request: web.Request, _refusals: Refusals, _given: dict[str, Any]) -> web.Response:
    reason = {"X-EWS-Policy-Reason": "EWS is blocked by policy for this user or tenant"}
    return web.Response(status=403, headers=reason)


async def _cut_before(request: web.Request, _refusals: Refusals, _given: dict[str, Any]) -> web.Response:
    return _reset(request)


async def _stall_before(request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> web.Response:
    await _wait(request, given["seconds"])
    return _reset(request)


async def _cut_after(request: web.Request, _answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    return _reset(request)


async def _stall_after(request: web.Request, _answer: web.StreamResponse, given: dict[str, Any]) -> web.Response:
    await _wait(request, given["seconds"])
    return _reset(request)


async def _late_answer(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    await _wait(request, given["seconds"])
    return answer


async def _truncated(_request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.Response:
    body = _body(answer)
    return _with_body(answer, body[: int(len(body) * given["keep"])])


async def _cut_within(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    body = _body(answer)
    begun = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    begun.content_length = len(body)
    await begun.prepare(request)
    await begun.write(body[: int(len(body) * given["keep"])])
    transport = request.transport
    if transport is not None:
        transport.close()  # after what was written has gone out, and without the rest
    return begun


async def _malformed(_request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    body = _body(answer)
    middle = body.rfind(b"</")
    return _with_body(answer, body[:middle] + b"<m:Broken " + body[middle:])


async def _empty(_request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    return _with_body(answer, b"")


async def _html_page(_request: web.Request, _answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    return web.Response(text=_GATEWAY_PAGE.format(status=200), content_type="text/html")


async def _slow_drip(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    body = _body(answer)
    dripping = web.StreamResponse(status=answer.status, headers={"Content-Type": answer.content_type})
    dripping.content_length = len(body)
    await dripping.prepare(request)
    for start in range(0, len(body), _DRIP_BYTES):
        await dripping.write(body[start : start + _DRIP_BYTES])
        if not await _wait(request, _DRIP_BYTES / given["bytes_per_second"]):
            break
    return dripping


_BEFORE: Final[Mapping[str, Before]] = {
    "latency": _latency,
    "unavailable": _unavailable,
    "server_busy": _server_busy,
    "soap_fault": _soap_fault,
    "http_error": _http_error,
    "blocked_by_policy": _blocked_by_policy,
    "cut_before": _cut_before,
    "stall_before": _stall_before,
}
_AFTER: Final[Mapping[str, After]] = {
    "cut_after": _cut_after,
    "stall_after": _stall_after,
    "late_answer": _late_answer,
    "truncated": _truncated,
    "cut_within": _cut_within,
    "malformed": _malformed,
    "empty": _empty,
    "html_page": _html_page,
    "slow_drip": _slow_drip,
}


async def _wait(request: web.Request, seconds: float) -> bool:
    """Wait that long, or until the client has gone; tell whether it is still there."""
    loop = asyncio.get_running_loop()
    until = loop.time() + seconds
    while (left := until - loop.time()) > 0:
        if request.transport is None or request.transport.is_closing():
            return False
        await asyncio.sleep(min(left, _NOTICE_SECONDS))
    return True


def _reset(request: web.Request) -> web.Response:
    """Reset the connection (RST, not FIN), and return an answer that nobody gets."""
    transport = request.transport
    if transport is not None:
        plain = transport.get_extra_info("socket")
        if plain is not None:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
    return web.Response(status=500)


def _body(answer: web.StreamResponse) -> bytes:
    # A stream that has begun is beyond these faults; what is dropped or garbled within one is the stream's own matter.
    body = answer.body if isinstance(answer, web.Response) else b""
    return bytes(body) if isinstance(body, bytes | bytearray) else b""


def _with_body(answer: web.StreamResponse, body: bytes) -> web.Response:
    return web.Response(status=answer.status, body=body, headers={"Content-Type": answer.headers["Content-Type"]})
