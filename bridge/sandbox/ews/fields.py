"""
The table of an item's EWS properties: FieldURI, element, bag key, kind, where each may be read and written.

GetItem, FindItem, restrictions, sort orders, CreateItem and UpdateItem all go by this one table, in the order in which
Exchange's schema wants the elements.
"""

from __future__ import annotations

from base64 import b64encode
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

from bridge.sandbox.ews import values, xml
from bridge.sandbox.ews.bodies import body_xml
from bridge.sandbox.ews.field import Field
from bridge.sandbox.ews.rights import Right
from bridge.sandbox.store import personal
from bridge.sandbox.store import properties as p
from bridge.sandbox.store.ids import PARENT_CHANGE_KEY
from bridge.sandbox.store.structure import decode_words, xml_safe

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from bridge.sandbox.ews.view import View

# In which shapes a field is: default and all properties, of GetItem (G, g) and of FindItem (F, f).
_EVERYWHERE = "GgFf"
_ALL = "gf"


def mailbox_xml(name: str, address: str, kind: str = "OneOff") -> str:
    """Return a t:Mailbox."""
    return (
        f"<t:Mailbox><t:Name>{xml.text(name or address)}</t:Name>"
        + (f"<t:EmailAddress>{xml.text(address)}</t:EmailAddress>" if address else "")
        + f"<t:RoutingType>SMTP</t:RoutingType><t:MailboxType>{kind}</t:MailboxType></t:Mailbox>"
    )


def item_id_xml(view: View) -> str:
    """Return the item's t:ItemId; a mail inside another has none."""
    return f'<t:ItemId Id="{view.item_id}" ChangeKey="{view.change_key}"/>' if view.raw is None else ""


def _parent_folder_id(view: View) -> str:
    return f'<t:ParentFolderId Id="{view.folder_id}" ChangeKey="{PARENT_CHANGE_KEY}"/>' if view.raw is None else ""


def _people(element: str, key: str) -> Callable[[View], str]:
    def render(view: View) -> str:
        people = view.item.bag.get(key)
        if not people:
            return ""
        return f"<t:{element}>{''.join(mailbox_xml(name, address) for name, address in people)}</t:{element}>"

    return render


def _person(element: str, name: str, address: str) -> Callable[[View], str]:
    def render(view: View) -> str:
        bag = view.item.bag
        if not bag.get(address):
            return ""
        return f"<t:{element}>{mailbox_xml(bag.get(name, ''), bag[address])}</t:{element}>"

    return render


def _mime_content(view: View) -> str:
    return f'<t:MimeContent CharacterSet="UTF-8">{b64encode(view.mime()).decode()}</t:MimeContent>'


def attachment_xml(view: View, number: int) -> str:
    """Return a t:FileAttachment or a t:ItemAttachment without its content, as items list it."""
    attachment = view.attachments()[number]
    identifier = view.attachment_id(number)
    inner = "".join((
        f'<t:AttachmentId Id="{identifier}"/>' if identifier else "",
        xml.element("Name", attachment.name),
        xml.element("ContentType", attachment.content_type),
        xml.element("ContentId", attachment.content_id) if attachment.content_id else "",
        f"<t:Size>{len(attachment.content)}</t:Size>",
        f"<t:LastModifiedTime>{xml.moment(view.item.bag.get(p.LAST_MODIFICATION_TIME, 0))}</t:LastModifiedTime>",
        f"<t:IsInline>{xml.boolean(attachment.inline)}</t:IsInline>",
    ))  # fmt: skip
    if attachment.content_type == "message/rfc822":
        return f"<t:ItemAttachment>{inner}</t:ItemAttachment>"
    return f"<t:FileAttachment>{inner}<t:IsContactPhoto>false</t:IsContactPhoto></t:FileAttachment>"


def attachment_id_xml(view: View, number: int) -> str:
    """Return an attachment of an item with nothing but its id."""
    kind = "ItemAttachment" if view.attachments()[number].content_type == "message/rfc822" else "FileAttachment"
    return f'<t:{kind}><t:AttachmentId Id="{view.attachment_id(number)}"/></t:{kind}>'


def _attachments(view: View) -> str:
    listed = "".join(attachment_xml(view, number) for number in view.attachments())
    return f"<t:Attachments>{listed}</t:Attachments>" if listed else ""


def headers_xml(only: Collection[str] = ()) -> Callable[[View], str]:
    """Return what renders a mail's headers: all, or those of these names in small letters."""

    def render(view: View) -> str:
        listed = "".join(
            f'<t:InternetMessageHeader HeaderName="{xml.attribute(name)}">{xml.text(xml_safe(decode_words(value)))}'
            "</t:InternetMessageHeader>"
            for name, value in view.parsed().headers
            if not only or name.lower() in only
        )
        return f"<t:InternetMessageHeaders>{listed}</t:InternetMessageHeaders>" if listed else ""

    return render


def _categories(view: View) -> str:
    names = view.item.bag.get(p.KEYWORDS)
    return f"<t:Categories>{''.join(xml.element('String', name) for name in names)}</t:Categories>" if names else ""


def _response_objects(view: View) -> str:
    kind = view.item.bag.get(p.MESSAGE_CLASS, "").upper()
    if kind.startswith("IPM.APPOINTMENT") and not view.item.bag.get(personal.STATE, 0) & personal.STATE_MEETING:
        # Nobody is there to reply to.
        return "<t:ResponseObjects><t:ForwardItem/></t:ResponseObjects>"
    if kind.startswith("REPORT."):
        # A server wrote it, which takes no replies.
        return "<t:ResponseObjects><t:ForwardItem/></t:ResponseObjects>"
    if view.item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT:
        return ""
    return "<t:ResponseObjects><t:ReplyToItem/><t:ReplyAllToItem/><t:ForwardItem/></t:ResponseObjects>"


def _constant(content: str) -> Callable[[View], str]:
    return lambda _view: content


def _query_string(element: str, model: str, *, draft: bool) -> Callable[[View], str]:
    def render(view: View) -> str:
        if view.raw is not None or bool(view.item.bag.get(p.MESSAGE_FLAGS, 0) & p.FLAG_UNSENT) != draft:
            return ""
        return f"<t:{element}>?ItemID={quote(view.item_id, safe='')}&amp;exvsurl=1&amp;viewmodel={model}</t:{element}>"

    return render


def _flag(view: View) -> str:
    status = {1: "Complete", 2: "Flagged"}.get(view.item.bag.get(p.FLAG_STATUS, 0), "NotFlagged")
    times = "".join(
        f"<t:{element}>{xml.moment(view.item.bag[key])}</t:{element}>"
        for element, key in FLAG_TIMES.items()
        if key in view.item.bag
    )
    return f"<t:Flag><t:FlagStatus>{status}</t:FlagStatus>{times}</t:Flag>"


FLAG_TIMES: Final = {
    "StartDate": personal.TASK_START,
    "DueDate": personal.TASK_DUE,
    "CompleteDate": p.FLAG_COMPLETED,
}
"""Where an item keeps the times that its flag tells, in the schema's order."""


def _conversation_id(view: View) -> str:
    identifier = view.conversation_id()
    return f'<t:ConversationId Id="{identifier}"/>' if identifier else ""


def _rights(more: str = "") -> Callable[[View], str]:
    def render(view: View) -> str:
        told = (("Delete", Right.DELETE), ("Modify", Right.EDIT), ("Read", Right.READ))
        shown = "".join(f"<t:{name}>{xml.boolean(right in view.rights)}</t:{name}>" for name, right in told)
        return (
            "<t:EffectiveRights><t:CreateAssociated>false</t:CreateAssociated><t:CreateContents>false</t:CreateContents>"
            f"<t:CreateHierarchy>false</t:CreateHierarchy>{shown}{more}</t:EffectiveRights>"
        )

    return render


_FLAGS: Final = p.MESSAGE_FLAGS


def _flag_field(
    uri: str, element: str, mask: int, shapes: str = _ALL, *, settable: bool = False, inverted: bool = False
) -> Field:
    return Field(
        uri, element, shapes, _FLAGS, values.BOOLEAN, mask=mask, inverted=inverted, settable=settable, default=0
    )


def _body(uri: str, element: str, wanted: str, shapes: str = "", *, settable: bool = False) -> Field:
    return Field(uri, element, shapes, render=body_xml(element, wanted), found=False, settable=settable)


def _people_field(element: str, key: str, shapes: str) -> Field:
    return Field(
        f"message:{element}",
        element,
        shapes,
        key,
        render=_people(element, key),
        found=False,
        settable=True,
        fixed_once_sent=True,
    )


def _person_field(element: str, name: str, address: str, shapes: str = _ALL, *, settable: bool = False) -> Field:
    return Field(
        f"message:{element}",
        element,
        shapes,
        address,
        render=_person(element, name, address),
        settable=settable,
        fixed_once_sent=settable,
    )


def _receipt_field(element: str, key: str) -> Field:
    return Field(
        f"message:{element}",
        element,
        _EVERYWHERE,
        key,
        values.BOOLEAN,
        settable=True,
        fixed_once_sent=True,
        default=False,
    )


ITEM_FIELDS: Final[Sequence[Field]] = (
    Field("item:MimeContent", "MimeContent", render=_mime_content, found=False, settable=True),
    Field("item:ItemId", "ItemId", _EVERYWHERE, render=item_id_xml),
    Field("item:ParentFolderId", "ParentFolderId", _ALL, render=_parent_folder_id),
    Field("item:ItemClass", "ItemClass", _ALL, p.MESSAGE_CLASS, settable=True),
    Field("item:Subject", "Subject", _EVERYWHERE, p.SUBJECT, settable=True),
    Field("item:Sensitivity", "Sensitivity", _EVERYWHERE, p.SENSITIVITY, values.SENSITIVITY, settable=True, default=0),
    _body("item:Body", "Body", "Best", "Gg", settable=True),
    Field("item:Attachments", "Attachments", "Gg", render=_attachments, found=False, settable=True),
    Field("item:DateTimeReceived", "DateTimeReceived", _ALL, p.DELIVERY_TIME, values.TIME),
    Field("item:Size", "Size", _EVERYWHERE, p.MESSAGE_SIZE, values.INTEGER),
    Field("item:Categories", "Categories", _ALL, p.KEYWORDS, render=_categories, settable=True),
    Field("item:Importance", "Importance", _ALL, p.IMPORTANCE, values.IMPORTANCE, settable=True, default=1),
    Field("item:InReplyTo", "InReplyTo", _ALL, p.IN_REPLY_TO, settable=True),
    _flag_field("item:IsSubmitted", "IsSubmitted", p.FLAG_SUBMITTED),
    _flag_field("item:IsDraft", "IsDraft", p.FLAG_UNSENT),
    _flag_field("item:IsFromMe", "IsFromMe", p.FLAG_FROM_ME),
    _flag_field("item:IsResend", "IsResend", p.FLAG_RESEND),
    _flag_field("item:IsUnmodified", "IsUnmodified", p.FLAG_UNMODIFIED),
    Field("item:InternetMessageHeaders", "InternetMessageHeaders", "g", render=headers_xml(), found=False),
    Field("item:DateTimeSent", "DateTimeSent", _EVERYWHERE, p.CLIENT_SUBMIT_TIME, values.TIME),
    Field("item:DateTimeCreated", "DateTimeCreated", _EVERYWHERE, p.CREATION_TIME, values.TIME),
    Field("item:ResponseObjects", "ResponseObjects", "Gg", render=_response_objects, found=False),
    Field("item:ReminderDueBy", "ReminderDueBy", "g", p.REMINDER_TIME, values.TIME, settable=True),
    Field("item:ReminderIsSet", "ReminderIsSet", _ALL, p.REMINDER_SET, values.BOOLEAN, settable=True, default=False),
    Field(
        "item:ReminderMinutesBeforeStart",
        "ReminderMinutesBeforeStart",
        _ALL,
        p.REMINDER_DELTA,
        values.INTEGER,
        settable=True,
        default=0,
    ),
    Field("item:DisplayCc", "DisplayCc", _ALL, p.DISPLAY_CC, default=""),
    Field("item:DisplayTo", "DisplayTo", _ALL, p.DISPLAY_TO, default=""),
    Field("item:DisplayBcc", "DisplayBcc", "", p.DISPLAY_BCC, default=""),
    Field("item:HasAttachments", "HasAttachments", _EVERYWHERE, p.HAS_ATTACHMENTS, values.BOOLEAN, default=False),
    # Extended properties stand here.
    Field("item:Culture", "Culture", _ALL, p.CULTURE, settable=True, default="en-US"),
    Field("item:EffectiveRights", "EffectiveRights", _ALL, render=_rights()),
    Field("item:LastModifiedName", "LastModifiedName", _ALL, p.LAST_MODIFIER_NAME),
    Field("item:LastModifiedTime", "LastModifiedTime", _ALL, p.LAST_MODIFICATION_TIME, values.TIME),
    _flag_field("item:IsAssociated", "IsAssociated", p.FLAG_ASSOCIATED, settable=True),
    Field(
        "item:WebClientReadFormQueryString",
        "WebClientReadFormQueryString",
        _ALL,
        render=_query_string("WebClientReadFormQueryString", "ReadMessageItem", draft=False),
    ),
    Field(
        "item:WebClientEditFormQueryString",
        "WebClientEditFormQueryString",
        _ALL,
        render=_query_string("WebClientEditFormQueryString", "DraftsMessageItem", draft=True),
    ),
    Field(
        "item:ConversationId",
        "ConversationId",
        _ALL,
        render=_conversation_id,
    ),
    _body("item:UniqueBody", "UniqueBody", "Best"),
    Field(
        "item:Flag",
        "Flag",
        _ALL,
        p.FLAG_STATUS,
        render=_flag,
        settable=True,
        gone=(p.FLAG_STATUS, *FLAG_TIMES.values()),
    ),
    Field(
        "item:InstanceKey", "InstanceKey", _ALL, render=lambda view: f"<t:InstanceKey>{view.change_key}</t:InstanceKey>"
    ),
    _body("item:NormalizedBody", "NormalizedBody", "Best"),
    # Nothing is ever found in a text: no addresses, tasks or phone numbers.
    Field(
        "item:EntityExtractionResult",
        "EntityExtractionResult",
        "g",
        render=_constant("<t:EntityExtractionResult/>"),
        found=False,
    ),
    Field("item:Preview", "Preview", "f", p.PREVIEW),
    _body("item:TextBody", "TextBody", "Text"),
    _person_field("Sender", p.SENDER_NAME, p.SENDER_ADDRESS, settable=True),
    _people_field("ToRecipients", p.RECIPIENTS_TO, "Gg"),
    _people_field("CcRecipients", p.RECIPIENTS_CC, "Gg"),
    _people_field("BccRecipients", p.RECIPIENTS_BCC, "Gg"),
    _receipt_field("IsReadReceiptRequested", p.READ_RECEIPT_REQUESTED),
    _receipt_field("IsDeliveryReceiptRequested", p.DELIVERY_RECEIPT_REQUESTED),
    Field("message:ConversationIndex", "ConversationIndex", _ALL, p.CONVERSATION_INDEX, values.BINARY),
    Field("message:ConversationTopic", "ConversationTopic", _ALL, p.CONVERSATION_TOPIC),
    _person_field("From", p.SENT_REPRESENTING_NAME, p.SENT_REPRESENTING_ADDRESS, _EVERYWHERE, settable=True),
    Field(
        "message:InternetMessageId",
        "InternetMessageId",
        _ALL,
        p.INTERNET_MESSAGE_ID,
        settable=True,
        fixed_once_sent=True,
    ),
    _flag_field("message:IsRead", "IsRead", p.FLAG_READ, _EVERYWHERE, settable=True),
    Field(
        "message:IsResponseRequested", "IsResponseRequested", _ALL, p.RESPONSE_REQUESTED, values.BOOLEAN, settable=True
    ),
    Field("message:References", "References", _ALL, p.INTERNET_REFERENCES, settable=True),
    _people_field("ReplyTo", p.REPLY_TO, "g"),
    _person_field("ReceivedBy", p.RECEIVED_BY_NAME, p.RECEIVED_BY_ADDRESS),
    _person_field("ReceivedRepresenting", p.RECEIVED_BY_NAME, p.RECEIVED_BY_ADDRESS),
)

LATER_RIGHTS: Final = Field(
    "item:EffectiveRights",
    "EffectiveRights",
    _ALL,
    render=_rights("<t:ViewPrivateItems>true</t:ViewPrivateItems>"),
)
"""What rights tell to clients of Exchange 2010 SP2 and later: of private items, too."""

BY_URI: Final = {field.uri: field for field in ITEM_FIELDS}
BY_ELEMENT: Final = {field.element: field for field in ITEM_FIELDS}
_BEFORE_EXTENDED = ITEM_FIELDS.index(BY_URI["item:HasAttachments"])
"""Extended properties come after this field."""


def stands_before_extended(field: Field) -> bool:
    """Return whether the schema wants this field before the extended properties."""
    return ITEM_FIELDS.index(field) <= _BEFORE_EXTENDED


def element_for(message_class: str) -> str:
    """Return the element that an item of this class is shown as."""
    lowered = message_class.lower()
    for start, element in (
        ("ipm.schedule.meeting.request", "MeetingRequest"),
        ("ipm.schedule.meeting.canceled", "MeetingCancellation"),
        ("ipm.schedule.meeting.resp", "MeetingResponse"),
        ("ipm.appointment", "CalendarItem"),
        ("ipm.contact", "Contact"),
        ("ipm.distlist", "DistributionList"),
        ("ipm.task", "Task"),
        ("ipm.post", "PostItem"),
    ):
        if lowered.startswith(start):
            return element
    return "Message"
