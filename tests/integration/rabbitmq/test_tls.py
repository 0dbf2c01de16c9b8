"""AMQP over TLS: who is trusted, who is not, and a certificate as the login."""

from __future__ import annotations

import asyncio
import socket
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.client import Address, BridgeClient, BrokerAccessRefused, OutboundRequest
from bridge.demo.broker_node import BrokerNode
from bridge.ports.broker import PublishReceipt
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.certificates import TestAuthority

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.adapters.rabbitmq.settings import RabbitSettings

_CONFIGURATION = """
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {ca}
ssl_options.certfile = {certificate}
ssl_options.keyfile = {certificate}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
"""


@dataclass
class _Secured:
    node: BrokerNode
    authority: TestAuthority
    directory: Path
    port: int

    @property
    def settings(self) -> RabbitSettings:
        url = f"amqps://{self.node.username}:{self.node.password}@localhost:{self.port}/"
        return replace(quick(url), ca_file=self.authority.file)


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Secured]:
    """A node with a TLS listener and a private authority."""
    directory = tmp_path_factory.mktemp("tls")
    authority = TestAuthority(directory)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    configuration = _CONFIGURATION.format(port=port, ca=authority.file, certificate=authority.issue("node"))
    node = BrokerNode(directory / "node", configuration=configuration, plugins=["rabbitmq_auth_mechanism_ssl"])
    with node:
        deadline = time.monotonic() + 10
        while not _listens(port):  # the TLS listener comes up after the one that tells that the node is ready
            assert time.monotonic() < deadline
            time.sleep(0.05)
        yield _Secured(node, authority, directory, port)


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


async def test_a_node_of_the_private_authority_is_trusted(secured: _Secured) -> None:
    """By the CA file of the settings."""
    await RabbitTopology(secured.settings).apply(TOPOLOGY)
    async with RabbitPublisher(secured.settings) as publisher:
        async with asyncio.timeout(10):
            await publisher.wait_ready()
        assert await publisher.publish(mail()) == PublishReceipt("m-1")


async def test_another_authority_is_not_trusted_and_it_is_said(secured: _Secured, tmp_path: Path) -> None:
    """A person has to act; waiting would not help."""
    other = replace(secured.settings, ca_file=TestAuthority(tmp_path, "other").file)

    with pytest.raises(BrokerAccessRefused, match="certificate"):
        await RabbitTopology(other).verify(amqp_exchanges=[], queues=[])


async def test_the_systems_authorities_are_used_where_no_file_is_given(secured: _Secured) -> None:
    """They do not know the private one, and verification is not turned off for that."""
    with pytest.raises(BrokerAccessRefused, match="certificate"):
        await RabbitTopology(replace(secured.settings, ca_file=None)).verify(amqp_exchanges=[], queues=[])


async def test_a_client_certificate_is_a_login(secured: _Secured) -> None:
    """No password anywhere; the user is the certificate's common name."""
    secured.node.create_user("bridge-by-certificate", "unused", vhost="/", write=".*")
    settings = replace(
        quick(f"amqps://localhost:{secured.port}/"),
        ca_file=secured.authority.file,
        client_certificate_file=secured.authority.issue("bridge-by-certificate"),
        login_by_certificate=True,
    )
    assert await RabbitTopology(settings).verify(amqp_exchanges=["amq.direct"], queues=[]) == []

    stranger = replace(settings, client_certificate_file=secured.authority.issue("stranger"))
    with pytest.raises(BrokerAccessRefused):
        await RabbitTopology(stranger).verify(amqp_exchanges=[], queues=[])


async def test_a_client_of_a_consumer_trusts_the_same_way(secured: _Secured, tmp_path: Path) -> None:
    """`bridge.client` has its own connection."""
    await RabbitTopology(secured.settings).apply(TOPOLOGY)
    url = secured.settings.urls[0]
    request = OutboundRequest(request_id="r-1", to=(Address(address="crew@example.org"),))

    with BridgeClient(url, ca_file=secured.authority.file) as client:
        client.publish_request(request, mailbox="dispatch")
    with (
        BridgeClient(url, ca_file=TestAuthority(tmp_path, "other").file) as client,
        pytest.raises(BrokerAccessRefused),
    ):
        client.publish_request(request, mailbox="dispatch")
