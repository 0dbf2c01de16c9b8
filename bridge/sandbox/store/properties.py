"""
The keys of an item's property bag, and what kinds of value they hold.

A key is the whole MAPI property tag as `0xIIIITTTT` (identifier and type, MS-OXPROPS), or for a named property
`{property set guid}:name-or-id:TTTT`, percent-coded where the name has unusual letters. The type is part of the key:
asking for a property under another type finds nothing, as in a real store.

Values are JSON: text, integer, true/false, a list of them. Binary values are base64 text. Times are integers,
microseconds since 1970 UTC, so that they sort and compare as they are.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, unquote

Bag = dict[str, Any]

# What SQLite's JSON paths take as it is.
_PLAIN_IN_NAMES = " !#$&'()*+,-./;<=>?@[]^_`{|}~"

# EWS MapiPropertyTypeType -> the type half of a property tag (MS-OXCDATA 2.11.1).
MAPI_TYPES: dict[str, int] = {
    "Short": 0x0002,
    "Integer": 0x0003,
    "Float": 0x0004,
    "Double": 0x0005,
    "Currency": 0x0006,
    "ApplicationTime": 0x0007,
    "Error": 0x000A,
    "Boolean": 0x000B,
    "Object": 0x000D,
    "Long": 0x0014,
    "String": 0x001F,
    "SystemTime": 0x0040,
    "CLSID": 0x0048,
    "Binary": 0x0102,
    "Null": 0x0001,
}
MULTIVALUE = 0x1000
for _name in (
    "ApplicationTime",
    "Binary",
    "CLSID",
    "Currency",
    "Double",
    "Float",
    "Integer",
    "Long",
    "Object",
    "Short",
):
    MAPI_TYPES[_name + "Array"] = MAPI_TYPES[_name] | MULTIVALUE
for _name in ("String", "SystemTime"):
    MAPI_TYPES[_name + "Array"] = MAPI_TYPES[_name] | MULTIVALUE

# DistinguishedPropertySetId -> GUID (MS-OXPROPS 1.3.2).
PROPERTY_SETS: dict[str, str] = {
    "Meeting": "6ed8da90-450b-101b-98da-00aa003f1305",
    "Appointment": "00062002-0000-0000-c000-000000000046",
    "Common": "00062008-0000-0000-c000-000000000046",
    "PublicStrings": "00020329-0000-0000-c000-000000000046",
    "Address": "00062004-0000-0000-c000-000000000046",
    "InternetHeaders": "00020386-0000-0000-c000-000000000046",
    "CalendarAssistant": "11000e07-b51b-40d6-af21-caa85edab1d0",
    "UnifiedMessaging": "4442858e-a9e3-4e80-b900-317a210cc15b",
    "Task": "00062003-0000-0000-c000-000000000046",
    "Sharing": "00062040-0000-0000-c000-000000000046",
}


_HEADERS_PREFIX = "{" + PROPERTY_SETS["InternetHeaders"] + "}:"


def tag_key(identifier: int, mapi_type: str) -> str:
    """Return the bag key of a tagged property, such as `0x0037001F` for the subject."""
    return f"0x{identifier:04X}{MAPI_TYPES[mapi_type]:04X}"


def named_key(property_set: str, name: str | int, mapi_type: str) -> str:
    """Return the bag key of a named property; the GUID's case does not matter, the name's does (MS-OXCPRPT)."""
    which = f"#{name:X}" if isinstance(name, int) else quote(name, safe=_PLAIN_IN_NAMES)
    return f"{{{property_set.lower()}}}:{which}:{MAPI_TYPES[mapi_type]:04X}"


def name_of(key: str) -> str:
    """Return the name in a named property's key, `#` and a hexadecimal number for one with an id."""
    return unquote(key.split(":")[1])


def header_of(key: str) -> str | None:
    """Return the header that a named property of the InternetHeaders set stands for, None for any other property."""
    if not key.startswith(_HEADERS_PREFIX) or not key.endswith(":001F"):
        return None
    name = name_of(key)
    return name if re.fullmatch(r"[!-9;-~]{1,70}", name) else None


def is_named(key: str) -> bool:
    """Tell a named property from a tagged one."""
    return key.startswith("{")


def to_micros(moment: datetime) -> int:
    """Return a time as the bag keeps it."""
    return (moment.astimezone(UTC) - _EPOCH) // timedelta(microseconds=1)


def from_micros(value: int) -> datetime:
    """Return a time of the bag, in UTC."""
    return _EPOCH + timedelta(microseconds=value)


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

MESSAGE_CLASS = tag_key(0x001A, "String")
IMPORTANCE = tag_key(0x0017, "Integer")
SENSITIVITY = tag_key(0x0036, "Integer")
SUBJECT = tag_key(0x0037, "String")
CLIENT_SUBMIT_TIME = tag_key(0x0039, "SystemTime")
SENT_REPRESENTING_NAME = tag_key(0x0042, "String")
SENT_REPRESENTING_ADDRESS_TYPE = tag_key(0x0064, "String")
SENT_REPRESENTING_ADDRESS = tag_key(0x0065, "String")
CONVERSATION_TOPIC = tag_key(0x0070, "String")
CONVERSATION_INDEX = tag_key(0x0071, "Binary")
TRANSPORT_HEADERS = tag_key(0x007D, "String")
READ_RECEIPT_REQUESTED = tag_key(0x0029, "Boolean")
DELIVERY_RECEIPT_REQUESTED = tag_key(0x0023, "Boolean")
RESPONSE_REQUESTED = tag_key(0x0063, "Boolean")
PARENT_KEY = tag_key(0x0025, "Binary")
RECEIVED_BY_NAME = tag_key(0x0040, "String")
RECEIVED_BY_ADDRESS = tag_key(0x0076, "String")
SENDER_NAME = tag_key(0x0C1A, "String")
SENDER_ADDRESS_TYPE = tag_key(0x0C1E, "String")
SENDER_ADDRESS = tag_key(0x0C1F, "String")
DELETE_AFTER_SUBMIT = tag_key(0x0E01, "Boolean")
DISPLAY_BCC = tag_key(0x0E02, "String")
DISPLAY_CC = tag_key(0x0E03, "String")
DISPLAY_TO = tag_key(0x0E04, "String")
DELIVERY_TIME = tag_key(0x0E06, "SystemTime")
MESSAGE_FLAGS = tag_key(0x0E07, "Integer")
MESSAGE_SIZE = tag_key(0x0E08, "Integer")
HAS_ATTACHMENTS = tag_key(0x0E1B, "Boolean")
BODY_TEXT = tag_key(0x1000, "String")
BODY_HTML = tag_key(0x1013, "String")
INTERNET_MESSAGE_ID = tag_key(0x1035, "String")
INTERNET_REFERENCES = tag_key(0x1039, "String")
IN_REPLY_TO = tag_key(0x1042, "String")
ICON = tag_key(0x1080, "Integer")
LAST_VERB = tag_key(0x1081, "Integer")
LAST_VERB_TIME = tag_key(0x1082, "SystemTime")
FLAG_STATUS = tag_key(0x1090, "Integer")
FLAG_COMPLETED = tag_key(0x1091, "SystemTime")
ARTICLE_NUMBER = tag_key(0x0E23, "Integer")
RECORD_KEY = tag_key(0x0FF9, "Binary")
CREATION_TIME = tag_key(0x3007, "SystemTime")
LAST_MODIFICATION_TIME = tag_key(0x3008, "SystemTime")
SEARCH_KEY = tag_key(0x300B, "Binary")
INTERNET_CODEPAGE = tag_key(0x3FDE, "Integer")
MESSAGE_LOCALE = tag_key(0x3FF1, "Integer")
LAST_MODIFIER_NAME = tag_key(0x3FFA, "String")
CREATOR_ADDRESS = tag_key(0x4023, "String")
SENDER_SMTP_ADDRESS = tag_key(0x5D01, "String")
SENT_REPRESENTING_SMTP_ADDRESS = tag_key(0x5D02, "String")
REMINDER_SET = named_key(PROPERTY_SETS["Common"], 0x8503, "Boolean")
REMINDER_TIME = named_key(PROPERTY_SETS["Common"], 0x8502, "SystemTime")
REMINDER_DELTA = named_key(PROPERTY_SETS["Common"], 0x8501, "Integer")
KEYWORDS = named_key(PROPERTY_SETS["PublicStrings"], "Keywords", "StringArray")

# Not properties of MAPI, where recipients are a table of the message. The bag keeps lists of [name, address].
RECIPIENTS_TO = "recipients:to"
RECIPIENTS_CC = "recipients:cc"
RECIPIENTS_BCC = "recipients:bcc"
REPLY_TO = "recipients:reply-to"
PREVIEW = "preview"
CULTURE = "culture"
"""A language tag; MAPI has its number instead (PidTagMessageLocaleId)."""
EXTRA_HEADERS = "headers"
"""Headers that a client set through the InternetHeaders property set or the like: a list of [name, value]."""

# PidTagMessageFlags (MS-OXCMSG 2.2.1.6).
FLAG_READ = 0x01
FLAG_UNMODIFIED = 0x02
FLAG_SUBMITTED = 0x04
FLAG_UNSENT = 0x08
FLAG_HAS_ATTACHMENT = 0x10
FLAG_FROM_ME = 0x20
FLAG_ASSOCIATED = 0x40
FLAG_RESEND = 0x80
