"""Finds out again and again whether the mailbox can be used, and lets another worker try where it may be this one."""

from __future__ import annotations

import asyncio
import random
import time
from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError, CredentialsRejected, MailboxUnavailable, TokenUnavailable
from bridge.flow.ticks import until_tick
from bridge.flow.waiting import called_when_late, unless_set, wait_for_any
from bridge.ports.low_priority import low_priority

if TYPE_CHECKING:
    from bridge.egress.admission.rate import SendRate
    from bridge.egress.availability.health import DrainHealth
    from bridge.egress.availability.pauses import Availability
    from bridge.egress.options import EgressOptions

LIFE_SECONDS = 15.0
"""The draining shows that it lives at least so often."""
_OTHERS_PROVE: Final = 2.0
"""For so many times the time between two probes the calls of others are proof enough: they do not read the ledger."""
# What may be wrong here and not elsewhere: another worker may reach Exchange, or have the newer secret.
_MAY_BE_THIS_WORKER = (MailboxUnavailable, TokenUnavailable, CredentialsRejected)


class MailboxProbe:
    """Probes the mailbox while nothing is sent, more slowly the longer it cannot be used."""

    def __init__(self, rate: SendRate, availability: Availability, health: DrainHealth, options: EgressOptions) -> None:
        self._rate = rate
        self._availability = availability
        self._health = health
        self._options = options
        self._probed_at = time.monotonic()
        self.yielding = asyncio.Event()
        """Set while the queues are left to another worker, if there is one."""
        self.back = asyncio.Event()
        """Set when they are not left any more."""

    async def keep_proving(self, stop: asyncio.Event) -> None:
        """Probe until `stop` is set."""
        least = 0.2
        while not stop.is_set():
            self._availability.changed.clear()
            # Mailboxes that begin together would be probed together ever after, and keep every connection busy at once.
            calm = self._options.probe_seconds * random.uniform(least, 1.0)  # noqa: S311 - spread
            least = 0.9
            wait = self._availability.wait_seconds if self._availability.paused else self._unproved_in(calm)
            await self._wait_showing_life(wait, stop)
            if self._availability.quiet_seconds:  # asked for meanwhile, or a timer that was early
                continue
            if not self._availability.paused and self._unproved_in(calm) > 0:  # it was used meanwhile
                continue
            if not stop.is_set() and not self._availability.changed.is_set():
                with low_priority():
                    error = await unless_set(stop, self.prove())
                if (
                    isinstance(error, _MAY_BE_THIS_WORKER)
                    and self._availability.paused_for_seconds >= self._options.yield_after_seconds
                ):
                    await self._yield(stop)

    async def prove(self) -> BridgeError | None:
        """Find out whether the mailbox can be used, and remember it; return why not."""
        trouble: BridgeError | None = None
        self._probed_at = time.monotonic()
        late = self._options.answer_late_seconds
        silent = MailboxUnavailable(f"a look at the ledger has had no answer for {late:g} s")
        try:
            with called_when_late(late, lambda: self._health.fail("answer", silent)):
                await self._rate.read()
        except BridgeError as error:
            trouble = error
            self._availability.still(error)
        else:
            self._availability.try_again()
        finally:
            self._health.mend("answer")
        self._health.report()
        return trouble

    def _unproved_in(self, seconds: float) -> float:
        """Return after how long a mailbox is to be probed, so that for no longer than `seconds` nobody has used it."""
        probed = time.monotonic() - self._probed_at
        used = seconds - min(probed, self._rate.used_seconds_ago)
        return max(0.0, min(used, seconds * _OTHERS_PROVE - probed))

    async def _yield(self, stop: asyncio.Event) -> None:
        """Let another worker have the queues, for which the mailbox may work; without one they are taken again."""
        self._rate.others_sent = True
        self.back.clear()
        self.yielding.set()
        try:
            await wait_for_any(self._options.yield_seconds, stop)
        finally:
            self.yielding.clear()
            self.back.set()

    async def _wait_showing_life(self, seconds: float, stop: asyncio.Event) -> None:
        """Wait; a pause that begins meanwhile starts a wait of its own."""
        while seconds > 0 and not stop.is_set() and not self._availability.changed.is_set():
            self._health.alive()
            some = until_tick(min(seconds, LIFE_SECONDS), time.monotonic())
            await wait_for_any(some, stop, self._availability.changed)
            seconds -= some
