"""A mailbox of the sandbox that is brought into the state which a recorded answer shows."""

from __future__ import annotations

import base64
import itertools
from email.message import EmailMessage
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from tests.recordings.kinds import FOLDER_KINDS, FOLDERS, MADE, new, path_of
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lxml import etree

    from tests.recordings.accounts import Account
    from tests.support.sandbox import SandboxProcess

ADDRESS = "dispatch@example.org"
OTHER = "dispatch.crew@example.org"
MALFORMED = "AAMkNoId"
# Of a mailbox of Exchange, which no sandbox has.
STRANGE_FOLDER = (
    "AAMkAGM0N2Q1NmIyLWZkOTYtNDUzMi04MzM4LTczZDljOGM4OWNiZgAuAAAAAAA5BTDj02oBRKpdOCyb7R//AQCzH/qwpZTUR64kCgQ9LRICAASp"
    "IQ4dAAA="
)
STRANGE_ITEM = (
    "AAMkAGM0N2Q1NmIyLWZkOTYtNDUzMi04MzM4LTczZDljOGM4OWNiZgBGAAAAAAA5BTDj02oBRKpdOCyb7R//BwCzH/qwpZTUR64kCgQ9LRICAASp"
    "IQ4dAACzH/qwpZTUR64kCgQ9LRICAASpIpFhAAA="
)
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

    def __init__(
        self, sandbox: SandboxProcess, client: Account, another: Callable[[], Account], place: str = ""
    ) -> None:
        """
        Act as an account in its mailbox; `another` makes one who acts in another mailbox.

        `place` is the id element of the folder that an answer is about, empty for one that is made for it.
        """
        self.sandbox = sandbox
        self.client = client
        self.another = another
        self._place = place
        self._numbers = itertools.count(1)

    @property
    def address(self) -> str:
        """The mailbox's address."""
        return self.client.address

    def place(self, item: etree._Element | None = None) -> str:
        """Return the id element of the folder that the answer is about: one that an item may lie in."""
        if self._place:
            return self._place
        kind = "Message" if item is None else str(item.tag).rpartition("}")[2]
        if kind in FOLDERS:
            parent = f'<t:DistinguishedFolderId Id="{FOLDERS[kind]}"/>'
            return f'<t:FolderId Id="{self.folder(FOLDER_KINDS[kind], parent=parent)}"/>'
        return f'<t:FolderId Id="{self.folder()}"/>'

    def change_key(self, made: str, *, of_item: bool) -> str:
        """Return the change key of an item or a folder, one that nothing has where it is gone."""
        name = "Item" if of_item else "Folder"
        answer = self.client.call(
            f"<m:Get{name}><m:{name}Shape><t:BaseShape>IdOnly</t:BaseShape></m:{name}Shape><m:{name}Ids><t:{name}Id "
            f'Id="{made}"/></m:{name}Ids></m:Get{name}>'
        )
        found = next(answer.iter(f"{TYPES}{name}Id"), None)
        return self.item()[1] if found is None else str(found.get("ChangeKey"))

    def subscribed(self, kinds: Iterable[str] = ("NewMailEvent",), client: Account | None = None) -> tuple[str, str]:
        """Return the id of a new subscription to the Inbox, and its watermark."""
        types = "".join(f"<t:EventType>{kind}</t:EventType>" for kind in kinds)
        answer = (client or self.client).call(
            '<m:Subscribe><m:PullSubscriptionRequest><t:FolderIds><t:DistinguishedFolderId Id="inbox"/></t:FolderIds>'
            f"<t:EventTypes>{types}</t:EventTypes><t:Timeout>10</t:Timeout></m:PullSubscriptionRequest></m:Subscribe>"
        )
        return answer.findtext(f".//{MESSAGES}SubscriptionId") or "", answer.findtext(f".//{MESSAGES}Watermark") or ""

    def sync_state(self) -> str:
        """Return the state of the Inbox as it is."""
        answer = self.client.call(
            "<m:SyncFolderItems><m:ItemShape><t:BaseShape>IdOnly</t:BaseShape></m:ItemShape><m:SyncFolderId>"
            '<t:DistinguishedFolderId Id="inbox"/></m:SyncFolderId><m:MaxChangesReturned>100</m:MaxChangesReturned>'
            "</m:SyncFolderItems>"
        )
        return answer.findtext(f".//{MESSAGES}SyncState") or ""

    def exported(self, item: str) -> str:
        """Return what ExportItems gives of an item."""
        answer = self.client.call(f'<m:ExportItems><m:ItemIds><t:ItemId Id="{item}"/></m:ItemIds></m:ExportItems>')
        return answer.findtext(f".//{MESSAGES}Data") or ""

    def contact(self, address: str) -> None:
        """Have somebody among the contacts who is called by an address."""
        entries = f'<t:EmailAddresses><t:Entry Key="EmailAddress1">{address}</t:Entry></t:EmailAddresses>'
        self.client.call(
            '<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId><t:DistinguishedFolderId Id="contacts"/>'
            f"</m:SavedItemFolderId><m:Items><t:Contact><t:DisplayName>{address}</t:DisplayName>{entries}</t:Contact>"
            "</m:Items></m:CreateItem>"
        )

    def setting(self, name: str, value: object) -> None:
        """Change a setting of the sandbox; what the next recording needs it says itself."""
        self.sandbox.admin("/settings", method="PUT", body={name: value})

    def delivered(self) -> None:
        """Have a mail arrive."""
        self.sandbox.deliver(self.address, _mime(None, next(self._numbers), self.address))

    def ids(self, body: str, name: str) -> list[tuple[str, str]]:
        """Return ids and change keys in the answer to a request, of elements of a name."""
        answer = self.client.call(body)
        found = [(str(one.get("Id")), str(one.get("ChangeKey"))) for one in answer.iter(TYPES + name)]
        if not found:
            code = answer.findtext(f".//{MESSAGES}ResponseCode")
            raise NotBuiltError(f"the sandbox refuses what the state needs, with {code}")
        return found

    def folder(
        self, kind: str = "Folder", folder_class: str = "", parent: str = "", *, name: str = "", more: str = ""
    ) -> str:
        """Return the id of a new folder, below the Inbox if nothing else is said; `more` follows its name."""
        parent = parent or '<t:DistinguishedFolderId Id="inbox"/>'
        # Who gives a class says only Folder: a kind has its own, and another is ErrorNoFolderClassOverride.
        kind = "Folder" if folder_class else kind
        shown = f"<t:FolderClass>{folder_class}</t:FolderClass>" if folder_class else ""
        shown += f"<t:DisplayName>{escape(name) or f'Folder {next(self._numbers)}'}</t:DisplayName>{more}"
        return self.ids(
            f"<m:CreateFolder><m:ParentFolderId>{parent}</m:ParentFolderId><m:Folders><t:{kind}>{shown}</t:{kind}>"
            "</m:Folders></m:CreateFolder>",
            "FolderId",
        )[0][0]

    def folder_for(self, code: str) -> str:
        """Return the id of a folder that makes an operation answer this code."""
        if code == "ErrorInvalidIdMalformed":
            return MALFORMED
        if code == "ErrorNonExistentMailbox":
            return STRANGE_FOLDER
        made = self.folder()
        if code != "NoError":
            ids = f'<m:FolderIds><t:FolderId Id="{made}"/></m:FolderIds>'
            self.client.call(f'<m:DeleteFolder DeleteType="HardDelete">{ids}</m:DeleteFolder>')
        return made

    def item(self, like: etree._Element | None = None, *, delivered: bool = False, parent: str = "") -> tuple[str, str]:
        """Return id and change key of a new mail, with the parts that the recorded one has."""
        kind = "Message" if like is None else str(like.tag).rpartition("}")[2]
        if kind not in ("Message", "Item"):
            return self.other(kind, like, parent)
        mime = _mime(like, next(self._numbers), self.address)
        if like is not None and like.findtext(TYPES + "IsDraft") == "false" and not _has(like, "From"):
            return self._saved_as_sent(like, parent)
        if delivered:
            before = set(self.client.find("inbox"))
            report = like is not None and (like.findtext(TYPES + "ItemClass") or "").startswith("REPORT")
            sent = _report(self.address) if report else mime
            self.sandbox.deliver(self.address, sent, sender="" if report else "sender@elsewhere.example")
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

    def other(self, kind: str, like: etree._Element | None = None, parent: str = "") -> tuple[str, str]:
        """Return id and change key of a new item that is no mail."""
        if kind not in MADE:
            raise NotBuiltError(f"{kind}: Exchange makes such an item itself, of mail that comes in")
        parent = parent or f'<t:DistinguishedFolderId Id="{FOLDERS.get(kind, "inbox")}"/>'
        return self.ids(
            '<m:CreateItem MessageDisposition="SaveOnly" SendMeetingInvitations="SendToNone"><m:SavedItemFolderId>'
            f"{parent}</m:SavedItemFolderId><m:Items>{new(kind, like)}</m:Items></m:CreateItem>",
            "ItemId",
        )[0]

    def _saved_as_sent(self, like: etree._Element, parent: str) -> tuple[str, str]:
        """Return a mail that a client made of properties and called sent, with nobody in it."""
        html = "HTML" if like.find(f"{TYPES}Body[@BodyType='HTML']") is not None else "Text"
        parent = parent or '<t:DistinguishedFolderId Id="inbox"/>'
        return self.ids(
            f'<m:CreateItem MessageDisposition="SaveOnly"><m:SavedItemFolderId>{parent}</m:SavedItemFolderId><m:Items>'
            f'<t:Message><t:Subject>Recorded</t:Subject><t:Body BodyType="{html}">Good morning.</t:Body>'
            '<t:ExtendedProperty><t:ExtendedFieldURI PropertyTag="0x0E07" PropertyType="Integer"/><t:Value>1</t:Value>'
            "</t:ExtendedProperty></t:Message></m:Items></m:CreateItem>",
            "ItemId",
        )[0]

    def item_for(self, code: str) -> tuple[str, str]:
        """Return id and change key of an item that makes an operation answer this code."""
        if code == "ErrorInvalidIdMalformed":
            return MALFORMED, ""
        if code == "ErrorNonExistentMailbox":
            return STRANGE_ITEM, ""
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
    kind = "Message" if item is None else str(item.tag).rpartition("}")[2]
    known = {name: path_of(kind, name) for name in names}
    base = "AllProperties" if len(names) >= every else "IdOnly"
    extended = [] if item is None else list(item.iter(TYPES + "ExtendedFieldURI"))
    paths = "".join(
        f'<t:FieldURI FieldURI="{path}"/>'
        for name, path in known.items()
        if path is not None and name not in ("ItemId", "MimeContent") and base == "IdOnly"
    ) + extended_paths(extended)
    mime = "<t:IncludeMimeContent>true</t:IncludeMimeContent>" if "MimeContent" in names else ""
    body = None if item is None else item.find(TYPES + "Body")
    wanted = f"<t:BodyType>{body.get('BodyType')!s}</t:BodyType>" if body is not None and body.get("BodyType") else ""
    more = f"<t:AdditionalProperties>{paths}</t:AdditionalProperties>" if paths else ""
    return f"<m:ItemShape><t:BaseShape>{base}</t:BaseShape>{mime}{wanted}{more}</m:ItemShape>"


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


def _mime(like: etree._Element | None, number: int, sender: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = f"Dispatch <{sender}>"
    if like is None:
        mail["To"] = f"Crew <{OTHER}>"
    for element, (header, value) in _HEADERS.items():
        if _has(like, element):
            mail[header] = value
    subject = None if like is None else like.findtext(TYPES + "Subject")
    mail["Subject"] = subject if subject and subject.isprintable() else f"Recorded {number}"
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


def _report(to: str) -> bytes:
    """Return a notice that a mail could not be delivered, as Exchange writes it."""
    lines = (
        f"From: <postmaster@example.org>\nTo: <{to}>\nSubject: Undeliverable: Order\nMIME-Version: 1.0\n"
        "Message-ID: <ndr@example.org>\nDate: Tue, 24 Nov 2026 08:00:00 +0000\n"
        'Content-Type: multipart/report; report-type=delivery-status; boundary="b"\n\n'
        "--b\nContent-Type: text/plain\n\nIt did not go through.\n"
        "--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns;mail.example.org\n\n"
        "Final-Recipient: rfc822;nobody@example.net\nAction: failed\nStatus: 5.1.10\n\n"
        f"--b\nContent-Type: message/rfc822\n\nFrom: <{to}>\nTo: <nobody@example.net>\nSubject: Order\n\nNow.\n--b--\n"
    )
    return lines.replace("\n", "\r\n").encode()
