"""What the Date of a server's answers tells of the time."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, final

from bridge.domain.trusted_time import Heard, Readings, offset_of
from bridge.ports.elapsed import elapsed_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@final
class ServerTime:
    """
    One server's clock, as its answers told it. For many threads.

    Whoever calls the server tells of each answer that came over a connection on which the server proved who it is.
    """

    def __init__(self, server: str, *, elapsed: Callable[[], float] = elapsed_seconds) -> None:
        self.server = server
        self.elapsed = elapsed
        self._known: tuple[Readings, float] = Readings(), 0.0

    def note(self, headers: Mapping[str, str], *, asked_at: float) -> None:
        """Take note of an answer whose headers have just come; it was asked for at `asked_at`, by `elapsed`."""
        if headers.get("Age", "0").strip() not in {"", "0"}:
            return  # it lay in a cache
        try:
            date = parsedate_to_datetime(headers.get("Date", ""))
            told = date.timestamp() if date.tzinfo is not None else 0.0
        except (ValueError, OverflowError):  # a proxy may leave it out, or write it its own way
            return
        now = self.elapsed()
        offset = offset_of(told, asked_at=asked_at, answered_at=now)
        if offset is not None:
            # One that another thread adds at the same moment may be lost; the next answer tells the same.
            self._known = self._known[0] + offset, now

    def now(self) -> datetime:
        """Return the likeliest time by its clock; by this machine's own before it has told anything."""
        offset = self._known[0].offset
        ahead = (offset.low + offset.high) / 2 + self.elapsed() if offset is not None else time.time()
        return datetime.fromtimestamp(ahead, UTC)

    def earliest(self) -> datetime | None:
        """Return the earliest time that it can be by its clock, None before it has told anything."""
        offset = self._known[0].offset
        return offset.span(self.elapsed()).earliest if offset is not None else None

    def heard(self) -> Heard | None:
        """Return what is known, None before there was an answer that told."""
        readings, at = self._known
        return Heard(self.server, readings.offset, at, readings.apart) if readings.offset is not None else None
