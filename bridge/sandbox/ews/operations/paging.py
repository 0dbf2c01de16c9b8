"""Which part of a found list an answer holds, and how it says so."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError, FaultError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

_SEEK: Final = "SeekToConditionPageItemView"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list: `limit` entries after the first `offset`, and the attributes that tell where it lies."""

    offset: int
    limit: int
    attributes: str


def read_page(request: etree._Element, suffix: str, total: int, most: int) -> Page:
    """
    Return the page that a request asks for; `suffix` is `Item` or `Folder`, `most` what one answer may hold.

    Raises:
        EwsError: The numbers make no sense, or without paging there would be more than one answer may hold.
    """
    indexed = request.find(f"{xml.M}IndexedPage{suffix}View")
    if indexed is not None:
        return _indexed(indexed, total, most)
    fractional = request.find(f"{xml.M}FractionalPage{suffix}View")
    if fractional is not None:
        return _fractional(fractional, total, most)
    if any(request.find(xml.M + name) is not None for name in (_SEEK, "CalendarView", "ContactsView")):
        raise EwsError("ErrorInvalidOperation")
    if total > most:
        raise EwsError("ErrorExceededFindCountLimit")
    return Page(0, most, _attributes(None, total, last=True))


def read_seek(request: etree._Element) -> etree._Element | None:
    """Return the condition whose first hit a page begins at, None for pages that lie elsewhere."""
    return request.find(f"{xml.M}{_SEEK}/{xml.T}Condition")


def seek_page(request: etree._Element, hits: Sequence[bool], most: int) -> Page:
    """
    Return the page that begins at the first hit, or counted from the end, that ends with the last one.

    Raises:
        EwsError: ErrorInvalidPagingMaxRows.
    """
    view = request.find(xml.M + _SEEK)
    if view is None:
        raise FaultError("ErrorInvalidRequest")
    total, limit = len(hits), _limit(view, most)
    if view.get("BasePoint") == "Beginning":
        start = next((at for at, hit in enumerate(hits) if hit), total)
        end = min(total, start + limit)
        return Page(start, limit, _attributes(f'IndexedPagingOffset="{end}"', total, last=end >= total))
    end = next((at + 1 for at in reversed(range(total)) if hits[at]), 0)
    start = max(0, end - limit)
    return Page(start, end - start, _attributes(f'IndexedPagingOffset="{total - start}"', total, last=start == 0))


def _indexed(view: etree._Element, total: int, most: int) -> Page:
    offset, limit = int(str(view.get("Offset"))), _limit(view, most)
    if offset < 0:
        raise EwsError("ErrorInvalidIndexedPagingParameters")
    if view.get("BasePoint") == "Beginning":
        end = min(total, offset + limit)
        return Page(
            offset,
            limit,
            _attributes(f'IndexedPagingOffset="{max(end, min(offset, total))}"', total, last=end >= total),
        )
    # Counted from the end: the page ends `offset` entries before it, and the next one lies further forward.
    end = max(0, total - offset)
    start = max(0, end - limit)
    return Page(start, end - start, _attributes(f'IndexedPagingOffset="{total - start}"', total, last=start == 0))


def _fractional(view: etree._Element, total: int, most: int) -> Page:
    numerator, denominator = int(str(view.get("Numerator"))), int(str(view.get("Denominator")))
    if denominator <= 0 or numerator < 0 or numerator > denominator:
        raise EwsError("ErrorInvalidFractionalPagingParameters")
    offset, limit = total * numerator // denominator, _limit(view, most)
    end = min(total, offset + limit)
    where = f'NumeratorOffset="{end}" AbsoluteDenominator="{total}"'
    return Page(offset, limit, _attributes(where, total, last=end >= total))


def _limit(view: etree._Element, most: int) -> int:
    given = view.get("MaxEntriesReturned")
    if given is None:
        return most
    if int(str(given)) <= 0:
        raise EwsError("ErrorInvalidPagingMaxRows")
    return min(most, int(str(given)))


def _attributes(where: str | None, total: int, *, last: bool) -> str:
    first = f" {where}" if where else ""
    return f'{first} TotalItemsInView="{total}" IncludesLastItemInRange="{xml.boolean(last)}"'
