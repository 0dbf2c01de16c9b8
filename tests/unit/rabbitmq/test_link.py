"""A connection is made again and again, and each time at the next node."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq import link as links
from bridge.adapters.rabbitmq.connection import Connection
from bridge.adapters.rabbitmq.link import Link
from bridge.adapters.rabbitmq.settings import RabbitSettings, node_of
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable
from bridge.telemetry.broker_events import BrokerConnectFailed

if TYPE_CHECKING:
    from bridge.telemetry.events import Event

_NODES = tuple(f"amqp://user:password@node-{n}/" for n in range(3))


async def _session(_: Connection) -> BridgeError:
    raise AssertionError("nothing was connected")


@pytest.mark.parametrize("error", [BrokerUnavailable("nobody answers"), BrokerAccessRefused("not this login")])
async def test_a_node_that_cannot_be_had_is_left_for_the_next_one_and_tried_again_later(
    error: BridgeError, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[str] = []
    enough = asyncio.Event()
    told: list[Event] = []

    async def connect(_settings: RabbitSettings, url: str, _purpose: str, **_: object) -> Connection:
        tried.append(node_of(url))
        if len(tried) == 2 * len(_NODES):
            enough.set()
        raise error

    monkeypatch.setattr(links, "connect", connect)
    settings = RabbitSettings(_NODES, first_wait_seconds=0.001, longest_wait_seconds=0.001)
    link = Link(settings, "publish", _session, told.append)

    link.start()
    await enough.wait()
    await link.stop()

    nodes = [node_of(url) for url in _NODES]
    assert tried[: 2 * len(nodes)] == nodes * 2
    assert [one.code for one in told[:1] if isinstance(one, BrokerConnectFailed)] == [error.code]
