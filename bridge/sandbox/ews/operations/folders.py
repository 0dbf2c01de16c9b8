"""GetFolder, FindFolder, CreateFolder, UpdateFolder, DeleteFolder, EmptyFolder."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from bridge.sandbox.ews import permissions, xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import TEXTS, EwsError
from bridge.sandbox.ews.folderfields import FolderShape, element_for, measured, read_folder_shape, show_id
from bridge.sandbox.ews.folderfields import matching as matching_folders
from bridge.sandbox.ews.operations.paging import read_page
from bridge.sandbox.ews.paths import path_xml, read_extended
from bridge.sandbox.ews.rights import PERMISSIONS
from bridge.sandbox.ews.versions import check_paths
from bridge.sandbox.store import folders, items
from bridge.sandbox.store.errors import FolderExistsError, StoreError

if TYPE_CHECKING:
    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder
    from bridge.sandbox.store import properties as p
    from bridge.sandbox.store.items import Disposal

MOST_FOLDERS = 1000
_CLASSES = {
    # Exchange Online shows no class of a folder that was made without one.
    "Folder": "",
    "CalendarFolder": "IPF.Appointment",
    "ContactsFolder": "IPF.Contact",
    "TasksFolder": "IPF.Task",
}


def get_folder(context: Context, request: etree._Element) -> str:
    """Answer folders by id, each on its own."""
    shape: FolderShape | EwsError
    try:
        read = read_folder_shape(child(request, "FolderShape"), version=context.version, fetching=True)
        shape = replace(read, rights=context.rights_on)
    except EwsError as error:
        shape = error

    def get(node: etree._Element) -> str:
        if isinstance(shape, EwsError):
            raise shape
        mailbox, folder = context.folder_of(db, node)
        quota = context.behaviour.quota_bytes(mailbox.address)
        return f"<m:Folders>{shape.show(mailbox, measured(db, folder, shape, quota_bytes=quota))}</m:Folders>"

    with context.store.reading() as db:
        return batch(context, "GetFolder", children(child(request, "FolderIds")), get, on_error="<m:Folders/>")


def find_folder(context: Context, request: etree._Element) -> str:
    """Answer the folders below others: the direct children, or all of them."""

    def find(node: etree._Element) -> str:
        shape = read_folder_shape(child(request, "FolderShape"), version=context.version)
        shape = replace(shape, rights=context.rights_on)
        check_paths(context.version, request.find(xml.M + "Restriction"))
        mailbox, parent = context.folder_of(db, node)
        if request.get("Traversal") == "Deep":
            found = _below(folders.folders(db, mailbox.id), parent.id)
        else:
            found = folders.children(db, parent.id) if request.get("Traversal") == "Shallow" else []
        found = matching_folders(db, found, request.find(xml.M + "Restriction"))
        page = read_page(request, "Folder", len(found), MOST_FOLDERS)
        shown = found[page.offset : page.offset + page.limit]
        listed = "".join(shape.show(mailbox, measured(db, one, shape)) for one in shown)
        return f"<m:RootFolder{page.attributes}><t:Folders>{listed}</t:Folders></m:RootFolder>"

    with context.store.reading() as db:
        return batch(context, "FindFolder", children(child(request, "ParentFolderIds")), find)


def create_folder(context: Context, request: etree._Element) -> str:
    """Make folders below another."""

    def create(node: etree._Element) -> str:
        try:
            mailbox, parent = context.find_folder(db, child(request, "ParentFolderId"))
        except EwsError as error:
            if error.code in ("ErrorItemNotFound", "ErrorFolderNotFound"):
                raise EwsError("ErrorParentFolderNotFound") from error
            raise
        kind = str(node.tag).rpartition("}")[2]
        if kind not in _CLASSES:
            raise EwsError("ErrorInvalidOperation")
        if kind != "Folder" and node.find(xml.T + "FolderClass") is not None:
            raise EwsError("ErrorNoFolderClassOverride")
        name = node.findtext(xml.T + "DisplayName") or ""
        if not name.strip() or "/" in name:
            raise EwsError("ErrorFolderSave", "Folder save failed.")
        folder_class = node.findtext(xml.T + "FolderClass") or _CLASSES[kind]
        try:
            made = folders.create_folder(db, parent, name, folder_class, _extended(node))
        except FolderExistsError as error:
            raise EwsError(
                "ErrorFolderExists", f"{TEXTS['ErrorFolderExists']}, Could not create folder '{name}'."
            ) from error
        return f"<m:Folders>{show_id(mailbox, made)}</m:Folders>"

    with context.store.writing() as db:
        return batch(
            context, "CreateFolder", children(child(request, "Folders")), create, on_error="<m:Folders/>", changing=db
        )


def update_folder(context: Context, request: etree._Element) -> str:
    """Give folders other names, classes (of the same kind) and extended properties."""

    def update(node: etree._Element) -> str:
        id_node, updates = children(node)[:2]
        mailbox, folder = context.folder_of(db, id_node)
        to_be = replace(folder, bag=dict(folder.bag))
        for change in children(updates):
            to_be = _changed(db, to_be, change)
        if folder.distinguished and (to_be.name, to_be.folder_class) != (folder.name, folder.folder_class):
            raise EwsError("ErrorFolderSave", "Folder save failed.")
        if _kind(to_be) != _kind(folder):
            raise EwsError("ErrorObjectTypeChanged")
        try:
            changed = folders.rename_folder(
                db,
                folder,
                name=None if to_be.name == folder.name else to_be.name,
                folder_class=to_be.folder_class,
                bag=to_be.bag,
            )
        except sqlite3.IntegrityError as error:
            raise EwsError("ErrorFolderExists") from error
        return f"<m:Folders>{show_id(mailbox, changed)}</m:Folders>"

    with context.store.writing() as db:
        return batch(
            context,
            "UpdateFolder",
            children(child(request, "FolderChanges")),
            update,
            on_error="<m:Folders/>",
            changing=db,
        )


def _kind(folder: Folder) -> list[str]:
    """Return what a folder's class says first, such as `IPF.Note`: that much of it stays for the folder's life."""
    # A folder without a class is one for mail.
    return (folder.folder_class.lower() or "ipf.note").split(".")[:2]


_REFUSED = {
    "SetFolderField": "ErrorInvalidPropertySet",
    "AppendToFolderField": "ErrorInvalidPropertyAppend",
    "DeleteFolderField": "ErrorInvalidPropertyDelete",
}


def _changed(db: sqlite3.Connection, folder: Folder, change: etree._Element) -> Folder:
    """Return the folder as one update makes it."""
    path = children(change)[0]
    action, uri = str(change.tag).rpartition("}")[2], path.get("FieldURI")
    extended = path.tag == xml.T + "ExtendedFieldURI"
    if extended and action == "DeleteFolderField":
        gone = read_extended(path).key
        return replace(folder, bag={key: value for key, value in folder.bag.items() if key != gone})
    if extended and action == "SetFolderField":
        return replace(folder, bag=folder.bag | _extended(children(change)[1]))
    if uri == "folder:DisplayName" and action == "SetFolderField":
        name = children(change)[1].findtext(xml.T + "DisplayName") or ""
        if not name.strip() or "/" in name:
            raise EwsError("ErrorFolderSave", "Folder save failed.")
        return replace(folder, name=name)
    if uri == "folder:FolderClass" and action == "SetFolderField":
        return replace(folder, folder_class=children(change)[1].findtext(xml.T + "FolderClass") or "")
    if uri == "folder:PermissionSet" and action == "DeleteFolderField":
        return replace(folder, bag={key: value for key, value in folder.bag.items() if key != PERMISSIONS})
    if uri == "folder:PermissionSet" and action == "SetFolderField":
        return replace(folder, bag=folder.bag | _permissions(db, folder, children(change)[1]))
    raise EwsError(_REFUSED[action], xml=path_xml(path))


def _permissions(db: sqlite3.Connection, folder: Folder, holder: etree._Element) -> p.Bag:
    node = holder.find(xml.T + "PermissionSet")
    if node is None:
        raise EwsError("ErrorInvalidPropertySet", xml='<t:FieldURI FieldURI="folder:PermissionSet"/>')
    calendar = element_for(folder) == "CalendarFolder"
    return {PERMISSIONS: permissions.read_permissions(db, node, calendar=calendar)}


def delete_folder(context: Context, request: etree._Element) -> str:
    """Delete folders with all that they hold."""

    def delete(node: etree._Element) -> str:
        _, folder = context.folder_of(db, node)
        folders.delete_folder(db, folder, to_deleted_items=request.get("DeleteType") == "MoveToDeletedItems")
        return ""

    with context.store.writing() as db:
        return batch(context, "DeleteFolder", children(child(request, "FolderIds")), delete, changing=db)


def empty_folder(context: Context, request: etree._Element) -> str:
    """Delete all items of folders, and their subfolders where asked for."""
    disposal = cast("Disposal", request.get("DeleteType"))

    def empty(node: etree._Element) -> str:
        mailbox, folder = context.folder_of(db, node)
        if disposal == "MoveToDeletedItems" and folder.distinguished == "deleteditems":
            raise EwsError("ErrorCannotEmptyFolder")
        if xml.truth(request.get("DeleteSubFolders")):
            for below in folders.children(db, folder.id):
                try:
                    folders.delete_folder(db, below, to_deleted_items=disposal == "MoveToDeletedItems")
                except StoreError as error:
                    raise EwsError("ErrorCannotEmptyFolder") from error
        for (number,) in db.execute("SELECT id FROM items WHERE folder = ?", (folder.id,)).fetchall():
            items.delete(db, items.read(db, mailbox.id, number), disposal)
        return ""

    with context.store.writing() as db:
        return batch(context, "EmptyFolder", children(child(request, "FolderIds")), empty, changing=db)


def _extended(node: etree._Element) -> p.Bag:
    bag: p.Bag = {}
    for one in node.findall(xml.T + "ExtendedProperty"):
        uri = one.find(xml.T + "ExtendedFieldURI")
        if uri is None:
            continue
        extended = read_extended(uri)
        bag[extended.key] = extended.read([value.text or "" for value in one.iter(xml.T + "Value")])
    return bag


def _below(every: list[Folder], parent: int) -> list[Folder]:
    # A folder may lie below one that was made after it: it was moved there.
    above = {one.id: one.parent for one in every}

    def inside(one: Folder) -> bool:
        at = one.parent
        while at is not None and at != parent:
            at = above.get(at)
        return at is not None

    return [one for one in every if inside(one)]
