"""Joins the fault book and the call log to EWS: what each hook of the service asks for."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING, Final

from aiohttp import web

from bridge.sandbox.ews.errors import TEXTS
from bridge.sandbox.ews.hooks import ItemError, StreamFault
from bridge.sandbox.ews.soapfaults import soap_fault
from bridge.sandbox.faults.effects import strike_after, strike_before
from bridge.sandbox.faults.kinds import Stage
from bridge.sandbox.faults.rules import Call

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from aiohttp.typedefs import Handler, Middleware

    from bridge.sandbox.calls import CallLog, OpenCall
    from bridge.sandbox.ews import hooks
    from bridge.sandbox.faults.rules import FaultBook, Strikes

_BUSY: Final = "The server cannot service this request right now. Try again later."
_TEXTS: Final = {
    "ErrorServerBusy": _BUSY,
    "ErrorInternalServerError": "An internal server error occurred. The operation failed.",
    "ErrorItemNotFound": "The specified object was not found in the store.",
    "ErrorItemCorrupt": "Item was corrupt.",
    "ErrorMimeContentConversionFailed": "Unable to convert the MIME content.",
    "ErrorAccessDenied": "Access is denied. Check credentials and try again.",
    "ErrorMailboxStoreUnavailable": "The mailbox store is unavailable.",
    "ErrorTimeoutExpired": "The operation timed out.",
}
REFUSED: Final = "refused"
_OTHER_TEXT: Final = "The request failed."
_open_call: ContextVar[list[OpenCall]] = ContextVar("ews_open_call")


class EwsRefusals:
    """What EWS answers in place of work."""

    def unavailable(
        self,
        request: web.Request,  # noqa: ARG002 - Entra's answers depend on it, those of EWS do not
        *,
        status: int,
        retry_after: str | None,
    ) -> web.Response:
        """Return an HTTP error as the front end sends it: a word of text and no SOAP."""
        headers = {} if retry_after is None else {"Retry-After": retry_after}
        return web.Response(status=status, text="The service is unavailable.", headers=headers)

    def soap_fault(self, code: str, values: Mapping[str, str]) -> web.Response:
        """Return HTTP 500 with a SOAP fault."""
        body = soap_fault(code, _text_of(code), values=dict(values))
        return web.Response(status=500, body=body, headers={"Content-Type": "text/xml; charset=utf-8"})


class EwsFaults:
    """Strikes EWS calls by the book, and counts them."""

    def __init__(self, book: FaultBook, log: CallLog) -> None:
        """Follow `book`, count in `log`."""
        self._book = book
        self._log = log

    def begin(self, call: hooks.Call) -> EwsStrikes:
        """Count a call and decide what strikes it."""
        opened = _open_call.get(None)
        if opened is not None:
            opened.append(self._log.begin(call.operation, mailbox=call.mailbox))
        return EwsStrikes(self._book.begin(Call(call.operation, call.mailbox, call.folders, service="ews")))


class EwsStrikes:
    """What strikes one EWS call."""

    def __init__(self, strikes: Strikes) -> None:
        """Do what was decided."""
        self._strikes = strikes

    async def before(self, request: web.Request) -> web.StreamResponse | None:
        """Strike before the work; an answer means that there is no work."""
        return await strike_before(self._strikes.before, request, EwsRefusals())

    def item(self, number: int) -> ItemError | None:
        """Return what an item answers in place of work."""
        fault = self._strikes.item(number)
        if fault is None:
            return None
        if fault.kind == "item_server_busy":
            inner = {"InnerErrorMessageText": _BUSY, "InnerErrorResponseCode": "ErrorServerBusy"}
            return ItemError("ErrorInternalServerError", _TEXTS["ErrorInternalServerError"], inner)
        code, back_off = fault.parameters["code"], fault.parameters.get("back_off_milliseconds")
        values = {} if back_off is None else {"BackOffMilliseconds": str(back_off)}
        return ItemError(code, _text_of(code), values, done=fault.stage is Stage.ITEM_AFTER)

    def stream(self) -> Sequence[StreamFault]:
        """Return what strikes within the stream that the call is answered by."""
        return [StreamFault(fault.kind, fault.parameters["after"]) for fault in self._strikes.stream]

    @property
    def strikes_after(self) -> bool:
        """Return whether `after` would do anything."""
        return bool(self._strikes.after)

    async def after(self, request: web.Request, answer: web.Response) -> web.StreamResponse:
        """Strike after the work; returns the answer to send."""
        return await strike_after(self._strikes.after, request, answer)


def _text_of(code: str) -> str:
    return _TEXTS.get(code) or TEXTS.get(code, _OTHER_TEXT)


@web.middleware
async def count_calls(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Keep a call open in the log until its answer is made; whether it failed shows in the answer."""
    opened: list[OpenCall] = []
    _open_call.set(opened)
    failed = True
    try:
        answer = await handler(request)
        failed = answer.status >= web.HTTPBadRequest.status_code or _has_error(answer)
    finally:
        for call in opened:
            call.end(failed=failed)
    return answer


def count_refusals(log: CallLog) -> Middleware:
    """Return what counts, as the operation `refused`, the requests that EWS turns away before it reads them."""

    @web.middleware
    async def count(request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if answer.status == web.HTTPUnauthorized.status_code:
            log.begin(REFUSED).end(failed=True)
        return answer

    return count


def _has_error(answer: web.StreamResponse) -> bool:
    return (
        isinstance(answer, web.Response) and isinstance(answer.body, bytes) and b'ResponseClass="Error"' in answer.body
    )
