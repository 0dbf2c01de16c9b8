"""Says how it is with a mailbox that another connection keeps from this worker."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.domain.standby import LOOK_EVERY_SECONDS, Standby
from bridge.errors import BridgeError
from bridge.telemetry.standby_events import HolderUnknown, NobodyWorks, SomebodyWorks

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from bridge.domain.roster import Direction, Roster
    from bridge.domain.standby import Verdict
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health


class StandingBy:
    """
    Reports to health, whenever it is asked to, whether anybody works on the mailbox.

    `look` returns what is left undone there, each by a name that stays the same. It is asked now and then where no
    worker announces that it has the mailbox, beside everything else: taking the mailbox over does not wait for it.
    """

    def __init__(
        self,
        roster: Roster | None,
        direction: Direction,
        mailbox: str,
        *,
        part: str,
        lease: str,
        look: Callable[[], Awaitable[Iterable[str]]],
        health: Health,
        emit: Emit,
    ) -> None:
        """Without a roster, somebody works."""
        self._standby = Standby(roster, direction, mailbox) if roster is not None else None
        self._direction = direction
        self._mailbox = mailbox
        self._part = part
        self._lease = lease
        self._look = look
        self._health = health
        self._emit = emit
        self._looking: asyncio.Task[None] | None = None
        self._verdict: Verdict = "somebody"

    def report(self) -> None:
        """Tell health how it is by now; the first time, standing by begins."""
        if self._standby is None:
            self._health.standby(self._part)
            return
        self._standby.begin()
        self._look_if_due(self._standby)
        verdict = self._standby.verdict()
        detail = self._detail(self._standby, verdict)
        if verdict == "nobody":
            self._health.trouble(self._part, "nobody_works", detail)
        elif verdict == "unknown":
            self._health.warn(self._part, "holder_unknown", detail)
        else:
            self._health.standby(self._part, detail)
        if verdict != self._verdict:
            self._verdict = verdict
            if verdict == "nobody":
                self._emit(NobodyWorks(self._mailbox, self._direction, detail))
            elif verdict == "unknown":
                self._emit(HolderUnknown(self._mailbox, self._direction, detail))
            else:
                self._emit(SomebodyWorks(self._mailbox, self._direction))

    def end(self, *, owned: bool = False) -> None:
        """Stand by no more: the mailbox is this worker's (`owned`), or nobody knows whose it is."""
        if self._standby is not None:
            self._standby.end(owned=owned)
        if owned:
            self._verdict = "somebody"
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    async def aclose(self) -> None:
        """Stand by no more, and look no more."""
        looking = self._looking
        self.end()
        if looking is not None:
            await asyncio.gather(looking, return_exceptions=True)

    def _look_if_due(self, standby: Standby) -> None:
        if self._looking is not None and self._looking.done():
            looking, self._looking = self._looking, None
            looking.result()  # a bug is not to be lost
        if self._looking is None and standby.wants_a_look:
            standby.looking()
            self._looking = asyncio.create_task(self._look_once(standby), name=f"{self._part}-look")

    async def _look_once(self, standby: Standby) -> None:
        try:
            async with asyncio.timeout(LOOK_EVERY_SECONDS):
                undone: Iterable[str] | None = await self._look()
        except TimeoutError:  # perhaps for the worker's own other calls
            standby.late()
            return
        except BridgeError:
            undone = None
        standby.looked(undone)

    def _detail(self, standby: Standby, verdict: Verdict) -> str:
        claim = standby.roster.claim(self._direction, self._mailbox)
        if verdict == "somebody":
            if claim is None or claim.holding.status != "trouble":
                return ""
            return f"worker {claim.worker} has it, and says {claim.holding.code}"
        if not standby.roster.hearing:
            return f"{self._lease} is held, and no announcements are heard at the moment"
        if claim is None:
            return f"{self._lease} is held by a connection that announces nothing"
        silent = standby.roster.monotonic() - claim.heard_at
        if not claim.holding.lives:
            silent += claim.holding.silent_seconds
            return f"worker {claim.worker} has it, and its work has shown no life for {silent:.0f} s"
        return f"worker {claim.worker} had it, and was not heard for {silent:.0f} s; {self._lease} is still held"
