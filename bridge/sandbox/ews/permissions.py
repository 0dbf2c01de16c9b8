"""The PermissionSet of folders: who may do what, as levels or one by one; what it says counts when others call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.rights import PERMISSIONS as KEY
from bridge.sandbox.store import folders

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from lxml import etree

    from bridge.sandbox.store import properties as p

_SWITCHES: Final = ("CanCreateItems", "CanCreateSubFolders", "IsFolderOwner", "IsFolderVisible", "IsFolderContact")
_CHOICES: Final = ("EditItems", "DeleteItems", "ReadItems")
_NOTHING: Final = dict.fromkeys(_SWITCHES, "false") | dict.fromkeys(_CHOICES, "None")
# What each level allows: the switches that are on, and what of items may be edited, deleted, read.
_LEVELS: Final[Mapping[str, tuple[str, str, str, str]]] = {
    "None": ("", "None", "None", "None"),
    "Owner": (" ".join(_SWITCHES), "All", "All", "FullDetails"),
    "PublishingEditor": ("CanCreateItems CanCreateSubFolders IsFolderVisible", "All", "All", "FullDetails"),
    "Editor": ("CanCreateItems IsFolderVisible", "All", "All", "FullDetails"),
    "PublishingAuthor": ("CanCreateItems CanCreateSubFolders IsFolderVisible", "Owned", "Owned", "FullDetails"),
    "Author": ("CanCreateItems IsFolderVisible", "Owned", "Owned", "FullDetails"),
    "NoneditingAuthor": ("CanCreateItems IsFolderVisible", "None", "Owned", "FullDetails"),
    "Reviewer": ("IsFolderVisible", "None", "None", "FullDetails"),
    "Contributor": ("CanCreateItems IsFolderVisible", "None", "None", "None"),
    "FreeBusyTimeOnly": ("", "None", "None", "TimeOnly"),
    "FreeBusyTimeAndSubjectAndLocation": ("", "None", "None", "TimeAndSubjectAndLocation"),
}
_Entry = dict[str, Any]


def read_permissions(db: sqlite3.Connection, node: etree._Element, *, calendar: bool) -> list[_Entry]:
    """
    Return the entries of a PermissionSet.

    Raises:
        EwsError: It is of the wrong kind for the folder, or an entry makes no sense.
    """
    entries = node.find(xml.T + ("CalendarPermissions" if calendar else "Permissions"))
    if entries is None:
        raise EwsError(
            "ErrorCannotSetNonCalendarPermissionOnCalendarFolder"
            if calendar
            else "ErrorCannotSetCalendarPermissionOnNonCalendarFolder"
        )
    if children(node.find(xml.T + "UnknownEntries")):
        raise EwsError("ErrorCannotSetPermissionUnknownEntries")
    found = [_read(db, one, "CalendarPermissionLevel" if calendar else "PermissionLevel") for one in children(entries)]
    if len({one["user"].lower() for one in found}) != len(found):
        raise EwsError("ErrorDuplicateUserIdsSpecified")
    return found


def permissions_xml(db: sqlite3.Connection, bag: p.Bag, *, calendar: bool) -> str:
    """Return a folder's PermissionSet; one that nobody set has what a new folder has."""
    kept: list[_Entry] = bag.get(KEY) or []
    known = {one["user"] for one in kept}
    default = "FreeBusyTimeOnly" if calendar else "None"
    missing = (("Default", default), ("Anonymous", "None"))
    entries = [*({"user": user, "level": level} for user, level in missing if user not in known), *kept]
    name = "CalendarPermission" if calendar else "Permission"
    listed = "".join(f"<t:{name}>{_shown(db, one, f'{name}Level')}</t:{name}>" for one in entries)
    return f"<t:PermissionSet><t:{name}s>{listed}</t:{name}s></t:PermissionSet>"


def _read(db: sqlite3.Connection, node: etree._Element, level_name: str) -> _Entry:
    user = node.find(xml.T + "UserId")
    level = node.findtext(xml.T + level_name) or "None"
    given = {
        name: xml.boolean(xml.truth(text)) if name in _SWITCHES else text.strip()
        for name in (*_SWITCHES, *_CHOICES)
        if (text := node.findtext(xml.T + name)) is not None
    }
    rights = _NOTHING | given if level == "Custom" else _of_level(level)
    if not given.items() <= rights.items():
        # A level says it all; what differs from it makes a level of its own.
        raise EwsError("ErrorInvalidPermissionSettings")
    return {"user": _user(db, user), "level": level, "rights": rights}


def _user(db: sqlite3.Connection, node: etree._Element | None) -> str:
    if node is None:
        raise EwsError("ErrorInvalidUserInfo")
    distinguished = node.findtext(xml.T + "DistinguishedUser")
    if distinguished is not None:
        return distinguished
    sid, address = node.findtext(xml.T + "SID"), (node.findtext(xml.T + "PrimarySmtpAddress") or "").strip()
    found = folders.mailbox_by(db, "address", address) if address else folders.mailbox_by(db, "sid", sid or "")
    if found is None:
        raise EwsError("ErrorInvalidUserInfo")
    return found.address


def _of_level(level: str) -> dict[str, str]:
    switches, edit, delete, read = _LEVELS[level]
    return _NOTHING | dict.fromkeys(switches.split(), "true") | dict(zip(_CHOICES, (edit, delete, read), strict=True))


def _shown(db: sqlite3.Connection, entry: _Entry, level_name: str) -> str:
    rights = entry.get("rights") or _of_level(entry["level"])
    user = f"<t:DistinguishedUser>{entry['user']}</t:DistinguishedUser>"
    if "@" in entry["user"]:
        found = folders.mailbox_by(db, "address", entry["user"])
        sid = f"<t:SID>{xml.text(found.sid)}</t:SID>" if found else ""
        name = xml.element("DisplayName", found.display_name) if found else ""
        user = f"{sid}<t:PrimarySmtpAddress>{xml.text(entry['user'])}</t:PrimarySmtpAddress>{name}"
    shown = "".join(f"<t:{name}>{rights[name]}</t:{name}>" for name in (*_SWITCHES, *_CHOICES))
    return f"<t:UserId>{user}</t:UserId>{shown}<t:{level_name}>{entry['level']}</t:{level_name}>"
