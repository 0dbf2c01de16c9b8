"""
What a token says of itself, to be shown and compared.

Nothing here is verified, and nothing that protects anything may rest on it: that is for Exchange, which checks the
signature. Microsoft calls tokens opaque to whoever asks for them; one that cannot be read is no fault.
"""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_LONGEST = 100_000


@dataclass(frozen=True, slots=True)
class Claims:
    """The part of a token's claims that decides whether Exchange takes it."""

    audience: str
    roles: Sequence[str]
    tenant_id: str
    expires_at: float
    issued_at: float


def read_claims(token: str) -> Claims | None:
    """Return the claims of a token; None where it is none that can be read."""
    parts = token.split(".")
    if len(token) > _LONGEST or len(parts) != 3:
        return None
    try:
        told = json.loads(base64.b64decode(parts[1] + "=" * (-len(parts[1]) % 4), altchars=b"-_", validate=True))
        roles = told.get("roles", [])
        return Claims(
            audience=str(told["aud"]),
            roles=[str(role) for role in roles] if isinstance(roles, list) else [],
            tenant_id=str(told.get("tid", "")),
            expires_at=float(told["exp"]),
            issued_at=float(told.get("iat") or told.get("nbf") or 0),
        )
    except (binascii.Error, ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        return None
