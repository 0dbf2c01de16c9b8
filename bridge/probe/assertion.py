"""Assertions of a key that nobody knows: what Entra says to them shows in which order it looks at one."""

from __future__ import annotations

import base64
import json
import time
import uuid
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Mapping

JWT_BEARER: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_LIFE_SECONDS: Final = 600


class StrangersKey:
    """A key of this moment. Nothing that it signs proves anything to anybody."""

    def __init__(self) -> None:
        """Make it."""
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def assertion(
        self,
        client_id: str,
        audience: str,
        *,
        claims: Mapping[str, object] | None = None,
        head: Mapping[str, object | None] | None = None,
    ) -> str:
        """Return what an app would show as its proof, but for what is changed; None leaves a part of the head out."""
        now = int(time.time())
        all_claims = {
            "aud": audience, "iss": client_id, "sub": client_id, "jti": str(uuid.uuid4()),
            "iat": now, "nbf": now, "exp": now + _LIFE_SECONDS, **(claims or {}),
        }  # fmt: skip
        named = {"alg": "PS256", "typ": "JWT", "x5t#S256": _base64url(bytes(32)), **(head or {})}
        text = ".".join(_base64url(json.dumps(part).encode()) for part in (_without_none(named), all_claims))
        pss = padding.PSS(padding.MGF1(hashes.SHA256()), padding.PSS.DIGEST_LENGTH)
        return f"{text}.{_base64url(self._key.sign(text.encode(), pss, hashes.SHA256()))}"


def _without_none(parts: Mapping[str, object | None]) -> dict[str, object]:
    return {name: value for name, value in parts.items() if value is not None}


def _base64url(value: bytes) -> str:
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()
