"""The bodies of the requests that clients make, and what is read of an item that an answer shows."""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from tests.stress.journal import Place
from tests.stress.wire import TYPES

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from lxml import etree

STAMP = (
    '<t:ExtendedFieldURI PropertySetId="6e1f2a34-9f0e-4a58-8f8b-2f6f0f9f7a01" PropertyName="Stamp" '
    'PropertyType="Integer"/>'
)
SHARED = ("inbox", "drafts", "sentitems", "deleteditems", "archive", "junkemail", "outbox")
RECOVERABLE = ("recoverableitemsdeletions", "recoverableitemspurges")


def folder(name: str) -> str:
    """Return the element that names a folder: a distinguished one, or one by id."""
    if name.isalpha() and name.islower():
        return f'<t:DistinguishedFolderId Id="{name}"/>'
    return f"<t:FolderId Id={quoteattr(name)}/>"


def items(ids: Iterable[str]) -> str:
    """Return the element that lists items."""
    return "<m:ItemIds>" + "".join(f"<t:ItemId Id={quoteattr(one)}/>" for one in ids) + "</m:ItemIds>"


def stamped(value: int) -> str:
    """Return the stamp as a property of an item."""
    return f"<t:ExtendedProperty>{STAMP}<t:Value>{value}</t:Value></t:ExtendedProperty>"


def message(message_id: str, *, mime: bytes | None, to: Sequence[str] = (), stamp: int = 0) -> str:
    """Return an item to create: from its MIME, or of properties."""
    if mime is not None:
        return f"<t:Message><t:MimeContent>{b64encode(mime).decode()}</t:MimeContent>{stamped(stamp)}</t:Message>"
    mailboxes = "".join(f"<t:Mailbox><t:EmailAddress>{one}</t:EmailAddress></t:Mailbox>" for one in to)
    recipients = f"<t:ToRecipients>{mailboxes}</t:ToRecipients>" if to else ""
    return (
        f'<t:Message><t:Subject>{message_id[1:-1]}</t:Subject><t:Body BodyType="Text">Bay 3</t:Body>{stamped(stamp)}'
        f"{recipients}<t:InternetMessageId>&lt;{message_id[1:-1]}&gt;</t:InternetMessageId></t:Message>"
    )


def create(disposition: str, item: str, saved_in: str | None = None) -> str:
    """Return a CreateItem of one item."""
    saved = f"<m:SavedItemFolderId>{folder(saved_in)}</m:SavedItemFolderId>" if saved_in else ""
    return f'<m:CreateItem MessageDisposition="{disposition}">{saved}<m:Items>{item}</m:Items></m:CreateItem>'


def transfer(operation: str, ids: Sequence[str], to: str) -> str:
    """Return a MoveItem or CopyItem."""
    return f"<m:{operation}><m:ToFolderId>{folder(to)}</m:ToFolderId>{items(ids)}</m:{operation}>"


def update(item_id: str, change_key: str, stamp: int) -> str:
    """Return an UpdateItem that sets the stamp, if the change key is still the item's."""
    return (
        '<m:UpdateItem ConflictResolution="NeverOverwrite" MessageDisposition="SaveOnly"><m:ItemChanges><t:ItemChange>'
        f"<t:ItemId Id={quoteattr(item_id)} ChangeKey={quoteattr(change_key)}/><t:Updates><t:SetItemField>{STAMP}"
        f"<t:Message>{stamped(stamp)}</t:Message></t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges>"
        "</m:UpdateItem>"
    )


def get(ids: Iterable[str], *, mime: bool = False) -> str:
    """Return a GetItem of what `place_of` reads."""
    included = "<t:IncludeMimeContent>true</t:IncludeMimeContent>" if mime else ""
    return (
        f"<m:GetItem><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{included}<t:AdditionalProperties>"
        '<t:FieldURI FieldURI="item:Attachments"/><t:FieldURI FieldURI="item:ParentFolderId"/>'
        f'<t:FieldURI FieldURI="message:InternetMessageId"/>{STAMP}</t:AdditionalProperties></m:ItemShape>'
        f"{items(ids)}</m:GetItem>"
    )


def find(folders: Iterable[str], *, message_id: str | None = None, offset: int = 0, page: int = 1000) -> str:
    """Return a FindItem of a page of each folder, of all items or those of one Message-ID."""
    restriction = (
        '<m:Restriction><t:IsEqualTo><t:FieldURI FieldURI="message:InternetMessageId"/><t:FieldURIOrConstant>'
        f"<t:Constant Value={quoteattr(message_id)}/></t:FieldURIOrConstant></t:IsEqualTo></m:Restriction>"
        if message_id
        else ""
    )
    return (
        '<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape><t:AdditionalProperties>'
        '<t:FieldURI FieldURI="message:InternetMessageId"/><t:FieldURI FieldURI="item:HasAttachments"/>'
        f'<t:FieldURI FieldURI="message:IsRead"/>{STAMP}</t:AdditionalProperties></m:ItemShape>'
        f'<m:IndexedPageItemView MaxEntriesReturned="{page}" Offset="{offset}" BasePoint="Beginning"/>{restriction}'
        f"<m:ParentFolderIds>{''.join(map(folder, folders))}</m:ParentFolderIds></m:FindItem>"
    )


def shown_items(node: etree._Element) -> list[etree._Element]:
    """Return the items that an answer shows."""
    return [holder for one in node.iter(TYPES + "ItemId") if (holder := one.getparent()) is not None]


def stamp_of(item: etree._Element) -> int:
    """Return the stamp of an item, 0 where there is none."""
    return int(item.findtext(f"{TYPES}ExtendedProperty/{TYPES}Value") or 0)


def identity_of(item: etree._Element) -> str:
    """Return the Message-ID of an item."""
    return item.findtext(TYPES + "InternetMessageId") or ""


def attribute(item: etree._Element, name: str, child: str = "ItemId") -> str:
    """Return an attribute of an item's id."""
    node = item.find(TYPES + child)
    return "" if node is None else str(node.get(name))


def place_of(item: etree._Element, where: str) -> Place:
    """Return where and how an item lies that GetItem showed."""
    names = frozenset(
        node.findtext(TYPES + "Name") or "" for node in item.iter(TYPES + "FileAttachment", TYPES + "ItemAttachment")
    )
    return Place(where, attribute(item, "Id"), stamp_of(item), names)
