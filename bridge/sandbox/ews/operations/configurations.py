"""
User configurations: named settings that clients keep in a folder.

Exchange keeps each as an associated item (class `IPM.Configuration.<name>`). Here they lie in the folder's bag, so that
FindItem does not show them; their item ids are of the right form, and open with these operations alone.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import foldertree
from bridge.sandbox.store.database import next_counter

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder, Mailbox

_KEY: Final = "configurations"
_NAME: Final = re.compile(r"[A-Za-z0-9.]{1,236}")
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"
_PARTS: Final = ("Dictionary", "XmlData", "BinaryData")
_Kept = dict[str, Any]


def get_user_configuration(context: Context, request: etree._Element) -> str:
    """Answer the asked-for parts of a configuration."""
    wanted = set((request.findtext(xml.M + "UserConfigurationProperties") or "").split())

    def get(node: etree._Element) -> str:
        mailbox, folder, name = _find(context, db, node)
        kept = _kept(folder, name)
        return f"<m:UserConfiguration>{_name_xml(node)}{_shown(mailbox, folder, kept, wanted)}</m:UserConfiguration>"

    with context.store.reading() as db:
        return batch(context, "GetUserConfiguration", [child(request, "UserConfigurationName")], get)


def create_user_configuration(context: Context, request: etree._Element) -> str:
    """Keep a new configuration; a folder has one of a name."""

    def create(node: etree._Element) -> str:
        _, folder, name = _find(context, db, _name_node(node))
        if name.lower() in folder.bag.get(_KEY, {}):
            raise EwsError("ErrorItemSave")
        _keep(db, folder, name, {"id": next_counter(db), **_read(node)})
        return ""

    with context.store.writing() as db:
        return batch(context, "CreateUserConfiguration", [child(request, "UserConfiguration")], create, changing=db)


def update_user_configuration(context: Context, request: etree._Element) -> str:
    """Set the given parts of a configuration; what is not given stays."""

    def update(node: etree._Element) -> str:
        _, folder, name = _find(context, db, _name_node(node))
        _keep(db, folder, name, {**_kept(folder, name), **_read(node)})
        return ""

    with context.store.writing() as db:
        return batch(context, "UpdateUserConfiguration", [child(request, "UserConfiguration")], update, changing=db)


def delete_user_configuration(context: Context, request: etree._Element) -> str:
    """Forget a configuration."""

    def delete(node: etree._Element) -> str:
        _, folder, name = _find(context, db, node)
        _kept(folder, name)
        _keep(db, folder, name, None)
        return ""

    with context.store.writing() as db:
        nodes = [child(request, "UserConfigurationName")]
        return batch(context, "DeleteUserConfiguration", nodes, delete, changing=db)


def _find(context: Context, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, Folder, str]:
    name = str(node.get("Name"))
    if not _NAME.fullmatch(name) or name.lower().startswith("ipm.configuration"):
        raise EwsError("ErrorInvalidOperation", "The name of the user configuration is invalid.")
    mailbox, folder = context.find_folder(db, node)
    return mailbox, folder, name


def _name_node(node: etree._Element) -> etree._Element:
    found = node.find(xml.T + "UserConfigurationName")
    if found is None:
        raise EwsError("ErrorInvalidRequest")
    return found


def _kept(folder: Folder, name: str) -> _Kept:
    kept: _Kept | None = folder.bag.get(_KEY, {}).get(name.lower())
    if kept is None:
        raise EwsError("ErrorItemNotFound")
    return kept


def _keep(db: sqlite3.Connection, folder: Folder, name: str, kept: _Kept | None) -> None:
    every = {key: value for key, value in folder.bag.get(_KEY, {}).items() if key != name.lower()}
    if kept is not None:
        every[name.lower()] = {**kept, "change": next_counter(db)}
    foldertree.keep_quietly(db, folder, {**folder.bag, _KEY: every})


def _read(node: etree._Element) -> _Kept:
    given: _Kept = {}
    for part in ("XmlData", "BinaryData"):
        text = node.findtext(xml.T + part)
        if text is not None:
            given[part] = "".join(text.split())
    dictionary = node.find(xml.T + "Dictionary")
    if dictionary is not None:
        given["Dictionary"] = [[_object(one) for one in children(entry)] for entry in children(dictionary)]
    return given


def _object(node: etree._Element) -> list[str]:
    if str(node.get(_NIL, "")).strip() in ("true", "1"):
        return []
    kind = node.findtext(xml.T + "Type") or ""
    given = [value.text or "" for value in node.findall(xml.T + "Value")]
    # Kept as a value, not as a text: a boolean comes back in words.
    return [kind, *({"1": "true", "0": "false"}.get(text, text) if kind == "Boolean" else text for text in given)]


def _name_xml(node: etree._Element) -> str:
    identifier = children(node)[0]
    attributes = "".join(
        f' {key}="{xml.attribute(value)}"' for key, value in xml.attributes_of(identifier).items() if key[0] != "{"
    )
    element = f"<t:{str(identifier.tag).rpartition('}')[2]}{attributes}/>"
    name = xml.attribute(str(node.get("Name")))
    return f'<t:UserConfigurationName Name="{name}">{element}</t:UserConfigurationName>'


def _shown(mailbox: Mailbox, folder: Folder, kept: _Kept, wanted: set[str]) -> str:
    parts = []
    if wanted & {"Id", "All"}:
        item, key = mailbox.mint.item_id(folder.id, kept["id"]), mailbox.mint.item_change_key(kept["change"])
        parts.append(f'<t:ItemId Id="{item}" ChangeKey="{key}"/>')
    for part in _PARTS:
        if part in kept and wanted & {part, "All"}:
            shown = _dictionary(kept[part]) if part == "Dictionary" else kept[part]
            parts.append(f"<t:{part}>{shown}</t:{part}>")
    return "".join(parts)


def _dictionary(entries: list[list[list[str]]]) -> str:
    return "".join(
        f"<t:DictionaryEntry>{_object_xml('DictionaryKey', key)}{_object_xml('DictionaryValue', value)}"
        "</t:DictionaryEntry>"
        for key, value in entries
    )


def _object_xml(element: str, kept: list[str]) -> str:
    if not kept:
        return f'<t:{element} xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:nil="true"/>'
    kind, *values = kept
    shown = "".join(xml.element("Value", value) for value in values)
    return f"<t:{element}><t:Type>{kind}</t:Type>{shown}</t:{element}>"
