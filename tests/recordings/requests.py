"""For a recorded answer, the request that Exchange gave it to: built for a mailbox of the sandbox in that state."""

from __future__ import annotations

from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from lxml import etree

from tests.recordings import directory, states
from tests.recordings.kinds import FOLDERS, MADE, new
from tests.recordings.mailbox import (
    OTHER,
    Mailbox,
    NotBuiltError,
    attachment,
    extended_paths,
    folder_shape,
    item_shape,
)
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Builder = Callable[[Mailbox, etree._Element], str]

BY_RULE = frozenset({
    "ErrorInternalServerError", "ErrorInvalidValueForProperty", "ErrorServerBusy", "ErrorTooManyObjectsOpened",
})  # fmt: skip
"""What no request and no state brings about, but a rule of the sandbox's faults does."""

_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_DISTINGUISHED = {
    "Inbox": "inbox", "Calendar": "calendar", "Contacts": "contacts", "Drafts": "drafts", "Tasks": "tasks",
    "Deleted Items": "deleteditems", "Sent Items": "sentitems", "Top of Information Store": "msgfolderroot",
}  # fmt: skip


def request_for(mailbox: Mailbox, answer: etree._Element) -> str:
    """
    Return the SOAP body that asks the sandbox for what a recorded answer says.

    Raises:
        NotBuiltError: It cannot be.
    """
    operation = _name(answer).removesuffix("Response")
    builder = _BUILDERS.get(operation)
    if builder is None:
        raise NotBuiltError(f"no state is built for {operation}")
    return builder(mailbox, answer)


def _get_folder(mailbox: Mailbox, answer: etree._Element) -> str:
    folders = [_folder_of(message) for message in _messages(answer)]
    shown = next((one for one in folders if one is not None), None)
    ids = "".join(
        _folder_id(mailbox, folder, _code(message)) for folder, message in zip(folders, _messages(answer), strict=True)
    )
    return f"<m:GetFolder>{folder_shape(shown)}<m:FolderIds>{ids}</m:FolderIds></m:GetFolder>"


def _find_folder(mailbox: Mailbox, answer: etree._Element) -> str:
    parents, shown, paged = "", None, False
    for message in _messages(answer):
        root = message.find(MESSAGES + "RootFolder")
        if root is None:
            parents += f'<t:FolderId Id="{mailbox.folder_for(_code(message))}"/>'
            continue
        paged = paged or root.get("IndexedPagingOffset") is not None
        parent = mailbox.place()
        for folder in root.iterfind(f"{TYPES}Folders/*"):
            shown = folder if shown is None else shown
            _made_like(mailbox, folder, parent)
        parents += parent
    view = '<m:IndexedPageFolderView MaxEntriesReturned="100" Offset="0" BasePoint="Beginning"/>' if paged else ""
    return (
        f'<m:FindFolder Traversal="Shallow">{folder_shape(shown)}{view}<m:ParentFolderIds>{parents}</m:ParentFolderIds>'
        "</m:FindFolder>"
    )


def _create_folder(mailbox: Mailbox, answer: etree._Element) -> str:
    codes = [_code(message) for message in _messages(answer)]
    failed = next((code for code in codes if code not in ("NoError", "ErrorFolderExists")), "NoError")
    parent = mailbox.folder_for(failed)
    made = ""
    for number, (message, code) in enumerate(zip(_messages(answer), codes, strict=True)):
        folder = _folder_of(message)
        kind = "Folder" if folder is None else _name(folder)
        name = f"<t:DisplayName>New {number}</t:DisplayName>"
        made += f"<t:{kind}>{name}</t:{kind}>"
        if code == "ErrorFolderExists":
            mailbox.client.call(
                f'<m:CreateFolder><m:ParentFolderId><t:FolderId Id="{parent}"/></m:ParentFolderId><m:Folders><t:Folder>'
                f"{name}</t:Folder></m:Folders></m:CreateFolder>"
            )
    return (
        f'<m:CreateFolder><m:ParentFolderId><t:FolderId Id="{parent}"/></m:ParentFolderId><m:Folders>{made}</m:Folders>'
        "</m:CreateFolder>"
    )


def _delete_folder(mailbox: Mailbox, answer: etree._Element) -> str:
    ids = f"<m:FolderIds>{_folder_ids(mailbox, answer)}</m:FolderIds>"
    return f'<m:DeleteFolder DeleteType="HardDelete">{ids}</m:DeleteFolder>'


def _empty_folder(mailbox: Mailbox, answer: etree._Element) -> str:
    return (
        '<m:EmptyFolder DeleteType="HardDelete" DeleteSubFolders="true"><m:FolderIds>'
        f"{_folder_ids(mailbox, answer)}</m:FolderIds></m:EmptyFolder>"
    )


def _mark_all(mailbox: Mailbox, answer: etree._Element) -> str:
    return (
        "<m:MarkAllItemsAsRead><m:ReadFlag>true</m:ReadFlag><m:SuppressReadReceipts>true</m:SuppressReadReceipts>"
        f"<m:FolderIds>{_folder_ids(mailbox, answer)}</m:FolderIds></m:MarkAllItemsAsRead>"
    )


def _move_folder(operation: str) -> Builder:
    def build(mailbox: Mailbox, answer: etree._Element) -> str:
        to, ids = mailbox.place(), ""
        for message in _messages(answer):
            code = _code(message)
            folder = _folder_of(message)
            if code == "ErrorMoveCopyFailed":
                mailbox.folder(parent=to, name="Twin")
                moved = mailbox.folder(name="Twin")
            else:
                made = folder is not None and code == "NoError"
                moved = mailbox.folder(_name(folder)) if made and folder is not None else mailbox.folder_for(code)
            ids += f'<t:FolderId Id="{moved}"/>'
        return f"<m:{operation}><m:ToFolderId>{to}</m:ToFolderId><m:FolderIds>{ids}</m:FolderIds></m:{operation}>"

    return build


def _get_item(mailbox: Mailbox, answer: etree._Element) -> str:
    ids, shown, wrong, mime = "", None, None, False
    for message in _messages(answer):
        item = _item_of(message)
        if item is None:
            code = _code(message)
            wrong = message.find(f"{MESSAGES}MessageXml/{TYPES}FieldURI") if wrong is None else wrong
            mime = mime or code == "ErrorUnsupportedMimeConversion"
            made, _ = _fetched_in_vain(mailbox, code)
        else:
            shown = item if shown is None else shown
            made, _ = mailbox.item(item, delivered=item.findtext(TYPES + "IsDraft") != "true")
        ids += f'<t:ItemId Id="{made}"/>'
    shape = item_shape(shown)
    if mime:
        shape = shape.replace("</m:ItemShape>", "<t:IncludeMimeContent>true</t:IncludeMimeContent></m:ItemShape>")
    if wrong is not None:
        asked = f'<t:AdditionalProperties><t:FieldURI FieldURI="{wrong.get("FieldURI")}"/></t:AdditionalProperties>'
        shape = f"<m:ItemShape><t:BaseShape>IdOnly</t:BaseShape>{asked}</m:ItemShape>"
    return f"<m:GetItem>{shape}<m:ItemIds>{ids}</m:ItemIds></m:GetItem>"


def _fetched_in_vain(mailbox: Mailbox, code: str) -> tuple[str, str]:
    if code == "ErrorUnsupportedMimeConversion":
        return mailbox.other("Contact")
    return mailbox.item_for("NoError" if code == "ErrorInvalidPropertyRequest" else code)


def _find_item(mailbox: Mailbox, answer: etree._Element) -> str:
    parents, shown, paged = "", None, False
    for message in _messages(answer):
        root = message.find(MESSAGES + "RootFolder")
        if root is None:
            parents += f'<t:FolderId Id="{mailbox.folder_for(_code(message))}"/>'
            continue
        paged = paged or root.get("IndexedPagingOffset") is not None
        parent = mailbox.place(root.find(f"{TYPES}Items/*"))
        for item in root.iterfind(f"{TYPES}Items/*"):
            _refuse_kinds_not_made(item)
            shown = item if shown is None else shown
            if _name(item) != "Message":
                mailbox.item(item, parent=parent)
                continue
            made, _ = mailbox.item(item, delivered=item.findtext(TYPES + "IsDraft") != "true")
            mailbox.client.call(
                f"<m:MoveItem><m:ToFolderId>{parent}</m:ToFolderId>"
                f'<m:ItemIds><t:ItemId Id="{made}"/></m:ItemIds></m:MoveItem>'
            )
        parents += parent
    view = '<m:IndexedPageItemView MaxEntriesReturned="100" Offset="0" BasePoint="Beginning"/>' if paged else ""
    return (
        f'<m:FindItem Traversal="Shallow">{item_shape(shown)}{view}<m:ParentFolderIds>{parents}</m:ParentFolderIds>'
        "</m:FindItem>"
    )


def _create_item(mailbox: Mailbox, answer: etree._Element) -> str:
    made, sends = "", False
    sender = into = ""
    for message in _messages(answer):
        item = _item_of(message)
        code = _code(message)
        if code == "ErrorSendAsDenied":
            sender = f"<t:From><t:Mailbox><t:EmailAddress>{OTHER}</t:EmailAddress></t:Mailbox></t:From>"
        elif code == "ErrorCannotCreateContactInNonContactFolder":
            made += new("Contact")
            into = f"<m:SavedItemFolderId>{_INBOX}</m:SavedItemFolderId>"
            continue
        elif code == "ErrorItemNotFound":
            # Samples accept a meeting or an invitation that is gone; a reply to a mail that is gone says the same.
            gone = mailbox.item_for(code)[0]
            made += f'<t:ReplyToItem><t:ReferenceItemId Id="{gone}" ChangeKey="{mailbox.item()[1]}"/></t:ReplyToItem>'
            continue
        elif code != "NoError":
            raise NotBuiltError(f"{code} is not brought about here")
        if item is not None and _name(item) in FOLDERS:
            made += new(_name(item))
            continue
        sends = sends or item is None
        kinds = [] if item is None else [_name(one) for one in item.iterfind(f"{TYPES}Attachments/*")]
        attached = "".join(attachment(kind) for kind in kinds)
        attachments = f"<t:Attachments>{attached}</t:Attachments>" if attached else ""
        own = f"<t:Mailbox><t:EmailAddress>{mailbox.address}</t:EmailAddress></t:Mailbox>"
        to = f"<t:ToRecipients>{own}</t:ToRecipients>"
        made += f"<t:Message><t:Subject>New</t:Subject>{attachments}{to}{sender}</t:Message>"
    how = "SendAndSaveCopy" if sends else "SaveOnly"
    meeting = ' SendMeetingInvitations="SendToNone"' if "<t:CalendarItem>" in made else ""
    return f'<m:CreateItem MessageDisposition="{how}"{meeting}>{into}<m:Items>{made}</m:Items></m:CreateItem>'


def _update_item(mailbox: Mailbox, answer: etree._Element) -> str:
    changes = ""
    for message in _messages(answer):
        shown = _item_of(message)
        kind = "Message" if shown is None else _name(shown)
        item, key = mailbox.item(shown) if kind in FOLDERS else mailbox.item_for(_code(message))
        changes += (
            f'<t:ItemChange><t:ItemId Id="{item}" ChangeKey="{key}"/><t:Updates><t:SetItemField><t:FieldURI '
            f'FieldURI="item:Subject"/><t:{kind}><t:Subject>New</t:Subject></t:{kind}></t:SetItemField></t:Updates>'
            "</t:ItemChange>"
        )
    return (
        '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly" '
        'SendMeetingInvitationsOrCancellations="SendToNone"><m:ItemChanges>'
        f"{changes}</m:ItemChanges></m:UpdateItem>"
    )


def _item_ids(head: str, operation: str, *, to: bool = False) -> Builder:
    def build(mailbox: Mailbox, answer: etree._Element) -> str:
        target = f"<m:ToFolderId>{_INBOX}</m:ToFolderId>" if to else ""
        ids = ""
        for message in _messages(answer):
            _item_of(message)
            item, key = mailbox.item_for(_code(message))
            ids += f'<t:ItemId Id="{item}" ChangeKey="{key or mailbox.item()[1]}"/>'
        return f"<m:{head}>{target}<m:ItemIds>{ids}</m:ItemIds></m:{operation}>"

    return build


def _create_attachment(mailbox: Mailbox, answer: etree._Element) -> str:
    item, key = mailbox.item()
    made = ""
    for message in _messages(answer):
        code = _code(message)
        if code == "ErrorRequiredPropertyMissing":
            made += "<t:FileAttachment><t:Content>QUJD</t:Content></t:FileAttachment>"
            continue
        if code != "NoError":
            raise NotBuiltError(f"{code} is not brought about here")
        found = message.find(f"{MESSAGES}Attachments/*")
        made += attachment("FileAttachment" if found is None else _name(found))
    return (
        f'<m:CreateAttachment><m:ParentItemId Id="{item}" ChangeKey="{key}"/><m:Attachments>{made}</m:Attachments>'
        "</m:CreateAttachment>"
    )


def _get_attachment(mailbox: Mailbox, answer: etree._Element) -> str:
    ids, shape = "", ""
    for message in _messages(answer):
        found = message.find(f"{MESSAGES}Attachments/*")
        if found is None:
            raise NotBuiltError("an attachment that is refused is not made here")
        inner = next((one for one in found if _name(one) in MADE), None)
        if _name(found) == "ItemAttachment" and inner is None:
            raise NotBuiltError("items other than mails are not attached here")
        if inner is not None and inner.find(TYPES + "MimeContent") is not None:
            shape = "<m:AttachmentShape><t:IncludeMimeContent>true</t:IncludeMimeContent></m:AttachmentShape>"
        ids += f'<t:AttachmentId Id="{mailbox.attachment(_name(found))}"/>'
    return f"<m:GetAttachment>{shape}<m:AttachmentIds>{ids}</m:AttachmentIds></m:GetAttachment>"


def _delete_attachment(mailbox: Mailbox, answer: etree._Element) -> str:
    ids = "".join(f'<t:AttachmentId Id="{mailbox.attachment()}"/>' for _ in _messages(answer))
    return f"<m:DeleteAttachment><m:AttachmentIds>{ids}</m:AttachmentIds></m:DeleteAttachment>"


def _time_zones(_mailbox: Mailbox, answer: etree._Element) -> str:
    zones = [one for one in answer.iter(TYPES + "TimeZoneDefinition") if one.get("Name") or one.get("Id")]
    full = "true" if answer.find(f".//{TYPES}Period") is not None else "false"
    ids = "".join(f"<t:Id>{zone.get('Id')}</t:Id>" for zone in zones[:1])
    wanted = f"<m:Ids>{ids}</m:Ids>" if ids else ""
    return f'<m:GetServerTimeZones ReturnFullTimeZoneData="{full}">{wanted}</m:GetServerTimeZones>'


_BUILDERS: Mapping[str, Builder] = {
    "GetFolder": _get_folder,
    "FindFolder": _find_folder,
    "CreateFolder": _create_folder,
    "DeleteFolder": _delete_folder,
    "EmptyFolder": _empty_folder,
    "MarkAllItemsAsRead": _mark_all,
    "MoveFolder": _move_folder("MoveFolder"),
    "CopyFolder": _move_folder("CopyFolder"),
    "GetItem": _get_item,
    "FindItem": _find_item,
    "CreateItem": _create_item,
    "UpdateItem": _update_item,
    "DeleteItem": _item_ids(
        'DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone" '
        'AffectedTaskOccurrences="AllOccurrences"',
        "DeleteItem",
    ),
    "SendItem": _item_ids('SendItem SaveItemToFolder="true"', "SendItem"),
    "MoveItem": _item_ids("MoveItem", "MoveItem", to=True),
    "CopyItem": _item_ids("CopyItem", "CopyItem", to=True),
    "MarkAsJunk": _item_ids('MarkAsJunk IsJunk="true" MoveItem="true"', "MarkAsJunk"),
    "CreateAttachment": _create_attachment,
    "GetAttachment": _get_attachment,
    "DeleteAttachment": _delete_attachment,
    "GetServerTimeZones": _time_zones,
    "SyncFolderHierarchy": states.sync_hierarchy,
    "SyncFolderItems": states.sync_items,
    "Subscribe": states.subscribe,
    "Unsubscribe": states.unsubscribe,
    "GetEvents": states.get_events,
    "GetStreamingEvents": states.stream,
    "ArchiveItem": states.archive,
    "ExportItems": states.export,
    "UploadItems": states.upload,
    "ResolveNames": directory.resolve_names,
    "ConvertId": directory.convert_id,
    "GetMailTips": directory.mail_tips,
    "GetRoomLists": directory.room_lists,
    "GetRooms": directory.rooms,
    "GetUserAvailability": directory.availability,
}


def _messages(answer: etree._Element) -> list[etree._Element]:
    found = [one for one in answer.iterfind(f"{MESSAGES}ResponseMessages/*") if isinstance(one.tag, str)]
    # Some operations answer without a list.
    return found or [answer]


def _code(message: etree._Element) -> str:
    """Return the code that the state is to bring about; one that a rule brings about needs no state."""
    code = states.code_of(message)
    return "NoError" if code in BY_RULE else code


def _folder_of(message: etree._Element) -> etree._Element | None:
    return message.find(f"{MESSAGES}Folders/*")


def _item_of(message: etree._Element) -> etree._Element | None:
    found = message.find(f"{MESSAGES}Items/*")
    if found is not None:
        _refuse_kinds_not_made(found)
    return found


def _refuse_kinds_not_made(item: etree._Element) -> None:
    if _name(item) not in MADE:
        raise NotBuiltError(f"{_name(item)}: Exchange makes such an item itself, of mail that comes in")


def _folder_ids(mailbox: Mailbox, answer: etree._Element) -> str:
    ids = ""
    for message in _messages(answer):
        code = _code(message)
        if code == "ErrorDeleteDistinguishedFolder":
            ids += _INBOX
        else:
            ids += f'<t:FolderId Id="{mailbox.folder_for(code)}"/>'
    return ids


def _folder_id(mailbox: Mailbox, folder: etree._Element | None, code: str) -> str:
    if folder is None:
        return f'<t:FolderId Id="{mailbox.folder_for(code)}"/>'
    known = folder.findtext(TYPES + "DistinguishedFolderId") or _DISTINGUISHED.get(
        folder.findtext(TYPES + "DisplayName") or ""
    )
    if known:
        return f"<t:DistinguishedFolderId Id={quoteattr(known)}/>"
    return f'<t:FolderId Id="{_made_like(mailbox, folder)}"/>'


def _made_like(mailbox: Mailbox, folder: etree._Element, parent: str = "") -> str:
    kind = _name(folder)
    if kind not in ("Folder", "CalendarFolder", "ContactsFolder", "TasksFolder"):
        raise NotBuiltError(f"folders of the kind {kind} are not made here")
    given = ""
    for one in folder.iterfind(TYPES + "ExtendedProperty"):
        path = extended_paths(list(one.iter(TYPES + "ExtendedFieldURI")))
        given += f"<t:ExtendedProperty>{path}<t:Value>{one.findtext(TYPES + 'Value')}</t:Value></t:ExtendedProperty>"
    name = folder.findtext(TYPES + "DisplayName") or ""
    unique = name if parent and name not in _DISTINGUISHED else ""
    return mailbox.folder(kind, folder.findtext(TYPES + "FolderClass") or "", parent, name=unique, more=given)


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname
