"""The publisher on a broker that works, and what the broker may answer."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.demo.broker_node import BrokerNode
from bridge.errors import (
    BrokerAccessRefused,
    BrokerBlocked,
    BrokerUnavailable,
    MessageError,
    MessageTooLarge,
    PublishRefused,
    PublishUnconfirmed,
)
from bridge.ports.broker import Message, PublishReceipt
from bridge.telemetry.broker_events import BrokerConnected, PublishSettled
from bridge.wire.topology import EVENTS, INBOUND
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.rabbit import a_channel, count, take_all

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.telemetry.events import Event


async def test_five_thousand_publishes_keep_their_order(
    broker_url: str, record_testsuite_property: Callable[[str, object], None]
) -> None:
    """With a window of 500 outstanding; the rate is recorded."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(broker_url, confirm_timeout_seconds=30)) as publisher:
        await publisher.wait_ready()
        window = asyncio.Semaphore(500)
        waiting = []
        started = time.perf_counter()
        for number in range(5000):
            await window.acquire()
            future = publisher.publish(mail(number, size=2000))
            future.add_done_callback(lambda _: window.release())
            waiting.append(future)
        receipts = await asyncio.gather(*waiting)
        seconds = time.perf_counter() - started

    record_testsuite_property("publishes_per_second", round(5000 / seconds))
    assert receipts == [PublishReceipt(f"m-{number}") for number in range(5000)]
    assert [one.message_id for one in take_all(broker_url, INBOUND, expected=5000)] == [f"m-{n}" for n in range(5000)]


async def test_a_full_queue_is_a_refusal_and_the_others_go_on(broker_url: str) -> None:
    """A nack names no reason; it is not a receipt."""
    with a_channel(broker_url) as channel:
        channel.exchange_declare("full", "fanout", durable=True)
        arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 1}
        channel.queue_declare("full", durable=True, arguments=arguments)
        channel.queue_bind("full", "full")
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()

        outcomes: list[object] = []
        for number in range(10):  # the limit is approximate
            try:
                outcomes.append(await publisher.publish(mail(number, amqp_exchange="full")))
            except PublishRefused as error:
                outcomes.append(error.code)

        assert outcomes[-1] == "publish_refused"
        assert count(broker_url, "full") == sum(isinstance(one, PublishReceipt) for one in outcomes)
        assert await publisher.publish(mail(99)) == PublishReceipt("m-99")


async def test_a_right_that_is_missing_hits_only_what_needs_it(broker: BrokerNode, vhost: str) -> None:
    """The channel dies with it, so others in flight are of unknown outcome; the next ones work."""
    await RabbitTopology(quick(broker.vhost_url(vhost))).apply(TOPOLOGY)
    broker.create_user(f"{vhost}-one", "pw", vhost=vhost, write="^mail\\.inbound$")
    async with RabbitPublisher(quick(broker.vhost_url(vhost, username=f"{vhost}-one", password="pw"))) as publisher:
        await publisher.wait_ready()

        refused = publisher.publish(mail(1, amqp_exchange=EVENTS))
        behind = publisher.publish(mail(2))

        with pytest.raises(BrokerAccessRefused):
            await refused
        with pytest.raises(PublishUnconfirmed):
            await behind
        await publisher.wait_ready()
        assert await publisher.publish(mail(3)) == PublishReceipt("m-3")
    assert [one.message_id for one in take_all(broker.vhost_url(vhost), INBOUND)] == ["m-3"]


async def test_a_broker_that_takes_less_than_configured_costs_one_message_its_way(tmp_path: Path) -> None:
    """Its reply names the size; only the message of that size is too large."""
    with BrokerNode(tmp_path, configuration="max_message_size = 100000") as node:
        await RabbitTopology(quick(node.url)).apply(TOPOLOGY)
        async with RabbitPublisher(quick(node.url)) as publisher:
            await publisher.wait_ready()

            too_large, behind = publisher.publish(mail(1, size=100_001)), publisher.publish(mail(2))

            with pytest.raises(MessageTooLarge):
                await too_large
            with pytest.raises(PublishUnconfirmed):
                await behind


async def test_wrong_password_is_told_and_heals_when_it_is_mended(broker: BrokerNode, vhost: str) -> None:
    """The publisher keeps trying; a person mends the user meanwhile."""
    await RabbitTopology(quick(broker.vhost_url(vhost))).apply(TOPOLOGY)
    user = f"{vhost}-late"
    seen: list[Event] = []
    async with RabbitPublisher(quick(broker.vhost_url(vhost, username=user, password="pw")), seen.append) as publisher:
        await _until_told(publisher, "broker_login_refused")
        with pytest.raises(BrokerAccessRefused):
            await publisher.publish(mail())
        await asyncio.to_thread(broker.create_user, user, "pw", vhost=vhost, write=".*")

        async with asyncio.timeout(10):
            await publisher.wait_ready()

        assert publisher.trouble is None
        assert await publisher.publish(mail()) == PublishReceipt("m-1")
    assert "pw" not in repr([event for event in seen if not isinstance(event, BrokerConnected)])


async def test_properties_that_fit_no_frame_are_refused_before_they_are_written(broker_url: str) -> None:
    """The broker would close the whole connection."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()
        heavy = Message(INBOUND, "dispatch.mail", b"{}", "m-1", "t", headers={"h": "x" * 120_000})
        long_key = Message(INBOUND, "k" * 256, b"{}", "m-2", "t")
        surrogate = Message(INBOUND, "dispatch.mail", b"{}", "m-3", "t", correlation_id="\udcff")

        with pytest.raises(MessageTooLarge):
            await publisher.publish(heavy)
        for message in (long_key, surrogate):
            with pytest.raises(MessageError):
                await publisher.publish(message)

        assert await publisher.publish(mail(4)) == PublishReceipt("m-4")


async def test_unconfirmed_bytes_have_a_ceiling(broker_url: str) -> None:
    """Beyond it nothing is written until answers come; `wait_ready` tells when."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(broker_url, max_outstanding_bytes=1_000_000)) as publisher:
        await publisher.wait_ready()
        waiting = [publisher.publish(mail(number, size=600_000)) for number in range(4)]
        beyond = publisher.publish(mail(4))

        with pytest.raises(BrokerBlocked):
            await beyond
        assert publisher.trouble is None
        await publisher.wait_ready()
        assert any(one.done() for one in waiting)
        assert await publisher.publish(mail(5)) == PublishReceipt("m-5")
        await asyncio.gather(*waiting)


async def test_stopping_waits_for_what_is_outstanding(broker_url: str) -> None:
    """A deploy makes no repeats."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    seen: list[Event] = []
    publisher = RabbitPublisher(quick(broker_url), seen.append)
    publisher.start()
    await publisher.wait_ready()
    waiting = [publisher.publish(mail(number)) for number in range(300)]

    await publisher.close()

    assert [one.result().message_id for one in waiting] == [f"m-{number}" for number in range(300)]
    assert count(broker_url, INBOUND) == 300
    assert [e.outcome for e in seen if isinstance(e, PublishSettled)] == ["confirmed"] * 300
    with pytest.raises(BrokerUnavailable):
        await publisher.publish(mail())
    with pytest.raises(BrokerUnavailable):
        await publisher.wait_ready()


async def test_connections_say_who_they_are(broker: BrokerNode, broker_url: str, vhost: str) -> None:
    """At 3 a.m. `rabbitmqctl list_connections` has to tell which process it is."""
    async with RabbitPublisher(quick(broker_url)) as publisher:
        await publisher.wait_ready()
        listed = await asyncio.to_thread(broker.ctl, "list_connections", "vhost", "client_properties")

    assert "bridge-publish " in next(line for line in listed.splitlines() if line.startswith(vhost))


async def _until_told(publisher: RabbitPublisher, code: str) -> None:
    async with asyncio.timeout(10):
        while publisher.trouble != code:
            await asyncio.sleep(0.02)
