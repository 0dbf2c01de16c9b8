"""What a mailbox reader remembers between passes: receipts, mails that stay, and whom to blame. Lost without harm."""

from __future__ import annotations

import sys
from collections import Counter, OrderedDict
from dataclasses import dataclass
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

from bridge.domain.refusals import RefusedKey, may_repeat, recent
from bridge.errors import MessageError, OperatorError, PublishRefused, PublishUnroutable, RemovalImpossible
from bridge.telemetry.ingest_events import MailKept

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from bridge.domain.known_front import Standing
    from bridge.domain.mail import MailRef
    from bridge.errors import BridgeError
    from bridge.ports.broker import PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit

_REMOVED_REMEMBERED = 5_000
_KEPT_REMEMBERED = 10_000
_UNWANTED_REMEMBERED = 100_000
_SOON_SECONDS = 5.0
"""What is tried again sooner is listed each time."""
_DUE_WHEN_FULL = 100
"""Where more mails stay than are remembered, so many of a listing are fetched again each time."""
_REFUSED_REMEMBERED = 100_000
_BLAME_LIMIT = 3
_UNWANTED_AT_FIRST = 10
_LOOK_FURTHER = 4
STUCK_LIMIT = 10
"""So many published mails may resist removal before the mailbox pauses: each would be repeated by a restart."""
_REAPPEARANCES = 5


@dataclass(frozen=True, slots=True)
class _Stuck:
    ref: MailRef
    receipt: PublishReceipt
    due_at: float
    code: str
    """Why it cannot be removed."""


class MailMemory:
    """
    Bounded, in memory only: the mailbox and the broker hold all that matters.

    Held: confirmed, not removed yet; removal is retried without a second publish. Kept: stays in the inbox and is
    passed over until it is due again. Unwanted: kept because no queue takes its routing key; of all that are kept for
    one key a single mail is tried now and then, and they are due when it passes. Refused: kept because a queue of its
    routing key refused it; others may hold copies, so it is tried again as seldom as `bridge.domain.refusals` says.
    Stuck: confirmed, and Exchange refuses to let just this one go; its removal is tried again later, it is never
    published again. Removed: seen in a stale listing, it is removed again, not published again.
    """

    def __init__(self, alias: str, clock: Clock, emit: Emit, *, keep_seconds: float) -> None:
        self._alias = alias
        self._clock = clock
        self._emit = emit
        self._keep_seconds = keep_seconds
        self._held: dict[str, tuple[MailRef, PublishReceipt]] = {}
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._unwanted: dict[str, float] = {}
        """Routing keys that no queue takes, and when a mail of theirs is tried next."""
        self._unwanted_mails: OrderedDict[int, tuple[str, float]] = OrderedDict()
        """There may be very many: of each only the hash of its id, its routing key, and when it is due."""
        self.unwanted_limit = _UNWANTED_AT_FIRST
        """After so many mails in a row that no queue wants, or that are refused, a page ends."""
        self._refused_keys: dict[str, RefusedKey] = {}
        self._refused: OrderedDict[int, tuple[str, tuple[float, ...]]] = OrderedDict()
        """Of each mail only the hash of its id, its routing key, and when it was published."""
        self._stuck: dict[str, _Stuck] = {}
        self._removed: OrderedDict[str, tuple[PublishReceipt, int]] = OrderedDict()
        self._blamed: OrderedDict[str, int] = OrderedDict()
        self._suspects: OrderedDict[str, int] = OrderedDict()
        self._passed = 0
        self.changes = 0
        """How often mails that stayed were found to pass, perhaps: they should be listed again."""
        self.removed_count = 0
        """How many mails have left their folder since this worker began."""

    def hold(self, ref: MailRef, receipt: PublishReceipt) -> None:
        """Remember a receipt until its mail is removed."""
        self._held[ref.item_id] = (ref, receipt)
        self._passed += 1
        self.forget(ref)

    @property
    def held_count(self) -> int:
        """How many mails are confirmed and not yet removed."""
        return len(self._held)

    @property
    def owes(self) -> bool:
        """Whether any mail is confirmed and not removed: another reader would publish it again."""
        return bool(self._held or self._stuck)

    def held(self) -> Sequence[tuple[MailRef, PublishReceipt]]:
        """Return the mails that are confirmed and not yet removed, oldest receipt first."""
        return list(self._held.values())

    def removed(self, ref: MailRef) -> None:
        """Note that a held mail was removed; its receipt stays for a while, against stale listings."""
        _, receipt = self._held.pop(ref.item_id)
        self.removed_count += 1
        seen = self._removed.pop(ref.item_id)[1] if ref.item_id in self._removed else 0
        self._removed[ref.item_id] = (receipt, seen)
        while len(self._removed) > _REMOVED_REMEMBERED:
            self._removed.popitem(last=False)

    def stick(self, ref: MailRef, code: str = RemovalImpossible.code) -> None:
        """Pass over a held mail that Exchange will not let go, and say so each time anew."""
        _, receipt = self._held.pop(ref.item_id)
        self._stuck[ref.item_id] = _Stuck(ref, receipt, self._clock.monotonic() + self._keep_seconds, code)
        self._emit(MailKept(self._alias, ref.message_id, code))

    @property
    def stuck_code(self) -> str | None:
        """Why most of the stuck mails are; None where none is."""
        return next((code for code, _ in Counter(one.code for one in self._stuck.values()).most_common(1)), None)

    @property
    def too_many_stuck(self) -> bool:
        """Whether more would be too many to repeat after a restart."""
        return len(self._stuck) >= STUCK_LIMIT

    def try_stuck_again(self) -> None:
        """Hold all stuck mails: the next removal tries them."""
        for item_id in list(self._stuck):
            self._hold_stuck(item_id)

    def _hold_stuck(self, item_id: str) -> None:
        stuck = self._stuck.pop(item_id)
        self._held[item_id] = (stuck.ref, stuck.receipt)

    def keep(self, ref: MailRef, code: str, *, at_most_seconds: float = inf, unwanted_key: str | None = None) -> None:
        """Pass over a mail for a while, and say so each time anew."""
        due_at = self._clock.monotonic() + min(self._keep_seconds, at_most_seconds)
        self._drop(ref)
        if unwanted_key is not None:
            self._unwanted.setdefault(unwanted_key, due_at)
            self._unwanted_mails[hash(ref.item_id)] = (sys.intern(unwanted_key), due_at)
        else:
            self._kept[ref.item_id] = (code, due_at)
        while len(self._kept) > _KEPT_REMEMBERED:
            self._kept.popitem(last=False)
        while len(self._unwanted_mails) > _UNWANTED_REMEMBERED:
            self._unwanted_mails.popitem(last=False)
        self._emit(MailKept(self._alias, ref.message_id, code))

    def refuse(self, ref: MailRef, routing_key: str) -> None:
        """Pass over a mail that was published and refused; it is tried again seldom."""
        now = self._clock.monotonic()
        _, before = self._refused.pop(hash(ref.item_id), ("", ()))
        self._drop(ref)
        self._refused[hash(ref.item_id)] = (sys.intern(routing_key), (*recent(before, now), now))
        while len(self._refused) > _REFUSED_REMEMBERED:
            self._refused.popitem(last=False)
        self._refused_keys.setdefault(routing_key, RefusedKey(now)).refuse(now)
        self._emit(MailKept(self._alias, ref.message_id, PublishRefused.code))

    @property
    def refused_keys(self) -> Sequence[str]:
        """The routing keys whose latest publish was refused."""
        return sorted(key for key, state in self._refused_keys.items() if not state.passed)

    def wanted(self, routing_key: str) -> None:
        """Note that every queue took a mail of this routing key: whatever was kept for it may pass, too."""
        if self._unwanted.pop(routing_key, None) is not None:
            self.changes += 1
        if (state := self._refused_keys.get(routing_key)) is not None:
            self.changes += not state.passed
            state.confirm()
        self.unwanted_limit = _UNWANTED_AT_FIRST

    def look_further(self) -> None:
        """Let the next page look at more mails than this one: others, that are wanted, may wait behind them."""
        self.unwanted_limit = min(_KEPT_REMEMBERED, self.unwanted_limit * _LOOK_FURTHER)

    def forget(self, ref: MailRef) -> None:
        """Drop what was held against a mail."""
        self._drop(ref)
        self._refused.pop(hash(ref.item_id), None)
        self._blamed.pop(ref.item_id, None)
        self._suspects.pop(ref.item_id, None)

    def try_again(self, code: str) -> None:
        """Pass over none any longer that is kept for this."""
        for item_id in [item_id for item_id, (why, _) in self._kept.items() if why == code]:
            del self._kept[item_id]
            self.changes += 1

    def _drop(self, ref: MailRef) -> None:
        self._kept.pop(ref.item_id, None)
        self._unwanted_mails.pop(hash(ref.item_id), None)

    def blame(self, ref: MailRef) -> bool:
        """Note that a mail failed alone; return True once it has done so too often to be chance."""
        times = self._blamed.pop(ref.item_id, 0) + 1
        if times >= _BLAME_LIMIT:
            return True
        self._blamed[ref.item_id] = times
        while len(self._blamed) > _KEPT_REMEMBERED:
            self._blamed.popitem(last=False)
        return False

    def suspect(self, ref: MailRef) -> None:
        """Note that a mail failed as if Exchange were at fault; whether it is the mail shows when others pass."""
        self._suspects[ref.item_id] = self._passed
        while len(self._suspects) > _KEPT_REMEMBERED:
            self._suspects.popitem(last=False)

    def is_proved_bad(self, ref: MailRef) -> bool:
        """Whether others have passed since a mail was suspected, so that it is not Exchange."""
        return self._passed > self._suspects.get(ref.item_id, self._passed)

    def kept_code(self, ref: MailRef) -> str | None:
        """Return why a mail stays, None where it does not."""
        if ref.item_id in self._stuck:
            return self._stuck[ref.item_id].code
        if hash(ref.item_id) in self._unwanted_mails:
            return PublishUnroutable.code
        if hash(ref.item_id) in self._refused:
            return PublishRefused.code
        kept = self._kept.get(ref.item_id)
        return kept[0] if kept is not None else None

    def standing(self, ref: MailRef) -> tuple[Standing, str]:
        """Return whether a mail that was listed stays for longer than a moment, and why; or is gone by now."""
        if ref.item_id in self._removed and ref.item_id not in self._held:
            return "gone", ""
        code = self.kept_code(ref)
        return ("else" if code is None or self._may_pass_soon(ref) else "stays"), code or ""

    def _may_pass_soon(self, ref: MailRef) -> bool:
        if (unwanted := self._unwanted_mails.get(hash(ref.item_id))) is not None:
            return unwanted[0] not in self._unwanted
        if (refused := self._refused.get(hash(ref.item_id))) is not None:
            return self._refused_keys[refused[0]].passed > 0
        kept = self._kept.get(ref.item_id)
        return kept is not None and kept[1] < self._clock.monotonic() + min(_SOON_SECONDS, self._keep_seconds)

    def due(self, refs: Sequence[MailRef]) -> Sequence[MailRef]:
        """
        Return which listed mails are to be published now, each once.

        A mail that was removed and is listed again goes back to the held ones.
        """
        publish, now = {}, self._clock.monotonic()
        repeats = self._repeats(refs, now)
        for ref in refs:
            if ref.item_id in self._held:
                continue
            if ref.item_id in self._stuck:
                if now >= self._stuck[ref.item_id].due_at:
                    self._hold_stuck(ref.item_id)
                continue
            if ref.item_id in self._removed:
                receipt, seen = self._removed[ref.item_id]
                self._removed[ref.item_id] = (receipt, seen + 1)
                self._held[ref.item_id] = (ref, receipt)
                continue
            if hash(ref.item_id) in self._refused and ref.item_id not in repeats:
                continue
            if self._is_due(ref, now):
                publish[ref.item_id] = ref
        full = len(self._unwanted_mails) >= _UNWANTED_REMEMBERED or len(self._refused) >= _REFUSED_REMEMBERED
        return list(publish.values())[: _DUE_WHEN_FULL if full else None]

    def _repeats(self, refs: Sequence[MailRef], now: float) -> Set[str]:
        """Return the ids of the refused mails that are tried again now."""
        waiting: dict[str, list[tuple[int, MailRef]]] = {}
        for ref in refs:
            if (refused := self._refused.get(hash(ref.item_id))) is not None and ref.item_id not in self._held:
                key, published_at = refused
                if may_repeat(published_at, now, is_open=self._refused_keys[key].is_open):
                    waiting.setdefault(key, []).append((len(recent(published_at, now)), ref))
        chosen: set[str] = set()
        for key, mails in waiting.items():
            state = self._refused_keys[key]
            if not state.passed:
                mails.sort(key=itemgetter(0))  # not always the same one: each try may leave a copy of it
            chosen.update(ref.item_id for _, ref in mails[: state.take(now, len(mails))])
        return chosen

    def _is_due(self, ref: MailRef, now: float) -> bool:
        unwanted = self._unwanted_mails.get(hash(ref.item_id))
        if unwanted is not None and (key := unwanted[0]) in self._unwanted:
            # All of them would be fetched over and over for nothing: one tells whether there is a queue by now.
            if now < self._unwanted[key]:
                return False
            self._unwanted[key] = now + self._keep_seconds
            return True
        kept = unwanted or self._kept.get(ref.item_id)
        return kept is None or now >= kept[1]

    def irremovable(self, refs: Sequence[MailRef]) -> bool:
        """
        Return True if one of these listed mails was removed again and again, and Exchange says that it is gone.

        ErrorItemNotFound means "gone" or "no right": the listing tells which.
        """
        removed = (self._removed.get(ref.item_id) for ref in refs)
        return any(entry is not None and entry[1] >= _REAPPEARANCES for entry in removed)


def removal_error(error: BridgeError) -> BridgeError:
    """A removal that a person must make possible stops the reading: more would be repeated for ever after a restart."""
    if not isinstance(error, OperatorError | MessageError):
        return error
    told = f" ({error.detail})" if error.detail else ""
    return RemovalImpossible(f"published mails cannot be removed{told}", code=removal_code(error))


def removal_code(error: BridgeError) -> str:
    """Return what a person mends: the reason that `bridge check` gives, where the refusal has one."""
    return error.code if isinstance(error, OperatorError) else RemovalImpossible.code
