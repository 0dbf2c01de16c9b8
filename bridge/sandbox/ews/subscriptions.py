"""
Who wants to hear of changes: the subscriptions of all mailboxes.

They live in memory, as Exchange's do: a restart loses them all, and their ids are then unknown. What they have not
told yet is not kept here but in the store's log of changes; a subscription is a place in it.
"""

from __future__ import annotations

import binascii
import struct
import threading
import time
from base64 import b64decode, b64encode
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from uuid import UUID, uuid4

from bridge.sandbox.ews.errors import EwsError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from bridge.sandbox.ews.hooks import Caller
    from bridge.sandbox.store import Mailbox

_SERVER: Final = b"sandbox.localhost"
_ID_TAIL: Final = struct.Struct("<I16sq")
_WATERMARK: Final = struct.Struct("<IqB")


@dataclass(slots=True)
class SubscriptionLimits:
    """What Exchange Online allows; each may be set to something else."""

    per_mailbox: int = 20
    streams_per_mailbox: int = 10
    ids_per_stream: int = 200
    streaming_idle_seconds: float = 1800
    """How long a streaming subscription lives without a connection."""


@dataclass(slots=True)
class Subscription:
    """One subscription. `folders` are folder numbers, None for all; `place` is how far in the log it has told."""

    id: str
    mailbox: Mailbox
    owner: str | None
    streaming: bool
    folders: frozenset[int] | None
    events: frozenset[str]
    place: int
    idle_seconds: float
    used: float
    stream: object | None = None
    """The open connection that tells it: the newest one that asked for it."""
    missed: bool = False
    """It can no longer tell all: its connections end with ErrorMissedNotificationEvents."""


@dataclass(slots=True)
class Subscriptions:
    """All subscriptions; safe from any thread."""

    limits: SubscriptionLimits = field(default_factory=SubscriptionLimits)
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, Subscription] = field(default_factory=dict)
    _streams: dict[str, int] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def add(
        self,
        mailbox: Mailbox,
        caller: Caller,
        *,
        streaming: bool,
        folders: frozenset[int] | None,
        events: frozenset[str],
        place: int,
        idle_seconds: float | None = None,
    ) -> Subscription:
        """
        Subscribe from a place in the log on.

        Raises:
            EwsError: ErrorExceededSubscriptionCount, the mailbox has as many as it may have.
        """
        with self._lock:
            self._forget_idle()
            held = sum(one.mailbox.id == mailbox.id for one in self._known.values())
            if held >= self.limits.per_mailbox:
                raise EwsError("ErrorExceededSubscriptionCount")
            idle = self.limits.streaming_idle_seconds if idle_seconds is None else idle_seconds
            made = Subscription(
                new_id(), mailbox, caller.mailbox, streaming, folders, events, place, idle, self.clock()
            )
            self._known[made.id] = made
        return made

    def find_streaming(self, subscription_id: str, caller: Caller) -> Subscription:
        """Return a streaming subscription; another one is ErrorInvalidSubscription, the rest is as in `find`."""
        found = self.find(subscription_id, caller)
        if not found.streaming:
            raise EwsError("ErrorInvalidSubscription")
        return found

    def find(self, subscription_id: str, caller: Caller) -> Subscription:
        """
        Return a subscription of the caller's, which counts as used now.

        Raises:
            EwsError: ErrorInvalidSubscription for what is no id, ErrorSubscriptionNotFound, or
                ErrorSubscriptionAccessDenied for somebody else's.
        """
        if not is_id(subscription_id):
            raise EwsError("ErrorInvalidSubscription")
        with self._lock:
            self._forget_idle()
            found = self._known.get(subscription_id)
            if found is None:
                raise EwsError("ErrorSubscriptionNotFound")
            own = caller.mailbox is not None and caller.mailbox.lower() == found.mailbox.address.lower()
            if found.owner != caller.mailbox or not (own or caller.may_impersonate(found.mailbox.address)):
                raise EwsError("ErrorSubscriptionAccessDenied")
            found.used = self.clock()
            return found

    def remove(self, subscription: Subscription) -> None:
        """End a subscription; the connections that tell it notice."""
        with self._lock:
            self._known.pop(subscription.id, None)

    def lose_all(self, mailbox: str | None = None) -> int:
        """
        Forget all subscriptions, or those of a mailbox, as its move does; returns how many.

        Open connections learn of it.
        """
        with self._lock:
            lost = [one for one in self._known.values() if mailbox is None or one.mailbox.address == mailbox]
            for one in lost:
                one.missed = True
                del self._known[one.id]
        return len(lost)

    def is_known(self, subscription: Subscription) -> bool:
        """Return whether the subscription has not ended."""
        with self._lock:
            return subscription.id in self._known

    def connect(self, stream: object, mailbox: str, subscriptions: Iterable[Subscription]) -> None:
        """
        Count a connection for a mailbox that tells these subscriptions from now on, and no other one does.

        Raises:
            EwsError: ErrorExceededConnectionCount, the mailbox has as many as it may have.
        """
        with self._lock:
            if self._streams.get(mailbox, 0) >= self.limits.streams_per_mailbox:
                raise EwsError("ErrorExceededConnectionCount")
            self._streams[mailbox] = self._streams.get(mailbox, 0) + 1
            for one in subscriptions:
                one.stream = stream

    def disconnect(self, stream: object, mailbox: str, subscriptions: Iterable[Subscription]) -> None:
        """Take back what `connect` counted."""
        with self._lock:
            self._streams[mailbox] -= 1
            if not self._streams[mailbox]:
                del self._streams[mailbox]
            for one in subscriptions:
                if one.stream is stream:
                    one.stream = None
                    one.used = self.clock()

    def _forget_idle(self) -> None:
        now = self.clock()
        for one in [one for one in self._known.values() if one.stream is None and now - one.used > one.idle_seconds]:
            del self._known[one.id]


def new_id() -> str:
    """Return an id as Exchange gives it: the server, something unique, and the time, base64 coded."""
    tail = _ID_TAIL.pack(16, uuid4().bytes, time.time_ns())
    return b64encode(struct.pack("<H", len(_SERVER)) + _SERVER + tail).decode()


def is_id(text: str) -> bool:
    """Return whether a text has the form of a subscription's id, known or not."""
    try:
        raw = b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return _is_guid(text)
    if len(raw) < _ID_TAIL.size + 2:
        return False
    return len(raw) == int.from_bytes(raw[:2], "little") + 2 + _ID_TAIL.size


def _is_guid(text: str) -> bool:
    # The form of the ids of Exchange 2007, which is still in the documentation's examples.
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def watermark(place: int) -> str:
    """Return a place in the log as clients get it."""
    return b64encode(_WATERMARK.pack(0, place, 1)).decode()


def read_watermark(text: str) -> int:
    """
    Return the place in the log that a watermark means.

    Raises:
        EwsError: ErrorInvalidWatermark, it is none.
    """
    try:
        start, place, end = _WATERMARK.unpack(b64decode(text, validate=True))
    except (binascii.Error, ValueError, struct.error) as error:
        raise EwsError("ErrorInvalidWatermark") from error
    if (start, end) != (0, 1) or place < 0:
        raise EwsError("ErrorInvalidWatermark")
    return int(place)
