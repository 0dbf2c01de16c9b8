"""Where messages go that wait, come back too often, or belong to nobody; with the topology's own arguments."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.ports.broker import Message
from bridge.wire.topology import (
    EVENTS,
    INBOUND,
    INBOUND_DEAD,
    OUTBOUND,
    OUTBOUND_RETURNED,
    RETRY_STEPS,
    Topology,
    TopologyOptions,
    outbound_queue,
    outbound_urgent_queue,
    topology,
)
from tests.integration.rabbitmq.support import mail, quick
from tests.support.rabbit import a_channel, count, publish_plain, take_all

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode


def _hurried(wanted: Topology, milliseconds: int) -> Topology:
    """The same topology with short retry steps."""
    return replace(
        wanted,
        queues=[
            replace(queue, arguments={**queue.arguments, "x-message-ttl": milliseconds})
            if ".retry." in queue.name
            else queue
            for queue in wanted.queues
        ],
    )


async def test_retries_come_back_under_their_own_key_round_after_round(broker_url: str) -> None:
    """Ordinary and urgent requests of two mailboxes share a step; each finds its own queue, five times in a row."""
    await RabbitTopology(quick(broker_url)).apply(_hurried(topology(["dispatch", "night"]), 100))
    step = RETRY_STEPS[0].amqp_exchange
    keys = {"dispatch": outbound_queue("dispatch"), "night.urgent": outbound_urgent_queue("night")}
    async with RabbitPublisher(quick(broker_url)) as publisher, RabbitConsumer(quick(broker_url)) as consumer:
        for key in keys:
            await publisher.wait_ready()
            await publisher.publish(mail(1, amqp_exchange=OUTBOUND, routing_key=key))
        for key, queue in keys.items():
            async with aclosing(consumer.deliveries(queue, prefetch=1, exclusive=True)) as deliveries:
                for attempt in range(5):
                    async with asyncio.timeout(30):
                        delivery = await anext(deliveries)
                    assert delivery.routing_key == key
                    assert delivery.headers.get("attempt", 0) == attempt
                    # As egress does it: published with a confirm first, then acked.
                    again = Message(step, key, delivery.body, "m-1", "t", headers={"attempt": attempt + 1})
                    await publisher.publish(again)
                    delivery.ack()

    assert count(broker_url, OUTBOUND_RETURNED) == 0


async def test_a_retry_whose_queue_is_gone_lands_in_returned(broker_url: str) -> None:
    """A mailbox that was taken out of the configuration while its requests waited."""
    await RabbitTopology(quick(broker_url)).apply(_hurried(topology(["dispatch"]), 100))
    publish_plain(broker_url, RETRY_STEPS[1].amqp_exchange, "gone.urgent", ["r-1"])

    (returned,) = take_all(broker_url, OUTBOUND_RETURNED, expected=1)

    assert (returned.message_id, returned.routing_key) == ("r-1", "gone.urgent")


async def test_a_mail_that_comes_back_too_often_is_in_the_dead_queue(broker_url: str) -> None:
    """With the reason that RabbitMQ gives; nothing is dropped."""
    await RabbitTopology(quick(broker_url)).apply(topology(["dispatch"], TopologyOptions(inbound_delivery_limit=2)))
    publish_plain(broker_url, INBOUND, "dispatch.mail", ["m-1"])
    async with (
        RabbitConsumer(quick(broker_url)) as consumer,
        aclosing(consumer.deliveries(INBOUND, prefetch=1, exclusive=True)) as deliveries,
    ):
        for _ in range(3):
            (await anext(deliveries)).requeue()

        (dead,) = await asyncio.to_thread(take_all, broker_url, INBOUND_DEAD, expected=1)

    assert (dead.message_id, dead.headers["x-first-death-reason"]) == ("m-1", "delivery_limit")


async def test_a_request_that_the_broker_gives_up_is_returned_with_its_reason(broker_url: str) -> None:
    """An expiration that a CAD set, and a delivery limit: both must end with an event, so both must arrive."""
    options = TopologyOptions(outbound_delivery_limit=1)
    await RabbitTopology(quick(broker_url)).apply(topology(["dispatch"], options))
    publish_plain(broker_url, OUTBOUND, "dispatch", ["r-limit"])
    async with (
        RabbitConsumer(quick(broker_url)) as consumer,
        aclosing(consumer.deliveries(outbound_queue("dispatch"), prefetch=1, exclusive=True)) as deliveries,
    ):
        for _ in range(2):
            (await anext(deliveries)).requeue()
    with a_channel(broker_url) as channel:
        _publish_expiring(channel, "r-expired")

    returned = take_all(broker_url, OUTBOUND_RETURNED, expected=2)

    assert {(one.message_id, one.headers["x-first-death-reason"], one.routing_key) for one in returned} == {
        ("r-limit", "delivery_limit", "dispatch"),
        ("r-expired", "expired", "dispatch"),
    }


async def test_dead_lettering_waits_for_its_target_instead_of_losing(own_broker: BrokerNode, own_url: str) -> None:
    """At least once: with the dead queue gone the message stays, and arrives when the queue is back."""
    own_broker.ctl("eval", "application:set_env(rabbit, dead_letter_worker_publisher_confirm_timeout, 1000).")
    url = own_url
    wanted = topology(["dispatch"], TopologyOptions(inbound_delivery_limit=1))
    await RabbitTopology(quick(url)).apply(wanted)
    with a_channel(url) as channel:
        channel.queue_delete(INBOUND_DEAD)
    publish_plain(url, INBOUND, "dispatch.mail", ["m-1"])
    async with (
        RabbitConsumer(quick(url)) as consumer,
        aclosing(consumer.deliveries(INBOUND, prefetch=1, exclusive=True)) as deliveries,
    ):
        for _ in range(2):
            (await anext(deliveries)).requeue()

    await RabbitTopology(quick(url)).apply(wanted)

    (dead,) = take_all(url, INBOUND_DEAD, expected=1, timeout_seconds=20)
    assert dead.message_id == "m-1"


async def test_unread_events_make_room_for_new_ones(broker_url: str) -> None:
    """The oldest go; publishing events is never refused for a full queue."""
    await RabbitTopology(quick(broker_url)).apply(topology([], TopologyOptions(events_kept_bytes=10_000)))
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()
        waiting = [
            publisher.publish(mail(n, amqp_exchange=EVENTS, routing_key="outbound.sent", size=1000)) for n in range(50)
        ]
        receipts = await asyncio.gather(*waiting)

    kept = [one.message_id for one in take_all(broker_url, EVENTS)]
    assert len(receipts) == 50
    assert len(kept) < 50
    assert kept[-1] == "m-49"


def _publish_expiring(channel: object, message_id: str) -> None:
    import pika
    from pika.adapters.blocking_connection import BlockingChannel

    assert isinstance(channel, BlockingChannel)
    properties = pika.BasicProperties(message_id=message_id, expiration="50", delivery_mode=2)
    channel.basic_publish(OUTBOUND, "dispatch", b"{}", properties, mandatory=True)
