"""Reading a SOAP envelope out of bytes that anybody may have sent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxml import etree

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import FaultError
from bridge.sandbox.ews.grammar.check import MESSAGES_NAMESPACE, ViolationError, check_header, check_request, is_known
from bridge.sandbox.ews.servers import ONLINE
from bridge.sandbox.ews.versions import UNNAMED, check_content, check_operation, read_version
from bridge.sandbox.ews.zones import UTC_NAME, of_definition

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.sandbox.ews.servers import Server
    from bridge.sandbox.ews.versions import SchemaVersion

MAX_DEPTH: Final = 256
# libxml2 refuses texts above 10 MB and deep trees by itself, unless told that they are meant.
_HUGE_FROM_BYTES: Final = 9_000_000


class NoSoapError(Exception):
    """The body is no SOAP envelope that Exchange would read at all: HTTP 400."""


class UnknownOperationError(Exception):
    """The body's element is no operation."""

    def __init__(self, name: str) -> None:
        """Hold the element's name."""
        super().__init__(name)
        self.name = name


@dataclass(frozen=True, slots=True)
class Envelope:
    """What an envelope says."""

    request: etree._Element
    operation: str
    version: SchemaVersion
    impersonated: tuple[str, str] | None
    """The kind of identifier in ConnectingSID and its text."""
    zone: str = UTC_NAME
    """The Windows name of the TimeZoneContext's zone."""
    precision: str = "Seconds"
    """How fine times are shown: `Seconds` or `Milliseconds`."""


def read_envelope(body: bytes, server: Server = ONLINE) -> Envelope:
    """
    Return what a request says, checked against the grammar, and against the version that it asks for.

    Raises:
        NoSoapError: The body is no envelope.
        ViolationError: It is not as Exchange's schema wants it.
        UnknownOperationError: There is no such operation.
        FaultError: The version asked for is none, or does not know what the request asks for.
    """
    root = _parse(body)
    if root.tag != xml.SOAP + "Envelope":
        raise NoSoapError
    soap_body = root.find(xml.SOAP + "Body")
    requests = [] if soap_body is None else [node for node in soap_body if isinstance(node.tag, str)]
    if len(requests) != 1:
        raise NoSoapError
    request = requests[0]
    version, impersonated = _headers(root.find(xml.SOAP + "Header"), server)
    zone = _zone(root.find(xml.SOAP + "Header"))
    name = etree.QName(request)
    if name.namespace != MESSAGES_NAMESPACE or not is_known(request):
        raise UnknownOperationError(name.localname)
    # Two operations on out-of-office settings have `Request` in the name of the element alone.
    operation = name.localname.removesuffix("Request")
    check_operation(version, operation)
    check_request(request)
    check_content(version, request)
    return Envelope(request, operation, version, impersonated, zone, _precision(root.find(xml.SOAP + "Header")))


def _precision(header: etree._Element | None) -> str:
    node = None if header is None else header.find(xml.T + "DateTimePrecision")
    found = "Seconds" if node is None else (node.text or "").strip()
    if found not in ("Seconds", "Milliseconds"):
        place = etree.QName(xml.T + "DateTimePrecision").namespace
        raise ViolationError(
            f"The '{place}:DateTimePrecision' element is invalid - The value '{found}' is invalid according to its "
            f"datatype '{place}:DateTimePrecisionType' - The Enumeration constraint failed."
        )
    return found


def _zone(header: etree._Element | None) -> str:
    definition = None if header is None else header.find(f"{xml.T}TimeZoneContext/{xml.T}TimeZoneDefinition")
    if definition is None:
        return UTC_NAME
    name = of_definition(definition)
    if name is None:
        raise FaultError("ErrorTimeZone")
    return name


def _headers(header: etree._Element | None, server: Server) -> tuple[SchemaVersion, tuple[str, str] | None]:
    version, impersonated = UNNAMED, None
    seen: set[str] = set()
    for block in () if header is None else header:
        if not isinstance(block.tag, str):
            continue
        if block.tag in seen and block.tag.startswith(xml.T):
            raise FaultError("ErrorDuplicateSOAPHeader")
        seen.add(block.tag)
        check_header(block)
        if block.tag == xml.T + "RequestServerVersion":
            version = read_version(str(block.get("Version")), server)
        elif block.tag == xml.T + "ExchangeImpersonation":
            connecting = next(node for node in block.iter() if node.tag == xml.T + "ConnectingSID")
            identifier = next(node for node in connecting if isinstance(node.tag, str))
            impersonated = str(identifier.tag).rpartition("}")[2], (identifier.text or "").strip()
    return version, impersonated


def _parse(body: bytes) -> etree._Element:
    huge = len(body) > _HUGE_FROM_BYTES
    parser = etree.XMLParser(
        resolve_entities=False,
        no_network=True,
        load_dtd=False,
        remove_comments=True,
        remove_pis=True,
        huge_tree=huge,
    )
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise ViolationError(_shown(error), 0) from error
    except ValueError as error:
        raise NoSoapError from error
    if getattr(root.getroottree().docinfo, "doctype", ""):
        raise ViolationError("For security reasons DTD is prohibited in this XML document.", 0)
    if huge and any(depth > MAX_DEPTH for depth in _depths(root)):
        raise ViolationError("The XML is nested too deep.", 0)
    return root


def _depths(root: etree._Element) -> Iterator[int]:
    depth = 0
    for event, _ in etree.iterwalk(root, events=("start", "end")):
        depth += 1 if event == "start" else -1
        yield depth


def _shown(error: etree.XMLSyntaxError) -> str:
    line, column = error.position
    if error.msg.startswith("xmlParseEntityRef: no name"):
        return f"An error occurred while parsing EntityName. Line {line}, position {column}."
    # libxml2's own wording can quote the request; what is wrong, and where, is enough.
    return f"The XML document is not well-formed. Line {line}, position {column}."
