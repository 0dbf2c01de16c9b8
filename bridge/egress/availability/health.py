"""What is wrong with the draining of a mailbox, and what `/health` says of it."""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING

from bridge.domain.unanswered_sends import UnansweredSends
from bridge.errors import QueueTaken, SendsUnanswered

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.egress.availability.pauses import Availability
    from bridge.errors import BridgeError
    from bridge.ports.broker import Consumer
    from bridge.telemetry.health import Health
    from bridge.worker.standing_by import StandingBy


class DrainHealth:
    """Draining works when the mailbox, both queues and the settling do; or another worker does it."""

    def __init__(
        self, part: str, health: Health, availability: Availability, consumer: Consumer, standing_by: StandingBy
    ) -> None:
        self._part = part
        self._standing_by = standing_by
        self._health = health
        self._availability = availability
        self._consumer = consumer
        self._trouble: dict[str, tuple[str, str]] = {}
        self._unproved = {"urgent", "ordinary"}
        """Queues that were not consumed yet."""
        self.day_left: Callable[[], float] = lambda: inf
        """Returns how many recipients may yet be written to within a day."""
        self._day_over = False
        self.sends = UnansweredSends()
        """Of the mailbox: a pause that a probe ended says nothing of sending."""
        self.urgent_told = asyncio.Event()
        """Set whenever something is heard of the urgent queue; whoever waits for it clears it."""
        self.urgent_taken = asyncio.Event()
        """Set while another worker has the urgent queue."""

    @property
    def urgent_elsewhere(self) -> bool:
        """
        Whether another worker drains the urgent queue, or may do so for all that is known.

        Who has it drains the ordinary one, too: two workers would each keep the whole of Exchange's rate, and urgent
        requests would overtake nothing.
        """
        code, _ = self._trouble.get("urgent", ("", ""))
        return code == QueueTaken.code or (not code and "urgent" in self._unproved)

    @property
    def drains(self) -> bool:
        """Whether this worker consumes both queues, for all that it knows."""
        return not self._unproved and not self._trouble.keys() & {"urgent", "ordinary"}

    def begin(self) -> None:
        """Let health miss this part from now on; nothing is consumed yet, whatever was before."""
        self._unproved = {"urgent", "ordinary"}
        self._trouble.clear()
        self.urgent_taken.clear()
        self._health.begin(self._part)

    def end(self) -> None:
        """Consume nothing any more."""
        self._unproved = {"urgent", "ordinary"}

    def alive(self) -> None:
        """The draining goes on, whatever it is waiting for."""
        if self._day_over != (self.day_left() < 1):
            self.report()
        else:
            self._health.progress(self._part)

    def counted(self, day_left: float) -> None:
        """So many recipients may yet be written to within a day; without any, requests wait in the broker."""
        if self._day_over != (day_left < 1):
            self.report()

    def fail(self, what: str, error: BridgeError) -> None:
        """A queue or the settling does not work."""
        self._trouble[what] = (error.code, error.detail)
        if what == "urgent":
            self.urgent_told.set()
            if isinstance(error, QueueTaken):
                self.urgent_taken.set()
            else:  # nobody knows any more; set, it would end each attempt at the ordinary one at once
                self.urgent_taken.clear()
        self.report()

    def mend(self, what: str) -> None:
        """A queue or the settling works."""
        if self._trouble.pop(what, None) is not None or what in self._unproved:
            self._unproved.discard(what)
            self.report()
        if what == "urgent":
            self.urgent_told.set()
            self.urgent_taken.clear()

    def report(self) -> None:
        """Tell health how it is by now."""
        self._day_over = self.day_left() < 1
        taken = {code for code, _ in self._trouble.values()} == {QueueTaken.code}
        if taken and self._availability.code is None:
            self._standing_by.report()
            return
        self._standing_by.end(owned=self.drains)
        if self._availability.code is not None:
            self._health.trouble(self._part, self._availability.code, self._availability.detail)
        elif self.sends.too_many:
            self._health.trouble(self._part, SendsUnanswered.code, f"{self.sends.in_a_row} in a row")
        elif self._trouble:
            self._health.trouble(self._part, *next(iter(self._trouble.values())))
        elif self._consumer.trouble is not None:
            self._health.trouble(self._part, self._consumer.trouble)
        elif self._unproved:
            self._health.progress(self._part)
        elif self._day_over:
            self._health.trouble(self._part, "send_limit_reached")
        else:
            self._health.ok(self._part)
