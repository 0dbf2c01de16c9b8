"""A mailbox is read into a cluster whose nodes die: with a majority mail goes on, without one it stays."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.system.clock import SystemClock
from bridge.domain.outbound import Mailbox
from bridge.domain.send_rate import RateLimits
from bridge.egress.options import EgressOptions
from bridge.egress.sender import MailboxSender
from bridge.errors import TransientError
from bridge.ports.broker import Message
from bridge.telemetry.health import Health
from bridge.wire.topology import EVENTS, INBOUND, OUTBOUND, outbound_key
from tests.integration.rabbitmq.reading import reading_to, wait_until
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.cluster import Cluster
from tests.support.memory.outbox import MemoryOutbox
from tests.support.rabbit import take_all
from tests.unit.egress.harness import a_body
from tests.unit.ingest.doubles import a_mail

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def three_nodes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with Cluster(tmp_path_factory.mktemp("cluster")) as cluster:
        yield cluster


@pytest.fixture
def cluster(three_nodes: Cluster) -> Iterator[Cluster]:
    """Three nodes that run; a test that failed halfway leaves none of them dead for the next one."""
    yield three_nodes
    for node in three_nodes.nodes:
        node.start()


async def test_mail_stays_while_its_queue_has_no_majority_and_passes_under_its_id_once_it_has(
    cluster: Cluster,
) -> None:
    """No confirm ever comes, and nothing says why: the outcome is unknown, nothing is removed, it is tried again."""
    first, *others = cluster.nodes
    url = first.vhost_url(cluster.new_vhost())
    await RabbitTopology(quick(url)).apply(TOPOLOGY)
    async with reading_to(url) as reading:
        reading.inbox.mails.append(a_mail(1))
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")
        for node in others:
            await asyncio.to_thread(node.sync)
            await asyncio.to_thread(node.kill)

        reading.inbox.mails.append(a_mail(2))
        await wait_until(lambda: "publish_unconfirmed" in reading.failures(), "no confirm to come")

        state = reading.health.state("mailbox:dispatch:ingest")
        assert state is not None
        assert state.status == "trouble"
        assert [mail.ref.message_id for mail in reading.inbox.mails] == ["m2"]
        assert reading.inbox.removals == [["item-1"]]
        assert reading.published() == ["m1"]

        await asyncio.gather(*(asyncio.to_thread(node.start) for node in others))
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")

    arrived = [message.message_id for message in await asyncio.to_thread(take_all, url, INBOUND)]
    assert set(arrived) == {"m1", "m2"}
    assert arrived.count("m1") == 1


async def test_reading_goes_on_at_another_node_when_its_own_is_killed(cluster: Cluster) -> None:
    """The lease died with the node and is had again there; what was confirmed is not published a second time."""
    vhost = cluster.new_vhost()
    urls = [node.vhost_url(vhost) for node in cluster.nodes]
    await RabbitTopology(quick(urls[1])).apply(TOPOLOGY)
    async with reading_to(*urls) as reading:
        reading.inbox.mails += [a_mail(number) for number in range(50)]
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")

        await asyncio.to_thread(cluster.nodes[0].sync)
        await asyncio.to_thread(cluster.nodes[0].kill)
        reading.inbox.mails += [a_mail(number) for number in range(50, 100)]
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")
    await asyncio.to_thread(cluster.nodes[0].start)

    arrived = [message.message_id for message in await asyncio.to_thread(take_all, urls[1], INBOUND)]
    assert set(arrived) == {f"m{number}" for number in range(100)}
    assert [arrived.count(f"m{number}") for number in range(50)] == [1] * 50


async def test_draining_goes_on_at_another_node_when_its_own_is_killed(cluster: Cluster) -> None:
    """Both queues are taken again there; what was in hand comes again, and each request is sent once."""
    vhost = cluster.new_vhost()
    urls = [node.vhost_url(vhost) for node in cluster.nodes]
    await RabbitTopology(quick(urls[1])).apply(TOPOLOGY)
    outbox, stop = MemoryOutbox(SystemClock()), asyncio.Event()
    async with (
        RabbitPublisher(quick(urls[1])) as cad,
        RabbitPublisher(quick(*urls)) as publisher,
        RabbitConsumer(quick(*urls)) as consumer,
    ):
        sender = MailboxSender(
            alias="dispatch",
            sender=Mailbox("dispatch@example.org"),
            mailbox=outbox,
            publisher=publisher,
            consumer=consumer,
            clock=SystemClock(),
            emit=lambda _: None,
            health=Health(),
            options=EgressOptions(rate=RateLimits(None, None)),
        )
        running = asyncio.create_task(sender.run(stop))
        await _request(cad, range(50))
        await wait_until(lambda: len(outbox.submissions) > 10, "the first sends")

        await asyncio.to_thread(cluster.nodes[0].sync)
        await asyncio.to_thread(cluster.nodes[0].kill)
        await _request(cad, range(50, 100))
        await wait_until(lambda: len(outbox.submissions) >= 100, "all sends")
        stop.set()
        await running
    await asyncio.to_thread(cluster.nodes[0].start)

    events = await asyncio.to_thread(take_all, urls[1], EVENTS)
    assert sorted(stamp.request_id for stamp in outbox.submissions) == sorted(f"r-{number}" for number in range(100))
    assert {event.routing_key for event in events} == {"outbound.sent"}
    assert len({event.message_id for event in events}) == 100


async def _request(cad: RabbitPublisher, numbers: range) -> None:
    """Publish requests, every tenth of them urgent, until each is confirmed."""
    for number in numbers:
        key = outbound_key("dispatch", urgent=number % 10 == 0)
        message = Message(OUTBOUND, key, a_body(f"r-{number}"), f"r-{number}", "mail.outbound.v1")
        while True:
            await cad.wait_ready()
            try:
                await cad.publish(message)
            except TransientError:
                continue
            break
