"""How long a mail waits so that no more go out than Exchange takes: sliding windows over the sends that were begun."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

EXCHANGE_ONLINE_MAILS_PER_MINUTE: Final = 30
EXCHANGE_ONLINE_RECIPIENTS_PER_DAY: Final = 10_000
"""What Exchange Online sends for a mailbox (learn.microsoft.com, "Exchange Online limits")."""
MINUTE_SECONDS = 60.0
DAY_SECONDS = 24 * 3600.0
OPEN_SECONDS = 180.0
"""So long a begun send that is not marked as done counts; its mail goes out in the first minutes, or not at all."""
_CLOCK_SECONDS = 1.0  # Exchange tells times to the second


@dataclass(frozen=True, slots=True)
class BegunSend:
    """One begun send as the ledger shows it."""

    at: datetime
    recipients: int
    attempt: str = ""
    done_at: datetime | None = None
    """When it was marked as done: the mail went out before."""


class Begun(NamedTuple):
    """One begun send: when, in seconds on the clock of the one who asks, and to how many recipients."""

    at: float
    recipients: int


@dataclass(frozen=True, slots=True)
class RateLimits:
    """What Exchange takes from a mailbox; None is "unlimited". Defaults are those of Exchange Online."""

    per_minute: int | None = EXCHANGE_ONLINE_MAILS_PER_MINUTE
    recipients_per_day: int | None = EXCHANGE_ONLINE_RECIPIENTS_PER_DAY

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


def begun_of(send: BegunSend, now: datetime) -> Begun:
    """Return a send of the ledger in seconds from now, never earlier than its mail can have gone out."""
    # Where Exchange's clocks differ, an entry may seem to come from the future.
    if send.done_at is not None:
        return Begun(min(0.0, (send.done_at - now).total_seconds() + _CLOCK_SECONDS), send.recipients)
    return Begun(min(0.0, (send.at - now).total_seconds()) + OPEN_SECONDS - MINUTE_SECONDS, send.recipients)


def wait_in_line(sends: Sequence[BegunSend], now: datetime, limits: RateLimits, *, attempt: str) -> float:
    """
    Return how long a send that is in the ledger has to wait, 0 if it may go now.

    Everybody sees the entries in the same order, that of Exchange. A send waits for those before its own, whoever
    entered them, and not for those behind it: so no more go than are allowed, however many believe that it is their
    turn.
    """
    own = max((place for place, send in enumerate(sends) if send.attempt == attempt), default=len(sends))
    before = [begun_of(send, now) for send in sends[:own] if send.attempt != attempt]
    recipients = sends[own].recipients if own < len(sends) else 1
    return wait_seconds(before, 0.0, limits, recipients=recipients, urgent=True)


class SendWindow:
    """
    The begun sends of the last day, in memory; read from the ledger at the start.

    A turn that was taken counts as one that goes out at this moment until it is settled or given back.
    """

    def __init__(self, limits: RateLimits, begun: Iterable[Begun] = ()) -> None:
        self._limits = limits
        self._begun = deque(sorted(begun))
        self._settled: deque[Begun] = deque()
        """Those of them that were settled here."""
        self._open: list[Begun] = []

    def wait_seconds(self, now: float, *, recipients: int, urgent: bool) -> float:
        """Return how long a mail has to wait, 0 if it may go now."""
        return wait_seconds(self._all(now), now, self._limits, recipients=recipients, urgent=urgent)

    def change(self, limits: RateLimits) -> None:
        """Count against other numbers from now on; what was limited stays limited."""
        self._limits = limits

    def take(self, now: float, recipients: int) -> Begun:
        """Count a mail as begun."""
        begun = Begun(now, recipients)
        self._open.append(begun)
        return begun

    def settle(self, begun: Begun, now: float) -> None:
        """Count a mail as sent by now: nothing more goes out for this turn."""
        if begun in self._open:
            self._open.remove(begun)
            self._settled.append(Begun(now, begun.recipients))
            self._begun = deque(sorted([*self._begun, self._settled[-1]]))

    def read_anew(self, begun: Iterable[Begun], *, since: float) -> None:
        """
        Count the sends of everybody, as they were read, in the place of what was counted before.

        What was settled since the reading began may not be among them, and is kept; so are open turns, of which the
        reader leaves the entries out.
        """
        self._settled = deque(one for one in self._settled if one.at >= since)
        self._begun = deque(sorted([*begun, *self._settled]))

    def give_back(self, begun: Begun) -> None:
        """Count a mail no more: it was not begun after all."""
        if begun in self._open:
            self._open.remove(begun)

    def left(self, now: float) -> tuple[float, float]:
        """Return how many mails may go at once, and how many recipients are left of the day; inf is unlimited."""
        counted = self._all(now)
        minute = sum(1 for send in counted if send.at > now - MINUTE_SECONDS)
        day = sum(send.recipients for send in counted)
        per_minute, per_day = self._limits.per_minute, self._limits.recipients_per_day
        return (
            max(0, per_minute - minute) if per_minute is not None else float("inf"),
            max(0, per_day - day) if per_day is not None else float("inf"),
        )

    def _all(self, now: float) -> list[Begun]:
        self._forget(now)
        return [*self._begun, *(Begun(now, one.recipients) for one in self._open)]

    def _forget(self, now: float) -> None:
        kept = DAY_SECONDS if self._limits.recipients_per_day is not None else MINUTE_SECONDS
        while self._begun and self._begun[0].at <= now - kept:
            self._begun.popleft()
        while self._settled and self._settled[0].at <= now - kept:
            self._settled.popleft()
