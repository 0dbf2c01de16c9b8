"""Which properties an answer shows: BaseShape and AdditionalProperties, read once for each request."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.bodies import body_xml, read_treatment
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.fields import (
    BY_URI,
    ITEM_FIELDS,
    LATER_RIGHTS,
    attachment_id_xml,
    element_for,
    headers_xml,
    item_id_xml,
    stands_before_extended,
)
from bridge.sandbox.ews.kinds import fields_shown
from bridge.sandbox.ews.paths import Extended, path_xml, read_additional
from bridge.sandbox.ews.versions import LATEST, SchemaVersion, knows
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lxml import etree

    from bridge.sandbox.ews.rights import Right
    from bridge.sandbox.ews.view import View

_COMMON = frozenset(BY_URI)
_SHAPE_LETTERS = {
    ("Default", False): "G",
    ("AllProperties", False): "g",
    ("Default", True): "F",
    ("AllProperties", True): "f",
}


_PLACES: Final = {field.uri: place for place, field in enumerate(ITEM_FIELDS)}
_HEADERS: Final = "item:InternetMessageHeaders"


@dataclass(frozen=True, slots=True)
class OtherKinds:
    """The properties that items of other kinds than mail show of the same shape."""

    letter: str | None
    wanted: frozenset[str]
    version: SchemaVersion
    _known: dict[str, tuple[tuple[Field, ...], tuple[Field, ...]]] = field(default_factory=dict)

    def parts(self, kind: str, of_mail: tuple[Field, ...]) -> tuple[tuple[Field, ...], tuple[Field, ...]]:
        """Return what stands before the extended properties and what after; `of_mail` knows how bodies are wanted."""
        if kind not in self._known:
            # Their MIME is no mail: each kind renders its own.
            made = {one.uri: one for one in of_mail if one.uri != "item:MimeContent"}
            fields = [
                made.get(one.uri, one)
                for one in fields_shown(kind, self.letter, self.wanted)
                if knows(self.version, one.uri)
            ]
            before = tuple(one for one in fields if one.uri in _COMMON and stands_before_extended(BY_URI[one.uri]))
            self._known[kind] = before, tuple(fields[len(before) :])
        return self._known[kind]


@dataclass(frozen=True, slots=True)
class ItemShape:
    """The properties to show, in the schema's order."""

    before: tuple[Field, ...]
    extended: tuple[Extended, ...]
    after: tuple[Field, ...]
    others: OtherKinds | None = None
    """What items that are no mails show."""
    rights: Callable[[View], Right] | None = None
    """Tells what who asks may do with an item, where it may be somebody else's."""

    @property
    def ids_only(self) -> bool:
        """Return whether nothing but the id is asked for."""
        named = self.others.wanted if self.others is not None else {"item:ItemId"}
        return not self.extended and not self.after and named == {"item:ItemId"}

    def show(self, view: View) -> str:
        """Return the item as an element of its class, with all that the shape asks for."""
        if self.rights is not None:
            view.rights = self.rights(view)
        name = element_for(view.item.bag.get(p.MESSAGE_CLASS, ""))
        before, after = self.before, self.after
        if self.others is not None and name != "Message":
            before, after = self.others.parts(name, (*before, *after))
        parts = [f"<t:{name}>"]
        parts.extend(field.show(view) for field in before)
        parts.extend(one.show(view) for one in self.extended)
        parts.extend(field.show(view) for field in after)
        parts.append(f"</t:{name}>")
        return "".join(parts)


def id_only(view: View) -> str:
    """Return the item with nothing but its id, as CreateItem, UpdateItem, MoveItem and CopyItem answer."""
    name = element_for(view.item.bag.get(p.MESSAGE_CLASS, ""))
    return f"<t:{name}>{item_id_xml(view)}</t:{name}>"


def created(view: View) -> str:
    """Return a new item as CreateItem answers: its id, and those of the attachments that it was made with."""
    listed = "".join(attachment_id_xml(view, number) for number in view.attachments())
    name = element_for(view.item.bag.get(p.MESSAGE_CLASS, ""))
    shown = f"<t:Attachments>{listed}</t:Attachments>" if listed else ""
    return f"<t:{name}>{item_id_xml(view)}{shown}</t:{name}>"


def _of_base_shape(base: str, version: SchemaVersion, *, finding: bool) -> Iterable[str]:
    letter = _SHAPE_LETTERS.get((base, finding))
    return (field.uri for field in ITEM_FIELDS if letter and letter in field.shapes and knows(version, field.uri))


def _as_of(version: SchemaVersion, field: Field) -> Field:
    later = field.uri == LATER_RIGHTS.uri and version >= SchemaVersion.Exchange2010_SP2
    return LATER_RIGHTS if later else field


def _headers_named(additional: etree._Element | None, *, found: bool) -> frozenset[str]:
    """
    Return the names, in small letters, of the headers that are asked for one by one.

    Raises:
        EwsError: ErrorInvalidPropertyRequest, they are asked for where items are `found`, not fetched.
    """
    asked = [
        node
        for node in (() if additional is None else additional.iter(xml.T + "IndexedFieldURI"))
        if node.get("FieldURI") == "item:InternetMessageHeader"
    ]
    if asked and found:
        raise EwsError("ErrorInvalidPropertyRequest", xml=path_xml(asked[0]))
    return frozenset(str(node.get("FieldIndex")).lower() for node in asked)


def _with_headers(fields: list[Field], wanted: set[str], names: frozenset[str]) -> list[Field]:
    """Return the properties to show with the headers that were named, which `wanted` has then; all hold those too."""
    if not names or _HEADERS in wanted:
        return fields
    wanted.add(_HEADERS)
    return sorted([*fields, replace(BY_URI[_HEADERS], render=headers_xml(names))], key=lambda one: _PLACES[one.uri])


def read_item_shape(
    node: etree._Element,
    *,
    finding: bool,
    whole: bool = False,
    version: SchemaVersion = LATEST,
    base: str = "IdOnly",
) -> ItemShape:
    """
    Return the shape that an ItemShape or AttachmentShape element asks for; `base` is for one that has no BaseShape.

    Base shapes hold less where items are found than where they are fetched. What only fetching can give is refused
    there when it is asked for by name, unless the `whole` item may be asked for. So is what came after the `version`.

    Raises:
        EwsError: ErrorInvalidPropertyRequest for a property that this operation cannot give.
    """
    base = node.findtext(xml.T + "BaseShape", base)
    wanted = {"item:ItemId", *_of_base_shape(base, version, finding=finding)}
    if xml.truth(node.findtext(xml.T + "IncludeMimeContent")):
        if finding and not whole:
            raise EwsError("ErrorInvalidPropertyRequest", xml='<t:FieldURI FieldURI="item:MimeContent"/>')
        wanted.add("item:MimeContent")
    additional = read_additional(node, version)
    for path, path_node in additional.named:
        if isinstance(path, Field):
            if finding and not whole and not path.found:
                raise EwsError("ErrorInvalidPropertyRequest", xml=path_xml(path_node))
            wanted.add(path.uri)
        elif path.uri.startswith("folder:"):
            raise EwsError("ErrorInvalidPropertyRequest", xml=path_xml(path_node))
    kinds = {
        "item:Body": node.findtext(xml.T + "BodyType") or "Best",
        "item:UniqueBody": node.findtext(xml.T + "UniqueBodyType") or node.findtext(xml.T + "BodyType") or "Best",
        "item:NormalizedBody": node.findtext(xml.T + "NormalizedBodyType")
        or node.findtext(xml.T + "BodyType")
        or "Best",
    }
    whole_said = version >= SchemaVersion.Exchange2013
    kilobytes = int((node.findtext(xml.T + "MaximumBodySize") or "0").strip())
    most = kilobytes * 1024 if kilobytes > 0 else None
    treatment, utf8 = read_treatment(node), xml.truth(node.findtext(xml.T + "ConvertHtmlCodePageToUTF8", "true"))
    fields = [
        replace(
            field,
            render=body_xml(
                field.element,
                kinds[field.uri],
                whole_said=whole_said,
                most=most if field.uri != "item:UniqueBody" else None,
                treatment=treatment,
                utf8=utf8,
            ),
        )
        if field.uri in kinds
        else _as_of(version, field)
        for field in ITEM_FIELDS
        if field.uri in wanted
    ]
    fields = _with_headers(
        fields, wanted, _headers_named(node.find(xml.T + "AdditionalProperties"), found=finding and not whole)
    )
    before = tuple(field for field in fields if stands_before_extended(BY_URI[field.uri]))
    others = OtherKinds(_SHAPE_LETTERS.get((base, finding)), frozenset(wanted), version)
    return ItemShape(before, additional.extended, tuple(fields[len(before) :]), others)
