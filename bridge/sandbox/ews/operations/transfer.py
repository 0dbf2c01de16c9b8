"""
ExportItems and UploadItems.

Exchange's form of the data is Outlook's fast transfer stream (MS-OXCFXICS), which clients are to keep as it is. Here it
is a form of the sandbox's own: a mark, and a compressed JSON document of the bag, the MIME and the attachments. What
came from a real Exchange is refused.
"""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, change_of, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import item_id_xml
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import associated, items
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.mime import Attachment

if TYPE_CHECKING:
    import sqlite3

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

_MARK: Final = b"\x01\x00\x00\x00sandbox-item-1\x00"
_MOST_BYTES: Final = 256 * 1024 * 1024
# How many attachments there are is counted anew.
_STAYS_HERE: Final = frozenset({"attachments"})


@dataclass(frozen=True, slots=True)
class _Exported:
    """An item outside of any folder."""

    bag: p.Bag
    mime: bytes | None
    attachments: list[Attachment]


def export_items(context: Context, request: etree._Element) -> str:
    """Answer items as opaque data that UploadItems takes."""

    def export(node: etree._Element) -> str:
        mailbox, item = context.item_of(db, node)
        data = b64encode(_packed(db, item)).decode()
        return item_id_xml(View(db, mailbox, item)).replace("<t:", "<m:") + f"<m:Data>{data}</m:Data>"

    with context.store.reading() as db:
        return batch(context, "ExportItems", children(child(request, "ItemIds")), export)


def upload_items(context: Context, request: etree._Element) -> str:
    """Put exported items into folders: as new ones, or in place of others."""

    def upload(node: etree._Element) -> str:
        mailbox, folder = context.find_folder_id(db, node)
        exported = _unpacked(node.findtext(xml.T + "Data") or "")
        action = str(node.get("CreateAction"))
        id_node = node.find(xml.T + "ItemId")
        if action == "Update" and id_node is None:
            raise EwsError("ErrorInvalidIdEmpty")
        if action == "CreateNew" and id_node is not None:
            raise EwsError("ErrorInvalidOperation", "An item id cannot be given with CreateNew.")
        if xml.truth(node.get("IsAssociated")):
            exported.bag[p.MESSAGE_FLAGS] |= p.FLAG_ASSOCIATED
        old = None if id_node is None else _found(context, db, id_node, may_lack=action == "UpdateOrCreate")
        if old is None:
            item = _insert(db, mailbox, associated.beside(db, folder, exported.bag[p.MESSAGE_FLAGS]).id, exported)
        else:
            # It stays the item that it was, where it was; the folder that is named here is for new ones.
            mailbox, replaced = old
            flags = exported.bag[p.MESSAGE_FLAGS] & ~p.FLAG_ASSOCIATED
            exported.bag[p.MESSAGE_FLAGS] = flags | replaced.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_ASSOCIATED
            item = items.replace(db, replaced, exported.bag, mime=exported.mime, attachments=exported.attachments)
        return item_id_xml(View(db, mailbox, item)).replace("<t:", "<m:")

    with context.store.writing() as db:
        return batch(context, "UploadItems", children(child(request, "Items")), upload, changing=db)


def _found(
    context: Context, db: sqlite3.Connection, id_node: etree._Element, *, may_lack: bool
) -> tuple[Mailbox, Item] | None:
    """Return the item that is to be replaced, None where there is none and none has to be."""
    try:
        mailbox, old = context.item_of(db, id_node)
    except EwsError as error:
        if may_lack and error.code == "ErrorItemNotFound":
            return None
        raise
    change = change_of(id_node)
    if change is not None and change != old.change:
        raise EwsError("ErrorStaleObject")
    return mailbox, old


def _insert(db: sqlite3.Connection, mailbox: Mailbox, folder: int, exported: _Exported) -> Item:
    item = items.insert(db, mailbox.id, folder, exported.bag, mime=exported.mime, attachments=exported.attachments)
    if exported.attachments:
        item.bag["attachments"] = len(exported.attachments)
        items.rewrite(db, item)
    return item


def _packed(db: sqlite3.Connection, item: Item) -> bytes:
    taken = item.content is not None
    document: dict[str, Any] = {
        "bag": {key: value for key, value in item.bag.items() if key not in _STAYS_HERE},
        "mime": b64encode(items.mime_of(db, item)).decode() if taken else None,
        "attachments": [
            {
                "name": one.name,
                "content_type": one.content_type,
                "content_id": one.content_id,
                "inline": one.inline,
                "bag": one.bag,
                "content": b64encode(one.content).decode(),
            }
            for one in ([] if taken else items.attachments_of(db, item))
        ],
    }
    return _MARK + zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 6)


def _unpacked(text: str) -> _Exported:
    """
    Return what ExportItems packed.

    Raises:
        EwsError: ErrorCorruptData, it is nothing of this sandbox's.
    """
    raw = b64decode("".join(text.split()))
    if not raw.startswith(_MARK):
        raise EwsError("ErrorCorruptData")
    try:
        unpack = zlib.decompressobj()
        document = json.loads(unpack.decompress(raw[len(_MARK) :], _MOST_BYTES))
        if not unpack.eof:
            raise EwsError("ErrorCorruptData")
        return _Exported(
            _bag(document["bag"]),
            None if document["mime"] is None else b64decode(document["mime"]),
            [Attachment(**{**one, "content": b64decode(one["content"])}) for one in document["attachments"]],
        )
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, zlib.error) as error:
        raise EwsError("ErrorCorruptData") from error


def _bag(given: p.Bag) -> p.Bag:
    # What every item has, and what operations count on; the rest is shown as it is.
    for key, kind in ((p.MESSAGE_CLASS, str), (p.SUBJECT, str), (p.MESSAGE_FLAGS, int), (p.DELIVERY_TIME, int)):
        if not isinstance(given.get(key), kind):
            raise TypeError(key)
    # How many attachments there were is counted anew.
    return {key: value for key, value in given.items() if key not in _STAYS_HERE}
