"""
Which mailbox may have one of the connections (lanes) next, so that calls without an answer starve nobody.

- A call that has no answer after `SILENT_SECONDS` is set apart: it no longer takes one of the lanes, there is one more
  for it.
- A mailbox in doubt, which gives no answer, makes its calls apart from the beginning. As many lanes again as there are
  is the bound of what is apart, whatever the number of mailboxes: half of it for such tries, half for calls that turn
  out to hang.
- Before it is in doubt, a mailbox may hang with all its calls at once. So one that has not answered for a moment makes
  a single call; with its answer it may have as many as its own limit says.
- Where all this is not enough, a read that hangs is cut short for one that waits: it changed nothing. So those that
  answer have their turn, and those that have recovered, however many hang.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Hashable, Sequence

SILENT_SECONDS: Final = 3.0
"""Ordinary calls take a tenth of it."""
SHORT_TRY_SECONDS: Final = 5.0
"""What a mailbox in doubt has for a read at least, while others in doubt wait for their try."""
_LONG_TRY_EVERY: Final = 8
"""One in so many tries has all its time all the same: a mailbox may be slow rather than silent."""


class Asked(NamedTuple):
    """A call that somebody wants to make."""

    mailbox: Hashable
    kind: Hashable
    """What fails alike: the operation."""
    reads: bool
    """Whether it changes nothing."""


@dataclass(slots=True)
class _Record:
    """What is known of the calls of a mailbox, or of those of one kind in it."""

    in_progress: dict[int, float] = field(default_factory=dict)
    """When each began, oldest first."""
    answered_at: float = -math.inf
    losses: int = 0
    """Calls in a row that ended without an answer after a long wait."""

    def in_doubt(self, now: float) -> bool:
        """Whether one call was lost, or two wait for long; a single one may just be long."""
        waiting = sum(now - began >= SILENT_SECONDS for began in self.in_progress.values())
        return self.losses > 0 or (waiting > 1 and not self.fresh(now))

    def fresh(self, now: float) -> bool:
        return now - self.answered_at < SILENT_SECONDS


@dataclass(slots=True)
class _Call:
    asked: Asked
    began: float
    is_try: bool
    """Of a mailbox in doubt; apart from the beginning."""
    apart: bool
    may_be_cut: bool
    cut: bool = False


class LaneShares:
    """Of the calls of all mailboxes that share `lanes` connections. Times are those of one monotonic clock."""

    def __init__(self, lanes: int) -> None:
        self.lanes = lanes
        self.most_tries = max(1, lanes // 2)
        self.most_set_apart = max(1, lanes - self.most_tries)
        self._mailboxes: dict[Hashable, _Record] = {}
        self._kinds: dict[tuple[Hashable, Hashable], _Record] = {}
        self._calls: dict[int, _Call] = {}
        self._numbers = 0

    @property
    def most(self) -> int:
        """How many calls are in progress at the very most."""
        return self.lanes + self.most_tries + self.most_set_apart

    def unanswered(self, now: float) -> int:
        """Return how many calls in progress are without an answer for long, or of mailboxes that give none."""
        return sum(call.is_try or now - call.began >= SILENT_SECONDS for call in self._calls.values())

    def may_begin(self, asked: Asked, now: float) -> bool:
        """Return whether a call may begin now."""
        self._set_apart(now)
        whole, part = self._records(asked)
        if len(self._mailboxes) == 1:
            return len(self._calls) < self.lanes  # there is nobody to starve
        if whole.in_doubt(now):
            tries = [call for call in self._calls.values() if call.is_try]
            changing = sum(not call.asked.reads for call in tries)
            # Those who recover, which a read shows, must not wait for the changes of those who do not.
            return len(tries) < self.most_tries and (asked.reads or changing < max(1, self.most_tries - 1))
        if self._has_its_one_call(whole, part, now):
            return False
        return sum(not call.apart for call in self._calls.values()) < self.lanes

    def begin(self, asked: Asked, now: float) -> int:
        """Note that a call begins; return its number."""
        records = self._records(asked)
        is_try = records[0].in_doubt(now) and len(self._mailboxes) > 1
        has_time = (max(record.losses for record in records) + 1) % _LONG_TRY_EVERY == 0
        self._numbers += 1
        may_be_cut = asked.reads and not has_time
        self._calls[self._numbers] = _Call(asked, now, is_try=is_try, apart=is_try, may_be_cut=may_be_cut)
        for record in records:
            record.in_progress[self._numbers] = now
        return self._numbers

    def end(self, number: int, now: float, *, answered: bool) -> None:
        """Note that a call ended. Whatever Exchange really said is an answer; a quick failure tells nothing."""
        call = self._calls.pop(number)
        for record in self._records(call.asked):
            del record.in_progress[number]
            if answered:
                record.answered_at, record.losses = now, 0
            elif now - call.began >= SILENT_SECONDS:
                record.losses += 1

    def in_order(self, waiting: Sequence[Asked]) -> list[int]:
        """Return in which order those that wait are let in: who has the fewest calls first, then who came first."""
        return sorted(range(len(waiting)), key=lambda place: len(self._records(waiting[place])[0].in_progress))

    def to_cut(self, waiting: Sequence[Asked], now: float) -> list[int]:
        """Return which calls are to end now, one for each of those that wait in vain; each call is named once."""
        wanted = {False: 0, True: 0}
        for asked in waiting:
            whole, part = self._records(asked)
            if whole.in_doubt(now):
                wanted[True] += asked.reads and not whole.in_progress
            elif not self._has_its_one_call(whole, part, now):
                wanted[False] += 1
        cut: list[int] = []
        for is_try, after_seconds in ((False, SILENT_SECONDS), (True, SHORT_TRY_SECONDS)):
            # What is apart, and no try, takes no lane from anybody.
            calls = {number: call for number, call in self._calls.items() if call.is_try is is_try is call.apart}
            more = wanted[is_try] - sum(call.cut for call in calls.values())
            hanging = [number for number, call in calls.items() if self._hangs(call, now, after_seconds)]
            cut += hanging[: max(0, more)]
        for number in cut:
            self._calls[number].cut = True
        return cut

    def _hangs(self, call: _Call, now: float, after_seconds: float) -> bool:
        _, part = self._records(call.asked)
        return call.may_be_cut and not call.cut and now - call.began >= after_seconds and not part.fresh(now)

    def _has_its_one_call(self, whole: _Record, part: _Record, now: float) -> bool:
        if part.in_doubt(now) and part.in_progress:
            return True
        return not whole.fresh(now) and any(not self._calls[number].apart for number in whole.in_progress)

    def _set_apart(self, now: float) -> None:
        room = self.most_set_apart - sum(call.apart and not call.is_try for call in self._calls.values())
        for call in self._calls.values():  # oldest first
            if room <= 0 or now - call.began < SILENT_SECONDS:
                return
            if not call.apart:
                call.apart = True
                room -= 1

    def _records(self, asked: Asked) -> tuple[_Record, _Record]:
        """Return what is known of its mailbox, and of calls of its kind there."""
        part = self._kinds.setdefault((asked.mailbox, asked.kind), _Record())
        return self._mailboxes.setdefault(asked.mailbox, _Record()), part
