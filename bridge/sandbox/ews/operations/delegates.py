"""
GetDelegate, AddDelegate, UpdateDelegate, RemoveDelegate.

Delegates are kept and shown; what they may open is told by the grants of the admin API alone.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, child, children, error_message, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.store import folders, foldertree

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

_KEY: Final = "delegates"
_DELIVERY: Final = "DelegatesAndMe"
_LEVELS: Final = tuple(
    f"{folder}FolderPermissionLevel" for folder in ("Calendar", "Tasks", "Inbox", "Contacts", "Notes", "Journal")
)
_MESSAGE: Final = "m:DelegateUserResponseMessageType"
_Kept = dict[str, Any]


def get_delegate(context: Context, request: etree._Element) -> Single:
    """Answer the delegates of a mailbox, or those that are asked for."""
    permissions = xml.truth(request.get("IncludePermissions"))

    def get() -> str:
        with context.store.reading() as db:
            mailbox = _mailbox(context, db, request)
            kept = _settings(db, mailbox)
            asked = children(request.find(xml.M + "UserIds"))

            def one(user: etree._Element) -> str:
                who = _user(db, user)
                if who.address.lower() not in kept["users"]:
                    raise EwsError("ErrorNotDelegate")
                return _shown(who, kept["users"][who.address.lower()], permissions=permissions)

            if asked:
                listed = _each(asked, one)
            else:
                found = ((folders.mailbox_by(db, "address", address), user) for address, user in kept["users"].items())
                shown = (_shown(who, user, permissions=permissions) for who, user in found if who is not None)
                listed = "".join(_success(one) for one in shown)
        return _content(listed, kept)

    return single(context, get)


def add_delegate(context: Context, request: etree._Element) -> Single:
    """Make others delegates of a mailbox."""
    return _changed(context, request, "DelegateUsers", _add)


def update_delegate(context: Context, request: etree._Element) -> Single:
    """Give delegates other permissions, or have meeting requests delivered otherwise."""
    return _changed(context, request, "DelegateUsers", _update)


def remove_delegate(context: Context, request: etree._Element) -> Single:
    """Let delegates be delegates no more."""
    return _changed(context, request, "UserIds", _remove)


def _changed(
    context: Context,
    request: etree._Element,
    holder: str,
    apply: Callable[[_Kept, Mailbox, Mailbox, etree._Element], str],
) -> Single:
    def change() -> str:
        with context.store.writing() as db:
            mailbox = _mailbox(context, db, request)
            kept = _settings(db, mailbox)

            def one(node: etree._Element) -> str:
                user = node if holder == "UserIds" else node.find(xml.T + "UserId")
                if user is None:
                    raise EwsError("ErrorDelegateNoUser")
                return apply(kept, mailbox, _user(db, user), node)

            listed = _each(children(request.find(xml.M + holder)), one)
            kept["deliver"] = request.findtext(xml.M + "DeliverMeetingRequests") or kept["deliver"]
            root = folders.folder(db, mailbox.id, "root")
            foldertree.keep_quietly(db, root, {**root.bag, _KEY: kept})
        return _content(listed, None)

    return single(context, change)


def _add(kept: _Kept, mailbox: Mailbox, who: Mailbox, node: etree._Element) -> str:
    if who.id == mailbox.id:
        raise EwsError("ErrorDelegateCannotAddOwner")
    if who.address.lower() in kept["users"]:
        raise EwsError("ErrorDelegateAlreadyExists")
    kept["users"][who.address.lower()] = _read(node, {})
    return _shown(who, kept["users"][who.address.lower()], permissions=True)


def _update(kept: _Kept, _mailbox: Mailbox, who: Mailbox, node: etree._Element) -> str:
    if who.address.lower() not in kept["users"]:
        raise EwsError("ErrorNotDelegate")
    kept["users"][who.address.lower()] = _read(node, kept["users"][who.address.lower()])
    return _shown(who, kept["users"][who.address.lower()], permissions=True)


def _remove(kept: _Kept, _mailbox: Mailbox, who: Mailbox, _node: etree._Element) -> str:
    if kept["users"].pop(who.address.lower(), None) is None:
        raise EwsError("ErrorNotDelegate")
    return ""


def _read(node: etree._Element, before: _Kept) -> _Kept:
    levels = node.find(xml.T + "DelegatePermissions")
    given = {} if levels is None else {str(one.tag).rpartition("}")[2]: one.text for one in children(levels)}
    copies, private = (node.findtext(xml.T + name) for name in ("ReceiveCopiesOfMeetingMessages", "ViewPrivateItems"))
    return {
        "levels": {**before.get("levels", {}), **given},
        "copies": before.get("copies", False) if copies is None else xml.truth(copies),
        "private": before.get("private", False) if private is None else xml.truth(private),
    }


def _mailbox(context: Context, db: sqlite3.Connection, request: etree._Element) -> Mailbox:
    own = context.own_mailbox()
    address = (child(request, "Mailbox").findtext(xml.T + "EmailAddress") or "").strip()
    if address.lower() != own.address.lower():
        known = folders.mailbox_by(db, "address", address) is not None
        raise EwsError("ErrorAccessDenied" if known else "ErrorNonExistentMailbox")
    return own


def _user(db: sqlite3.Connection, node: etree._Element) -> Mailbox:
    """Return the mailbox of the one that a UserId names."""
    sid = node.findtext(xml.T + "SID")
    address = node.findtext(xml.T + "PrimarySmtpAddress")
    found = folders.mailbox_by(db, "sid", sid) if sid else folders.mailbox_by(db, "address", (address or "").strip())
    if found is None:
        raise EwsError("ErrorInvalidUserSid" if sid else "ErrorDelegateNoUser")
    return found


def _settings(db: sqlite3.Connection, mailbox: Mailbox) -> _Kept:
    kept: _Kept | None = folders.folder(db, mailbox.id, "root").bag.get(_KEY)
    return kept or {"deliver": _DELIVERY, "users": {}}


def _each(nodes: list[etree._Element], do: Callable[[etree._Element], str]) -> str:
    parts = []
    for node in nodes:
        try:
            parts.append(_success(do(node)))
        except EwsError as error:
            parts.append(error_message(_MESSAGE, error))
    return "".join(parts)


def _success(inner: str) -> str:
    return f'<{_MESSAGE} ResponseClass="Success"><m:ResponseCode>NoError</m:ResponseCode>{inner}</{_MESSAGE}>'


def _content(listed: str, kept: _Kept | None) -> str:
    messages = f"<m:ResponseMessages>{listed}</m:ResponseMessages>" if listed else ""
    return messages + (
        "" if kept is None else f"<m:DeliverMeetingRequests>{kept['deliver']}</m:DeliverMeetingRequests>"
    )


def _shown(who: Mailbox, user: _Kept, *, permissions: bool) -> str:
    levels = "".join(f"<t:{level}>{user['levels'].get(level, 'None')}</t:{level}>" for level in _LEVELS)
    return (
        f"<m:DelegateUser><t:UserId><t:SID>{xml.text(who.sid)}</t:SID><t:PrimarySmtpAddress>{xml.text(who.address)}"
        f"</t:PrimarySmtpAddress>{xml.element('DisplayName', who.display_name)}</t:UserId>"
        + (f"<t:DelegatePermissions>{levels}</t:DelegatePermissions>" if permissions else "")
        + f"<t:ReceiveCopiesOfMeetingMessages>{xml.boolean(user['copies'])}</t:ReceiveCopiesOfMeetingMessages>"
        f"<t:ViewPrivateItems>{xml.boolean(user['private'])}</t:ViewPrivateItems></m:DelegateUser>"
    )
