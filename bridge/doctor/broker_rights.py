"""Each right at the broker that the work needs, and those that it must not have; asked without changing anything."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from bridge.doctor.findings import doubtful, failed, ok, wrong
from bridge.errors import BridgeError
from bridge.wire import topology as names
from bridge.wire.event_v1 import TERMINAL

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator

    from bridge.adapters.rabbitmq.rights import Answer, RabbitRights
    from bridge.config import MailboxSettings
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding
    from bridge.wire.topology import Topology

_STEP: Final = "rabbitmq rights"
_MOST_NAMED: Final = 6


class Right(NamedTuple):
    """One right."""

    what: str
    """`publish`, `consume`, `declare queue` or `declare exchange`."""
    name: str
    routing_key: str = ""

    def __str__(self) -> str:
        key = f" as {self.routing_key}" if self.routing_key else ""
        return f"{self.what} {self.name}{key}"


class BrokerRights:
    """Examines the rights of the login, for the role that it is of."""

    def __init__(self, examination: Examination, wanted: Topology) -> None:
        self._examination = examination
        self._wanted = wanted
        self.may_configure = False
        """Whether this login may declare the topology, known once it was examined."""

    async def examine(self, rights: RabbitRights) -> AsyncGenerator[Finding, None]:
        """Yield what is found."""
        role, mailboxes = self._examination.role, self._examination.settings.mailboxes
        needed = list(needed_by(role, mailboxes))
        tried = f"ask for each right that bridge {role} needs"
        self._examination.begin(_STEP, tried)
        lacking: list[str] = []
        for right in needed:
            try:
                if await _ask(rights, right) == "refused":
                    lacking.append(str(right))
            except BridgeError as error:
                yield failed(_STEP, f"ask for the right to {right}", error)
                return
        if lacking:
            yield wrong(_STEP, tried, "broker_right_missing", f"refused: {_named(lacking)}")
        else:
            yield ok(_STEP, tried, f"all {len(needed)} are there")
        async for finding in self._too_many(rights, set(needed)):
            yield finding

    async def _too_many(self, rights: RabbitRights, needed: set[Right]) -> AsyncGenerator[Finding, None]:
        tried = "ask for rights that a worker must not have"
        self._examination.begin(_STEP, tried)
        configure = [Right("declare queue", one.name) for one in self._wanted.queues]
        configure += [Right("declare exchange", one.name) for one in self._wanted.amqp_exchanges]
        others = [right for right in _for_others(self._examination.settings.mailboxes) if right not in needed]
        try:
            granted = [right for right in configure if await _ask(rights, right) == "allowed"]
            self.may_configure = len(granted) == len(configure)
            granted += [right for right in others if await _ask(rights, right) == "allowed"]
        except BridgeError as error:
            yield failed(_STEP, tried, error)
            return
        if granted:
            told = f"granted: {_named([str(right) for right in granted])}"
            yield doubtful(_STEP, tried, "broker_rights_too_wide", told)
        else:
            yield ok(_STEP, tried, f"none of {len(configure) + len(others)} is granted")


def needed_by(role: str, mailboxes: tuple[MailboxSettings, ...]) -> Iterator[Right]:
    """Yield the rights that a worker of this role needs for these mailboxes."""
    yield from _announcing()
    yield Right("publish", names.EVENTS_DEFAULT)
    if role in {"run", "ingest"}:
        for mailbox in mailboxes:
            if mailbox.read:
                yield Right("publish", names.INBOUND, names.inbound_key(mailbox.alias, "mail"))
                yield Right("declare queue", names.reader_lease(mailbox.alias))
        yield from (Right("publish", names.EVENTS, event) for event in ("inbound.parked", "outbound.bounced"))
    if role in {"run", "egress"}:
        for mailbox in mailboxes:
            if mailbox.send:
                for queue in (names.outbound_queue(mailbox.alias), names.outbound_urgent_queue(mailbox.alias)):
                    yield Right("consume", queue)
                    yield Right("declare queue", names.lease_queue(queue))
        yield Right("consume", names.OUTBOUND_RETURNED)
        yield Right("publish", names.DEAD)
        yield from (Right("publish", step.amqp_exchange) for step in names.RETRY_STEPS)
        yield from (Right("publish", names.EVENTS, event) for event in sorted({*TERMINAL, "outbound.delayed"}))


def _announcing() -> Iterator[Right]:
    """Yield the rights to announce oneself, and to bind and read a queue for what others announce."""
    queue = names.announcements_queue("0")
    yield Right("declare queue", queue)
    for name in (names.WORKERS, queue):
        # Binding needs the right to publish to the queue and to read from the exchange; they are asked for by name.
        yield Right("publish", name)
        yield Right("consume", name)


def _for_others(mailboxes: tuple[MailboxSettings, ...]) -> Iterator[Right]:
    """Yield rights that CAD systems and operators have: to read mails, to ask for sends, to take what failed."""
    yield from (Right("consume", queue) for queue in (names.INBOUND, names.EVENTS, names.DEAD, names.INBOUND_DEAD))
    yield from (Right("publish", names.OUTBOUND, names.outbound_key(mailbox.alias)) for mailbox in mailboxes[:1])


async def _ask(rights: RabbitRights, right: Right) -> Answer:
    match right.what:
        case "publish":
            return await rights.may_publish(right.name, right.routing_key)
        case "consume":
            return await rights.may_consume(right.name)
        case "declare queue":
            return await rights.may_declare_queue(right.name)
        case _:
            return await rights.may_declare_amqp_exchange(right.name)


def _named(rights: list[str]) -> str:
    more = f", and {len(rights) - _MOST_NAMED} more" if len(rights) > _MOST_NAMED else ""
    return ", ".join(rights[:_MOST_NAMED]) + more
