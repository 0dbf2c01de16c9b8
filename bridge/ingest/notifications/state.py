"""The pieces of a plan of streams: its limits, mailboxes, groups of them, and the actions that it asks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.domain.disposition import RetryPolicy

if TYPE_CHECKING:
    from bridge.domain.notices import Affinity


@dataclass(frozen=True, slots=True)
class StreamLimits:
    """How streams are used."""

    subscriptions: int = 200
    """Most mailboxes on a connection; Exchange takes no more."""
    connections: int = 10
    subscribing: int = 4
    """Most calls of Subscribe at a time."""
    settle_seconds: float = 2.0
    """How long a stream waits for further mailboxes before it is opened anew with them."""
    rest_seconds: float = 0.1
    """For each mailbox that a stream tells of it stays open so long before it is closed to take in others: all of its
    mailboxes are listed then."""
    good_seconds: float = 20.0
    """A stream that told something and lasted so long was one."""
    tries: int = 3
    """Refusals in a row after which a stream is tried slowly."""
    slowly_seconds: float = 600.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Subscribe to a mailbox, led to where `lead_mailbox` lies; tell how it went under the ticket."""

    ticket: int
    mailbox: str
    lead_mailbox: str
    affinity: Affinity | None


@dataclass(frozen=True, slots=True)
class End:
    """End a subscription, as far as that can be done; the mailbox is empty where it is not known any more."""

    mailbox: str
    subscription: str
    affinity: Affinity | None


@dataclass(frozen=True, slots=True)
class Open:
    """Open a stream for these subscriptions in the name of `lead_mailbox`; tell what it says, and that it ended."""

    stream: int
    lead_mailbox: str
    subscriptions: tuple[str, ...]
    affinity: Affinity | None


@dataclass(frozen=True, slots=True)
class Close:
    """Close a stream; it needs not to be told that it ended."""

    stream: int


Action = Subscribe | End | Open | Close


@dataclass(slots=True)
class Member:
    """One mailbox."""

    mailbox: str
    group: int | None = None
    subscription: str | None = None
    ticket: int | None = None
    """Of the call of Subscribe that is under way."""
    attempts: int = 0
    not_before: float = 0.0
    apart: set[int] = field(default_factory=set)
    """Groups that refused it."""
    proved: bool = False
    """Its group has told of it: when it is lost, that is not because it lies on another server."""
    live: bool = False
    live_since: float = 0.0
    why: str = "starting"


@dataclass(slots=True)
class Group:
    """Mailboxes that share a stream."""

    number: int
    members: list[str] = field(default_factory=list)
    affinity: Affinity | None = None
    known: bool = False
    """Exchange has answered for one of them; until then the others do not know where to be led."""
    stream: int | None = None
    notified: frozenset[str] = frozenset()
    """The subscriptions that the open stream was opened for."""
    heard: bool = False
    opened_at: float = 0.0
    changed_at: float = float("-inf")
    attempts: int = 0
    refusals: int = 0
    lead_mailbox: str | None = None
    """In whose name the stream is opened. Without an affinity it decides the server, so it stays the same if it can."""
    not_before: float = 0.0
