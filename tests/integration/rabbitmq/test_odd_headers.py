"""A message whose headers pika cannot read holds nothing up."""

from __future__ import annotations

import asyncio
import struct
from contextlib import aclosing

import pika
import pika.data
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.adapters.rabbitmq.consumer import RabbitConsumer
from bridge.wire.topology import OUTBOUND, outbound_queue
from tests.integration.rabbitmq.support import TOPOLOGY, quick
from tests.support.rabbit import a_channel

_RAW = "as it is"


def _nested(depth: int) -> bytes:
    value = b"V"
    for _ in range(depth):
        table = b"\x01x" + value
        value = b"F" + struct.pack(">I", len(table)) + table
    return value


@pytest.mark.parametrize(
    ("value", "other"),
    [
        (b"T" + struct.pack(">Q", 1_790_000_000_000), b"kept"),
        (b"T" + struct.pack(">Q", 2**64 - 1), b"kept"),
        (_nested(3000), None),
    ],
    ids=["milliseconds", "largest", "nested"],
)
async def test_message_with_odd_headers_arrives_and_so_does_the_next(
    broker_url: str, monkeypatch: pytest.MonkeyPatch, value: bytes, other: bytes | None
) -> None:
    await RabbitTopology(quick(broker_url)).apply(TOPOLOGY)
    plain = pika.data.encode_value

    def encode_value(pieces: list[bytes], one: object) -> int:
        if one != _RAW:
            return int(plain(pieces, one))
        pieces.append(value)
        return len(value)

    with monkeypatch.context() as patched, a_channel(broker_url) as channel:
        patched.setattr(pika.data, "encode_value", encode_value)
        headers = {"a": b"kept", "x": _RAW}
        for message_id, some in (("r-1", headers), ("r-2", {})):
            properties = pika.BasicProperties(message_id=message_id, headers=some)
            channel.basic_publish(OUTBOUND, "dispatch", b"{}", properties)

    async with RabbitConsumer(quick(broker_url)) as consumer, asyncio.timeout(10):
        deliveries = consumer.deliveries(outbound_queue("dispatch"), prefetch=2, exclusive=True)
        async with aclosing(deliveries):
            first, second = await anext(deliveries), await anext(deliveries)
            first.ack()
            second.ack()

    assert (first.message_id, second.message_id) == ("r-1", "r-2")
    if other is not None:
        assert first.headers["a"] == other
