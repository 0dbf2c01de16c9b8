"""Requests for answers that go back to earlier calls: synchronisation, notifications, exports."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lxml import etree

from tests.recordings.mailbox import NotBuiltError, folder_shape, item_shape
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from tests.recordings.mailbox import Mailbox

_INBOX = '<t:DistinguishedFolderId Id="inbox"/>'
_EVENTS = ("CopiedEvent", "CreatedEvent", "DeletedEvent", "ModifiedEvent", "MovedEvent", "NewMailEvent")


def messages(answer: etree._Element) -> list[etree._Element]:
    """Return the response messages of an answer; some operations answer without a list."""
    found = [one for one in answer.iterfind(f"{MESSAGES}ResponseMessages/*") if isinstance(one.tag, str)]
    return found or [answer]


def code_of(message: etree._Element) -> str:
    """Return a message's response code."""
    return (message.findtext(MESSAGES + "ResponseCode") or "NoError").strip()


def sync_hierarchy(mailbox: Mailbox, answer: etree._Element) -> str:
    """Bring about the changes of folders that an answer tells since its state."""
    message = messages(answer)[0]
    changes = [one for one in message.iterfind(f"{MESSAGES}Changes/*") if isinstance(one.tag, str)]
    shown = message.find(f"{MESSAGES}Changes/*/*")
    parent = mailbox.place()
    shape = folder_shape(shown if shown is not None and _name(shown) != "FolderId" else None)
    open_, end = f"<m:SyncFolderHierarchy>{shape}<m:SyncFolderId>{parent}</m:SyncFolderId>", "</m:SyncFolderHierarchy>"
    if code_of(message) != "NoError":
        return f"{open_}<m:SyncState>AAAA</m:SyncState>{end}"
    if {_name(one) for one in changes} <= {"Create"}:
        if shown is not None:
            mailbox.folder(_name(shown), shown.findtext(TYPES + "FolderClass") or "", parent)
        return open_ + end
    changed = ["" if _name(one) == "Create" else mailbox.folder("Folder", _class(one), parent) for one in changes]
    state = mailbox.client.call(open_ + end).findtext(f".//{MESSAGES}SyncState")
    for change, folder in zip(changes, changed, strict=True):
        _change_folder(mailbox, change, folder, parent)
    return f"{open_}<m:SyncState>{state}</m:SyncState>{end}"


def _class(change: etree._Element) -> str:
    return change.findtext(f"*/{TYPES}FolderClass") or ""


def _change_folder(mailbox: Mailbox, change: etree._Element, folder: str, parent: str) -> None:
    kind, node = _name(change), f'<t:FolderId Id="{folder}"/>'
    if kind == "Create":
        mailbox.folder("Folder", _class(change), parent)
    elif kind == "Delete":
        ids = f"<m:FolderIds>{node}</m:FolderIds>"
        mailbox.client.call(f'<m:DeleteFolder DeleteType="HardDelete">{ids}</m:DeleteFolder>')
    else:
        mailbox.client.call(
            f"<m:UpdateFolder><m:FolderChanges><t:FolderChange>{node}<t:Updates><t:SetFolderField><t:FieldURI "
            'FieldURI="folder:DisplayName"/><t:Folder><t:DisplayName>Renamed</t:DisplayName></t:Folder>'
            "</t:SetFolderField></t:Updates></t:FolderChange></m:FolderChanges></m:UpdateFolder>"
        )


def sync_items(mailbox: Mailbox, answer: etree._Element) -> str:
    """Bring about the changes of items that an answer tells since its state."""
    message = messages(answer)[0]
    changes = [one for one in message.iterfind(f"{MESSAGES}Changes/*") if isinstance(one.tag, str)]
    shown = next((one for one in message.iterfind(f"{MESSAGES}Changes/*/*") if _name(one) != "ItemId"), None)
    parent = mailbox.place(shown)
    open_ = f"<m:SyncFolderItems>{item_shape(shown)}<m:SyncFolderId>{parent}</m:SyncFolderId>"
    end = "<m:MaxChangesReturned>100</m:MaxChangesReturned></m:SyncFolderItems>"
    if code_of(message) != "NoError":
        return f"{open_}<m:SyncState>AAAA</m:SyncState>{end}"
    if {_name(one) for one in changes} <= {"Create"}:
        for change in changes:
            mailbox.item(change[0], parent=parent)
        return open_ + end
    changed = [_item_to_change(mailbox, one, parent) for one in changes]
    state = mailbox.client.call(open_ + end).findtext(f".//{MESSAGES}SyncState")
    for change, item in zip(changes, changed, strict=True):
        _change_item(mailbox, change, item, parent)
    return f"{open_}<m:SyncState>{state}</m:SyncState>{end}"


def _item_to_change(mailbox: Mailbox, change: etree._Element, parent: str) -> tuple[str, str]:
    if _name(change) == "Create":
        return "", ""
    return mailbox.item(change[0] if _name(change[0]) != "ItemId" else None, parent=parent)


def _change_item(mailbox: Mailbox, change: etree._Element, item: tuple[str, str], parent: str) -> None:
    kind, node = _name(change), f'<t:ItemId Id="{item[0]}" ChangeKey="{item[1]}"/>'
    if kind == "Create":
        mailbox.item(change[0], parent=parent)
    elif kind == "Delete":
        ids = f"<m:ItemIds>{node}</m:ItemIds>"
        mailbox.client.call(
            '<m:DeleteItem DeleteType="HardDelete" SendMeetingCancellations="SendToNone" AffectedTaskOccurrences='
            f'"AllOccurrences">{ids}</m:DeleteItem>'
        )
    else:
        # What a client saves is read already.
        read = kind == "ReadFlagChange"
        uri, new = ("message:IsRead", "<t:IsRead>false</t:IsRead>") if read else ("item:Subject", _CHANGED)
        element = "Message" if read else _name(change[0])
        mailbox.client.call(
            '<m:UpdateItem ConflictResolution="AlwaysOverwrite" MessageDisposition="SaveOnly" '
            'SendMeetingInvitationsOrCancellations="SendToNone"><m:ItemChanges>'
            f'<t:ItemChange>{node}<t:Updates><t:SetItemField><t:FieldURI FieldURI="{uri}"/>'
            f"<t:{element}>{new}</t:{element}>"
            "</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>"
        )


_CHANGED = "<t:Subject>Changed</t:Subject>"


def subscribe(_mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for a subscription of the kind that an answer gives."""
    where = f"<t:FolderIds>{_INBOX}</t:FolderIds><t:EventTypes><t:EventType>NewMailEvent</t:EventType></t:EventTypes>"
    if code_of(messages(answer)[0]) == "NoError" and answer.find(f".//{MESSAGES}Watermark") is None:
        return f"<m:Subscribe><m:StreamingSubscriptionRequest>{where}</m:StreamingSubscriptionRequest></m:Subscribe>"
    pull = f"<m:PullSubscriptionRequest>{where}<t:Timeout>10</t:Timeout></m:PullSubscriptionRequest>"
    return f"<m:Subscribe>{pull}</m:Subscribe>"


def unsubscribe(mailbox: Mailbox, answer: etree._Element) -> str:
    """End a subscription that there is, or is no more."""
    made, _ = mailbox.subscribed()
    request = f"<m:Unsubscribe><m:SubscriptionId>{made}</m:SubscriptionId></m:Unsubscribe>"
    if code_of(messages(answer)[0]) != "NoError":
        mailbox.client.call(request)
    return request


def get_events(mailbox: Mailbox, answer: etree._Element) -> str:
    """Have the mails arrive that an answer tells of; a subscription that is refused is somebody else's."""
    message = messages(answer)[0]
    code = code_of(message)
    if code not in ("NoError", "ErrorSubscriptionAccessDenied"):
        raise NotBuiltError(f"{code} is not brought about for notifications")
    events = [_name(one) for one in message.iterfind(f"{MESSAGES}Notification/*") if _name(one).endswith("Event")]
    if set(events) - {"NewMailEvent", "StatusEvent"}:
        raise NotBuiltError(f"{' '.join(sorted(set(events)))} are not brought about")
    made, watermark = mailbox.subscribed(client=None if code == "NoError" else mailbox.another())
    for _ in range(events.count("NewMailEvent")):
        mailbox.delivered()
    return (
        f"<m:GetEvents><m:SubscriptionId>{made}</m:SubscriptionId><m:Watermark>{watermark}</m:Watermark></m:GetEvents>"
    )


def stream(mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for the events of a stream: of a subscription that there is, or of one that is none."""
    made = "AAAA"
    if code_of(messages(answer)[0]) == "NoError":
        types = "".join(f"<t:EventType>{kind}</t:EventType>" for kind in _EVENTS)
        subscribed = mailbox.client.call(
            f"<m:Subscribe><m:StreamingSubscriptionRequest><t:FolderIds>{_INBOX}</t:FolderIds><t:EventTypes>{types}"
            "</t:EventTypes></m:StreamingSubscriptionRequest></m:Subscribe>"
        )
        made = subscribed.findtext(f".//{MESSAGES}SubscriptionId") or ""
    return (
        f"<m:GetStreamingEvents><m:SubscriptionIds><t:SubscriptionId>{made}</t:SubscriptionId></m:SubscriptionIds>"
        "<m:ConnectionTimeout>1</m:ConnectionTimeout></m:GetStreamingEvents>"
    )


def told(mailbox: Mailbox, request: etree._Element, recorded: etree._Element) -> etree._Element:
    """
    Return the envelope of a stream that says what the recorded one says: events, the connection's state or an error.

    A mail arrives once the stream has begun.
    """
    wanted = {_name(one) for one in messages(recorded)[0] if isinstance(one.tag, str)} & {"Notifications"}
    last: etree._Element | None = None
    for number, envelope in enumerate(mailbox.client.stream(request)):
        last = envelope
        message = next(one for one in envelope.iter() if _name(one) == "GetStreamingEventsResponseMessage")
        if wanted <= {_name(one) for one in message}:
            return envelope
        if number == 0:
            mailbox.delivered()
    if last is None:
        raise NotBuiltError("the stream said nothing")
    return last


def archive(mailbox: Mailbox, answer: etree._Element) -> str:
    """Archive new mails of the Inbox."""
    ids = "".join(f'<t:ItemId Id="{mailbox.item()[0]}"/>' for _ in messages(answer))
    return (
        f"<m:ArchiveItem><m:ArchiveSourceFolderId>{_INBOX}</m:ArchiveSourceFolderId><m:ItemIds>{ids}</m:ItemIds>"
        "</m:ArchiveItem>"
    )


def export(mailbox: Mailbox, answer: etree._Element) -> str:
    """Export mails: there, with a change key that is none, or of a mailbox that is nobody's."""
    ids = ""
    for message in messages(answer):
        item, key = mailbox.item_for(code_of(message))
        ids += f'<t:ItemId Id="{item}" ChangeKey="{key}"/>'
    return f"<m:ExportItems><m:ItemIds>{ids}</m:ItemIds></m:ExportItems>"


def upload(mailbox: Mailbox, answer: etree._Element) -> str:
    """Upload what was exported: as new items, or in the place of one that is gone."""
    items = ""
    for message in messages(answer):
        folder = mailbox.folder()
        data = mailbox.exported(mailbox.item()[0])
        gone = code_of(message) != "NoError"
        item = f'<t:ItemId Id="{mailbox.item_for("ErrorItemNotFound")[0]}"/>' if gone else ""
        action = "Update" if gone else "CreateNew"
        items += (
            f'<t:Item CreateAction="{action}"><t:ParentFolderId Id="{folder}"/>{item}<t:Data>{data}</t:Data></t:Item>'
        )
    return f"<m:UploadItems><m:Items>{items}</m:Items></m:UploadItems>"


def _name(node: etree._Element) -> str:
    return etree.QName(node).localname if isinstance(node.tag, str) else ""
