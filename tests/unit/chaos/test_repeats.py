"""A mail that was repeated although nothing happened to it is noticed, however many others may have been."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.chaos.account import Account
from tests.chaos.repeats import SHARED, Arrival, Fault, Publish, read_publishes, unexplained

if TYPE_CHECKING:
    from pathlib import Path

_TWICE = [Publish("ingest-0", 100.0, 100.1), Publish("ingest-1", 110.0, 110.2)]
_COPIES = [Arrival("m-1", 99.0)] * 2


@pytest.mark.parametrize(
    ("fault", "explains"),
    [
        (Fault("kill ingest", "ingest-0", 105, 106), True),
        (Fault("freeze ingest", "ingest-0", 90, 101), True),
        (Fault("freeze ingest", "ingest-0", 90, 96), True),
        (Fault("cut amqp of ingest", "ingest-0", 99.5, 99.5), True),
        (Fault("black-hole amqp of ingest", "ingest-0", 109.9, 112), True),
        (Fault("kill broker", SHARED, 105, 106), True),
        (Fault("alarm", SHARED, 105, 106), True),
        (Fault("kill ingest", "ingest-0", 80, 90), False),
        (Fault("kill ingest", "ingest-0", 97, 98), False),
        (Fault("cut amqp of ingest", "ingest-0", 98, 98), False),
        (Fault("freeze ingest", "ingest-0", 90, 94), False),
        (Fault("kill ingest", "ingest-0", 110.1, 112), False),
        (Fault("kill ingest", "ingest-1", 105, 106), False),
        (Fault("kill egress", "egress-0", 105, 106), False),
        (Fault("stop ingest", "ingest-0", 105, 106), False),
        (Fault("cut ews of ingest", "ingest-0", 105, 106), False),
        (Fault("kill sandbox", SHARED, 105, 106), False),
        (Fault("fault stall_after", SHARED, 105, 106), False),
    ],
    ids=lambda one: str(one) if isinstance(one, bool) else f"{one.what} {one.where} {one.begun}",
)
def test_a_repeat_needs_a_fault_of_its_reader_or_the_broker_before_the_next_publish(
    fault: Fault, *, explains: bool
) -> None:
    problems = unexplained(_COPIES, {"m-1": _TWICE}, [fault])

    assert bool(problems) is not explains


def test_each_copy_of_a_mail_needs_a_fault_of_its_own() -> None:
    three = [*_TWICE, Publish("ingest-0", 120.0, 120.1)]
    first = Fault("kill ingest", "ingest-0", 105, 106)
    second = Fault("kill ingest", "ingest-1", 115, 116)

    assert not unexplained([*_COPIES, *_COPIES[:1]], {"m-1": three}, [first, second])
    assert unexplained([*_COPIES, *_COPIES[:1]], {"m-1": three}, [first])
    assert unexplained([*_COPIES, *_COPIES[:1]], {"m-1": three}, [second])


def test_many_faults_excuse_no_repeat_of_a_mail_that_none_of_them_hit() -> None:
    """Where repeats are only counted, these two would pass for what twenty kills may repeat."""
    account = Account(arrivals=[*_COPIES, *[Arrival("m-2", 199.0)] * 2, Arrival("m-3", 99.0)])
    publishes = {"m-1": _TWICE, "m-2": [Publish("ingest-0", 200, 200.1), Publish("ingest-0", 201, 201.1)]}

    account.judge_repeats(publishes, [Fault("kill ingest", "ingest-0", 101.0, 102.0)] * 20)

    [problem] = account.problems
    assert problem.startswith("m-2: arrived 2 times")


@pytest.mark.parametrize(
    ("fault", "explained"),
    [
        (Fault("kill ingest", "ingest-0", 104.9, 106), True),
        (Fault("kill ingest", "ingest-1", 105.3, 106), True),
        (Fault("kill broker", SHARED, 101, 104), True),
        (Fault("freeze ingest", "ingest-0", 95, 100), True),
        (Fault("kill ingest", "ingest-0", 100, 102), False),
        (Fault("kill ingest", "ingest-0", 112, 113), False),
        (Fault("freeze ingest", "ingest-0", 90, 94), False),
    ],
    ids=lambda one: str(one) if isinstance(one, bool) else f"{one.what} {one.begun}",
)
def test_a_publish_that_nobody_told_of_needs_a_fault_while_it_was_under_way(fault: Fault, *, explained: bool) -> None:
    """Its worker was killed, or its confirm lost. What lies before and behind it in the queue shows when that was."""
    queue = [Arrival("m-0", 80.0), Arrival("m-1", 90.0), Arrival("m-2", 90.0), Arrival("m-1", 90.0)]
    publishes = {
        "m-0": [Publish("ingest-1", 104.0, 104.2)],
        "m-1": [Publish("ingest-1", 130.0, 130.2)],
        "m-2": [Publish("ingest-1", 105.0, 105.2)],
    }

    assert bool(unexplained(queue, publishes, [fault])) is not explained


@pytest.mark.parametrize(("killed_at", "explained"), [(87.5, False), (90.5, True), (200.0, True)])
def test_no_mail_was_published_before_exchange_had_it(killed_at: float, *, explained: bool) -> None:
    faults = [Fault("kill ingest", "ingest-0", killed_at, killed_at + 1)]

    assert bool(unexplained([Arrival("m-1", 90.0)] * 2, {}, faults)) is not explained


@pytest.mark.parametrize("station", ["ingest-0", "ingest-1"])
def test_it_may_be_either_of_two_copies_that_somebody_told_of(station: str) -> None:
    """They stand side by side in the queue, so nothing tells them apart."""
    told = [Publish("ingest-0", 100.0, 100.2)]
    faults = [Fault("kill ingest", station, 100.1, 100.1)]

    assert not unexplained([Arrival("m-1", 99.0)] * 2, {"m-1": told}, faults)


def test_publishes_are_read_from_all_lives_of_a_worker_whatever_a_kill_left_of_a_line(tmp_path: Path) -> None:
    logs = {name: tmp_path / f"{name}.log" for name in ("ingest-0", "ingest-1")}
    at = datetime(2026, 11, 24, 3, tzinfo=UTC)
    line = json.dumps(
        {"event": "ingest.mail_published", "message_id": "m-1", "publish_seconds": 0.5, "at": at.isoformat()}
    )
    logs["ingest-0"].write_text(f'{{"event": "worker.started"}}\n{line}\n{line[:40]}\n')
    logs["ingest-1"].write_text(f"{line}\n{line[:-1]}")

    publishes = read_publishes(logs)

    moment = at.timestamp()
    assert publishes == {"m-1": [Publish(name, moment - 0.5, moment) for name in logs]}
