"""What was put in and what came out, added up from outside the workers."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.sandbox.trace import as_given

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True)
class Summary:
    """The figures of a demo; it is a success only if they all add up."""

    delivered: int
    published: int
    """Different mails that the queue carried, each with the bytes that the mailbox was given."""
    removed: int
    left: int
    """Still in the inbox."""
    parked: int
    lost: int
    """Delivered, and neither in the queue, nor in the inbox, nor parked."""
    repeated: int
    """Arrivals of a message_id that had arrived before."""
    requested: int
    sent: int
    """Requests that the sandbox sent, by their stamp."""
    sent_twice: int
    events: int
    """Requests with exactly one terminal event."""
    seconds: float

    @property
    def adds_up(self) -> bool:
        """Whether every mail arrived once and left the inbox, and every request was sent once with its event."""
        mails = self.published == self.removed == self.delivered and not (self.lost or self.repeated or self.left)
        sends = self.sent == self.events == self.requested and not self.sent_twice
        return mails and sends and not self.parked


@dataclass(slots=True)
class Account:
    """Filled as the demo goes; mails count by the hash of their bytes, requests by their id."""

    delivered: Counter[str] = field(default_factory=Counter)
    arrivals: Counter[str] = field(default_factory=Counter)
    """How often each message_id arrived."""
    raw: dict[str, str] = field(default_factory=dict)
    """message_id to the hash of the mail that its payload carries, as the mailbox was given it."""
    requested: set[str] = field(default_factory=set)
    terminal: Counter[str] = field(default_factory=Counter)
    """Terminal events that are not repeats of one another, by request."""
    _event_ids: set[str] = field(default_factory=set)

    def deliver(self, mail: bytes) -> None:
        """Note a mail that the SMTP server took."""
        self.delivered[hashlib.sha256(mail).hexdigest()] += 1

    def arrive(self, message_id: str, raw: bytes) -> None:
        """Note a payload from the queue, with its raw bytes decoded."""
        self.arrivals[message_id] += 1
        self.raw[message_id] = _given(raw)

    def note_event(self, request_id: str, event_id: str) -> None:
        """Note a terminal event; one with the same event_id is the same event."""
        if event_id not in self._event_ids:
            self._event_ids.add(event_id)
            self.terminal[request_id] += 1

    def summary(self, *, left: Iterable[bytes], parked: int, sends: Mapping[str, int], seconds: float) -> Summary:
        """
        Add up.

        Args:
            left: The mails still in the inbox.
            parked: Mails in the folder for parked ones.
            sends: How often the sandbox sent each request.
            seconds: How long it took.
        """
        in_inbox = Counter(map(_given, left))
        published = Counter(self.raw.values()) & self.delivered
        missing = self.delivered - published
        delivered, stays = self.delivered.total(), (self.delivered & in_inbox).total()
        return Summary(
            delivered=delivered,
            published=published.total(),
            removed=delivered - stays - parked,
            left=in_inbox.total(),
            parked=parked,
            lost=max(0, (missing - in_inbox).total() - parked),
            repeated=sum(count - 1 for count in self.arrivals.values()),
            requested=len(self.requested),
            sent=sum(1 for request in self.requested if sends.get(request)),
            sent_twice=sum(1 for request in self.requested if sends.get(request, 0) > 1),
            events=sum(1 for request in self.requested if self.terminal[request] == 1),
            seconds=round(seconds, 1),
        )


def _given(mime: bytes) -> str:
    """Return the hash of a mail as it was handed in; a mail that lacks the server's field is none of these."""
    try:
        return hashlib.sha256(as_given(mime)).hexdigest()
    except ValueError:
        return ""
