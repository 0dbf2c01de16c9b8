"""The send protocol, searched. `python -m tests.model.send_model --drafts 3` is the long form."""

from __future__ import annotations

import pytest

from bridge.domain.send_protocol import Outcome
from tests.model.send_model import (
    DESIGNED,
    DESTROYED,
    IDLE,
    LIMBO,
    LIMITED,
    OUTBOX,
    SENT,
    SUBMITTED,
    VARIANTS,
    Bounds,
    Local,
    Rules,
    Search,
    Shared,
)

# A lone worker needs this many steps at most, whatever it finds.
_ENOUGH = 60


@pytest.mark.timeout(3_600)  # a minute of CPU, and CI gives it what others leave
@pytest.mark.parametrize("name", VARIANTS)
def test_protocol_is_safe_as_designed_and_breaks_with_each_rule_left_out(name: str) -> None:
    """Two drafts suffice for every fault. States as designed: 6,037,587."""
    rules, fault = VARIANTS[name]

    # Losses of every kind at once take long; `python -m tests.model.send_model --variants` searches them.
    bounds = Bounds(drafts=2, lost=0, late=0) if name == DESTROYED else Bounds(drafts=2, lost=1, late=1)
    if name == LIMITED:  # as designed, but for one answer that is lost
        bounds = Bounds(drafts=2, lost=1, late=0)
    if rules.draft_stays:  # a flood is one lost answer after the other
        bounds = Bounds(drafts=2, lost=3, late=0)
    verdict = Search(rules, bounds).run()

    assert verdict.fault == fault
    if name == DESIGNED:
        assert verdict.states == 6_037_587  # a change of the protocol changes it: look why, and whether it is meant


def test_way_to_a_fault_is_told() -> None:
    rules, fault = VARIANTS["no look before the first send"]

    verdict = Search(rules, Bounds()).run(trace=True)

    assert verdict.fault == fault
    assert verdict.path[0][1:] == (IDLE, IDLE)
    assert verdict.path[-1][0].submitted == 2


def test_lone_worker_comes_to_a_report_from_every_mailbox_that_can_be_reached() -> None:
    """Nothing is retried for ever: left alone, with patience at an end, a worker reports, and truly."""
    reached = Search(Rules(), Bounds(drafts=2, lost=1, late=0))
    reached.run()
    roomy = Search(Rules(mishaps=False), Bounds(drafts=5, lost=0, late=0))

    mailboxes = reached.reachable_mailboxes()
    assert len(mailboxes) > 100
    for mailbox in mailboxes:
        for arrived in (False, True):
            shared = _settled(mailbox, arrived=arrived)._replace(said=frozenset(), lost_left=0)
            told = _finish(roomy, shared)
            expected = {Outcome.SENT, Outcome.UNKNOWN} if shared.submitted or told.submitted else {Outcome.ENDED}
            assert told.said <= expected
            assert len(told.said) == 1
            assert told.submitted <= 1


def _settled(shared: Shared, *, arrived: bool) -> Shared:
    """The mail is in Sent Items, or it has gone from there."""
    where = SENT if arrived else LIMBO
    items = tuple(where if at in (SUBMITTED, OUTBOX, LIMBO, SENT) else at for at in shared.items)
    return shared._replace(items=items)


def _finish(search: Search, shared: Shared) -> Shared:
    local: Local = IDLE
    for _ in range(_ENOUGH):
        # The last possibility: calls are made and not skipped, and the stated time is over.
        shared, local = list(search.worker(shared, local))[-1]
        if local.told:
            return shared
    raise AssertionError(f"no report from {shared} {local}")
