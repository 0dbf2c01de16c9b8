"""What Exchange tells of mailboxes while it streams: plain values."""

from __future__ import annotations

from dataclasses import dataclass

from bridge.errors import MailboxUnavailable


@dataclass(frozen=True, slots=True)
class Affinity:
    """Where a subscription lies: the server's name, and what leads a request there, which only the transport reads."""

    server: str
    token: str


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A subscription, and where it lies as far as Exchange says so."""

    subscription: str
    affinity: Affinity | None = None


@dataclass(frozen=True, slots=True)
class Notice:
    """One message of a stream, all of it about subscriptions that it was opened for; an empty one is a heartbeat."""

    arrived: frozenset[str] = frozenset()
    """Into their folders something came that may be mail."""
    lost: frozenset[str] = frozenset()
    """The stream tells of them no more, and whatever came meanwhile may have gone untold."""
    closed: bool = False
    """This was the last message."""


class StreamRefused(MailboxUnavailable):
    """Exchange, or what stands before it, does not tell of new mail as it comes: it is found by listing."""

    code = "stream_refused"


class StreamSilent(MailboxUnavailable):
    """A stream did not begin, or showed no sign of life for longer than it may."""

    code = "stream_silent"


class StreamGarbled(MailboxUnavailable):
    """A stream sent what is no message of one, or ended in the middle of a message."""

    code = "stream_garbled"
