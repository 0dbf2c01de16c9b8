"""SOAP answers of EWS, parsed strictly: what is truncated or malformed is never mistaken for an answer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lxml import etree

from bridge.adapters.ews.errors import error_for_code, stated_seconds
from bridge.errors import BridgeError, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

SOAP = "http://schemas.xmlsoap.org/soap/envelope/"
MESSAGES = "http://schemas.microsoft.com/exchange/services/2006/messages"
TYPES = "http://schemas.microsoft.com/exchange/services/2006/types"
ERRORS = "http://schemas.microsoft.com/exchange/services/2006/errors"
M, T = f"{{{MESSAGES}}}", f"{{{TYPES}}}"
NAMESPACES = {"m": MESSAGES, "t": TYPES}


class MalformedAnswer(MailboxUnavailable):
    """A whole answer that is no well-formed XML: one item in it may carry characters that XML forbids."""

    code = "malformed_answer"


@dataclass(frozen=True, slots=True)
class ResponseMessage:
    """One answer to one part of a request: an element and no error, or an error with Exchange's code."""

    element: etree._Element
    code: str
    error: BridgeError | None

    def raise_error(self) -> None:
        """Raise the error, if there is one."""
        if self.error is not None:
            raise self.error


def parse_answer(body: bytes, operation: str) -> list[ResponseMessage]:
    """
    Return the response messages of an answer, in the order of the request.

    Raises:
        MailboxUnavailable: Not the answer of this operation, or cut off.
        MalformedAnswer: Whole, but not well-formed.
        BridgeError: The meaning of a SOAP fault.
    """
    if not body.rstrip().endswith(b"Envelope>"):
        raise MailboxUnavailable("the answer is cut off or no SOAP")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True, remove_comments=True
    )
    try:
        envelope = etree.fromstring(body, parser)
    except etree.XMLSyntaxError as error:
        raise MalformedAnswer(type(error).__name__) from None  # the parser's text may quote the mail
    return messages_of(envelope, operation)


def messages_of(envelope: etree._Element, operation: str) -> list[ResponseMessage]:
    """
    Return the response messages of an answer, in the order of the request.

    Raises:
        MailboxUnavailable: Not the answer of this operation.
        BridgeError: The meaning of a SOAP fault.
    """
    soap_body = envelope.find(f"{{{SOAP}}}Body")
    if soap_body is None:
        raise MailboxUnavailable("the answer has no SOAP body")
    fault = soap_body.find(f"{{{SOAP}}}Fault")
    if fault is not None:
        raise _error_of_fault(fault)
    answer = soap_body.find(f"{M}{operation}Response")
    if answer is None:
        raise MailboxUnavailable("the answer belongs to another operation")
    messages = answer.find(f"{M}ResponseMessages")
    return [_message(element) for element in (messages if messages is not None else [answer])]


def _message(element: etree._Element) -> ResponseMessage:
    code = (element.findtext(f"{M}ResponseCode") or "").strip()
    if element.get("ResponseClass") == "Success" and code in {"", "NoError"}:
        return ResponseMessage(element, "NoError", None)
    values = dict(_values(element.find(f"{M}MessageXml")))
    inner = values.get("InnerErrorResponseCode")
    error = error_for_code(code or "unknown", inner_code=inner, back_off_seconds=_back_off_seconds(values))
    return ResponseMessage(element, code, error)


def _error_of_fault(fault: etree._Element) -> BridgeError:
    code = (fault.findtext(f"detail/{{{ERRORS}}}ResponseCode") or "").strip()
    if not code:
        code = (fault.findtext("faultcode") or "").rpartition(":")[2].strip()
    values = dict(_values(fault.find(f"detail/{T}MessageXml")))
    return error_for_code(code or "unknown", back_off_seconds=_back_off_seconds(values))


def _values(message_xml: etree._Element | None) -> Iterator[tuple[str, str]]:
    if message_xml is not None:
        for value in message_xml.iter(f"{T}Value"):
            yield value.get("Name") or "", (value.text or "").strip()


def _back_off_seconds(values: dict[str, str]) -> float | None:
    return stated_seconds(values.get("BackOffMilliseconds", ""), per_second=1000)


def element(tag: str, *children: etree._Element, text: str | None = None, **attributes: str) -> etree._Element:
    """Return a request element; the tag is written `m:Name` or `t:Name`."""
    prefix, _, name = tag.partition(":")
    made = etree.Element(f"{{{NAMESPACES[prefix]}}}{name}", attributes, nsmap=NAMESPACES)
    made.text = text
    made.extend(children)
    return made
