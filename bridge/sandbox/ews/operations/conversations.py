"""
FindConversation over one folder: mails of one topic together, the newest first.

The `Global` values are those of the whole mailbox; the ids are those that `item:ConversationId` shows.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import Single, child, single
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.operations.paging import read_page
from bridge.sandbox.ews.view import conversation_id_of
from bridge.sandbox.store import items
from bridge.sandbox.store import properties as p

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable

    from lxml import etree

    from bridge.sandbox.ews.context import Context
    from bridge.sandbox.store import Mailbox

_SORTED_BY: Final = frozenset({"conversation:LastDeliveryTime", "conversation:GlobalLastDeliveryTime"})
MOST_CONVERSATIONS: Final = 1000
_FILTERS: Final = frozenset({"All", "Unread", "Flagged", "HasAttachment"})


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


@dataclass(slots=True)
class _Conversation:
    """The mails of one topic: those of the folder, and those of the whole mailbox."""

    topic: str
    here: list[_Member] = field(default_factory=list)
    everywhere: list[_Member] = field(default_factory=list)


def find_conversation(context: Context, request: etree._Element) -> Single:
    """Answer the conversations that have a mail in a folder, a page of them."""

    def find() -> str:
        descending = _descending(request)
        if request.find(xml.M + "QueryString") is not None or request.get("ViewFilter", "All") not in _FILTERS:
            raise EwsError("ErrorInvalidOperation")
        if request.find(xml.M + "SeekToConditionPageItemView") is not None:
            raise EwsError("ErrorInvalidOperation")
        if request.findtext(xml.M + "MailboxScope") == "ArchiveOnly":
            raise EwsError("ErrorInvalidOperation", "Archive mailbox is not enabled for this user.")
        with context.store.reading() as db:
            mailbox, folder = context.find_folder(db, child(request, "ParentFolderId"))
            found = _conversations(db, mailbox, folder.id, str(request.get("ViewFilter", "All")))
        found.sort(key=lambda one: max(mail.received for mail in one.here), reverse=descending)
        page = read_page(request, "Item", len(found), MOST_CONVERSATIONS)
        shown = found[page.offset : page.offset + page.limit]
        listed = "".join(_shown(mailbox, one) for one in shown)
        offset = min(len(found), page.offset + len(shown))
        return (
            f"<m:Conversations>{listed}</m:Conversations><m:TotalConversationsInView>{len(found)}"
            f"</m:TotalConversationsInView><m:IndexedOffset>{offset}</m:IndexedOffset>"
        )

    return single(context, find)


def _descending(request: etree._Element) -> bool:
    order = request.find(xml.M + "SortOrder")
    if order is None:
        return True
    fields = [node for node in order if isinstance(node.tag, str)]
    uris = [str(one.get("FieldURI")) for one in order.iter(xml.T + "FieldURI")]
    if len(fields) != 1 or not _SORTED_BY.issuperset(uris) or not uris:
        raise EwsError("ErrorUnsupportedPathForSortGroup")
    return fields[0].get("Order") == "Descending"


def _conversations(db: sqlite3.Connection, mailbox: Mailbox, folder: int, view: str) -> list[_Conversation]:
    query = f"SELECT {items.COLUMNS} FROM items WHERE mailbox = ? ORDER BY received DESC, id DESC"  # noqa: S608 - constants
    found: dict[str, _Conversation] = {}
    for row in db.execute(query, (mailbox.id,)):
        item = items.item_of(row)
        topic = str(item.bag.get(p.CONVERSATION_TOPIC, ""))
        one = found.setdefault(topic.casefold(), _Conversation(topic))
        member = _member(mailbox, item)
        one.everywhere.append(member)
        if item.folder == folder and _passes(member, view):
            one.here.append(member)
    return [one for one in found.values() if one.here]


def _passes(member: _Member, view: str) -> bool:
    return {
        "Unread": not member.flags & p.FLAG_READ,
        "Flagged": member.flagged == 2,
        "HasAttachment": member.attached,
    }.get(view, True)


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
    )


def _shown(mailbox: Mailbox, one: _Conversation) -> str:
    identifier = conversation_id_of(mailbox, one.topic)
    parts = [f'<t:Conversation><t:ConversationId Id="{identifier}"/>', xml.element("ConversationTopic", one.topic)]
    here, everywhere = _summary(one.here), _summary(one.everywhere)
    for name in here:
        for prefix, values in (("", here), ("Global", everywhere)):
            if values[name]:
                parts.append(f"<t:{prefix}{name}>{values[name]}</t:{prefix}{name}>")
    preview = one.here[0].preview
    parts.append(f"<t:LastModifiedTime>{xml.moment(one.everywhere[0].received)}</t:LastModifiedTime>")
    parts.append(f"<t:InstanceKey>{one.here[0].change_key}</t:InstanceKey>")
    if preview:
        parts.append(xml.element("Preview", preview))
    parts.append("</t:Conversation>")
    return "".join(parts)


def _summary(mails: list[_Member]) -> dict[str, str]:
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
        "MessageCount": str(len(mails)),
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
