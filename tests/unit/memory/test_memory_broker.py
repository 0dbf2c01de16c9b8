"""The broker in memory behaves as the workers' tests rely on."""

from __future__ import annotations

from contextlib import aclosing

import pytest

from bridge.errors import QueueTaken, TopologyMissing
from bridge.ports.broker import Consumer, Message, Publisher
from bridge.wire.topology import OUTBOUND, OUTBOUND_RETURNED, RETRY_STEPS, topology
from tests.support.memory.broker import MemoryBroker, MemoryConsumer, MemoryPublisher


@pytest.fixture
def broker() -> MemoryBroker:
    """A broker with the real topology."""
    return MemoryBroker(topology(["dispatch"]))


def _request(number: int = 1, *, amqp_exchange: str = OUTBOUND, key: str = "dispatch") -> Message:
    return Message(amqp_exchange, key, b"{}", f"r-{number}", "mail.outbound.v1")


async def test_closing_the_iterator_gives_unsettled_deliveries_back(broker: MemoryBroker) -> None:
    """In their order, marked as redelivered."""
    publisher: Publisher = MemoryPublisher(broker)
    consumer: Consumer = MemoryConsumer(broker)
    for number in range(3):
        await publisher.publish(_request(number))

    async with aclosing(consumer.deliveries("mail.outbound.dispatch", prefetch=2, exclusive=True)) as deliveries:
        first = await anext(deliveries)
        second = await anext(deliveries)
        first.ack()

    assert second.lost
    assert [message.message_id for message in broker.messages("mail.outbound.dispatch")] == ["r-1", "r-2"]
    async with aclosing(consumer.deliveries("mail.outbound.dispatch", prefetch=2, exclusive=True)) as deliveries:
        assert (await anext(deliveries)).redelivered


async def test_an_exclusive_queue_is_taken_for_others(broker: MemoryBroker) -> None:
    """One at a time."""
    consumer = MemoryConsumer(broker)
    await MemoryPublisher(broker).publish(_request())

    async with aclosing(consumer.deliveries("mail.outbound.dispatch", prefetch=1, exclusive=True)) as deliveries:
        await anext(deliveries)
        with pytest.raises(QueueTaken):
            await anext(consumer.deliveries("mail.outbound.dispatch", prefetch=1, exclusive=True))


async def test_a_missing_queue_is_named(broker: MemoryBroker) -> None:
    """Not an endless wait."""
    with pytest.raises(TopologyMissing, match=r"mail\.outbound\.nobody"):
        await anext(MemoryConsumer(broker).deliveries("mail.outbound.nobody", prefetch=1, exclusive=False))


async def test_expired_retries_come_back_under_their_own_key(broker: MemoryBroker) -> None:
    """As dead-lettering does it."""
    step = RETRY_STEPS[0].amqp_exchange
    await MemoryPublisher(broker).publish(_request(amqp_exchange=step, key="dispatch.urgent"))

    broker.expire(step)

    assert broker.messages(step) == []
    assert len(broker.messages("mail.outbound.dispatch.urgent")) == 1


async def test_a_request_for_nobody_lands_in_returned(broker: MemoryBroker) -> None:
    """By the alternate amqp_exchange."""
    await MemoryPublisher(broker).publish(_request(key="nobody"))

    assert len(broker.messages(OUTBOUND_RETURNED)) == 1


async def test_lost_connections_give_back_what_was_held(broker: MemoryBroker) -> None:
    """Settling a lost delivery does nothing; the iterator goes on."""
    publisher, consumer = MemoryPublisher(broker), MemoryConsumer(broker)
    await publisher.publish(_request())

    async with aclosing(consumer.deliveries("mail.outbound.dispatch", prefetch=1, exclusive=True)) as deliveries:
        before = await anext(deliveries)
        broker.drop_connections()
        before.ack()
        after = await anext(deliveries)

    assert before.lost
    assert after.redelivered
