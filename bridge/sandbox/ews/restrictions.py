"""Restrictions and sort orders as SQL over the items' bags."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import Field
from bridge.sandbox.ews.paths import PATH_TAGS, Extended, Foreign, constant_value, path_xml, read_path
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Callable

    from lxml import etree

    Path = Field | Extended
    Operand = Callable[[Path], str]
    """Gives the SQL expression of a property's value."""

_LOOKED_UP = frozenset({p.INTERNET_MESSAGE_ID, p.SEARCH_KEY})
_COMPARISONS = {
    "IsGreaterThan": ">",
    "IsGreaterThanOrEqualTo": ">=",
    "IsLessThan": "<",
    "IsLessThanOrEqualTo": "<=",
    "IsEqualTo": "IS",
    "IsNotEqualTo": "IS NOT",
}
MAX_DEPTH = 100
_NO_QUERY = frozenset({
    "item:ItemId", "item:ParentFolderId", "item:MimeContent", "item:Body", "item:Attachments", "item:TextBody",
    "item:InternetMessageHeaders", "item:ResponseObjects", "item:EffectiveRights", "item:UniqueBody",
    "item:InstanceKey", "item:NormalizedBody", "item:ConversationId", "item:WebClientReadFormQueryString",
    "item:WebClientEditFormQueryString",
})  # fmt: skip


class Restriction:
    """A WHERE condition with its parameters. `looks_up` tells that it begins with an index of its own."""

    def __init__(self) -> None:
        """Begin empty."""
        self.parameters: list[Any] = []
        self.looks_up = False
        self.sql = "1"


def item_operand(path: Path) -> str:
    """Return the SQL expression of an item's property."""
    if isinstance(path, Field):
        if path.key is None or path.uri in _NO_QUERY:
            raise EwsError("ErrorUnsupportedPathForQuery", xml=f'<t:FieldURI FieldURI="{path.uri}"/>')
        if path.key == p.DELIVERY_TIME:
            return "received"
        value = f"json_extract(props, '$.\"{path.key}\"')"
        if path.mask:
            return f"(coalesce({value}, 0) & {path.mask}) {'= 0' if path.inverted else '<> 0'}"
        if path.default is not None:
            return f"coalesce({value}, {_literal(path.default)})"
        return value
    if path.key == p.DELIVERY_TIME:
        return "received"
    if path.key == p.ARTICLE_NUMBER:
        return "id"
    return f"json_extract(props, '{_json_path(path.key)}')"


def read_restriction(node: etree._Element | None, operand: Operand = item_operand) -> Restriction:
    """
    Return the condition that a Restriction element (or one that holds a search expression) says; None holds for all.

    Raises:
        EwsError: A property or an expression cannot be searched by.
    """
    restriction = Restriction()
    if node is not None:
        expression = next(child for child in node if isinstance(child.tag, str))
        restriction.sql = _expression(expression, operand, restriction, 0)
        restriction.looks_up = _begins_with_lookup(restriction.sql)
    return restriction


def read_sort_order(node: etree._Element | None, operand: Operand = item_operand) -> str | None:
    """
    Return an ORDER BY list, None where the request leaves the order open.

    Raises:
        EwsError: A property cannot be sorted by.
    """
    if node is None:
        return None
    orders = []
    for order in node:
        if not isinstance(order.tag, str):
            continue
        path = read_path(next(child for child in order if isinstance(child.tag, str)))
        if isinstance(path, Foreign) or (isinstance(path, Extended) and path.multiple):
            raise EwsError("ErrorUnsupportedPathForSortGroup")
        try:
            expression = operand(path)
        except EwsError as error:
            raise EwsError("ErrorUnsupportedPathForSortGroup", xml=error.xml) from error
        direction = "DESC" if order.get("Order") == "Descending" else "ASC"
        # The column alone, so that the index by time of receipt serves.
        orders.append(f"{expression} {direction}" if expression == "received" else f"folded({expression}) {direction}")
    return ", ".join(orders)


def _expression(node: etree._Element, operand: Operand, into: Restriction, depth: int) -> str:
    if depth > MAX_DEPTH:
        raise EwsError("ErrorUnsupportedQueryFilter")
    name = str(node.tag).rpartition("}")[2]
    children = [child for child in node if isinstance(child.tag, str)]
    if name in ("And", "Or"):
        parts = [_expression(child, operand, into, depth + 1) for child in children]
        return "(" + f" {name.upper()} ".join(parts) + ")"
    if name == "Not":
        return f"NOT coalesce({_expression(children[0], operand, into, depth + 1)}, 0)"
    if name == "Near":
        raise EwsError("ErrorUnsupportedQueryFilter")
    path = _path(children[0])
    if path is None:
        # A property that no item here has: only its absence can be asked for.
        return "1" if name in ("IsNotEqualTo", "Excludes") else "0"
    if name == "Exists":
        return f"({operand(path)} IS NOT NULL)"
    if name == "Excludes":
        into.parameters.append(int(children[1].get("Value") or "0", 0))
        return f"((coalesce({operand(path)}, 0) & ?) = 0)"
    if name == "Contains":
        return _contains(node, path, str(children[1].get("Value")), operand, into)
    return _comparison(name, path, children[1], operand, into)


def _path(node: etree._Element) -> Path | None:
    path = read_path(node)
    if isinstance(path, Foreign):
        if path.uri.startswith("folder:"):
            raise EwsError("ErrorUnsupportedPathForQuery", xml=path_xml(node))
        return None
    return path


def _comparison(name: str, path: Path, other: etree._Element, operand: Operand, into: Restriction) -> str:
    right = next(child for child in other if isinstance(child.tag, str))
    sign = _COMPARISONS[name]
    if right.tag in PATH_TAGS:
        second = _path(right)
        return f"({operand(path)} {sign} {operand(second)})" if second else "0"
    value = constant_value(path, str(right.get("Value")))
    if path.key is not None and _is_list(path):
        into.parameters.append(value)
        # Categories and their like are compared without regard to case.
        found = _any_of(path.key, f"folded(value) {'IS' if name == 'IsNotEqualTo' else sign} folded(?)")
        return f"(NOT {found})" if name == "IsNotEqualTo" else found
    if (
        name == "IsEqualTo"
        and path.key is not None
        and operand is item_operand
        and (p.is_named(path.key) or path.key in _LOOKED_UP)
    ):
        into.parameters += [path.key, value]
        return "(id IN (SELECT item FROM looked_up WHERE key = ? AND value = ?))"
    into.parameters.append(value)
    return f"({operand(path)} {sign} ?)"


def _contains(node: etree._Element, path: Path, needle: str, operand: Operand, into: Restriction) -> str:
    mode = node.get("ContainmentMode") or "FullString"
    comparison = node.get("ContainmentComparison") or "Exact"
    tail = [needle, mode, comparison]
    if path.key is not None and _is_list(path):
        into.parameters += tail
        return _any_of(path.key, "contains(value, ?, ?, ?)")
    if path.key is not None and path.key.startswith("recipients:"):
        into.parameters += tail
        both = "json_extract(value, '$[0]') || ' ' || json_extract(value, '$[1]')"
        return _any_of(path.key, f"contains({both}, ?, ?, ?)")
    expression = operand(path)
    into.parameters += tail
    return f"contains({expression}, ?, ?, ?)"


def _any_of(key: str, condition: str) -> str:
    """Return the condition that one of a list's values meets another condition."""
    return f"EXISTS (SELECT 1 FROM json_each(props, '{_json_path(key)}') WHERE {condition})"  # noqa: S608 - built here


def _is_list(path: Path) -> bool:
    return path.multiple if isinstance(path, Extended) else path.key == p.KEYWORDS


def _json_path(key: str) -> str:
    return '$."' + key.replace("'", "''") + '"'


def _literal(value: Any) -> str:  # noqa: ANN401 - a default of the table of fields
    return "''" if value == "" else str(int(value))


def _begins_with_lookup(sql: str) -> bool:
    return sql.lstrip("(").startswith("id IN (SELECT item FROM looked_up") and " OR " not in sql
