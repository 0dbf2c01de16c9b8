"""Looking at a broker from outside, with a plain blocking client."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import pika

from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.ports.broker import Message

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pika.adapters.blocking_connection import BlockingChannel


def patiently(url: str) -> RabbitSettings:
    """How the ground for a test is laid: on a machine that is busy with others, a node may take long to answer."""
    return RabbitSettings((url,), connect_timeout_seconds=60, answer_timeout_seconds=60)


@contextlib.contextmanager
def a_channel(url: str) -> Iterator[BlockingChannel]:
    """A channel with confirms, closed afterwards."""
    connection = pika.BlockingConnection(pika.URLParameters(url))
    try:
        channel = connection.channel()
        channel.confirm_delivery()
        yield channel
    finally:
        if connection.is_open:
            connection.close()


def take_all(url: str, queue: str, *, expected: int | None = None, timeout_seconds: float = 10) -> list[Message]:
    """Take and acknowledge what is in a queue; waits until there are `expected`, where given."""
    taken: list[Message] = []
    with a_channel(url) as channel:
        if expected is None:
            expected = channel.queue_declare(queue, passive=True).method.message_count
        channel.basic_qos(prefetch_count=200)
        for method, properties, body in channel.consume(queue, inactivity_timeout=timeout_seconds):
            if method is None or properties is None or body is None:
                break
            taken.append(
                Message(
                    method.exchange,
                    method.routing_key,
                    body,
                    properties.message_id or "",
                    properties.type or "",
                    properties.content_type or "",
                    properties.correlation_id,
                    properties.headers or {},
                )
            )
            channel.basic_ack(method.delivery_tag)
            if len(taken) == expected:
                break
        else:
            raise AssertionError("the queue ended")
    assert len(taken) == expected, f"{queue} holds {len(taken)} messages, not {expected}"
    return taken


def count(url: str, queue: str) -> int:
    """Return how many messages are ready in a queue."""
    with a_channel(url) as channel:
        return int(channel.queue_declare(queue, passive=True).method.message_count)


def publish_plain(url: str, amqp_exchange: str, routing_key: str, message_ids: list[str]) -> None:
    """Publish one small persistent message for each id; each must be routed."""
    with a_channel(url) as channel:
        for message_id in message_ids:
            channel.basic_publish(
                amqp_exchange,
                routing_key,
                b"{}",
                pika.BasicProperties(
                    content_type="application/json",
                    delivery_mode=2,
                    correlation_id="c-1",
                    message_id=message_id,
                    timestamp=1_700_000_000,
                    type="mail.outbound.v1",
                ),
                mandatory=True,
            )


def bind_a_full_queue(url: str, queue: str, amqp_exchange: str, routing_key: str) -> None:
    """Bind a queue that is at its limit: RabbitMQ refuses whatever is published under this key from now on."""
    arguments = {"x-queue-type": "quorum", "x-overflow": "reject-publish", "x-max-length": 1}
    with a_channel(url) as channel:
        channel.queue_declare(queue, durable=True, arguments=arguments)
        with contextlib.suppress(pika.exceptions.NackError):
            for _ in range(100):  # the limit is approximate
                channel.basic_publish("", queue, b"it was there before")
        channel.queue_bind(queue, amqp_exchange, routing_key)
