"""
What Exchange's servers say of themselves in the HTTP headers of an answer, as recordings of them show it.

Exchange Online says what its front ends of 2020 and of 2025 say together. Left out are `Strict-Transport-Security`,
which would have a browser refuse the admin API on the same name, and `NEL` with `Report-To`, which would have it send
reports to Microsoft.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import timedelta
from http.cookies import CookieError, SimpleCookie
from typing import Final
from uuid import uuid4

from bridge.sandbox.clock import EXCHANGE

COOKIE: Final = "exchangecookie"
SERVER: Final = "Microsoft-IIS/10.0"
_COOKIE_LASTS: Final = timedelta(days=365)
_ALWAYS: Final = {
    "Content-Type": "text/xml; charset=utf-8",
    "Cache-Control": "private",
    "Server": SERVER,
    "X-AspNet-Version": "4.0.30319",
    "X-Powered-By": "ASP.NET",
}
_ONLINE: Final = {
    "Restrict-Access-Confirm": "1",
    "X-BeSku": "WCS7",
    "X-CalculatedFETarget": "frontend.sandbox.localhost",
    "X-FEEFZInfo": "SBX",
    "X-FirstHopCafeEFZ": "SBX",
    "X-NanoProxy": "1,1",
    "X-Proxy-RoutingCorrectness": "1",
    "X-RUM-NotUpdateQueriedDbCopy": "1",
    "X-RUM-NotUpdateQueriedPath": "1",
    "X-RUM-Validated": "1",
}


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """The servers that answers go through: Exchange Online's, or those of one's own Exchange."""

    on_premises: bool = False

    def headers(self, operation: str, status: int, app_id: str | None) -> dict[str, str]:
        """Return what an answer of EWS says whatever its mailbox; `app_id` is the app that a token was issued to."""
        found = {**_ALWAYS, "Date": EXCHANGE.http_date(), "request-id": str(uuid4())}
        if self.on_premises:
            return found
        found |= _ONLINE
        found |= {
            "MS-CV": f"{base64.b64encode(uuid4().bytes).decode()[:22]}.1.1",
            "X-BackEndHttpStatus": f"{status},{status}",
            "X-Proxy-BackendServerStatus": str(status),
            "x-EwsHandler": operation,
        }
        if app_id:
            found["x-ms-appId"] = app_id
        return found

    def refusal(self) -> dict[str, str]:
        """Return what the web server says of itself where it lets nobody in."""
        found = {name: _ALWAYS[name] for name in ("Server", "X-Powered-By")}
        found["Date"] = EXCHANGE.http_date()
        return {**found, "Content-Type": "text/html"} if self.on_premises else found


def new_cookie(given: str) -> str | None:
    """Return the Set-Cookie by which Exchange knows a client again, None where its Cookie header says it already."""
    try:
        if COOKIE in SimpleCookie(given):
            return None
    except CookieError:
        pass  # what cannot be read names no client
    until = EXCHANGE.now() + _COOKIE_LASTS
    return f"{COOKIE}={uuid4().hex}; expires={until:%a, %d-%b-%Y %H:%M:%S} GMT; path=/; HttpOnly"
