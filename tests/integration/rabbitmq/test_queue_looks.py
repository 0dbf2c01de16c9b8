"""Looks at queues with a worker's rights, on a connection that publishes; an alarm is told without any publish."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.announcements import RabbitAnnouncements
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.queue_looks import RabbitQueueLooks
from bridge.domain.queue_states import Looked
from bridge.telemetry.broker_events import BrokerBlockedChanged
from bridge.wire.rights import ROLES
from bridge.wire.topology import DEAD, INBOUND, INBOUND_DEAD, RETRY_STEPS
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.rabbit import a_channel

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode
    from bridge.telemetry.events import Event


def _looks(publisher: RabbitPublisher) -> RabbitQueueLooks:
    return RabbitQueueLooks(lambda: publisher.connection, lambda: publisher.blocked)


def _as_worker(broker: BrokerNode, vhost: str) -> str:
    role = next(one for one in ROLES if one.user == "bridge-ingest")
    broker.create_user("looks", "p4ss", vhost=vhost, configure=role.configure, write=role.write, read=role.read)
    return broker.vhost_url(vhost, username="looks", password="p4ss")


async def test_a_worker_sees_what_is_missing_and_what_waits_with_its_own_rights(
    broker: BrokerNode, vhost: str, broker_url: str
) -> None:
    """And its publishing goes on; the type of a queue is not told to it, so it says nothing of that."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    with a_channel(broker_url) as channel:
        channel.queue_delete(DEAD)
        channel.queue_declare(DEAD, durable=True, arguments={"x-queue-type": "classic"})
        channel.queue_delete(INBOUND_DEAD)
    async with RabbitPublisher(quick(_as_worker(broker, vhost))) as publisher:
        await publisher.wait_ready()
        looks = _looks(publisher)
        await publisher.publish(mail(1))
        seen = [await looks.look((INBOUND, "nowhere"), (INBOUND, INBOUND_DEAD)) for _ in range(2)]
        types = [await looks.not_quorum([INBOUND, DEAD]) for _ in range(2)]
        await publisher.publish(mail(2))

    look = [
        Looked(INBOUND, kind="amqp_exchange"),
        Looked("nowhere", missing=True, kind="amqp_exchange"),
        Looked(INBOUND, messages=1),
        Looked(INBOUND_DEAD, missing=True),
    ]
    assert seen == [look, look]
    assert types == [[], []]


async def test_who_may_configure_is_told_which_queues_are_of_another_type_and_makes_none(broker_url: str) -> None:
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    retry = RETRY_STEPS[0].amqp_exchange
    with a_channel(broker_url) as channel:
        for name, arguments in ((DEAD, {"x-queue-type": "classic"}), (retry, {"x-queue-type": "stream"})):
            channel.queue_delete(name)
            channel.queue_declare(name, durable=True, arguments=arguments)
        channel.queue_delete(INBOUND_DEAD)
        channel.queue_declare(INBOUND_DEAD, durable=False, exclusive=False)
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()
        looks = _looks(publisher)

        assert await looks.not_quorum([INBOUND, DEAD, retry, INBOUND_DEAD, "nowhere"]) == [DEAD, retry, INBOUND_DEAD]
        assert await looks.look((), ("nowhere",)) == [Looked("nowhere", missing=True)]


async def test_an_alarm_is_told_though_nothing_is_published(own_broker: BrokerNode, own_url: str) -> None:
    """RabbitMQ tells it only to a connection that publishes: announcements do, whatever else happens."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    seen: list[Event] = []
    async with (
        RabbitPublisher(quick(own_url)) as publisher,
        RabbitAnnouncements(
            quick(own_url), say=lambda: b"{}", hear=lambda _: None, emit=seen.append, every_seconds=0.1
        ) as announcements,
    ):
        await publisher.wait_ready()
        async with asyncio.timeout(20):
            while announcements.trouble is not None:
                await asyncio.sleep(0.02)
        assert not announcements.blocked
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "absolute", "1MB")
        async with asyncio.timeout(20):
            while not announcements.blocked:
                await asyncio.sleep(0.02)
        looked = await _looks(publisher).look((), (INBOUND,))

        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.6")
        async with asyncio.timeout(20):
            while announcements.blocked:
                await asyncio.sleep(0.02)

    assert looked == [Looked(INBOUND)]
    assert [event.blocked for event in seen if isinstance(event, BrokerBlockedChanged)] == [True, False]
