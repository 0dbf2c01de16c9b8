"""Connections are shared so that mailboxes without an answer starve nobody, whatever their number."""

from __future__ import annotations

import heapq
import itertools
import math
import random
from collections import defaultdict
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.domain.lane_shares import SHORT_TRY_SECONDS, SILENT_SECONDS, Asked, LaneShares

_TIMEOUT = 90.0
_ANSWER = 0.1
_LOOK = 0.25
"""How often those that wait are looked at."""


def _let_in(shares: LaneShares, mailbox: str, now: float, *, kind: str = "GetItem", reads: bool = True) -> int | None:
    asked = Asked(mailbox, kind, reads)
    return shares.begin(asked, now) if shares.may_begin(asked, now) else None


def _fill(shares: LaneShares, mailbox: str, now: float, *, kind: str = "GetItem", reads: bool = True) -> list[int]:
    """Begin as many calls as may be."""
    begun = iter(lambda: _let_in(shares, mailbox, now, kind=kind, reads=reads), None)
    return [number for number in begun if number is not None]


def _answer(shares: LaneShares, mailbox: str, now: float) -> None:
    number = _let_in(shares, mailbox, now)
    assert number is not None
    shares.end(number, now, answered=True)


def test_a_single_mailbox_has_all_there_are_and_no_more_however_long_its_calls_take() -> None:
    shares = LaneShares(8)

    assert len(_fill(shares, "only", 0.0)) == 8
    assert _fill(shares, "only", 60.0) == []


def test_a_mailbox_that_has_not_answered_for_a_moment_makes_one_call_and_with_its_answer_many() -> None:
    shares = LaneShares(8)
    _answer(shares, "other", 0.0)
    [first] = _fill(shares, "dispatch", 0.0)

    shares.end(first, 0.1, answered=True)

    assert len(_fill(shares, "dispatch", 0.1)) == 8


def test_calls_that_get_no_answer_leave_the_lanes_to_those_that_answer() -> None:
    shares = LaneShares(8)
    for mailbox in ("stuck", "dispatch"):
        _answer(shares, mailbox, 0.0)
    assert len(_fill(shares, "stuck", 0.0)) == 8
    assert _let_in(shares, "dispatch", SILENT_SECONDS - 0.1) is None

    assert _let_in(shares, "dispatch", SILENT_SECONDS) is not None
    assert shares.unanswered(SILENT_SECONDS) == 8


def test_mailboxes_in_doubt_have_their_share_together_whatever_their_number() -> None:
    shares = LaneShares(8)
    for number in range(40):
        _answer(shares, f"stuck-{number}", 0.0)
    for number in range(40):
        for call in _fill(shares, f"stuck-{number}", 10.0 * number):
            shares.end(call, 10.0 * number + 9.0, answered=False)

    tries = [_let_in(shares, f"stuck-{number}", 1000.0) for number in range(40)]

    assert sum(call is not None for call in tries) == shares.most_tries == 4
    _answer(shares, "dispatch", 1000.0)
    assert len(_fill(shares, "dispatch", 1000.0)) == 8


def test_a_mailbox_that_answers_again_has_its_full_share_at_once() -> None:
    shares = LaneShares(8)
    _answer(shares, "other", 0.0)
    [lost] = _fill(shares, "dispatch", 0.0)
    shares.end(lost, _TIMEOUT, answered=False)
    tried = _fill(shares, "dispatch", _TIMEOUT)
    assert len(tried) == shares.most_tries

    shares.end(tried[0], _TIMEOUT + 0.1, answered=True)

    assert len(_fill(shares, "dispatch", _TIMEOUT + 0.1)) == 8


def test_a_quick_failure_is_no_silence() -> None:
    """A connection that is reset is no reason to stand in the line of those that hang."""
    shares = LaneShares(2)
    _answer(shares, "other", 0.0)
    [reset] = _fill(shares, "dispatch", 0.0)

    shares.end(reset, 0.2, answered=False)
    _answer(shares, "dispatch", 0.2)

    assert len(_fill(shares, "dispatch", 0.2)) == 2


def test_a_kind_of_call_that_hangs_beside_others_that_answer_is_made_one_at_a_time() -> None:
    """A mailbox that is listed, and whose mails cannot be fetched, hangs all the same."""
    shares = LaneShares(8)
    _answer(shares, "other", 0.0)
    [lost] = _fill(shares, "dispatch", 0.0, kind="GetItem")
    shares.end(lost, _TIMEOUT, answered=False)
    [listed] = _fill(shares, "dispatch", _TIMEOUT, kind="FindItem")[:1]
    for call in list(range(listed, listed + shares.most_tries)):
        shares.end(call, _TIMEOUT, answered=True)

    assert len(_fill(shares, "dispatch", _TIMEOUT, kind="GetItem")) == 1
    assert _let_in(shares, "dispatch", _TIMEOUT + 1, kind="FindItem") is not None


def test_changes_without_an_answer_leave_one_try_to_a_read() -> None:
    shares = LaneShares(8)
    for mailbox in ("stuck", "dispatch"):
        [lost] = _fill(shares, mailbox, 0.0)[:1] if mailbox == "dispatch" else [_let_in(shares, mailbox, 0.0)]
        assert lost is not None
        shares.end(lost, _TIMEOUT, answered=False)

    assert len(_fill(shares, "stuck", _TIMEOUT, kind="CreateItem", reads=False)) == shares.most_tries - 1
    assert _let_in(shares, "dispatch", _TIMEOUT) is not None


def test_a_read_that_hangs_is_cut_for_one_that_waits() -> None:
    shares = LaneShares(2)
    waiting = [Asked("dispatch", "GetItem", reads=True)]
    for mailbox in ("one", "two", "three", "dispatch"):
        _answer(shares, mailbox, 0.0)
    change = _let_in(shares, "one", 0.0, kind="CreateItem", reads=False)
    read = _let_in(shares, "two", 0.0)
    assert shares.to_cut(waiting, SILENT_SECONDS - 0.1) == []
    later = _let_in(shares, "three", SILENT_SECONDS)
    assert None not in {change, read, later}
    assert _let_in(shares, "dispatch", SILENT_SECONDS) is None

    assert shares.to_cut(waiting, SILENT_SECONDS) == [read]
    assert shares.to_cut(waiting, 2 * SILENT_SECONDS) == [], "one for each that waits"
    assert shares.to_cut(waiting * 2, 2 * SILENT_SECONDS) == [later]


def test_a_change_that_hangs_is_never_cut() -> None:
    """It may have been made."""
    shares = LaneShares(2)
    for mailbox in ("one", "two", "three", "dispatch"):
        _answer(shares, mailbox, 0.0)
    changes = [_let_in(shares, mailbox, 0.0, kind="SendItem", reads=False) for mailbox in ("one", "two")]
    changes.append(_let_in(shares, "three", SILENT_SECONDS, kind="SendItem", reads=False))
    assert None not in changes
    assert _let_in(shares, "dispatch", 2 * SILENT_SECONDS) is None

    assert shares.to_cut([Asked("dispatch", "GetItem", reads=True)] * 4, _TIMEOUT) == []


def test_one_try_in_eight_has_all_its_time_though_others_wait_for_theirs() -> None:
    shares = LaneShares(2)
    _answer(shares, "other", 0.0)
    now, cut = 0.0, 0
    for mailbox in ("slow", "waiting"):
        [lost] = _fill(shares, mailbox, now)
        shares.end(lost, SILENT_SECONDS, answered=False)
    for _ in range(16):
        call = _let_in(shares, "slow", now)
        assert call is not None
        waiting = [Asked("waiting", "GetItem", reads=True)]
        assert shares.to_cut(waiting, now + SHORT_TRY_SECONDS - 0.1) == []
        now += SHORT_TRY_SECONDS
        cut += shares.to_cut(waiting, now) == [call]
        shares.end(call, now, answered=False)

    assert cut == 14


def test_who_has_the_fewest_calls_is_let_in_first() -> None:
    shares = LaneShares(8)
    _answer(shares, "busy", 0.0)
    _answer(shares, "dispatch", 0.0)
    _fill(shares, "busy", 0.0)

    waiting = [Asked(mailbox, "GetItem", reads=True) for mailbox in ("busy", "busy", "dispatch")]

    assert shares.in_order(waiting) == [2, 0, 1]


@dataclass
class _World:
    """Mailboxes that read all the time, some of which give no answer for some time."""

    shares: LaneShares
    hang: dict[str, tuple[float, float]]
    """By mailbox, from when to when; whoever is not in it answers."""
    callers: int
    chance: random.Random
    until: float
    waits: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))
    """By mailbox: when a call was asked for, and how long it waited."""
    answered: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    most_in_progress: int = 0

    def run(self, mailboxes: list[str]) -> None:
        self._tickets = itertools.count()
        self._events: list[tuple[float, int, str, str, int]] = []
        self._in_progress: dict[int, str] = {}
        waiting: list[tuple[Asked, float]] = []
        for mailbox in mailboxes:
            for _ in range(self.callers):
                self._later(self.chance.uniform(0, 30), "ask", mailbox)
        self._later(_LOOK, "look")
        while self._events[0][0] < self.until:
            now, _, what, mailbox, number = heapq.heappop(self._events)
            if what == "ask":
                waiting.append((Asked(mailbox, "FindItem", reads=True), now))
            elif what == "look":
                self._later(now + _LOOK, "look")
            elif number in self._in_progress:  # otherwise it was cut before
                self._end(number, now, answered=what == "answer")
            waiting = self._let_in(waiting, now)
            for number in self.shares.to_cut([asked for asked, _ in waiting], now):
                self._later(now, "cut", self._in_progress[number], number)

    def _later(self, when: float, what: str, mailbox: str = "", number: int = 0) -> None:
        heapq.heappush(self._events, (when, next(self._tickets), what, mailbox, number))

    def _let_in(self, waiting: list[tuple[Asked, float]], now: float) -> list[tuple[Asked, float]]:
        left = []
        for place in self.shares.in_order([asked for asked, _ in waiting]):
            asked, since = waiting[place]
            if not self.shares.may_begin(asked, now):
                left.append((asked, since))
                continue
            number = self.shares.begin(asked, now)
            mailbox = str(asked.mailbox)
            self._in_progress[number] = mailbox
            self.most_in_progress = max(self.most_in_progress, len(self._in_progress))
            self.waits[mailbox].append((since, now - since))
            begins, ends = self.hang.get(mailbox, (math.inf, math.inf))
            hangs = begins <= now < ends
            self._later(now + (_TIMEOUT if hangs else _ANSWER), "lost" if hangs else "answer", mailbox, number)
        return sorted(left, key=lambda one: one[1])

    def _end(self, number: int, now: float, *, answered: bool) -> None:
        mailbox = self._in_progress.pop(number)
        self.shares.end(number, now, answered=answered)
        if answered:
            self.answered[mailbox].append(now)
        self._later(now + self.chance.uniform(0.5, 2 if answered else 30), "ask", mailbox)


@settings(max_examples=60, deadline=None)
@given(
    lanes=st.integers(2, 12),
    stuck=st.integers(1, 30),
    callers=st.integers(1, 3),
    together=st.booleans(),
    seed=st.integers(0, 2**32),
)
def test_an_answering_mailbox_waits_for_hanging_ones_a_bounded_time_and_then_not_at_all(
    lanes: int, stuck: int, callers: int, together: bool, seed: int
) -> None:
    """
    They hang all at once, or one after the other.

    Until it is known of each that it does, it takes a lane for some seconds; afterwards it takes none.
    """
    chance = random.Random(seed)
    begin = [40.0 if together else chance.uniform(30, 70) for _ in range(stuck)]
    hanging = {f"stuck-{number}": (moment, math.inf) for number, moment in enumerate(begin)}
    world = _World(LaneShares(lanes), hanging, callers, chance, until=300.0)

    world.run([*hanging, "dispatch"])

    waits = world.waits["dispatch"]
    turns = math.ceil(stuck * callers / lanes) + 1
    assert len(waits) > 100
    assert max(waited for _, waited in waits) <= (SILENT_SECONDS + _LOOK) * turns
    known = 70 + (SILENT_SECONDS + _LOOK) * turns + 60
    assert max(waited for since, waited in waits if since > known) <= _ANSWER
    assert world.most_in_progress <= world.shares.most


@pytest.mark.parametrize(("stuck", "seconds"), [(4, _TIMEOUT), (50, _TIMEOUT + 60)])
def test_who_recovers_among_many_that_hang_is_answered_soon_and_then_all_the_time(stuck: int, seconds: float) -> None:
    hanging = {f"stuck-{number}": (0.0, math.inf) for number in range(stuck)}
    world = _World(LaneShares(8), {**hanging, "back": (0.0, 300.0)}, 2, random.Random(2), until=600.0)

    world.run([*hanging, "back"])

    first, *others = world.answered["back"]
    # A call that it was asked right before may hang to its end.
    print(f"answered {first - 300:.0f} s after it had recovered")
    assert first - 300.0 <= seconds
    assert len(others) > 100
    assert not any(world.answered[mailbox] for mailbox in hanging)
