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


@pytest.mark.parametrize(
    ("fault", "explains"),
    [
        (Fault("kill ingest", "ingest-0", 105, 106), True),
        (Fault("freeze ingest", "ingest-0", 90, 101), True),
        (Fault("cut amqp of ingest", "ingest-0", 97, 97), True),
        (Fault("black-hole amqp of ingest", "ingest-0", 110.1, 112), True),
        (Fault("kill broker", SHARED, 105, 106), True),
        (Fault("alarm", SHARED, 105, 106), True),
        (Fault("kill ingest", "ingest-0", 80, 90), False),
        (Fault("kill ingest", "ingest-0", 111, 112), False),
        (Fault("kill ingest", "ingest-1", 105, 106), False),
        (Fault("kill egress", "egress-0", 105, 106), False),
        (Fault("stop ingest", "ingest-0", 105, 106), False),
        (Fault("cut ews of ingest", "ingest-0", 105, 106), False),
        (Fault("kill sandbox", SHARED, 105, 106), False),
        (Fault("fault stall_after", SHARED, 105, 106), False),
    ],
    ids=lambda one: str(one) if isinstance(one, bool) else f"{one.what} {one.where} {one.begun}",
)
def test_a_repeat_needs_a_fault_of_its_reader_or_the_broker_while_the_mail_was_in_flight(
    fault: Fault, *, explains: bool
) -> None:
    problems = unexplained([Arrival("m-1", 2, 99.0)], {"m-1": _TWICE}, [fault])

    assert bool(problems) is not explains


def test_many_faults_excuse_no_repeat_of_a_mail_that_none_of_them_hit() -> None:
    """Where repeats are only counted, these two would pass for what twenty kills may repeat."""
    account = Account(arrivals=[Arrival("m-1", 2, 99.0), Arrival("m-2", 2, 199.0), Arrival("m-3", 1, 99.0)])
    publishes = {"m-1": _TWICE, "m-2": [Publish("ingest-0", 200, 200.1), Publish("ingest-0", 201, 201.1)]}

    account.judge_repeats(publishes, [Fault("kill ingest", "ingest-0", 101.0, 102.0)] * 20)

    [problem] = account.problems
    assert problem.startswith("m-2: arrived 2 times")


@pytest.mark.parametrize(
    ("told", "begun", "explained"),
    [
        (_TWICE[1:], 99.5, True),
        (_TWICE[:1], 120.0, True),
        ([], 120.0, True),
        (_TWICE[1:], 90.0, False),
    ],
)
def test_where_a_publish_was_not_told_the_mail_was_in_flight_from_its_arrival_on(
    told: list[Publish], begun: float, *, explained: bool
) -> None:
    """Its worker was killed, or the confirm lost. Before Exchange had the mail there was nothing to repeat."""
    faults = [Fault("kill ingest", "ingest-0", begun, begun + 1)]

    assert bool(unexplained([Arrival("m-1", 2, 99.0)], {"m-1": told}, faults)) is not explained


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
