"""GetConversationItems and ApplyConversationAction: the mails of a conversation, and what is done with all of them."""

from __future__ import annotations

import binascii
from base64 import b64decode, b64encode
from dataclasses import replace
from typing import TYPE_CHECKING, Final, cast

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import batch, child, children
from bridge.sandbox.ews.errors import EwsError, FaultError
from bridge.sandbox.ews.operations.changes import flag_of
from bridge.sandbox.ews.operations.conversationtree import Node, nodes_of, ordered
from bridge.sandbox.ews.shapes import read_item_shape
from bridge.sandbox.ews.values import read_time
from bridge.sandbox.ews.view import View
from bridge.sandbox.store import conversations, folders, items
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import EntryId, MalformedIdError, read_conversation_id

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox
    from bridge.sandbox.store.items import Disposal, Item

MOST_ITEMS: Final = 100
"""How many mails of a conversation one answer holds at most, and where the request names no number."""
_SECOND: Final = 1_000_000
_STANDING: Final = frozenset({"AlwaysCategorize", "AlwaysDelete", "AlwaysMove", "SetRetentionPolicy"})


def get_conversation_items(context: Context, request: etree._Element) -> str:
    """Answer the mails of conversations: a node for each Message-ID, which holds the copies of that mail."""
    wanted = children(child(request, "Conversations"))
    if not wanted:
        raise FaultError("ErrorInvalidRequest")

    def get(node: etree._Element) -> str:
        shape = read_item_shape(child(request, "ItemShape"), finding=False, version=context.version)
        shape = replace(shape, rights=context.rights_on_item)
        mailbox, topic, number = _conversation(context, db, node)
        ignored = {context.folder_of(db, one)[1].id for one in children(request.find(xml.M + "FoldersToIgnore"))}
        known = _read_state(node.findtext(xml.T + "SyncState"))
        found = [
            items.item_of(row)
            for folder in conversations.folders_of(db, mailbox.id, topic)
            if folder not in ignored
            for row in conversations.members(db, mailbox.id, topic, folder, items.COLUMNS)
        ]
        found.sort(key=lambda item: (_received(item), item.id), reverse=True)
        del found[_most(request) :]
        _check_access(context, db, mailbox, found)
        highest = max((item.change for item in found), default=0)
        nodes = ordered(nodes_of(found), request.findtext(xml.M + "SortOrder"))
        shown = "".join(
            _shown(one, lambda item: shape.show(View(db, mailbox, item)))
            for one in nodes
            if any(item.change > known for item in one.items)
        )
        listed = f"<t:ConversationNodes>{shown}</t:ConversationNodes>" if shown else "<t:ConversationNodes/>"
        state = b64encode(str(max(highest, known)).encode()).decode()
        return (
            f'<m:Conversation><t:ConversationId Id="{mailbox.mint.conversation_id(number)}"/>'
            f"<t:SyncState>{state}</t:SyncState>{listed}</m:Conversation>"
        )

    with context.store.reading() as db:
        return batch(context, "GetConversationItems", wanted, get)


def apply_conversation_action(context: Context, request: etree._Element) -> str:
    """Do one thing with every mail of a conversation, in one folder or in all; each action is whole or not at all."""

    def apply(node: etree._Element) -> str:
        mailbox, topic, _ = _conversation(context, db, node)
        do = _deed(context, db, mailbox, node)
        context_folder = node.find(xml.T + "ContextFolderId")
        where = list(conversations.folders_of(db, mailbox.id, topic))
        if context_folder is not None:
            held_by, folder = context.find_folder(db, context_folder)
            if held_by.id != mailbox.id:
                raise EwsError("ErrorInvalidOperation")
            where = [folder.id]
        until = _moment(node.findtext(xml.T + "ConversationLastSyncTime"))
        # All are told before any is touched: what is moved must not be met again in its new folder.
        numbers = [one for folder in where for one in conversations.numbers(db, mailbox.id, topic, folder, until)]
        for number in numbers:
            item = items.read(db, mailbox.id, number)
            _check_access(context, db, mailbox, [item])
            do(item)
        return ""

    with context.store.writing() as db:
        wanted = children(child(request, "ConversationActions"))
        return batch(context, "ApplyConversationAction", wanted, apply, changing=db)


def _conversation(context: Context, db: sqlite3.Connection, node: etree._Element) -> tuple[Mailbox, str, int]:
    """Return the mailbox, the topic and the number of the conversation that an element's ConversationId names."""
    identifier = node.find(xml.T + "ConversationId")
    try:
        guid, number = read_conversation_id("" if identifier is None else str(identifier.get("Id")))
    except MalformedIdError as error:
        raise EwsError("ErrorInvalidIdMalformed") from error
    own = context.mailbox
    mailbox = own if own is not None and own.guid == guid else folders.mailbox_by(db, "guid", str(guid))
    topic = None if mailbox is None else conversations.topic_of(db, mailbox.id, number)
    if mailbox is None or topic is None:
        raise EwsError("ErrorItemNotFound")
    return mailbox, topic, number


def _check_access(context: Context, db: sqlite3.Connection, mailbox: Mailbox, found: list[Item]) -> None:
    """Return if the caller may do this operation with these mails; those of one's own mailbox need no look."""
    if mailbox is not context.mailbox:
        if not found:
            raise EwsError("ErrorItemNotFound")
        for item in found:
            context.item_by(db, EntryId(mailbox.guid, item.folder, item.id))


def _deed(context: Context, db: sqlite3.Connection, mailbox: Mailbox, node: etree._Element) -> Callable[[Item], object]:
    """
    Return what an action does with a mail.

    Raises:
        EwsError: ErrorInvalidOperation, for what would go on with mails to come, or lacks what it needs.
    """
    action = str(node.findtext(xml.T + "Action"))
    if action in _STANDING:
        raise EwsError("ErrorInvalidOperation", "Actions on mail to come are not supported.")
    if action == "Delete":
        disposal = cast("Disposal", node.findtext(xml.T + "DeleteType") or "MoveToDeletedItems")
        done = folders.folder(db, mailbox.id, "deleteditems").id if disposal == "MoveToDeletedItems" else None
        return lambda item: None if item.folder == done else items.delete(db, item, disposal)
    if action == "SetReadState":
        read = node.findtext(xml.T + "IsRead")
        if read is None:
            raise EwsError("ErrorInvalidOperation", "IsRead is missing.")
        return lambda item: _set_read(db, item, read=xml.truth(read))
    if action == "Flag":
        flag = node.find(xml.T + "Flag")
        if flag is None:
            raise EwsError("ErrorInvalidOperation", "Flag is missing.")
        bag, removals = flag_of(flag)
        return lambda item: items.update(db, item, dict(bag), removals)
    destination = node.find(xml.T + "DestinationFolderId")
    if destination is None:
        raise EwsError("ErrorInvalidOperation", "DestinationFolderId is missing.")
    return _transfer(context, db, mailbox, destination, copy=action == "Copy")


def _transfer(
    context: Context, db: sqlite3.Connection, mailbox: Mailbox, destination: etree._Element, *, copy: bool
) -> Callable[[Item], object]:
    try:
        target_mailbox, target = context.find_folder(db, destination)
    except EwsError as error:
        if error.code in ("ErrorItemNotFound", "ErrorFolderNotFound"):
            raise EwsError("ErrorToFolderNotFound") from error
        raise
    if target_mailbox.id != mailbox.id:
        raise EwsError("ErrorCrossMailboxMoveCopy")

    def do(item: Item) -> None:
        # Mails that are there already stay as they are.
        if item.folder == target.id:
            return
        if copy:
            items.copy(db, item, target.id)
            context.behaviour.check_stored(db, mailbox, None)
        else:
            items.move(db, item, target.id)

    return do


def _set_read(db: sqlite3.Connection, item: Item, *, read: bool) -> None:
    flags = item.bag.get(p.MESSAGE_FLAGS, 0)
    if bool(flags & p.FLAG_READ) != read:
        items.update(db, item, {p.MESSAGE_FLAGS: flags | p.FLAG_READ if read else flags & ~p.FLAG_READ})


def _moment(text: str | None) -> int | None:
    try:
        # Times are told in whole seconds: what came within the second that a client was told is meant, too.
        return read_time(text) // _SECOND * _SECOND + _SECOND - 1 if text else None
    except (ValueError, OverflowError) as error:
        raise EwsError("ErrorInvalidOperation", "ConversationLastSyncTime is no moment.") from error


def _most(request: etree._Element) -> int:
    given = request.findtext(xml.M + "MaxItemsToReturn")
    if given is None:
        return MOST_ITEMS
    if int(given) <= 0:
        raise EwsError("ErrorInvalidPagingMaxRows")
    return min(int(given), MOST_ITEMS)


def _read_state(text: str | None) -> int:
    """Return the change number that a SyncState holds, 0 without one."""
    if not text:
        return 0
    try:
        found = b64decode(text, validate=True)
    except binascii.Error as error:
        raise EwsError("ErrorInvalidSyncStateData") from error
    if not found.isdigit() or len(found) > 18:
        raise EwsError("ErrorInvalidSyncStateData")
    return int(found)


def _received(item: Item) -> int:
    return int(item.bag.get(p.DELIVERY_TIME, 0))


def _shown(node: Node, show: Callable[[Item], str]) -> str:
    parent = xml.element("ParentInternetMessageId", node.parent) if node.parent else ""
    shown = "".join(map(show, node.items))
    return (
        f"<t:ConversationNode>{xml.element('InternetMessageId', node.message_id)}{parent}"
        f"<t:Items>{shown}</t:Items></t:ConversationNode>"
    )
