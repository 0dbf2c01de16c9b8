"""A mail from its properties, where Exchange refuses to make MIME of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.soap import T
from bridge.adapters.ews.times import parse_time
from bridge.domain.mail import MailProperties

if TYPE_CHECKING:
    from lxml import etree

PROPERTY_FIELDS = (
    "item:Subject",
    "item:Body",
    "item:Attachments",
    "item:Importance",
    "item:DateTimeSent",
    "item:InternetMessageHeaders",
    "item:InReplyTo",
    "message:From",
    "message:Sender",
    "message:ToRecipients",
    "message:CcRecipients",
    "message:ReplyTo",
    "message:InternetMessageId",
    "message:References",
)


def read_properties(item: etree._Element) -> MailProperties:
    """Return what an item element of GetItem tells; what it does not tell stays empty."""
    body = item.find(f"{T}Body")
    is_html = body is not None and body.get("BodyType") == "HTML"
    content = (body.text or "") if body is not None else ""
    return MailProperties(
        subject=item.findtext(f"{T}Subject") or "",
        sender=_first(item, "Sender"),
        author=_first(item, "From"),
        to=_mailboxes(item, "ToRecipients"),
        cc=_mailboxes(item, "CcRecipients"),
        reply_to=_mailboxes(item, "ReplyTo"),
        text="" if is_html else content,
        html=content if is_html else None,
        internet_message_id=item.findtext(f"{T}InternetMessageId") or "",
        in_reply_to=item.findtext(f"{T}InReplyTo") or "",
        references=item.findtext(f"{T}References") or "",
        importance=(item.findtext(f"{T}Importance") or "normal").lower(),
        sent_at=parse_time(item.findtext(f"{T}DateTimeSent")),
        headers=[
            (header.get("HeaderName") or "", header.text or "") for header in item.iter(f"{T}InternetMessageHeader")
        ],
        attachment_names=[name.text or "" for name in item.iterfind(f"{T}Attachments/*/{T}Name")],
    )


def _first(item: etree._Element, name: str) -> tuple[str, str] | None:
    return next(iter(_mailboxes(item, name)), None)


def _mailboxes(item: etree._Element, name: str) -> list[tuple[str, str]]:
    found = item.find(f"{T}{name}")
    if found is None:
        return []
    return [
        (mailbox.findtext(f"{T}Name") or "", mailbox.findtext(f"{T}EmailAddress") or "")
        for mailbox in found.iter(f"{T}Mailbox")
    ]
