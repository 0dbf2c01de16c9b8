"""Base64 as tokens and keys write it: for URLs, without padding."""

from __future__ import annotations

import base64


def base64url(value: bytes) -> str:
    """Return bytes as tokens and keys write them."""
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()


def unbase64url(text: str) -> bytes:
    """
    Return the bytes of such a text; padding does no harm.

    Raises:
        ValueError: It is none.
    """
    return base64.b64decode(text.rstrip("=").encode("ascii") + b"=" * (-len(text.rstrip("=")) % 4), altchars=b"-_",
                            validate=True)  # fmt: skip
