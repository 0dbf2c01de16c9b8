"""A virtual host that its node has not opened, or has closed: everybody waits, nobody is sent for a person."""

from __future__ import annotations

import asyncio
import json
from contextlib import AsyncExitStack, closing
from typing import TYPE_CHECKING

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.login import try_login
from bridge.client import Address, BridgeClient, BrokerUnavailable, OutboundRequest
from bridge.errors import BrokerAccessRefused
from bridge.wire.topology import INBOUND, OUTBOUND_RETURNED
from tests.integration.rabbitmq.reading import reading_to, wait_until
from tests.integration.rabbitmq.support import TOPOLOGY, patient, quick
from tests.support.rabbit import take_all
from tests.support.sandbox import SandboxProcess
from tests.support.workers import bridge
from tests.unit.ingest.doubles import a_mail

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.demo.broker_node import BrokerNode

_DOWN = "broker_vhost_down"
_CLOSE = (
    "supervisor:terminate_child(rabbit_vhost_sup_sup, "
    'element(4, rabbit_vhost_sup_sup:lookup_vhost_sup_record(<<"{vhost}">>))).'
)


def _close(node: BrokerNode, vhost: str) -> None:
    """Leave the virtual host as after a failure of its own: it is there, and closed, until somebody opens it."""
    # The node itself would, when it next looks: twice a minute.
    assert "ok" in node.ctl("eval", "application:set_env(rabbit, vhost_process_reconciliation_enabled, false).")
    assert "ok" in node.ctl("eval", _CLOSE.format(vhost=vhost))
    node.ctl("close_all_connections", "--vhost", vhost, "closed")


def _open(node: BrokerNode, vhost: str) -> None:
    node.ctl("restart_vhost", "--vhost", vhost)


@pytest.fixture
def closed_url(own_broker: BrokerNode, own_vhost: str, own_url: str) -> str:
    """The address of a virtual host that is declared in, and closed."""
    asyncio.run(RabbitTopology(patient(own_url)).apply(TOPOLOGY))
    _close(own_broker, own_vhost)
    return own_url


async def test_mail_waits_for_a_virtual_host_that_closes_and_passes_once_it_is_open(
    own_broker: BrokerNode, own_vhost: str, own_url: str
) -> None:
    """The worker says what is wrong, removes nothing, and needs no help."""
    await RabbitTopology(patient(own_url)).apply(TOPOLOGY)
    async with AsyncExitStack() as stack:
        reading = await stack.enter_async_context(reading_to(own_url))
        consumer = await stack.enter_async_context(RabbitConsumer(quick(own_url)))
        reading.inbox.mails.append(a_mail(1))
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")

        await asyncio.to_thread(_close, own_broker, own_vhost)
        reading.inbox.mails.append(a_mail(2))
        await wait_until(lambda: reading.publisher.trouble == _DOWN, "the publisher to say so")
        await wait_until(lambda: consumer.trouble == _DOWN, "the consumer to say so")
        state = reading.health.state("mailbox:dispatch:ingest")
        assert state is not None
        assert state.status == "trouble"
        assert reading.published() == ["m1"]
        assert len(reading.inbox.mails) == 1

        await asyncio.to_thread(_open, own_broker, own_vhost)
        await wait_until(lambda: not reading.inbox.mails, "all mails to pass")
        await wait_until(lambda: consumer.trouble is None, "the consumer to be connected again")

    assert [message.message_id for message in await asyncio.to_thread(take_all, own_url, INBOUND)] == ["m1", "m2"]


async def test_topology_of_a_closed_virtual_host_is_had_at_the_next_node(
    own_broker: BrokerNode, closed_url: str, broker_url: str
) -> None:
    """As of a node that does not answer; where there is no other it is said to be unavailable."""
    found = await RabbitTopology(quick(closed_url, broker_url)).apply(TOPOLOGY)

    assert {one.state for one in found} == {"declared"}
    with pytest.raises(BrokerUnavailable) as caught:
        await RabbitTopology(quick(closed_url)).apply(TOPOLOGY)
    assert caught.value.code == _DOWN


def test_a_client_may_try_again(own_broker: BrokerNode, own_vhost: str, closed_url: str) -> None:
    request = OutboundRequest(request_id="r-1", to=(Address(address="crew@example.org"),), text="x")

    with closing(BridgeClient(closed_url)) as client:
        with pytest.raises(BrokerUnavailable, match="is down") as caught:
            client.publish_request(request, mailbox="unknown")
        assert caught.value.code == _DOWN
        _open(own_broker, own_vhost)
        client.publish_request(request, mailbox="unknown")

    assert [message.message_id for message in take_all(closed_url, OUTBOUND_RETURNED)] == ["r-1"]


def test_check_and_topology_say_which_trouble_it_is(own_broker: BrokerNode, closed_url: str, tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        surroundings = {
            "BRIDGE_CONFIG": str(sandbox.directory / "bridge.toml"),
            "BRIDGE_RABBITMQ__URLS": closed_url,
        }
        checked = bridge("check", "--json", environment=surroundings)
        shown = bridge("topology", "show", environment=surroundings)

    found = {one["step"]: one["code"] for one in json.loads(checked.stdout)["findings"] if one["state"] == "failed"}
    assert found["rabbitmq login"] == _DOWN
    assert checked.returncode == 1
    assert shown.stderr.startswith(f"{_DOWN}: ")
    assert shown.returncode != 0


def test_a_login_is_refused_for_good_where_a_limit_shuts_it_out_and_not_where_it_is_full(
    own_broker: BrokerNode, own_vhost: str, own_url: str
) -> None:
    """By the same reply but for a number."""
    limit = ("set_vhost_limits", "--vhost", own_vhost)
    own_broker.ctl(*limit, '{"max-connections": 1}')
    with closing(pika.BlockingConnection(pika.URLParameters(own_url))):
        with pytest.raises(BrokerUnavailable) as full:
            try_login(own_url)
        own_broker.ctl(*limit, '{"max-connections": 0}')
        with pytest.raises(BrokerAccessRefused):
            try_login(own_url)
    own_broker.ctl("clear_vhost_limits", "--vhost", own_vhost)

    assert full.value.code == "broker_limit_reached"
    try_login(own_url)
