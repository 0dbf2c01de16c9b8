"""
What is declared on the broker, as plain data; the only place where names of amqp_exchanges and queues are made.

Everything is durable. Every queue is a quorum queue with its delivery limit, consumer timeout and dead-lettering set
on purpose. Nothing here is refused by a later 4.x: no priorities, no global prefetch, no transient queues but exclusive
ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from bridge.domain.queue_states import Watched

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ArgumentValue = str | int

INBOUND = "mail.inbound"
INBOUND_DEAD = "mail.inbound.dead"
OUTBOUND = "mail.outbound"
OUTBOUND_RETURNED = "mail.outbound.returned"
EVENTS = "mail.events"
EVENTS_DEFAULT = "mail.events.default"
"""Leads to the queue `mail.events` alone, for an event that another queue refused."""
DEAD = "mail.dead"
WORKERS = "mail.workers"
"""Where workers announce themselves to each other."""

RESERVED_ALIASES = frozenset({"retry", "dead", "returned", "urgent"})
_ALIAS = re.compile(r"[a-z0-9-]{1,64}")
_URGENT = ".urgent"


@dataclass(frozen=True, slots=True)
class RetryStep:
    """One waiting time that requests spend in the broker before they come back."""

    name: str
    seconds: int

    @property
    def amqp_exchange(self) -> str:
        """Where a request is published to wait for this long; its queue has the same name."""
        return f"{OUTBOUND}.retry.{self.name}"


RETRY_STEPS = (RetryStep("5s", 5), RetryStep("30s", 30), RetryStep("2m", 120), RetryStep("10m", 600))
"""Shortest first."""


def check_alias(alias: str) -> str:
    """
    Return the alias.

    Raises:
        ValueError: It cannot be a part of queue names; the text says why.
    """
    if not _ALIAS.fullmatch(alias):
        raise ValueError("an alias consists of 1 to 64 lower-case letters, digits and hyphens")
    if alias in RESERVED_ALIASES:
        raise ValueError(f"the alias {alias!r} is a word of the bridge's own; choose another")
    return alias


def inbound_key(alias: str, kind: str) -> str:
    """Return the routing key of a mail from this mailbox."""
    return f"{alias}.{kind}"


def outbound_key(alias: str, *, urgent: bool = False) -> str:
    """Return the routing key of a request to this mailbox."""
    return alias + _URGENT if urgent else alias


def outbound_queue(alias: str) -> str:
    """Return the name of the queue of ordinary requests to this mailbox."""
    return f"{OUTBOUND}.{alias}"


def outbound_urgent_queue(alias: str) -> str:
    """Return the name of the queue of urgent requests to this mailbox."""
    return f"{OUTBOUND}.{alias}{_URGENT}"


def lease_queue(queue: str) -> str:
    """Return the name of the exclusive queue that a worker holds while it alone consumes a queue of the bridge."""
    return "mail.lease." + queue.removeprefix("mail.")


def reader_lease(alias: str) -> str:
    """Return the name of the exclusive queue that a worker holds while it alone reads a mailbox."""
    return f"mail.lease.inbound.{alias}"


def announcements_queue(name: str) -> str:
    """Return the name of the exclusive queue in which a worker hears the announcements of all; `name` is random."""
    return f"mail.lease.workers.{name}"


def is_alias(text: str) -> bool:
    """Return whether a mailbox can have this alias."""
    return _ALIAS.fullmatch(text) is not None and text not in RESERVED_ALIASES


def parse_outbound_key(routing_key: str) -> tuple[str, bool]:
    """Return the alias and whether the request is urgent; whether there is such a mailbox is another question."""
    if routing_key.endswith(_URGENT):
        return routing_key.removesuffix(_URGENT), True
    return routing_key, False


@dataclass(frozen=True, slots=True)
class AmqpExchange:
    """One durable amqp_exchange."""

    name: str
    type: Literal["direct", "fanout", "topic"]
    arguments: Mapping[str, ArgumentValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Queue:
    """One durable queue."""

    name: str
    arguments: Mapping[str, ArgumentValue]


@dataclass(frozen=True, slots=True)
class Binding:
    """What brings messages from an amqp_exchange to a queue."""

    amqp_exchange: str
    queue: str
    routing_key: str


@dataclass(frozen=True, slots=True)
class Topology:
    """Everything that the bridge needs on one virtual host."""

    amqp_exchanges: Sequence[AmqpExchange]
    queues: Sequence[Queue]
    bindings: Sequence[Binding]


@dataclass(frozen=True, slots=True)
class TopologyOptions:
    """What an operator may choose. A queue that exists keeps what it has; `apply` reports the difference."""

    default_queue: bool = True
    """Whether there is a queue `mail.inbound` for every mail; without it consumers bind their own."""
    inbound_delivery_limit: int = 100
    """How often a mail comes back from consumers before it goes to `mail.inbound.dead`. Prefetched counts, too."""
    outbound_delivery_limit: int = 1000
    """Far above what the bridge does itself: it ends a request long before."""
    consumer_timeout_seconds: int = 1800
    """How long a consumer may hold a delivery unsettled before the broker takes it back and closes the channel."""
    events_kept_seconds: int = 7 * 24 * 3600
    """How long an event waits for a reader in `mail.events`."""
    events_kept_bytes: int = 256 * 1024 * 1024
    """How much the unread events may take; the oldest go first."""


DEFAULT_OPTIONS = TopologyOptions()


def ingest_needs() -> tuple[Sequence[str], Sequence[str]]:
    """Return the amqp_exchanges and the queues without which an ingest worker can do nothing."""
    return (INBOUND, EVENTS), ()


def egress_needs(aliases: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Return the amqp_exchanges and the queues without which an egress worker for these mailboxes can do nothing."""
    queues = [OUTBOUND_RETURNED]
    for alias in aliases:
        queues += [outbound_queue(alias), outbound_urgent_queue(alias)]
    return (EVENTS, DEAD, *(step.amqp_exchange for step in RETRY_STEPS)), queues


def ingest_watched(*, default_queue: bool) -> Watched:
    """Return what an ingest worker looks at while no mail shows it."""
    return Watched(
        amqp_exchanges=(INBOUND, EVENTS),
        needed=(INBOUND,) if default_queue else (),
        expected=(INBOUND_DEAD, EVENTS),
        dead=(INBOUND_DEAD,),
        unread=(INBOUND,) if default_queue else (),
    )


def egress_watched(aliases: Sequence[str]) -> Watched:
    """Return what an egress worker looks at while no request shows it."""
    retries = [step.amqp_exchange for step in RETRY_STEPS]
    return Watched(
        amqp_exchanges=(OUTBOUND, EVENTS, DEAD, *retries),
        needed=(DEAD, OUTBOUND_RETURNED, *retries),
        expected=(EVENTS,),
        dead=(DEAD,),
        quorum=[queue for alias in aliases for queue in (outbound_queue(alias), outbound_urgent_queue(alias))],
    )


def topology(aliases: Sequence[str], options: TopologyOptions = DEFAULT_OPTIONS) -> Topology:
    """
    Return what is declared for mailboxes with these aliases.

    Raises:
        ValueError: An alias is not allowed, or there twice.
    """
    if len(set(aliases)) != len(aliases):
        raise ValueError("two mailboxes have the same alias")
    parts = (
        _inbound(options),
        _outbound([check_alias(alias) for alias in aliases], options),
        _retries(options),
        _events(options),
        _terminal(DEAD, options),
        # No queue: each worker brings its own, which goes with its connection.
        Topology([AmqpExchange(WORKERS, "fanout")], [], []),
    )
    return Topology(
        [one for part in parts for one in part.amqp_exchanges],
        [one for part in parts for one in part.queues],
        [one for part in parts for one in part.bindings],
    )


def _inbound(options: TopologyOptions) -> Topology:
    # No alternate exchange: a mail that no queue wants must stay in the inbox.
    amqp_exchange = AmqpExchange(INBOUND, "topic")
    dead = _terminal(INBOUND_DEAD, options)
    if not options.default_queue:
        return Topology([amqp_exchange, *dead.amqp_exchanges], dead.queues, dead.bindings)
    queue = Queue(
        INBOUND,
        _quorum(options, delivery_limit=options.inbound_delivery_limit) | _dead_lettering(INBOUND_DEAD),
    )
    return Topology(
        [amqp_exchange, *dead.amqp_exchanges],
        [queue, *dead.queues],
        [Binding(INBOUND, INBOUND, "#"), *dead.bindings],
    )


def _outbound(aliases: Sequence[str], options: TopologyOptions) -> Topology:
    returned = _terminal(OUTBOUND_RETURNED, options)
    arguments = _quorum(options, delivery_limit=options.outbound_delivery_limit) | _dead_lettering(OUTBOUND_RETURNED)
    queues, bindings = [], []
    for alias in aliases:
        for name, key in (
            (outbound_queue(alias), outbound_key(alias)),
            (outbound_urgent_queue(alias), outbound_key(alias, urgent=True)),
        ):
            queues.append(Queue(name, arguments))
            bindings.append(Binding(OUTBOUND, name, key))
    amqp_exchange = AmqpExchange(OUTBOUND, "direct", {"alternate-exchange": OUTBOUND_RETURNED})
    return Topology(
        # What others refer to comes first.
        [*returned.amqp_exchanges, amqp_exchange],
        [*returned.queues, *queues],
        [*returned.bindings, *bindings],
    )


def _retries(options: TopologyOptions) -> Topology:
    # One queue for each time: a message's own expiration would wait for what stands before it at the head. The key
    # that a request was published under stays with it through a fanout and through dead-lettering, so all mailboxes
    # share these queues.
    return Topology(
        [AmqpExchange(step.amqp_exchange, "fanout") for step in RETRY_STEPS],
        [
            Queue(
                step.amqp_exchange,
                _quorum(options, delivery_limit=None)
                | _dead_lettering(OUTBOUND)
                | {"x-message-ttl": step.seconds * 1000},
            )
            for step in RETRY_STEPS
        ],
        [Binding(step.amqp_exchange, step.amqp_exchange, "") for step in RETRY_STEPS],
    )


def _events(options: TopologyOptions) -> Topology:
    arguments = _quorum(options, delivery_limit=options.inbound_delivery_limit) | {
        "x-overflow": "drop-head",
        "x-message-ttl": options.events_kept_seconds * 1000,
        "x-max-length-bytes": options.events_kept_bytes,
    }
    return Topology(
        [AmqpExchange(EVENTS, "topic"), AmqpExchange(EVENTS_DEFAULT, "fanout")],
        [Queue(EVENTS, arguments)],
        [Binding(EVENTS, EVENTS, "#"), Binding(EVENTS_DEFAULT, EVENTS, "")],
    )


def _terminal(name: str, options: TopologyOptions) -> Topology:
    """Where things stay until somebody deals with them: nothing is dropped, however often it is looked at."""
    return Topology(
        [AmqpExchange(name, "fanout")], [Queue(name, _quorum(options, delivery_limit=None))], [Binding(name, name, "")]
    )


def _quorum(options: TopologyOptions, *, delivery_limit: int | None) -> dict[str, ArgumentValue]:
    return {
        "x-queue-type": "quorum",
        # Left out it would be 20, after which RabbitMQ drops a message that has nowhere to go; -1 is "no limit".
        "x-delivery-limit": -1 if delivery_limit is None else delivery_limit,
        "x-consumer-timeout": options.consumer_timeout_seconds * 1000,
    }


def _dead_lettering(amqp_exchange: str) -> dict[str, ArgumentValue]:
    # At-least-once works only together with reject-publish; without either RabbitMQ falls back to at-most-once.
    return {
        "x-dead-letter-exchange": amqp_exchange,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
