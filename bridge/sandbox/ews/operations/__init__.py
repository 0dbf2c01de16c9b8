"""
The operations, by family, and the table that names them all.

An operation takes the call's context and the request element, which the grammar has passed, and returns the content of
the response element. It does its work in one transaction: when it returns, everything is kept.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.operations import (
    attachments,
    availability,
    configurations,
    conversationitems,
    conversations,
    create,
    delegates,
    delete,
    directory,
    find,
    folders,
    folders_more,
    get,
    mailbox,
    marks,
    move,
    notifications,
    oof,
    rules,
    send,
    sync,
    timezones,
    transfer,
    update,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from lxml.etree import _Element

    from bridge.sandbox.ews.context import Context, Single

    Operation = Callable[[Context, _Element], str | Single]

OPERATIONS: Final[Mapping[str, Operation]] = {
    "GetFolder": folders.get_folder,
    "FindFolder": folders.find_folder,
    "CreateFolder": folders.create_folder,
    "UpdateFolder": folders.update_folder,
    "DeleteFolder": folders.delete_folder,
    "EmptyFolder": folders.empty_folder,
    "MoveFolder": folders_more.move_folder,
    "CopyFolder": folders_more.copy_folder,
    "FindItem": find.find_item,
    "GetItem": get.get_item,
    "CreateItem": create.create_item,
    "UpdateItem": update.update_item,
    "SendItem": send.send_item,
    "DeleteItem": delete.delete_item,
    "MoveItem": move.move_item,
    "CopyItem": move.copy_item,
    "MarkAllItemsAsRead": marks.mark_all_items_as_read,
    "MarkAsJunk": marks.mark_as_junk,
    "ArchiveItem": marks.archive_item,
    "ExportItems": transfer.export_items,
    "UploadItems": transfer.upload_items,
    "FindConversation": conversations.find_conversation,
    "GetConversationItems": conversationitems.get_conversation_items,
    "ApplyConversationAction": conversationitems.apply_conversation_action,
    "GetAttachment": attachments.get_attachment,
    "CreateAttachment": attachments.create_attachment,
    "DeleteAttachment": attachments.delete_attachment,
    "ResolveNames": directory.resolve_names,
    "ConvertId": directory.convert_id,
    "GetServerTimeZones": timezones.get_server_time_zones,
    "SyncFolderItems": sync.sync_folder_items,
    "SyncFolderHierarchy": sync.sync_folder_hierarchy,
    "Subscribe": notifications.subscribe,
    "Unsubscribe": notifications.unsubscribe,
    "GetEvents": notifications.get_events,
    "ExpandDL": directory.expand_dl,
    "GetRoomLists": directory.get_room_lists,
    "GetRooms": directory.get_rooms,
    "GetMailTips": mailbox.get_mail_tips,
    "GetInboxRules": rules.get_inbox_rules,
    "UpdateInboxRules": rules.update_inbox_rules,
    "GetDelegate": delegates.get_delegate,
    "AddDelegate": delegates.add_delegate,
    "UpdateDelegate": delegates.update_delegate,
    "RemoveDelegate": delegates.remove_delegate,
    "GetUserAvailability": availability.get_user_availability,
    "GetServiceConfiguration": mailbox.get_service_configuration,
    "GetUserOofSettings": oof.get_user_oof_settings,
    "SetUserOofSettings": oof.set_user_oof_settings,
    "GetUserConfiguration": configurations.get_user_configuration,
    "CreateUserConfiguration": configurations.create_user_configuration,
    "UpdateUserConfiguration": configurations.update_user_configuration,
    "DeleteUserConfiguration": configurations.delete_user_configuration,
}
