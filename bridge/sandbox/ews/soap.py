"""Reading a SOAP envelope out of bytes that anybody may have sent."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from lxml import etree

from bridge.sandbox.ews import xml
from bridge.sandbox.ews.errors import FaultError
from bridge.sandbox.ews.grammar.check import MESSAGES_NAMESPACE, ViolationError, check_header, check_request, is_known

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_DEPTH: Final = 256
_VERSIONS: Final = frozenset({
    "Exchange2007", "Exchange2007_SP1", "Exchange2009", "Exchange2010", "Exchange2010_SP1", "Exchange2010_SP2",
    "Exchange2012", "Exchange2013", "Exchange2013_SP1", "Exchange2015", "Exchange2016",
})  # fmt: skip
_NUMBERED_VERSION: Final = re.compile(r"V[0-9]{1,4}(?:_[0-9]{1,4}){1,2}")
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
    version: str
    impersonated: tuple[str, str] | None
    """The kind of identifier in ConnectingSID and its text."""


def read_envelope(body: bytes) -> Envelope:
    """
    Return what a request says, checked against the grammar.

    Raises:
        NoSoapError: The body is no envelope.
        ViolationError: It is not as Exchange's schema wants it.
        UnknownOperationError: There is no such operation.
        FaultError: ErrorInvalidServerVersion, the version asked for is none.
    """
    root = _parse(body)
    if root.tag != xml.SOAP + "Envelope":
        raise NoSoapError
    soap_body = root.find(xml.SOAP + "Body")
    requests = [] if soap_body is None else [node for node in soap_body if isinstance(node.tag, str)]
    if len(requests) != 1:
        raise NoSoapError
    request = requests[0]
    version, impersonated = _headers(root.find(xml.SOAP + "Header"))
    name = etree.QName(request)
    if name.namespace != MESSAGES_NAMESPACE or not is_known(request):
        raise UnknownOperationError(name.localname)
    check_request(request)
    # Two operations on out-of-office settings have `Request` in the name of the element alone.
    return Envelope(request, name.localname.removesuffix("Request"), version, impersonated)


def _headers(header: etree._Element | None) -> tuple[str, tuple[str, str] | None]:
    version, impersonated = "", None
    for block in () if header is None else header:
        if not isinstance(block.tag, str):
            continue
        check_header(block)
        if block.tag == xml.T + "RequestServerVersion":
            version = str(block.get("Version"))
            if version not in _VERSIONS and not _NUMBERED_VERSION.fullmatch(version):
                raise FaultError("ErrorInvalidServerVersion")
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
    # libxml2's own wording can quote the request; what is wrong, and where, is enough.
    return f"The XML document is not well-formed. Line {line}, position {column}."
