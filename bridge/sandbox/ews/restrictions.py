"""Restrictions and sort orders as SQL over the items' bags."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.operands import (
    CONVERSATION_ID,
    Header,
    Path,
    is_list,
    is_number,
    is_recipients,
    is_text,
    item_operand,
    json_path,
    persons_name,
    read_operand,
)
from bridge.sandbox.ews.paths import PATH_TAGS, Extended, constant_value
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import MalformedIdError, read_conversation_id
from bridge.sandbox.store.searching import DATA

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from lxml import etree

    Operand = Callable[[Path], str]
    """Gives the SQL expression of a property's value."""

_LOOKED_UP: Final = frozenset({p.INTERNET_MESSAGE_ID, p.SEARCH_KEY})
_MOST_ORDERS: Final = 100
_COMPARISONS: Final = {
    "IsGreaterThan": ">",
    "IsGreaterThanOrEqualTo": ">=",
    "IsLessThan": "<",
    "IsLessThanOrEqualTo": "<=",
    "IsEqualTo": "IS",
    "IsNotEqualTo": "IS NOT",
}
# These have an index; sorting by another expression of theirs would not find it.
_INDEXED: Final = frozenset({"received", "created", "id"})
_MASK_DIGITS: Final = 10
MAX_DEPTH: Final = 100
MOST_CONDITIONS: Final = 5_000


class Restriction:
    """A WHERE condition with its parameters. `looks_up` tells that it begins with an index of its own."""

    def __init__(self, sql: str = "1", parameters: Sequence[Any] = ()) -> None:
        """Hold a condition; 1 holds for all."""
        self.sql = sql
        self.parameters: list[Any] = list(parameters)
        self.looks_up = False
        self.indexed = True
        """Whether equality of what has an index is answered from it; otherwise each item is read."""
        self.since: tuple[str, int] | None = None
        """The sign and the moment, where it is nothing but a comparison with the time of receipt."""
        self.named = False
        """Whether it asks for a named property."""

    def hide(self, changes: Sequence[tuple[int, int]]) -> None:
        """Leave out the items whose change number lies in one of these stretches, which begin behind their first."""
        if changes:
            self.sql = (
                f"({self.sql} AND NOT EXISTS (SELECT 1 FROM json_each(?) AS h WHERE change > "  # noqa: S608 - built here
                "json_extract(h.value, '$[0]') AND change <= json_extract(h.value, '$[1]')))"
            )
            self.parameters.append(json.dumps(changes))

    @property
    def reads_items(self) -> bool:
        """Return whether each item has to be read, because no index holds what is asked for."""
        return "props" in self.sql


def read_restriction(
    node: etree._Element | None, operand: Operand = item_operand, *, indexed: bool = True
) -> Restriction:
    """
    Return the condition that a Restriction element (or one that holds a search expression) says; None holds for all.

    Raises:
        EwsError: A property or an expression cannot be searched by.
    """
    restriction = Restriction()
    restriction.indexed = indexed
    if node is not None:
        expression = next(child for child in node if isinstance(child.tag, str))
        restriction.sql = _expression(expression, operand, restriction, 0)
        restriction.looks_up = _begins_with_lookup(restriction.sql)
        found = re.fullmatch(r"\(received (<=?|>=?) \?\)", restriction.sql)
        restriction.since = (found[1], restriction.parameters[0]) if found else None
    return restriction


def read_sort_order(node: etree._Element | None, operand: Operand = item_operand) -> str | None:
    """
    Return an ORDER BY list, None where the request leaves the order open.

    Raises:
        EwsError: A property cannot be sorted by.
    """
    if node is None:
        return None
    orders: dict[str, str] = {}
    direction = "ASC"
    for order in node:
        if not isinstance(order.tag, str):
            continue
        direction = "DESC" if order.get("Order") == "Descending" else "ASC"
        expression = sort_key(next(child for child in order if isinstance(child.tag, str)), operand)
        if expression is not None:
            # What comes again sorts nothing that is not sorted already.
            orders.setdefault(expression, direction)
    if len(orders) > _MOST_ORDERS:
        raise EwsError("ErrorUnsupportedPathForSortGroup")
    # Equal ones stand by their age, in the direction of the last field, so that an index gives the whole order.
    return ", ".join([*(f"{expression} {way}" for expression, way in orders.items()), f"id {direction}"])


def sort_key(node: etree._Element, operand: Operand = item_operand) -> str | None:
    """
    Return the SQL expression that a path sorts by, None for a property that no item here has.

    Raises:
        EwsError: ErrorUnsupportedPathForSortGroup.
    """
    try:
        path = read_operand(node)
        expression = "" if path is None else operand(path)
    except EwsError as error:
        raise EwsError("ErrorUnsupportedPathForSortGroup", xml=error.xml) from error
    if path is None:
        return None
    # What stands in the mail alone is not for sorting; categories are, as client tests found of real servers.
    if (isinstance(path, Extended) and path.multiple) or is_recipients(path) or DATA in expression:
        raise EwsError("ErrorUnsupportedPathForSortGroup")
    name = persons_name(path)
    if name is not None:
        return f"folded(coalesce({name}, {expression}))"
    return f"folded({expression})" if is_text(path) and expression not in _INDEXED else expression


def joined(parts: Sequence[str], word: str) -> str:
    """Return conditions joined by AND or OR, nested in halves: SQLite's expressions may not be deep."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({joined(parts[:half], word)} {word} {joined(parts[half:], word)})"


def any_of(key: str, condition: str) -> str:
    """Return the condition that one of a list's values meets another condition."""
    return f"EXISTS (SELECT 1 FROM json_each(props, '{json_path(key)}') WHERE {condition})"  # noqa: S608 - built here


def _expression(node: etree._Element, operand: Operand, into: Restriction, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise EwsError("ErrorUnsupportedQueryFilter")
    if len(into.parameters) > MOST_CONDITIONS:
        raise EwsError("ErrorRestrictionTooLong", "The restriction is too long.")
    name = str(node.tag).rpartition("}")[2]
    children = [child for child in node if isinstance(child.tag, str)]
    if name in ("And", "Or"):
        return joined([_expression(child, operand, into, depth + 1) for child in children], name.upper())
    if name == "Not":
        return f"(NOT coalesce({_expression(children[0], operand, into, depth + 1)}, 0))"
    if name == "Near":
        raise EwsError("ErrorUnsupportedQueryFilter")
    path = read_operand(children[0])
    into.named = into.named or (path is not None and path.key is not None and p.is_named(path.key))
    if path is None:
        # A property that no item here has: only its absence can be asked for.
        return "1" if name in ("IsNotEqualTo", "Excludes") else "0"
    if name == "Exists":
        return _exists(path, operand)
    if name == "Excludes":
        return _excludes(path, children[1], operand, into)
    if name == "Contains":
        return _contains(node, path, str(children[1].get("Value")), operand, into)
    return _comparison(name, path, children[1], operand, into)


def _exists(path: Path, operand: Operand) -> str:
    if path.key is not None and is_recipients(path):
        return any_of(path.key, "1")
    if operand is item_operand and path.key is not None and _is_looked_up(path):
        key = path.key.replace("'", "''")
        return f"EXISTS (SELECT 1 FROM looked_up AS l WHERE l.item = items.id AND l.key = '{key}')"  # noqa: S608 - quoted
    return f"({operand(path)} IS NOT NULL)"


def _excludes(path: Path, mask: etree._Element, operand: Operand, into: Restriction) -> str:
    if not is_number(path):
        raise EwsError("ErrorInvalidExcludesRestriction", "The Excludes restriction is only valid for integers.")
    into.parameters.append(_mask(mask.get("Value") or ""))
    return f"((coalesce({operand(path)}, 0) & ?) = 0)"


def _mask(text: str) -> int:
    """Return the number of a mask; the schema allows `0x` alone, leading zeros and digits without end."""
    given = text.strip().lower()
    digits = given.removeprefix("0x").lstrip("0")
    if len(digits) <= _MASK_DIGITS:
        value = int(digits or "0", 16 if given.startswith("0x") else 10)
        if value < 2**32:
            return value
    raise EwsError("ErrorInvalidExcludesRestriction", "The Excludes restriction takes a mask of 32 bits.")


def _comparison(name: str, path: Path, other: etree._Element, operand: Operand, into: Restriction) -> str:
    right = next(child for child in other if isinstance(child.tag, str))
    sign = _COMPARISONS[name]
    if isinstance(path, Field) and path.uri == CONVERSATION_ID and operand is item_operand:
        return _of_conversation(name, right, into)
    if right.tag in PATH_TAGS:
        second = read_operand(right)
        return f"({operand(path)} {sign} {operand(second)})" if second else "0"
    value = str(right.get("Value")) if isinstance(path, Header) else constant_value(path, str(right.get("Value")))
    if path.key is not None and is_recipients(path):
        return _of_people(name, path.key, value, into)
    if path.key is not None and is_list(path):
        into.parameters.append(value)
        # Categories and their like are compared without regard to case.
        found = any_of(path.key, f"folded(value) {'IS' if name == 'IsNotEqualTo' else sign} folded(?)")
        return f"(NOT {found})" if name == "IsNotEqualTo" else found
    if name in ("IsEqualTo", "IsNotEqualTo") and operand is item_operand and into.indexed and _is_looked_up(path):
        into.parameters += [path.key, value]
        if name == "IsEqualTo":
            return "(id IN (SELECT item FROM looked_up WHERE key = ? AND value = ?))"
        return "(NOT EXISTS (SELECT 1 FROM looked_up AS l WHERE l.item = items.id AND l.key = ? AND l.value = ?))"
    person = persons_name(path) if operand is item_operand else None
    if person is not None:
        into.parameters += [value, value]
        way = sign if name != "IsNotEqualTo" else "IS"
        found = f"(folded({person}) {way} folded(?) OR folded({operand(path)}) {way} folded(?))"
        return f"(NOT {found})" if name == "IsNotEqualTo" else found
    into.parameters.append(value)
    return f"({operand(path)} {sign} ?)"


def _of_people(name: str, key: str, value: str, into: Restriction) -> str:
    if name not in ("IsEqualTo", "IsNotEqualTo"):
        raise EwsError("ErrorUnsupportedPathForQuery")
    into.parameters += [value, value]
    found = any_of(key, " OR ".join(f"folded(json_extract(value, '$[{at}]')) = folded(?)" for at in (0, 1)))
    return found if name == "IsEqualTo" else f"(NOT {found})"


def _of_conversation(name: str, constant: etree._Element, into: Restriction) -> str:
    if name not in ("IsEqualTo", "IsNotEqualTo"):
        raise EwsError("ErrorUnsupportedPathForQuery", xml=f'<t:FieldURI FieldURI="{CONVERSATION_ID}"/>')
    try:
        guid, number = read_conversation_id(str(constant.get("Value")))
    except MalformedIdError as error:
        raise EwsError("ErrorInvalidIdMalformed") from error
    into.parameters += [number, str(guid)]
    topic = "(SELECT t.topic FROM topics AS t JOIN mailboxes AS m ON m.id = t.mailbox WHERE t.id = ? AND m.guid = ?)"
    return f"(topic {_COMPARISONS[name]} {topic})"


def _contains(node: etree._Element, path: Path, needle: str, operand: Operand, into: Restriction) -> str:
    mode = node.get("ContainmentMode") or "FullString"
    comparison = node.get("ContainmentComparison") or "Exact"
    tail = [needle, mode, comparison]
    if not is_text(path):
        raise EwsError("ErrorContainsFilterWrongType", "The Contains restriction is only valid for strings.")
    if path.key is not None and is_list(path):
        into.parameters += tail
        return any_of(path.key, "contains(value, ?, ?, ?)")
    if path.key is not None and is_recipients(path):
        into.parameters += tail * 2
        return any_of(
            path.key,
            "contains(json_extract(value, '$[0]'), ?, ?, ?) OR contains(json_extract(value, '$[1]'), ?, ?, ?)",
        )
    person = persons_name(path) if operand is item_operand else None
    if person is not None:
        into.parameters += tail * 2
        return f"(contains({person}, ?, ?, ?) OR contains({operand(path)}, ?, ?, ?))"
    into.parameters += tail
    return f"contains({operand(path)}, ?, ?, ?)"


def _is_looked_up(path: Path) -> bool:
    """Return whether the table of looked up properties answers for this one; headers may stand in the MIME alone."""
    if path.key is None or is_list(path):
        return False
    return (p.is_named(path.key) and p.header_of(path.key) is None) or path.key in _LOOKED_UP


def _begins_with_lookup(sql: str) -> bool:
    return sql.lstrip("(").startswith("id IN (SELECT item FROM looked_up") and " OR " not in sql
