"""
User configurations: named settings that clients keep in a folder, each as an associated item.

Its class is `IPM.Configuration.<name>`; FindItem shows it to who asks for associated items, and GetItem opens it.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, items, mime
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder, Mailbox
    from bridge.sandbox.store.items import Item

_PREFIX: Final = "IPM.Configuration."
# MS-OXOCFG's properties of the two streams; the dictionary is kept as EWS says it, not as its XML.
_STREAMS: Final = {"XmlData": p.tag_key(0x7C08, "Binary"), "BinaryData": p.tag_key(0x7C09, "Binary")}
_DICTIONARY: Final = "dictionary"
_CLASS: Final = f"json_extract(props, '$.\"{p.MESSAGE_CLASS}\"')"
_NAME: Final = re.compile(r"[A-Za-z0-9.]{1,236}")
_NIL: Final = "{http://www.w3.org/2001/XMLSchema-instance}nil"


def get_user_configuration(context: Context, request: etree._Element) -> str:
    """Answer the asked-for parts of a configuration."""
    wanted = set((request.findtext(xml.M + "UserConfigurationProperties") or "").split())

    def get(node: etree._Element) -> str:
        mailbox, folder, name = _find(context, db, node)
        view = View(db, mailbox, _there(db, folder, name))
        return f"<m:UserConfiguration>{_name_xml(node)}{_shown(view, wanted)}</m:UserConfiguration>"

    with context.store.reading() as db:
        return batch(context, "GetUserConfiguration", [child(request, "UserConfigurationName")], get)


def create_user_configuration(context: Context, request: etree._Element) -> str:
    """Keep a new configuration; a folder has one of a name."""

    def create(node: etree._Element) -> str:
        mailbox, folder, name = _find(context, db, _name_node(node))
        if _kept(db, folder, name) is not None:
            raise EwsError("ErrorItemSave")
        place = associated.ensure_place(db, folder)
        item = items.insert(db, mailbox.id, place.id, _new(mailbox, name, _read(node)))
        context.behaviour.check_stored(db, mailbox, item)
        return ""

    with context.store.writing() as db:
        return batch(context, "CreateUserConfiguration", [child(request, "UserConfiguration")], create, changing=db)


def update_user_configuration(context: Context, request: etree._Element) -> str:
    """Set the given parts of a configuration; what is not given stays."""

    def update(node: etree._Element) -> str:
        mailbox, folder, name = _find(context, db, _name_node(node))
        item = items.update(db, _there(db, folder, name), _read(node))
        context.behaviour.check_stored(db, mailbox, item)
        return ""

    with context.store.writing() as db:
        return batch(context, "UpdateUserConfiguration", [child(request, "UserConfiguration")], update, changing=db)


def delete_user_configuration(context: Context, request: etree._Element) -> str:
    """Forget a configuration."""

    def delete(node: etree._Element) -> str:
        _, folder, name = _find(context, db, node)
        items.destroy(db, _there(db, folder, name))
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


def _kept(db: sqlite3.Connection, folder: Folder, name: str) -> Item | None:
    place = associated.place_of(db, folder)
    if place is None:
        return None
    query = f"SELECT {items.COLUMNS} FROM items WHERE folder = ? AND lower({_CLASS}) = ?"  # noqa: S608 - constants
    row = db.execute(query, (place.id, (_PREFIX + name).lower())).fetchone()
    return None if row is None else items.item_of(row)


def _there(db: sqlite3.Connection, folder: Folder, name: str) -> Item:
    kept = _kept(db, folder, name)
    if kept is None:
        raise EwsError("ErrorItemNotFound")
    return kept


def _new(mailbox: Mailbox, name: str, given: p.Bag) -> p.Bag:
    now = items.now_micros()
    return {
        **mime.bag_of(b"", EXCHANGE.now()),
        p.MESSAGE_CLASS: _PREFIX + name,
        p.SUBJECT: _PREFIX + name,
        p.MESSAGE_FLAGS: p.FLAG_ASSOCIATED | p.FLAG_READ,
        p.DELIVERY_TIME: now,
        p.RECIPIENTS_TO: [],
        p.LAST_MODIFIER_NAME: mailbox.display_name,
        **given,
    }


def _read(node: etree._Element) -> p.Bag:
    given: p.Bag = {}
    for part, key in _STREAMS.items():
        text = node.findtext(xml.T + part)
        if text is not None:
            given[key] = "".join(text.split())
    dictionary = node.find(xml.T + "Dictionary")
    if dictionary is not None:
        given[_DICTIONARY] = [[_object(one) for one in children(entry)] for entry in children(dictionary)]
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


def _shown(view: View, wanted: set[str]) -> str:
    parts, bag = [], view.item.bag
    if wanted & {"Id", "All"}:
        parts.append(f'<t:ItemId Id="{view.item_id}" ChangeKey="{view.change_key}"/>')
    if _DICTIONARY in bag and wanted & {"Dictionary", "All"}:
        parts.append(f"<t:Dictionary>{_dictionary(bag[_DICTIONARY])}</t:Dictionary>")
    parts.extend(
        f"<t:{part}>{bag[key]}</t:{part}>" for part, key in _STREAMS.items() if key in bag and wanted & {part, "All"}
    )
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
