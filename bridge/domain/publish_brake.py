"""
The last wall against repeats: how often one mail is published, whatever the reason.

That a mail is published once rests on assumptions: that a removed mail is gone, that no rule or configuration brings it
back, that the broker's answers are true. On the day on which one of them is wrong this bound still holds.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

PUBLISHES_PER_HOUR: Final = 20
"""Most publishes of one message_id by one worker within any hour: half of them at once, the others spread out."""
_AT_ONCE: Final = PUBLISHES_PER_HOUR // 2
_EVERY_SECONDS: Final = 3600.0 / (PUBLISHES_PER_HOUR - _AT_ONCE)
_REMEMBERED: Final = 100_000
_FORGET_EVERY_SECONDS: Final = 60.0


@dataclass(slots=True)
class PublishBrake:
    """
    Counts the publishes of each mail of one mailbox; times are those of a monotonic clock, in seconds.

    A publish that may have left a copy counts, confirmed or not. One that the broker returned left none: it is taken
    back, so that a mail that no queue wants passes as soon as one does.

    What is known of a mail is one number: when all its publishes will be forgotten, each after its share of the hour.
    Once as many mails are remembered as there is room for, new ones are not counted until some are forgotten. To forget
    the old ones instead would let a loop of many mails pass uncounted.
    """

    room: int = _REMEMBERED
    _forgotten_at: dict[int, float] = field(default_factory=dict)
    _swept_at: float = field(default=float("-inf"))

    def allows(self, message_id: str, now: float) -> bool:
        """Whether a mail may be published now."""
        ends = self._forgotten_at.get(hash(message_id), now)
        return ends - now <= (_AT_ONCE - 1) * _EVERY_SECONDS

    def count(self, message_id: str, now: float) -> None:
        """Note that a mail is being published."""
        key = hash(message_id)
        if key not in self._forgotten_at and not self._has_room(now):
            return
        self._forgotten_at[key] = max(self._forgotten_at.get(key, now), now) + _EVERY_SECONDS

    def take_back(self, message_id: str) -> None:
        """Note that a publish that was counted certainly left no copy anywhere."""
        key = hash(message_id)
        if key in self._forgotten_at:
            self._forgotten_at[key] -= _EVERY_SECONDS

    def _has_room(self, now: float) -> bool:
        if len(self._forgotten_at) >= self.room and now - self._swept_at >= _FORGET_EVERY_SECONDS:
            self._swept_at = now
            self._forgotten_at = {key: ends for key, ends in self._forgotten_at.items() if ends > now}
        return len(self._forgotten_at) < self.room
