"""A mailbox of the sandbox that is brought into the state which a recorded answer shows."""

from __future__ import annotations

import base64
import itertools
from email.message import EmailMessage
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from tests.support.soap import MESSAGES, TYPES, EwsClient

if TYPE_CHECKING:
    from lxml import etree

    from tests.support.sandbox import SandboxProcess

ADDRESS = "dispatch@example.org"
OTHER = "dispatch.crew@example.org"
MALFORMED = "AAMkNoId"
_MESSAGES_ONLY = frozenset({
    "Sender", "ToRecipients", "CcRecipients", "BccRecipients", "IsReadReceiptRequested", "IsDeliveryReceiptRequested",
    "ConversationIndex", "ConversationTopic", "From", "InternetMessageId", "IsRead", "IsResponseRequested",
    "References", "ReplyTo", "ReceivedBy", "ReceivedRepresenting",
})  # fmt: skip


_HEADERS = {
    "ToRecipients": ("To", f"Crew <{OTHER}>"),
    "CcRecipients": ("Cc", f"Crew <{OTHER}>"),
    "BccRecipients": ("Bcc", f"Crew <{OTHER}>"),
    "ReplyTo": ("Reply-To", f"Crew <{OTHER}>"),
    "InReplyTo": ("In-Reply-To", "<before@example.net>"),
    "References": ("References", "<before@example.net>"),
}


class NotBuiltError(Exception):
    """The state or the request behind an answer cannot be had on the sandbox; the text says why."""


class Mailbox:
    """What requests of recordings need: folders and items, there or gone, and their ids."""

    def __init__(self, sandbox: SandboxProcess) -> None:
        """Act in the dispatch mailbox of a sandbox."""
        self.sandbox = sandbox
        self.client = EwsClient(sandbox, ADDRESS)
        self._numbers = itertools.count(1)

    def ids(self, body: str, name: str) -> list[tuple[str, str]]:
        """Return ids and change keys in the answer to a request, of elements of a name."""
        answer = self.client.call(body)
        found = [(str(one.get("Id")), str(one.get("ChangeKey"))) for one in answer.iter(TYPES + name)]
        if not found:
            code = answer.findtext(f".//{MESSAGES}ResponseCode")
            raise NotBuiltError(f"the sandbox refuses what the state needs, with {code}")
        return found

    def folder(self, kind: str = "Folder", folder_class: str = "", parent: str = "") -> str:
        """Return the id of a new folder, below the Inbox if nothing else is said."""
        parent = parent or '<t:DistinguishedFolderId Id="inbox"/>'
        shown = f"<t:FolderClass>{folder_class}</t:FolderClass>" if folder_class else ""
        name = f"<t:DisplayName>Folder {next(self._numbers)}</t:DisplayName>"
        return self.ids(
            f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:{kind}>{shown}{name}</t:{kind}>"
            "</m:Folders></m:CreateFolder>",
            "FolderId",
        )[0][0]

    def folder_for(self, code: str) -> str:
        """Return the id of a folder that makes an operation answer this code."""
        if code == "ErrorInvalidIdMalformed":
            return MALFORMED
        made = self.folder()
        if code != "NoError":
            ids = f'<m:FolderIds><t:FolderId Id="{made}"/></m:FolderIds>'
            self.client.call(f'<m:DeleteFolder DeleteType="HardDelete">{ids}</m:DeleteFolder>')
        return made

    def item(self, like: etree._Element | None = None, *, delivered: bool = False, parent: str = "") -> tuple[str, str]:
        """Return id and change key of a new mail, with the parts that the recorded one has."""
        mime = _mime(like, next(self._numbers))
        if delivered:
            before = set(self.client.find("inbox"))
            self.sandbox.deliver(ADDRESS, mime)
            arrived = next(one for one in self.client.find("inbox") if one not in before)
            return arrived, ""
        content = base64.b64encode(mime).decode()
        parent = parent or '<t:DistinguishedFolderId Id="drafts"/>'
        categories = "<t:Categories><t:String>Zone 4</t:String></t:Categories>" if _has(like, "Categories") else ""
        return self.ids(
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{parent}</m:SavedItemFolderId><m:Items>'
            f"<t:Message><t:MimeContent>{content}</t:MimeContent>{categories}</t:Message></m:Items></m:CreateItem>",
            "ItemId",
        )[0]

    def item_for(self, code: str) -> tuple[str, str]:
        """Return id and change key of an item that makes an operation answer this code."""
        if code == "ErrorInvalidIdMalformed":
            return MALFORMED, ""
        made = self.item()
        if code == "ErrorInvalidChangeKey":
            return made[0], "x"
        if code != "NoError":
            ids = f'<m:ItemIds><t:ItemId Id="{made[0]}"/></m:ItemIds>'
            self.client.call(f'<m:DeleteItem DeleteType="HardDelete">{ids}</m:DeleteItem>')
        return made

    def attachment(self, kind: str = "FileAttachment") -> str:
        """Return the id of an attachment of a new mail."""
        item, key = self.item()
        inner = attachment(kind)
        return self.ids(
            f'<m:CreateAttachment><m:ParentItemId Id="{item}" ChangeKey="{key}"/><m:Attachments>{inner}</m:Attachments>'
            "</m:CreateAttachment>",
            "AttachmentId",
        )[0][0]


def attachment(kind: str) -> str:
    """Return a new attachment as a request holds it: a file or a mail."""
    if kind == "ItemAttachment":
        mail = "<t:Message><t:Subject>Inner</t:Subject></t:Message>"
        return f"<t:ItemAttachment><t:Name>Mail</t:Name>{mail}</t:ItemAttachment>"
    return "<t:FileAttachment><t:Name>order.txt</t:Name><t:Content>QUJD</t:Content></t:FileAttachment>"


def item_shape(item: etree._Element | None, *, every: int = 18) -> str:
    """Return the ItemShape whose answer holds the properties of a recorded item."""
    names = [] if item is None else [str(child.tag).rpartition("}")[2] for child in item if isinstance(child.tag, str)]
    base = "AllProperties" if len(names) >= every else "IdOnly"
    extended = [] if item is None else list(item.iter(TYPES + "ExtendedFieldURI"))
    paths = "".join(
        f'<t:FieldURI FieldURI="{"message" if name in _MESSAGES_ONLY else "item"}:{name}"/>'
        for name in dict.fromkeys(names)
        if name not in ("ItemId", "ExtendedProperty", "MimeContent") and base == "IdOnly"
    ) + extended_paths(extended)
    mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>" if "MimeContent" in names else ""
    body = None if item is None else item.find(TYPES + "Body")
    kind = f"<t:BodyType>{body.get('BodyType')!s}</t:BodyType>" if body is not None and body.get("BodyType") else ""
    more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{mime}{kind}{more}</m:ItemShape>"


def folder_shape(folder: etree._Element | None) -> str:
    """Return the FolderShape whose answer holds the properties of a recorded folder."""
    names = [] if folder is None else [str(one.tag).rpartition("}")[2] for one in folder if isinstance(one.tag, str)]
    base = "IdOnly"
    if "EffectiveRights" in names and "ParentFolderId" in names:
        base = "AllProperties"
    elif {"DisplayName", "TotalCount", "ChildFolderCount"} <= set(names):
        base = "Default"
    shown = {"Default": {"FolderId", "DisplayName", "TotalCount", "ChildFolderCount", "UnreadCount"}}
    extended = [] if folder is None else list(folder.iter(TYPES + "ExtendedFieldURI"))
    paths = "".join(
        f'<t:FieldURI FieldURI="folder:{name}"/>'
        for name in names
        if name not in ("FolderId", "ExtendedProperty") and base != "AllProperties" and name not in shown.get(base, ())
    ) + extended_paths(extended)
    more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return f"<m:FolderShape><t:BaseShape>{base}</t:BaseShape>{more}</m:FolderShape>"


def extended_paths(uris: list[etree._Element]) -> str:
    """Return the ExtendedFieldURI elements, each once."""
    found = [
        "<t:ExtendedFieldURI "
        + " ".join(f"{name!s}={quoteattr(str(value))}" for name, value in uri.attrib.items())
        + "/>"
        for uri in uris
    ]
    return "".join(dict.fromkeys(found))


def _has(like: etree._Element | None, name: str) -> bool:
    return like is not None and like.find(TYPES + name) is not None


def _mime(like: etree._Element | None, number: int) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Dispatch <{ADDRESS}>"
    if like is None:
        mail["To"] = f"Crew <{OTHER}>"
    for element, (header, value) in _HEADERS.items():
        if _has(like, element):
            mail[header] = value
    mail["Subject"] = f"Recorded {number}"
    mail["Message-ID"] = f"<{number}@example.net>"
    mail["Date"] = "Tue, 24 Nov 2026 08:00:00 +0000"
    body = None if like is None else like.find(TYPES + "Body")
    mail.set_content("Good morning.\n")
    if body is not None and body.get("BodyType") == "HTML":
        mail.set_content("<p>Good morning.</p>\n", subtype="html")
    for kind in () if like is None else like.iter(TYPES + "FileAttachment", TYPES + "ItemAttachment"):
        _attach(mail, kind)
    return mail.as_bytes()


def _attach(mail: EmailMessage, like: etree._Element) -> None:
    if like.tag == TYPES + "ItemAttachment":
        inner = EmailMessage()
        inner["Subject"] = "Inner"
        mail.add_attachment(inner)
        return
    cid = "<1@example.net>" if _has(like, "ContentId") else None
    mail.add_attachment(b"ABC", maintype="text", subtype="plain", filename="order.txt", cid=cid)
