"""
What to do next with a request to send: one pure state machine, driven by the egress worker and by `tests/model`.

A mail is sent at most once, whoever published its request twice and whichever worker was frozen in the middle. That
rests on these facts about the mailbox and on no lock:

- A draft can be sent only with the change key of its creation, which only its creator has. Whoever changes the draft
  (*voids* it) thereby forbids the send for good.
- A send is *begun* by an entry in the ledger, confirmed before SendItem goes out.
- Each SendItem call has an entry of its own, and the entries are counted before the next one is made: `MOST_CALLS` in
  all. As long as Exchange keeps to what the rules assume, any number of calls makes one mail. Where it does not, this
  limit still holds: the request is then ended, and its outcome unknown.
- A request that is given up is *ended* by an entry in the ledger, confirmed before the look that precedes the report.
- A look reads in the direction in which a mail moves, so that a mail on its way is seen at least once: Drafts, Outbox,
  the ledger, Sent Items.

People can destroy the ledger. It tells since when it is whole, and a request that was first delivered before that, or
may have been, is not sent any more: unless its mail shows somewhere, it is entered as ended and its outcome unknown.

A worker may stop anywhere: the request is then delivered again and starts anew with `begin`. A call may be answered,
refused, or executed late or never without an answer; for each there is a function that says what follows.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)
"""What names one draft and its entry in the ledger: an attempt in the worker, a small number in the model."""


MOST_CALLS: Final = 3
"""SendItem calls for one request whose outcome nobody was told, over all attempts and workers; then it is given up."""


class Step(Enum):
    """What the worker does next."""

    CREATE = auto()
    """Save a draft under a new attempt."""
    LOOK = auto()
    """Read the places in the order of `Place`, then call `looked`."""
    END = auto()
    """Enter the request as ended."""
    VOID = auto()
    """Void the first draft of `to_void`, on the change key that the look saw."""
    ENTER = auto()
    """Enter the begun send of one's own draft."""
    SEND = auto()
    """SendItem for one's own draft, with the change key of its creation."""
    CLOSE = auto()
    """Mark the entry as done; best effort."""
    AGAIN = auto()
    """Wait a random moment, then start with `begin`: somebody else has the same request in hand."""
    DEFER = auto()
    """Give the request back for a while: a send was begun, and its mail is not to be seen yet."""
    DISCARD = auto()
    """Delete one's own draft, whose send was never begun; best effort."""
    REPORT = auto()
    """Publish the event for `outcome`, then acknowledge the request."""


class Place(Enum):
    """Where a look reads, in this order."""

    DRAFTS = auto()
    OUTBOX = auto()
    LEDGER = auto()
    SENT_ITEMS = auto()


class Outcome(Enum):
    """What a request ended as."""

    SENT = auto()
    REUSED = auto()
    """A mail with the same request id and another content was sent, so this one never will be."""
    UNKNOWN = auto()
    """A send was begun; whether it took effect cannot be told any more."""
    ENDED = auto()
    """It was never sent and never will be; the ledger says why."""


@dataclass(frozen=True, slots=True)
class Seen(Generic[K]):
    """What one look found of a request."""

    drafts: frozenset[K] = frozenset()
    """Unsent drafts that nobody voided."""
    voids: frozenset[K] = frozenset()
    moved: bool = False
    """A submitted draft, or the mail in Outbox or in Sent Items."""
    begun: frozenset[K] = frozenset()
    """Attempts with an entry in the ledger, done or not."""
    calls: frozenset[tuple[K, int]] = frozenset()
    """The SendItem calls that may have taken effect, by attempt and number."""
    done: bool = False
    ended: bool = False
    ended_unknown: bool = False
    """It was ended because too many calls had no answer, or because the ledger was lost."""
    other_content: bool = False
    """What `moved` and `done` rest on has another digest than the request in hand."""
    young: bool = False
    """The ledger was lost and is a new one: of an earlier send only the mail itself can tell."""
    blind: bool = False
    """The request may have been in hand before the ledger was lost: that it says nothing means nothing."""

    @property
    def missing(self) -> frozenset[K]:
        """The begun sends whose draft is neither there nor void."""
        return self.begun - self.drafts - self.voids


@dataclass(frozen=True, slots=True)
class Progress(Generic[K]):
    """Where a worker is with a request. Lost when it dies, and nothing is lost with it."""

    step: Step
    own: K | None = None
    """The draft that this worker made in this round."""
    begun: bool = False
    """An entry for `own` may be in the ledger, now or later."""
    call: int = 1
    """The number of the next SendItem call for `own`."""
    ending: bool = False
    """The request is entered as ended."""
    unclear: bool = False
    """It is given up because too many calls had no answer."""
    known: frozenset[K] = frozenset()
    """Begun sends that were in the ledger, and missing, before this look started."""
    to_void: tuple[K, ...] = ()
    outcome: Outcome | None = None


def begin(*, expired: bool, look_first: bool = False) -> Progress[K]:
    """
    Start with a request, at its first delivery or any later one.

    `look_first` spares the draft where the request was delivered before and is probably dealt with already.
    """
    if look_first:
        return Progress(Step.LOOK)
    return Progress(Step.END if expired else Step.CREATE)


def created(own: K) -> Progress[K]:
    """The draft is there. (Refused or unanswered: make another one; a draft that came late is found by the look.)"""
    return Progress(Step.LOOK, own=own)


def give_up(progress: Progress[K]) -> Progress[K]:
    """End the request: it failed for good, and a draft of it may exist."""
    return Progress(Step.END, own=progress.own, begun=progress.begun, call=progress.call)


def entered_end(progress: Progress[K]) -> Progress[K]:
    """The request is entered as ended: see whether it was sent after all. (Refused or unanswered: enter it again.)"""
    return replace(progress, step=Step.LOOK, ending=True)


def wants_sent_items(seen: Seen[K]) -> bool:
    """Return whether a look has to read Sent Items after the ledger: no mail gets there without an entry in one."""
    return (bool(seen.missing) or seen.young) and not seen.moved and not seen.done


def looked(
    progress: Progress[K], seen: Seen[K], *, expired: bool, patience_over: bool, most_calls: int = MOST_CALLS
) -> Progress[K]:
    """
    Decide after a look.

    `patience_over` says that the stated time has passed since the begun send that is missing was entered, or since the
    ledger was lost.
    """
    if seen.moved or seen.done:
        return _report(progress, Outcome.REUSED if seen.other_content else Outcome.SENT)
    if seen.missing:
        return _missing(progress, seen.missing, patience_over=patience_over)
    if seen.ended and not progress.ending:
        return entered_end(replace(progress, known=frozenset()))  # an entry that was read is a confirmed one
    if not progress.ending:
        gives_up = _given_up(progress, seen, expired=expired, patience_over=patience_over, most_calls=most_calls)
        if gives_up is not None:
            return gives_up
    if progress.ending or seen.drafts - {progress.own}:
        ended = Outcome.UNKNOWN if seen.blind or seen.ended_unknown else Outcome.ENDED
        outcome = ended if progress.ending else None
        return _clear(replace(progress, known=frozenset(), outcome=outcome), seen.drafts)
    if progress.own in seen.drafts:
        # Likewise: nothing would be gained by a second entry of the same call.
        step = Step.SEND if (progress.own, progress.call) in seen.calls else Step.ENTER
        return Progress(step, own=progress.own, begun=True, call=progress.call)
    # Nothing is there: not yet in a first look, or somebody voided one's own draft.
    return Progress(Step.CREATE if progress.own is None else Step.AGAIN)


def _given_up(
    progress: Progress[K], seen: Seen[K], *, expired: bool, patience_over: bool, most_calls: int
) -> Progress[K] | None:
    """Return what to do with a request that is not to be sent from here; None for one that may be."""
    if seen.blind:
        return give_up(progress) if patience_over else Progress(Step.DEFER)
    if expired:
        return give_up(progress)
    mine = frozenset() if progress.own is None else frozenset({(progress.own, progress.call)})
    if len(seen.calls - mine) >= most_calls:  # the next call would be one too many
        return replace(give_up(progress), unclear=True)
    return None


def _missing(progress: Progress[K], missing: frozenset[K], *, patience_over: bool) -> Progress[K]:
    """
    Decide where a send was begun and its mail is nowhere.

    Only a look that started after the entry was read tells anything: an earlier one may have passed Drafts before the
    draft was there.
    """
    if not missing & progress.known:
        return replace(progress, step=Step.LOOK, known=missing)
    if patience_over:
        return _report(progress, Outcome.UNKNOWN)
    return Progress(Step.DEFER)


def voided(progress: Progress[K]) -> Progress[K]:
    """The first draft of `to_void` is void."""
    return _clear(progress, frozenset(progress.to_void[1:]))


def not_voided(progress: Progress[K]) -> Progress[K]:
    """The void was refused or not answered: something moved."""
    return replace(progress, step=Step.LOOK, to_void=(), known=frozenset(), outcome=None)


def entered(progress: Progress[K]) -> Progress[K]:
    """The begun send is in the ledger."""
    return replace(progress, step=Step.SEND)


def not_entered(progress: Progress[K]) -> Progress[K]:
    """No answer: the entry may be there, or come later."""
    return replace(progress, step=Step.LOOK, known=frozenset())


def submitted(progress: Progress[K]) -> Progress[K]:
    """Exchange took the mail."""
    return replace(progress, step=Step.CLOSE)


def not_submitted(progress: Progress[K]) -> Progress[K]:
    """SendItem was not answered: it may have worked, now or later. Another call is another entry."""
    return replace(progress, step=Step.LOOK, known=frozenset(), call=progress.call + 1)


def not_made(progress: Progress[K]) -> Progress[K]:
    """SendItem was refused, or not called: its entry serves for the next call."""
    return replace(progress, step=Step.LOOK, known=frozenset())


def closed() -> Progress[K]:
    """The entry is marked as done, or is not: the answer of SendItem is enough."""
    return Progress(Step.REPORT, outcome=Outcome.SENT)


def discarded(progress: Progress[K]) -> Progress[K]:
    """One's own draft is deleted, or is not: the sweep takes it later."""
    return Progress(Step.REPORT, outcome=progress.outcome)


def _report(progress: Progress[K], outcome: Outcome) -> Progress[K]:
    # Only the creator sends a draft. This one will not any more, and has not begun to: nothing can hang on it, and
    # people would find it among their drafts.
    if progress.own is not None and not progress.begun:
        return Progress(Step.DISCARD, own=progress.own, outcome=outcome)
    return Progress(Step.REPORT, outcome=outcome)


def _clear(progress: Progress[K], drafts: frozenset[K]) -> Progress[K]:
    """Void every draft, one's own too; then the request is ended, or starts again."""
    if drafts:
        return replace(progress, step=Step.VOID, to_void=tuple(sorted(drafts, key=repr)))
    if progress.ending:
        return Progress(Step.REPORT, outcome=progress.outcome)
    return Progress(Step.AGAIN)
