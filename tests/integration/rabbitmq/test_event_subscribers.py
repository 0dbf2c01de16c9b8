"""What a nack of the amqp_exchange `mail.events` means on a real broker, and what the bridge makes of it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.system.clock import SystemClock
from bridge.errors import PublishRefused, PublishUnconfirmed
from bridge.ports.broker import Message, PublishReceipt
from bridge.telemetry.broker_events import BrokerConnectionLost, EventMissed
from bridge.wire.topology import EVENTS
from bridge.worker.event_publisher import EventPublisher
from tests.integration.rabbitmq.support import TOPOLOGY, patient
from tests.support.rabbit import a_channel, bind_a_full_queue, patiently, take_all

if TYPE_CHECKING:
    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.demo.broker_node import BrokerNode
    from bridge.telemetry.events import Event

_SUSPEND = (
    "sys:suspend(amqqueue:get_pid(element(2, rabbit_amqqueue:lookup("
    'rabbit_misc:r(<<"{vhost}">>, queue, <<"{queue}">>))))).'
)


def steady(url: str, confirm_timeout_seconds: float) -> RabbitSettings:
    """A connection that a busy machine does not lose, and publishes that are given up soon."""
    return replace(patient(url), heartbeat_seconds=30, confirm_timeout_seconds=confirm_timeout_seconds)


def an_event(number: int = 1) -> Message:
    return Message(EVENTS, "outbound.sent", b"{}", f"e-{number}", "mail.event.v1")


async def test_an_event_that_a_subscriber_refuses_is_confirmed_by_the_queue_of_events(broker_url: str) -> None:
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, "cad.events", EVENTS, "outbound.*")
    told: list[Event] = []
    async with RabbitPublisher(patient(broker_url)) as publisher:
        await publisher.wait_ready()
        with pytest.raises(PublishRefused):
            await publisher.publish(an_event(0))  # the broker says no more than that
        events = EventPublisher(publisher, SystemClock(), told.append)

        receipts = [await events.publish(an_event(number)) for number in range(1, 6)]

    assert receipts == [PublishReceipt(f"e-{number}") for number in range(1, 6)]
    stored = [message.message_id for message in take_all(broker_url, EVENTS)]
    assert {f"e-{number}" for number in range(1, 6)} <= set(stored)
    assert max(map(stored.count, stored)) == 2
    assert len([one for one in told if isinstance(one, EventMissed)]) == 5


async def test_another_subscriber_with_room_has_every_event_once(broker_url: str) -> None:
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, "cad.events", EVENTS, "#")
    with a_channel(broker_url) as channel:
        channel.queue_declare("cad.healthy", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("cad.healthy", EVENTS, "outbound.sent")
    async with RabbitPublisher(patient(broker_url)) as publisher:
        await publisher.wait_ready()
        events = EventPublisher(publisher, SystemClock(), lambda _: None)

        for number in range(5):
            await events.publish(an_event(number))

    healthy = [message.message_id for message in take_all(broker_url, "cad.healthy", expected=5)]
    assert sorted(healthy) == [f"e-{number}" for number in range(5)]


async def test_a_nack_is_no_receipt_where_the_queue_of_events_refuses_too(broker: BrokerNode, vhost: str) -> None:
    """A policy overrides how the queue was declared: that it never refuses may not be relied upon."""
    url = broker.vhost_url(vhost)
    await RabbitTopology(patiently(url)).apply(TOPOLOGY)
    policy = '{"overflow": "reject-publish", "max-length": 1}'
    broker.ctl("set_policy", "-p", vhost, "tight", r"^mail\.events$", policy, "--apply-to", "queues")
    bind_a_full_queue(url, "cad.events", EVENTS, "#")
    async with RabbitPublisher(patient(url)) as publisher:
        await publisher.wait_ready()
        events = EventPublisher(publisher, SystemClock(), lambda _: None)
        outcomes: list[object] = []

        for number in range(10):  # the limit is approximate
            try:
                outcomes.append(await events.publish(an_event(number)))
            except PublishRefused as error:
                outcomes.append(error)

    assert isinstance(outcomes[-1], PublishRefused)
    receipts = {one.message_id for one in outcomes if isinstance(one, PublishReceipt)}
    assert receipts <= {message.message_id for message in take_all(url, EVENTS)}


async def test_a_nack_is_no_receipt_where_the_queue_of_events_is_gone(broker_url: str) -> None:
    await RabbitTopology(patiently(broker_url)).apply(TOPOLOGY)
    bind_a_full_queue(broker_url, "cad.events", EVENTS, "#")
    with a_channel(broker_url) as channel:
        channel.queue_delete(EVENTS)
    async with RabbitPublisher(patient(broker_url)) as publisher:
        await publisher.wait_ready()
        events = EventPublisher(publisher, SystemClock(), lambda _: None)

        with pytest.raises(PublishRefused):
            await events.publish(an_event())


async def test_a_subscriber_without_a_leader_holds_up_events_once_and_takes_no_connection_down(
    own_broker: BrokerNode, own_vhost: str, own_url: str
) -> None:
    await RabbitTopology(patiently(own_url)).apply(TOPOLOGY)
    with a_channel(own_url) as channel:
        channel.queue_declare("cad.events", durable=True, arguments={"x-queue-type": "quorum"})
        channel.queue_bind("cad.events", EVENTS, "#")
    told: list[Event] = []
    async with RabbitPublisher(steady(own_url, 3.0), told.append) as publisher:
        await publisher.wait_ready()
        events = EventPublisher(publisher, SystemClock(), told.append, patience_seconds=1)
        await events.publish(an_event(0))  # a channel's first publish to such a queue is a call inside the broker
        await asyncio.to_thread(own_broker.ctl, "eval", _SUSPEND.format(vhost=own_vhost, queue="cad.events"))

        receipts = [await asyncio.wait_for(events.publish(an_event(number)), 20) for number in range(1, 9)]

    assert receipts == [PublishReceipt(f"e-{number}") for number in range(1, 9)]
    assert [one for one in told if isinstance(one, BrokerConnectionLost)] == []


async def test_a_queue_of_events_without_a_leader_gives_no_receipt(
    own_broker: BrokerNode, own_vhost: str, own_url: str
) -> None:
    """Neither confirm nor nack: what a subscriber's nack would have to be told apart from."""
    await RabbitTopology(patiently(own_url)).apply(TOPOLOGY)
    async with RabbitPublisher(steady(own_url, 2.0)) as publisher:
        await publisher.wait_ready()
        events = EventPublisher(publisher, SystemClock(), lambda _: None, patience_seconds=1)
        await events.publish(an_event(0))
        await asyncio.to_thread(own_broker.ctl, "eval", _SUSPEND.format(vhost=own_vhost, queue=EVENTS))

        with pytest.raises((PublishUnconfirmed, PublishRefused)):
            await events.publish(an_event(1))
