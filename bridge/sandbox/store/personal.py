"""The keys of what people keep beside mail: appointments, contacts, tasks (MS-OXOCAL, MS-OXOCNTC, MS-OXOTASK)."""

from __future__ import annotations

from base64 import b64encode

from bridge.sandbox.store.properties import PROPERTY_SETS, named_key, tag_key


def _named(property_set: str, identifier: int, mapi_type: str) -> str:
    return named_key(PROPERTY_SETS[property_set], identifier, mapi_type)


# Appointments.
START = _named("Appointment", 0x820D, "SystemTime")
END = _named("Appointment", 0x820E, "SystemTime")
LOCATION = _named("Appointment", 0x8208, "String")
ALL_DAY = _named("Appointment", 0x8215, "Boolean")
BUSY_STATUS = _named("Appointment", 0x8205, "Integer")
STATE = _named("Appointment", 0x8217, "Integer")
SEQUENCE = _named("Appointment", 0x8201, "Integer")
RESPONSE_STATUS = _named("Appointment", 0x8218, "Integer")
REPLY_TIME = _named("Appointment", 0x8220, "SystemTime")
RECURRING = _named("Appointment", 0x8223, "Boolean")
INTENDED_BUSY_STATUS = _named("Appointment", 0x8224, "Integer")
INVITED = _named("Appointment", 0x8229, "Boolean")
COUNTER_START = _named("Appointment", 0x8250, "SystemTime")
COUNTER_END = _named("Appointment", 0x8251, "SystemTime")
NO_NEW_TIME = _named("Appointment", 0x825A, "Boolean")
CONFERENCE_TYPE = _named("Appointment", 0x8241, "Integer")
WORKSPACE_URL = _named("Appointment", 0x8209, "String")
NET_SHOW_URL = _named("Appointment", 0x8248, "String")
GLOBAL_ID = _named("Meeting", 0x0003, "Binary")
CLEAN_GLOBAL_ID = _named("Meeting", 0x0023, "Binary")
OWNER_CRITICAL_CHANGE = _named("Meeting", 0x001A, "SystemTime")
WHEN = _named("Meeting", 0x8200, "String")
RESPONSE_REQUESTED = tag_key(0x0063, "Boolean")
PROCESSED = tag_key(0x7D01, "Boolean")

STATE_MEETING, STATE_RECEIVED, STATE_CANCELLED = 1, 2, 4

# No properties of MAPI, where a meeting's people are rows of its recipient table and a recurrence is a blob.
UID = "calendar:uid"
START_ZONE = "calendar:start-zone"
END_ZONE = "calendar:end-zone"
REQUIRED = "calendar:required"
OPTIONAL = "calendar:optional"
RESOURCES = "calendar:resources"
"""Lists of [name, address, response, time of the response or null]."""
RECURRENCE = "recurrence"
"""`{"pattern": [name, {part: text}], "range": [name, {part: text}]}`, in the words of EWS."""
EXCEPTIONS = "calendar:exceptions"
"""What occurrences have in place of what the master has: `{"index": bag}`."""
DELETED = "calendar:deleted"
"""The indexes of occurrences that are no more."""
OCCURRENCE = "calendar:occurrence"
"""The index, from 1, that a bag of one occurrence carries while it is looked at; never stored."""
CHANGED = "calendar:changed"
"""Whether the occurrence looked at differs from its series."""
ORIGINAL_START = "calendar:original-start"
NAMED_ZONE = "calendar:tzid"
"""The name that a mail gives the zone of a meeting."""

# Contacts.
DISPLAY_NAME = tag_key(0x3001, "String")
FILE_AS = _named("Address", 0x8005, "String")
FILE_AS_ID = _named("Address", 0x8006, "Integer")
GIVEN_NAME = tag_key(0x3A06, "String")
SURNAME = tag_key(0x3A11, "String")
MIDDLE_NAME = tag_key(0x3A44, "String")
TITLE = tag_key(0x3A45, "String")
GENERATION = tag_key(0x3A05, "String")
INITIALS = tag_key(0x3A0A, "String")
NICKNAME = tag_key(0x3A4F, "String")
COMPANY = tag_key(0x3A16, "String")
DEPARTMENT = tag_key(0x3A18, "String")
JOB_TITLE = tag_key(0x3A17, "String")
OFFICE = tag_key(0x3A19, "String")
MANAGER = tag_key(0x3A4E, "String")
ASSISTANT = tag_key(0x3A30, "String")
PROFESSION = tag_key(0x3A46, "String")
SPOUSE = tag_key(0x3A48, "String")
BIRTHDAY = tag_key(0x3A42, "SystemTime")
ANNIVERSARY = tag_key(0x3A41, "SystemTime")
HOMEPAGE = tag_key(0x3A51, "String")
CHILDREN = tag_key(0x3A58, "StringArray")
POSTAL_INDEX = _named("Address", 0x8022, "Integer")
HAS_PICTURE = _named("Address", 0x8015, "Boolean")
PHONETIC_GIVEN = _named("Address", 0x802C, "String")
PHONETIC_SURNAME = _named("Address", 0x802D, "String")
MEMBERS = "members"
"""A list of [name, address, routing type, kind of mailbox]."""

EMAILS = {
    f"EmailAddress{number}": (
        _named("Address", 0x8083 + step, "String"),
        _named("Address", 0x8080 + step, "String"),
        _named("Address", 0x8082 + step, "String"),
    )
    for number, step in ((1, 0), (2, 0x10), (3, 0x20))
}
"""The address, the name and the routing type of each."""
IM_ADDRESSES = {
    "ImAddress1": _named("Address", 0x8062, "String"),
    "ImAddress2": "contact:im-2",
    "ImAddress3": "contact:im-3",
}
PHONES = {
    "AssistantPhone": tag_key(0x3A2E, "String"),
    "BusinessFax": tag_key(0x3A24, "String"),
    "BusinessPhone": tag_key(0x3A08, "String"),
    "BusinessPhone2": tag_key(0x3A1B, "String"),
    "Callback": tag_key(0x3A02, "String"),
    "CarPhone": tag_key(0x3A1E, "String"),
    "CompanyMainPhone": tag_key(0x3A57, "String"),
    "HomeFax": tag_key(0x3A25, "String"),
    "HomePhone": tag_key(0x3A09, "String"),
    "HomePhone2": tag_key(0x3A2F, "String"),
    "Isdn": tag_key(0x3A2D, "String"),
    "MobilePhone": tag_key(0x3A1C, "String"),
    "OtherFax": tag_key(0x3A23, "String"),
    "OtherTelephone": tag_key(0x3A1F, "String"),
    "Pager": tag_key(0x3A21, "String"),
    "PrimaryPhone": tag_key(0x3A1A, "String"),
    "RadioPhone": tag_key(0x3A1D, "String"),
    "Telex": tag_key(0x3A2C, "String"),
    "TtyTddPhone": tag_key(0x3A4B, "String"),
}
_ADDRESS_PARTS = ("Street", "City", "State", "CountryOrRegion", "PostalCode")
PHYSICAL_ADDRESSES = {
    kind: dict(zip(_ADDRESS_PARTS, keys, strict=True))
    for kind, keys in {
        "Business": [_named("Address", one, "String") for one in (0x8045, 0x8046, 0x8047, 0x8049, 0x8048)],
        "Home": [tag_key(one, "String") for one in (0x3A5D, 0x3A59, 0x3A5C, 0x3A5A, 0x3A5B)],
        "Other": [tag_key(one, "String") for one in (0x3A63, 0x3A5F, 0x3A62, 0x3A60, 0x3A61)],
    }.items()
}

# Tasks, and what tasks and contacts share.
TASK_STATUS = _named("Task", 0x8101, "Integer")
PERCENT_COMPLETE = _named("Task", 0x8102, "Double")
TEAM_TASK = _named("Task", 0x8103, "Boolean")
TASK_START = _named("Task", 0x8104, "SystemTime")
TASK_DUE = _named("Task", 0x8105, "SystemTime")
TASK_COMPLETED = _named("Task", 0x810F, "SystemTime")
ACTUAL_WORK = _named("Task", 0x8110, "Integer")
TOTAL_WORK = _named("Task", 0x8111, "Integer")
CHANGE_COUNT = _named("Task", 0x8112, "Integer")
TASK_COMPLETE = _named("Task", 0x811C, "Boolean")
TASK_OWNER = _named("Task", 0x811F, "String")
TASK_RECURRING = _named("Task", 0x8126, "Boolean")
MILEAGE = _named("Common", 0x8534, "String")
BILLING = _named("Common", 0x8535, "String")
COMPANIES = _named("Common", 0x8539, "StringArray")
CONTACTS = _named("Common", 0x853A, "StringArray")

# What begins the bytes of a meeting's identity (MS-OXOCAL 2.2.1.27), and what says that a foreign UID follows.
_GLOBAL_HEAD = bytes.fromhex("040000008200E00074C5B7101A82E008") + bytes(20)
_FOREIGN = b"vCal-Uid\x01\x00\x00\x00"


def global_id(uid: str) -> str:
    """Return the bytes, base64 coded, that stand for a meeting's UID in MAPI."""
    try:
        raw = bytes.fromhex(uid)
    except ValueError:
        raw = b""
    if raw[:16] != _GLOBAL_HEAD[:16]:
        data = _FOREIGN + uid.encode() + b"\x00"
        raw = _GLOBAL_HEAD + len(data).to_bytes(4, "little") + data
    return b64encode(raw).decode()
