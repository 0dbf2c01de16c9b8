"""Rights are asked for without a trace: nothing is declared, published, taken or marked as delivered."""

from __future__ import annotations

import asyncio
import gc
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.rights import rabbit_rights
from bridge.errors import BrokerAccessRefused, BrokerBlocked
from bridge.telemetry.reasons import hint_for
from bridge.wire.rights import ROLES
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.rabbit import a_channel

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode

_USER, _PASSWORD = "asked", "p4ss"


@pytest.fixture
def user_url(broker: BrokerNode, vhost: str) -> str:
    """A user who may publish to one amqp_exchange, consume one queue, and declare leases; one message waits there."""
    broker.create_user(_USER, _PASSWORD, vhost=vhost, configure=r"^lease\.", write="^open$", read="^taken$")
    with a_channel(broker.vhost_url(vhost)) as channel:
        for name in ("open", "closed"):
            channel.exchange_declare(name, "topic", durable=True)
        for name in ("taken", "left"):
            channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
            channel.queue_bind(name, "open", "#")
        channel.basic_publish("open", "a", b"{}", pika.BasicProperties(delivery_mode=2), mandatory=True)
    return broker.vhost_url(vhost, username=_USER, password=_PASSWORD)


def _all_there(broker: BrokerNode, vhost: str) -> set[str]:
    listed = [broker.ctl("list_queues", "-p", vhost, "name"), broker.ctl("list_exchanges", "-p", vhost, "name")]
    return {line.strip() for text in listed for line in text.splitlines() if line.strip()}


async def test_every_right_is_told_apart_and_nothing_is_changed(broker: BrokerNode, vhost: str, user_url: str) -> None:
    before = _all_there(broker, vhost)

    async with rabbit_rights(quick(user_url), user_url) as rights:
        answers = {
            "publish": [await rights.may_publish(name, "a.b") for name in ("open", "closed", "nowhere")],
            "consume": [await rights.may_consume(name) for name in ("taken", "left", "nowhere")],
            "queue": [await rights.may_declare_queue(name) for name in ("lease.x", "taken", "nowhere")],
            "exchange": [await rights.may_declare_amqp_exchange(name) for name in ("lease.x", "open", "nowhere")],
        }

    assert answers == {
        "publish": ["allowed", "refused", "refused"],
        "consume": ["allowed", "refused", "refused"],
        "queue": ["allowed", "refused", "refused"],
        "exchange": ["allowed", "refused", "refused"],
    }
    assert _all_there(broker, vhost) == before
    with a_channel(broker.vhost_url(vhost)) as channel:
        method, properties, _ = channel.basic_get("taken")
        assert method is not None
        assert properties is not None
        assert (method.message_count, method.redelivered) == (0, False)
        assert "x-delivery-count" not in (properties.headers or {})


async def test_who_may_do_everything_is_told_what_is_missing_and_declares_nothing(
    broker: BrokerNode, vhost: str, broker_url: str
) -> None:
    before = _all_there(broker, vhost)

    async with rabbit_rights(quick(broker_url), broker_url) as rights:
        assert await rights.may_publish("nowhere", "a") == "missing"
        assert await rights.may_consume("nowhere") == "missing"
        assert await rights.may_declare_queue("nowhere") == "allowed"
        assert await rights.may_declare_amqp_exchange("nowhere") == "allowed"

    assert _all_there(broker, vhost) == before


async def test_a_lease_that_a_worker_holds_is_a_right_that_is_there(broker_url: str) -> None:
    holder = pika.BlockingConnection(pika.URLParameters(broker_url))
    try:
        holder.channel().queue_declare("lease.held", exclusive=True)

        async with rabbit_rights(quick(broker_url), broker_url) as rights:
            assert await rights.may_declare_queue("lease.held") == "allowed"
    finally:
        holder.close()


async def test_a_broker_that_takes_no_publishes_is_told_as_that(own_broker: BrokerNode, own_url: str) -> None:
    with a_channel(own_url) as channel:
        channel.exchange_declare("open", "topic", durable=True)
    own_broker.ctl("set_vm_memory_high_watermark", "0.00000001")
    try:
        async with rabbit_rights(quick(own_url), own_url) as rights:
            with pytest.raises(BrokerBlocked):
                await rights.may_publish("open", "a")
    finally:
        own_broker.ctl("set_vm_memory_high_watermark", "0.6")


async def test_a_question_that_is_given_up_says_nothing_more(broker_url: str) -> None:
    """What asyncio tells of a failure that nobody waited for would go to standard error, with a traceback."""
    told: list[dict[str, object]] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: told.append(context))

    async with rabbit_rights(quick(broker_url), broker_url) as rights:
        await rights.may_declare_queue("nowhere")
        asking = asyncio.create_task(rights.may_declare_queue("nowhere"))
        while not asyncio.all_tasks() - {asyncio.current_task(), asking}:
            await asyncio.sleep(0)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
    gc.collect()

    assert told == []


async def test_a_workers_login_that_applies_the_topology_is_sent_to_an_operators(
    broker: BrokerNode, vhost: str, broker_url: str
) -> None:
    """More rights for the worker would be the wrong advice: it needs no right but to its leases."""
    role = next(role for role in ROLES if role.user == "bridge-run")
    broker.create_user("worker", _PASSWORD, vhost=vhost, configure=role.configure, write=role.write, read=role.read)

    for there in (False, True):
        with pytest.raises(BrokerAccessRefused) as caught:
            await RabbitTopology(quick(broker.vhost_url(vhost, username="worker", password=_PASSWORD))).apply(TOPOLOGY)
        assert caught.value.code == "topology_right_missing"
        assert "bridge-operator" in hint_for(caught.value.code)
        if not there:
            await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
