"""The bridge's error for an answer of Exchange: by its response code (`response_codes.py`) or its HTTP status."""

from __future__ import annotations

import re
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

from bridge.adapters.ews import response_codes as codes
from bridge.errors import (
    BridgeError,
    CallNotPossible,
    CallRefused,
    CredentialsRejected,
    EwsBlocked,
    FolderNotFound,
    ItemChanged,
    MailboxAccessDenied,
    MailboxFull,
    MailboxNotFound,
    MailboxThrottled,
    MailboxUnavailable,
    MailUnreadable,
    SendRefused,
    ThrottledInFront,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

_STATED_DIGITS = 9

_DIAGNOSTICS = re.compile(r'error_category="([A-Za-z_]{1,40})"')
_TOKEN_REFUSALS = {
    "invalid_grant": "app_without_role",
    "invalid_resource": "token_audience_wrong",
    "invalid_tenant": "token_tenant_wrong",
}

_LONGEST_CODE = 100
UNKNOWN: Final = "exchange_code_unknown"
# Where a code stands in two sets, the later one counts: a mail that cannot be read is also one that cannot be sent.
_MEANINGS: Mapping[str, type[BridgeError]] = {
    **dict.fromkeys(codes.THROTTLED, MailboxThrottled),
    **dict.fromkeys(codes.UNAVAILABLE, MailboxUnavailable),
    **dict.fromkeys(codes.CONFLICT, CallRefused),
    **dict.fromkeys(codes.CHANGED, ItemChanged),
    **dict.fromkeys(codes.LOGIN, CredentialsRejected),
    **dict.fromkeys(codes.NOT_IMPERSONATED | codes.ACCESS_DENIED, MailboxAccessDenied),
    **dict.fromkeys(codes.FOLDER_MISSING, FolderNotFound),
    **dict.fromkeys(codes.MAILBOX_MISSING, MailboxNotFound),
    **dict.fromkeys(codes.FULL, MailboxFull),
    **dict.fromkeys(codes.SEND_REFUSALS, SendRefused),
    **dict.fromkeys(codes.CONVERSION_REFUSALS | codes.UNREADABLE, MailUnreadable),
    **dict.fromkeys(codes.NOT_POSSIBLE, CallNotPossible),
}


def plain_code(text: str) -> str:
    """Return a code as it may be told, what cannot be one of Exchange's as that: it may be anything, of any length."""
    return text if text.isascii() and text.isalnum() and len(text) <= _LONGEST_CODE else "unknown response code"


def error_for_code(code: str, *, inner_code: str | None = None, back_off_seconds: float | None = None) -> BridgeError:
    """
    Return the bridge's error for an EWS response code.

    An ErrorInternalServerError that carries ErrorServerBusy inside a 200 is the third face of throttling
    (learn.microsoft.com, "EWS throttling in Exchange"). A code that nobody knew when this was written may mean
    anything, also that the call worked: whatever it was is tried again, and the code is told.
    """
    if code in codes.THROTTLED or inner_code in codes.THROTTLED:
        return MailboxThrottled(code, retry_after_seconds=back_off_seconds)
    meaning = _MEANINGS.get(code)
    if meaning is None:
        return MailboxUnavailable(plain_code(code), code=UNKNOWN)
    if meaning is MailboxAccessDenied and code in codes.NOT_IMPERSONATED:
        return MailboxAccessDenied(code, code="impersonation_denied")
    return meaning(code)


def error_for_status(status: int, headers: Mapping[str, str]) -> BridgeError | None:
    """
    Return the error for an HTTP status, None where the body decides (200, and 500 with a SOAP fault).

    A policy 403 is told by its header, not by its body (learn.microsoft.com, "How to control access to EWS").
    """
    if status in {200, 500}:
        return None
    if status == 401:
        return _refused_token(headers)
    if status == 403:
        return _forbidden(headers)
    if status == 413:
        return SendRefused("HTTP 413")  # only a mail on its way out makes a large request
    if status in {429, 503}:
        return ThrottledInFront(f"HTTP {status}", retry_after_seconds=_retry_after_seconds(headers))
    return MailboxUnavailable(f"HTTP {status}")


def _refused_token(headers: Mapping[str, str]) -> BridgeError:
    """Return what a 401 means; Exchange says in x-ms-diagnostics why it takes no token, with a category (MS-XOAUTH)."""
    match = _DIAGNOSTICS.search(headers.get("x-ms-diagnostics", ""))
    category = match[1].lower() if match is not None else ""
    detail = f"HTTP 401, {category}" if category else "HTTP 401"
    return CredentialsRejected(detail, code=_TOKEN_REFUSALS.get(category))


def _forbidden(headers: Mapping[str, str]) -> BridgeError:
    reason = headers.get("X-EWS-Policy-Reason", "").lower()
    if "disabled" in reason:
        return EwsBlocked("HTTP 403, X-EWS-Policy-Reason: EWS is disabled", code="ews_disabled")
    if reason:
        return EwsBlocked("HTTP 403, X-EWS-Policy-Reason: EWS is blocked by policy")
    if _DIAGNOSTICS.search(headers.get("x-ms-diagnostics", "")):
        return MailboxAccessDenied("HTTP 403, the token's permissions are not enough", code="token_role_wrong")
    return MailboxAccessDenied("HTTP 403")


def _retry_after_seconds(headers: Mapping[str, str]) -> float | None:
    stated = headers.get("Retry-After", "").strip()
    seconds = stated_seconds(stated)
    return _seconds_from(headers.get("Date", ""), stated) if seconds is None else seconds


def _seconds_from(date: str, until: str) -> float | None:
    """Return the time between two HTTP dates; the first is the answer's own, whatever our clock says."""
    try:
        wait = (parsedate_to_datetime(until) - parsedate_to_datetime(date)).total_seconds()
    except (ValueError, TypeError, OverflowError):  # no dates, or one of them without a zone
        return None
    return max(wait, 0.0) if wait < 10**_STATED_DIGITS else None


def stated_seconds(text: str, *, per_second: int = 1) -> float | None:
    """Return a wait that the other side stated as a whole number, None where it makes no sense."""
    if not (text.isascii() and text.isdecimal() and len(text) <= _STATED_DIGITS):
        return None
    return int(text) / per_second
