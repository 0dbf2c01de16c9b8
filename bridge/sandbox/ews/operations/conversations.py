"""
FindConversation over one folder: mails of one topic together, the newest first.

The `Global` values are those of the whole mailbox; the ids are those that `item:ConversationId` shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, child, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations.paging import read_page
from bridge.sandbox.ews.query import read_query
from bridge.sandbox.ews.restrictions import Restriction
from bridge.sandbox.ews.timing import within
from bridge.sandbox.store import conversations, items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Sequence

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

_SORTED_BY: Final = frozenset({"conversation:LastDeliveryTime", "conversation:GlobalLastDeliveryTime"})
MOST_CONVERSATIONS: Final = 1000
_FLAG = f"json_extract(props, '$.\"{p.FLAG_STATUS}\"')"
_FILTERS: Final = {
    "All": "1",
    "NoClutter": "1",
    "Clutter": "0",
    "Unread": "unread",
    "Flagged": f"{_FLAG} = 2",
    "TaskActive": f"{_FLAG} = 2",
    "TaskCompleted": f"{_FLAG} = 1",
    "HasAttachment": f"json_extract(props, '$.\"{p.HAS_ATTACHMENTS}\"')",
    "ToOrCcMe": "EXISTS (SELECT 1 FROM json_each(props) AS kind, json_each(kind.value) AS who "  # noqa: S608 - constants
    f"WHERE kind.key IN ('{p.RECIPIENTS_TO}', '{p.RECIPIENTS_CC}') AND lower(json_extract(who.value, '$[1]')) = ?)",
}
"""What a ViewFilter asks of a mail; the mails of this store are neither clutter nor overdue."""


@dataclass(slots=True)
class _Member:
    """What a conversation's summary needs of one of its mails."""

    item_id: str
    change_key: str
    received: int
    flags: int
    size: int
    message_class: str
    importance: int
    sender: str
    recipients: list[str]
    categories: list[str]
    flagged: int
    attached: bool
    preview: str
    topic: str
    modified: int


@dataclass(slots=True)
class _Conversation:
    """The mails of one topic: those of the folder, and those of the whole mailbox; each list has the newest first."""

    number: int
    here: list[_Member]
    everywhere: list[_Member]
    count_here: int
    count_everywhere: int
    topic: str


def find_conversation(context: Context, request: etree._Element) -> Single:
    """Answer the conversations that have a mail in a folder, a page of them."""

    def find() -> str:
        descending = _descending(request)
        if request.find(xml.M + "SeekToConditionPageItemView") is not None or request.get("Traversal") == "Deep":
            raise EwsError("ErrorInvalidOperation")
        if request.findtext(xml.M + "MailboxScope") == "ArchiveOnly":
            raise EwsError("ErrorInvalidOperation", "Archive mailbox is not enabled for this user.")
        shape = _read_shape(request.find(xml.M + "ConversationShape"))
        seconds = context.behaviour.book.of_all("find_seconds")
        with context.store.reading() as db, within(db, seconds):
            mailbox, folder = context.find_folder(db, child(request, "ParentFolderId"))
            condition = _condition(request, mailbox)
            topics = conversations.topics_of(
                db, folder.id, condition=condition.sql, parameters=condition.parameters, descending=descending
            )
            page = read_page(request, "Item", topics.total, MOST_CONVERSATIONS)
            found = [
                _conversation(db, mailbox, folder.id, topic, condition)
                for topic in topics.page(page.offset, page.limit)
            ]
        listed = "".join(_shown(mailbox, one, shape) for one in found)
        offset = min(topics.total, page.offset + len(found))
        return (
            f"<m:Conversations>{listed}</m:Conversations><m:TotalConversationsInView>{topics.total}"
            f"</m:TotalConversationsInView><m:IndexedOffset>{offset}</m:IndexedOffset>"
        )

    return single(context, find)


def _condition(request: etree._Element, mailbox: Mailbox) -> Restriction:
    """Return what ViewFilter and QueryString ask of a conversation's mails."""
    view = str(request.get("ViewFilter", "All"))
    if view not in _FILTERS:
        raise EwsError("ErrorInvalidOperation")
    condition = read_query(request.find(xml.M + "QueryString")) or Restriction()
    if _FILTERS[view] != "1":
        condition.sql = _FILTERS[view] if condition.sql == "1" else f"{_FILTERS[view]} AND {condition.sql}"
        if view == "ToOrCcMe":
            condition.parameters.insert(0, mailbox.address.lower())
    return condition


def _read_shape(node: etree._Element | None) -> frozenset[str] | None:
    """Return the names of the elements that a ConversationShape asks for, None for all."""
    if node is None or node.findtext(xml.T + "BaseShape") != "IdOnly":
        return None
    named = (str(one.get("FieldURI")).partition(":")[2] for one in node.iter(xml.T + "FieldURI"))
    return frozenset(named) | {"ConversationId"}


def _descending(request: etree._Element) -> bool:
    order = request.find(xml.M + "SortOrder")
    if order is None:
        return True
    fields = [node for node in order if isinstance(node.tag, str)]
    uris = [str(one.get("FieldURI")) for one in order.iter(xml.T + "FieldURI")]
    if len(fields) != 1 or not _SORTED_BY.issuperset(uris) or not uris:
        raise EwsError("ErrorUnsupportedPathForSortGroup")
    return fields[0].get("Order") == "Descending"


def _conversation(
    db: sqlite3.Connection, mailbox: Mailbox, folder: int, topic: str, condition: Restriction
) -> _Conversation:
    def read(where: int, sql: str = "1", parameters: Sequence[Any] = ()) -> list[_Member]:
        rows = conversations.members(db, mailbox.id, topic, where, items.COLUMNS, condition=sql, parameters=parameters)
        return [_member(mailbox, items.item_of(row)) for row in rows]

    held = conversations.folders_of(db, mailbox.id, topic)
    every = [mail for where in held for mail in read(where)]
    every.sort(key=lambda mail: mail.received, reverse=True)
    here = read(folder, condition.sql, condition.parameters)
    counted = held.get(folder, len(here)) if condition.sql == "1" else len(here)
    # The folder may be one of those that are left out of what the whole mailbox holds.
    every = every or here
    return _Conversation(
        conversations.number_of(db, mailbox.id, topic) or 0,
        here,
        every,
        counted,
        max(sum(held.values()), len(here)),
        here[0].topic,
    )


def _member(mailbox: Mailbox, item: items.Item) -> _Member:
    bag = item.bag
    return _Member(
        mailbox.mint.item_id(item.folder, item.id),
        mailbox.mint.item_change_key(item.change),
        int(bag.get(p.DELIVERY_TIME, 0)),
        int(bag.get(p.MESSAGE_FLAGS, 0)),
        int(bag.get(p.MESSAGE_SIZE, 0)),
        str(bag.get(p.MESSAGE_CLASS, "IPM.Note")),
        int(bag.get(p.IMPORTANCE, 1)),
        str(bag.get(p.SENT_REPRESENTING_NAME, "")),
        [name or address for name, address in bag.get(p.RECIPIENTS_TO, ())],
        list(bag.get(p.KEYWORDS) or ()),
        int(bag.get(p.FLAG_STATUS, 0)),
        bool(bag.get(p.HAS_ATTACHMENTS)),
        str(bag.get(p.PREVIEW, "")),
        str(bag.get(p.CONVERSATION_TOPIC, "")),
        int(bag.get(p.LAST_MODIFICATION_TIME, 0)),
    )


def _shown(mailbox: Mailbox, one: _Conversation, shape: frozenset[str] | None) -> str:
    here, everywhere = _summary(one.here, one.count_here), _summary(one.everywhere, one.count_everywhere)
    parts = [
        ("ConversationId", f'<t:ConversationId Id="{mailbox.mint.conversation_id(one.number)}"/>'),
        ("ConversationTopic", xml.element("ConversationTopic", one.topic)),
    ]
    for name in here:
        for prefixed, values in ((name, here), ("Global" + name, everywhere)):
            if values[name]:
                parts.append((prefixed, f"<t:{prefixed}>{values[name]}</t:{prefixed}>"))
    newest = one.here[0]
    parts.append(("LastModifiedTime", f"<t:LastModifiedTime>{xml.moment(newest.modified)}</t:LastModifiedTime>"))
    parts.append(("InstanceKey", f"<t:InstanceKey>{newest.change_key}</t:InstanceKey>"))
    if newest.preview:
        parts.append(("Preview", xml.element("Preview", newest.preview)))
    listed = "".join(element for name, element in parts if shape is None or name in shape)
    return f"<t:Conversation>{listed}</t:Conversation>"


def _summary(mails: list[_Member], count: int) -> dict[str, str]:
    """Return the elements that a conversation has twice, in the schema's order, by name."""
    unread = [one for one in mails if not one.flags & p.FLAG_READ]
    return {
        "UniqueRecipients": _strings(name for one in mails for name in one.recipients),
        "UniqueUnreadSenders": _strings(one.sender for one in unread),
        "UniqueSenders": _strings(one.sender for one in mails),
        "LastDeliveryTime": xml.moment(max(one.received for one in mails)),
        "Categories": _strings(name for one in mails for name in one.categories),
        "FlagStatus": {1: "Complete", 2: "Flagged"}.get(max(one.flagged for one in mails), "NotFlagged"),
        "HasAttachments": xml.boolean(any(one.attached for one in mails)),
        "MessageCount": str(count),
        "UnreadCount": str(len(unread)),
        "Size": str(min(sum(one.size for one in mails), 2**31 - 1)),
        "ItemClasses": "".join(
            xml.element("ItemClass", name) for name in dict.fromkeys(one.message_class for one in mails)
        ),
        "Importance": ("Low", "Normal", "High")[max(one.importance for one in mails)],
        "ItemIds": "".join(f'<t:ItemId Id="{one.item_id}" ChangeKey="{one.change_key}"/>' for one in mails),
    }


def _strings(names: Iterable[str]) -> str:
    return "".join(xml.element("String", name) for name in dict.fromkeys(names) if name)
