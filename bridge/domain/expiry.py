"""How near a credential's end is, in the steps in which a person is told."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

DAY_SECONDS: Final = 86_400.0
WARNED_DAYS: Final = (1, 7, 30)


def stage(left_seconds: float) -> int | None:
    """Return the number of days within which it ends (0: it has ended, 1, 7, 30); None while it is farther away."""
    if left_seconds <= 0:
        return 0
    return next((days for days in WARNED_DAYS if left_seconds <= days * DAY_SECONDS), None)


def words(expires_at: float, left_seconds: float) -> str:
    """Return when it ends, for a person."""
    day = datetime.fromtimestamp(expires_at, UTC).date().isoformat()
    if left_seconds <= 0:
        return f"its end was on {day}"
    days = left_seconds / DAY_SECONDS
    return f"it ends on {day}, in {days:.0f} days" if days >= 2 else f"it ends on {day}, in {days * 24:.0f} hours"
