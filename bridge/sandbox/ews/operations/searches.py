"""One search in a folder: which items, in which order, in which groups; what SQLite can count it does."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operands import item_operand, of_uri, read_operand
from bridge.sandbox.ews.paths import PATH_TAGS, Extended
from bridge.sandbox.ews.restrictions import sort_key
from bridge.sandbox.ews.values import EXTENDED
from bridge.sandbox.store import arrivals
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.operands import Path
    from bridge.sandbox.ews.restrictions import Restriction

_NOT_SERVED: Final = ("UseCollapsibleGroups", "ItemsPerGroup", "MaxItemsPerGroup", "GroupsToExpand")


@dataclass(frozen=True, slots=True)
class Search:
    """The items of a folder that a condition lets through, in an order."""

    db: sqlite3.Connection
    folder: int
    restriction: Restriction
    order: str

    def count(self) -> int:
        """Return how many there are."""
        if self.restriction.since is not None:
            return arrivals.count(self.db, self.folder, *self.restriction.since)
        query = f"SELECT count(*) FROM items WHERE {self._where()}"  # noqa: S608 - built of the request's own tables
        return int(self.db.execute(query, self._parameters()).fetchone()[0])

    def page(self, offset: int, limit: int) -> list[int]:
        """Return the numbers of the items after the first `offset`, at most `limit`; offsets are walked in an index."""
        query = f"SELECT id FROM items WHERE {self._where()} ORDER BY {self.order} LIMIT ? OFFSET ?"  # noqa: S608 - likewise
        return [row[0] for row in self.db.execute(query, (*self._parameters(), limit, offset))]

    def numbers(self) -> list[int]:
        """Return the numbers of all of them, each looked at once."""
        query = f"SELECT id FROM items WHERE {self._where()} ORDER BY {self.order}"  # noqa: S608 - likewise
        return [row[0] for row in self.db.execute(query, self._parameters())]

    def marked(self, condition: Restriction) -> list[tuple[int, bool]]:
        """Return the numbers of all of them, each with whether it meets another condition."""
        query = f"SELECT id, coalesce({condition.sql}, 0) FROM items WHERE {self._where()} ORDER BY {self.order}"  # noqa: S608 - likewise
        return [(row[0], bool(row[1])) for row in self.db.execute(query, (*condition.parameters, *self._parameters()))]

    def groups_of(self, wanted: list[int], key: str, shown: str) -> dict[int, tuple[Any, Any]]:
        """Return for each of some numbers the key of its group and the value that the group is called by."""
        query = f"SELECT id, {key}, {shown} FROM items WHERE id IN (SELECT value FROM json_each(?))"  # noqa: S608 - likewise
        return {row[0]: (row[1], row[2]) for row in self.db.execute(query, (str(wanted),))}

    def _where(self) -> str:
        # The plus keeps SQLite from walking the folder when an index of the restriction's own leads to a few items.
        folder = "+folder = ?" if self.restriction.looks_up else "folder = ?"
        return f"{folder} AND {self.restriction.sql}"

    def _parameters(self) -> tuple[Any, ...]:
        return (self.folder, *self.restriction.parameters)


@dataclass(frozen=True, slots=True)
class Grouping:
    """How found items are put together: by which value, and in which order the groups stand."""

    key: str
    shown: str
    order: str
    path: Path | None

    def title(self, value: Any) -> str:  # noqa: ANN401 - a value of the property
        """Return what GroupIndex says of a group."""
        if value is None or self.path is None:
            return ""
        kind = EXTENDED[self.path.mapi_type] if isinstance(self.path, Extended) else self.path.kind
        return kind.show(value)


def read_grouping(request: etree._Element) -> Grouping | None:
    """
    Return the grouping that a request asks for, None where it asks for none.

    Raises:
        EwsError: A property cannot be grouped by, or the groups are to be folded up.
    """
    if request.find(xml.M + "DistinguishedGroupBy") is not None:
        node = request.find(xml.M + "DistinguishedGroupBy")
        topic = of_uri("message:ConversationTopic")
        return _grouping("topic", topic, "received", "Maximum", "" if node is None else str(node.get("Order")))
    node = request.find(xml.M + "GroupBy")
    if node is None:
        return None
    if any(node.find(xml.T + name) is not None for name in _NOT_SERVED):
        raise EwsError("ErrorInvalidOperation", "Groups that fold up are not supported.")
    by = next(one for one in node if one.tag in PATH_TAGS)
    aggregate = next(one for one in node if one.tag == xml.T + "AggregateOn")
    on = sort_key(next(one for one in aggregate if one.tag in PATH_TAGS)) or "NULL"
    key = sort_key(by)
    path = read_operand(by) if key else None
    return _grouping(key or "NULL", path, on, str(aggregate.get("Aggregate")), str(node.get("Order")))


def _grouping(key: str, path: Path | None, on: str, aggregate: str, order: str) -> Grouping:
    function = "min" if aggregate == "Minimum" else "max"
    way = "DESC" if order == "Descending" else "ASC"
    shown = item_operand(path) if path is not None else "NULL"
    return Grouping(key, shown, f"{function}({on}) OVER (PARTITION BY {key}) {way}, {key}", path)


NEWEST_FIRST: Final = "received DESC, id DESC"
"""Exchange's order where none is asked for."""

CLASS: Final = f"json_extract(props, '$.\"{p.MESSAGE_CLASS}\"')"
