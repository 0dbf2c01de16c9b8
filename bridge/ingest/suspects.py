"""Which mails of one mailbox failed alone, and so may be what is wrong themselves."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.domain.mail import MailRef

_REMEMBERED = 10_000
_FAILURE_LIMIT = 3


class Suspects:
    """A mail that fails again and again while others pass is at fault itself; until one passes, Exchange may be."""

    def __init__(self) -> None:
        self._failures: OrderedDict[str, int] = OrderedDict()
        self._isolated: OrderedDict[str, int] = OrderedDict()
        self._passed = 0

    def count_pass(self) -> None:
        """Note that a mail was published."""
        self._passed += 1

    def count_failure(self, ref: MailRef) -> bool:
        """Note that a mail failed alone; return True once it has done so too often to be chance."""
        times = self._failures.pop(ref.item_id, 0) + 1
        if times >= _FAILURE_LIMIT:
            return True
        self._failures[ref.item_id] = times
        while len(self._failures) > _REMEMBERED:
            self._failures.popitem(last=False)
        return False

    def isolate(self, ref: MailRef) -> None:
        """Note that a mail failed as if Exchange were at fault; whether it is the mail shows when others pass."""
        self._isolated[ref.item_id] = self._passed
        while len(self._isolated) > _REMEMBERED:
            self._isolated.popitem(last=False)

    def is_proved_bad(self, ref: MailRef) -> bool:
        """Return whether others have passed since a mail was isolated, so that it is not Exchange."""
        return self._passed > self._isolated.get(ref.item_id, self._passed)

    def forget(self, ref: MailRef) -> None:
        """Drop what was held against a mail."""
        self._failures.pop(ref.item_id, None)
        self._isolated.pop(ref.item_id, None)
