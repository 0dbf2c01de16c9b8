"""Lists the folders of one mailbox page by page, oldest first as `Inbox` promises, and counts what waits in them."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from bridge.flow.waiting import called_when_late, unless_set
from bridge.ports.low_priority import low_priority
from bridge.telemetry.ingest_events import BacklogFound, InboxListed

if TYPE_CHECKING:
    import asyncio
    from datetime import datetime

    from bridge.domain.known_front import KnownFront
    from bridge.domain.mail import Listing
    from bridge.ingest.reading_health import ReadingHealth
    from bridge.ports.clock import Clock
    from bridge.ports.inbox import Inbox
    from bridge.telemetry.events import Emit

_BACKLOG_COUNT = 1_000
_BACKLOG_AGE_SECONDS = 7 * 24 * 3600.0


class FrontChanged(Exception):  # noqa: N818 - no error: the folder is listed from its beginning
    """A listing that began behind the mails that stay did not begin where it should have."""


class MailboxListing:
    """The oldest mails first, `page_count` a page."""

    def __init__(
        self,
        alias: str,
        inbox: Inbox,
        clock: Clock,
        emit: Emit,
        health: ReadingHealth,
        *,
        page_count: int,
        answer_late_seconds: float,
        wake: asyncio.Event,
    ) -> None:
        self._alias = alias
        self._inbox = inbox
        self._clock = clock
        self._emit = emit
        self._health = health
        self._page_count = page_count
        self._answer_late_seconds = answer_late_seconds
        self._wake = wake
        self._waiting: dict[str, tuple[int, datetime | None]] = {}
        self.low_priority = False
        """Whether nothing is known to wait, so that other mailboxes' calls go first until new mail is heard of."""

    async def page(
        self, folder: str, front: KnownFront, offset: int, stop: asyncio.Event, *, behind: bool
    ) -> Listing | None:
        """
        Return a page of a folder; None once `stop` is set.

        Raises:
            FrontChanged: The page should have begun `behind` the front, and did not.
            BridgeError: Exchange cannot list the folder.
        """
        started = self._clock.monotonic()
        page = self._inbox.list_waiting(folder, limit=self._page_count, offset=offset)
        with (
            low_priority(until=self._wake) if self.low_priority else contextlib.nullcontext(),
            called_when_late(self._answer_late_seconds, self._health.report_late_answer),
        ):
            listing = await unless_set(stop, page)
        if listing is None:
            return None
        self._health.note_answer()
        if behind:
            if not front.begins(listing.refs):
                raise FrontChanged
            self._note(folder, listing.total, self._waiting[folder][1])
        else:
            front.listing_seconds += self._clock.monotonic() - started
            if offset == 0:
                self._note(folder, listing.total, listing.refs[0].received_at if listing.refs else None)
        return listing

    def _note(self, folder: str, total: int, first: datetime | None) -> None:
        """Take note of how many mails a folder holds, and when the first of them was received."""
        if folder not in self._waiting:
            age = max(0.0, (self._clock.now() - first).total_seconds()) if first is not None else None
            if total >= _BACKLOG_COUNT or (age or 0.0) >= _BACKLOG_AGE_SECONDS:
                self._emit(BacklogFound(self._alias, folder, total, age))
        self._waiting[folder] = (total, first)
        oldest = min((moment for _, moment in self._waiting.values() if moment is not None), default=None)
        self._emit(InboxListed(self._alias, sum(total for total, _ in self._waiting.values()), oldest))
        self._health.alive()
