"""
The operations, by family, and the table that names them all.

An operation takes the call's context and the request element, which the grammar has passed, and returns the content of
the response element. It does its work in one transaction: when it returns, everything is kept.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lxml.etree import _Element

    from bridge.sandbox.ews.context import Context, Single

    Operation = Callable[[Context, _Element], str | Single]


def _late(module: str, function: str) -> Operation:
    """Return an operation whose module is loaded when it is first called: no client calls more than a few of them."""

    def call(context: Context, request: _Element) -> str | Single:
        return cast("Operation", getattr(import_module(f"{__name__}.{module}"), function))(context, request)

    return call


OPERATIONS: Final[Mapping[str, Operation]] = {
    "GetFolder": _late("folders", "get_folder"),
    "FindFolder": _late("folders", "find_folder"),
    "CreateFolder": _late("folders", "create_folder"),
    "UpdateFolder": _late("folders", "update_folder"),
    "DeleteFolder": _late("folders", "delete_folder"),
    "EmptyFolder": _late("folders", "empty_folder"),
    "MoveFolder": _late("folders_more", "move_folder"),
    "CopyFolder": _late("folders_more", "copy_folder"),
    "FindItem": _late("find", "find_item"),
    "GetItem": _late("get", "get_item"),
    "CreateItem": _late("create", "create_item"),
    "UpdateItem": _late("update", "update_item"),
    "SendItem": _late("send", "send_item"),
    "DeleteItem": _late("delete", "delete_item"),
    "MoveItem": _late("move", "move_item"),
    "CopyItem": _late("move", "copy_item"),
    "MarkAllItemsAsRead": _late("marks", "mark_all_items_as_read"),
    "MarkAsJunk": _late("marks", "mark_as_junk"),
    "ArchiveItem": _late("marks", "archive_item"),
    "ExportItems": _late("transfer", "export_items"),
    "UploadItems": _late("transfer", "upload_items"),
    "FindConversation": _late("conversations", "find_conversation"),
    "GetConversationItems": _late("conversationitems", "get_conversation_items"),
    "ApplyConversationAction": _late("conversationitems", "apply_conversation_action"),
    "GetAttachment": _late("attachments", "get_attachment"),
    "CreateAttachment": _late("attachments", "create_attachment"),
    "DeleteAttachment": _late("attachments", "delete_attachment"),
    "ResolveNames": _late("directory", "resolve_names"),
    "ConvertId": _late("directory", "convert_id"),
    "GetServerTimeZones": _late("timezones", "get_server_time_zones"),
    "SyncFolderItems": _late("sync", "sync_folder_items"),
    "SyncFolderHierarchy": _late("sync", "sync_folder_hierarchy"),
    "Subscribe": _late("notifications", "subscribe"),
    "Unsubscribe": _late("notifications", "unsubscribe"),
    "GetEvents": _late("notifications", "get_events"),
    "ExpandDL": _late("directory", "expand_dl"),
    "GetRoomLists": _late("directory", "get_room_lists"),
    "GetRooms": _late("directory", "get_rooms"),
    "GetMailTips": _late("mailbox", "get_mail_tips"),
    "GetInboxRules": _late("rules", "get_inbox_rules"),
    "UpdateInboxRules": _late("rules", "update_inbox_rules"),
    "GetDelegate": _late("delegates", "get_delegate"),
    "AddDelegate": _late("delegates", "add_delegate"),
    "UpdateDelegate": _late("delegates", "update_delegate"),
    "RemoveDelegate": _late("delegates", "remove_delegate"),
    "GetUserAvailability": _late("availability", "get_user_availability"),
    "GetServiceConfiguration": _late("mailbox", "get_service_configuration"),
    "GetUserOofSettings": _late("oof", "get_user_oof_settings"),
    "SetUserOofSettings": _late("oof", "set_user_oof_settings"),
    "GetUserConfiguration": _late("configurations", "get_user_configuration"),
    "CreateUserConfiguration": _late("configurations", "create_user_configuration"),
    "UpdateUserConfiguration": _late("configurations", "update_user_configuration"),
    "DeleteUserConfiguration": _late("configurations", "delete_user_configuration"),
}
