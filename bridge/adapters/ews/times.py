"""Times as EWS writes them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone

_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.\d+)?(Z|[+-]\d\d:\d\d)?\s*\Z")


def parse_time(text: str | None) -> datetime | None:
    """
    Return a time in UTC and whole seconds, None where it cannot be read.

    Some servers write nine fractional digits, which neither exchangelib nor `fromisoformat` reads; the fraction is
    dropped, since EWS shows whole seconds of what is stored finer.
    """
    match = _TIME.match((text or "").strip())
    if match is None:
        return None
    *numbers, zone = match.groups()
    offset = timedelta()
    if zone not in {None, "Z"}:
        hours, minutes = int(zone[1:3]), int(zone[4:6])
        offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone[0] == "-" else 1)
    try:
        return datetime(*(int(n) for n in numbers), tzinfo=timezone(offset)).astimezone(UTC)  # type: ignore[misc,arg-type]
    except (ValueError, OverflowError):
        return None


def to_text(moment: datetime) -> str:
    """Return a time as EWS takes it: UTC, whole seconds."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
