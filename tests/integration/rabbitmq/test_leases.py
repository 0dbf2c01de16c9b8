"""Leases: held by one, passed on at once, and noticed when they are gone."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.connection import OpenChannel, close, connect
from bridge.adapters.rabbitmq.lease import Leases
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.errors import BridgeError, BrokerUnavailable, QueueTaken
from bridge.wire.topology import reader_lease
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.proxy import TcpProxy

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.demo.broker_node import BrokerNode

_LEASE = reader_lease("dispatch")


@pytest.fixture
async def url(broker_url: str) -> str:
    """A virtual host with the topology."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    return broker_url


async def test_one_holds_a_lease_and_the_next_has_it_as_soon_as_it_is_free(url: str) -> None:
    async with RabbitPublisher(quick(url)) as first, RabbitPublisher(quick(url)) as second:
        await first.wait_ready()
        await second.wait_ready()
        async with first.lease(_LEASE) as lost:
            for one in (second, first):
                with pytest.raises(QueueTaken):
                    async with one.lease(_LEASE):
                        pass
            assert not lost.is_set()

        async with second.lease(_LEASE):
            # Nobody's publishes were disturbed by the refusals.
            assert (await first.publish(mail())).message_id == "m-1"


async def test_a_lease_goes_with_the_connection_and_so_do_the_receipts(url: str, broker: BrokerNode) -> None:
    with TcpProxy(broker.amqp_port) as proxy:
        through = url.replace(f":{broker.amqp_port}", f":{proxy.port}")
        async with RabbitPublisher(quick(through)) as first, RabbitPublisher(quick(url)) as second:
            await first.wait_ready()
            await second.wait_ready()
            async with first.lease(_LEASE) as lost:
                await asyncio.to_thread(proxy.blackhole)
                publish = first.publish(mail())

                async with asyncio.timeout(10):  # two heartbeats of two seconds, and a margin
                    await lost.wait()

                with pytest.raises(BridgeError):
                    await publish
            async with asyncio.timeout(20):
                while True:
                    try:
                        async with second.lease(_LEASE):
                            break
                    except QueueTaken:
                        await asyncio.sleep(0.1)


async def test_a_lease_that_is_not_proved_within_its_time_counts_as_lost(url: str, broker: BrokerNode) -> None:
    """Before the heartbeats say anything."""
    with TcpProxy(broker.amqp_port) as proxy:
        connection = await connect(quick(url), url.replace(f":{broker.amqp_port}", f":{proxy.port}"), "test")
        async with Leases(0.2).hold(connection, _LEASE) as lost:
            await asyncio.to_thread(proxy.blackhole)

            async with asyncio.timeout(1.5):
                await lost.wait()
                await connection.closed  # whatever was published on it hears so, too


async def test_many_leases_on_a_connection_are_proved_by_few_questions_and_lost_together(
    url: str, broker: BrokerNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six hundred of an idle worker, each asked for every ten seconds, took a fifth of its CPU time."""
    asked: dict[str, int] = {}
    call = OpenChannel.call

    async def counted(channel: OpenChannel, method: Callable[..., Any], /, **arguments: Any) -> object:
        asked[arguments["queue"]] = asked.get(arguments["queue"], 0) + 1
        return await call(channel, method, **arguments)

    with TcpProxy(broker.amqp_port) as proxy:
        connection = await connect(quick(url), url.replace(f":{broker.amqp_port}", f":{proxy.port}"), "test")
        leases, names = Leases(0.5), [reader_lease(f"crew-{number}") for number in range(60)]
        async with contextlib.AsyncExitStack() as held:
            lost = [await held.enter_async_context(leases.hold(connection, name)) for name in names]
            monkeypatch.setattr(OpenChannel, "call", counted)
            began = time.monotonic()
            async with asyncio.timeout(30):
                while len(asked) < len(names):
                    await asyncio.sleep(0.05)
            proofs = (time.monotonic() - began) / 0.5
            assert sum(asked.values()) < len(names) * proofs / 2
            assert not any(one.is_set() for one in lost)

            monkeypatch.undo()
            await asyncio.to_thread(proxy.blackhole)
            async with asyncio.timeout(30):
                await asyncio.gather(*(one.wait() for one in lost))


async def test_a_lease_is_asked_for_nothing_while_the_broker_is_known_not_to_listen(
    url: str, broker: BrokerNode
) -> None:
    with TcpProxy(broker.amqp_port) as proxy:
        connection = await connect(quick(url), url.replace(f":{broker.amqp_port}", f":{proxy.port}"), "test")
        asked = 0

        def silent() -> bool:
            nonlocal asked
            asked += 1
            return True

        async with Leases(0.1).hold(connection, _LEASE, silent=silent) as lost:
            await asyncio.to_thread(proxy.blackhole)
            async with asyncio.timeout(30):
                while asked < 5:
                    await asyncio.sleep(0.01)
            assert not lost.is_set()
        await asyncio.to_thread(proxy.cut)
        await connection.closed


async def test_a_process_that_was_held_up_for_longer_than_a_proof_may_take_keeps_its_lease(url: str) -> None:
    """The answer has long come, and nobody had the time to read it."""
    connection = await connect(quick(url), url, "test")
    async with Leases(0.1).hold(connection, _LEASE) as lost:
        for _ in range(10):
            await asyncio.sleep(0.02)
            time.sleep(0.2)  # noqa: ASYNC251 - it is what this is about

        assert not lost.is_set()
        assert not connection.closed.done()
    await close(connection)


async def test_an_alarm_that_begins_while_a_proof_is_on_its_way_costs_no_lease(url: str, broker: BrokerNode) -> None:
    with TcpProxy(broker.amqp_port) as proxy:
        connection = await connect(quick(url), url.replace(f":{broker.amqp_port}", f":{proxy.port}"), "test")
        answers = [False]

        def silent() -> bool:
            return answers.pop() if answers else True

        async with Leases(0.2).hold(connection, _LEASE, silent=silent) as lost:
            await asyncio.to_thread(proxy.blackhole)
            while answers:
                await asyncio.sleep(0.01)
            await asyncio.sleep(0.5)
            assert not lost.is_set()
        await asyncio.to_thread(proxy.cut)
        await connection.closed


@pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "with the answer"])
async def test_whoever_gives_up_while_asking_for_a_lease_does_not_keep_it(
    url: str, monkeypatch: pytest.MonkeyPatch, answered: bool
) -> None:
    """An exclusive queue lasts as long as the connection: two workers had one half of a mailbox each, for ever."""
    call = OpenChannel.call

    async def given_up(channel: OpenChannel, method: Callable[..., Any], /, **arguments: Any) -> object:
        asking = asyncio.current_task()
        assert asking is not None
        if not answered:
            asking.cancel()
        answer = await call(channel, method, **arguments)
        asking.cancel()
        await asyncio.sleep(0)
        return answer

    async def hold(leases: Leases) -> None:
        async with leases.hold(first, _LEASE):
            raise AssertionError("it was to be given up")

    first, second = await connect(quick(url), url, "test"), await connect(quick(url), url, "test")
    try:
        with monkeypatch.context() as while_asking:
            while_asking.setattr(OpenChannel, "call", given_up)
            with pytest.raises(asyncio.CancelledError):
                await asyncio.create_task(hold(Leases(10)))

        async with Leases(10).hold(second, _LEASE):
            assert first.amqp.is_open
    finally:
        await close(first)
        await close(second)


async def test_a_lease_whose_channel_the_broker_closed_is_not_kept(url: str) -> None:
    """Nor by the connection, which lives on."""
    first, second = await connect(quick(url), url, "test"), await connect(quick(url), url, "test")
    channels: list[int] = []
    try:
        async with Leases(0.2).hold(first, _LEASE) as lost:
            channels += first.amqp._channels
            channel = first.amqp._channels[channels[0]]
            channel.basic_publish("no.such.exchange", "", b"")
            async with asyncio.timeout(10):
                await lost.wait()

        async with Leases(10).hold(second, _LEASE):
            assert first.amqp.is_open
    finally:
        await close(first)
        await close(second)


async def test_nobody_holds_a_lease_without_a_connection() -> None:
    async with RabbitPublisher(quick("amqp://localhost:1/")) as publisher:
        with pytest.raises(BrokerUnavailable):
            async with publisher.lease(_LEASE):
                pass
