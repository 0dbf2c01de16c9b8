"""EWS over HTTP: from a request's bytes to an answer's bytes."""

from __future__ import annotations

import asyncio
import logging
import math
import os
import traceback
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aiohttp import HttpVersion11, web

from bridge.sandbox.arenas import thread_begins
from bridge.sandbox.ews import mediatype, soapfaults, xml, zones
from bridge.sandbox.ews.access import mailbox_of_call
from bridge.sandbox.ews.attendant import attend
from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour, backends, policy
from bridge.sandbox.ews.context import Context, Single
from bridge.sandbox.ews.errors import TEXTS, FaultError
from bridge.sandbox.ews.frontend import SERVER, FrontEnd, new_cookie
from bridge.sandbox.ews.grammar.check import ViolationError
from bridge.sandbox.ews.hooks import Call, NoFaults, NoGrants, RefusedError
from bridge.sandbox.ews.named import folders_named
from bridge.sandbox.ews.operations import OPERATIONS
from bridge.sandbox.ews.recording import Recorder
from bridge.sandbox.ews.servers import ON_PREMISES, ONLINE
from bridge.sandbox.ews.soap import Envelope, NoSoapError, UnknownOperationError, read_envelope
from bridge.sandbox.ews.streaming import Bell, Streams, StreamTimes
from bridge.sandbox.ews.subscriptions import Subscriptions

if TYPE_CHECKING:
    from bridge.sandbox.ews.hooks import Authenticator, Caller, Faults, Grants, MailFlow, Strikes
    from bridge.sandbox.ews.recording import Kept
    from bridge.sandbox.store import Mailbox, Store

PATH: Final = "/ews/exchange.asmx"
_STREAMED: Final = "GetStreamingEvents"
_THREADS: Final = 8
RECORD_ENVIRONMENT: Final = "BRIDGE_SANDBOX_RECORD"
"""Names a folder that keeps the body of every request and answer; for tests."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Outcome:
    status: int
    body: bytes
    operation: str = "unknown"


class EwsService:
    """Answers EWS calls. One for each HTTPS server; `close` ends its threads."""

    def __init__(
        self,
        store: Store,
        *,
        authenticator: Authenticator,
        mail_flow: MailFlow,
        faults: Faults | None = None,
        behaviour: ServerBehaviour | None = None,
        record_dir: Path | None = None,
        stream_times: StreamTimes | None = None,
        front_end: FrontEnd | None = None,
        grants: Grants | None = None,
    ) -> None:
        """
        Serve a store, by Exchange's limits as they are by default where no `behaviour` is given.

        `record_dir` (else the folder that BRIDGE_SANDBOX_RECORD names) keeps all bodies.
        """
        self._store = store
        store.attend_by(attend)
        self._authenticator = authenticator
        self._mail_flow = mail_flow
        self._faults = faults or NoFaults()
        self._behaviour = behaviour or ServerBehaviour(BehaviourSettings(), store)
        self._front_end = front_end or FrontEnd()
        self._grants = grants or NoGrants()
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="ews", initializer=thread_begins)
        named = os.environ.get(RECORD_ENVIRONMENT)
        folder = record_dir or (Path(named) if named else None)
        self._recorder = Recorder(folder) if folder else None
        self._server = ON_PREMISES if self._front_end.on_premises else ONLINE
        self.subscriptions = Subscriptions()
        self._take_limits()
        self._behaviour.book.listen(self._take_limits)
        times = stream_times or StreamTimes()
        self._streams = Streams(store, self.subscriptions, self._pool, Bell(store), times, server=self._server)

    @property
    def book(self) -> BehaviourSettings:
        """The settings that calls are answered by."""
        return self._behaviour.book

    def _take_limits(self) -> None:
        limits, book = self.subscriptions.limits, self._behaviour.book
        limits.per_mailbox = book.of_all("subscriptions")
        limits.streams_per_mailbox = book.of_all("streaming_connections")
        limits.ids_per_stream = book.of_all("subscriptions_per_stream")

    async def close(self) -> None:
        """End the streams, and the threads when the work that they have begun is done."""
        self._streams.close()
        await asyncio.to_thread(self._pool.shutdown, wait=True)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Answer one HTTP request, whatever it is; every answer says of the server what Exchange's say."""
        answer = await self._handled(request)
        if not answer.prepared:
            answer.headers.setdefault("Server", SERVER)
        return answer

    async def _handled(self, request: web.Request) -> web.StreamResponse:
        if request.path.lower().rstrip("/") != PATH:
            return web.Response(status=404)
        try:
            caller = await self._authenticator(request)
        except RefusedError as refused:
            refusal = web.Response(status=refused.status, body=refused.body, headers=self._front_end.refusal())
            for name, value in refused.headers:
                refusal.headers.add(name, value)
            return refusal
        reason = self._blocked(request, caller)
        if reason is not None:
            return _forbidden(reason)
        if request.method != "POST":
            # A browser or DavMail looks whether somebody is here.
            return web.Response(text="<html><body>Exchange Web Services</body></html>", content_type="text/html")
        unsupported = mediatype.refusal(request.headers.get("Content-Type"))
        if unsupported is not None:
            return unsupported
        body = await _read(request, self._behaviour.book.of_all("request_bytes"))
        if body is None:
            return web.Response(status=413)
        return await self._call(request, caller, body)

    async def _call(self, request: web.Request, caller: Caller, body: bytes) -> web.StreamResponse:
        loop = asyncio.get_running_loop()
        anchor = request.headers.get("X-AnchorMailbox")
        prepared = await loop.run_in_executor(self._pool, self._prepare, caller, anchor, body)
        if isinstance(prepared, _Outcome):
            kept = await self._keep(prepared.operation, body)
            return _chunked(request, await self._answer(request, caller, kept, prepared))
        envelope, mailbox, call = prepared
        kept = await self._keep(envelope.operation, body)
        reason = self._blocked(request, caller, call.mailbox)
        if reason is not None:
            return _forbidden(reason)
        strikes = self._faults.begin(call)
        if envelope.operation == _STREAMED:
            # Streams have a limit of their own, and no thread.
            return await self._stream(request, caller, kept, (envelope, mailbox), strikes)
        limit = self._behaviour.book.of("connections", call.mailbox or "")
        budget = policy.budget_of(caller, call.mailbox)
        wait = self._behaviour.call_waits(budget, call.mailbox or "")
        if wait:
            busy = soapfaults.soap_fault(
                "ErrorServerBusy", policy.SERVER_BUSY, values={"BackOffMilliseconds": str(math.ceil(wait * 1000))}
            )
            return await self._answer(request, caller, kept, _Outcome(500, busy, call.operation))
        with self._behaviour.connections.entered(budget, limit) as allowed:
            if not allowed:
                return await self._over_connections(request, caller, kept, call.operation, limit)
            struck = await strikes.before(request)
            if struck is not None:
                return struck
            outcome = await loop.run_in_executor(self._pool, self._work, envelope, caller, mailbox, strikes)
            answer = await self._answer(request, caller, kept, outcome)
            answer.headers.extend(backends.headers(self._behaviour.book, call.mailbox, request.headers))
            struck = await strikes.after(request, answer)
            # What faults make of an answer has the length, or the want of one, that is the fault's own.
            return _chunked(request, answer) if struck is answer else struck

    async def _stream(
        self,
        request: web.Request,
        caller: Caller,
        kept: Kept | None,
        prepared: tuple[Envelope, Mailbox | None],
        strikes: Strikes,
    ) -> web.StreamResponse:
        envelope, mailbox = prepared
        struck = await strikes.before(request)
        if struck is not None:
            return struck

        async def keep(written: bytes) -> None:
            if kept is not None:
                await asyncio.to_thread(kept.answer, 200, written)

        response = web.StreamResponse(headers=self._headers(request, caller, _STREAMED, 200))
        address = mailbox.address if mailbox else None
        response.headers.extend(backends.headers(self._behaviour.book, address, request.headers))
        if strikes.strikes_after:
            return await strikes.after(request, web.Response(headers=response.headers, body=self._streams.opening()))
        book = self._behaviour.book
        led_to = backends.led_to(book, address, request.headers)
        return await self._streams.answer(
            request,
            response,
            envelope.request,
            caller,
            mailbox,
            faults=strikes.stream(),
            keep=keep,
            here=lambda one: led_to is None or backends.back_end(book, one.mailbox.address) == led_to,
        )

    def _blocked(self, request: web.Request, caller: Caller, mailbox: str | None = None) -> str | None:
        return policy.refusal(
            self._behaviour.book,
            app_id=policy.app_id_of(caller),
            user_agent=request.headers.get("User-Agent", ""),
            mailbox=mailbox,
        )

    async def _over_connections(
        self, request: web.Request, caller: Caller, kept: Kept | None, operation: str, limit: int | None
    ) -> web.Response:
        if self._behaviour.book.of_all("connections_answer") == "unavailable":
            return web.Response(status=503, text="The service is unavailable.")
        fault = soapfaults.soap_fault(
            "ErrorExceededConnectionCount", policy.TOO_MANY_CONNECTIONS, values=policy.over_connections(limit)
        )
        return await self._answer(request, caller, kept, _Outcome(500, fault, operation))

    def _prepare(
        self, caller: Caller, anchor: str | None, body: bytes
    ) -> _Outcome | tuple[Envelope, Mailbox | None, Call]:
        """Read the envelope and find out in which mailbox it acts; or return the refusal."""
        operation = "unknown"
        try:
            envelope = read_envelope(body, self._server)
            operation = envelope.operation
            mailbox = mailbox_of_call(self._store, caller, envelope.impersonated, anchor)
            named = folders_named(self._store, mailbox, envelope.request)
        except NoSoapError:
            return _Outcome(400, b"")
        except ViolationError as violation:
            return _Outcome(500, soapfaults.schema_fault(violation.text, violation.line, 0))
        except UnknownOperationError as unknown:
            return _Outcome(
                500, soapfaults.soap_fault("ErrorInvalidRequest", TEXTS["ErrorInvalidRequest"]), unknown.name
            )
        except FaultError as fault:
            return _Outcome(500, soapfaults.soap_fault(fault.code, fault.text), operation)
        return envelope, mailbox, Call(operation, mailbox.address if mailbox else None, named)

    def _work(self, envelope: Envelope, caller: Caller, mailbox: Mailbox | None, strikes: Strikes) -> _Outcome:
        """Do the operation; its transaction is committed, and what it sent handed on, when this returns."""
        context = Context(
            self._store,
            caller,
            mailbox,
            envelope.impersonated is not None,
            strikes,
            self._behaviour,
            operation=envelope.operation,
            version=envelope.version,
            zone=zones.zone(envelope.zone),
            zone_name=envelope.zone,
            subscriptions=self.subscriptions,
            grants=self._grants,
        )
        operation = envelope.operation
        try:
            with xml.times_in(envelope.precision):
                answer = OPERATIONS[operation](context, envelope.request)
        except FaultError as fault:
            return _Outcome(500, soapfaults.soap_fault(fault.code, fault.text), operation)
        except Exception as error:  # noqa: BLE001 - whatever it is, the client gets an answer and the log the place
            # A defect of the sandbox: say so as Exchange says it, and where it was, without what was in the request.
            _log.error("the operation %s failed: %s", operation, _place_of(error))
            return _Outcome(
                500, soapfaults.soap_fault("ErrorInternalServerError", TEXTS["ErrorInternalServerError"]), operation
            )
        for submitted in context.submitted:
            try:
                self._mail_flow(submitted)
            except Exception as error:  # noqa: BLE001 - the mail is accepted already, and kept
                place = _place_of(error)
                _log.error("submission %d stays pending: %s", submitted.submission, place)
        single = answer if isinstance(answer, Single) else None
        content = answer.content if isinstance(answer, Single) else answer
        attributes = f' ResponseClass="{single.response_class}"' if single else ""
        whole = xml.envelope(f"{operation}Response", content, attributes, server=self._server)
        return _Outcome(200, whole, operation)

    async def _keep(self, operation: str, body: bytes) -> Kept | None:
        return None if self._recorder is None else await asyncio.to_thread(self._recorder.request, operation, body)

    async def _answer(self, request: web.Request, caller: Caller, kept: Kept | None, outcome: _Outcome) -> web.Response:
        if kept is not None:
            await asyncio.to_thread(kept.answer, outcome.status, outcome.body)
        headers = self._headers(request, caller, outcome.operation, outcome.status)
        return web.Response(status=outcome.status, body=outcome.body, headers=headers)

    def _headers(self, request: web.Request, caller: Caller, operation: str, status: int) -> dict[str, str]:
        headers = self._front_end.headers(operation, status, policy.app_id_of(caller))
        cookie = new_cookie(request.headers.get("Cookie", ""))
        return headers if cookie is None else {**headers, "Set-Cookie": cookie}


def _chunked(request: web.Request, answer: web.Response) -> web.Response:
    """Return an answer that goes out in chunks, as Exchange's do, where the client knows of chunks."""
    if answer.body and request.version >= HttpVersion11:
        answer.enable_chunked_encoding()
    return answer


def _forbidden(reason: str) -> web.Response:
    return web.Response(status=403, headers={policy.HEADER: reason})


def _place_of(error: BaseException) -> str:
    """Return an error's kind and where it came up; its text could hold what is private in a mail."""
    frames = traceback.extract_tb(error.__traceback__)
    return " < ".join([type(error).__name__, *(f"{Path(one.filename).name}:{one.lineno}" for one in reversed(frames))])


async def _read(request: web.Request, most: int) -> bytes | None:
    """Return the body, None for one over Exchange's cap; it is never held whole beyond the cap."""
    if request.content_length is not None and request.content_length > most:
        return None
    parts: list[bytes] = []
    size = 0
    async for part in request.content.iter_any():
        size += len(part)
        if size > most:
            return None
        parts.append(part)
    return b"".join(parts)


__all__ = ["PATH", "RECORD_ENVIRONMENT", "EwsService"]
