"""How the reading of one mailbox goes, for `/health` and for the log."""

from __future__ import annotations

import operator
from typing import TYPE_CHECKING

from bridge.domain.concern import in_words
from bridge.domain.disposition import Pause
from bridge.errors import (
    BrokerUnavailable,
    MailboxUnavailable,
    ParkingStopped,
    PublishedTooOften,
    PublishRefused,
    PublishUnroutable,
)
from bridge.flow.waiting import Backoff, wait_of
from bridge.telemetry.ingest_events import ReadingFailed, ReadingResumed
from bridge.telemetry.reasons_of_blobs import STORE_TROUBLES

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Sequence

    from bridge.domain.concern import Concern
    from bridge.domain.disposition import RetryPolicy
    from bridge.errors import BridgeError
    from bridge.ingest.known_mails import KnownMails
    from bridge.ingest.parking import MailParking
    from bridge.ports.clock import Clock
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health


class ReadingHealth:
    """Reading works when a pass over the folders ends and what waits is drained."""

    def __init__(
        self,
        alias: str,
        part: str,
        health: Health,
        clock: Clock,
        emit: Emit,
        *,
        known: KnownMails,
        parking: MailParking,
        retry: RetryPolicy,
        answer_late_seconds: float,
    ) -> None:
        self._alias = alias
        self._part = part
        self._health = health
        self._clock = clock
        self._emit = emit
        self._known = known
        self._parking = parking
        self._retry = retry
        self._backoff = Backoff(retry)
        self._answer_late_seconds = answer_late_seconds
        self._failing_since: float | None = None
        self._late_reported = False
        self._removed_before = 0

    @property
    def failing(self) -> bool:
        """Whether the last pass failed, or one before it and nothing has proved since that it works."""
        return self._failing_since is not None

    def begin(self) -> None:
        """Miss the part from now on: this worker reads the mailbox."""
        self._removed_before = self._known.receipts.removed_count
        self._health.begin(self._part)

    def progress(self) -> None:
        """Take note that it goes on; a mail that has left its folder proves all that reading takes."""
        proved = self._known.receipts.removed_count > self._removed_before
        (self._health.proved if proved else self._health.progress)(self._part)

    def alive(self) -> None:
        """Take note that the reading goes on, whatever it waits for."""
        self._health.progress(self._part)

    def waits(self, seconds: float) -> None:
        """Expect nothing for so long."""
        self._health.waits(self._part, seconds)

    def leave(self) -> None:
        """Count no failure against the mailbox any more: another worker reads it."""
        self._failing_since = None

    def lose(self) -> None:
        """Report that the lease was lost."""
        self._health.trouble(self._part, BrokerUnavailable.code, "the mailbox's lease was lost")

    def wait_for_broker(self, trouble: str) -> None:
        """Report the broker's own trouble, which reading waits for."""
        self._health.trouble(self._part, trouble)

    def report_late_answer(self) -> None:
        """Report it long before the call ends; a trouble that is known already explains it better."""
        if (state := self._health.state(self._part)) is not None and state.status != "trouble":
            self._late_reported = True
            detail = f"a listing has had no answer for {self._answer_late_seconds:g} s"
            self._health.trouble(self._part, MailboxUnavailable.code, detail)

    def note_answer(self) -> None:
        """Report no more that a listing has no answer; the end of the pass says how it is."""
        if self._late_reported:
            self._late_reported = False
            self._health.expect(self._part)

    def fail(self, error: BridgeError) -> float:
        """Report that a pass failed; return how long to wait before the next one, in seconds."""
        self._late_reported = False
        after = self._backoff.after(error)
        paused = isinstance(after, Pause) or isinstance(error, PublishUnroutable | PublishRefused)
        if self._failing_since is None:
            self._failing_since = self._clock.monotonic()
        # What is wrong with a single mail cannot be set aside where a whole pass failed of it.
        wait = wait_of(after) or self._retry.pause_seconds
        self._emit(ReadingFailed(self._alias, error.code, error.detail, wait, paused))
        self._health.trouble(self._part, error.code, error.detail)
        self.waits(wait)
        return wait

    def finish(self, published: int, staying: Counter[str], concerns: Sequence[Concern]) -> None:
        """Report how it is after a pass that ended: why mails stay, what people should see to, or that all is well."""
        self._backoff.forget()
        if trouble := self._trouble(published, staying):
            self._health.trouble(self._part, *trouble)
            return
        if self._failing_since is not None:
            self._emit(ReadingResumed(self._alias, self._clock.monotonic() - self._failing_since))
            self._failing_since = None
        if not concerns:
            self._health.ok(self._part)
            return
        report = self._health.trouble if concerns[0].stops_mail else self._health.warn
        report(self._part, concerns[0].code, in_words(concerns))

    def _trouble(self, published: int, staying: Counter[str]) -> tuple[str, str] | None:
        """Return the code of what matters most, and its detail; None where reading works."""
        if refused := staying[PublishRefused.code]:
            # Of all that stays this is told first: queues that take mail wait for some of it, and may get copies.
            kinds = ", ".join(self._known.deferrals.refused_keys) or "none any more"
            return PublishRefused.code, f"{refused} mails stay; refused now: {kinds}; others pass"
        # Whatever waits stays, for now or for good: nothing is drained.
        if staying and not published and not self._parking.stopped:
            [(code, _)] = staying.most_common(1)
            return code, f"{staying.total()} mails stay where they are, and no other waits"
        if repeated := staying[PublishedTooOften.code]:
            return PublishedTooOften.code, f"{repeated} mail(s); others pass"
        if for_store := {code: count for code, count in staying.items() if code in STORE_TROUBLES}:
            code, count = max(for_store.items(), key=operator.itemgetter(1))
            return code, f"{count} large mails wait for the blob store, others pass"
        if self._parking.stopped:
            return ParkingStopped.code, ""
        return None
