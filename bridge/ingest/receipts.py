"""The receipts of one mailbox: which mails the broker confirmed, and which of these could not be removed yet."""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.errors import RemovalImpossible
from bridge.telemetry.ingest_events import MailKept

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import MailRef
    from bridge.ports.broker import PublishReceipt
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit

_REMOVED_REMEMBERED = 5_000
UNREMOVABLE_LIMIT = 10
"""So many published mails may resist removal before the mailbox pauses: each would be repeated by a restart."""
_REAPPEARANCES = 5


@dataclass(frozen=True, slots=True)
class _Unremovable:
    ref: MailRef
    receipt: PublishReceipt
    due_at: float
    code: str
    """Why it cannot be removed."""


class Receipts:
    """
    Held: confirmed, not removed yet; removal is retried without a second publish.

    Unremovable: confirmed, and Exchange refuses to let just this one go; its removal is tried again later, it is never
    published again. Removed: seen in a stale listing, it is removed again, not published again.
    """

    def __init__(self, alias: str, clock: Clock, emit: Emit, *, keep_seconds: float) -> None:
        self._alias = alias
        self._clock = clock
        self._emit = emit
        self._keep_seconds = keep_seconds
        self._held: dict[str, tuple[MailRef, PublishReceipt]] = {}
        self._unremovable: dict[str, _Unremovable] = {}
        self._removed: OrderedDict[str, tuple[PublishReceipt, int]] = OrderedDict()
        self.removed_count = 0
        """How many mails have left their folder since this worker began."""

    def hold(self, ref: MailRef, receipt: PublishReceipt) -> None:
        """Remember a receipt until its mail is removed."""
        self._held[ref.item_id] = (ref, receipt)

    @property
    def held_count(self) -> int:
        """How many mails are confirmed and not yet removed."""
        return len(self._held)

    @property
    def owes(self) -> bool:
        """Whether any mail is confirmed and not removed: another reader would publish it again."""
        return bool(self._held or self._unremovable)

    def held(self) -> Sequence[tuple[MailRef, PublishReceipt]]:
        """Return the mails that are confirmed and not yet removed, oldest receipt first."""
        return list(self._held.values())

    def mark_removed(self, ref: MailRef) -> None:
        """Note that a held mail was removed; its receipt stays for a while, against stale listings."""
        _, receipt = self._held.pop(ref.item_id)
        self.removed_count += 1
        seen = self._removed.pop(ref.item_id)[1] if ref.item_id in self._removed else 0
        self._removed[ref.item_id] = (receipt, seen)
        while len(self._removed) > _REMOVED_REMEMBERED:
            self._removed.popitem(last=False)

    def mark_unremovable(self, ref: MailRef, code: str = RemovalImpossible.code) -> None:
        """Pass over a held mail that Exchange will not let go, and say so each time anew."""
        _, receipt = self._held.pop(ref.item_id)
        due_at = self._clock.monotonic() + self._keep_seconds
        self._unremovable[ref.item_id] = _Unremovable(ref, receipt, due_at, code)
        self._emit(MailKept(self._alias, ref.message_id, code))

    @property
    def unremovable_code(self) -> str | None:
        """Why most of the unremovable mails are; None where none is."""
        codes = Counter(one.code for one in self._unremovable.values())
        return next((code for code, _ in codes.most_common(1)), None)

    @property
    def too_many_unremovable(self) -> bool:
        """Whether more would be too many to repeat after a restart."""
        return len(self._unremovable) >= UNREMOVABLE_LIMIT

    def retry_unremovable(self) -> None:
        """Hold all unremovable mails: the next removal tries them."""
        for item_id in list(self._unremovable):
            self._hold_again(item_id)

    def _hold_again(self, item_id: str) -> None:
        one = self._unremovable.pop(item_id)
        self._held[item_id] = (one.ref, one.receipt)

    def covers(self, ref: MailRef) -> bool:
        """
        Return whether a listed mail was published before, so that it must not be published again.

        One that was removed and is listed again, or whose removal is due to be tried again, goes back to the held ones.
        """
        if ref.item_id in self._held:
            return True
        if ref.item_id in self._unremovable:
            if self._clock.monotonic() >= self._unremovable[ref.item_id].due_at:
                self._hold_again(ref.item_id)
            return True
        if ref.item_id in self._removed:
            receipt, seen = self._removed[ref.item_id]
            self._removed[ref.item_id] = (receipt, seen + 1)
            self._held[ref.item_id] = (ref, receipt)
            return True
        return False

    def holds(self, ref: MailRef) -> bool:
        """Return whether a mail is confirmed and waits for its removal."""
        return ref.item_id in self._held

    def is_gone(self, ref: MailRef) -> bool:
        """Return whether a mail that was listed has been removed by now."""
        return ref.item_id in self._removed and ref.item_id not in self._held

    def code(self, ref: MailRef) -> str | None:
        """Return why a published mail stays, None where it does not."""
        return self._unremovable[ref.item_id].code if ref.item_id in self._unremovable else None

    def irremovable(self, refs: Sequence[MailRef]) -> bool:
        """
        Return True if one of these listed mails was removed again and again, and Exchange says that it is gone.

        ErrorItemNotFound means "gone" or "no right": the listing tells which.
        """
        removed = (self._removed.get(ref.item_id) for ref in refs)
        return any(entry is not None and entry[1] >= _REAPPEARANCES for entry in removed)
