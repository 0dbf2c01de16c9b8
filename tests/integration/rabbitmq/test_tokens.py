"""Tokens as the login: renewed on the open connection for every purpose, and what comes of one that is not."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from pika.exceptions import ChannelClosedByBroker

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.tls import tls_context
from bridge.client import Address, BridgeClient, OutboundRequest, SignIn
from bridge.errors import BridgeError, BrokerAccessRefused, TokenUnavailable
from bridge.ports.broker import PublishReceipt
from bridge.ports.elapsed import elapsed_seconds
from bridge.telemetry.broker_events import (
    BrokerConnected,
    BrokerConnectFailed,
    BrokerConnectionLost,
    BrokerTokenRefused,
    BrokerTokenRenewed,
)
from bridge.wire.broker_replies import RESOURCE_LOCKED
from bridge.wire.rights import ROLES, scopes
from bridge.wire.topology import EVENTS, OUTBOUND, OUTBOUND_RETURNED, outbound_queue, reader_lease
from tests.integration.rabbitmq.support import TOPOLOGY, mail, patient, quick
from tests.integration.rabbitmq.work import WORK, prepare
from tests.support.certificates import TestAuthority
from tests.support.rabbit import a_channel, publish_plain, take_all
from tests.support.secured_broker import SecuredBroker
from tests.support.token_issuer import RESOURCE, TokenIssuer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.adapters.rabbitmq.settings import RabbitSettings
    from bridge.ports.tokens import AccessToken
    from bridge.telemetry.events import Event


@dataclass
class Place:
    """A node that takes tokens of an issuer."""

    broker: SecuredBroker
    issuer: TokenIssuer
    vhost: str = "/"

    @property
    def admin_url(self) -> str:
        """The administrator's plain address."""
        return self.broker.node.vhost_url(self.vhost)

    def roles(self, user: str) -> list[str]:
        """What an app is given in Entra for the rights of a user."""
        [role] = [role for role in ROLES if role.user == user]
        return scopes(role, vhost=self.vhost, prefix="bridge.")

    def settings(self, source: Source) -> RabbitSettings:
        """Settings with which the source's tokens are the login."""
        return replace(
            quick(self.broker.url(self.vhost), confirm_timeout_seconds=5),
            connect_timeout_seconds=10,
            ca_file=self.broker.authority.file,
            tokens=source,
        )


@dataclass
class Source:
    """Gives a token of so many seconds, and a newer one once half of them are over; or what it is told to."""

    place: Place
    user: str = "bridge-run"
    seconds: float = 12.0
    failure: BridgeError | None = None
    strange: bool = False
    """Whether newer tokens are signed by somebody whom the broker does not know."""
    subject: str = "bridge-app"
    rejected: list[AccessToken] = field(default_factory=list)
    given: list[AccessToken] = field(default_factory=list)

    def token(self) -> AccessToken:
        now = elapsed_seconds()
        if self.given and self.given[-1].ends_at - now > self.seconds / 2:
            return self.given[-1]
        if self.failure is not None:
            if self.given and self.given[-1].ends_at > now:
                return self.given[-1]
            raise self.failure
        roles, strange = self.place.roles(self.user), self.strange
        token = self.place.issuer.token(roles, seconds=self.seconds, subject=self.subject, signed_by_a_stranger=strange)
        self.given.append(token)
        return token

    def reject(self, token: AccessToken) -> None:
        self.rejected.append(token)
        if self.given and self.given[-1] is token:
            self.given.clear()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """One node and one issuer for all of these tests."""
    directory = tmp_path_factory.mktemp("tokens")
    authority = TestAuthority(directory)
    with TokenIssuer(authority.issue("issuer")) as issuer:
        instead = {
            "auth_oauth2.issuer": "",
            "auth_oauth2.jwks_url": issuer.keys_url,
            "auth_oauth2.https.cacertfile": str(authority.file),
            "auth_oauth2.resource_server_id": RESOURCE,
        }
        with SecuredBroker.prepared(directory / "node", authority, "oauth", instead=instead) as broker:
            yield Place(broker, issuer)


@pytest.fixture
def at(place: Place) -> Place:
    """A virtual host with the topology for one test."""
    name = f"v{time.monotonic_ns()}"
    place.broker.node.create_vhosts([name])
    own = replace(place, vhost=name)
    asyncio.run(RabbitTopology(patient(own.admin_url)).apply(TOPOLOGY))
    return own


def _of(seen: list[Event], kind: type[Event]) -> list[Event]:
    return [event for event in seen if isinstance(event, kind)]


async def test_every_connection_outlives_its_first_token_and_nothing_fails_meanwhile(at: Place) -> None:
    """Publishing, consuming and both kinds of lease, over three lives of a token."""
    publish_plain(at.admin_url, OUTBOUND, "dispatch", [f"r-{number}" for number in range(3)])
    source = Source(at)
    seen: list[Event] = []
    settings = at.settings(source)
    ends = time.monotonic() + 3 * source.seconds
    published = 0
    async with AsyncExitStack() as stack:
        publisher = await stack.enter_async_context(RabbitPublisher(settings, seen.append))
        consumer = await stack.enter_async_context(RabbitConsumer(settings, seen.append))
        await publisher.wait_ready()
        lost = await stack.enter_async_context(publisher.lease(reader_lease("dispatch")))
        deliveries = await stack.enter_async_context(
            aclosing(consumer.deliveries(outbound_queue("dispatch"), prefetch=1, exclusive=True))
        )
        held = await anext(deliveries)
        while time.monotonic() < ends:
            published += 1
            assert await publisher.publish(mail(published)) == PublishReceipt(f"m-{published}")
            await asyncio.sleep(0.1)
        assert not lost.is_set()
        assert not held.lost
        held.ack()
        (await anext(deliveries)).ack()
        # What was never asked for before needs the right anew, and the broker looks at the token for it.
        returned = consumer.deliveries(OUTBOUND_RETURNED, prefetch=1, exclusive=False)
        waiting = asyncio.ensure_future(anext(returned))
        publish_plain(at.admin_url, OUTBOUND, "nobody", ["r-9"])
        (await waiting).ack()
        await returned.aclose()

    assert len(source.given) >= 4
    assert len(_of(seen, BrokerTokenRenewed)) >= 2 * 4
    assert len(_of(seen, BrokerConnected)) == 2
    assert _of(seen, BrokerConnectionLost) == _of(seen, BrokerTokenRefused) == []
    assert len(take_all(at.admin_url, "mail.inbound")) == published


async def test_a_refused_newer_token_is_told_and_the_old_one_goes_on_until_another_is_taken(at: Place) -> None:
    """The broker's view of the signing keys may lag behind; nothing notices but the log."""
    source = Source(at, seconds=16)
    seen: list[Event] = []
    async with RabbitPublisher(at.settings(source), seen.append) as publisher:
        await publisher.wait_ready()
        source.strange = True
        async with asyncio.timeout(15):
            while not _of(seen, BrokerTokenRefused):
                await publisher.publish(mail(1))
                await asyncio.sleep(0.1)
        source.strange = False
        source.given.clear()
        async with asyncio.timeout(15):
            while not _of(seen, BrokerTokenRenewed):
                await publisher.publish(mail(2))
                await asyncio.sleep(0.1)

    [told] = _of(seen, BrokerTokenRefused)
    assert isinstance(told, BrokerTokenRefused)
    assert told.code == "broker_login_refused"
    assert told.seconds > 0
    assert len(source.rejected) == 1
    assert len(_of(seen, BrokerConnected)) == 1


async def test_a_token_of_another_user_is_refused_on_the_open_connection_which_is_made_anew_at_once(at: Place) -> None:
    """RabbitMQ closes it over that; what was on its way is published again under its id."""
    source = Source(at, seconds=60)
    seen: list[Event] = []
    async with RabbitPublisher(at.settings(source), seen.append) as publisher:
        await publisher.wait_ready()
        source.subject, source.seconds = "another-app", 200
        started = time.monotonic()
        async with asyncio.timeout(30):
            while len(_of(seen, BrokerConnected)) < 2:
                await asyncio.sleep(0.05)
            await publisher.wait_ready()
        assert await publisher.publish(mail(1)) == PublishReceipt("m-1")

    [lost] = _of(seen, BrokerConnectionLost)
    assert isinstance(lost, BrokerConnectionLost)
    assert lost.code == "broker_login_refused"
    print(f"made anew {time.monotonic() - started:.1f} s after the user changed")


async def test_without_a_newer_token_the_connection_is_left_in_good_order_and_comes_back_with_entra(at: Place) -> None:
    """Every publish is either confirmed or refused before it is written; none ends unknown."""
    source = Source(at, seconds=8)
    seen: list[Event] = []
    confirmed, refused = 0, list[BridgeError]()
    async with RabbitPublisher(at.settings(source), seen.append) as publisher:
        await publisher.wait_ready()
        source.failure = TokenUnavailable("Entra is away")
        async with asyncio.timeout(20):
            while not _of(seen, BrokerConnectFailed):
                try:
                    await publisher.publish(mail(confirmed))
                    confirmed += 1
                except BridgeError as error:
                    refused.append(error)
                await asyncio.sleep(0.02)
        assert publisher.trouble == "token_unavailable"
        source.failure = None
        started = time.monotonic()
        async with asyncio.timeout(15):
            await publisher.wait_ready()
        back = time.monotonic() - started
        assert await publisher.publish(mail(confirmed)) == PublishReceipt(f"m-{confirmed}")

    assert confirmed
    assert {error.code for error in refused} <= {"token_unavailable", "broker_unavailable"}
    assert {type(error).__name__ for error in refused} <= {"TokenUnavailable", "BrokerUnavailable"}
    assert back < 3
    assert len(take_all(at.admin_url, "mail.inbound")) == confirmed + 1


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        ({"signed_by_a_stranger": True}, "broker_login_refused"),
        ({"audience": "api://another"}, "broker_login_refused"),
        ({"seconds": -5}, "broker_login_refused"),
        ({"roles": []}, "broker_vhost_refused"),
    ],
)
async def test_a_token_that_the_broker_does_not_take_is_told_by_code(
    at: Place, wrong: dict[str, object], code: str
) -> None:
    """And it is in no text."""
    token = at.issuer.token(**{"roles": at.roles("bridge-run"), **wrong})  # type: ignore[arg-type]
    source = Source(at)
    settings = replace(at.settings(source), tokens=_Fixed(token))

    with pytest.raises(BrokerAccessRefused) as caught:
        await RabbitTopology(settings).verify(amqp_exchanges=[], queues=[])

    assert caught.value.code == code
    assert token.value not in repr(settings) + str(caught.value) + repr(caught.value.__cause__)


async def test_rights_that_are_granted_later_count_without_waiting_for_the_old_tokens_end(at: Place) -> None:
    """A refused right has the source asked for another token, once."""
    source = Source(at, user="bridge-ingest", seconds=60)
    seen: list[Event] = []
    async with RabbitPublisher(at.settings(source), seen.append) as publisher:
        await publisher.wait_ready()
        with pytest.raises(BrokerAccessRefused):
            await publisher.publish(mail(1, amqp_exchange=EVENTS, routing_key="outbound.sent"))
        source.user = "bridge-run"
        async with asyncio.timeout(30):
            while not _of(seen, BrokerTokenRenewed):
                await asyncio.sleep(0.05)

        await publisher.wait_ready()
        assert await publisher.publish(mail(2, amqp_exchange=EVENTS, routing_key="outbound.sent"))
    assert len(source.rejected) == 1
    assert len(_of(seen, BrokerConnected)) == 1


@pytest.mark.parametrize("user", WORK)
async def test_the_scopes_of_a_user_are_enough_for_its_work(at: Place, user: str) -> None:
    """As `bridge topology export --scopes` prints them; without them nothing is allowed."""
    await prepare(at.admin_url)
    token = at.issuer.token(at.roles(user))

    await WORK[user](at.broker.node.vhost_url(at.vhost, username="token", password=token.value))


async def test_the_scopes_of_the_operator_are_enough_to_apply(place: Place) -> None:
    """On a virtual host with nothing in it."""
    name = f"v{time.monotonic_ns()}"
    await asyncio.to_thread(place.broker.node.create_vhosts, [name])
    token = place.issuer.token(replace(place, vhost=name).roles("bridge-operator"))
    url = place.broker.node.vhost_url(name, username="token", password=token.value)

    assert {one.state for one in await RabbitTopology(quick(url)).apply(TOPOLOGY)} == {"declared"}


def test_a_client_that_waits_outlives_its_first_token_on_one_connection(at: Place) -> None:
    """It puts the newer one on it while it waits for deliveries; what it then asks for first is still its right."""
    source = Source(at, user="bridge-cad", seconds=16)
    sign_in = SignIn(tls=lambda: tls_context(ca_file=at.broker.authority.file), tokens=source)
    request = OutboundRequest(request_id="r-1", to=(Address(address="crew@example.org"),))
    with BridgeClient(at.broker.url(at.vhost), sign_in=sign_in) as client:
        queue = client.subscribe_events("outbound.sent")

        assert list(client.events(queue, idle_seconds=2 * source.seconds)) == []

        # An exclusive queue goes with its connection, and is locked to all others while that lives.
        with pytest.raises(ChannelClosedByBroker) as caught, a_channel(at.admin_url) as channel:
            channel.queue_declare(queue, passive=True)
        assert caught.value.reply_code == RESOURCE_LOCKED
        client.publish_request(request, mailbox="dispatch")
    assert len(source.given) >= 3


@dataclass
class _Fixed:
    """Gives one token."""

    only: AccessToken

    def token(self) -> AccessToken:
        return self.only

    def reject(self, token: AccessToken) -> None:
        assert token is self.only
