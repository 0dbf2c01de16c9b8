"""The back ends that mailboxes lie on, and how clients stick to one."""

from __future__ import annotations

from hashlib import sha256
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.ews.behaviour.book import BehaviourSettings

COOKIE: Final = "X-BackEndOverrideCookie"
AFFINITY: Final = "X-PreferServerAffinity"
ANCHOR: Final = "X-AnchorMailbox"
_DOMAIN: Final = "backend.sandbox.localhost"
# What follows the tilde is the server's version in Exchange's own cookies, one number.
_VERSION: Final = "1941996295"


def back_end(book: BehaviourSettings, address: str) -> str:
    """Return the name of the back end of a mailbox. Each move leads to the next one."""
    first = int.from_bytes(sha256(address.lower().encode()).digest()[:4])
    return f"SANDBOXBE{(first + book.moved(address).count) % book.of_all('back_ends') + 1:02d}"


def overridden(cookies: str) -> str | None:
    """Return the back end that a request's Cookie header asks for, None where it asks for none."""
    try:
        morsel = SimpleCookie(cookies).get(COOKIE)
    except CookieError:
        return None
    return None if morsel is None else morsel.value.partition("~")[0].partition(".")[0]


def led_to(book: BehaviourSettings, address: str | None, given: Mapping[str, str]) -> str | None:
    """
    Return the back end that a request about subscriptions reaches: that of its cookie, of its anchor mailbox, or of the
    mailbox acted in; None for a request that names none of them.
    """
    anchor = given.get(ANCHOR, "").strip() or address
    return overridden(given.get("Cookie", "")) or (back_end(book, anchor) if anchor else None)


def headers(book: BehaviourSettings, address: str | None, given: Mapping[str, str]) -> dict[str, str]:
    """
    Return what an answer says of the servers that made it.

    A request that prefers affinity, or comes with the cookie of a back end that the mailbox has left, gets the cookie
    of the right one.
    """
    if address is None:
        return {}
    name = back_end(book, address)
    found = {
        "X-CalculatedBETarget": f"{name}.{_DOMAIN}",
        "X-DiagInfo": name,
        "X-BEServer": name,
        "X-FEServer": "SANDBOXFE01",
    }
    asked_for = overridden(given.get("Cookie", ""))
    prefers = given.get(AFFINITY, "").strip().lower() == "true"
    if (prefers and asked_for is None) or (asked_for is not None and asked_for != name):
        found["Set-Cookie"] = f"{COOKIE}={name}.{_DOMAIN}~{_VERSION}; path=/; secure; HttpOnly"
    return found
