"""The official EWS schema, where it is to be had, and what is checked against it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from lxml import etree

SOAP_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
FAULT = "{http://schemas.xmlsoap.org/soap/envelope/}Fault"


def shared() -> Path:
    """Return the folder of shared test data: `BRIDGE_SHARED`, else `../shared` beside the checkout."""
    named = os.environ.get("BRIDGE_SHARED")
    return Path(named) if named else Path(__file__).parents[3] / "shared"


@cache
def schema(flavour: str = "exchange-15.2.2562") -> etree.XMLSchema:
    """Return a compiled schema."""
    return etree.XMLSchema(etree.parse(shared() / "ews-schema" / flavour / "ews.xsd"))


def bodies_of(envelope: etree._Element) -> list[etree._Element]:
    """Return the elements in a SOAP body, each as a document of its own."""
    body = envelope.find(SOAP_BODY)
    return (
        []
        if body is None
        else [etree.fromstring(etree.tostring(child)) for child in body if isinstance(child.tag, str)]
    )


_MESSAGES = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
_TYPES = "{http://schemas.microsoft.com/exchange/services/2006/types}"


def as_the_schema_says(element: etree._Element) -> etree._Element:
    """
    Return an answer in the form of its schema where Exchange itself is known to use another.

    What a stream says has `m:Notification` and, in a list of bad ids, `m:SubscriptionId`, in the documentation's
    examples and for clients that are tested on real servers; the schema has both in the namespace of types. A time zone
    that is only named has lists that the schema does not allow to be empty.
    """
    if element.tag == _MESSAGES + "GetStreamingEventsResponse":
        for holder, name in (("Notifications", "Notification"), ("ErrorSubscriptionIds", "SubscriptionId")):
            for node in [one for one in element.iter(_MESSAGES + name) if one.getparent().tag == _MESSAGES + holder]:  # type: ignore[union-attr]  # it has one
                node.tag = _TYPES + name
    for zone in element.iter(_TYPES + "TimeZoneDefinition"):
        # Without full data Exchange Online gives both lists empty (recorded), which the schema has no form for.
        periods, groups = zone.find(_TYPES + "Periods"), zone.find(_TYPES + "TransitionsGroups")
        if periods is not None and groups is not None and not len(periods) and not len(groups):
            etree.SubElement(periods, _TYPES + "Period", Bias="PT0S", Name="", Id="")
            zone.remove(groups)
    return element


def is_valid(element: etree._Element) -> bool:
    """Tell whether the official schema takes an element."""
    return bool(schema().validate(element))


def reason() -> str:
    """Return why the last one was refused."""
    return str(schema().error_log).partition("\n")[0]


def invalid_answers(folder: Path) -> list[str]:
    """
    Return the names and reasons of all recorded answers below a folder that the schema refuses.

    SOAP faults have no schema of EWS; for them the form is checked that recordings of real servers have.
    """
    found = []
    for path in sorted(folder.rglob("*.response.xml")):
        raw = path.read_bytes()
        if not raw:
            continue
        envelope = etree.fromstring(raw, etree.XMLParser(huge_tree=True, resolve_entities=False))
        for element in bodies_of(envelope):
            if element.tag == FAULT:
                names = [etree.QName(child).localname for child in element]
                if names[:2] != ["faultcode", "faultstring"]:
                    found.append(f"{path.name}: a fault of {names}")
            elif not is_valid(as_the_schema_says(element)):
                found.append(f"{path.name}: {reason()}")
    return found


if __name__ == "__main__":
    import sys

    refused = invalid_answers(Path(sys.argv[1]))
    print("\n".join(refused) or "every recorded answer validates")
    sys.exit(bool(refused))
