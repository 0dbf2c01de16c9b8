"""The Date field (RFC 5322, 3.3) as programs write it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import parsedate_tz
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bridge.mime.defects import Defects

_DATE = re.compile(
    r"(?:[A-Za-z]{3},?\s{1,4})?(\d{1,2})\s{1,4}([A-Za-z]{3})\s{1,4}(\d{4})\s{1,4}(\d{1,2}):(\d{2})(?::(\d{2}))?"
    r"\s{1,4}(?:([+-])(\d{2})(\d{2})|(GMT|UTC?|Z))(?:\s{1,4}\([^()]{0,60}\))?\s*\Z",
    re.ASCII,
)
_MONTHS = {
    name: number
    for number, name in enumerate(
        ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"), start=1
    )
}
_LONGEST = 128


def parse_date(text: str, defects: Defects) -> datetime | None:
    """Return the time with its offset, or None with a defect. A time without a zone counts as UTC."""
    if not text:
        return None
    try:
        return _parse(text)
    except (ValueError, OverflowError, TypeError, IndexError):
        defects.add("date_invalid")
        return None


def _parse(text: str) -> datetime:
    match = _DATE.match(text)
    if match is not None and match[2].lower() in _MONTHS:
        zone = UTC
        if match[7]:
            offset = timedelta(hours=int(match[8]), minutes=int(match[9]))
            zone = timezone(-offset if match[7] == "-" else offset) if offset else UTC
        second = min(int(match[6] or 0), 59)  # a leap second
        month = _MONTHS[match[2].lower()]
        return datetime(int(match[3]), month, int(match[1]), int(match[4]), int(match[5]), second, tzinfo=zone)
    if len(text) > _LONGEST:
        raise ValueError
    fields = parsedate_tz(text)
    if fields is None:
        raise ValueError
    seconds = fields[9] or 0
    zone = timezone(timedelta(seconds=seconds)) if seconds else UTC
    return datetime(*fields[:5], min(fields[5], 59), tzinfo=zone)
