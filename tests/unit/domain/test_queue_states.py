"""What queues show that no worker consumes, and when it is worth a person's look."""

from __future__ import annotations

import pytest

from bridge.domain.queue_states import Looked, QueueStates, Watched

_WATCHED = Watched(
    amqp_exchanges=("x",), needed=("in",), expected=("in.dead", "events"), dead=("in.dead",), unread=("in",)
)
_WELL = (
    Looked("x", kind="amqp_exchange"),
    Looked("in", messages=5, consumers=1),
    Looked("in.dead"),
    Looked("events", messages=9),
)


def _with(*others: Looked) -> list[Looked]:
    changed = {one.name: one for one in others}
    return [changed.get(one.name, one) for one in _WELL]


def _codes(states: QueueStates, now: float) -> list[tuple[str, bool]]:
    return [(one.code, one.stops_mail) for one in states.concerns(now)]


@pytest.mark.parametrize(
    ("others", "expected"),
    [
        ([], []),
        ([Looked("x", missing=True, kind="amqp_exchange")], [("topology_missing", True)]),
        ([Looked("in", missing=True), Looked("events", missing=True)], [("topology_missing", True)]),
        ([Looked("events", missing=True)], [("topology_missing", False)]),
        ([Looked("in.dead", messages=1)], [("dead_letters_wait", False)]),
    ],
)
def test_what_is_missing_or_dead_is_told_at_once(others: list[Looked], expected: list[tuple[str, bool]]) -> None:
    """Only what mail cannot do without makes a worker unready."""
    states = QueueStates(_WATCHED)
    states.update(_with(*others), 0.0)

    assert _codes(states, 0.0) == expected


def test_all_that_is_missing_is_named() -> None:
    states = QueueStates(_WATCHED)
    looks = _with(Looked("in", missing=True), Looked("events", missing=True))
    states.update([Looked("in", missing=True, kind="amqp_exchange"), *looks], 0.0)

    assert [one.detail for one in states.concerns(0.0)] == ["missing: amqp_exchange in, queue in, queue events"]


def test_a_queue_that_nobody_reads_is_told_after_half_a_minute_and_no_longer_than_that() -> None:
    states = QueueStates(_WATCHED)
    told = []
    for now in (0.0, 15.0, 29.0, 30.0, 45.0):
        states.update(_with(Looked("in", messages=5 + int(now))), now)
        told.append(_codes(states, now))
    states.update(_with(Looked("in", messages=60, consumers=1)), 46.0)

    assert told == [[], [], [], [("inbound_unread", False)], [("inbound_unread", False)]]
    assert _codes(states, 46.0) == []


def test_who_takes_mails_one_by_one_without_consuming_reads_a_queue_as_well() -> None:
    """With basic.get: the number falls, and no consumer shows."""
    states = QueueStates(_WATCHED)
    for now, waiting in ((0.0, 5), (20.0, 4), (40.0, 4), (49.0, 7)):
        states.update(_with(Looked("in", messages=waiting)), now)
        assert _codes(states, now) == []


def test_a_consumer_that_starts_anew_is_not_missed() -> None:
    states = QueueStates(_WATCHED)
    for now in range(0, 300, 20):
        states.update(_with(Looked("in", messages=5, consumers=now // 20 % 2)), float(now))
        assert _codes(states, float(now)) == []


def test_what_may_not_be_looked_at_is_taken_for_well() -> None:
    states = QueueStates(_WATCHED)
    states.update([], 0.0)

    assert _codes(states, 1_000.0) == []


def test_two_roles_look_at_each_name_once() -> None:
    both = _WATCHED + Watched(amqp_exchanges=("x", "y"), needed=("out",), expected=("events",), quorum=("a",))

    assert both == Watched(
        amqp_exchanges=("x", "y"),
        needed=("in", "out"),
        expected=("in.dead", "events"),
        dead=("in.dead",),
        unread=("in",),
        quorum=("a",),
    )
