"""The properties of folders: how they are shown and searched by."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.paths import Extended, path_xml, read_additional
from bridge.sandbox.ews.permissions import permissions_xml
from bridge.sandbox.ews.restrictions import read_restriction
from bridge.sandbox.ews.rights import EVERYTHING, Right
from bridge.sandbox.ews.versions import LATEST, SchemaVersion, knows
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import PARENT_CHANGE_KEY

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.operands import Path
    from bridge.sandbox.store import Folder, Mailbox

_ELEMENTS: Final = {"IPF.Appointment": "CalendarFolder", "IPF.Contact": "ContactsFolder", "IPF.Task": "TasksFolder"}
_RIGHTS: Final = {
    "CreateAssociated": Right.CREATE,
    "CreateContents": Right.CREATE,
    "CreateHierarchy": Right.SUBFOLDERS,
    "Delete": Right.OWN,
    "Modify": Right.OWN,
    "Read": Right.READ,
}
_DEFAULT: Final = frozenset(
    {"folder:DisplayName", "folder:TotalCount", "folder:ChildFolderCount", "folder:UnreadCount"}
)
_ALL: Final = _DEFAULT | {
    "folder:ParentFolderId",
    "folder:FolderClass",
    "folder:EffectiveRights",
    "folder:DistinguishedFolderId",
}
# Properties that a folder has as MAPI knows them, and where the store keeps them.
_MAPI: Final = {
    p.tag_key(0x3001, "String"): "name",
    p.tag_key(0x3613, "String"): "class",
    p.tag_key(0x3602, "Integer"): "total",
    p.tag_key(0x3603, "Integer"): "unread",
}
_SIZES: Final = (p.tag_key(0x0E08, "Integer"), p.tag_key(0x0E08, "Long"))
_QUOTAS: Final = (p.tag_key(0x666A, "Integer"), p.tag_key(0x666E, "Integer"))
"""What a mailbox may hold before it receives, and before it sends, no more: in kilobytes, shown on its root folder."""
_MOST_KILOBYTES: Final = (1 << 31) - 1
_SHOWN_PERMISSIONS: Final = "shown:permissions"
"""Where a folder that is shown carries its PermissionSet; never stored."""
_HAS_SUBFOLDERS: Final = p.tag_key(0x360A, "Boolean")
_HIDDEN: Final = p.tag_key(0x10F4, "Boolean")
_PRIVATE: Final = "<t:ViewPrivateItems>true</t:ViewPrivateItems>"


@dataclass(frozen=True, slots=True)
class FolderShape:
    """The properties to show of each folder."""

    uris: frozenset[str]
    extended: tuple[Extended, ...]
    private: bool = False
    """Whether rights tell of private items too, as they do since Exchange 2010 SP2."""
    rights: Callable[[Mailbox, Folder], Right] | None = None
    """Tells what who asks may do with a folder, where it may be somebody else's."""

    def show(self, mailbox: Mailbox, folder: Folder) -> str:
        """Return the folder as an element of its class."""
        name = element_for(folder)
        return f"<t:{name}>{_id(mailbox, folder)}{self._shown(mailbox, folder, name)}</t:{name}>"

    def _shown(self, mailbox: Mailbox, folder: Folder, name: str) -> str:
        parts: list[tuple[str, str]] = []
        if folder.parent is not None:
            parent = mailbox.mint.folder_id(folder.parent)
            parts.append(
                ("folder:ParentFolderId", f'<t:ParentFolderId Id="{parent}" ChangeKey="{PARENT_CHANGE_KEY}"/>')
            )
        if folder.folder_class:
            parts.append(("folder:FolderClass", xml.element("FolderClass", folder.folder_class)))
        parts.append(("folder:DisplayName", xml.element("DisplayName", folder.name)))
        parts.append(("folder:TotalCount", f"<t:TotalCount>{folder.total}</t:TotalCount>"))
        parts.append(("folder:ChildFolderCount", f"<t:ChildFolderCount>{folder.children}</t:ChildFolderCount>"))
        parts.extend(("", one.show_value(_value(folder, one.key))) for one in self.extended)
        granted = EVERYTHING if self.rights is None else self.rights(mailbox, folder)
        rights = "".join(f"<t:{name}>{xml.boolean(right in granted)}</t:{name}>" for name, right in _RIGHTS.items())
        rights += _PRIVATE if self.private else ""
        parts.append(("folder:EffectiveRights", f"<t:EffectiveRights>{rights}</t:EffectiveRights>"))
        if folder.distinguished:
            parts.append(("folder:DistinguishedFolderId", xml.element("DistinguishedFolderId", folder.distinguished)))
        parts.append(("folder:PermissionSet", str(folder.bag.get(_SHOWN_PERMISSIONS, ""))))
        if name in ("Folder", "TasksFolder"):
            parts.append(("folder:UnreadCount", f"<t:UnreadCount>{folder.unread}</t:UnreadCount>"))
        return "".join(shown for uri, shown in parts if not uri or uri in self.uris)


def measured(db: sqlite3.Connection, folder: Folder, shape: FolderShape, *, quota_bytes: int | None = None) -> Folder:
    """Return the folder with what a shape asks for that is read from elsewhere: its size, its permissions, a quota."""
    more: p.Bag = {}
    if folder.distinguished == "root" and quota_bytes is not None:
        more |= dict.fromkeys(_QUOTAS, min(quota_bytes // 1024, _MOST_KILOBYTES))
    if any(one.key in _SIZES for one in shape.extended):
        size = f"sum(json_extract(props, '$.\"{p.MESSAGE_SIZE}\"'))"
        row = db.execute(f"SELECT coalesce({size}, 0) FROM items WHERE folder = ?", (folder.id,)).fetchone()  # noqa: S608 - constants
        more |= dict.fromkeys(_SIZES, row[0])
    if "folder:PermissionSet" in shape.uris:
        more[_SHOWN_PERMISSIONS] = permissions_xml(db, folder.bag, calendar=element_for(folder) == "CalendarFolder")
    return replace(folder, bag=folder.bag | more) if more else folder


def show_id(mailbox: Mailbox, folder: Folder) -> str:
    """Return the folder with nothing but its id."""
    name = element_for(folder)
    return f"<t:{name}>{_id(mailbox, folder)}</t:{name}>"


def element_for(folder: Folder) -> str:
    """Return the element that a folder of this class is shown as."""
    return next((name for start, name in _ELEMENTS.items() if folder.folder_class.startswith(start)), "Folder")


def read_folder_shape(node: etree._Element, *, version: SchemaVersion = LATEST, fetching: bool = False) -> FolderShape:
    """
    Return the shape that a FolderShape element asks for; all properties are more where a folder is fetched.

    Raises:
        EwsError: ErrorInvalidPropertyRequest for a property that folders have not, or not in that version.
    """
    base = node.findtext(xml.T + "BaseShape", "IdOnly")
    uris = set({"Default": _DEFAULT, "AllProperties": _ALL}.get(base, frozenset()))
    if fetching and base == "AllProperties":
        uris.add("folder:PermissionSet")
    additional = read_additional(node, version)
    for path, path_node in additional.named:
        if not isinstance(path, Field) and path.uri.startswith("folder:"):
            uris.add(path.uri)
        else:
            raise EwsError("ErrorInvalidPropertyRequest", xml=path_xml(path_node))
    return FolderShape(
        frozenset(uri for uri in uris if knows(version, uri)),
        additional.extended,
        private=version >= SchemaVersion.Exchange2010_SP2,
    )


def matching(db: sqlite3.Connection, found: list[Folder], node: etree._Element | None) -> list[Folder]:
    """
    Return the folders that a restriction lets through.

    Raises:
        EwsError: ErrorUnsupportedPathForQuery.
    """
    if node is None:
        return found
    restriction = read_restriction(_renamed(node), _operand)
    query = f"SELECT id FROM folders WHERE id IN (SELECT value FROM json_each(?)) AND {restriction.sql}"  # noqa: S608 - built here
    kept = {row[0] for row in db.execute(query, (json.dumps([one.id for one in found]), *restriction.parameters))}
    return [one for one in found if one.id in kept]


def _renamed(node: etree._Element) -> etree._Element:
    """Point a copy's folder: fields at the extended properties that stand for them, which restrictions understand."""

    copied = deepcopy(node)
    for one in copied.iter(xml.T + "FieldURI"):
        uri = str(one.get("FieldURI"))
        if uri not in _STANDS_FOR:
            raise EwsError("ErrorUnsupportedPathForQuery", xml=path_xml(one))
        tag, mapi_type = _STANDS_FOR[uri]
        del one.attrib["FieldURI"]
        one.tag = xml.T + "ExtendedFieldURI"
        one.set("PropertyTag", tag)
        one.set("PropertyType", mapi_type)
    return copied


_STANDS_FOR: Final = {
    "folder:DisplayName": ("0x3001", "String"),
    "folder:FolderClass": ("0x3613", "String"),
    "folder:TotalCount": ("0x3602", "Integer"),
    "folder:UnreadCount": ("0x3603", "Integer"),
}


def _operand(path: Path) -> str:
    if path.key is None:
        raise EwsError("ErrorUnsupportedPathForQuery")
    kept = "json_extract(props, '$.\"" + path.key.replace("'", "''") + "\"')"
    return f"coalesce({kept}, 0)" if path.key == _HIDDEN else _MAPI.get(path.key) or kept


def _id(mailbox: Mailbox, folder: Folder) -> str:
    mint = mailbox.mint
    return f'<t:FolderId Id="{mint.folder_id(folder.id)}" ChangeKey="{mint.folder_change_key(folder.change)}"/>'


def _value(folder: Folder, key: str) -> object:
    if key == _HAS_SUBFOLDERS:
        return folder.children > 0
    if key == _HIDDEN:
        return folder.bag.get(key, False)
    where = _MAPI.get(key)
    if where is None:
        return folder.bag.get(key)
    return {"name": folder.name, "class": folder.folder_class, "total": folder.total, "unread": folder.unread}[where]
