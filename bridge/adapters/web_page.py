"""A page in place of an answer: what captive portals, filtering proxies and other servers at the address send."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import requests

PAGE: Final = "page_instead_of_answer"
"""The code of `bridge.telemetry.reasons`."""

_NETWORK_LOGIN: Final = 511
_LOOKED_AT_BYTES: Final = 1024
_HTML: Final = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]*>\s*)?(?:<!--.*?-->\s*)*<(?:!doctype\s+html|html|head|script|meta)\b",
    re.IGNORECASE | re.DOTALL,
)


def web_page(response: requests.Response) -> str | None:
    """
    Return what came, where that is a web page or the way to one; None where it may be an answer.

    The body decides, as far as it was read: proxies also give good answers a wrong type. A server in trouble (5xx) may
    show a page of its own.
    """
    status = response.status_code
    if status == _NETWORK_LOGIN:
        return f"HTTP {status}, the network asks for a login"
    if 300 <= status < 400:
        return f"HTTP {status}, a redirect"
    if status == 429 or status >= 500:
        return None
    body: bytes = getattr(response, "_content", None) or b""  # an answer that is not read yet has False
    return f"HTTP {status}, a web page" if _HTML.match(body[:_LOOKED_AT_BYTES]) else None
