"""What each user of the broker does in its work, by the bridge's own adapter where it is the bridge that does it."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING, get_args

import pika

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.wire.event_v1 import EventName
from bridge.wire.inbound_v1 import InboundMail
from bridge.wire.topology import (
    DEAD,
    EVENTS,
    EVENTS_DEFAULT,
    INBOUND,
    INBOUND_DEAD,
    OUTBOUND,
    OUTBOUND_RETURNED,
    RETRY_STEPS,
    egress_needs,
    ingest_needs,
    outbound_queue,
    outbound_urgent_queue,
    reader_lease,
)
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.rabbit import publish_plain

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine
    from typing import Any

    from pika.adapters.blocking_connection import BlockingChannel

QUEUES = (outbound_queue("dispatch"), outbound_urgent_queue("dispatch"), OUTBOUND_RETURNED)
"""What an egress worker takes from."""

KEYS = {
    INBOUND: [f"dispatch.{kind}" for kind in get_args(InboundMail.model_fields["kind"].annotation)],
    EVENTS: list(get_args(EventName)),
}
"""Every routing key that the bridge publishes to its topic exchanges."""


async def prepare(admin_url: str) -> None:
    """Declare the topology, and put a request into each queue that is drained."""
    await RabbitTopology(quick(admin_url)).apply(TOPOLOGY)
    for key, request in (("dispatch", "r-1"), ("dispatch.urgent", "r-2"), ("nobody", "r-3")):
        await asyncio.to_thread(publish_plain, admin_url, OUTBOUND, key, [request])


async def _ingest(url: str) -> None:
    exchanges, queues = ingest_needs()
    assert await RabbitTopology(quick(url)).verify(amqp_exchanges=exchanges, queues=queues) == []
    async with RabbitPublisher(quick(url)) as publisher:
        await publisher.wait_ready()
        async with publisher.lease(reader_lease("dispatch")):
            for key in KEYS[INBOUND]:
                await publisher.publish(mail(amqp_exchange=INBOUND, routing_key=key))
            for key in ("inbound.parked", "outbound.bounced"):
                await publisher.publish(mail(amqp_exchange=EVENTS, routing_key=key))
            await publisher.publish(mail(amqp_exchange=EVENTS_DEFAULT, routing_key="inbound.parked"))


async def _egress(url: str) -> None:
    exchanges, queues = egress_needs(["dispatch"])
    assert await RabbitTopology(quick(url)).verify(amqp_exchanges=exchanges, queues=queues) == []
    async with RabbitPublisher(quick(url)) as publisher, RabbitConsumer(quick(url)) as consumer:
        await publisher.wait_ready()
        for queue in QUEUES:
            exclusive = queue != OUTBOUND_RETURNED
            async with aclosing(consumer.deliveries(queue, prefetch=1, exclusive=exclusive)) as deliveries:
                (await anext(deliveries)).requeue()
        for step in RETRY_STEPS:
            await publisher.publish(mail(amqp_exchange=step.amqp_exchange, routing_key="dispatch"))
        await publisher.publish(mail(amqp_exchange=DEAD, routing_key="dispatch"))
        for key in KEYS[EVENTS]:
            if key not in {"inbound.parked", "outbound.bounced"}:
                await publisher.publish(mail(amqp_exchange=EVENTS, routing_key=key))
        await publisher.publish(mail(amqp_exchange=EVENTS_DEFAULT, routing_key="outbound.sent"))


async def _run(url: str) -> None:
    await _ingest(url)
    await _egress(url)


async def _request(url: str) -> None:
    await asyncio.to_thread(_in_a_channel, url, _publish_request)


async def _consume(url: str) -> None:
    await asyncio.to_thread(_in_a_channel, url, _consume_own_queue)


async def _both(url: str) -> None:
    await _request(url)
    await _consume(url)


def _publish_request(channel: BlockingChannel) -> None:
    channel.confirm_delivery()
    channel.basic_publish(OUTBOUND, "nobody", b"{}", pika.BasicProperties(delivery_mode=2), mandatory=True)


def _consume_own_queue(channel: BlockingChannel) -> None:
    """As README and the examples do: a queue of one's own that dead-letters to the bridge's, and the default ones."""
    arguments = {
        "x-queue-type": "quorum",
        "x-delivery-limit": 20,
        "x-dead-letter-exchange": INBOUND_DEAD,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    channel.queue_declare("cad.flights", durable=True, arguments=arguments)
    channel.queue_bind("cad.flights", INBOUND, "dispatch.mail")
    channel.queue_bind("cad.flights", EVENTS, "outbound.sent")
    for queue in ("cad.flights", INBOUND, EVENTS):
        channel.basic_get(queue)


def _in_a_channel(url: str, work: Callable[[BlockingChannel], None]) -> None:
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        work(connection.channel())
    finally:
        if connection.is_open:
            connection.close()


WORK: dict[str, Callable[[str], Coroutine[Any, Any, None]]] = {
    "bridge-ingest": _ingest,
    "bridge-egress": _egress,
    "bridge-run": _run,
    "bridge-cad-publisher": _request,
    "bridge-cad-consumer": _consume,
    "bridge-cad": _both,
}
"""By user. Each raises as soon as a right is missing."""
