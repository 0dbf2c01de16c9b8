"""Queues are looked at without any mail, and health says what is wrong with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from bridge.domain.queue_states import Looked
from bridge.errors import BridgeError, BrokerUnavailable
from bridge.telemetry.broker_events import QueueCounted
from bridge.telemetry.events import Event
from bridge.telemetry.health import Health
from bridge.wire.topology import ingest_watched
from bridge.worker.queue_watch import PART, QueueWatch
from tests.support.clock import InstantClock

if TYPE_CHECKING:
    from collections.abc import Sequence


class Looks:
    """A broker whose queues are as a test says."""

    def __init__(self) -> None:
        self.missing: set[str] = set()
        self.classic: list[str] = []
        self.error: BridgeError | None = None
        self.type_looks = 0

    async def look(self, amqp_exchanges: Sequence[str], queues: Sequence[str]) -> Sequence[Looked]:
        if self.error is not None:
            raise self.error
        there = [Looked(name, kind="amqp_exchange") for name in amqp_exchanges]
        return [*there, *(Looked(name, name in self.missing) for name in queues)]

    async def not_quorum(self, queues: Sequence[str]) -> Sequence[str]:
        self.type_looks += 1
        return [name for name in queues if name in self.classic]


class Bench:
    def __init__(self) -> None:
        self.looks, self.clock, self.events = Looks(), InstantClock(), list[Event]()
        self.health = Health(monotonic=self.clock.monotonic)
        watched = ingest_watched(default_queue=True)
        self.watch = QueueWatch(watched, self.looks, self.clock, self.health, self.events.append)

    async def told(self) -> tuple[str, str]:
        await self.watch.look()
        state = self.health.state(PART)
        assert state is not None
        return state.status, state.code


@pytest.mark.parametrize(
    ("name", "expected"),
    [("mail.inbound", ("trouble", "topology_missing")), ("mail.events", ("warning", "topology_missing"))],
)
async def test_a_queue_that_is_deleted_is_told_and_that_it_is_there_again(name: str, expected: tuple[str, str]) -> None:
    bench = Bench()
    bench.looks.missing = {name}

    assert await bench.told() == expected
    bench.looks.missing.clear()
    assert await bench.told() == ("ok", "ok")
    assert QueueCounted("mail.inbound", 0, 0) in bench.events


async def test_the_type_of_a_queue_is_asked_for_at_first_and_when_it_was_made_anew() -> None:
    """And not each time: RabbitMQ logs each question as an error."""
    bench = Bench()
    assert await bench.told() == ("ok", "ok")
    for _ in range(10):
        await bench.told()
    assert bench.looks.type_looks == 1

    bench.looks.missing = {"mail.inbound"}
    await bench.told()
    bench.looks.missing, bench.looks.classic = set(), ["mail.inbound"]

    assert await bench.told() == ("warning", "queue_type_wrong")
    assert await bench.told() == ("warning", "queue_type_wrong")
    assert bench.looks.type_looks == 2


async def test_types_are_asked_for_again_on_another_connection() -> None:
    bench = Bench()
    await bench.told()
    bench.looks.error = BrokerUnavailable()
    await bench.told()
    bench.looks.error, bench.looks.classic = None, ["mail.events"]

    assert await bench.told() == ("warning", "queue_type_wrong")


async def test_a_broker_that_does_not_answer_is_no_news_of_queues() -> None:
    """Its connection tells; what was said before stands."""
    bench = Bench()
    bench.looks.missing = {"mail.inbound"}
    before = await bench.told()
    bench.looks.error = BrokerUnavailable()

    assert await bench.told() == before
