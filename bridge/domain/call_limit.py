"""
How many calls of one mailbox may be in progress at a time: as many as make its work faster, and no more.

Calls beyond what the other side works on at a time only wait there. How many do is told by how much longer a call takes
than the quickest of its kind. Few waiting: one more call is let in. Many: one less. A refusal for asking too much
halves the limit at once. Now and then half as many are let in for a moment, to see how quick a call is that does not
wait. Nobody has to find out the right number for a server, a network or an hour of the day.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Hashable

MOST_BY_EXCHANGE: Final = 27
"""Calls in progress for one mailbox and one app: `EWSMaxConcurrency` of Exchange Online's throttling policy."""
_FEW_WAITING: Final = 1.0
_MANY_WAITING: Final = 3.0
_LOOK_EVERY: Final = 200
"""So many calls that used the whole limit; the quickest may have been quick on a network that is no more."""
_KINDS_REMEMBERED: Final = 64


@dataclass(slots=True)
class CallLimit:
    """Adapts between one and `most`; begins with all of them, so that a night's backlog waits for no trial."""

    most: int
    _size: float = field(init=False)
    _round: int = field(default=0)
    _since_look: int = field(default=0)
    _look_left: int = field(default=0)
    _quickest: OrderedDict[Hashable, float] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        """Never let more in than Exchange takes."""
        self.most = max(1, min(self.most, MOST_BY_EXCHANGE))
        self._size = float(self.most)

    @property
    def allowed(self) -> int:
        """How many calls may be in progress now."""
        return max(1, int(self._size) // 2) if self._look_left else int(self._size)

    @property
    def size(self) -> int:
        """How many are allowed but for the moments in which fewer are let in to look."""
        return int(self._size)

    @property
    def round(self) -> int:
        """A call notes this as it begins: a limit that was lowered meanwhile is not lowered for that call again."""
        return self._round

    def change(self, most: int) -> None:
        """Have another bound from now on; what was learnt below it stays."""
        was_all = self._size >= self.most
        self.most = max(1, min(most, MOST_BY_EXCHANGE))
        self._size = float(self.most) if was_all else min(self._size, float(self.most))

    def refused(self, begun_in: int) -> None:
        """Note that a call was refused because there were too many, or got no answer for very long."""
        if begun_in == self._round:
            self._round += 1
            self._size = max(1.0, self._size / 2)

    def answered(self, kind: Hashable, seconds: float, *, in_progress: int) -> None:
        """Note that a call took so long while so many were in progress, itself among them; `kind` is of like calls."""
        quickest = min(seconds, self._quickest.pop(kind, seconds))
        self._quickest[kind] = quickest
        while len(self._quickest) > _KINDS_REMEMBERED:
            self._quickest.popitem(last=False)
        if self._look_left:
            self._look_left -= 1
            return
        if in_progress < self.allowed:
            return  # whether there could be more does not show
        self._since_look += 1
        if self._since_look >= _LOOK_EVERY:
            self._since_look = 0
            self._quickest.clear()
            if self._size > _MANY_WAITING:  # otherwise what waits is too little to lower the limit for
                self._look_left = 2 * int(self._size)
            return
        waiting = in_progress * (1.0 - quickest / seconds) if seconds > 0 else 0.0
        if waiting < _FEW_WAITING:
            self._size = min(float(self.most), self._size + 1.0 / self._size)
        elif waiting > _MANY_WAITING:
            self._size = max(1.0, self._size - 1.0 / self._size)
