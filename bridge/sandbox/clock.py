"""
The time as Exchange and Entra tell it, which need not be the true one.

One process is one sandbox, so there is one clock for each of the two. Waits and limits go by true time all the same.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import formatdate
from typing import Final


@dataclass(slots=True)
class Clock:
    """A clock that is ahead of the true time, or behind it by a negative number of seconds."""

    ahead_seconds: float = 0.0

    def now(self) -> datetime:
        """Return the time that it shows."""
        return datetime.now(UTC) + timedelta(seconds=self.ahead_seconds)

    def time(self) -> float:
        """Return the time that it shows, in seconds since 1970."""
        return time.time() + self.ahead_seconds

    def http_date(self) -> str:
        """Return the time that it shows as the Date header of an answer."""
        return formatdate(self.time(), usegmt=True)


EXCHANGE: Final = Clock()
"""What mails are received, created and sent by, what tokens are judged by, and the Date of answers."""

ENTRA: Final = Clock()
"""What tokens are issued by, and the Date of answers."""
