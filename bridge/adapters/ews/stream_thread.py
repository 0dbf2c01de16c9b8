"""
One open stream: a thread that waits for its bytes, and an event loop that hears what they say.

The thread holds a connection of its own, so that no stream ever keeps one from the calls that list and fetch. It ends
by itself within the bounds of `StreamTimes`, whatever the other side does, and no process waits for it: it is a daemon.
"""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import urllib3.exceptions

from bridge.adapters.ews.errors import UNKNOWN, error_for_code
from bridge.adapters.ews.soap import parse_answer
from bridge.adapters.ews.stream_parser import EnvelopeCutter, NoticeReader, Refusal
from bridge.adapters.http_deadline import interrupt, until
from bridge.domain.notices import Notice, StreamGarbled, StreamRefused, StreamSilent
from bridge.errors import BridgeError, CallNotPossible, CredentialsRejected, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    import requests

_PIECE_BYTES: Final = 1 << 16
_APART_SECONDS: Final = 0.02
"""Least time between two notices: a server that tells without end is read as fast as this, and TCP holds the rest."""
_NOTICES_HELD: Final = 8
_LOOK_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class StreamTimes:
    """What is waited for, and how long."""

    minutes: int = 29
    """After so many minutes Exchange ends the stream in order; it takes 30 at most."""
    first_seconds: float = 30.0
    """For the first message, which Exchange sends at once; a proxy that keeps it back lets no stream through."""
    silence_seconds: float = 100.0
    """Between two messages: Exchange sends one every 45 seconds when there is nothing to tell."""
    late_seconds: float = 60.0
    """After the minutes are over, for Exchange to say so."""


class StreamThread:
    """Reads one stream. Iterate over `notices` on the loop that made it; `close` ends it."""

    def __init__(self, post: Callable[[float], requests.Response], ids: Sequence[str], times: StreamTimes) -> None:
        self._post = post
        self._times = times
        self._reader = NoticeReader(ids)
        self._loop = asyncio.get_running_loop()
        self._queue: asyncio.Queue[Notice | BridgeError | Exception | None] = asyncio.Queue()
        self._room = threading.Semaphore(_NOTICES_HELD)
        """Of the queue. A thread cannot wait for a queue of the loop's, which may be closed by then."""
        self._over = threading.Event()
        self._response: requests.Response | None = None
        self._heard = False
        threading.Thread(target=self._run, name="ews-stream", daemon=True).start()

    def close(self) -> None:
        """End the stream, if it has not ended."""
        self._over.set()
        if self._response is not None:
            interrupt(self._response)

    async def notices(self) -> AsyncIterator[Notice]:
        """Yield what the stream says; raises what `Notifications.stream` promises."""
        while (said := await self._queue.get()) is not None:
            self._room.release()
            if isinstance(said, Exception):
                raise said
            yield said

    def _run(self) -> None:
        end: BridgeError | Exception | None = None
        try:
            try:
                self._read()
            finally:
                if self._response is not None:
                    self._response.close()
        except BridgeError as error:
            end = error
        except OSError as error:  # of closing
            end = MailboxUnavailable(type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a bug must be seen where the stream is awaited, not die with a thread
            end = error
        self._hand_over(end)

    def _read(self) -> None:
        began = time.monotonic()
        self._response = self._open(began)
        cutter = EnvelopeCutter()
        last_at = time.monotonic()
        ends_at = began + self._times.minutes * 60 + self._times.late_seconds
        while not self._over.is_set():
            bound = last_at + self._times.silence_seconds if self._heard else began + self._times.first_seconds
            if time.monotonic() >= ends_at:
                return  # it would go on for ever; all is well with it, and a new one begins in order
            piece = self._piece(self._response, min(bound, ends_at), silent_at=bound)
            if piece is None:
                continue
            if not piece:
                if cutter.is_within:
                    raise StreamGarbled("the stream ended in the middle of a message")
                return
            notices = [self._notice(envelope) for envelope in cutter.feed(piece)]
            if notices:
                self._heard = True
                self._hand_over(_together(notices))
                if any(notice.closed for notice in notices):
                    return
                self._over.wait(_APART_SECONDS)
                last_at = time.monotonic()  # a loop that is slow to take it is no silence of Exchange's

    def _open(self, began: float) -> requests.Response:
        try:
            response = self._post(self._times.first_seconds)
            if response.status_code == 401:
                raise CredentialsRejected("Exchange refused the login (HTTP 401)", code="login_refused")
            if response.status_code != 200:
                parse_answer(response.content, "GetStreamingEvents")
                raise StreamGarbled(f"HTTP {response.status_code} without an error in it")
        except (MailboxUnavailable, CallNotPossible) as error:
            if time.monotonic() - began >= self._times.first_seconds * 0.95:
                raise StreamSilent("the stream did not begin in time") from error
            raise stream_error(error) from error
        return response

    def _piece(self, response: requests.Response, deadline: float, *, silent_at: float) -> bytes | None:
        """Return what comes next, nothing at the end, None where the deadline was another than silence."""
        try:
            with until(deadline):
                return bytes(response.raw.read1(_PIECE_BYTES, decode_content=True))
        except (TimeoutError, urllib3.exceptions.TimeoutError) as error:
            if time.monotonic() < silent_at:
                return None
            raise StreamSilent("no sign of life from the stream") from error
        except (OSError, ValueError, urllib3.exceptions.HTTPError) as error:
            if self._over.is_set():
                return b""
            raise MailboxUnavailable(type(error).__name__) from error

    def _notice(self, envelope: bytes) -> Notice:
        try:
            return self._reader.read(envelope)
        except Refusal as refusal:
            raise stream_error(error_for_code(refusal.code)) from refusal

    def _hand_over(self, said: Notice | BridgeError | Exception | None) -> None:
        """Give the loop what was said; where it does not keep up, wait."""
        while not self._room.acquire(timeout=_LOOK_SECONDS):
            if self._over.is_set():
                return
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, said)
        except RuntimeError:  # the loop is closed: nobody listens any more
            self._over.set()


def _together(notices: Sequence[Notice]) -> Notice:
    return Notice(
        frozenset().union(*(notice.arrived for notice in notices)),
        frozenset().union(*(notice.lost for notice in notices)),
        any(notice.closed for notice in notices),
    )


def stream_error(error: BridgeError) -> BridgeError:
    """Return what an error means to somebody who wants to be told of mail: a call that Exchange has no use for."""
    code = error.detail
    is_for_good = isinstance(error, CallNotPossible) or error.code == UNKNOWN
    is_unwanted = type(error) is MailboxUnavailable and code.startswith(("HTTP 4", "HTTP 501"))
    # As an error of a stream, more subscriptions than Exchange takes at a time.
    is_too_many = code == "ErrorExceededSubscriptionCount"
    return StreamRefused(code) if is_for_good or is_unwanted or is_too_many else error
