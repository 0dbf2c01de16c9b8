"""Which mails of one mailbox stay in it for now, why, and when each is tried again."""

from __future__ import annotations

import sys
from collections import OrderedDict
from math import inf
from operator import itemgetter
from typing import TYPE_CHECKING

from bridge.domain.refusals import RefusedKey, may_repeat, recent
from bridge.errors import PublishRefused, PublishUnroutable
from bridge.telemetry.ingest_events import MailKept

if TYPE_CHECKING:
    from collections.abc import Sequence, Set

    from bridge.domain.mail import MailRef
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit

_DEFERRED_REMEMBERED = 10_000
_UNROUTABLE_REMEMBERED = 100_000
_REFUSED_REMEMBERED = 100_000
_DUE_WHEN_FULL = 100
"""Where more mails stay than are remembered, so many of a listing are fetched again each time."""
_SOON_SECONDS = 5.0
"""What is tried again sooner is listed each time."""
_UNTAKEN_AT_FIRST = 10
_LOOK_FURTHER = 4


class Deferrals:
    """
    Deferred: stays in the inbox and is passed over until it is due again.

    Unroutable: deferred because no queue takes its routing key; of all that are deferred for one key a single mail is
    tried now and then, and they are due when it passes. Refused: deferred because a queue of its routing key refused
    it; others may hold copies, so it is tried again as seldom as `bridge.domain.refusals` says.
    """

    def __init__(self, alias: str, clock: Clock, emit: Emit, *, keep_seconds: float) -> None:
        self._alias = alias
        self._clock = clock
        self._emit = emit
        self._keep_seconds = keep_seconds
        self._deferred: OrderedDict[str, tuple[str, float]] = OrderedDict()
        self._unroutable_keys: dict[str, float] = {}
        """Routing keys that no queue takes, and when a mail of theirs is tried next."""
        self._unroutable: OrderedDict[int, tuple[str, float]] = OrderedDict()
        """There may be very many: of each only the hash of its id, its routing key, and when it is due."""
        self._refused_keys: dict[str, RefusedKey] = {}
        self._refused: OrderedDict[int, tuple[str, tuple[float, ...]]] = OrderedDict()
        """Of each mail only the hash of its id, its routing key, and when it was published."""
        self.untaken_limit = _UNTAKEN_AT_FIRST
        """After so many mails in a row that no queue takes, or that are refused, a page ends."""
        self.changes = 0
        """How often mails that stayed were found to pass, perhaps: they should be listed again."""

    def defer(
        self, ref: MailRef, code: str, *, at_most_seconds: float = inf, unroutable_key: str | None = None
    ) -> None:
        """Pass over a mail for a while, and say so each time anew."""
        due_at = self._clock.monotonic() + min(self._keep_seconds, at_most_seconds)
        self._drop(ref)
        if unroutable_key is not None:
            self._unroutable_keys.setdefault(unroutable_key, due_at)
            self._unroutable[hash(ref.item_id)] = (sys.intern(unroutable_key), due_at)
        else:
            self._deferred[ref.item_id] = (code, due_at)
        while len(self._deferred) > _DEFERRED_REMEMBERED:
            self._deferred.popitem(last=False)
        while len(self._unroutable) > _UNROUTABLE_REMEMBERED:
            self._unroutable.popitem(last=False)
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

    def confirm(self, routing_key: str) -> None:
        """Note that every queue took a mail of this routing key: whatever was deferred for it may pass, too."""
        if self._unroutable_keys.pop(routing_key, None) is not None:
            self.changes += 1
        if (state := self._refused_keys.get(routing_key)) is not None:
            self.changes += not state.passed
            state.confirm()
        self.untaken_limit = _UNTAKEN_AT_FIRST

    def look_further(self) -> None:
        """Let the next page look at more mails than this one: others, that are taken, may wait behind them."""
        self.untaken_limit = min(_DEFERRED_REMEMBERED, self.untaken_limit * _LOOK_FURTHER)

    def forget(self, ref: MailRef) -> None:
        """Drop what is known of a mail, which passed or was parked."""
        self._drop(ref)
        self._refused.pop(hash(ref.item_id), None)

    def try_again(self, code: str) -> None:
        """Pass over none any longer that is deferred for this."""
        for item_id in [item_id for item_id, (why, _) in self._deferred.items() if why == code]:
            del self._deferred[item_id]
            self.changes += 1

    def _drop(self, ref: MailRef) -> None:
        self._deferred.pop(ref.item_id, None)
        self._unroutable.pop(hash(ref.item_id), None)

    def code(self, ref: MailRef) -> str | None:
        """Return why a mail stays, None where it does not."""
        if hash(ref.item_id) in self._unroutable:
            return PublishUnroutable.code
        if hash(ref.item_id) in self._refused:
            return PublishRefused.code
        deferred = self._deferred.get(ref.item_id)
        return deferred[0] if deferred is not None else None

    def may_pass_soon(self, ref: MailRef) -> bool:
        """Return whether a mail that stays should be listed each time."""
        if (unroutable := self._unroutable.get(hash(ref.item_id))) is not None:
            return unroutable[0] not in self._unroutable_keys
        if (refused := self._refused.get(hash(ref.item_id))) is not None:
            return self._refused_keys[refused[0]].passed > 0
        deferred = self._deferred.get(ref.item_id)
        return deferred is not None and deferred[1] < self._clock.monotonic() + min(_SOON_SECONDS, self._keep_seconds)

    def due(self, refs: Sequence[MailRef]) -> Sequence[MailRef]:
        """Return which listed mails are to be published now, each once."""
        now = self._clock.monotonic()
        repeats = self._repeats(refs, now)
        due = {
            ref.item_id: ref
            for ref in refs
            if (hash(ref.item_id) not in self._refused or ref.item_id in repeats) and self._is_due(ref, now)
        }
        full = len(self._unroutable) >= _UNROUTABLE_REMEMBERED or len(self._refused) >= _REFUSED_REMEMBERED
        return list(due.values())[: _DUE_WHEN_FULL if full else None]

    def _repeats(self, refs: Sequence[MailRef], now: float) -> Set[str]:
        """Return the ids of the refused mails that are tried again now."""
        waiting: dict[str, list[tuple[int, MailRef]]] = {}
        for ref in refs:
            if (refused := self._refused.get(hash(ref.item_id))) is not None:
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
        unroutable = self._unroutable.get(hash(ref.item_id))
        if unroutable is not None and (key := unroutable[0]) in self._unroutable_keys:
            # All of them would be fetched over and over for nothing: one tells whether there is a queue by now.
            if now < self._unroutable_keys[key]:
                return False
            self._unroutable_keys[key] = now + self._keep_seconds
            return True
        deferred = unroutable or self._deferred.get(ref.item_id)
        return deferred is None or now >= deferred[1]
