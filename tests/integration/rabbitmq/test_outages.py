"""The broker dies, freezes, is cut off or blocks while publishes are on their way."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.errors import BridgeError, BrokerBlocked, BrokerUnavailable, PublishUnconfirmed
from bridge.ports.broker import PublishReceipt
from bridge.telemetry.broker_events import BrokerBlockedChanged, BrokerConnected
from bridge.wire.topology import EVENTS, INBOUND
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.proxy import TcpProxy
from tests.support.rabbit import take_all

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.demo.broker_node import BrokerNode
    from bridge.telemetry.events import Event

_QUEUE_PROCESS = (
    "sys:{call}(amqqueue:get_pid(element(2, rabbit_amqqueue:lookup("
    'rabbit_misc:r(<<"{vhost}">>, queue, <<"mail.inbound">>))))).'
)


@pytest.fixture
def proxy(broker: BrokerNode) -> Iterator[TcpProxy]:
    """A way to the shared broker that a test may break."""
    with TcpProxy(broker.amqp_port) as proxy:
        yield proxy


def _through(proxy: TcpProxy, broker_url: str, broker: BrokerNode) -> str:
    return broker_url.replace(f":{broker.amqp_port}/", f":{proxy.port}/")


async def test_nothing_with_a_receipt_is_lost_when_the_node_is_killed(own_broker: BrokerNode, own_url: str) -> None:
    """Killed in the middle of a stream of publishes; the node comes back with every confirmed message."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    await asyncio.to_thread(own_broker.sync)
    confirmed: set[str] = set()
    failed = 0
    async with RabbitPublisher(quick(own_url)) as publisher:
        await publisher.wait_ready()
        waiting = [publisher.publish(mail(number, size=2000)) for number in range(3000)]
        await waiting[100]
        await asyncio.to_thread(own_broker.kill)
        for outcome in await asyncio.gather(*waiting, return_exceptions=True):
            if isinstance(outcome, PublishReceipt):
                confirmed.add(outcome.message_id)
            else:
                assert isinstance(outcome, BrokerUnavailable)
                failed += 1
        assert publisher.trouble == "broker_unavailable"
        await asyncio.to_thread(own_broker.start)
        async with asyncio.timeout(15):
            await publisher.wait_ready()
        assert await publisher.publish(mail(5000)) == PublishReceipt("m-5000")

    there = {one.message_id for one in take_all(own_url, INBOUND)}
    assert len(confirmed) + failed == 3000
    assert failed
    assert confirmed <= there


async def test_a_frozen_node_is_an_unknown_outcome_in_time(own_broker: BrokerNode, own_url: str) -> None:
    """No answer at all, and no broken connection either: our own timeout ends it, and a thaw heals it."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(own_url, confirm_timeout_seconds=1)) as publisher:
        await publisher.wait_ready()
        own_broker.freeze()
        started = time.monotonic()

        with pytest.raises(PublishUnconfirmed):
            await publisher.publish(mail(1))
        assert 0.9 < time.monotonic() - started < 1.5
        await asyncio.sleep(0)  # the connection is given up in the next turn of the loop
        with pytest.raises(BrokerUnavailable):
            await publisher.publish(mail(2))
        assert publisher.trouble == "broker_unavailable"

        own_broker.thaw()
        async with asyncio.timeout(15):
            await publisher.wait_ready()
        assert await publisher.publish(mail(3)) == PublishReceipt("m-3")


async def test_a_queue_that_answers_nothing_does_not_take_the_connection_down(
    own_broker: BrokerNode, own_vhost: str, own_url: str
) -> None:
    """As when its majority is lost: no confirm, no nack, no notice. Others on the connection are answered all along."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    seen: list[Event] = []
    async with RabbitPublisher(quick(own_url, confirm_timeout_seconds=1), seen.append) as publisher:
        await publisher.wait_ready()
        # A channel's first publish to such a queue is a call inside the broker, which would hold up the others.
        await publisher.publish(mail(0))
        await asyncio.to_thread(own_broker.ctl, "eval", _QUEUE_PROCESS.format(call="suspend", vhost=own_vhost))
        stuck = publisher.publish(mail(1))
        answered = publisher.publish(mail(2, amqp_exchange=EVENTS))

        assert await answered == PublishReceipt("m-2")
        with pytest.raises(PublishUnconfirmed):
            await stuck
        assert await publisher.publish(mail(3, amqp_exchange=EVENTS)) == PublishReceipt("m-3")

        await asyncio.to_thread(own_broker.ctl, "eval", _QUEUE_PROCESS.format(call="resume", vhost=own_vhost))
        assert await publisher.publish(mail(4)) == PublishReceipt("m-4")
    assert len([event for event in seen if isinstance(event, BrokerConnected)]) == 1
    # What was given up arrived all the same: an unknown outcome is published again under the same id.
    assert [one.message_id for one in take_all(own_url, INBOUND)] == ["m-0", "m-1", "m-4"]


async def test_a_memory_alarm_blocks_at_once_and_passes(own_broker: BrokerNode, own_url: str) -> None:
    """The first publish is caught in it, later ones are refused before they are written, nothing is made anew."""
    await RabbitTopology(quick(own_url)).apply(TOPOLOGY)
    seen: list[Event] = []
    async with RabbitPublisher(quick(own_url, confirm_timeout_seconds=2), seen.append) as publisher:
        await publisher.wait_ready()
        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "absolute", "1MB")
        caught = publisher.publish(mail(1))
        async with asyncio.timeout(30):
            while publisher.trouble != "broker_blocked":
                await asyncio.sleep(0.02)

        with pytest.raises(BrokerBlocked):
            await publisher.publish(mail(2))
        with pytest.raises(PublishUnconfirmed):
            await caught

        await asyncio.to_thread(own_broker.ctl, "set_vm_memory_high_watermark", "0.6")
        async with asyncio.timeout(10):
            await publisher.wait_ready()
        assert await publisher.publish(mail(3)) == PublishReceipt("m-3")

    assert [event.blocked for event in seen if isinstance(event, BrokerBlockedChanged)] == [True, False]
    assert len([event for event in seen if isinstance(event, BrokerConnected)]) == 1


async def test_a_cut_connection_fails_what_is_on_its_way_and_is_made_again(
    broker: BrokerNode, broker_url: str, proxy: TcpProxy
) -> None:
    """Within a second, and the next publish works."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(_through(proxy, broker_url, broker))) as publisher:
        await publisher.wait_ready()
        await asyncio.to_thread(proxy.blackhole)
        waiting = [publisher.publish(mail(number)) for number in range(100)]
        await asyncio.to_thread(proxy.cut)

        outcomes = await asyncio.gather(*waiting, return_exceptions=True)

        assert {type(outcome) for outcome in outcomes} == {BrokerUnavailable}
        await asyncio.to_thread(proxy.carry)
        async with asyncio.timeout(30):
            await publisher.wait_ready()
        assert await publisher.publish(mail(100)) == PublishReceipt("m-100")


async def test_a_black_hole_leads_to_the_other_node(broker: BrokerNode, broker_url: str, proxy: TcpProxy) -> None:
    """A link that carries nothing looks healthy; the confirm timeout ends it and the next url is tried first."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    seen: list[Event] = []
    settings = quick(_through(proxy, broker_url, broker), broker_url, confirm_timeout_seconds=1)
    async with RabbitPublisher(settings, seen.append) as publisher:
        await publisher.wait_ready()
        await asyncio.to_thread(proxy.blackhole)
        started = time.monotonic()

        with pytest.raises(PublishUnconfirmed):
            await publisher.publish(mail(1))
        await publisher.wait_ready()
        receipt = await publisher.publish(mail(2))

        assert receipt == PublishReceipt("m-2")
        assert time.monotonic() - started < 3
    nodes = [event.node for event in seen if isinstance(event, BrokerConnected)]
    assert nodes == [f"127.0.0.1:{proxy.port}", f"127.0.0.1:{broker.amqp_port}"]


async def test_a_silent_link_is_noticed_without_any_publish(
    broker: BrokerNode, broker_url: str, proxy: TcpProxy
) -> None:
    """By heartbeats: a publisher with nothing to do must not claim to be connected."""
    async with RabbitPublisher(quick(_through(proxy, broker_url, broker))) as publisher:
        await publisher.wait_ready()
        await asyncio.to_thread(proxy.blackhole)

        async with asyncio.timeout(15):
            while publisher.trouble is None:
                await asyncio.sleep(0.05)

        assert publisher.trouble == "broker_unavailable"


async def test_broker_away_at_the_start_is_waited_for(broker: BrokerNode, broker_url: str, proxy: TcpProxy) -> None:
    """Nothing is raised; `trouble` says it, `wait_ready` ends when it comes."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    await asyncio.to_thread(proxy.refuse)
    async with RabbitPublisher(quick(_through(proxy, broker_url, broker))) as publisher:
        waiting = asyncio.create_task(publisher.wait_ready())
        with pytest.raises(BrokerUnavailable):
            await publisher.publish(mail(1))
        assert publisher.trouble == "broker_unavailable"

        await asyncio.to_thread(proxy.carry)

        async with asyncio.timeout(30):
            await waiting
        assert await publisher.publish(mail(2)) == PublishReceipt("m-2")


async def test_closing_ends_in_time_whatever_the_broker_does(
    broker: BrokerNode, broker_url: str, proxy: TcpProxy
) -> None:
    """Silent, away, or in the middle of connecting: a stop has a limit, and leaves no task behind."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    url = _through(proxy, broker_url, broker)
    silent = RabbitPublisher(quick(url))
    silent.start()
    await silent.wait_ready()
    await asyncio.to_thread(proxy.blackhole)
    waiting = silent.publish(mail(1))
    connecting = RabbitPublisher(quick(url))
    connecting.start()
    await asyncio.sleep(0.1)
    started = time.monotonic()

    await asyncio.gather(silent.close(drain_seconds=0.3), connecting.close())

    assert time.monotonic() - started < 5
    with pytest.raises(BrokerUnavailable):
        await waiting
    await asyncio.to_thread(proxy.refuse)
    away = RabbitPublisher(quick(url))
    away.start()
    await asyncio.sleep(0.1)
    await away.close()
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_many_cuts_lose_nothing_that_was_confirmed(broker: BrokerNode, broker_url: str, proxy: TcpProxy) -> None:
    """Publish until confirmed, as the worker does, over a link that is cut ten times."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    async with RabbitPublisher(quick(_through(proxy, broker_url, broker))) as publisher:

        async def until_confirmed(number: int) -> None:
            while True:
                await publisher.wait_ready()
                try:
                    await publisher.publish(mail(number, size=5000))
                except BridgeError:
                    continue
                return

        working = asyncio.gather(*(until_confirmed(number) for number in range(1000)))
        for _ in range(10):
            await asyncio.sleep(0.05)
            await asyncio.to_thread(proxy.cut)
        async with asyncio.timeout(30):
            await working

    there = {one.message_id for one in take_all(broker_url, INBOUND)}
    assert there == {f"m-{number}" for number in range(1000)}
