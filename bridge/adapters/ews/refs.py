"""Where a mail is and what it is called, read from an item of a listing."""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.soap import T, element
from bridge.adapters.ews.times import parse_time
from bridge.domain.mail import MailRef, derive_message_id

if TYPE_CHECKING:
    from lxml import etree

_SEARCH_KEY: Final = {"PropertyTag": "0x300B", "PropertyType": "Binary"}
_DELIVERY_TIME: Final = {"PropertyTag": "0xE06", "PropertyType": "SystemTime"}
_NUMBER = re.compile("[0-9]{1,12}")


def ref_fields() -> list[etree._Element]:
    """Return the elements that ask for all that `ref_of` reads."""
    return [
        element("t:FieldURI", FieldURI="item:DateTimeReceived"),
        element("t:FieldURI", FieldURI="item:Size"),
        element("t:FieldURI", FieldURI="item:ItemClass"),
        element("t:ExtendedFieldURI", **_SEARCH_KEY),
        element("t:ExtendedFieldURI", **_DELIVERY_TIME),
    ]


def ref_of(item: etree._Element, address: str) -> MailRef:
    """Return the ref of an item in the mailbox of this address."""
    extended = {
        (uri.get("PropertyTag") or "").lower(): prop.findtext(f"{T}Value") or ""
        for prop in item.findall(f"{T}ExtendedProperty")
        if (uri := prop.find(f"{T}ExtendedFieldURI")) is not None
    }
    received_at = parse_time(item.findtext(f"{T}DateTimeReceived"))
    delivered_at = parse_time(extended.get("0xe06") or extended.get("0x0e06")) or received_at
    found_id = item.find(f"{T}ItemId")
    item_id = (found_id.get("Id") if found_id is not None else None) or ""
    # A server that shows no search key leaves the id, which stays as long as the mail is not moved.
    search_key = _bytes(extended.get("0x300b")) or item_id.encode()
    return MailRef(
        message_id=derive_message_id(address, search_key, delivered_at),
        item_id=item_id,
        received_at=received_at,
        size_bytes=number_of(item.findtext(f"{T}Size"), 0),
        item_class=item.findtext(f"{T}ItemClass") or "IPM.Note",
    )


def number_of(text: str | None, otherwise: int) -> int:
    """Return a count or size, `otherwise` where there is none that makes sense."""
    match = _NUMBER.fullmatch(text or "")
    return int(match.group()) if match is not None else otherwise


def _bytes(text: str | None) -> bytes:
    try:
        return base64.b64decode("".join((text or "").split()), validate=True)
    except ValueError:
        return b""
