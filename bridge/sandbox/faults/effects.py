"""Faults done to HTTP calls: one function for each kind, by the name that the table of kinds gives it."""

from __future__ import annotations

import time
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Final, Protocol

from aiohttp import web

from bridge.sandbox.faults import forms, points, wire

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from bridge.sandbox.faults.rules import Fault

    Before = Callable[[web.Request, "Refusals", dict[str, Any]], Awaitable[web.StreamResponse | None]]
    After = Callable[[web.Request, web.StreamResponse, dict[str, Any]], Awaitable[web.StreamResponse]]

_GATEWAY_PAGE = (
    "<html><head><title>{status}</title></head><body><h1>{status}</h1>"
    "<p>The gateway could not answer this request.</p></body></html>"
)


class Refusals(Protocol):
    """What a server answers in place of work; Entra and EWS word it differently."""

    def unavailable(self, request: web.Request, *, status: int, retry_after: str | None) -> web.Response:
        """Return an HTTP-level refusal such as 503 or 429; `retry_after` is the header's value."""

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
    try:
        for fault in faults:
            answer = await _AFTER[fault.kind](request, answer, fault.parameters)
            if isinstance(answer, wire.Written):
                break
    except ConnectionError:
        # The client has gone in the middle of it.
        return wire.Written(answer.status)
    return answer


async def _latency(request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> None:
    await wire.wait(request, given["seconds"])


async def _slow_upload(request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> None:
    await wire.wait(request, request.content.total_bytes / given["bytes_per_second"])


async def _unavailable(request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    seconds = given["retry_after_seconds"]
    retry_after = None if seconds is None else str(seconds)
    if seconds is not None and given["retry_after_form"] == "date":
        retry_after = formatdate(time.time() + seconds, usegmt=True)
    return refusals.unavailable(request, status=given["status"], retry_after=retry_after)


async def _server_busy(_request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    milliseconds = given["back_off_milliseconds"]
    values = {} if milliseconds is None else {"BackOffMilliseconds": str(milliseconds)}
    return refusals.soap_fault("ErrorServerBusy", values)


async def _soap_fault(_request: web.Request, refusals: Refusals, given: dict[str, Any]) -> web.Response:
    return refusals.soap_fault(given["code"], {})


async def _http_error(_request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> web.Response:
    return _gateway_page(given["status"])


async def _blocked_by_policy(_request: web.Request, _refusals: Refusals, _given: dict[str, Any]) -> web.Response:
    reason = {"X-EWS-Policy-Reason": "EWS is blocked by policy for this user or tenant"}
    return web.Response(status=403, headers=reason)


async def _cut_before(request: web.Request, _refusals: Refusals, _given: dict[str, Any]) -> wire.Written:
    return wire.reset(request)


async def _stall_before(request: web.Request, _refusals: Refusals, given: dict[str, Any]) -> wire.Written:
    await wire.wait(request, given["seconds"])
    return wire.reset(request)


async def _cut_after(request: web.Request, _answer: web.StreamResponse, _given: dict[str, Any]) -> wire.Written:
    return wire.reset(request)


async def _stall_after(request: web.Request, _answer: web.StreamResponse, given: dict[str, Any]) -> wire.Written:
    await wire.wait(request, given["seconds"])
    return wire.reset(request)


async def _late_answer(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    await wire.wait(request, given["seconds"])
    return answer


async def _truncated(_request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.Response:
    body = wire.body_of(answer)
    return _with_body(answer, body[: int(len(body) * given["keep"])])


async def _cut_within(request: web.Request, answer: web.StreamResponse, given: dict[str, Any]) -> web.StreamResponse:
    body = wire.body_of(answer)
    head = wire.whole_head(answer, wire.length(body))
    await wire.put(request, head + body[: int(len(body) * given["keep"])])
    return wire.Written(answer.status)  # ends the connection after what was written, without the rest


async def _malformed(_request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    body = wire.body_of(answer)
    middle = body.rfind(b"</")
    return _with_body(answer, body[:middle] + b"<m:Broken " + body[middle:])


async def _empty(_request: web.Request, answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    return _with_body(answer, b"")


async def _html_page(_request: web.Request, _answer: web.StreamResponse, _given: dict[str, Any]) -> web.Response:
    return _gateway_page(200)


async def _gateway_error(_request: web.Request, _answer: web.StreamResponse, given: dict[str, Any]) -> web.Response:
    return _gateway_page(given["status"])


_BEFORE: Final[Mapping[str, Before]] = {
    "latency": _latency,
    "slow_upload": _slow_upload,
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
    "gateway_error": _gateway_error,
    "reset_within": points.reset_within,
    "stall_within": points.stall_within,
    "trickle_headers": points.trickle_headers,
    "interim_answers": points.interim_answers,
    "slow_drip": points.slow_drip,
    "truncated": _truncated,
    "cut_within": _cut_within,
    "malformed": _malformed,
    "empty": _empty,
    "html_page": _html_page,
    "no_http": forms.no_http,
    "wrong_type": forms.wrong_type,
    "wrong_date": forms.wrong_date,
    "wrong_length": forms.wrong_length,
    "chunked": forms.chunked,
    "chunked_broken": forms.chunked_broken,
    "gzip": forms.packed,
    "gzip_broken": forms.gzip_broken,
    "gzip_bomb": forms.gzip_bomb,
}


def _gateway_page(status: int) -> web.Response:
    return web.Response(status=status, text=_GATEWAY_PAGE.format(status=status), content_type="text/html")


def _with_body(answer: web.StreamResponse, body: bytes) -> web.Response:
    return web.Response(status=answer.status, body=body, headers={"Content-Type": answer.headers["Content-Type"]})
