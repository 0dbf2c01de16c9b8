"""MoveFolder and CopyFolder."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.folderfields import show_id
from bridge.sandbox.store import foldertree
from bridge.sandbox.store.errors import FolderExistsError

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Folder

    Transfer = Callable[[sqlite3.Connection, Folder, Folder], Folder]


def move_folder(context: Context, request: etree._Element) -> str:
    """Move folders with all that they hold below another; their ids stay, their change keys are new."""
    return _transfer(context, request, "MoveFolder", foldertree.move_folder)


def copy_folder(context: Context, request: etree._Element) -> str:
    """Copy folders with all that they hold below another."""
    return _transfer(context, request, "CopyFolder", foldertree.copy_folder)


def _transfer(context: Context, request: etree._Element, operation: str, transfer: Transfer) -> str:
    def do(node: etree._Element) -> str:
        target_mailbox, target = context.target_folder(db, request)
        mailbox, folder = context.folder_of(db, node)
        if mailbox.id != target_mailbox.id:
            raise EwsError("ErrorCrossMailboxMoveCopy")
        if folder.distinguished and operation == "MoveFolder":
            raise EwsError("ErrorMoveDistinguishedFolder")
        if folder.parent is None or foldertree.is_within(db, target.id, folder.id):
            raise EwsError("ErrorMoveCopyFailed")
        try:
            moved = transfer(db, folder, target)
        except FolderExistsError as error:
            # As recorded of Exchange 2007 and 2010: not the error that CreateFolder gives.
            raise EwsError("ErrorMoveCopyFailed") from error
        return f"<m:Folders>{show_id(mailbox, moved)}</m:Folders>"

    with context.store.writing() as db:
        return batch(
            context, operation, children(child(request, "FolderIds")), do, on_error="<m:Folders/>", changing=db
        )
