"""
The Message-ID of a mail that the bridge sends, from which its request can be told again.

A reply, a receipt or a bounce names the Message-ID of what it answers, and workers keep no state: so the request id is
in it. Exchange may put its own Message-ID in place of a client's (MS-OXCMAIL permits it); then only the header
X-Bridge-Request-Id of a returned original tells.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re

_FORM = re.compile(r"\s*<?bridge\.([a-z2-7]{2,320})\.([0-9a-f]{12})@[^<>@\s]+>?\s*", re.IGNORECASE)


def message_id_of(request_id: str, sender_address: str) -> str:
    """Return the Message-ID, with its brackets: the same for the same request from the same address."""
    encoded = base64.b32encode(request_id.encode()).decode("ascii").rstrip("=").lower()
    return f"<bridge.{encoded}.{_check(request_id)}@{sender_address.rpartition('@')[2].lower()}>"


def request_id_of(message_id: str) -> str | None:
    """Return the request id that a Message-ID of ours holds; None for any other."""
    found = _FORM.fullmatch(message_id)
    if not found:
        return None
    encoded = found[1].upper()
    try:
        request_id = base64.b32decode(encoded + "=" * (-len(encoded) % 8)).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return request_id if _check(request_id) == found[2].lower() else None


def _check(request_id: str) -> str:
    return hashlib.sha256(b"bridge message-id\0" + request_id.encode()).hexdigest()[:12]
