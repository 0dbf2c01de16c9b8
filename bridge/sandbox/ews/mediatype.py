"""Which bodies are SOAP 1.1 by what their Content-Type says; anything else is HTTP 415 before it is looked at."""

from __future__ import annotations

from email.message import Message
from typing import Final

from aiohttp import web

_EXPECTED: Final = "text/xml; charset=utf-8"
_CHARSETS: Final = frozenset({"utf-8", "utf-16", "utf-16le", "utf-16be", "unicodefffe"})
_MOST_SHOWN: Final = 200


def refusal(content_type: str | None) -> web.Response | None:
    """Return the refusal of a body of this type, in the words of Windows Communication Foundation; None for SOAP."""
    # Clients that say nothing mean SOAP: nothing else is served here.
    if content_type is None or _is_soap(content_type):
        return None
    shown = content_type[:_MOST_SHOWN] if content_type.isascii() and content_type.isprintable() else ""
    reason = f"Cannot process the message because the content type '{shown}' was not the expected type '{_EXPECTED}'."
    return web.Response(status=415, reason=reason)


def _is_soap(content_type: str) -> bool:
    header = Message()
    header["Content-Type"] = content_type
    charset = header.get_content_charset("utf-8")
    return header.get_content_type() == "text/xml" and charset in _CHARSETS
