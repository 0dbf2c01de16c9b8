"""
Wakes the readers of mailboxes when Exchange tells of new mail: one task for all mailboxes, few connections.

What to do next is decided by `bridge.ingest.notifications.plan`; here it is done. A mailbox takes part while its reader
holds its lease. Nothing rests on what is told: readers list by the clock as well, more often while no stream tells.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.domain.notices import StreamGarbled, StreamSilent
from bridge.errors import BridgeError, OperatorError
from bridge.flow.waiting import report_bug, wait_for_any
from bridge.ingest.notifications.plan import StreamPlan
from bridge.ingest.notifications.state import Close, End, Open, StreamLimits, Subscribe
from bridge.telemetry.stream_events import StreamEnded, StreamHeard, StreamOpened, SubscribingFailed

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator, Sequence
    from typing import Any

    from bridge.ingest.notifications.state import Action
    from bridge.ports.clock import Clock
    from bridge.ports.notifications import Notifications
    from bridge.telemetry.events import Emit

LOST = "lost"
"""Why a mailbox is listed: no stream tells of it any more, since a while."""
_BUSY_SECONDS, _IDLE_SECONDS = 0.25, 5.0
_LOST_SECONDS: Final = 2.0
_TOLD_OF_AFTER_SECONDS: Final = 15.0
"""Shorter losses are no news for people."""
_GOODBYE_SECONDS: Final = 3.0
_UNEXPECTED: Final = "unexpected_error"


@dataclass(slots=True)
class _Watcher:
    alias: str
    folders: Sequence[str]
    wake: Callable[[str], None]
    unnotified_since: float | None
    """None while a stream tells of it."""
    was_notified: bool = False


class MailboxNotifications:
    """One mailbox's part in it."""

    def __init__(self, streams: NotificationStreams, alias: str, address: str, folders: Sequence[str]) -> None:
        self._streams, self._alias, self._address, self._folders = streams, alias, address, folders

    @property
    def is_notified(self) -> bool:
        """Whether a stream tells of the mailbox at the moment, as far as is known."""
        return self._streams.is_notified(self._address)

    @contextlib.contextmanager
    def watching(self, wake: Callable[[str], None]) -> Iterator[None]:
        """Call `wake` with the reason whenever the mailbox should be listed; the subscription ends with the context."""
        with self._streams.watching(self._alias, self._address, self._folders, wake):
            yield


@dataclass(frozen=True, slots=True)
class StreamStatus:
    """How streaming stands."""

    mailboxes: int
    """That readers of this worker hold."""
    subscriptions: int
    connections: int
    aliases: dict[str, bool] = field(default_factory=dict)
    """Whether a stream tells of each."""
    trouble: str | None = None
    """Why of some mailboxes, for longer than a moment, none does."""
    unnotified: int = 0


class NotificationStreams:
    """All streams of one Exchange and one login."""

    def __init__(
        self, notifications: Notifications, *, clock: Clock, emit: Emit, limits: StreamLimits | None = None
    ) -> None:
        self._notifications = notifications
        self._clock = clock
        self._emit = emit
        self._plan = StreamPlan(limits or StreamLimits(), random.random)
        self._watchers: dict[str, _Watcher] = {}
        self._streams: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def of(self, alias: str, address: str, folders: Sequence[str]) -> MailboxNotifications:
        """Return one mailbox's part."""
        return MailboxNotifications(self, alias, address, folders)

    def is_notified(self, address: str) -> bool:
        """Whether a stream tells of the mailbox at the moment, as far as is known."""
        return self._plan.is_notified(address)

    @contextlib.contextmanager
    def watching(self, alias: str, address: str, folders: Sequence[str], wake: Callable[[str], None]) -> Iterator[None]:
        """Have a mailbox told of within the context."""
        self._watchers[address] = _Watcher(alias, folders, wake, self._clock.monotonic())
        self._plan.want(address)
        self._changed.set()
        try:
            yield
        finally:
            del self._watchers[address]
            self._plan.leave(address)
            self._changed.set()

    @property
    def status(self) -> StreamStatus:
        """How it stands, for gauges and health."""
        now = self._clock.monotonic()
        late = sum(
            watcher.unnotified_since is not None and now - watcher.unnotified_since >= _TOLD_OF_AFTER_SECONDS
            for watcher in self._watchers.values()
        )
        codes = self._plan.unnotified
        return StreamStatus(
            self._plan.mailboxes,
            self._plan.subscriptions,
            self._plan.connections,
            {watcher.alias: self._plan.is_notified(address) for address, watcher in self._watchers.items()},
            # Who is still beginning after so long gets no answer.
            None if not late else next((code for code in codes if code != "starting"), StreamSilent.code),
            late,
        )

    async def run(self) -> None:
        """Do what is to be done until cancelled; then end the subscriptions that are left, as far as time permits."""
        try:
            while True:
                now = self._clock.monotonic()
                for action in self._plan.next(now):
                    self._do(action)
                for task in [task for task in self._tasks if task.done()]:
                    self._tasks.discard(task)
                    if not task.cancelled():
                        task.result()  # a bug ends the worker
                self._look_after(now)
                self._changed.clear()
                await wait_for_any(_IDLE_SECONDS if self._plan.settled else _BUSY_SECONDS, self._changed)
        finally:
            await self._say_goodbye()

    def _do(self, action: Action) -> None:
        match action:
            case Subscribe():
                self._start(self._subscribe(action))
            case End():
                self._start(self._end(action))
            case Open():
                self._streams[action.stream] = self._start(self._listen(action))
            case Close(stream=stream):
                if (task := self._streams.pop(stream, None)) is not None:
                    task.cancel()

    def _start(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(lambda _: self._changed.set())
        self._tasks.add(task)
        return task

    async def _subscribe(self, asked: Subscribe) -> None:
        watcher = self._watchers.get(asked.mailbox)
        if watcher is None:
            return
        try:
            made = await self._notifications.subscribe(
                asked.mailbox, watcher.folders, lead_mailbox=asked.lead_mailbox, affinity=asked.affinity
            )
        except BridgeError as error:
            self._not_subscribed(asked, watcher.alias, error)
        except Exception as bug:  # noqa: BLE001 - other mailboxes are told of all the same
            report_bug("a mailbox was not subscribed to", bug)
            self._not_subscribed(asked, watcher.alias, OperatorError(code=_UNEXPECTED))
        else:
            self._plan.subscribed(asked.ticket, asked.mailbox, made, self._clock.monotonic())

    def _not_subscribed(self, asked: Subscribe, alias: str, error: BridgeError) -> None:
        wait = self._plan.unsubscribed(asked.ticket, error, self._clock.monotonic())
        self._emit(SubscribingFailed(alias, error.code, error.detail, wait))

    async def _end(self, ended: End) -> None:
        with contextlib.suppress(BridgeError):  # Exchange ends it by itself, when no stream has told of it for long
            await self._notifications.unsubscribe(ended.mailbox, ended.subscription, affinity=ended.affinity)

    async def _listen(self, opened: Open) -> None:
        started = self._clock.monotonic()
        error: BridgeError | None = None
        heard = False
        try:
            async with self._notifications.stream(
                opened.subscriptions, lead_mailbox=opened.lead_mailbox, affinity=opened.affinity
            ) as notices:
                async for notice in notices:
                    now = self._clock.monotonic()
                    for mailbox, why in self._plan.take_notice(opened.stream, notice, now):
                        self._wake(mailbox, why)
                    if notice.lost or not heard:
                        self._changed.set()
                    if not (heard or notice.lost):
                        heard = True
                        self._emit(StreamOpened(len(opened.subscriptions)))
                    self._emit(StreamHeard(self._aliases_on(opened.stream), len(notice.arrived), len(notice.lost)))
                    if notice.closed:
                        break
        except BridgeError as failure:
            error = failure
        except Exception as bug:  # noqa: BLE001 - it ends this stream alone, which is opened again later
            report_bug("a stream was not read", bug)
            error = StreamGarbled(code=_UNEXPECTED)
        self._streams.pop(opened.stream, None)
        now = self._clock.monotonic()
        wait = self._plan.ended(opened.stream, error, now)
        code, detail = (error.code, error.detail) if error is not None else ("ok", "")
        self._emit(StreamEnded(len(opened.subscriptions), code, detail, now - started, wait))

    def _aliases_on(self, stream: int) -> tuple[str, ...]:
        return tuple(self._watchers[one].alias for one in self._plan.mailboxes_on(stream) if one in self._watchers)

    def _wake(self, mailbox: str, why: str) -> None:
        if (watcher := self._watchers.get(mailbox)) is not None:
            watcher.wake(why)

    def _look_after(self, now: float) -> None:
        """Note since when no stream tells of a mailbox; have it listed soon after it was lost, and not by its clock."""
        for address, watcher in self._watchers.items():
            if self._plan.is_notified(address):
                watcher.unnotified_since, watcher.was_notified = None, True
            elif watcher.unnotified_since is None:
                watcher.unnotified_since = now
            elif watcher.was_notified and now - watcher.unnotified_since >= _LOST_SECONDS:
                watcher.was_notified = False
                watcher.wake(LOST)

    async def _say_goodbye(self) -> None:
        tasks = {*self._tasks}
        for stream in tuple(self._streams.values()):
            stream.cancel()
        for action in self._plan.next(self._clock.monotonic()):
            if isinstance(action, End):
                tasks.add(self._start(self._end(action)))
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_GOODBYE_SECONDS)
            for task in left:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
