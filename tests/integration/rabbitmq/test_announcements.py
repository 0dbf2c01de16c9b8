"""Workers hear each other through the broker, each with the rights of its own user alone."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.announcements import RabbitAnnouncements
from bridge.domain.roster import Announcement
from bridge.wire import worker_v1
from bridge.wire.topology import WORKERS
from tests.integration.rabbitmq.reading import wait_until
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.proxy import TcpProxy
from tests.support.rabbit import a_channel
from tests.support.rights import as_user

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode


_ROLES = ("ingest", "egress", "run")


class Announcer:
    """A worker that does nothing but announce itself."""

    def __init__(self, number: int, *urls: str) -> None:
        self.worker = f"{number:032x}"
        self.heard: list[bytes] = []
        self.announcements = RabbitAnnouncements(
            quick(*urls), say=self.say, hear=self.heard.append, emit=lambda _: None, every_seconds=0.1
        )

    def say(self) -> bytes:
        return worker_v1.to_json(Announcement(self.worker, "1.0", "run", [], ["dispatch"], []))

    def workers(self) -> set[str]:
        return {worker_v1.from_json(body).worker for body in self.heard}


@pytest.fixture
async def url(broker_url: str) -> str:
    """A virtual host with the topology."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    return broker_url


async def test_workers_of_every_role_hear_each_other_and_themselves(url: str) -> None:
    announcers = [Announcer(number, as_user(url, f"bridge-{role}")) for number, role in enumerate(_ROLES)]
    async with contextlib.AsyncExitStack() as stack:
        for one in announcers:
            await stack.enter_async_context(one.announcements)

        everybody = {one.worker for one in announcers}
        await wait_until(lambda: all(one.workers() == everybody for one in announcers), "all to hear each other")

        assert [one.announcements.trouble for one in announcers] == [None] * 3


@pytest.mark.parametrize("user", ["bridge-cad", "bridge-cad-publisher", "bridge-cad-consumer"])
async def test_who_has_no_right_to_announce_is_told_so_and_heard_by_nobody(url: str, user: str) -> None:
    one, other = Announcer(1, url), Announcer(2, as_user(url, user))
    async with one.announcements, other.announcements:
        await wait_until(
            lambda: getattr(other.announcements.trouble, "code", "") == "broker_right_missing", "the refusal"
        )
        await wait_until(lambda: len(one.heard) > 5, "the first one to hear itself")

    assert one.workers() == {one.worker}
    assert not other.heard


async def test_an_exchange_that_is_not_there_yet_is_told_as_that(broker_url: str) -> None:
    one = Announcer(1, broker_url)
    async with one.announcements:
        await wait_until(lambda: getattr(one.announcements.trouble, "code", "") == "topology_missing", "the trouble")

        assert one.announcements.trouble is not None
        assert WORKERS in one.announcements.trouble.detail


async def test_after_a_cut_it_announces_again(url: str, broker: BrokerNode) -> None:
    with TcpProxy(broker.amqp_port) as proxy:
        through = url.replace(f":{broker.amqp_port}", f":{proxy.port}")
        one, other = Announcer(1, through), Announcer(2, url)
        async with one.announcements, other.announcements:
            await wait_until(lambda: one.worker in other.workers(), "the first one to be heard")

            await asyncio.to_thread(proxy.cut)
            await wait_until(lambda: one.announcements.trouble is None, "the connection to be there again")
            other.heard.clear()

            await wait_until(lambda: one.worker in other.workers(), "it to be heard again")


async def test_what_anybody_else_publishes_there_is_handed_over_and_ends_nothing(url: str) -> None:
    one = Announcer(1, url)
    async with one.announcements:
        await wait_until(lambda: bool(one.heard), "it to hear itself")
        with a_channel(url) as channel:
            channel.basic_publish(WORKERS, "any key", b"\xffgarbage", pika.BasicProperties(headers={"a": "b"}))

        await wait_until(lambda: b"\xffgarbage" in one.heard, "the garbage to come")
        one.heard.clear()
        await wait_until(lambda: one.workers() == {one.worker}, "it to hear itself")


async def test_nothing_is_left_of_a_worker_that_ended(url: str, broker: BrokerNode, vhost: str) -> None:
    one = Announcer(1, url)
    async with one.announcements:
        await wait_until(lambda: bool(one.heard), "it to hear itself")
        await wait_until(lambda: "mail.lease.workers." in broker.ctl("list_queues", "-p", vhost, "name"), "its queue")

    await wait_until(lambda: "mail.lease.workers." not in broker.ctl("list_queues", "-p", vhost, "name"), "its end")
