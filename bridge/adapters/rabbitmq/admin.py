"""Declaring the topology, comparing it with what is there, and looking whether it is there."""

from __future__ import annotations

import asyncio
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from bridge.adapters.rabbitmq.connection import Connection, OpenChannel, close, connect, open_channel
from bridge.adapters.rabbitmq.errors import reply_code
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, TopologyMissing
from bridge.wire.broker_replies import PRECONDITION_FAILED
from bridge.wire.topology import AmqpExchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.wire.topology import ArgumentValue, Queue, Topology

_INEQUIVALENT = re.compile(
    r"inequivalent arg '(?P<argument>[^']*)' for .* in vhost '[^']*': "
    r"received (?:the value )?(?P<wanted>'[^']*'|none).*? but current is (?:the value )?(?P<there>'[^']*'|none)"
)


_MOST_DIFFERENCES = 20


@dataclass(frozen=True, slots=True)
class Difference:
    """One argument that is not as wanted; `none` where there is none."""

    argument: str
    wanted: str
    there: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known about one amqp_exchange or queue after a look or a change."""

    kind: Literal["amqp_exchange", "queue"]
    name: str
    state: Literal["present", "declared", "missing", "differs", "refused"]
    """`declared`: made just now. `refused`: this login may not look, so nothing is known."""
    differences: tuple[Difference, ...] = ()
    messages: int | None = None
    """What waits in a queue."""
    consumers: int | None = None

    def __str__(self) -> str:
        text = f"{self.kind} {self.name}: {self.state}"
        if self.differences:
            told = (f"{one.argument}: wanted {one.wanted}, there is {one.there}" for one in self.differences)
            text += f" ({'; '.join(told)})"
        return text


class RabbitTopology:
    """
    `ports.broker.Topology` on RabbitMQ. Each call has a connection of its own.

    Bindings cannot be seen over AMQP; `apply` makes those that are missing, which changes nothing where they exist.
    Arguments set by a policy are not seen either, and `x-consumer-timeout` is not compared by RabbitMQ.
    """

    def __init__(self, settings: RabbitSettings) -> None:
        self._settings = settings

    async def apply(self, topology: Topology) -> list[Finding]:
        """
        Declare what is missing and bind everything; nothing is deleted or changed. One finding for each name.

        What differs stays as it is and is reported, and the rest is declared all the same.

        Raises:
            BrokerUnavailable: Nobody answers; may be repeated.
            BrokerAccessRefused: This login may not declare or bind something.
        """
        try:
            async with self._admin_channel() as admin:
                findings = [await admin.declare(one) for one in _all(topology)]
                for binding in topology.bindings:
                    await admin.bind(binding.queue, binding.amqp_exchange, binding.routing_key)
                return findings
        except BrokerAccessRefused as error:
            if error.code != "broker_right_missing":
                raise
            # A worker's login lacks it on purpose: it is another login that is needed, not more rights for this one.
            raise BrokerAccessRefused(error.detail, code="topology_right_missing") from error

    async def show(self, topology: Topology) -> list[Finding]:
        """
        Compare what is there with what is wanted, and change nothing.

        To compare arguments RabbitMQ asks for the right to configure; without it existence is all that is told.

        Raises:
            BrokerUnavailable: Nobody answers.
            BrokerAccessRefused: The broker refuses the login or the virtual host.
            TokenUnavailable: There is no token to log in with.
        """
        async with self._admin_channel() as admin:
            return [await admin.compare(one) for one in _all(topology)]

    async def verify(self, *, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> list[str]:
        """
        Return which of these are missing; see the port.

        Needs no rights on RabbitMQ 4.0; later releases want any right on the name (4.2.6 and 4.3.0: the right to
        configure it). Where the look itself is refused the name does not count as missing.
        """
        async with self._admin_channel() as admin:
            looked = [await admin.look("amqp_exchange", name) for name in amqp_exchanges]
            looked += [await admin.look("queue", name) for name in queues]
        return [f"{one.kind} {one.name}" for one in looked if one.state == "missing"]

    @asynccontextmanager
    async def _admin_channel(self) -> AsyncIterator[AdminChannel]:
        connection = await self._connect()
        try:
            yield AdminChannel(connection)
        finally:
            await close(connection)

    async def _connect(self) -> Connection:
        failure: BridgeError = BrokerUnavailable("no url")
        for url in await asyncio.to_thread(self._settings.current_urls):
            try:
                return await connect(self._settings, url, "topology")
            except BrokerUnavailable as error:
                failure = error
        raise failure


# What somebody may have set on a queue or amqp_exchange beyond the topology, and what may be asked for again.
_ARGUMENTS_THAT_MAY_BE_ADDED = frozenset(
    {
        "alternate-exchange",
        "x-dead-letter-exchange",
        "x-dead-letter-routing-key",
        "x-dead-letter-strategy",
        "x-delivery-limit",
        "x-expires",
        "x-max-length",
        "x-max-length-bytes",
        "x-message-ttl",
        "x-overflow",
        "x-single-active-consumer",
    }
)


class AdminChannel:
    """Asks one question after the other; the broker closes the channel at every "no", so it is opened again."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._channel: OpenChannel | None = None

    async def look(self, kind: Literal["amqp_exchange", "queue"], name: str) -> Finding:
        try:
            channel = await self._open()
            if kind == "amqp_exchange":
                await channel.call(channel.amqp.exchange_declare, exchange=name, passive=True)
                return Finding(kind, name, "present")
            answer = await channel.call(channel.amqp.queue_declare, queue=name, passive=True)
            return Finding(
                kind,
                name,
                "present",
                messages=answer.method.message_count,
                consumers=answer.method.consumer_count,
            )
        except TopologyMissing:
            return Finding(kind, name, "missing")
        except BrokerAccessRefused:
            return Finding(kind, name, "refused")

    async def is_quorum(self, queue: str) -> bool | None:
        """
        Return whether a queue is a quorum queue; None where this login may not ask, which takes the right to configure.

        The question is a declaration that cannot succeed: with an argument that no queue can have nothing is made
        where the queue is missing, and RabbitMQ compares the type before it.
        """
        channel = await self._open()
        arguments = {"x-queue-type": "quorum", "x-quorum-initial-group-size": "no number, on purpose"}
        try:
            await channel.call(channel.amqp.queue_declare, queue=queue, durable=True, arguments=arguments)
        except BrokerAccessRefused:
            return None
        except BridgeError as error:
            if error.__cause__ is None or reply_code(error.__cause__) != PRECONDITION_FAILED:
                raise
            return _difference(error.detail).argument not in {"x-queue-type", "durable"}
        raise BrokerUnavailable("the broker accepted what it should have refused")

    def close(self) -> None:
        """Close the channel, where the connection goes on."""
        if self._channel is not None:
            self._channel.close()

    async def compare(self, wanted: AmqpExchange | Queue) -> Finding:
        found = await self.look(_kind(wanted), wanted.name)
        if found.state != "present":
            return found
        # Declaring what exists with the same arguments changes nothing, with others it is refused with the difference.
        try:
            return await self._declare(wanted, found)
        except BrokerAccessRefused:
            return found

    async def declare(self, wanted: AmqpExchange | Queue) -> Finding:
        found = await self.look(_kind(wanted), wanted.name)
        if found.state == "present":
            return await self._declare(wanted, found)
        return await self._declare(wanted, Finding(_kind(wanted), wanted.name, "declared"))

    async def bind(self, queue: str, amqp_exchange: str, routing_key: str) -> None:
        channel = await self._open()
        await channel.call(channel.amqp.queue_bind, queue=queue, exchange=amqp_exchange, routing_key=routing_key)

    async def _declare(self, wanted: AmqpExchange | Queue, success: Finding) -> Finding:
        """Declare it; where it exists otherwise, find out in how many ways, and leave it as it is."""
        arguments, differences = dict(wanted.arguments), list[Difference]()
        while len(differences) < _MOST_DIFFERENCES:
            refusal = await self._refusal(wanted, arguments)
            if refusal is None:
                break
            # RabbitMQ tells one difference at a time: agree to it, and ask again. What is there never changes by that.
            difference = _difference(refusal)
            differences.append(difference)
            if difference.argument not in {*arguments, *_ARGUMENTS_THAT_MAY_BE_ADDED}:
                break
            arguments.pop(difference.argument, None)
            if difference.there != "none":
                arguments[difference.argument] = (
                    int(difference.there) if _is_number(difference.there) else difference.there
                )
        if differences:
            return Finding(success.kind, success.name, "differs", tuple(differences))
        return success

    async def _refusal(self, wanted: AmqpExchange | Queue, arguments: Mapping[str, ArgumentValue]) -> str | None:
        channel = await self._open()
        try:
            if isinstance(wanted, AmqpExchange):
                await channel.call(
                    channel.amqp.exchange_declare,
                    exchange=wanted.name,
                    exchange_type=wanted.type,
                    durable=True,
                    arguments=dict(arguments),
                )
            else:
                await channel.call(
                    channel.amqp.queue_declare, queue=wanted.name, durable=True, arguments=dict(arguments)
                )
        except BridgeError as error:
            if error.__cause__ is not None and reply_code(error.__cause__) == PRECONDITION_FAILED:
                return error.detail
            raise
        return None

    async def _open(self) -> OpenChannel:
        if self._channel is None or not self._channel.is_open:
            self._channel = await open_channel(self._connection)
        return self._channel


def _all(topology: Topology) -> list[AmqpExchange | Queue]:
    return [*topology.amqp_exchanges, *topology.queues]


def _kind(wanted: AmqpExchange | Queue) -> Literal["amqp_exchange", "queue"]:
    return "amqp_exchange" if isinstance(wanted, AmqpExchange) else "queue"


def _difference(text: str) -> Difference:
    match = _INEQUIVALENT.search(text)
    if match is None:
        return Difference("declaration", "as in the topology", text)
    return Difference(match["argument"], match["wanted"].strip("'"), match["there"].strip("'"))


def _is_number(text: str) -> bool:
    return text.removeprefix("-").isdigit()
