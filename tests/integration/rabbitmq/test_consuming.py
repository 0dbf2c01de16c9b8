"""The consumer: what is settled, given back and noticed."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable, QueueTaken, TopologyMissing
from bridge.wire.topology import OUTBOUND, outbound_queue
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.proxy import TcpProxy
from tests.support.rabbit import a_channel, count, publish_plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from bridge.demo.broker_node import BrokerNode

_QUEUE = outbound_queue("dispatch")


@pytest.fixture
async def url(broker_url: str) -> str:
    """A virtual host with the topology."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    return broker_url


@pytest.fixture
async def consumer(url: str) -> AsyncIterator[RabbitConsumer]:
    """A connected consumer."""
    async with RabbitConsumer(quick(url)) as consumer:
        yield consumer


async def test_acked_is_gone_and_requeued_comes_again(url: str, consumer: RabbitConsumer) -> None:
    """With everything that the publisher said about it."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1", "r-2"])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=2, exclusive=True)) as deliveries:
        first, second = await anext(deliveries), await anext(deliveries)
        first.ack()
        second.requeue()
        again = await anext(deliveries)

        assert (first.message_id, second.message_id, again.message_id) == ("r-1", "r-2", "r-2")
        assert (again.queue, again.amqp_exchange, again.routing_key) == (_QUEUE, OUTBOUND, "dispatch")
        assert (again.body, again.content_type, again.correlation_id) == (b"{}", "application/json", "c-1")
        assert again.timestamp is not None
        assert (first.redelivered, again.redelivered) == (False, True)
        again.ack()
        with pytest.raises(RuntimeError):
            again.requeue()

    assert count(url, _QUEUE) == 0


async def test_no_more_than_the_prefetch_is_unsettled(url: str, consumer: RabbitConsumer) -> None:
    """The rest waits in the queue, where others could have it."""
    publish_plain(url, OUTBOUND, "dispatch", [f"r-{number}" for number in range(5)])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=2, exclusive=False)) as deliveries:
        first = await anext(deliveries)
        await anext(deliveries)
        third = asyncio.ensure_future(anext(deliveries))
        await asyncio.sleep(0.3)  # nothing may arrive in this time
        assert not third.done()
        assert count(url, _QUEUE) == 3

        first.ack()

        assert (await third).message_id == "r-2"


async def test_closing_the_iterator_gives_everything_back_at_once(url: str, consumer: RabbitConsumer) -> None:
    """Without losing the connection, in order, and a late ack does nothing."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1", "r-2", "r-3"])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=3, exclusive=True)) as deliveries:
        held = await anext(deliveries)

    assert held.lost
    held.ack()
    assert count(url, _QUEUE) == 3
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=3, exclusive=True)) as deliveries:
        assert (await anext(deliveries)).message_id == "r-1"


async def test_an_exclusive_queue_is_taken_for_others(url: str, consumer: RabbitConsumer) -> None:
    """Told at once, to the second one only; the first goes on."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1"])
    async with (
        RabbitConsumer(quick(url)) as other,
        aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries,
    ):
        held = await anext(deliveries)
        for one in (other, consumer):
            with pytest.raises(QueueTaken):
                await anext(one.deliveries(_QUEUE, prefetch=1, exclusive=True))

        held.ack()
        assert not held.lost
        assert other.trouble is None


async def test_a_lease_is_free_once_its_holder_closes_the_iterator(url: str, consumer: RabbitConsumer) -> None:
    """A hand-over between two workers needs no lost connection."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1"])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries:
        await anext(deliveries)

    async with (
        RabbitConsumer(quick(url)) as other,
        aclosing(other.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries,
    ):
        assert (await anext(deliveries)).message_id == "r-1"


async def test_a_missing_queue_concerns_only_who_wants_it(url: str, consumer: RabbitConsumer) -> None:
    """The other consumption on the same connection goes on."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1", "r-2"])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries:
        held = await anext(deliveries)

        with pytest.raises(TopologyMissing, match=r"mail\.outbound\.nobody"):
            await anext(consumer.deliveries("mail.outbound.nobody", prefetch=1, exclusive=True))

        held.ack()
        assert (await anext(deliveries)).message_id == "r-2"


async def test_a_missing_right_is_named(broker: BrokerNode, vhost: str, url: str) -> None:
    """A person has to act."""
    broker.create_user(f"{vhost}-none", "pw", vhost=vhost)
    async with RabbitConsumer(quick(broker.vhost_url(vhost, username=f"{vhost}-none", password="pw"))) as consumer:
        with pytest.raises(BrokerAccessRefused, match="refused"):
            await anext(consumer.deliveries(_QUEUE, prefetch=1, exclusive=False))


async def test_a_queue_deleted_under_the_consumer_is_missing(url: str, consumer: RabbitConsumer) -> None:
    """RabbitMQ only sends basic.cancel, and a client that does not listen waits for ever."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1"])
    async with aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries:
        held = await anext(deliveries)
        with a_channel(url) as channel:
            channel.queue_delete(_QUEUE)

        with pytest.raises(TopologyMissing):
            async with asyncio.timeout(30):
                await anext(deliveries)

        assert held.lost


async def test_a_delivery_held_too_long_is_lost_and_comes_again(own_broker: BrokerNode, own_url: str) -> None:
    """The consumer timeout closes the channel; pika alone would not say so."""
    own_broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 500).")
    with a_channel(own_url) as channel:
        channel.queue_declare("q", durable=True, arguments={"x-queue-type": "quorum", "x-consumer-timeout": 1000})
    publish_plain(own_url, "", "q", ["r-1"])
    async with (
        RabbitConsumer(quick(own_url)) as consumer,
        aclosing(consumer.deliveries("q", prefetch=1, exclusive=True)) as deliveries,
    ):
        held = await anext(deliveries)
        async with asyncio.timeout(10):
            again = await anext(deliveries)

        assert held.lost
        held.ack()
        assert again.message_id == "r-1"
        assert not again.lost
        again.ack()
    assert count(own_url, "q") == 0


async def test_a_cut_connection_loses_what_is_held_and_goes_on(broker: BrokerNode, url: str) -> None:
    """The same iterator continues on the next connection."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1", "r-2"])
    with TcpProxy(broker.amqp_port) as proxy:
        settings = quick(url.replace(f":{broker.amqp_port}/", f":{proxy.port}/"))
        async with (
            RabbitConsumer(settings) as consumer,
            aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries,
        ):
            held = await anext(deliveries)
            await asyncio.to_thread(proxy.cut)

            async with asyncio.timeout(30):
                again = await anext(deliveries)
            held.ack()

            assert held.lost
            assert (again.message_id, again.redelivered) == ("r-1", True)
            again.ack()
            assert (await anext(deliveries)).message_id == "r-2"


async def test_a_lease_held_by_our_own_dead_connection_is_waited_for(broker: BrokerNode, url: str) -> None:
    """The broker needs some heartbeats to notice; that is no reason to tell that somebody else has the queue."""
    publish_plain(url, OUTBOUND, "dispatch", ["r-1"])
    with TcpProxy(broker.amqp_port) as proxy:
        through = url.replace(f":{broker.amqp_port}/", f":{proxy.port}/")
        async with (
            RabbitConsumer(quick(through, url)) as consumer,
            aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries,
        ):
            await anext(deliveries)
            next_one = asyncio.ensure_future(anext(deliveries))
            await asyncio.to_thread(proxy.blackhole)

            async with asyncio.timeout(30):
                assert (await next_one).redelivered


async def test_a_node_restart_is_survived(own_broker: BrokerNode, own_url: str) -> None:
    """Also the trouble that lies between is told."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    await asyncio.to_thread(own_broker.sync)
    publish_plain(own_url, OUTBOUND, "dispatch", ["r-1"])
    async with (
        RabbitConsumer(quick(own_url)) as consumer,
        aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)) as deliveries,
    ):
        await anext(deliveries)
        next_one = asyncio.ensure_future(anext(deliveries))
        await asyncio.to_thread(own_broker.kill)
        async with asyncio.timeout(30):
            while consumer.trouble is None:
                await asyncio.sleep(0.02)
        assert consumer.trouble == "broker_unavailable"

        await asyncio.to_thread(own_broker.start)

        async with asyncio.timeout(20):
            assert (await next_one).message_id == "r-1"
        assert consumer.trouble is None


async def test_closing_the_consumer_ends_its_iterators(url: str) -> None:
    """Nobody waits for ever."""
    consumer = RabbitConsumer(quick(url))
    consumer.start()
    deliveries = consumer.deliveries(_QUEUE, prefetch=1, exclusive=True)
    waiting = asyncio.ensure_future(anext(deliveries))
    await asyncio.sleep(0.1)

    await consumer.close()

    with pytest.raises(BrokerUnavailable):
        await waiting


async def test_the_prefetch_has_bounds(consumer: RabbitConsumer) -> None:
    """0 would mean no limit at all, and quorum queues refuse more than 2,000."""
    for prefetch in (0, 2001):
        with pytest.raises(ValueError, match="prefetch"):
            await anext(consumer.deliveries(_QUEUE, prefetch=prefetch, exclusive=False))


async def test_who_consumes_hears_when_the_broker_delivers_and_when_not(url: str, broker: BrokerNode) -> None:
    """An empty queue and one that nobody can read are not the same."""
    told: asyncio.Queue[BridgeError | None] = asyncio.Queue()
    with TcpProxy(broker.amqp_port) as proxy:
        settings = quick(url.replace(f":{broker.amqp_port}/", f":{proxy.port}/"))
        async with (
            RabbitConsumer(settings) as consumer,
            aclosing(consumer.deliveries(_QUEUE, prefetch=1, exclusive=True, report=told.put_nowait)) as deliveries,
        ):
            waiting = asyncio.ensure_future(anext(deliveries))
            async with asyncio.timeout(10):
                assert await told.get() is None
                await asyncio.to_thread(proxy.cut)
                assert isinstance(await told.get(), BrokerUnavailable)
                while await told.get() is not None:
                    pass
            waiting.cancel()
            await asyncio.wait({waiting})
