"""The promise of `Publisher`, kept by each of its adapters."""

from __future__ import annotations

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.wire.topology import INBOUND, topology
from bridge.worker.event_publisher import EventPublisher
from tests.contract.publisher import PublisherContract, Publishing
from tests.support.clock import InstantClock
from tests.support.memory.broker import MemoryBroker, MemoryPublisher
from tests.support.rabbit import take_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.ports.broker import Message, Publisher

_TOPOLOGY = topology(["dispatch"])


@dataclass
class _InMemory:
    publisher: Publisher
    broker: MemoryBroker

    def another(self) -> Publisher:
        return MemoryPublisher(self.broker)

    async def taken(self, queue: str) -> list[Message]:
        return self.broker.messages(queue)

    async def unbind_inbound(self) -> None:
        self.broker.delete_queue(INBOUND)


class TestMemoryPublisher(PublisherContract):
    """In memory."""

    @pytest.fixture
    async def publishing(self) -> Publishing:
        """A publisher on a broker of its own."""
        broker = MemoryBroker(_TOPOLOGY)
        return _InMemory(MemoryPublisher(broker), broker)


class TestEventPublisher(PublisherContract):
    """In memory, behind what keeps a subscriber's queue from holding up events."""

    @pytest.fixture
    async def publishing(self) -> Publishing:
        """A publisher on a broker of its own."""
        broker = MemoryBroker(_TOPOLOGY)
        return _InMemory(EventPublisher(MemoryPublisher(broker), InstantClock(), lambda _: None), broker)


@dataclass
class _OnRabbit:
    publisher: RabbitPublisher
    url: str
    stack: AsyncExitStack

    def another(self) -> Publisher:
        other = RabbitPublisher(RabbitSettings((self.url,)))
        other.start()
        self.stack.push_async_callback(other.close)
        return other

    async def taken(self, queue: str) -> list[Message]:
        return take_all(self.url, queue)

    async def unbind_inbound(self) -> None:
        with pika.BlockingConnection(pika.URLParameters(self.url)) as connection:
            connection.channel().queue_delete(INBOUND)


class TestRabbitPublisher(PublisherContract):
    """On the real broker."""

    @pytest.fixture
    async def publishing(self, broker_url: str) -> AsyncIterator[Publishing]:
        """A publisher in a virtual host of its own."""
        settings = RabbitSettings((broker_url,))
        await RabbitTopology(settings).apply(_TOPOLOGY)
        async with AsyncExitStack() as stack:
            publisher = await stack.enter_async_context(RabbitPublisher(settings))
            yield _OnRabbit(publisher, broker_url, stack)
