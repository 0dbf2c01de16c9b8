"""An item's properties as SQL expressions: what searches compare, and lists are sorted by."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import values
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.fields import BY_URI
from bridge.sandbox.ews.paths import Extended, Foreign, path_xml, read_path
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.searching import DATA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lxml import etree

    from bridge.sandbox.ews.values import Kind


@dataclass(frozen=True, slots=True)
class Header:
    """A header of a mail, by its name: `item:InternetMessageHeader` with a FieldIndex."""

    name: str
    key: None = None
    kind: Kind = values.STRING


Path = Field | Extended | Header

CONVERSATION_ID: Final = "item:ConversationId"
_LIST: Final = re.compile(r"(?:0x|\{).*1[0-9A-F]{3}", re.DOTALL)
"""Keys end with the type of the property; those of lists have the bit 0x1000 (MS-OXCDATA 2.11.1)."""
_BODY: Final = f"body_of({DATA}, props)"
_BODY_FIELDS: Final = frozenset({"item:Body", "item:TextBody"})
# What has a column or a function of its own, by its key.
_EXPRESSIONS: Final[Mapping[str, str]] = {
    p.DELIVERY_TIME: "received",
    p.CREATION_TIME: "created",
    p.ARTICLE_NUMBER: "id",
    p.BODY_TEXT: _BODY,
    p.TRANSPORT_HEADERS: f"headers_of({DATA}, props)",
    p.tag_key(0x0E1D, "String"): f"json_extract(props, '$.\"{p.CONVERSATION_TOPIC}\"')",
}
_NAMES: Final[Mapping[str, str]] = {
    "message:From": p.SENT_REPRESENTING_NAME,
    "message:Sender": p.SENDER_NAME,
    "message:ReceivedBy": p.RECEIVED_BY_NAME,
    "message:ReceivedRepresenting": p.RECEIVED_BY_NAME,
}


def read_operand(node: etree._Element) -> Path | None:
    """
    Return what a path element of a search points at, None for a property that no item here ever has.

    Raises:
        EwsError: It is a folder's, or has attributes that do not go together.
    """
    path = read_path(node)
    if not isinstance(path, Foreign):
        return path
    if path.uri.startswith("folder:"):
        raise EwsError("ErrorUnsupportedPathForQuery", xml=path_xml(node))
    if path.uri.startswith("item:InternetMessageHeader:"):
        return Header(path.uri.split(":", 2)[2])
    return None


def item_operand(path: Path) -> str:
    """
    Return the SQL expression of an item's property.

    Raises:
        EwsError: ErrorUnsupportedPathForQuery.
    """
    if isinstance(path, Header):
        return f"header_of({DATA}, props, {_text(path.name)})"
    if isinstance(path, Field):
        return _field(path)
    if path.key in _EXPRESSIONS:
        return _EXPRESSIONS[path.key]
    value = f"json_extract(props, '{json_path(path.key)}')"
    header = p.header_of(path.key)
    # What a client set comes first; a mail that came as MIME has its headers there.
    return f"coalesce({value}, header_of({DATA}, props, {_text(header)}))" if header else value


def persons_name(path: Path) -> str | None:
    """Return the SQL expression of a person's name, where a property is a person; its own one is the address."""
    key = _NAMES.get(path.uri) if isinstance(path, Field) else None
    return f"json_extract(props, '{json_path(key)}')" if key else None


def is_list(path: Path) -> bool:
    """Return whether a property holds a list of values."""
    return path.key is not None and _LIST.fullmatch(path.key) is not None


def is_recipients(path: Path) -> bool:
    """Return whether a property is a list of people."""
    return path.key is not None and path.key.startswith("recipients:")


def is_text(path: Path) -> bool:
    """Return whether a property holds text, so that a part of it may be looked for."""
    if isinstance(path, Extended):
        return path.mapi_type.removesuffix("Array") == "String"
    return path.kind is values.STRING


def is_number(path: Path) -> bool:
    """Return whether a property holds bits that a mask may be laid on."""
    if isinstance(path, Extended):
        return path.mapi_type in ("Integer", "Short", "Long")
    return path.kind is values.INTEGER


def json_path(key: str) -> str:
    """Return SQLite's JSON path of a key, as it stands within quotes in SQL."""
    return '$."' + key.replace("'", "''") + '"'


def of_uri(uri: str) -> Field:
    """Return a field by its name."""
    return BY_URI[uri]


def _field(path: Field) -> str:
    if path.uri in _BODY_FIELDS:
        return _BODY
    if path.key is None:
        raise EwsError("ErrorUnsupportedPathForQuery", xml=f'<t:FieldURI FieldURI="{path.uri}"/>')
    if path.key in _EXPRESSIONS:
        return _EXPRESSIONS[path.key]
    value = f"json_extract(props, '{json_path(path.key)}')"
    if path.mask:
        return f"(coalesce({value}, 0) & {path.mask}) {'= 0' if path.inverted else '<> 0'}"
    if path.default is not None:
        return f"coalesce({value}, {_literal(path.default)})"
    return value


def _literal(value: Any) -> str:  # noqa: ANN401 - a default of the table of fields
    return _text(value) if isinstance(value, str) else str(int(value))


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
