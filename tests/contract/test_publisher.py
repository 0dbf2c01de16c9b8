"""The promise of `Publisher`, kept by each of its adapters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.memory.broker import MemoryBroker, MemoryPublisher
from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.wire.topology import INBOUND, topology
from tests.contract.publisher import PublisherContract, Publishing
from tests.support.rabbit import take_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.ports.broker import Message

_TOPOLOGY = topology(["dispatch"])


@dataclass
class _InMemory:
    publisher: MemoryPublisher
    broker: MemoryBroker

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


@dataclass
class _OnRabbit:
    publisher: RabbitPublisher
    url: str

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
        async with RabbitPublisher(settings) as publisher:
            yield _OnRabbit(publisher, broker_url)
