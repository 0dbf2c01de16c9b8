"""AMQP over TLS: who is trusted, who is not, and certificates of clients."""

from __future__ import annotations

import asyncio
import ssl
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.tls import tls_context
from bridge.client import Address, BridgeClient, BrokerAccessRefused, OutboundRequest
from bridge.errors import BrokerUnavailable, ConfigurationError
from bridge.ports.broker import PublishReceipt
from bridge.telemetry.broker_events import BrokerConnected, BrokerConnectFailed
from bridge.telemetry.reasons import hint_for
from tests.integration.rabbitmq.support import TOPOLOGY, mail, quick
from tests.support.certificates import TestAuthority
from tests.support.secured_broker import SecuredBroker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.telemetry.events import Event


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A node with a TLS listener and a private authority, that takes passwords and certificates."""
    directory = tmp_path_factory.mktemp("tls")
    with SecuredBroker.prepared(directory / "node", TestAuthority(directory), "external") as broker:
        yield broker


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecuredBroker]:
    """A node that lets nobody in without a certificate."""
    directory = tmp_path_factory.mktemp("strict")
    instead = {"ssl_options.fail_if_no_peer_cert": "true"}
    with SecuredBroker.prepared(directory / "node", TestAuthority(directory), instead=instead) as broker:
        yield broker


def _by_password(broker: SecuredBroker) -> RabbitSettings:
    return replace(quick(broker.url(login=broker.administrator)), ca_file=broker.authority.file)


async def _look(settings: RabbitSettings) -> list[str]:
    return await RabbitTopology(settings).verify(amqp_exchanges=["amq.direct"], queues=[])


async def test_a_node_of_the_private_authority_is_trusted(secured: SecuredBroker) -> None:
    """By the CA file of the settings."""
    await RabbitTopology(_by_password(secured)).apply(TOPOLOGY)
    async with RabbitPublisher(_by_password(secured)) as publisher:
        async with asyncio.timeout(10):
            await publisher.wait_ready()
        assert await publisher.publish(mail()) == PublishReceipt("m-1")


async def test_another_authority_is_not_trusted_and_it_is_said(secured: SecuredBroker, tmp_path: Path) -> None:
    """A person has to act; waiting would not help."""
    other = replace(_by_password(secured), ca_file=TestAuthority(tmp_path, "other").file)

    with pytest.raises(BrokerAccessRefused, match="certificate"):
        await RabbitTopology(other).verify(amqp_exchanges=[], queues=[])


async def test_the_systems_authorities_are_used_where_no_file_is_given(secured: SecuredBroker) -> None:
    """They do not know the private one, and verification is not turned off for that."""
    with pytest.raises(BrokerAccessRefused, match="certificate"):
        await RabbitTopology(replace(_by_password(secured), ca_file=None)).verify(amqp_exchanges=[], queues=[])


async def test_a_client_certificate_is_a_login(secured: SecuredBroker) -> None:
    """No password anywhere; the user is the certificate's common name."""
    secured.node.create_user("bridge-by-certificate", "unused", vhost="/", write=".*")
    settings = replace(
        quick(secured.url()),
        ca_file=secured.authority.file,
        client_certificate_file=secured.authority.issue("bridge-by-certificate"),
        login_by_certificate=True,
    )
    assert await RabbitTopology(settings).verify(amqp_exchanges=["amq.direct"], queues=[]) == []

    stranger = replace(settings, client_certificate_file=secured.authority.issue("stranger"))
    with pytest.raises(BrokerAccessRefused):
        await RabbitTopology(stranger).verify(amqp_exchanges=[], queues=[])


async def test_a_client_of_a_consumer_trusts_the_same_way(secured: SecuredBroker, tmp_path: Path) -> None:
    """`bridge.client` has its own connection."""
    await RabbitTopology(_by_password(secured)).apply(TOPOLOGY)
    url = _by_password(secured).urls[0]
    request = OutboundRequest(request_id="r-1", to=(Address(address="crew@example.org"),))

    with BridgeClient(url, ca_file=secured.authority.file) as client:
        client.publish_request(request, mailbox="dispatch")
    with (
        BridgeClient(url, ca_file=TestAuthority(tmp_path, "other").file) as client,
        pytest.raises(BrokerAccessRefused),
    ):
        client.publish_request(request, mailbox="dispatch")


async def test_a_renewed_certificate_is_shown_by_the_next_connection_and_the_open_one_goes_on(
    secured: SecuredBroker,
) -> None:
    """The files are read for each connection; one that does not fit its key is told and tried again."""
    await RabbitTopology(_by_password(secured)).apply(TOPOLOGY)
    secured.node.create_user("bridge-renewed", "unused", vhost="/", write=".*")
    file = secured.authority.issue("bridge-renewed")
    settings = replace(
        quick(secured.url()), ca_file=secured.authority.file, client_certificate_file=file, login_by_certificate=True
    )
    async with RabbitPublisher(settings) as publisher:
        async with asyncio.timeout(10):
            await publisher.wait_ready()
        before = file.read_bytes()
        file.write_bytes(before.partition(b"-----BEGIN PRIVATE KEY")[0])  # in the middle of a renewal

        assert await publisher.publish(mail(1)) == PublishReceipt("m-1")
        with pytest.raises(ConfigurationError, match="client_certificate_file needs a certificate and its private key"):
            await _look(settings)

        secured.authority.issue("bridge-renewed")
        assert file.read_bytes() != before
        assert await _look(settings) == []
        assert await publisher.publish(mail(2)) == PublishReceipt("m-2")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
async def test_a_node_that_asks_for_a_certificate_says_what_is_wrong_with_ours(
    strict: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, version: ssl.TLSVersion
) -> None:
    """Whichever version of TLS is spoken: one tells in the handshake, the other after it."""

    def of_this_version(**files: object) -> ssl.SSLContext:
        context = tls_context(**files)  # type: ignore[arg-type]
        context.minimum_version = context.maximum_version = version
        return context

    monkeypatch.setattr("bridge.adapters.rabbitmq.settings.tls_context", of_this_version)
    settings = _by_password(strict)
    codes = {}
    for name, file in (
        ("none", None),
        ("expired", strict.authority.issue("expired", expired=True)),
        ("of another authority", TestAuthority(tmp_path, "other").issue("stranger")),
    ):
        with pytest.raises((BrokerAccessRefused, BrokerUnavailable)) as caught:
            await _look(replace(settings, client_certificate_file=file))
        codes[name] = caught.value.code

    assert codes["expired"] == "broker_certificate_expired"
    assert codes["of another authority"] == "broker_certificate_refused"
    # Before TLS 1.3 there was no word for it.
    missing = "broker_certificate_missing" if version == ssl.TLSVersion.TLSv1_3 else "tls_failed"
    assert codes["none"] == missing


async def test_a_certificate_beside_a_password_lets_both_sides_know_each_other(strict: SecuredBroker) -> None:
    """The password is the login; the key may be encrypted, and its passphrase renewed with it."""
    passphrases = ["first"]
    file = strict.authority.issue("bridge", passphrase="first")
    settings = replace(
        _by_password(strict), client_certificate_file=file, read_client_key_passphrase=lambda: passphrases[-1]
    )
    assert await _look(settings) == []

    strict.authority.issue("bridge", passphrase="second")
    with pytest.raises(ConfigurationError, match="client_key_passphrase does not open the private key"):
        await _look(settings)
    with pytest.raises(ConfigurationError, match="client_key_passphrase is missing"):
        await _look(replace(settings, read_client_key_passphrase=None))
    passphrases.append("second")
    assert await _look(settings) == []


def test_each_file_that_cannot_be_used_is_named_by_its_key(tmp_path: Path) -> None:
    """And never with what is in it."""
    authority = TestAuthority(tmp_path)
    good, other, text = authority.issue("good"), authority.issue("other"), tmp_path / "text"
    text.write_text("hello")

    for files, words in (
        ({"ca_file": tmp_path / "none"}, "rabbitmq.ca_file cannot be read (No such file or directory)"),
        ({"ca_file": text}, "rabbitmq.ca_file holds no certificate"),
        ({"certificate_file": tmp_path}, "rabbitmq.client_certificate_file cannot be read (Is a directory)"),
        ({"certificate_file": text}, "rabbitmq.client_certificate_file needs a certificate and its private key"),
        ({"certificate_file": good, "key_file": other}, "rabbitmq.client_key_file holds the key of another"),
        ({"certificate_file": good, "key_file": tmp_path / "none"}, "rabbitmq.client_key_file cannot be read"),
    ):
        with pytest.raises(ConfigurationError) as caught:
            tls_context(**files)  # type: ignore[arg-type]
        assert str(caught.value).startswith(words)


async def test_the_environment_does_not_change_whom_a_ca_file_trusts(
    secured: SecuredBroker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Given a file, nothing else counts; OpenSSL's own variable is for the system's authorities."""
    monkeypatch.setenv("SSL_CERT_FILE", str(secured.authority.file))
    other = replace(_by_password(secured), ca_file=TestAuthority(tmp_path, "other").file)

    with pytest.raises(BrokerAccessRefused, match="certificate") as caught:
        await _look(other)

    assert caught.value.code == "tls_untrusted"


async def test_a_password_that_is_renewed_in_the_file_of_urls_is_used_by_the_next_connection(
    secured: SecuredBroker,
) -> None:
    """The open connection goes on with the one that it was made with."""
    await RabbitTopology(_by_password(secured)).apply(TOPOLOGY)
    secured.node.create_user("bridge-by-password", "old", vhost="/", write=".*")
    urls = [secured.url(login="bridge-by-password:old")]
    settings = replace(quick(*urls), read_urls=lambda: urls, ca_file=secured.authority.file)
    seen: list[Event] = []
    async with RabbitPublisher(settings, seen.append) as publisher:
        async with asyncio.timeout(10):
            await publisher.wait_ready()

        await asyncio.to_thread(secured.node.ctl, "change_password", "bridge-by-password", "new")
        with pytest.raises(BrokerAccessRefused) as caught:
            await _look(settings)
        assert caught.value.code == "broker_login_refused"
        assert await publisher.publish(mail(1)) == PublishReceipt("m-1")

        urls[:] = [secured.url(login="bridge-by-password:new")]
        assert await _look(settings) == []
        await asyncio.to_thread(secured.node.ctl, "close_all_user_connections", "bridge-by-password", "rotated")
        async with asyncio.timeout(10):
            # Its loss may be over before anybody looks: the events have it.
            while len([event for event in seen if isinstance(event, BrokerConnected)]) < 2:
                await asyncio.sleep(0.01)
            await publisher.wait_ready()
        assert await publisher.publish(mail(2)) == PublishReceipt("m-2")


async def test_a_password_that_the_broker_does_not_know_yet_leaves_the_old_one_at_work(secured: SecuredBroker) -> None:
    """The file first, the broker second: a connection that is lost in between comes back, and the refusal is told."""
    await RabbitTopology(_by_password(secured)).apply(TOPOLOGY)
    secured.node.create_user("bridge-early", "old", vhost="/", write=".*")
    urls = [secured.url(login="bridge-early:old")]
    settings = replace(quick(*urls), read_urls=lambda: urls, ca_file=secured.authority.file)
    seen: list[Event] = []

    async def lost_and_back() -> None:
        before = len([event for event in seen if isinstance(event, BrokerConnected)])
        await asyncio.to_thread(secured.node.ctl, "close_all_user_connections", "bridge-early", "test")
        async with asyncio.timeout(10):
            while len([event for event in seen if isinstance(event, BrokerConnected)]) == before:
                await asyncio.sleep(0.01)
            await publisher.wait_ready()

    async with RabbitPublisher(settings, seen.append) as publisher:
        await publisher.wait_ready()
        urls[:] = [secured.url(login="bridge-early:new")]
        await lost_and_back()
        assert await publisher.publish(mail(1)) == PublishReceipt("m-1")
        refusals = [event.code for event in seen if isinstance(event, BrokerConnectFailed)]
        assert set(refusals) == {"broker_login_refused"}
        assert len(refusals) <= 2  # the urls are tried in turn, wherever that begins

        await asyncio.to_thread(secured.node.ctl, "change_password", "bridge-early", "new")
        await lost_and_back()
        assert await publisher.publish(mail(2)) == PublishReceipt("m-2")


async def test_authorities_may_stand_side_by_side_in_the_ca_file_while_the_nodes_certificate_is_renewed(
    secured: SecuredBroker, tmp_path: Path
) -> None:
    """The file is read for each connection: first the new one beside the old, then the new one alone."""
    file = tmp_path / "trusted.pem"
    other, own = TestAuthority(tmp_path, "other").file.read_bytes(), secured.authority.file.read_bytes()
    settings = replace(_by_password(secured), ca_file=file)

    file.write_bytes(other)
    with pytest.raises(BrokerAccessRefused):
        await _look(settings)
    for content in (other + own, own):
        file.write_bytes(content)
        assert await _look(settings) == []


async def test_tls_and_none_in_each_others_place_are_told_with_the_scheme_to_write(secured: SecuredBroker) -> None:
    """Whoever mistakes one port for the other sees nothing but a connection that ends."""
    request = OutboundRequest(request_id="r-1", to=(Address(address="crew@example.org"),))
    told = {}
    for scheme, port in (("amqp", secured.port), ("amqps", secured.node.amqp_port)):
        url = f"{scheme}://{secured.administrator}@127.0.0.1:{port}/"
        with pytest.raises(BrokerUnavailable) as worker:
            await _look(replace(quick(url), ca_file=secured.authority.file))
        with (
            BridgeClient(url, ca_file=secured.authority.file) as client,
            pytest.raises(BrokerUnavailable) as others,
        ):
            client.publish_request(request, mailbox="dispatch")
        assert worker.value.code == others.value.code
        told[scheme] = worker.value.code, hint_for(worker.value.code), others.value.detail

    code, hint, detail = told["amqp"]
    assert code == "broker_protocol_mismatch"
    assert "amqps://" in hint
    assert "amqps://" in detail
    code, hint, detail = told["amqps"]
    assert code == "tls_failed"
    assert "amqp://" in hint
    assert "amqp://" in detail
