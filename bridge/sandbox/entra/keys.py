"""
The key that signs tokens, and its public half for whoever verifies them.

RS256 by integers, as RFC 8017 writes it down: what signs a sandbox's tokens guards nothing, and the library that makes
the key would stay in memory for it. The library is loaded when a key is made, and not again.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.entra.encoding import base64url, unbase64url
from bridge.sandbox.entra.publickeys import PublicKey, pkcs1_padded
from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An RSA key of 2048 bits; tokens name it by its `kid`."""

    modulus: int
    public_exponent: int
    private_exponent: int

    @property
    def key_id(self) -> str:
        """Return the `kid`, the same for the same key."""
        return base64url(hashlib.sha1(self._bytes(self.modulus), usedforsecurity=False).digest())

    def sign(self, message: bytes) -> bytes:
        """Return the RS256 signature of a message."""
        padded = pkcs1_padded(message, self._length)
        return self._bytes(pow(int.from_bytes(padded), self.private_exponent, self.modulus))

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature is this key's, of that message."""
        return PublicKey(self.modulus, self.public_exponent).signed("RS256", message, signature)

    def jwk(self, issuer: str) -> dict[str, str]:
        """Return the public half as a JSON Web Key."""
        return {
            "kty": "RSA",
            "use": "sig",
            "kid": self.key_id,
            "x5t": self.key_id,
            "n": base64url(self._bytes(self.modulus)),
            "e": base64url(self.public_exponent.to_bytes((self.public_exponent.bit_length() + 7) // 8)),
            "issuer": issuer,
        }

    @property
    def _length(self) -> int:
        return (self.modulus.bit_length() + 7) // 8

    def _bytes(self, number: int) -> bytes:
        return number.to_bytes(self._length)


def ensure_signing_key(path: Path) -> SigningKey:
    """
    Return the key kept under `path`, a private JSON Web Key; made where absent.

    Raises:
        ValueError: The file holds something else.
    """
    if not path.exists():
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_atomically(path, json.dumps(_new_key()).encode())
    kept = json.loads(path.read_bytes())
    try:
        return SigningKey(*(int.from_bytes(unbase64url(kept[name])) for name in ("n", "e", "d")))
    except (KeyError, TypeError, AttributeError, ValueError):
        message = f"{path} holds no RSA key"
        raise ValueError(message) from None


def _new_key() -> dict[str, Any]:
    from cryptography.hazmat.primitives.asymmetric import rsa  # noqa: PLC0415 - nine megabytes, for one moment

    private = rsa.generate_private_key(public_exponent=65537, key_size=2048).private_numbers()
    public = private.public_numbers
    numbers = {"n": public.n, "e": public.e, "d": private.d, "p": private.p, "q": private.q,
               "dp": private.dmp1, "dq": private.dmq1, "qi": private.iqmp}  # fmt: skip
    return {"kty": "RSA"} | {
        name: base64url(number.to_bytes((number.bit_length() + 7) // 8)) for name, number in numbers.items()
    }
