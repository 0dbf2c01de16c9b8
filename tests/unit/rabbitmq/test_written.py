"""How a message is written: persistent, and back to us where no queue wants it; else a confirm proves nothing."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pika
import pytest

from bridge.adapters.rabbitmq.publisher import RabbitPublisher
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.errors import MessageTooLarge
from bridge.ports.broker import Message


class Channel:
    """Takes down what is written."""

    is_open = True

    def __init__(self) -> None:
        self.written: list[tuple[pika.BasicProperties, bool]] = []
        self.amqp = SimpleNamespace(basic_publish=self._write)

    def _write(
        self, _exchange: str, _key: str, _body: bytes, properties: pika.BasicProperties, *, mandatory: bool = False
    ) -> None:
        self.written.append((properties, mandatory))


def a_publisher() -> tuple[RabbitPublisher, Channel]:
    """Return a publisher that takes this channel for one on a broker."""
    publisher, channel = RabbitPublisher(RabbitSettings(("amqp://user:password@127.0.0.1:1",))), Channel()
    holder: Any = publisher
    holder._channel, holder._link.down = channel, None
    return publisher, channel


@pytest.mark.parametrize(
    ("amqp_exchange", "routing_key"),
    [
        ("mail.inbound", "dispatch.mail"),
        ("mail.inbound", "dispatch.bounce"),
        ("mail.outbound", "dispatch"),
        ("mail.outbound", "dispatch.urgent"),
        ("mail.events", "outbound.sent.dispatch"),
        ("mail.dead", "mail.dead"),
        ("", "mail.outbound.dispatch.urgent"),
        ("", "mail.outbound.retry.30s"),
    ],
)
async def test_every_message_is_persistent_and_comes_back_where_no_queue_wants_it(
    amqp_exchange: str, routing_key: str
) -> None:
    publisher, channel = a_publisher()

    answer = publisher.publish(Message(amqp_exchange, routing_key, b"{}", "m1", "mail.inbound.v1"))

    assert not answer.done()
    [(properties, mandatory)] = channel.written
    assert properties.delivery_mode == pika.DeliveryMode.Persistent.value
    assert mandatory is True
    await publisher.close(drain_seconds=0)
    assert answer.exception() is not None


@pytest.mark.parametrize("letter", ["x", "\u00e9", "\u20ac", "\U0001f600"])
async def test_headers_are_measured_in_bytes_whatever_they_are_written_in(letter: str) -> None:
    """RabbitMQ closes the connection over properties that do not fit into a frame, and nobody is confirmed then."""
    publisher, channel = a_publisher()
    letters = 100 * 1024 // len(letter.encode())

    def with_header(number: int) -> Message:
        return Message("mail.inbound", "dispatch.mail", b"{}", "m1", "t", headers={"h": letter * number})

    too_large = publisher.publish(with_header(letters + 1))
    assert isinstance(too_large.exception(), MessageTooLarge)
    assert channel.written == []

    fits = publisher.publish(with_header(letters - 100))
    assert not fits.done()
    assert len(channel.written) == 1
    await publisher.close(drain_seconds=0)
    assert fits.exception() is not None
