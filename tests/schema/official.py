"""The official EWS schema, where it is to be had, and what is checked against it."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from lxml import etree

SOAP_BODY = "{http://schemas.xmlsoap.org/soap/envelope/}Body"
FAULT = "{http://schemas.xmlsoap.org/soap/envelope/}Fault"
_VERSION_INFO = "{http://schemas.microsoft.com/exchange/services/2006/types}ServerVersionInfo"
_ERRORS = "{http://schemas.microsoft.com/exchange/services/2006/errors}"
_PARSER = etree.XMLParser(huge_tree=True, resolve_entities=False)


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
        else [etree.fromstring(etree.tostring(child), _PARSER) for child in body if isinstance(child.tag, str)]
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


def flavour_of(version: str) -> str:
    """
    Return the name of the schema set that a request of a version is checked against.

    Versions by date are Exchange Online's own; all others are known to the schema that Exchange Server serves.
    """
    return "o365" if version.startswith("V") else "exchange-15.2.2562"


def is_valid(element: etree._Element, flavour: str = "exchange-15.2.2562") -> bool:
    """Return whether the official schema takes an element."""
    return bool(schema(flavour).validate(element))


def reason(flavour: str = "exchange-15.2.2562") -> str:
    """Return why the last one was refused."""
    return str(schema(flavour).error_log).partition("\n")[0]


def invalid_answers(folder: Path) -> list[str]:
    """
    Return the names and reasons of all recorded answers below a folder that the schema of their server refuses.

    The three forms of `as_the_schema_says`, which Exchange is known to use and the schema to refuse, are let pass.
    SOAP faults have no schema of EWS; for them the form is checked that recordings of real servers have.
    """
    found = []
    for path in sorted(folder.rglob("*.response.xml")):
        raw = path.read_bytes()
        if not raw:
            continue
        envelope = etree.fromstring(raw, _PARSER)
        # The set of Exchange Online is of 2021, that of Exchange Server of 2026: the first lacks what came since.
        online = any(flavour_of(one.get("Version") or "") == "o365" for one in envelope.iter(_VERSION_INFO))
        for element in bodies_of(envelope):
            if element.tag == FAULT:
                names = [etree.QName(child).localname for child in element]
                if names[:2] != ["faultcode", "faultstring"]:
                    found.append(f"{path.name}: a fault of {names}")
            elif not is_valid(as_the_schema_says(element)) and not (online and is_valid(element, "o365")):
                found.append(f"{path.name}: {reason()}")
    return found


def wrong_requests(folder: Path) -> list[str]:
    """
    Return the names of all recorded requests below a folder about which sandbox and schema do not agree, and why.

    What the schema refuses the sandbox must have refused for it, as tests make it do on purpose; what the sandbox
    refused as against the schema, the schema must refuse. A request that got no answer of EWS passed the sandbox.
    """
    found = []
    for path in sorted(folder.rglob("*.request.xml")):
        refused = _refusal(path)
        if refused in _NO_MATTER_OF_FORM:
            continue
        against = _violation(path.read_bytes())
        if against and not refused:
            found.append(f"{path.name}: the sandbox took what the schema refuses: {against}")
        elif refused and not against:
            found.append(f"{path.name}: the sandbox refused what the schema takes")
    return found


# The request names an operation that is not there, or not in its version: there is nothing to check it against.
_NO_MATTER_OF_FORM = frozenset({
    "ErrorInvalidRequest", "ErrorInvalidServerVersion", "ErrorIncorrectSchemaVersion",
})  # fmt: skip
# Folders of Exchange Online that clients ask it for; no schema that is public has their names.
_FOLDERS_SINCE = frozenset({
    "allcategorizeditems", "allcontacts", "allitems", "allpersonmetadata", "companycontacts", "dlppolicyevaluation",
    "fromfavoritesenders", "inference", "onenotepagepreviews", "peoplecentricconversationbuddies",
    "qedcdefaultretention", "qedclongretention", "qedcmediumretention", "qedcshortretention", "quarantinedemail",
    "quarantinedemaildefaultcategory", "recoverableitemssubstrateholds", "relevantcontacts", "sharepointnotifications",
    "shortnotes", "temporarysaves", "usercuratedcontacts",
})  # fmt: skip
_HEADERS = (_TYPES + "RequestServerVersion", _TYPES + "ExchangeImpersonation", _TYPES + "DateTimePrecision")


@cache
def _answers_in(folder: Path) -> dict[str, list[Path]]:
    """Return the answers in a folder by the stem of their request; a whole run leaves tens of thousands."""
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.glob("*.response.xml")):
        found.setdefault(path.name.rsplit(".", 4)[0], []).append(path)
    return found


def _refusal(path: Path) -> str:
    """Return the code of the fault by which the sandbox refused a request's form, `400` for no SOAP, else nothing."""
    stem = path.name.removesuffix(".request.xml")
    answers = _answers_in(path.parent).get(stem)
    if not answers:
        return ""
    raw = answers[0].read_bytes()
    if not raw:
        return "400"
    code = next((one.text or "" for one in etree.fromstring(raw, _PARSER).iter(_ERRORS + "ResponseCode")), "")
    return code if code == "ErrorSchemaValidation" or code in _NO_MATTER_OF_FORM else ""


def _violation(raw: bytes) -> str:
    """Return what is wrong with a request by the official schema, or as XML or SOAP; nothing if it is right."""
    try:
        envelope = etree.fromstring(raw, _PARSER)
    except (etree.XMLSyntaxError, ValueError):
        return "no XML"
    if getattr(envelope.getroottree().docinfo, "doctype", ""):
        return "a document type"
    for folder in envelope.iter(_TYPES + "DistinguishedFolderId"):
        if folder.get("Id") in _FOLDERS_SINCE:
            folder.set("Id", "inbox")
    bodies = bodies_of(envelope)
    if etree.QName(envelope).localname != "Envelope" or len(bodies) != 1:
        return "no SOAP"
    version = next((one.get("Version") or "" for one in envelope.iter(_HEADERS[0])), "")
    flavour = flavour_of(version)
    # Exchange Online adds versions by date as it goes; no schema lists them.
    named = _HEADERS if flavour != "o365" else _HEADERS[1:]
    blocks = [etree.fromstring(etree.tostring(one)) for one in envelope.iter(*named)]
    for element in [*blocks, *bodies]:
        if not is_valid(element, flavour):
            return reason(flavour)
    return ""


if __name__ == "__main__":
    import sys
    from concurrent.futures import ProcessPoolExecutor

    with ProcessPoolExecutor(2) as pool:
        folder = Path(sys.argv[1])
        refused = [
            one
            for found in (pool.submit(invalid_answers, folder), pool.submit(wrong_requests, folder))
            for one in found.result()
        ]
    print("\n".join(refused) or "every recorded request and answer validates")
    sys.exit(bool(refused))
