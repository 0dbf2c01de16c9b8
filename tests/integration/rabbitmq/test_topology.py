"""The topology on a real broker: declared, compared, verified, exported, and enough for least-privilege users."""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import Difference, RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.errors import BrokerAccessRefused, BrokerUnavailable, TopologyMissing
from bridge.ports.broker import PublishReceipt
from bridge.wire.definitions import export
from bridge.wire.rights import ROLES
from bridge.wire.topology import (
    DEAD,
    EVENTS,
    INBOUND,
    OUTBOUND,
    OUTBOUND_RETURNED,
    RETRY_STEPS,
    TopologyOptions,
    egress_needs,
    ingest_needs,
    lease_queue,
    outbound_queue,
    reader_lease,
    topology,
)
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.rabbit import a_channel, count, publish_plain

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.demo.broker_node import BrokerNode


async def test_applying_twice_changes_nothing_the_second_time(broker_url: str) -> None:
    """Declared, then present; `show` agrees."""
    admin = RabbitTopology(quick(broker_url))
    names = len(TOPOLOGY.amqp_exchanges) + len(TOPOLOGY.queues)

    before = await admin.show(TOPOLOGY)
    first = await admin.apply(TOPOLOGY)
    second = await admin.apply(TOPOLOGY)
    after = await admin.show(TOPOLOGY)

    assert [len(one) for one in (before, first, second, after)] == [names] * 4
    assert {one.state for one in before} == {"missing"}
    assert {one.state for one in first} == {"declared"}
    assert {one.state for one in second} == {"present"}
    assert {one.state for one in after} == {"present"}


async def test_a_difference_is_told_and_nothing_is_deleted(broker_url: str) -> None:
    """With the argument and both values; everything else is declared all the same."""
    with a_channel(broker_url) as channel:
        other = {"x-queue-type": "quorum", "x-delivery-limit": 3}
        channel.queue_declare(INBOUND, durable=True, arguments=other)
        channel.exchange_declare(EVENTS, "direct", durable=True)
    publish_plain(broker_url, "", INBOUND, ["m-1"])

    findings = {(one.kind, one.name): one for one in await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)}

    queue = findings.pop(("queue", INBOUND))
    assert queue.state == "differs"
    assert set(queue.differences) == {
        Difference("x-delivery-limit", "100", "3"),
        Difference("x-dead-letter-exchange", "mail.inbound.dead", "none"),
        Difference("x-dead-letter-strategy", "at-least-once", "none"),
        Difference("x-overflow", "reject-publish", "none"),
    }
    assert "x-delivery-limit: wanted 100, there is 3" in str(queue)
    exchange = findings.pop(("amqp_exchange", EVENTS))
    assert (exchange.state, exchange.differences) == ("differs", (Difference("type", "topic", "direct"),))
    assert {one.state for one in findings.values()} == {"declared"}
    assert count(broker_url, INBOUND) == 1


async def test_an_argument_that_should_not_be_there_is_told(broker_url: str) -> None:
    """RabbitMQ says `none` for what was not asked for."""
    with a_channel(broker_url) as channel:
        arguments = {"x-queue-type": "quorum", "x-delivery-limit": -1, "x-message-ttl": 1000}
        channel.queue_declare(DEAD, durable=True, arguments=arguments)

    shown = {one.name: one for one in await RabbitTopology(quick(broker_url)).show(TOPOLOGY) if one.kind == "queue"}

    assert shown[DEAD].differences == (Difference("x-message-ttl", "none", "1000"),)


async def test_a_queue_of_another_kind_is_told(broker_url: str) -> None:
    """Somebody declared it as a classic queue by hand."""
    with a_channel(broker_url) as channel:
        channel.queue_declare(DEAD, durable=True)

    shown = {one.name: one for one in await RabbitTopology(quick(broker_url)).show(TOPOLOGY) if one.kind == "queue"}

    assert shown[DEAD].state == "differs"
    assert shown[DEAD].differences[0] == Difference("x-queue-type", "quorum", "classic")


async def test_verify_names_what_is_missing_and_makes_nothing(broker_url: str) -> None:
    """Workers may only look."""
    admin = RabbitTopology(quick(broker_url))
    await admin.apply(topology([]))

    exchanges, queues = egress_needs(["dispatch"])
    missing = await admin.verify(amqp_exchanges=[*exchanges, "mail.nothing"], queues=queues)

    assert missing == [
        "amqp_exchange mail.nothing",
        "queue mail.outbound.dispatch",
        "queue mail.outbound.dispatch.urgent",
    ]
    assert await admin.verify(amqp_exchanges=[], queues=queues) == missing[1:]


async def test_another_node_is_asked_when_one_is_away(broker_url: str) -> None:
    """A cluster's urls are alternatives; with none of them answering it is said."""
    assert await RabbitTopology(quick("amqp://localhost:1/", broker_url)).verify(amqp_exchanges=[INBOUND], queues=[])
    with pytest.raises(BrokerUnavailable):
        await RabbitTopology(quick("amqp://localhost:1/")).verify(amqp_exchanges=[], queues=[])


async def test_exported_definitions_make_the_same_topology(broker: BrokerNode, vhost: str, broker_url: str) -> None:
    """Imported by rabbitmqctl; `show` finds no difference, and mail is routed."""
    document = json.loads(json.dumps(export(TOPOLOGY, vhost=vhost)))

    await asyncio.to_thread(broker.import_definitions, document)

    assert {one.state for one in await RabbitTopology(quick(broker_url)).show(TOPOLOGY)} == {"present"}
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()
        assert await publisher.publish(mail(1)) == PublishReceipt("m-1")
        await publisher.publish(mail(2, amqp_exchange=OUTBOUND, routing_key="dispatch"))
    assert (count(broker_url, INBOUND), count(broker_url, outbound_queue("dispatch"))) == (1, 1)


@pytest.fixture
def login(broker: BrokerNode, vhost: str) -> Callable[[str], str]:
    """The topology and its users, imported as an operator would; gives the url of a role."""
    document = json.loads(json.dumps(export(TOPOLOGY, vhost=vhost, with_users=True)).replace('"bridge-', f'"{vhost}-'))
    broker.import_definitions(document)
    broker.import_definitions(
        {
            "users": [
                {"name": f"{vhost}-{role.user.removeprefix('bridge-')}", "password": "pw", "tags": []} for role in ROLES
            ]
        }
    )
    return lambda role: broker.vhost_url(vhost, username=f"{vhost}-{role}", password="pw")


async def test_exported_users_cannot_log_in_before_they_have_a_password(broker: BrokerNode, vhost: str) -> None:
    """An empty password, or none, is no password."""
    user = f"{vhost}-nobody"
    document = {"users": [{"name": user, "password_hash": "", "tags": []}]}
    await asyncio.to_thread(broker.import_definitions, document)

    for password in ("", "x"):
        url = broker.vhost_url(vhost).replace(f"{broker.username}:{broker.password}@", f"{user}:{password}@")
        with pytest.raises(BrokerAccessRefused):
            await RabbitTopology(quick(url)).verify(amqp_exchanges=[], queues=[])


async def test_the_ingest_user_can_do_its_work_and_nothing_else(login: Callable[[str], str]) -> None:
    """Publish mails and events, look; no requests, no reading."""
    url = login("ingest")
    exchanges, queues = ingest_needs()
    assert await RabbitTopology(quick(url)).verify(amqp_exchanges=exchanges, queues=queues) == []
    async with RabbitPublisher(quick(url)) as publisher:
        for exchange, key in ((INBOUND, "dispatch.mail"), (EVENTS, "inbound.parked")):
            await publisher.wait_ready()
            await publisher.publish(mail(amqp_exchange=exchange, routing_key=key))
        async with publisher.lease(reader_lease("dispatch")) as lost:
            assert not lost.is_set()
        for name in (lease_queue(outbound_queue("dispatch")), INBOUND):
            with pytest.raises(BrokerAccessRefused):
                async with publisher.lease(name):
                    pass
        for exchange in (OUTBOUND, DEAD, ""):
            await publisher.wait_ready()
            with pytest.raises(BrokerAccessRefused):
                await publisher.publish(mail(amqp_exchange=exchange, routing_key=INBOUND))
    async with RabbitConsumer(quick(url)) as consumer:
        with pytest.raises(BrokerAccessRefused):
            await anext(consumer.deliveries(INBOUND, prefetch=1, exclusive=False))
    with pytest.raises(BrokerAccessRefused):
        await RabbitTopology(quick(url)).apply(topology(["another"]))


async def test_the_egress_user_can_do_its_work_and_nothing_else(login: Callable[[str], str]) -> None:
    """Consume requests exclusively, retry, report; no mails."""
    url = login("egress")
    exchanges, queues = egress_needs(["dispatch"])
    assert await RabbitTopology(quick(url)).verify(amqp_exchanges=exchanges, queues=queues) == []
    publish_plain(login("cad"), OUTBOUND, "dispatch", ["r-1"])
    publish_plain(login("cad"), OUTBOUND, "nobody", ["r-2"])
    async with RabbitPublisher(quick(url)) as publisher, RabbitConsumer(quick(url)) as consumer:
        for exchange in exchanges:
            await publisher.wait_ready()
            key = "outbound.sent" if exchange == EVENTS else "dispatch"
            await publisher.publish(mail(amqp_exchange=exchange, routing_key=key))
        for exchange in (INBOUND, OUTBOUND):
            await publisher.wait_ready()
            with pytest.raises(BrokerAccessRefused):
                await publisher.publish(mail(amqp_exchange=exchange))
        for queue, exclusive in ((outbound_queue("dispatch"), True), (OUTBOUND_RETURNED, False)):
            async with aclosing(consumer.deliveries(queue, prefetch=1, exclusive=exclusive)) as deliveries:
                (await anext(deliveries)).ack()
        for queue in (INBOUND, RETRY_STEPS[0].amqp_exchange, EVENTS):
            with pytest.raises(BrokerAccessRefused):
                await anext(consumer.deliveries(queue, prefetch=1, exclusive=False))


async def test_the_cad_user_can_bind_a_queue_of_its_own_and_nothing_else(login: Callable[[str], str]) -> None:
    """With the bridge's dead-letter exchange; it cannot touch the bridge's own queues."""
    url = login("cad")
    with a_channel(url) as channel:
        arguments = {
            "x-queue-type": "quorum",
            "x-delivery-limit": 20,
            "x-dead-letter-exchange": "mail.inbound.dead",
            "x-dead-letter-strategy": "at-least-once",
            "x-overflow": "reject-publish",
        }
        channel.queue_declare("cad.flights", durable=True, arguments=arguments)
        channel.queue_bind("cad.flights", INBOUND, "dispatch.mail")
    publish_plain(login("ingest"), INBOUND, "dispatch.mail", ["m-1"])

    async with (
        RabbitConsumer(quick(url)) as consumer,
        aclosing(consumer.deliveries("cad.flights", prefetch=1, exclusive=False)) as deliveries,
    ):
        assert (await anext(deliveries)).message_id == "m-1"
        with pytest.raises(BrokerAccessRefused):
            await anext(consumer.deliveries(OUTBOUND_RETURNED, prefetch=1, exclusive=False))
    with pytest.raises(BrokerAccessRefused):
        await RabbitTopology(quick(url)).apply(topology(["another"]))


async def test_the_operator_user_can_apply(login: Callable[[str], str]) -> None:
    """And see differences."""
    admin = RabbitTopology(quick(login("operator")))

    findings = await admin.apply(topology(["dispatch", "another"]))

    assert {one.state for one in findings} == {"present", "declared"}
    tighter = topology(["dispatch"], replace(TopologyOptions(), inbound_delivery_limit=7))
    assert [one.name for one in await admin.show(tighter) if one.state == "differs"] == [INBOUND, EVENTS]


async def test_without_its_queue_a_missing_topology_is_told_to_the_consumer(broker_url: str) -> None:
    """Nothing was applied at all."""
    async with RabbitConsumer(quick(broker_url)) as consumer:
        with pytest.raises(TopologyMissing):
            await anext(consumer.deliveries(OUTBOUND_RETURNED, prefetch=1, exclusive=True))
