"""What the elements of an item in a request say: changes to its bag, its MIME, its attachments."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from dataclasses import dataclass, field
from datetime import UTC
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews import xml
from bridge.sandbox.ews.context import children
from bridge.sandbox.ews.errors import EwsError
from bridge.sandbox.ews.fields import FLAG_TIMES
from bridge.sandbox.ews.kinds import BY_ELEMENT
from bridge.sandbox.ews.paths import read_extended
from bridge.sandbox.ews.values import TIME, read_civil_time, read_time
from bridge.sandbox.store import personal as k
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.compose import compose
from bridge.sandbox.store.items import now_micros
from bridge.sandbox.store.mime import Attachment, bag_of, preview_of, set_display, set_people, topic_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import tzinfo

    from lxml import etree

    from bridge.sandbox.ews.field import Field

MAX_DEPTH: Final = 10
MAX_SUBJECT: Final = 255
_CULTURE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?")
MAX_ATTACHMENT_BYTES: Final = 150 * 1024 * 1024


@dataclass(slots=True)
class Changes:
    """What is to be set, bits of the message flags apart, because they share one property."""

    bag: p.Bag = field(default_factory=dict)
    removals: set[str] = field(default_factory=set)
    flags_on: int = 0
    flags_off: int = 0
    flags_given: int | None = None
    mime: bytes | None = None
    attachments: list[Attachment] = field(default_factory=list)
    depth: int = 0
    """How many mails the item is inside of."""
    kind: str = "Message"
    """The element whose properties these are."""
    zone: tzinfo = UTC
    """Where times are meant that name no zone."""

    def flags(self, before: int) -> int:
        """Return the message flags after the change."""
        start = before if self.flags_given is None else self.flags_given
        return (start | self.flags_on) & ~self.flags_off

    def flags_of(self, known: p.Bag) -> int:
        """Return the message flags of an item that is there already: whether it is an associated one stays."""
        before = int(known.get(p.MESSAGE_FLAGS, 0))
        return self.flags(before) & ~p.FLAG_ASSOCIATED | before & p.FLAG_ASSOCIATED


def read_element(node: etree._Element, into: Changes) -> None:
    """
    Take one property element of an item.

    Raises:
        EwsError: It cannot be set, or its value makes no sense.
    """
    name = str(node.tag).rpartition("}")[2]
    if name == "ExtendedProperty":
        _read_extended(node, into)
        return
    known = BY_ELEMENT[into.kind].get(name)
    if known is None or not known.settable:
        raise EwsError(
            "ErrorInvalidPropertySet", xml=f'<t:FieldURI FieldURI="{known.uri if known else f"item:{name}"}"/>'
        )
    special = _SPECIAL.get(known.uri)
    if special is not None:
        special(node, into)
    elif known.take is not None:
        known.take(node, into.bag, into.removals)
    elif known.mask:
        on = xml.truth(node.text) != known.inverted
        into.flags_on |= known.mask if on else 0
        into.flags_off |= 0 if on else known.mask
    elif known.key is not None:
        into.bag[known.key] = _value(known, node.text or "", into)


def _value(known: Field, text: str, into: Changes) -> Any:  # noqa: ANN401 - whatever JSON value the property has
    try:
        if known.kind is not TIME:
            return known.kind.read(text)
        return (read_time if into.kind == "Message" else read_civil_time)(text, into.zone)
    except (ValueError, OverflowError) as error:
        code = "ErrorInvalidPercentCompleteValue" if known.key == k.PERCENT_COMPLETE else "ErrorInvalidPropertySet"
        raise EwsError(code, xml=f'<t:FieldURI FieldURI="{known.uri}"/>') from error


def read_mime(node: etree._Element) -> bytes:
    """
    Return the bytes of a MimeContent element.

    Raises:
        EwsError: They are not base64, or there are none.
    """
    try:
        mime = b64decode(re.sub(r"\s+", "", node.text or ""), validate=True)
    except (binascii.Error, ValueError) as error:
        raise EwsError("ErrorMimeContentInvalidBase64String") from error
    if not mime:
        raise EwsError("ErrorMimeContentInvalid")
    return mime


def read_attachment(node: etree._Element, depth: int = 0) -> Attachment:
    """
    Return the attachment that a FileAttachment or ItemAttachment element describes.

    Raises:
        EwsError: It is of a kind that is not kept.
    """
    name = node.findtext(xml.T + "Name") or ""
    if node.tag == xml.T + "FileAttachment":
        content = b64decode(node.findtext(xml.T + "Content") or "")
        if len(content) > MAX_ATTACHMENT_BYTES:
            raise EwsError("ErrorAttachmentSizeLimitExceeded")
        return Attachment(
            name,
            node.findtext(xml.T + "ContentType") or "application/octet-stream",
            node.findtext(xml.T + "ContentId") or "",
            xml.truth(node.findtext(xml.T + "IsInline")),
            content,
        )
    held = [node.find(xml.T + kind) for kind in ("Message", "Item")]
    inner = next((one for one in held if one is not None), None)
    if node.tag != xml.T + "ItemAttachment" or inner is None:
        raise _not_attached(node)
    if depth >= MAX_DEPTH:
        raise EwsError("ErrorAttachmentNestLevelLimitExceeded")
    mime, bag = _inner_mail(inner, depth)
    return Attachment(name or "message", "message/rfc822", "", inline=False, content=mime, bag=bag)


def _not_attached(node: etree._Element) -> EwsError:
    """Return why what is no file and no mail cannot be attached."""
    kinds = {str(one.tag).rpartition("}")[2] for one in children(node)} & BY_ELEMENT.keys()
    if node.tag == xml.T + "ItemAttachment" and not kinds:
        return EwsError("ErrorMissingItemForCreateItemAttachment")
    if any(kind.startswith("Meeting") for kind in kinds):
        return EwsError("ErrorInvalidItemForOperationCreateItemAttachment")
    return EwsError("ErrorInvalidOperation", "Only files and mails can be attached.")


def _inner_mail(node: etree._Element, depth: int) -> tuple[bytes, p.Bag]:
    """Return the mail that an element inside an item attachment describes, and what its MIME does not say of it."""
    given = Changes(depth=depth + 1)
    for element in children(node):
        read_element(element, given)
    if given.mime is not None:
        return given.mime, {**given.bag, p.MESSAGE_FLAGS: given.flags(p.FLAG_READ)}
    bag = {**bag_of(b"", EXCHANGE.now()), p.RECIPIENTS_TO: [], **given.bag}
    bag[p.CONVERSATION_TOPIC] = topic_of(bag[p.SUBJECT])
    bag[p.HAS_ATTACHMENTS] = any(not one.inline for one in given.attachments)
    bag[p.PREVIEW] = preview_of(bag.get(p.BODY_TEXT), bag.get(p.BODY_HTML))
    bag[p.MESSAGE_FLAGS] = given.flags(p.FLAG_READ) | (p.FLAG_HAS_ATTACHMENT if bag[p.HAS_ATTACHMENTS] else 0)
    set_display(bag)
    mime = compose(bag, given.attachments)
    bag[p.MESSAGE_SIZE] = len(mime)
    # The bodies are in the MIME, as long as they may be.
    return mime, {key: value for key, value in bag.items() if key not in (p.BODY_TEXT, p.BODY_HTML)}


def removal(path: Field) -> set[str]:
    """
    Return the keys that deleting a property takes away.

    Raises:
        EwsError: ErrorInvalidPropertyDelete, an item cannot be without it.
    """
    if (
        not path.settable
        or path.key is None
        or path.mask
        or path.uri in ("item:ItemClass", "item:Sensitivity", "item:Importance")
    ):
        if path.uri == "item:Body":
            return {p.BODY_TEXT, p.BODY_HTML}
        raise EwsError("ErrorInvalidPropertyDelete", xml=f'<t:FieldURI FieldURI="{path.uri}"/>')
    if path.gone:
        return set(path.gone)
    person = _PEOPLE_KEYS.get(path.uri)
    return set(person) if person else {path.key}


def _read_extended(node: etree._Element, into: Changes) -> None:
    uri = node.find(xml.T + "ExtendedFieldURI")
    if uri is None:
        raise EwsError("ErrorInvalidExtendedProperty")
    extended = read_extended(uri)
    if extended.multiple:
        texts = [one.text or "" for one in node.findall(f"{xml.T}Values/{xml.T}Value")]
    else:
        texts = [one.text or "" for one in node.findall(xml.T + "Value")]
    value = extended.read(texts)
    if extended.key == p.MESSAGE_FLAGS:
        into.flags_given = int(value)
    else:
        into.bag[extended.key] = value


def _people(node: etree._Element) -> list[list[str]]:
    found = []
    for mailbox in children(node):
        address = (mailbox.findtext(xml.T + "EmailAddress") or "").strip()
        name = mailbox.findtext(xml.T + "Name") or ""
        if not address and not name:
            raise EwsError("ErrorInvalidRecipients")
        found.append([name or address, address])
    return found


def _recipients(key: str) -> Callable[[etree._Element, Changes], None]:
    def read(node: etree._Element, into: Changes) -> None:
        into.bag[key] = _people(node)

    return read


def _from(node: etree._Element, into: Changes) -> None:
    set_people(into.bag, _people(node), [])


def _sender(node: etree._Element, into: Changes) -> None:
    set_people(into.bag, [], _people(node))


def _body(node: etree._Element, into: Changes) -> None:
    html = node.get("BodyType") == "HTML"
    into.bag[p.BODY_HTML if html else p.BODY_TEXT] = node.text or ""
    into.removals.add(p.BODY_TEXT if html else p.BODY_HTML)


def _subject(node: etree._Element, into: Changes) -> None:
    # Exchange cuts off the rest without a word.
    into.bag[p.SUBJECT] = (node.text or "")[:MAX_SUBJECT]


def _mime(node: etree._Element, into: Changes) -> None:
    into.mime = read_mime(node)


def _attachments(node: etree._Element, into: Changes) -> None:
    into.attachments.extend(read_attachment(one, into.depth) for one in children(node))


def _categories(node: etree._Element, into: Changes) -> None:
    into.bag[p.KEYWORDS] = [one.text or "" for one in children(node)]


def _culture(node: etree._Element, into: Changes) -> None:
    if not _CULTURE.fullmatch(node.text or ""):
        raise EwsError("ErrorUnsupportedCulture")
    into.bag[p.CULTURE] = node.text


def flag_of(node: etree._Element, zone: tzinfo = UTC) -> tuple[p.Bag, set[str]]:
    """
    Return what a Flag element puts into an item's bag, and the keys of what it takes away.

    Raises:
        EwsError: ErrorInvalidPropertySet, for a time that there is not.
    """
    status = node.findtext(xml.T + "FlagStatus") or "NotFlagged"
    bag: p.Bag = {p.FLAG_STATUS: {"Complete": 1, "Flagged": 2}.get(status, 0)}
    if status == "Complete":
        bag[p.FLAG_COMPLETED] = now_micros()
    for name, key in FLAG_TIMES.items():
        text = node.findtext(xml.T + name)
        if text is not None:
            try:
                bag[key] = read_civil_time(text, zone)
            except (ValueError, OverflowError) as error:
                raise EwsError("ErrorInvalidPropertySet", xml='<t:FieldURI FieldURI="item:Flag"/>') from error
    return bag, set(FLAG_TIMES.values()) - bag.keys()


def _flag(node: etree._Element, into: Changes) -> None:
    bag, removals = flag_of(node, into.zone)
    into.bag |= bag
    into.removals |= removals


_SPECIAL: Final[dict[str, Callable[[etree._Element, Changes], None]]] = {
    "item:MimeContent": _mime,
    "item:Subject": _subject,
    "item:Body": _body,
    "item:Attachments": _attachments,
    "item:Categories": _categories,
    "item:Culture": _culture,
    "item:Flag": _flag,
    "message:From": _from,
    "message:Sender": _sender,
    "message:ToRecipients": _recipients(p.RECIPIENTS_TO),
    "message:CcRecipients": _recipients(p.RECIPIENTS_CC),
    "message:BccRecipients": _recipients(p.RECIPIENTS_BCC),
    "message:ReplyTo": _recipients(p.REPLY_TO),
}
_PEOPLE_KEYS: Final = {
    "message:From": (
        p.SENT_REPRESENTING_NAME,
        p.SENT_REPRESENTING_ADDRESS,
        p.SENT_REPRESENTING_ADDRESS_TYPE,
        p.SENT_REPRESENTING_SMTP_ADDRESS,
    ),
    "message:Sender": (p.SENDER_NAME, p.SENDER_ADDRESS, p.SENDER_ADDRESS_TYPE, p.SENDER_SMTP_ADDRESS),
}
