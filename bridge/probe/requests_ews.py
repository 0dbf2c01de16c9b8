"""The request elements that several steps need."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.folder_ids import distinguished, folder_ids
from bridge.adapters.ews.soap import T, element

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lxml import etree

ItemId = tuple[str, str]
"""An id and its change key."""

SEARCH_KEY: Final = "0x300B"
DELIVERY_TIME: Final = "0x0E06"


def field(uri: str) -> etree._Element:
    """Return a property by its name."""
    return element("t:FieldURI", FieldURI=uri)


def tag(number: str, kind: str) -> etree._Element:
    """Return a MAPI property by its tag."""
    return element("t:ExtendedFieldURI", PropertyTag=number, PropertyType=kind)


def shape(*fields: etree._Element, mime: bool = False) -> etree._Element:
    """Return the shape of an answer: the id, and these."""
    parts = [element("t:BaseShape", text="IdOnly")]
    if mime:
        parts.append(element("t:IncludeMimeContent", text="true"))
    if fields:
        parts.append(element("t:AdditionalProperties", *fields))
    return element("m:ItemShape", *parts)


def item_id(found: ItemId) -> etree._Element:
    """Return an id, with its change key where it has one."""
    return element("t:ItemId", Id=found[0], **({"ChangeKey": found[1]} if found[1] else {}))


def get(found: ItemId, *fields: etree._Element, mime: bool = False) -> etree._Element:
    """Return GetItem of one item."""
    return element("m:GetItem", shape(*fields, mime=mime), element("m:ItemIds", item_id((found[0], ""))))


def find(
    folder: etree._Element,
    restriction: etree._Element | None = None,
    *,
    fields: Sequence[etree._Element] = (),
    limit: int = 100,
    traversal: str = "Shallow",
) -> etree._Element:
    """Return FindItem in one folder."""
    return element(
        "m:FindItem",
        shape(*fields),
        element("m:IndexedPageItemView", MaxEntriesReturned=str(limit), Offset="0", BasePoint="Beginning"),
        *([element("m:Restriction", restriction)] if restriction is not None else []),
        folder_ids("m:ParentFolderIds", folder),
        Traversal=traversal,
    )


def equals(path: etree._Element, value: str) -> etree._Element:
    """Return the restriction that a property has a value."""
    return element("t:IsEqualTo", path, element("t:FieldURIOrConstant", element("t:Constant", Value=value)))


def contains(uri: str, value: str) -> etree._Element:
    """Return the restriction that a text holds another."""
    return element(
        "t:Contains",
        field(uri),
        element("t:Constant", Value=value),
        ContainmentMode="Substring",
        ContainmentComparison="Exact",
    )


def create(folder: etree._Element, *messages: etree._Element) -> etree._Element:
    """Return CreateItem that saves these in a folder."""
    return element(
        "m:CreateItem",
        folder_ids("m:SavedItemFolderId", folder),
        element("m:Items", *messages),
        MessageDisposition="SaveOnly",
    )


def mime_message(mime: bytes, *properties: etree._Element) -> etree._Element:
    """Return the message that a MIME is."""
    return element("t:Message", element("t:MimeContent", text=base64.b64encode(mime).decode("ascii")), *properties)


def send(found: ItemId, *, copy_in: str = "sentitems") -> etree._Element:
    """Return SendItem, with its copy in a distinguished folder."""
    return element(
        "m:SendItem",
        element("m:ItemIds", item_id(found)),
        folder_ids("m:SavedItemFolderId", distinguished(copy_in)),
        SaveItemToFolder="true",
    )


def set_subject(found: ItemId, subject: str, *, conflict: str = "AutoResolve") -> etree._Element:
    """Return UpdateItem of a subject."""
    return update(found, field("item:Subject"), element("t:Subject", text=subject), conflict=conflict)


def update(
    found: ItemId, path: etree._Element, value: etree._Element, *, conflict: str = "AlwaysOverwrite"
) -> etree._Element:
    """Return UpdateItem of one property."""
    change = element("t:SetItemField", path, element("t:Message", value))
    changes = element("t:ItemChange", item_id(found), element("t:Updates", change))
    return element(
        "m:UpdateItem",
        element("m:ItemChanges", changes),
        MessageDisposition="SaveOnly",
        ConflictResolution=conflict,
    )


def delete_items(ids: Sequence[ItemId], *, kind: str = "HardDelete") -> etree._Element:
    """Return DeleteItem."""
    return element("m:DeleteItem", element("m:ItemIds", *(item_id((one[0], "")) for one in ids)), DeleteType=kind)


def move(found: ItemId, folder: etree._Element) -> etree._Element:
    """Return MoveItem into a folder."""
    return element("m:MoveItem", folder_ids("m:ToFolderId", folder), element("m:ItemIds", item_id((found[0], ""))))


def sync(
    folder: etree._Element, *, state: str = "", limit: int = 512, fields: Sequence[etree._Element] = ()
) -> etree._Element:
    """Return SyncFolderItems."""
    return element(
        "m:SyncFolderItems",
        shape(*fields),
        folder_ids("m:SyncFolderId", folder),
        *([element("m:SyncState", text=state)] if state else []),
        element("m:MaxChangesReturned", text=str(limit)),
    )


def id_of(found: etree._Element) -> ItemId:
    """Return the id of an `ItemId` element."""
    return found.get("Id") or "", found.get("ChangeKey") or ""


def value_of(item: etree._Element, number: str) -> str | None:
    """Return the value of a MAPI property that an item shows, None where it shows none."""
    wanted = int(number, 16)
    for prop in item.iter(f"{T}ExtendedProperty"):
        path = prop.find(f"{T}ExtendedFieldURI")
        told = path.get("PropertyTag") if path is not None else None
        if told and int(told, 16 if told.lower().startswith("0x") else 10) == wanted:
            return prop.findtext(f"{T}Value")
    return None
