"""What a FieldURI, IndexedFieldURI or ExtendedFieldURI of a request points at."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple
from xml.sax.saxutils import quoteattr

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.kinds import BY_URI
from bridge.sandbox.ews.values import EXTENDED
from bridge.sandbox.ews.versions import SchemaVersion, knows, unknown_property
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

    from bridge.sandbox.ews.view import View

PATH_TAGS = frozenset({xml.T + "FieldURI", xml.T + "IndexedFieldURI", xml.T + "ExtendedFieldURI"})


@dataclass(frozen=True, slots=True)
class Extended:
    """An extended property: its bag key, its MAPI type, and the element that names it."""

    key: str
    mapi_type: str
    uri_xml: str

    @property
    def multiple(self) -> bool:
        """Return whether it holds a list of values."""
        return self.mapi_type.endswith("Array")

    def show(self, view: View) -> str:
        """Return the t:ExtendedProperty, or nothing where the item has none of it."""
        return self.show_value(view.value(self.key))

    def show_value(self, value: Any) -> str:  # noqa: ANN401 - whatever JSON value the property has
        """Return the t:ExtendedProperty with this value, nothing for None."""
        if value is None:
            return ""
        kind = EXTENDED[self.mapi_type.removesuffix("Array")]
        if self.multiple:
            listed = "".join(f"<t:Value>{kind.show(one)}</t:Value>" for one in value)
            return f"<t:ExtendedProperty>{self.uri_xml}<t:Values>{listed}</t:Values></t:ExtendedProperty>"
        return f"<t:ExtendedProperty>{self.uri_xml}<t:Value>{kind.show(value)}</t:Value></t:ExtendedProperty>"

    def read(self, texts: list[str]) -> Any:  # noqa: ANN401 - whatever JSON value the property has
        """
        Return the value that these texts stand for.

        Raises:
            EwsError: ErrorInvalidExtendedPropertyValue.
        """
        kind = EXTENDED[self.mapi_type.removesuffix("Array")]
        try:
            found = [kind.read(text) for text in texts]
        except ValueError as error:
            raise EwsError("ErrorInvalidExtendedPropertyValue", xml=self.uri_xml) from error
        if not self.multiple and len(found) != 1:
            raise EwsError("ErrorInvalidExtendedPropertyValue", xml=self.uri_xml)
        return found if self.multiple else found[0]


@dataclass(frozen=True, slots=True)
class Foreign:
    """A property that Exchange knows and no item of this store ever has, such as `contacts:SkypeId`."""

    uri: str


def path_xml(node: etree._Element) -> str:
    """Return the path element as MessageXml names it."""
    attributes = "".join(
        f" {name}={quoteattr(value)}" for name, value in xml.attributes_of(node).items() if name[0] != "{"
    )
    return f"<t:{str(node.tag).rpartition('}')[2]}{attributes}/>"


def read_path(node: etree._Element) -> Field | Extended | Foreign:
    """
    Return what a path element points at.

    Raises:
        EwsError: ErrorInvalidExtendedProperty for attributes that do not go together.
    """
    name = str(node.tag).rpartition("}")[2]
    if name == "FieldURI":
        uri = str(node.get("FieldURI"))
        return BY_URI.get(uri) or Foreign(uri)
    if name == "IndexedFieldURI":
        uri = f"{node.get('FieldURI')}:{node.get('FieldIndex')}"
        return BY_URI.get(uri) or Foreign(uri)
    return read_extended(node)


class AdditionalProperties(NamedTuple):
    """What a shape asks for by name, beside its base shape."""

    extended: tuple[Extended, ...]
    named: Sequence[tuple[Field | Foreign, etree._Element]]
    """The other paths, each with the element that names it."""


def read_additional(shape: etree._Element, version: SchemaVersion) -> AdditionalProperties:
    """
    Return the AdditionalProperties of a shape.

    Raises:
        EwsError: ErrorInvalidPropertyRequest for a property that came after the version.
    """
    extended: dict[str, Extended] = {}
    named: list[tuple[Field | Foreign, etree._Element]] = []
    additional = shape.find(xml.T + "AdditionalProperties")
    for node in () if additional is None else additional:
        if node.tag not in PATH_TAGS:
            continue
        path = read_path(node)
        if isinstance(path, Extended):
            extended[path.key] = path
        elif not knows(version, path.uri):
            raise unknown_property(version, path.uri)
        else:
            named.append((path, node))
    return AdditionalProperties(tuple(extended.values()), named)


def read_extended(node: etree._Element) -> Extended:
    """
    Return the extended property that an ExtendedFieldURI names.

    Raises:
        EwsError: ErrorInvalidExtendedProperty for attributes that do not go together,
            ErrorUnsupportedMapiPropertyType, ErrorNoPropertyTagForCustomProperties.
    """
    given = {name for name in xml.attributes_of(node) if name[0] != "{"} - {"PropertyType"}
    mapi_type = str(node.get("PropertyType"))
    uri_xml = path_xml(node)
    if mapi_type.removesuffix("Array") not in EXTENDED or mapi_type == "Error":
        raise EwsError("ErrorUnsupportedMapiPropertyType", xml=uri_xml)
    if given == {"PropertyTag"}:
        tag = int(str(node.get("PropertyTag")), 0)
        if tag >= 0x8000:
            raise EwsError("ErrorNoPropertyTagForCustomProperties", xml=uri_xml)
        shown = f'<t:ExtendedFieldURI PropertyTag="0x{tag:x}" PropertyType="{mapi_type}"/>'
        return Extended(p.tag_key(tag, mapi_type), mapi_type, shown)
    sets = given & {"DistinguishedPropertySetId", "PropertySetId"}
    names = given & {"PropertyName", "PropertyId"}
    if len(sets) != 1 or len(names) != 1 or given != sets | names:
        raise EwsError("ErrorInvalidExtendedProperty", xml=uri_xml)
    distinguished = node.get("DistinguishedPropertySetId")
    guid = p.PROPERTY_SETS[str(distinguished)] if distinguished else str(node.get("PropertySetId"))
    which = str(node.get("PropertyName")) if "PropertyName" in names else int(str(node.get("PropertyId")))
    if which == "":
        raise EwsError("ErrorInvalidExtendedProperty", xml=uri_xml)
    return Extended(p.named_key(guid, which, mapi_type), mapi_type, uri_xml)


def constant_value(path: Field | Extended, text: str) -> Any:  # noqa: ANN401 - whatever JSON value the property has
    """
    Return a restriction's constant as the bag keeps values of the property.

    Raises:
        EwsError: ErrorInvalidValueForProperty, for a text that is no value of its kind.
    """
    kind = path.kind if isinstance(path, Field) else EXTENDED[path.mapi_type.removesuffix("Array")]
    try:
        return kind.read(text)
    except ValueError as error:
        raise EwsError("ErrorInvalidValueForProperty", "The specified value is invalid for property.") from error
