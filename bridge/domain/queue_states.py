"""What is wrong with queues that a worker does not consume itself: nothing it does would show it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal

from bridge.domain.concern import Concern

if TYPE_CHECKING:
    from collections.abc import Sequence

UNREAD_AFTER_SECONDS: Final = 30.0
"""A consumer that is started anew, or takes mails one by one without being registered, is none that is missing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Names of one virtual host, and what is expected of each."""

    amqp_exchanges: Sequence[str] = ()
    needed: Sequence[str] = ()
    """Queues without which mail or requests stop."""
    expected: Sequence[str] = ()
    """Queues that should be there; others may do their work."""
    dead: Sequence[str] = ()
    """Queues in which nothing should lie; they are among the others, too."""
    unread: Sequence[str] = ()
    """Queues that somebody has to consume; likewise."""
    quorum: Sequence[str] = ()
    """Further queues whose type alone is of interest: who consumes them tells all else."""

    @property
    def queues(self) -> Sequence[str]:
        """Those that are looked at each time."""
        return [*self.needed, *self.expected]

    def __add__(self, other: Watched) -> Watched:
        """Return what either is about, each name once."""
        return Watched(
            **{
                part.name: tuple(dict.fromkeys([*getattr(self, part.name), *getattr(other, part.name)]))
                for part in fields(self)
            }
        )


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at one amqp_exchange or queue showed."""

    name: str
    missing: bool = False
    messages: int = 0
    consumers: int = 0
    kind: Literal["amqp_exchange", "queue"] = "queue"
    """An amqp_exchange and a queue may have the same name."""


@dataclass(slots=True)
class _Unread:
    messages: int
    since: float


@dataclass(slots=True)
class QueueStates:
    """What is known after several looks."""

    watched: Watched
    _looked: dict[str, Looked] = field(default_factory=dict)
    _missing_exchanges: Sequence[str] = ()
    _unread: dict[str, _Unread] = field(default_factory=dict)
    of_other_type: Sequence[str] = ()
    """Queues that are no quorum queues."""

    def update(self, looks: Sequence[Looked], now: float) -> None:
        """Take in a look at all names that this login may look at."""
        self._looked = {one.name: one for one in looks if one.kind == "queue"}
        self._missing_exchanges = [one.name for one in looks if one.kind == "amqp_exchange" and one.missing]
        for name in self.watched.unread:
            one, before = self._looked.get(name), self._unread.pop(name, None)
            if one is None or one.consumers or not one.messages:
                continue
            if before is None or one.messages < before.messages:
                before = _Unread(one.messages, now)  # somebody took some, or it has just begun
            self._unread[name] = _Unread(one.messages, before.since)

    @property
    def missing(self) -> frozenset[str]:
        """Queues that are not there."""
        return frozenset(name for name, one in self._looked.items() if one.missing)

    def concerns(self, now: float) -> list[Concern]:
        """Return what a person should see to, the worst first."""
        found = []
        stopping = [f"amqp_exchange {name}" for name in self._missing_exchanges]
        stopping += [f"queue {name}" for name in self.watched.needed if name in self.missing]
        others = [f"queue {name}" for name in self.watched.expected if name in self.missing]
        if stopping:
            told = ", ".join([*stopping, *others])
            found.append(Concern("topology_missing", f"missing: {told}", stops_mail=True))
        elif others:
            found.append(Concern("topology_missing", f"missing: {', '.join(others)}"))
        if self.of_other_type:
            found.append(Concern("queue_type_wrong", ", ".join(self.of_other_type)))
        dead = {name: self._looked[name].messages for name in self.watched.dead if name in self._looked}
        if any(dead.values()):
            told = ", ".join(f"{name}: {count} message(s)" for name, count in dead.items() if count)
            found.append(Concern("dead_letters_wait", told))
        for name, unread in self._unread.items():
            if now - unread.since >= UNREAD_AFTER_SECONDS:
                found.append(Concern("inbound_unread", f"{name}: {unread.messages} mail(s), and no consumer"))
        return found
