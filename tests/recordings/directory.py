"""Requests for answers that tell of people, groups and rooms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.recordings.mailbox import MALFORMED, OTHER
from tests.recordings.states import code_of, messages
from tests.support.soap import MESSAGES, TYPES

if TYPE_CHECKING:
    from lxml import etree

    from tests.recordings.mailbox import Mailbox

_ROOMS = "rooms@example.org"
_MOMENT = "<t:Time>02:00:00</t:Time><t:DayOrder>1</t:DayOrder><t:Month>{}</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek>"


def resolve_names(mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for somebody whom the directory knows once, several times or not at all; or for contacts."""
    code = code_of(messages(answer)[0])
    name = {"NoError": mailbox.address, "ErrorNameResolutionMultipleResults": "dispatch"}.get(code, "nobody at all")
    full = "true" if answer.find(f".//{TYPES}Contact") is not None else "false"
    for number in range(len(list(answer.iterfind(f".//{TYPES}Resolution/{TYPES}Mailbox/{TYPES}ItemId")))):
        name = "brian"
        mailbox.contact(f"brian_{number}@example.net")
    return (
        f'<m:ResolveNames ReturnFullContactData="{full}"><m:UnresolvedEntry>{name}</m:UnresolvedEntry></m:ResolveNames>'
    )


def convert_id(mailbox: Mailbox, answer: etree._Element) -> str:
    """Convert the ids of mails, of nothing, or of a mailbox without an address."""
    ids, wanted = "", "HexEntryId"
    for message in messages(answer):
        code = code_of(message)
        given = message.find(f"{MESSAGES}AlternateId")
        wanted = str(given.get("Format")) if given is not None else wanted
        item = MALFORMED if code != "NoError" else mailbox.item()[0]
        whose = "DUMMY" if code == "ErrorInvalidSmtpAddress" else mailbox.address
        ids += f'<t:AlternateId Format="EwsId" Id="{item}" Mailbox="{whose}"/>'
    return f'<m:ConvertId DestinationFormat="{wanted}"><m:SourceIds>{ids}</m:SourceIds></m:ConvertId>'


def room_lists(mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for lists of rooms, of which the organisation has as many as an answer."""
    found = len(list(answer.iter(TYPES + "Address")))
    mailbox.setting("room_lists", {f"rooms{number}@example.org": [OTHER] for number in range(found)})
    return "<m:GetRoomLists/>"


def rooms(mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for the rooms of a list that has as many as an answer."""
    found = len(list(answer.iter(TYPES + "Room")))
    mailbox.setting("room_lists", {_ROOMS: [mailbox.address, OTHER][:found]})
    return f"<m:GetRooms><m:RoomList><t:EmailAddress>{_ROOMS}</t:EmailAddress></m:RoomList></m:GetRooms>"


def availability(_mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask when people are busy whom the directory does not know."""
    count = len(list(answer.iter(MESSAGES + "FreeBusyResponse"))) or 1
    one = (
        "<t:MailboxData><t:Email><t:Address>someone@elsewhere.example</t:Address></t:Email><t:AttendeeType>Required"
        "</t:AttendeeType></t:MailboxData>"
    )
    half_year = "<t:Bias>0</t:Bias>" + _MOMENT
    zone = (
        f"<t:TimeZone><t:Bias>0</t:Bias><t:StandardTime>{half_year.format(11)}</t:StandardTime><t:DaylightTime>"
        f"{half_year.format(3)}</t:DaylightTime></t:TimeZone>"
    )
    window = "<t:StartTime>2026-11-24T00:00:00</t:StartTime><t:EndTime>2026-11-25T00:00:00</t:EndTime>"
    options = (
        f"<t:FreeBusyViewOptions><t:TimeWindow>{window}</t:TimeWindow><t:MergedFreeBusyIntervalInMinutes>60"
        "</t:MergedFreeBusyIntervalInMinutes><t:RequestedView>FreeBusy</t:RequestedView></t:FreeBusyViewOptions>"
    )
    return (
        f"<m:GetUserAvailabilityRequest>{zone}<m:MailboxDataArray>{one * count}</m:MailboxDataArray>{options}"
        "</m:GetUserAvailabilityRequest>"
    )


def mail_tips(mailbox: Mailbox, answer: etree._Element) -> str:
    """Ask for the tips about as many recipients as an answer tells of."""
    address = f"<t:EmailAddress>{mailbox.address}</t:EmailAddress><t:RoutingType>SMTP</t:RoutingType>"
    count = len(list(answer.iter(MESSAGES + "MailTipsResponseMessageType"))) or 1
    recipients = f"<t:Mailbox>{address}</t:Mailbox>" * count
    return (
        f"<m:GetMailTips><m:SendingAs>{address}</m:SendingAs><m:Recipients>{recipients}</m:Recipients>"
        "<m:MailTipsRequested>All</m:MailTipsRequested></m:GetMailTips>"
    )
