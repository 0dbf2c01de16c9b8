"""The Recurrence element: between XML and what the bag keeps of it."""

from __future__ import annotations

from datetime import datetime, time
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import recurrence as rules

if TYPE_CHECKING:
    from datetime import tzinfo

    from lxml import etree

_YEARS: Final = (1601, 4500)
_LIMITS: Final = {"Interval": 999, "DayOfMonth": 31, "NumberOfOccurrences": 999}


def read_recurrence(node: etree._Element) -> dict[str, Any]:
    """
    Return what a Recurrence says.

    Raises:
        EwsError: ErrorCalendarInvalidRecurrence, its numbers or dates make no series.
    """
    pattern, limits = (one for one in node if isinstance(one.tag, str))
    found: dict[str, Any] = {"pattern": _parts(pattern), "range": _parts(limits)}
    try:
        first = rules.start_date(found)
        if not _YEARS[0] <= first.year <= _YEARS[1]:
            raise EwsError("ErrorCalendarInvalidRecurrence")
        ends = found["range"][1].get("EndDate")
        if ends is not None and rules.day_of(ends) < first:
            raise EwsError("ErrorCalendarEndDateIsEarlierThanStartDate")
        for name, most in _LIMITS.items():
            if not 1 <= int((found["pattern"][1] | found["range"][1]).get(name, 1)) <= most:
                raise EwsError("ErrorCalendarInvalidRecurrence")
    except ValueError as error:
        raise EwsError("ErrorCalendarInvalidRecurrence") from error
    return found


def recurrence_xml(recurrence: dict[str, Any], zone: tzinfo) -> str:
    """Return the t:Recurrence; its dates carry the offset of the zone, as Exchange writes them."""
    shown = "".join(_shown(name, parts, zone) for name, parts in (recurrence["pattern"], recurrence["range"]))
    return f"<t:Recurrence>{shown}</t:Recurrence>"


def _parts(node: etree._Element) -> list[Any]:
    parts = {str(one.tag).rpartition("}")[2]: (one.text or "").strip() for one in node if isinstance(one.tag, str)}
    return [str(node.tag).rpartition("}")[2], parts]


def _shown(name: str, parts: dict[str, str], zone: tzinfo) -> str:
    inner = "".join(
        xml.element(part, _dated(text, zone) if part.endswith("Date") else text) for part, text in parts.items()
    )
    return f"<t:{name}>{inner}</t:{name}>" if inner else f"<t:{name}/>"


def _dated(text: str, zone: tzinfo) -> str:
    midnight = datetime.combine(rules.day_of(text), time(), zone)
    return text[:10] + midnight.isoformat()[19:25].replace("+00:00", "Z")
