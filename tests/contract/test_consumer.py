"""The promises of `Consumer` and `Topology`, kept by each of their adapters."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.wire.topology import topology
from tests.contract.consumer import ConsumerContract, ConsumingSite
from tests.contract.topology import TopologyContract, VerifiedSite
from tests.integration.rabbitmq.support import patient, quick
from tests.support.memory.broker import MemoryBroker, MemoryConsumer, MemoryTopology
from tests.support.proxy import TcpProxy
from tests.support.rabbit import a_channel, count

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.demo.broker_node import BrokerNode
    from bridge.ports.broker import Consumer, Message

_TOPOLOGY = topology(["dispatch"])


@dataclass
class _InMemory:
    broker: MemoryBroker = field(default_factory=lambda: MemoryBroker(_TOPOLOGY))

    def __post_init__(self) -> None:
        self.consumer = MemoryConsumer(self.broker)
        self.topology = MemoryTopology(self.broker)

    def another(self) -> Consumer:
        return MemoryConsumer(self.broker)

    def publish(self, *messages: Message) -> None:
        for message in messages:
            assert self.broker.publish(message)

    def come_back(self, message: Message) -> None:
        self.publish(message)
        self.broker.expire(message.amqp_exchange)

    def waiting(self, queue: str) -> int:
        return len(self.broker.messages(queue))

    def delete(self, queue: str) -> None:
        self.broker.delete_queue(queue)

    async def cut(self) -> None:
        self.broker.drop_connections()

    async def down(self) -> None:
        self.broker.stop()

    async def up(self) -> None:
        self.broker.start()


class TestMemoryConsumer(ConsumerContract):
    """In memory."""

    @pytest.fixture
    async def site(self) -> ConsumingSite:
        """A broker of its own."""
        return _InMemory()


class TestMemoryTopology(TopologyContract):
    """In memory."""

    @pytest.fixture
    async def site(self) -> VerifiedSite:
        """A broker of its own."""
        return _InMemory()


@dataclass
class _OnRabbit:
    url: str
    proxy: TcpProxy
    consumer: RabbitConsumer
    others: list[RabbitConsumer]
    topology: RabbitTopology

    def another(self) -> Consumer:
        self.others.append(RabbitConsumer(quick(self.url)))
        self.others[-1].start()
        return self.others[-1]

    def publish(self, *messages: Message, expiration: str | None = None) -> None:
        with a_channel(self.url) as channel:
            for message in messages:
                properties = pika.BasicProperties(
                    content_type=message.content_type,
                    correlation_id=message.correlation_id,
                    delivery_mode=2,
                    expiration=expiration,
                    headers=dict(message.headers) or None,
                    message_id=message.message_id,
                    timestamp=None if message.timestamp is None else int(message.timestamp.timestamp()),
                    type=message.type,
                )
                channel.basic_publish(
                    message.amqp_exchange, message.routing_key, message.body, properties, mandatory=True
                )

    def come_back(self, message: Message) -> None:
        self.publish(message, expiration="1")

    def waiting(self, queue: str) -> int:
        return count(self.url, queue)

    def delete(self, queue: str) -> None:
        with a_channel(self.url) as channel:
            channel.queue_delete(queue)

    async def cut(self) -> None:
        await asyncio.to_thread(self.proxy.cut)

    async def down(self) -> None:
        await asyncio.to_thread(self.proxy.refuse)
        await asyncio.to_thread(self.proxy.cut)

    async def up(self) -> None:
        await asyncio.to_thread(self.proxy.carry)


@pytest.fixture
async def on_rabbit(broker: BrokerNode, broker_url: str) -> AsyncIterator[_OnRabbit]:
    """A virtual host of its own, and a consumer behind a link that can be cut."""
    await RabbitTopology(patient(broker_url)).apply(_TOPOLOGY)
    with TcpProxy(broker.amqp_port) as proxy:
        through = broker_url.replace(f":{broker.amqp_port}/", f":{proxy.port}/")
        others: list[RabbitConsumer] = []
        async with AsyncExitStack() as stack:
            consumer = await stack.enter_async_context(RabbitConsumer(quick(through)))
            yield _OnRabbit(broker_url, proxy, consumer, others, RabbitTopology(quick(through)))
            for other in others:
                await other.close()


class TestRabbitConsumer(ConsumerContract):
    """On the real broker."""

    @pytest.fixture
    def site(self, on_rabbit: _OnRabbit) -> ConsumingSite:
        """Of its own."""
        return on_rabbit


class TestRabbitTopology(TopologyContract):
    """On the real broker."""

    @pytest.fixture
    def site(self, on_rabbit: _OnRabbit) -> VerifiedSite:
        """Of its own."""
        return on_rabbit
