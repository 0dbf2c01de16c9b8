"""UpdateItem."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews import occurrences, xml
from bridge.sandbox.ews.context import batch, change_of, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.fields import element_for
from bridge.sandbox.ews.kinds import BY_ELEMENT
from bridge.sandbox.ews.operations import receipts
from bridge.sandbox.ews.operations.changes import Changes, read_element, removal
from bridge.sandbox.ews.operations.personal import update_personal, zone_of
from bridge.sandbox.ews.operations.send import check_sendable
from bridge.sandbox.ews.paths import Extended, Foreign, path_xml, read_extended, read_path
from bridge.sandbox.ews.settling import FOLDERS
from bridge.sandbox.ews.shapes import id_only
from bridge.sandbox.ews.versions import check_paths
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import folders, items, mime
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Item

_UPDATED = "<m:ConflictResults><t:Count>0</t:Count></m:ConflictResults>"
_APPENDABLE = frozenset(
    {
        "item:Body",
        "message:ToRecipients",
        "message:CcRecipients",
        "message:BccRecipients",
        "message:ReplyTo",
        "calendar:RequiredAttendees",
        "calendar:OptionalAttendees",
        "calendar:Resources",
        "distributionlist:Members",
    }
)


def update_item(context: Context, request: etree._Element) -> str:
    """
    Set, append and delete properties.

    NeverOverwrite needs the current change key, so that of two writers only the first succeeds. AutoResolve and
    AlwaysOverwrite let the later one win.
    """
    conflict = str(request.get("ConflictResolution"))
    disposition = request.get("MessageDisposition")

    def update(node: etree._Element) -> str:
        id_node, updates = children(node)[:2]
        check_paths(context.version, updates)
        change = change_of(id_node)
        mailbox, item, occurrence = occurrences.find(context, db, id_node)
        kind = element_for(str(item.bag.get(p.MESSAGE_CLASS, "")))
        if disposition is None and kind not in FOLDERS:
            raise EwsError("ErrorMessageDispositionRequired")
        if conflict != "AlwaysOverwrite" and change is None:
            raise EwsError("ErrorChangeKeyRequiredForWriteOperations")
        if conflict == "NeverOverwrite" and change != item.change:
            raise EwsError("ErrorIrresolvableConflict")
        if kind in FOLDERS:
            looked_at = item if occurrence is None else occurrences.occurrence(item, occurrence)
            changes = Changes(kind=kind, zone=zone_of(context, updates))
            _read_updates(View(db, mailbox, looked_at), updates, changes)
            _check_kind(kind, changes)
            item = update_personal(context, db, request, (mailbox, item, occurrence), changes)
            return f"<m:Items>{id_only(View(db, mailbox, item))}</m:Items>{_UPDATED}"
        changes = Changes(kind=kind, zone=context.zone)
        _read_updates(View(db, mailbox, item), updates, changes)
        _check_kind(kind, changes)
        if disposition != "SaveOnly":
            # Looked at before anything is stored: an update that is refused must leave nothing behind.
            check_sendable(mailbox, {**item.bag, **changes.bag}, context.may_send)
        if changes.flags_of(item.bag) & p.FLAG_READ:
            receipts.settle(context, db, mailbox, item, deleted=False, suppress=request.get("SuppressReadReceipts"))
        item = _apply(db, mailbox, item, changes)
        if disposition != "SaveOnly":
            _send(context, db, request, mailbox, item)
            return f"<m:Items/>{_UPDATED}"
        context.behaviour.check_stored(db, mailbox, item)
        return f"<m:Items>{id_only(View(db, mailbox, item))}</m:Items>{_UPDATED}"

    with context.store.writing() as db:
        return batch(
            context, "UpdateItem", children(child(request, "ItemChanges")), update, on_error="<m:Items/>", changing=db
        )


def _send(context: Context, db: sqlite3.Connection, request: etree._Element, mailbox: Mailbox, item: Item) -> None:
    save_to = None
    if request.get("MessageDisposition") == "SendAndSaveCopy":
        node = request.find(xml.M + "SavedItemFolderId")
        save_to = (
            context.find_saved_folder(db, node)[1] if node is not None else folders.folder(db, mailbox.id, "sentitems")
        ).id
    context.submit(db, mailbox, item, save_to=save_to)


def _apply(db: sqlite3.Connection, mailbox: Mailbox, item: Item, changes: Changes) -> Item:
    if changes.mime is not None:
        fresh = mime.bag_of(changes.mime, p.from_micros(item.bag.get(p.CREATION_TIME, 0)))
        kept = {key: value for key, value in item.bag.items() if p.is_named(key) or key in _OUTLIVES_MIME}
        item.bag = {**fresh, **kept}
        items.fix_content(db, item, changes.mime)
    bag = dict(changes.bag)
    bag[p.MESSAGE_FLAGS] = changes.flags_of(item.bag)
    bag[p.LAST_MODIFIER_NAME] = mailbox.display_name
    if p.SUBJECT in bag:
        bag[p.CONVERSATION_TOPIC] = mime.topic_of(bag[p.SUBJECT])
    if p.BODY_TEXT in bag or p.BODY_HTML in bag:
        bag[p.PREVIEW] = mime.preview_of(bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML))
    item = items.update(db, item, bag, changes.removals - bag.keys())
    for attachment in changes.attachments:
        items.add_attachment(db, item, attachment)
    return item


_OUTLIVES_MIME = frozenset({
    p.SEARCH_KEY, p.CREATION_TIME, p.DELIVERY_TIME, p.MESSAGE_FLAGS, p.KEYWORDS, p.FLAG_STATUS, p.FLAG_COMPLETED,
})  # fmt: skip


def _check_kind(kind: str, changes: Changes) -> None:
    wanted = changes.bag.get(p.MESSAGE_CLASS)
    if wanted is not None and element_for(str(wanted)) != kind:
        raise EwsError("ErrorObjectTypeChanged")


def _read_updates(view: View, updates: etree._Element, changes: Changes) -> None:
    own = BY_ELEMENT[changes.kind]
    sent = not view.item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT
    for update in children(updates):
        action = str(update.tag).rpartition("}")[2]
        path_node = children(update)[0]
        path = read_path(path_node)
        if isinstance(path, Foreign) or (isinstance(path, Field) and not _may_change(path, own)):
            raise EwsError("ErrorInvalidPropertySet", xml=path_xml(path_node))
        if isinstance(path, Field) and sent and path.fixed_once_sent:
            raise EwsError("ErrorInvalidPropertyUpdateSentMessage", xml=path_xml(path_node))
        if action == "DeleteItemField":
            keys = {path.key} if isinstance(path, Extended) else removal(path)
            changes.removals |= keys
            for key in keys:
                changes.bag.pop(key, None)
            continue
        element = _the_property(children(update)[1], path, path_node)
        if action == "AppendToItemField":
            _append(view, path, path_node, element, changes)
        else:
            read_element(element, changes)


def _may_change(path: Field, own: Mapping[str, Field]) -> bool:
    """Return whether items of a kind have a property that changes while they are there: an associated one stays one."""
    return path.element in own and path.mask != p.FLAG_ASSOCIATED


def _the_property(holder: etree._Element, path: Field | Extended, path_node: etree._Element) -> etree._Element:
    elements = children(holder)
    if len(elements) != 1:
        raise EwsError("ErrorIncorrectUpdatePropertyCount", xml=path_xml(path_node))
    element = elements[0]
    name = str(element.tag).rpartition("}")[2]
    if isinstance(path, Extended):
        uri = element.find(xml.T + "ExtendedFieldURI")
        matches = uri is not None and read_extended(uri).key == path.key
    else:
        matches = path.element == name
    if not matches:
        raise EwsError(
            "ErrorUpdatePropertyMismatch", "The update property mismatch error occurred.", path_xml(path_node)
        )
    return element


def _append(
    view: View, path: Field | Extended, path_node: etree._Element, element: etree._Element, changes: Changes
) -> None:
    if isinstance(path, Extended) or path.uri not in _APPENDABLE:
        raise EwsError("ErrorInvalidPropertyAppend", xml=path_xml(path_node))
    added = Changes(kind=changes.kind, zone=changes.zone)
    read_element(element, added)
    for key, value in added.bag.items():
        before = changes.bag.get(key, view.value(key))
        changes.bag[key] = value if before is None else before + value
