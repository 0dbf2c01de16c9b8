"""How long a mail waits so that no more go out than Exchange takes: sliding windows over the sends that were begun."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable

MINUTE_SECONDS = 60.0
DAY_SECONDS = 24 * 3600.0


class Begun(NamedTuple):
    """One begun send: when, in seconds on the clock of the one who asks, and to how many recipients."""

    at: float
    recipients: int


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What Exchange takes from a mailbox; None is "unlimited". Defaults are those of Exchange Online."""

    per_minute: int | None = 30
    recipients_per_day: int | None = 10_000

    @property
    def kept_for_urgent(self) -> int:
        """How many of a minute's mails ordinary requests leave alone, so that an urgent one need not wait for them."""
        return (self.per_minute or 0) // 10


def wait_seconds(begun: Iterable[Begun], now: float, limits: RateLimits, *, recipients: int, urgent: bool) -> float:
    """
    Return how long a mail has to wait, 0 if it may go now.

    A mail with more recipients than a whole day allows goes when the day is empty: Exchange decides.
    """
    sends = sorted(begun)
    waits = [0.0]
    if limits.per_minute is not None:
        allowed = max(1, limits.per_minute - (0 if urgent else limits.kept_for_urgent))
        recent = [send.at for send in sends if send.at > now - MINUTE_SECONDS]
        if len(recent) >= allowed:
            waits.append(recent[-allowed] + MINUTE_SECONDS - now)
    if limits.recipients_per_day is not None:
        today = [send for send in sends if send.at > now - DAY_SECONDS]
        used = sum(send.recipients for send in today)
        for send in today:
            if used + recipients <= limits.recipients_per_day:
                break
            used -= send.recipients
            waits.append(send.at + DAY_SECONDS - now)
    return max(waits)


class SendWindow:
    """The begun sends of the last day, in memory; read from the ledger at the start."""

    def __init__(self, limits: RateLimits, begun: Iterable[Begun] = ()) -> None:
        self._limits = limits
        self._begun = deque(sorted(begun))

    def wait_seconds(self, now: float, *, recipients: int, urgent: bool) -> float:
        """Return how long a mail has to wait, 0 if it may go now."""
        self._forget(now)
        return wait_seconds(self._begun, now, self._limits, recipients=recipients, urgent=urgent)

    def change(self, limits: RateLimits) -> None:
        """Count against other numbers from now on; what was limited stays limited."""
        self._limits = limits

    def take(self, now: float, recipients: int) -> Begun:
        """Count a mail as begun."""
        begun = Begun(now, recipients)
        self._begun.append(begun)
        return begun

    def read_anew(self, begun: Iterable[Begun]) -> None:
        """Forget what was counted: these are the sends of everybody."""
        self._begun = deque(sorted(begun))

    def give_back(self, begun: Begun) -> None:
        """Count a mail no more: it was not begun after all."""
        if begun in self._begun:
            self._begun.remove(begun)

    def left(self, now: float) -> tuple[float, float]:
        """Return how many mails may go at once, and how many recipients are left of the day; inf is unlimited."""
        self._forget(now)
        minute = sum(1 for send in self._begun if send.at > now - MINUTE_SECONDS)
        day = sum(send.recipients for send in self._begun)
        per_minute, per_day = self._limits.per_minute, self._limits.recipients_per_day
        return (
            max(0, per_minute - minute) if per_minute is not None else float("inf"),
            max(0, per_day - day) if per_day is not None else float("inf"),
        )

    def _forget(self, now: float) -> None:
        kept = DAY_SECONDS if self._limits.recipients_per_day is not None else MINUTE_SECONDS
        while self._begun and self._begun[0].at <= now - kept:
            self._begun.popleft()
