"""What a consumer imports: requests go in once, mails and events come out typed."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.client import (
    Address,
    Attachment,
    BridgeClient,
    BrokerAccessRefused,
    BrokerUnavailable,
    OutboundRequest,
    PublishUnconfirmed,
    TopologyMissing,
)
from bridge.wire import event_v1, outbound_v1
from bridge.wire.examples import texts
from bridge.wire.topology import EVENTS, INBOUND, INBOUND_DEAD, OUTBOUND_RETURNED, outbound_urgent_queue
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.proxy import TcpProxy
from tests.support.rabbit import a_channel, count, take_all
from tests.support.waits import joined

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode

_REQUEST = OutboundRequest(
    request_id="r-1",
    to=(Address(address="crew@example.org"),),
    subject="Änderung",
    text="hello",
    attachments=(Attachment(name="map.bin", content=b"\x00\xff"),),
    expires_at=datetime(2099, 1, 1, tzinfo=UTC),
)


@pytest.fixture
async def url(broker_url: str) -> str:
    """A virtual host with the topology."""
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    return broker_url


def _inbound(url: str, *bodies: bytes) -> None:
    with a_channel(url) as channel:
        for body in bodies:
            channel.basic_publish(INBOUND, "dispatch.mail", body, mandatory=True)


def _mail() -> bytes:
    return next(text.encode() for name, text in texts().items() if name.startswith("mail.inbound.v1"))


def test_a_request_arrives_as_the_bridge_reads_it(url: str) -> None:
    """Persistent, with its identity, in the urgent queue."""
    with BridgeClient(url) as client:
        client.publish_request(_REQUEST, mailbox="dispatch", urgent=True)

    (message,) = take_all(url, outbound_urgent_queue("dispatch"))
    read = outbound_v1.parse(
        message.body,
        message_id=message.message_id,
        content_type=message.content_type,
        limits=outbound_v1.OutboundLimits(),
    )
    assert read == _REQUEST
    assert message.type == outbound_v1.NAME


def test_an_unknown_mailbox_is_left_to_the_bridge(url: str) -> None:
    """It answers with a `failed` event; the client only needs the broker."""
    with BridgeClient(url) as client:
        client.publish_request(_REQUEST, mailbox="nobody")
        with pytest.raises(ValueError, match="alias"):
            client.publish_request(_REQUEST, mailbox="No Body")

    assert count(url, OUTBOUND_RETURNED) == 1


def test_mails_are_read_acked_and_refused(url: str) -> None:
    """What is no mail goes to the dead queue and holds nothing up."""
    _inbound(url, _mail(), b"no json", _mail())
    with BridgeClient(url) as client:
        seen = []
        for received in client.mails(idle_seconds=1):
            seen.append(received)
            if len(seen) == 1:
                received.ack()
            else:
                received.reject()

    assert [one.payload.mailbox for one in seen] == [seen[0].payload.mailbox] * 2
    assert count(url, INBOUND) == 0
    assert count(url, INBOUND_DEAD) == 2


def test_unsettled_mails_come_again(url: str) -> None:
    """A consumer that dies in the middle loses nothing."""
    _inbound(url, _mail())
    with BridgeClient(url) as client:
        first = next(client.mails(idle_seconds=2))
    with BridgeClient(url) as client:
        again = next(client.mails(idle_seconds=5))
        again.ack()

    assert (first.redelivered, again.redelivered) == (False, True)


def test_a_queue_of_ones_own_gets_the_events_asked_for(url: str) -> None:
    """Bound before the request goes out, so that the outcome cannot be missed."""
    event = event_v1.build(
        "outbound.sent",
        mailbox="dispatch",
        at=datetime.now(UTC),
        request_id="r-1",
        attempts=1,
        internet_message_id="<a@example.org>",
    )
    with BridgeClient(url) as client:
        queue = client.subscribe_events("outbound.*")
        with a_channel(url) as channel:
            channel.basic_publish(EVENTS, "inbound.parked", event_v1.to_json(event), mandatory=True)
            channel.basic_publish(EVENTS, "outbound.sent", event_v1.to_json(event), mandatory=True)
        got = list(client.events(queue, idle_seconds=1))

    assert [one.payload.request_id for one in got] == ["r-1"]


def test_errors_say_what_to_do(broker: BrokerNode, broker_url: str, vhost: str) -> None:
    """No exception of the vendor's comes out."""
    with BridgeClient(broker_url) as client:
        with pytest.raises(TopologyMissing):
            client.publish_request(_REQUEST, mailbox="dispatch")
        with pytest.raises(TopologyMissing):
            next(client.mails())
    with (
        BridgeClient(broker.vhost_url(vhost, username="nobody", password="x")) as client,
        pytest.raises(BrokerAccessRefused),
    ):
        client.publish_request(_REQUEST, mailbox="dispatch")
    with BridgeClient("amqp://localhost:1/") as client, pytest.raises(BrokerUnavailable):
        client.publish_request(_REQUEST, mailbox="dispatch")


def test_the_next_node_of_a_cluster_is_taken(url: str) -> None:
    """One that is away costs nothing but the attempt."""
    with BridgeClient("amqp://localhost:1/", url) as client:
        client.publish_request(_REQUEST, mailbox="dispatch")

    assert count(url, "mail.outbound.dispatch") == 1


def test_a_queue_deleted_under_the_consumer_is_missing(url: str) -> None:
    """pika's own iteration would just end."""
    _inbound(url, _mail())
    with BridgeClient(url) as client:
        mails = client.mails()
        next(mails).ack()
        with a_channel(url) as channel:
            channel.queue_delete(INBOUND)

        with pytest.raises(TopologyMissing):
            next(mails)


def test_no_confirm_is_an_unknown_outcome_in_time(broker: BrokerNode, url: str) -> None:
    """pika alone would wait for ever; the same client works again afterwards."""
    with TcpProxy(broker.amqp_port) as proxy:
        through = url.replace(f":{broker.amqp_port}/", f":{proxy.port}/")
        with BridgeClient(through, timeout_seconds=1) as client:
            client.publish_request(_REQUEST, mailbox="dispatch")
            proxy.blackhole()

            with pytest.raises(PublishUnconfirmed):
                client.publish_request(_REQUEST, mailbox="dispatch")

            proxy.cut()
            proxy.carry()
            client.publish_request(_REQUEST, mailbox="dispatch")


def test_a_consumer_outlives_a_cut_connection(broker: BrokerNode, url: str) -> None:
    """The loop of a consumer needs no handling of its own."""
    _inbound(url, _mail())
    with TcpProxy(broker.amqp_port) as proxy:
        through = url.replace(f":{broker.amqp_port}/", f":{proxy.port}/")
        with BridgeClient(through) as client:
            mails = client.mails()
            held = next(mails)
            cut = threading.Timer(0.2, proxy.cut)
            cut.start()

            again = next(mails)
            held.ack()
            again.ack()
            joined(cut)

    assert again.redelivered
    assert count(url, INBOUND) == 0
