"""
GetStreamingEvents: one HTTP answer that goes on for minutes, with one SOAP envelope after another in it.

A stream waits for commits of the store, reads what is new for its subscriptions, and writes it. What it could not
write stays untold and comes on the next connection. No thread is held while nothing happens.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.events import Page, read_events, status_event
from bridge.sandbox.ews.servers import ONLINE
from bridge.sandbox.resets import abort_by_reset

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence
    from concurrent.futures import Executor

    from aiohttp import web
    from lxml import etree

    from bridge.sandbox.ews.hooks import Caller, StreamFault
    from bridge.sandbox.ews.servers import Server
    from bridge.sandbox.ews.subscriptions import Subscription, Subscriptions
    from bridge.sandbox.store import Mailbox, Store

    Keep = Callable[[bytes], Awaitable[None]]

# How soon a stream notices that its client has gone, or that its subscriptions have.
_NOTICE_SECONDS: Final = 1.0
# A client that reads nothing for so long is not waited for any more.
_WRITE_SECONDS: Final = 60.0
_GARBAGE: Final = b"\x00\xff<Envelope><<&nbsp;this is no XML"


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """How long things take; tests make the minutes shorter."""

    heartbeat_seconds: float = 45
    minute_seconds: float = 60


class Bell:
    """Wakes streams when the store has changed. Rung from any thread, heard on one event loop."""

    def __init__(self, store: Store) -> None:
        """Listen to the store."""
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung = asyncio.Event()
        self._silence = store.listen(self._committed)

    def next(self) -> asyncio.Event:
        """Return what is set at the next change; taken before reading, no change goes unheard."""
        self._loop = asyncio.get_running_loop()
        return self._rung

    def ring(self) -> None:
        """Wake all who wait."""
        rung, self._rung = self._rung, asyncio.Event()
        rung.set()

    def close(self) -> None:
        """Listen no longer, and wake all who wait."""
        self._silence()
        self.ring()

    def _committed(self) -> None:
        if self._loop is not None:
            # The loop is closed when the service is: then nobody waits any more.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self.ring)


@dataclass(slots=True)
class Streams:
    """Answers GetStreamingEvents, any number at once."""

    store: Store
    subscriptions: Subscriptions
    pool: Executor
    bell: Bell
    times: StreamTimes
    closed: bool = False
    server: Server = ONLINE

    def close(self) -> None:
        """End all streams."""
        self.closed = True
        self.bell.close()

    def opening(self) -> bytes:
        """Return the envelope that a stream begins with."""
        return _envelope(_message(_status("OK")), self.server)

    async def answer(
        self,
        http: web.Request,
        response: web.StreamResponse,
        request: etree._Element,
        caller: Caller,
        mailbox: Mailbox | None,
        *,
        faults: Sequence[StreamFault],
        keep: Keep,
        here: Callable[[Subscription], bool] = lambda _: True,
    ) -> web.StreamResponse:
        """
        Tell events until the time is over; `keep` gets every envelope that goes out.

        `here` tells whether a subscription lies on the back end that the request was led to: it knows no others.
        """
        ids = list(dict.fromkeys((node.text or "").strip() for node in request.iter(xml.T + "SubscriptionId")))
        minutes = int((request.findtext(xml.M + "ConnectionTimeout") or "").strip())
        writer = _Writer(http, response, faults, keep, self.server)
        await response.prepare(http)
        stream = object()
        account = mailbox.address if mailbox is not None else (caller.mailbox or "")
        found: list[Subscription] = []
        try:
            found = self._find(ids, caller, here)
            self.subscriptions.connect(stream, account, found)
        except _BadIdsError as bad:
            await writer.envelope(_error(bad.error, bad.ids, closed=True))
            return await writer.end()
        except EwsError as error:
            await writer.envelope(_error(error, (), closed=True))
            return await writer.end()
        try:
            await writer.envelope(_message(_status("OK")))
            await self._tell(writer, stream, found, minutes * self.times.minute_seconds)
        finally:
            self.subscriptions.disconnect(stream, account, found)
        return await writer.end()

    def _find(self, ids: Sequence[str], caller: Caller, here: Callable[[Subscription], bool]) -> list[Subscription]:
        if len(ids) > self.subscriptions.limits.ids_per_stream:
            raise EwsError("ErrorExceededSubscriptionCount")
        found, bad, first = [], [], None
        for subscription_id in ids:
            try:
                one = self.subscriptions.find_streaming(subscription_id, caller)
            except EwsError as error:
                first = first or error
                bad.append(subscription_id)
                continue
            if here(one):
                found.append(one)
            else:
                first = first or EwsError("ErrorSubscriptionNotFound")
                bad.append(subscription_id)
        if first is not None:
            raise _BadIdsError(first, bad)
        return found

    async def _tell(self, writer: _Writer, stream: object, told: list[Subscription], seconds: float) -> None:
        loop = asyncio.get_running_loop()
        until = loop.time() + seconds
        beat = loop.time() + self.times.heartbeat_seconds
        while writer.open and not self.closed:
            news = self.bell.next()
            told = await self._without_lost(writer, stream, told)
            if not told:
                return
            pages = await loop.run_in_executor(self.pool, self._read, told)
            shown = [_notification(one, page.events) for one, page in pages if page.events]
            if shown:
                await writer.envelope(_message(f"<m:Notifications>{''.join(shown)}</m:Notifications>"), events=True)
                beat = loop.time() + self.times.heartbeat_seconds
            if writer.open:
                for one, page in pages:
                    one.place = page.place
            now = loop.time()
            if now >= until:
                await writer.envelope(_message(_status("Closed")))
                return
            if now >= beat:
                alive = "".join(_notification(one, (status_event(0, watermarks=False),)) for one in told)
                await writer.envelope(_message(f"<m:Notifications>{alive}</m:Notifications>"))
                beat = now + self.times.heartbeat_seconds
            if not any(page.more for _, page in pages):
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(news.wait(), max(0, min(_NOTICE_SECONDS, until - now, beat - now)))

    async def _without_lost(self, writer: _Writer, stream: object, told: list[Subscription]) -> list[Subscription]:
        """Return the subscriptions that go on. Of the others the client hears; the stream ends with the last."""
        left = [one for one in told if one.stream is stream and not one.missed and self.subscriptions.is_known(one)]
        missed = [one.id for one in told if one.missed]
        ended = [one.id for one in told if not one.missed and not self.subscriptions.is_known(one)]
        elsewhere = [one.id for one in told if one not in left and one.id not in missed and one.id not in ended]
        for code, ids in (
            ("ErrorMissedNotificationEvents", missed),
            ("ErrorSubscriptionNotFound", ended),
            ("ErrorNewEventStreamConnectionOpened", elsewhere),
        ):
            if ids:
                await writer.envelope(_error(EwsError(code), ids, closed=not left))
        return left

    def _read(self, told: Sequence[Subscription]) -> list[tuple[Subscription, Page]]:
        pages = []
        with self.store.reading() as db:
            for one in told:
                try:
                    pages.append((one, read_events(db, one, one.place, watermarks=False)))
                except EwsError:
                    one.missed = True
        return pages


class _BadIdsError(Exception):
    """Some of the ids of a request cannot be told."""

    def __init__(self, error: EwsError, ids: Sequence[str]) -> None:
        super().__init__(error.code)
        self.error = error
        self.ids = ids


class _Writer:
    """Writes the envelopes of one stream, as long as somebody reads them; does to them what faults want."""

    def __init__(
        self,
        http: web.Request,
        response: web.StreamResponse,
        faults: Sequence[StreamFault],
        keep: Keep,
        server: Server,
    ) -> None:
        self._server = server
        self._http = http
        self._response = response
        self._keep = keep
        self._faults = {fault.kind: fault.after for fault in faults}
        self._told = 0
        self._gone = False

    @property
    def open(self) -> bool:
        """Return whether the client is still there."""
        return not self._gone and self._http.transport is not None and not self._http.transport.is_closing()

    async def envelope(self, content: str, *, events: bool = False) -> None:
        """Write one envelope; the client may go meanwhile."""
        if self._struck("stream_silent"):
            return
        data = _envelope(content, self._server)
        if events:
            if self._struck("stream_garbage"):
                await self._write(_GARBAGE)
                self._gone = True
                return
            if self._struck("stream_cut"):
                # A reset, in the middle of a message.
                await self._write(data[: len(data) // 2])
                self._gone = True
                abort_by_reset(self._http.transport)
                return
            missed, repeated = self._struck("stream_missed"), self._struck("stream_repeated")
            self._told += 1
            if missed:
                return
            if repeated:
                data += data
        if await self._write(data):
            await self._keep(_envelope(content, self._server))

    async def end(self) -> web.StreamResponse:
        """End the answer; one that died silently stays open until its client gives up."""
        while self._struck("stream_silent") and self.open:  # noqa: ASYNC110 - see below
            await asyncio.sleep(_NOTICE_SECONDS)  # nothing tells a handler that its client has gone
        if self.open:
            with contextlib.suppress(ConnectionError, TimeoutError):
                await asyncio.wait_for(self._response.write_eof(), _WRITE_SECONDS)
        return self._response

    def _struck(self, kind: str) -> bool:
        return kind in self._faults and self._told >= self._faults[kind]

    async def _write(self, data: bytes) -> bool:
        try:
            await asyncio.wait_for(self._response.write(data), _WRITE_SECONDS)
        except (ConnectionError, TimeoutError):
            self._gone = True
            if self._http.transport is not None:
                self._http.transport.abort()
            return False
        return True


def _notification(subscription: Subscription, events: Sequence[str]) -> str:
    shown = f"<t:SubscriptionId>{subscription.id}</t:SubscriptionId>{''.join(events)}"
    return f"<m:Notification>{shown}</m:Notification>"


def _status(status: str) -> str:
    return f"<m:ConnectionStatus>{status}</m:ConnectionStatus>"


def _message(content: str) -> str:
    name = "m:GetStreamingEventsResponseMessage"
    return f'<{name} ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{content}</{name}>'


def _error(error: EwsError, ids: Sequence[str], *, closed: bool) -> str:
    name = "m:GetStreamingEventsResponseMessage"
    listed = "".join(f"<m:SubscriptionId>{xml.text(one)}</m:SubscriptionId>" for one in ids)
    return (
        f'<{name} ResponseClass="Error"><m:MessageText>{xml.text(error.text)}</m:MessageText>'
        f"<m:ResponseCode>{error.code}</m:ResponseCode><m:DescriptiveLinkKey>0</m:DescriptiveLinkKey>"
        + (f"<m:ErrorSubscriptionIds>{listed}</m:ErrorSubscriptionIds>" if ids else "")
        + (_status("Closed") if closed else "")
        + f"</{name}>"
    )


def _envelope(content: str, server: Server) -> bytes:
    messages = f"<m:ResponseMessages>{content}</m:ResponseMessages>"
    return xml.streamed_envelope("GetStreamingEventsResponse", messages, server=server)
