"""
Every interleaving of two workers with one request, one mailbox and the faults of the world, breadth first.

The workers' decisions are `bridge.domain.send_protocol` itself; this file has the mailbox, the faults and the search.

A call may be answered, executed with its answer lost, or stay on its way and be executed at any later moment or never.
A mail that was submitted passes through Outbox, may be nowhere for any time, and may come to Sent Items. A worker may
stop at any point: frozen, for as long as the search likes, or killed, which loses its memory and delivers the request
again, also after it reported. The request may expire at any moment.

Safe means: submitted at most once; `sent` and `unknown` reported only if it was submitted; `ended` reported only if it
never was and never will be.

`python -m tests.model.send_model --drafts 3` searches the long form, `--variants` the protocol with each rule left out.
As designed it is safe with two drafts, one lost and one late call in 6,037,587 states. (The longer forms were last run
before SendItem calls were counted: two lost and two late calls 23,532,765 states, three drafts 33,449,425.)

Where a person destroys the ledger once, at any moment, nothing is sent twice either: in 6,584,263 states with one lost
answer, before SendItem calls were counted. `unknown` may then be told of a request that never was sent.

Where Exchange is broken (SendItem takes effect, its answer is lost, the draft stays) mails go out more than once, and
never more often than `Rules.most_calls`. There is one SendItem call more where a worker looked before the other one
entered its calls: on a draft that the other one has voided by then, so that Exchange refuses it. An Exchange that sends
void drafts too sends that one mail more.

Not modelled: more than two workers, time, a request that is published with another content, and one that is published
again after the ledger was destroyed.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from bridge.domain import send_protocol as protocol
from bridge.domain.send_protocol import Outcome, Place, Progress, Seen, Step

if TYPE_CHECKING:
    from collections.abc import Iterator

# Where a draft is. A draft that anybody changed is no longer sendable with the change key of its creation.
DRAFT, VOID, SUBMITTED, OUTBOX, LIMBO, SENT, GONE = range(7)
_MOVES_ON = {SUBMITTED: OUTBOX, OUTBOX: LIMBO, LIMBO: SENT}


@dataclass(frozen=True)
class Rules:
    """The rules of the protocol; each can be left out to see what it is for."""

    ledger: bool = True
    drafts_before_ledger: bool = True
    outbox_is_read: bool = True
    look_before_send: bool = True
    look_twice: bool = True
    look_before_end: bool = True
    end_entry: bool = True
    entry_confirmed: bool = True
    void: bool = True
    """Off: competing drafts are deleted."""
    change_key_of_creation: bool = True
    """Off: the change key is read again before the send, so that a void draft can be sent."""
    discard_only_unbegun: bool = True
    most_calls: int = protocol.MOST_CALLS
    calls_are_counted: bool = True
    """Off: nothing but the memory of a worker knows how many SendItem calls had no answer."""
    each_call_has_its_entry: bool = True
    """Off: the calls of one draft share the entry of the first."""
    lost_ledger_is_known: bool = True
    """Off: a ledger that was made anew is trusted like the first one."""
    doubt_what_was_in_hand: bool = True
    """Off: what was in hand before the ledger was lost is sent where nothing shows."""
    # The world, not the protocol.
    late_copy: bool = True
    expiry: bool = True
    mishaps: bool = True
    """A request fails for good at any time: Exchange refuses it, or the broker gave it up."""
    held_back: bool = False
    """A send is not made after all, for the sake of Exchange's pace, and looked for instead."""
    ledger_is_destroyed: bool = False
    """A person destroys the ledger once, at any moment."""
    draft_stays: bool = False
    """Exchange is broken: SendItem takes effect and leaves the draft as it was."""
    keys_are_ignored: bool = False
    """Exchange is broken: SendItem takes void drafts."""


@dataclass(frozen=True)
class Bounds:
    """How much of it is searched."""

    drafts: int = 2
    lost: int = 1
    """Answers that are lost, those of late calls included."""
    late: int = 1
    """Calls on their way at the same time."""


class Call(NamedTuple):
    """A request to the mailbox: its verb, and the draft it is about or -1."""

    verb: str
    draft: int = -1
    number: int = 0
    """Of the SendItem call that is entered."""


class Shared(NamedTuple):
    """Everything outside the workers."""

    items: tuple[int, ...] = ()
    begun: frozenset[tuple[int, int]] = frozenset()
    """Drafts, and the numbers of their SendItem calls."""
    done: bool = False
    ended: bool = False
    ended_unknown: bool = False
    """The first of those who ended it did so because too many calls had no answer."""
    calls: int = 0
    """SendItem calls that nobody was told to have failed."""
    on_their_way: tuple[Call, ...] = ()
    submitted: int = 0
    lost_left: int = 0
    expired: bool = False
    said: frozenset[Outcome] = frozenset()
    taken: bool = False
    """The request was delivered before."""
    destroyed: bool = False
    """The ledger was, and there is a new one."""


class Local(NamedTuple):
    """One worker: idle, at a step, or in the middle of a look with the next place to read."""

    progress: Progress[int] | None = None
    place: Place | None = None
    seen: Seen[int] | None = None
    told: bool = False
    doubtful: bool = False
    """The request may have been in hand before the ledger was destroyed."""


IDLE = Local()
TOLD = Local(told=True)


class Verdict(NamedTuple):
    """What a search found."""

    states: int
    fault: str | None
    path: list[tuple[Shared, Local, Local]]
    seconds: float


class Search:
    """The reachable states; what a worker or the world can do is computed once for each distinct situation."""

    def __init__(self, rules: Rules, bounds: Bounds) -> None:
        self._rules = rules
        self._bounds = bounds
        self._shared: list[Shared] = []
        self._locals: list[Local] = []
        self._shared_number: dict[Shared, int] = {}
        self._local_number: dict[Local, int] = {}
        self._worlds: dict[int, list[int]] = {}
        self._moves: dict[int, list[tuple[int, int]]] = {}
        self._order = (
            (Place.DRAFTS, Place.OUTBOX, Place.LEDGER, Place.SENT_ITEMS)
            if rules.drafts_before_ledger
            else (Place.LEDGER, Place.DRAFTS, Place.OUTBOX, Place.SENT_ITEMS)
        )

    def run(self, *, trace: bool = False) -> Verdict:
        """Search until a fault or the end."""
        started = time.monotonic()
        shared = self._number_shared(Shared(lost_left=self._bounds.lost))
        idle = self._number_local(IDLE)
        first = _pack(shared, idle, idle)
        parents: dict[int, int] = {first: -1}
        seen, frontier = {first}, [first]
        while frontier:
            following: list[int] = []
            for state in frontier:
                for successor in self._successors(state):
                    if successor in seen:
                        continue
                    seen.add(successor)
                    if trace:
                        parents[successor] = state
                    fault = _fault(self._shared[successor >> 40], self._rules)
                    if fault:
                        path = self._path(parents, successor) if trace else []
                        return Verdict(len(seen), fault, path, time.monotonic() - started)
                    following.append(successor)
            frontier = following
        return Verdict(len(seen), None, [], time.monotonic() - started)

    def reachable_mailboxes(self) -> set[Shared]:
        """Return what the mailbox can look like; to be called after `run`."""
        return set(self._shared)

    def _successors(self, state: int) -> Iterator[int]:
        shared, one, two = state >> 40, state >> 20 & 0xFFFFF, state & 0xFFFFF
        for other in self._world(shared):
            yield _pack(other, one, two)
        for after, moved in self._worker(shared, one):
            yield _pack(after, moved, two)
        if one != two:  # the two workers are interchangeable
            for after, moved in self._worker(shared, two):
                yield _pack(after, one, moved)

    def _world(self, shared: int) -> list[int]:
        known = self._worlds.get(shared)
        if known is None:
            known = [self._number_shared(s) for s in self.world(self._shared[shared])]
            self._worlds[shared] = known
        return known

    def _worker(self, shared: int, local: int) -> list[tuple[int, int]]:
        key = shared << 20 | local
        known = self._moves.get(key)
        if known is None:
            moves = self.worker(self._shared[shared], self._locals[local])
            known = list(dict.fromkeys((self._number_shared(s), self._number_local(m)) for s, m in moves))
            self._moves[key] = known
        return known

    def _number_shared(self, shared: Shared) -> int:
        number = self._shared_number.setdefault(shared, len(self._shared))
        if number == len(self._shared):
            self._shared.append(shared)
        return number

    def _number_local(self, local: Local) -> int:
        number = self._local_number.setdefault(local, len(self._locals))
        if number == len(self._locals):
            self._locals.append(local)
        return number

    def _path(self, parents: dict[int, int], last: int) -> list[tuple[Shared, Local, Local]]:
        path, state = [], last
        while state != -1:
            path.append((self._shared[state >> 40], self._locals[state >> 20 & 0xFFFFF], self._locals[state & 0xFFFFF]))
            state = parents[state]
        return path[::-1]

    # The mailbox.

    def execute(self, shared: Shared, call: Call) -> tuple[Shared, bool] | None:  # noqa: PLR0911 - one for each verb
        """Return the mailbox after a call and whether it was accepted; None where the bound on drafts is reached."""
        match call.verb:
            case "create":
                if len(shared.items) >= self._bounds.drafts:
                    return None
                return shared._replace(items=(*shared.items, DRAFT)), True
            case "begin":
                return shared._replace(begun=shared.begun | {(call.draft, call.number)}), True
            case "done":
                return shared._replace(done=True), True
            case "end" | "give up":
                unknown = shared.ended_unknown if shared.ended else call.verb == "give up"
                return shared._replace(ended=True, ended_unknown=unknown), True
        at = shared.items[call.draft]
        if call.verb == "delete":
            # DeleteItem ignores change keys; a mail in another folder has another id.
            return (self._put(shared, call.draft, GONE), True) if at in (DRAFT, VOID, SUBMITTED) else (shared, False)
        if call.verb == "void":
            return (self._put(shared, call.draft, VOID), True) if at == DRAFT else (shared, False)
        broken = self._rules.keys_are_ignored or not self._rules.change_key_of_creation
        if not (at == DRAFT or (at == VOID and broken)):
            return shared, False
        if self._rules.draft_stays:
            return shared._replace(submitted=shared.submitted + 1), True
        return self._put(shared, call.draft, SUBMITTED)._replace(submitted=shared.submitted + 1), True

    def _put(self, shared: Shared, draft: int, where: int) -> Shared:
        return shared._replace(items=(*shared.items[:draft], where, *shared.items[draft + 1 :]))

    def world(self, shared: Shared) -> Iterator[Shared]:
        """Yield what can happen without a worker."""
        for draft, at in enumerate(shared.items):
            if at in _MOVES_ON:
                yield self._put(shared, draft, _MOVES_ON[at] if self._rules.late_copy or at != OUTBOX else SENT)
        for call in shared.on_their_way:
            rest = list(shared.on_their_way)
            rest.remove(call)
            executed = self.execute(shared._replace(on_their_way=tuple(rest)), call)
            if executed:
                yield executed[0]
        if self._rules.expiry and not shared.expired:
            yield shared._replace(expired=True)
        if self._rules.ledger_is_destroyed and not shared.destroyed:
            # Entries that are on their way get lost with it, or come into the new one.
            left = tuple(call for call in shared.on_their_way if call.verb not in {"begin", "end", "give up", "done"})
            lost = shared._replace(begun=frozenset(), done=False, ended=False, ended_unknown=False, destroyed=True)
            yield lost
            if left != shared.on_their_way:
                yield lost._replace(on_their_way=left)

    # The workers.

    def worker(self, shared: Shared, local: Local) -> Iterator[tuple[Shared, Local]]:
        """Yield what one worker can do, or what can become of it."""
        if local != IDLE:
            yield shared, IDLE  # killed; the request is delivered again
        if local.told:
            return
        if local.progress is None:
            doubtful = self._rules.ledger_is_destroyed and (shared.taken or not shared.destroyed)
            taken = shared._replace(taken=self._rules.ledger_is_destroyed)
            yield from ((taken, Local(progress, doubtful=doubtful)) for progress in self._begin(shared))
            return
        moves = (
            self._act(shared, local.progress, doubtful=local.doubtful)
            if local.place is None
            else self._read(shared, local)
        )
        for after, moved in moves:
            yield after, moved if moved in (IDLE, TOLD) else moved._replace(doubtful=local.doubtful)

    def _begin(self, shared: Shared) -> Iterator[Progress[int]]:
        if shared.expired and not self._rules.look_before_end:
            yield Progress(Step.REPORT, outcome=Outcome.ENDED)
            return
        yield protocol.begin(expired=shared.expired)
        yield protocol.begin(expired=shared.expired, look_first=True)
        if self._rules.mishaps:
            yield protocol.begin(expired=True)

    def _act(  # noqa: C901, PLR0912 - one case for each step
        self, shared: Shared, progress: Progress[int], *, doubtful: bool
    ) -> Iterator[tuple[Shared, Local]]:
        own = -1 if progress.own is None else progress.own
        match progress.step:
            case Step.LOOK:
                yield from self._read(shared, Local(progress, self._order[0], Seen(), doubtful=doubtful))
            case Step.CREATE:
                good = protocol.created(len(shared.items))
                if not self._rules.look_before_send:
                    good = replace(good, step=Step.ENTER, begun=True)
                yield from self._call(shared, Call("create"), good, progress, progress)
            case Step.END:
                good = protocol.entered_end(progress)
                if self._rules.end_entry:
                    verb = "give up" if progress.unclear else "end"
                    yield from self._call(shared, Call(verb), good, progress, progress)
                else:
                    yield shared, _at(good)
            case Step.VOID:
                bad = protocol.not_voided(progress)
                verb = "void" if self._rules.void else "delete"
                yield from self._call(shared, Call(verb, progress.to_void[0]), protocol.voided(progress), bad, bad)
            case Step.ENTER:
                good, unanswered = protocol.entered(progress), protocol.not_entered(progress)
                if not self._rules.ledger:
                    yield shared, _at(good)
                else:
                    unanswered = unanswered if self._rules.entry_confirmed else good
                    yield from self._call(shared, self._entry(progress), good, progress, unanswered)
            case Step.SEND:
                bad = protocol.not_made(progress)
                yield from self._send(shared, progress)
                if self._rules.held_back:
                    yield shared, _at(bad)
                    yield from self._not_made(shared, progress)
                if self._rules.mishaps:
                    yield shared, _at(protocol.give_up(progress))
            case Step.CLOSE:
                yield shared, _at(protocol.closed())
                if self._rules.ledger:
                    good = protocol.closed()
                    yield from self._call(shared, Call("done", own), good, good, good)
            case Step.DISCARD:
                good = protocol.discarded(progress)
                yield shared, _at(good)
                yield from self._call(shared, Call("delete", own), good, good, good)
            case Step.AGAIN | Step.DEFER:
                yield shared, IDLE
                if progress.step is Step.AGAIN and self._rules.ledger_is_destroyed:
                    yield from ((shared, _at(anew)) for anew in self._begin(shared))
            case Step.REPORT if progress.outcome is not None:
                yield shared._replace(said=shared.said | {progress.outcome}), TOLD

    def _entry(self, progress: Progress[int]) -> Call:
        assert progress.own is not None
        return Call("begin", progress.own, progress.call)

    def _not_made(self, shared: Shared, progress: Progress[int]) -> Iterator[tuple[Shared, Local]]:
        """The attempt ends with a call that is known not to have been made: its entry is marked, and counts no more."""
        entry = self._entry(progress)
        yield shared._replace(begun=shared.begun - {(entry.draft, entry.number)}), IDLE

    def _send(self, shared: Shared, progress: Progress[int]) -> Iterator[tuple[Shared, Local]]:
        bad, unanswered = protocol.not_made(progress), protocol.not_submitted(progress)
        if not self._rules.each_call_has_its_entry:
            unanswered = bad
        good, call = protocol.submitted(progress), Call("send", -1 if progress.own is None else progress.own)
        for after, local in self._call(shared, call, good, bad, unanswered):
            refused = after.submitted == shared.submitted and after.lost_left == shared.lost_left
            yield (after if refused else after._replace(calls=shared.calls + 1)), local
            if refused:
                yield from self._not_made(after, progress)

    def _call(
        self, shared: Shared, call: Call, good: Progress[int], bad: Progress[int], unanswered: Progress[int]
    ) -> Iterator[tuple[Shared, Local]]:
        executed = self.execute(shared, call)
        if executed:
            after, accepted = executed
            yield after, _at(good if accepted else bad)
            if shared.lost_left:
                yield after._replace(lost_left=shared.lost_left - 1), _at(unanswered)
        if shared.lost_left and len(shared.on_their_way) < self._bounds.late:
            late = tuple(sorted((*shared.on_their_way, call)))
            yield shared._replace(on_their_way=late, lost_left=shared.lost_left - 1), _at(unanswered)

    def _read(self, shared: Shared, local: Local) -> Iterator[tuple[Shared, Local]]:
        progress, place, seen = local.progress, local.place, local.seen
        assert progress is not None
        assert place is not None
        assert seen is not None
        seen = self._glance(shared, place, seen, doubtful=local.doubtful)
        position = self._order.index(place) + 1
        if position < len(self._order):
            wanted = self._order[position]
            if wanted != Place.SENT_ITEMS or protocol.wants_sent_items(seen) or not self._rules.ledger:
                yield shared, Local(progress, wanted, seen, doubtful=local.doubtful)
                return
        if not self._rules.look_twice:
            progress = replace(progress, known=seen.missing)
        for patience_over in (False, True):
            decided = protocol.looked(
                progress,
                seen,
                expired=shared.expired,
                patience_over=patience_over,
                most_calls=self._rules.most_calls if self._rules.calls_are_counted else sys.maxsize,
            )
            if decided.step is Step.REPORT and progress.own is not None and not self._rules.discard_only_unbegun:
                decided = Progress(Step.DISCARD, own=progress.own, outcome=decided.outcome)
            yield shared, _at(decided)

    def _glance(self, shared: Shared, place: Place, seen: Seen[int], *, doubtful: bool) -> Seen[int]:
        match place:
            case Place.DRAFTS:
                return replace(
                    seen,
                    drafts=frozenset(i for i, at in enumerate(shared.items) if at == DRAFT),
                    voids=frozenset(i for i, at in enumerate(shared.items) if at == VOID),
                    moved=seen.moved or SUBMITTED in shared.items,
                )
            case Place.OUTBOX:
                return replace(seen, moved=seen.moved or (self._rules.outbox_is_read and OUTBOX in shared.items))
            case Place.LEDGER if self._rules.ledger:
                young = shared.destroyed and self._rules.lost_ledger_is_known
                blind = young and doubtful and self._rules.doubt_what_was_in_hand
                return replace(
                    seen,
                    begun=frozenset(draft for draft, _ in shared.begun),
                    calls=shared.begun,
                    done=shared.done,
                    ended=shared.ended,
                    ended_unknown=shared.ended_unknown,
                    young=young,
                    blind=blind,
                )
            case Place.LEDGER:
                return seen
            case Place.SENT_ITEMS:
                return replace(seen, moved=seen.moved or SENT in shared.items)


def _pack(shared: int, one: int, two: int) -> int:
    return shared << 40 | one << 20 | two if one < two else shared << 40 | two << 20 | one


def _at(progress: Progress[int]) -> Local:
    return Local(progress)


def _fault(shared: Shared, rules: Rules) -> str | None:
    # Who looked before the others entered theirs makes one call more, on a draft that they have voided meanwhile.
    if shared.calls > rules.most_calls + 1:
        return "called too often"
    if rules.draft_stays:  # nothing but a bound is promised of an Exchange that is broken
        return "sent too often" if shared.submitted > rules.most_calls + rules.keys_are_ignored else None
    if shared.submitted > 1:
        return "sent twice"
    if Outcome.ENDED in shared.said and shared.submitted:
        return "reported ended, was sent"
    # A request may be given up for unknown that never was sent: where the ledger was destroyed, or so many calls were
    # entered, be it by workers that died right before them.
    lenient = shared.destroyed or shared.ended_unknown
    claims = {Outcome.SENT} if lenient else {Outcome.SENT, Outcome.UNKNOWN}
    if shared.said & claims and not shared.submitted:
        return "reported sent or unknown, was not sent"
    return None


DESIGNED = "as designed"
DESTROYED = "as designed, the ledger destroyed once, sends held back"
LIMITED = "as designed, one call without an answer is the most"
FLOODED = "Exchange broken: SendItem takes effect, its answer is lost, the draft stays"
FENCELESS = "Exchange broken: that, and void drafts are sent too"
_FLOODED = Rules(most_calls=2, draft_stays=True, expiry=False, mishaps=False)

VARIANTS: dict[str, tuple[Rules, str | None]] = {
    DESIGNED: (Rules(), None),
    DESTROYED: (Rules(held_back=True, ledger_is_destroyed=True), None),
    LIMITED: (Rules(most_calls=1), None),
    FLOODED: (_FLOODED, None),
    "Exchange broken, calls not counted": (replace(_FLOODED, calls_are_counted=False), "sent too often"),
    "Exchange broken, the calls of a draft share an entry": (
        replace(_FLOODED, each_call_has_its_entry=False),
        "sent too often",
    ),
    FENCELESS: (replace(_FLOODED, keys_are_ignored=True), None),
    "no ledger, copy never late, no expiry": (Rules(ledger=False, late_copy=False, expiry=False, mishaps=False), None),
    "no ledger, copy may be late": (Rules(ledger=False, expiry=False, mishaps=False), "sent twice"),
    "no ledger, copy never late, no expiry, Outbox not read": (
        Rules(ledger=False, late_copy=False, expiry=False, mishaps=False, outbox_is_read=False),
        "sent twice",
    ),
    "ledger read before Drafts": (Rules(drafts_before_ledger=False), "reported ended, was sent"),
    "unknown after a single look": (Rules(look_twice=False), "reported sent or unknown, was not sent"),
    "DeleteItem instead of void": (Rules(void=False), "reported ended, was sent"),
    "change key read again before the send": (Rules(change_key_of_creation=False), "reported ended, was sent"),
    "send although the entry is not confirmed": (Rules(entry_confirmed=False), "reported ended, was sent"),
    "begun drafts discarded too": (
        Rules(discard_only_unbegun=False),
        "reported sent or unknown, was not sent",
    ),
    "expiry reported without a look": (Rules(look_before_end=False), "reported ended, was sent"),
    "a look but no entry before ending": (Rules(end_entry=False), "reported ended, was sent"),
    "no look before the first send": (Rules(look_before_send=False), "sent twice"),
    "ledger destroyed, the new one trusted like the first": (
        Rules(expiry=False, mishaps=False, ledger_is_destroyed=True, lost_ledger_is_known=False),
        "sent twice",
    ),
    "ledger destroyed, what was in hand sent where Sent Items has nothing": (
        Rules(expiry=False, mishaps=False, ledger_is_destroyed=True, doubt_what_was_in_hand=False),
        "sent twice",
    ),
}
"""Name: the rules, and the first fault that the search finds, if any."""


def main() -> None:
    """Search from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--drafts", type=int, default=2)
    parser.add_argument("--lost", type=int, default=1)
    parser.add_argument("--late", type=int, default=1)
    parser.add_argument("--variants", action="store_true")
    parser.add_argument("--trace", action="store_true", help="print the way to each fault")
    arguments = parser.parse_args()
    bounds = Bounds(arguments.drafts, arguments.lost, arguments.late)
    for name, (rules, _) in VARIANTS.items():
        if name in {DESIGNED, DESTROYED} or arguments.variants:
            verdict = Search(rules, bounds).run(trace=arguments.trace)
            line = f"{name}: {verdict.states:,} states, {verdict.fault or 'safe'}, {verdict.seconds:.1f} s\n"
            sys.stdout.write(line)
            sys.stdout.flush()
            for step in verdict.path:
                sys.stdout.write(f"    {step}\n")


if __name__ == "__main__":
    main()
