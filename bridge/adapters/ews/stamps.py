"""
The bridge's named properties, and the elements that write, ask for and compare them.

All are in one property set with fixed names: named properties are a finite resource of a mailbox, so nothing of a
single request is ever part of a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.adapters.ews.soap import M, T, element
from bridge.domain.outbound_records import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from lxml import etree

    from bridge.adapters.ews.soap import ResponseMessage

PROPERTY_SET: Final = "9a7082fc-5226-4daa-8850-d6be4b5e8fd1"

REQUEST_ID: Final = "BridgeRequestId"
ATTEMPT: Final = "BridgeAttempt"
DIGEST: Final = "BridgeDigest"
STATE: Final = "BridgeState"
ENTRY: Final = "BridgeEntry"
RECIPIENTS: Final = "BridgeRecipients"
CALL: Final = "BridgeCall"
"""The number of a call that sends, in its entry; left out of the first."""
REASON: Final = "BridgeReason"
LEDGER: Final = "BridgeLedger"
"""Of the folder of the ledger."""
HAD_LEDGER: Final = "BridgeHadLedger"
"""Of the inbox of a mailbox that has, or had, a ledger."""

STAMP_NAMES: Final = (REQUEST_ID, ATTEMPT, DIGEST)


def uri(name: str) -> etree._Element:
    """Return the element that names a property; all are strings."""
    return element("t:ExtendedFieldURI", PropertySetId=PROPERTY_SET, PropertyName=name, PropertyType="String")


def written(values: Mapping[str, str]) -> list[etree._Element]:
    """Return the elements that write properties in CreateItem."""
    return [element("t:ExtendedProperty", uri(name), element("t:Value", text=value)) for name, value in values.items()]


def of_stamp(stamp: Stamp) -> dict[str, str]:
    """Return a stamp as properties."""
    return {REQUEST_ID: stamp.request_id, ATTEMPT: stamp.attempt, DIGEST: stamp.digest}


def set_field(name: str, value: str) -> etree._Element:
    """Return the element that sets a property in UpdateItem."""
    message = element("t:Message", *written({name: value}))
    return element("t:SetItemField", uri(name), message)


def equals(name: str, value: str) -> etree._Element:
    """Return the restriction that a property has this value."""
    return element("t:IsEqualTo", uri(name), element("t:FieldURIOrConstant", element("t:Constant", Value=value)))


def one_of(name: str, values: Iterable[str]) -> etree._Element:
    """Return the restriction that a property has one of these values."""
    return any_of([equals(name, value) for value in values])


def any_of(restrictions: Sequence[etree._Element]) -> etree._Element:
    """Return the restriction that one of these holds."""
    return restrictions[0] if len(restrictions) == 1 else element("t:Or", *restrictions)


def items_of(message: ResponseMessage) -> Iterator[etree._Element]:
    """Yield the items of an answer."""
    for items in message.element.iter(f"{M}Items", f"{T}Items"):
        yield from (item for item in items if item.find(f"{T}ItemId") is not None)


def item_id_of(item: etree._Element) -> tuple[str, str]:
    """Return the id and the change key of an item."""
    found = item.find(f"{T}ItemId")
    return ("", "") if found is None else (found.get("Id") or "", found.get("ChangeKey") or "")


def properties_of(item: etree._Element) -> dict[str, str]:
    """Return the bridge's properties that an item shows."""
    found = {}
    for prop in item.findall(f"{T}ExtendedProperty"):
        path = prop.find(f"{T}ExtendedFieldURI")
        if path is not None and (path.get("PropertySetId") or "").lower() == PROPERTY_SET:
            found[path.get("PropertyName") or ""] = prop.findtext(f"{T}Value") or ""
    return found


def stamp_of(properties: Mapping[str, str]) -> Stamp | None:
    """Return the stamp among these properties, None where it is not whole."""
    if not all(name in properties for name in STAMP_NAMES):
        return None
    return Stamp(properties[REQUEST_ID], properties[ATTEMPT], properties[DIGEST])
