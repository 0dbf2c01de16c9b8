"""Pieces of XML as text. Answers are joined from strings: a thousand ids take no tree."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Final

from bridge.sandbox.ews.servers import ONLINE
from bridge.sandbox.store.properties import from_micros

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lxml import etree

    from bridge.sandbox.ews.servers import Server

M: Final = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T: Final = "{http://schemas.microsoft.com/exchange/services/2006/types}"
SOAP: Final = "{http://schemas.xmlsoap.org/soap/envelope/}"

_SPECIAL = re.compile("[&<>\r]")
_SPECIAL_IN_ATTRIBUTE = re.compile('[&<>"\r\n\t]')
_NO_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_ESCAPES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#xD;", "\n": "&#xA;", "\t": "&#x9;"}

_OPENING: Final = (
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Header>'
    '<h:ServerVersionInfo{version} xmlns:h="http://schemas.microsoft.com/exchange/services/2006/types"'
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"/>'
    "</s:Header><s:Body>"
)
# How the envelopes of a stream look: no declaration, and a default namespace, which clients look for by the letter.
_STREAM_OPENING: Final = (
    '<Envelope xmlns="http://schemas.xmlsoap.org/soap/envelope/">'
    '<soap11:Header xmlns:soap11="http://schemas.xmlsoap.org/soap/envelope/">'
    '<ServerVersionInfo xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    '{version} xmlns="http://schemas.microsoft.com/exchange/services/2006/types"/></soap11:Header>'
    '<soap11:Body xmlns:soap11="http://schemas.xmlsoap.org/soap/envelope/">'
)
_STREAM_CLOSING: Final = "</soap11:Body></Envelope>"
_CLOSING: Final = "</s:Body></s:Envelope>"
_NAMESPACES: Final = (
    ' xmlns:m="http://schemas.microsoft.com/exchange/services/2006/messages"'
    ' xmlns:xsd="http://www.w3.org/2001/XMLSchema" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"'
    ' xmlns:t="http://schemas.microsoft.com/exchange/services/2006/types"'
)


def text(value: str) -> str:
    """Return a text as element content; what XML has no place for is left out."""
    if _NO_XML.search(value):
        value = _NO_XML.sub("", value)
    if _SPECIAL.search(value):
        return _SPECIAL.sub(lambda found: _ESCAPES[found[0]], value)
    return value


def attribute(value: str) -> str:
    """Return a text as an attribute's value, without the quotes."""
    value = _NO_XML.sub("", value)
    return _SPECIAL_IN_ATTRIBUTE.sub(lambda found: _ESCAPES[found[0]], value)


def element(name: str, value: str) -> str:
    """Return an element of the types namespace with text in it."""
    return f"<t:{name}>{text(value)}</t:{name}>" if value else f"<t:{name}/>"


def boolean(value: object) -> str:
    """Return `true` or `false`."""
    return "true" if value else "false"


_IN_MILLISECONDS: ContextVar[bool] = ContextVar("in_milliseconds", default=False)


@contextmanager
def times_in(precision: str) -> Iterator[None]:
    """Show times in `Seconds` or `Milliseconds` (DateTimePrecision) until the block ends."""
    before = _IN_MILLISECONDS.set(precision == "Milliseconds")
    try:
        yield
    finally:
        _IN_MILLISECONDS.reset(before)


def moment(micros: int) -> str:
    """Return a time of the bag as Exchange shows it: in whole seconds, unless the client asked for more."""
    shown = from_micros(micros)
    return f"{shown:%Y-%m-%dT%H:%M:%S}{f'.{shown.microsecond // 1000:03}' if _IN_MILLISECONDS.get() else ''}Z"


@cache
def _opening(server: Server, *, streamed: bool) -> str:
    return (_STREAM_OPENING if streamed else _OPENING).replace("{version}", server.attributes())


def envelope(response: str, content: str, attributes: str = "", *, server: Server = ONLINE) -> bytes:
    """Return a whole answer: the envelope, the response element of this name, and its content."""
    opening = _opening(server, streamed=False)
    return f"{opening}<m:{response}{attributes}{_NAMESPACES}>{content}</m:{response}>{_CLOSING}".encode()


def streamed_envelope(response: str, content: str, *, server: Server = ONLINE) -> bytes:
    """Return one of the envelopes that make up a streamed answer."""
    opening = _opening(server, streamed=True)
    return f"{opening}<m:{response}{_NAMESPACES}>{content}</m:{response}>{_STREAM_CLOSING}".encode()


def attributes_of(node: etree._Element) -> dict[str, str]:
    """Return an element's attributes as plain text."""
    return {str(name): str(value) for name, value in node.attrib.items()}


def truth(value: str | None) -> bool:
    """Return what an xs:boolean says; absent is false."""
    return value is not None and value.strip() in ("true", "1")
