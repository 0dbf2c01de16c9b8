"""
What a level of permission on somebody else's folder allows, and what each operation needs of the folder and its items.

The levels are Exchange's own. An item that was made in somebody else's mailbox says who made it, for the levels that
allow to change one's own items alone.
"""

from __future__ import annotations

from enum import Flag, auto
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.errors import EwsError

if TYPE_CHECKING:
    from bridge.sandbox.store import properties as p


class Right(Flag):
    """Rights on a folder and on what lies in it."""

    NONE = 0
    READ = auto()
    CREATE = auto()
    EDIT = auto()
    DELETE = auto()
    SUBFOLDERS = auto()
    EDIT_OWNED = auto()
    DELETE_OWNED = auto()
    """To change and delete what one made."""
    OWN = auto()
    """To rename, move or delete the folder itself."""


_NONEDITING: Final = Right.READ | Right.CREATE | Right.DELETE_OWNED
_AUTHOR: Final = _NONEDITING | Right.EDIT_OWNED
_EDITOR: Final = _AUTHOR | Right.EDIT | Right.DELETE
EVERYTHING: Final = _EDITOR | Right.SUBFOLDERS | Right.OWN
LEVELS: Final = {
    "None": Right.NONE,
    "Contributor": Right.CREATE,
    "Reviewer": Right.READ,
    "NoneditingAuthor": _NONEDITING,
    "Author": _AUTHOR,
    "PublishingAuthor": _AUTHOR | Right.SUBFOLDERS,
    "Editor": _EDITOR,
    "PublishingEditor": _EDITOR | Right.SUBFOLDERS,
    "Owner": EVERYTHING,
}
"""The levels of learn.microsoft.com, "PermissionLevel"."""

PERMISSIONS: Final = "permissions"
"""
Where a folder's bag keeps what clients set as its PermissionSet: a list of
`{"user": address or Default or Anonymous, "level": ..., "rights": {...}}`.
"""

_OF_FOLDERS: Final = {
    "CreateItem": Right.CREATE,
    "CopyItem": Right.CREATE,
    "ApplyConversationAction": Right.CREATE,
    "MoveItem": Right.CREATE,
    "UploadItems": Right.CREATE,
    "CreateFolder": Right.SUBFOLDERS,
    "EmptyFolder": Right.DELETE,
    "MarkAllItemsAsRead": Right.EDIT,
    "UpdateFolder": Right.OWN,
    "DeleteFolder": Right.OWN,
    "MoveFolder": Right.OWN,
    "CopyFolder": Right.OWN,
    "CreateUserConfiguration": Right.OWN,
    "UpdateUserConfiguration": Right.OWN,
    "DeleteUserConfiguration": Right.OWN,
}
_OF_ITEMS: Final = {
    "UpdateItem": Right.EDIT,
    "MarkAsJunk": Right.EDIT,
    "SendItem": Right.EDIT,
    "CreateAttachment": Right.EDIT,
    "DeleteAttachment": Right.EDIT,
    "DeleteItem": Right.DELETE,
    "MoveItem": Right.DELETE,
    "ArchiveItem": Right.DELETE,
    "ApplyConversationAction": Right.EDIT | Right.DELETE,
}
_DENIED: Final = {"CreateItem": "ErrorCreateItemAccessDenied", "CreateFolder": "ErrorCreateSubfolderAccessDenied"}
"""The refusals of what is to be made in a folder that one may read; they have codes of their own."""


def with_owned(granted: Right) -> Right:
    """Return what rights on a folder allow with an item that one made oneself."""
    more = Right.EDIT if Right.EDIT_OWNED in granted else Right.NONE
    return granted | more | (Right.DELETE if Right.DELETE_OWNED in granted else Right.NONE)


def check_right(operation: str, granted: Right, *, item: bool, missing: str) -> None:
    """
    Return if an operation may do what it does with a folder, or with an `item` in it.

    Raises:
        EwsError: `missing`, for what cannot even be seen, else ErrorAccessDenied or a code of `_DENIED`.
    """
    needed = (_OF_ITEMS if item else _OF_FOLDERS).get(operation, Right.READ)
    if needed in granted:
        return
    denied = _DENIED.get("" if item else operation, "ErrorAccessDenied")
    raise EwsError(denied if Right.READ in granted else missing)


def allowed_by(bag: p.Bag, account: str) -> Right:
    """Return what a folder's own permissions allow an account: by its entry, else by that for everybody."""
    by_user = {one["user"].lower(): one for one in bag.get(PERMISSIONS) or ()}
    entry = by_user.get(account.lower()) or by_user.get("default")
    if entry is None:
        return Right.NONE
    if entry["level"] != "Custom":
        return LEVELS.get(entry["level"], Right.NONE)
    rights = entry["rights"]
    found = Right.NONE
    for right, allowed in (
        (Right.READ, rights["ReadItems"] == "FullDetails"),
        (Right.CREATE, rights["CanCreateItems"] == "true"),
        (Right.EDIT, rights["EditItems"] == "All"),
        (Right.EDIT_OWNED, rights["EditItems"] == "Owned"),
        (Right.DELETE, rights["DeleteItems"] == "All"),
        (Right.DELETE_OWNED, rights["DeleteItems"] == "Owned"),
        (Right.SUBFOLDERS, rights["CanCreateSubFolders"] == "true"),
        (Right.OWN, rights["IsFolderOwner"] == "true"),
    ):
        found |= right if allowed else Right.NONE
    return found
