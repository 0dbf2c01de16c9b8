"""Exchange's rate and Exchange's clock, as the ledger in the mailbox tells them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.domain.send_rate import (
    DAY_SECONDS,
    MINUTE_SECONDS,
    OPEN_SECONDS,
    Begun,
    RateLimits,
    SendWindow,
    begun_of,
    wait_in_line,
)
from bridge.egress.admission.queue import RateLimiter
from bridge.flow.read_again import read_again
from bridge.ports.clock import most_since
from bridge.telemetry.egress_events import LedgerLost

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.ports.clock import Clock
    from bridge.ports.outbox import BegunSends, SendingMailbox
    from bridge.telemetry.events import Emit

_ENTRY_GOOD_SECONDS = 60.0
"""So long after its entry a send may go out. Others count on another minute in which its call may be in flight."""


class SendRate:
    """
    How many mails may still go.

    The window is read from the ledger at the start, and whenever another worker may have drained the mailbox since.
    """

    def __init__(self, mailbox: SendingMailbox, limits: RateLimits, clock: Clock, *, alias: str, emit: Emit) -> None:
        self._mailbox = mailbox
        self._alias = alias
        self._emit = emit
        self._ledger_since: datetime | None = None
        self._limits = limits
        self._clock = clock
        self._window = SendWindow(limits)
        self._exchange_told: tuple[datetime, float] | None = None
        """What time it was at Exchange, and when that was, by the clock that only ever grows."""
        self.gate = RateLimiter(self._window, clock)
        self._entered: dict[str, tuple[float, ...]] = {}
        """The attempts in flight here that are in the ledger, or may be, and since when."""
        self._known: set[str] = set()
        """Whose entries are no news."""
        self.others_sent = True
        """Whether somebody else may have drained the mailbox since the window was read."""

    def change(self, limits: RateLimits) -> None:
        """Apply new rate limits. Does not switch between limited and unlimited."""
        self._limits = limits
        self._window.change(limits)

    async def read(self, *, window: bool = False) -> None:
        """
        Use the mailbox for something cheap; on demand, read the rate window if others have sent meanwhile.

        Raises:
            BridgeError: It cannot be used.
        """
        day = window and self._limits.recipients_per_day is not None
        await self._mailbox.prepare()
        age = DAY_SECONDS if day else OPEN_SECONDS if window else MINUTE_SECONDS
        started = self._clock.monotonic()
        begun = await self._begun_since(age)
        since = self._mailbox.ledger_since
        if since is not None and since != self._ledger_since:
            self._ledger_since = since
            self._emit(LedgerLost(self._alias, since))
        now = self._clock.monotonic()
        if window and self.others_sent:
            others = [begun_of(one, begun.now) for one in begun.sends if one.attempt not in self._entered]
            self._window.read_anew((Begun(now + at, recipients) for at, recipients in others), since=started)
            self._known = {one.attempt for one in begun.sends} | self._entered.keys()
            self.others_sent = False
        self._exchange_told = begun.now, now

    @property
    def used_seconds_ago(self) -> float:
        """How long ago the mailbox was used with success, for whatever; inf: never."""
        return self._mailbox.answered_seconds_ago

    @property
    def limited(self) -> bool:
        """Whether there is any rate to keep to."""
        return self._limits != RateLimits(None, None)

    def begins(self, attempt: str) -> None:
        """The attempt is about to be entered in the ledger."""
        self._entered[attempt] = self._clock.readings()
        self._known.add(attempt)

    def settle(self, turn: Begun, attempt: str | None) -> None:
        """Nothing more goes out for this turn; its attempt, if there was one, was sent or never will be from here."""
        self.gate.settle(turn)
        if attempt is not None:
            self._entered.pop(attempt, None)

    def in_time(self, attempt: str) -> bool:
        """
        Whether a send that was entered may go out yet.

        Later, an entry that is still open may not be counted any more where others read it.
        """
        if not self.limited:
            return True
        entered = self._entered.get(attempt)
        if entered is None:
            return False  # it was settled, and its turn is counted no more
        return most_since(self._clock, entered) <= _ENTRY_GOOD_SECONDS

    async def wait_to_send(self, attempt: str) -> float | None:
        """
        Return how long a send that was entered has to wait for those that were entered before; None: for too long.

        The turn that it had was granted by what this worker knew. Another one may have drained the mailbox since, or
        before: the ledger knows them all.

        Raises:
            BridgeError: The ledger cannot be read.
        """
        if not self.limited:
            return 0.0
        if not self.in_time(attempt):
            self.others_sent = True
            return None
        begun = await self._begun_since(OPEN_SECONDS)
        if any(one.attempt not in self._known for one in begun.sends):
            self.others_sent = True
        else:
            # What this reading leaves out no later one shows.
            self._known = {one.attempt for one in begun.sends} | self._entered.keys()
        if self.others_sent and self._limits.recipients_per_day is not None:
            begun = await self._begun_since(DAY_SECONDS)
        limits = self._limits if self.others_sent else RateLimits(self._limits.per_minute, None)
        wait = wait_in_line(begun.sends, begun.now, limits, attempt=attempt)
        if wait > MINUTE_SECONDS:
            self.others_sent = True
            return None
        return wait

    async def _begun_since(self, seconds: float) -> BegunSends:
        return await read_again(lambda: self._mailbox.begun_since(timedelta(seconds=seconds)), self._clock)

    def exchange_now(self) -> datetime:
        """Return what time it is at Exchange, as far as that is known."""
        if self._exchange_told is None:
            return self._clock.now()
        told, at = self._exchange_told
        return told + timedelta(seconds=self._clock.monotonic() - at)

    def left(self) -> tuple[float, float]:
        """Return how many mails may go at once, and how many recipients are left of the day; inf is unlimited."""
        return self._window.left(self._clock.monotonic())
