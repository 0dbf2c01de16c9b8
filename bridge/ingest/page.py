"""What the stages of one page share while its mails move: what is under way, and what ends the page."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from bridge.errors import (
    CallNotPossible,
    CallRefused,
    MailboxAccessDenied,
    MailboxThrottled,
    MailboxUnavailable,
)

if TYPE_CHECKING:
    from bridge.domain.mail import MailRef
    from bridge.errors import BridgeError
    from bridge.ingest.known_mails import KnownMails
    from bridge.ingest.parking import MailParking

# A token and credentials concern every mail.
_MAY_BE_THE_MAIL = (MailboxUnavailable, CallRefused, CallNotPossible, MailboxAccessDenied)
_TRY_AGAIN_SECONDS = 2.0


class Page:
    """Ended by the first failure that concerns every mail, by a bug, or when all of it is done."""

    def __init__(self, known: KnownMails, parking: MailParking, stop: asyncio.Event) -> None:
        self._known = known
        self._parking = parking
        self.stop = stop
        """Set when nothing more may be begun."""
        self.failure: BridgeError | None = None
        self.store_trouble: BridgeError | None = None
        """Why the blob store takes nothing at the moment: later large mails of the page need not try."""
        self.bug: BaseException | None = None
        self.unconfirmed = 0
        """How many publishes have no answer yet."""
        self.feeding = True
        """Whether more may yet be published."""
        self._changed = asyncio.Event()

    @property
    def over(self) -> bool:
        """Whether nothing new may start, since something went wrong."""
        return self.failure is not None or self.bug is not None

    def change(self) -> None:
        """Wake whichever stage waits for a change."""
        self._changed.set()

    async def wait_for_change(self) -> None:
        """Return after the next change."""
        self._changed.clear()
        await self._changed.wait()

    def fail(self, error: BridgeError, culprit: MailRef | None = None) -> None:
        """Remember the first failure; what is under way ends, nothing new starts."""
        suspects, deferrals = self._known.suspects, self._known.deferrals
        # Exchange also says so of one mail that is too much for it. That makes none a bad one: it stays for a while.
        too_much = isinstance(error, MailboxThrottled) and error.retry_after_seconds is None
        if culprit is not None and too_much and suspects.count_failure(culprit):
            deferrals.defer(culprit, error.code)
        if culprit is not None and isinstance(error, _MAY_BE_THE_MAIL):
            if suspects.is_proved_bad(culprit):
                self._parking.wants(culprit, error.code)
                return
            if suspects.count_failure(culprit):
                # It stood alone and failed again and again: let the others pass, if they can.
                suspects.isolate(culprit)
                deferrals.defer(culprit, error.code, at_most_seconds=_TRY_AGAIN_SECONDS)
                return
        if self.failure is None:
            self.failure = error
        self.change()

    def fail_by_bug(self, bug: BaseException) -> None:
        """Remember the first bug, which the transfer raises in the end."""
        self.bug = self.bug or bug
        self.change()

    def retry_or_park(self, ref: MailRef, code: str) -> None:
        """Try a mail that cannot pass a few times more, soon, before it is parked: what ails it may be Exchange's."""
        if self._known.suspects.count_failure(ref):
            self._parking.wants(ref, code)
        else:
            self._known.deferrals.defer(ref, code, at_most_seconds=_TRY_AGAIN_SECONDS)
