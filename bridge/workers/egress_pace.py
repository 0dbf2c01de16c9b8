"""Exchange's pace and Exchange's clock, as the ledger in the mailbox tells them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from bridge.domain.send_rate import DAY_SECONDS, MINUTE_SECONDS, Begun, RateLimits, SendWindow
from bridge.telemetry.egress_events import LedgerLost
from bridge.workers.egress_gate import RateGate
from bridge.workers.reads import read_again

if TYPE_CHECKING:
    from datetime import datetime

    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox
    from bridge.telemetry.events import Emit


class Pace:
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
        self._exchange_offset: timedelta | None = None
        self.gate = RateGate(self._window, clock)
        self.others_sent = True
        """Whether somebody else may have drained the mailbox since the window was read."""

    def change(self, limits: RateLimits) -> None:
        """Keep to other numbers from now on; what was limited stays limited."""
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
        age = timedelta(seconds=DAY_SECONDS if day else MINUTE_SECONDS)
        begun = await read_again(lambda: self._mailbox.begun_since(age), self._clock)
        since = self._mailbox.ledger_since
        if since is not None and since != self._ledger_since:
            self._ledger_since = since
            self._emit(LedgerLost(self._alias, since))
        now = self._clock.monotonic()
        if window and self.others_sent:
            # Where Exchange's clocks differ, one may seem to come from the future.
            ages = ((max(0.0, (begun.now - one.at).total_seconds()), one.recipients) for one in begun.sends)
            self._window.read_anew(Begun(now - age, recipients) for age, recipients in ages)
            self.others_sent = False
        self._exchange_offset = begun.now - self._clock.now()

    def exchange_now(self) -> datetime:
        """Return what time it is at Exchange, as far as that is known."""
        return self._clock.now() + (self._exchange_offset or timedelta())

    def left(self) -> tuple[float, float]:
        """Return how many mails may go at once, and how many recipients are left of the day; inf is unlimited."""
        return self._window.left(self._clock.monotonic())
