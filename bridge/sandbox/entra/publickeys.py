"""
Checks signatures of others' keys: RS256 and PS256, by integers, as RFC 8017 writes them down.

Why by hand: see `keys`. What is compared is whole blocks that are made here, or bytes whose every bit is looked at, so
that nothing can hide in a signature.
"""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Self

from bridge.sandbox.entra.encoding import unbase64url

if TYPE_CHECKING:
    from collections.abc import Mapping

ALGORITHMS: Final = ("PS256", "RS256")

# What PKCS #1 puts before a SHA-256 to say that it is one.
_SHA256: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_HASH_BYTES: Final = 32
_TRAILER: Final = 0xBC
_SHORTEST_BITS, _LONGEST_BITS, _LONGEST_EXPONENT_BITS = 2048, 16_384, 64


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half of an RSA key."""

    modulus: int
    exponent: int

    @classmethod
    def of(cls, modulus: str, exponent: str) -> Self:
        """
        Return the key of two numbers in base64url.

        Raises:
            ValueError: They are none, or of no RSA key that anybody uses.
        """
        key = cls(int.from_bytes(unbase64url(modulus)), int.from_bytes(unbase64url(exponent)))
        if not _SHORTEST_BITS <= key.modulus.bit_length() <= _LONGEST_BITS:
            raise ValueError("the modulus has too few or too many bits")
        if not 2 <= key.exponent.bit_length() <= _LONGEST_EXPONENT_BITS:
            raise ValueError("the exponent has too few or too many bits")
        return key

    @classmethod
    def of_jwk(cls, jwk: Mapping[str, object]) -> Self:
        """
        Return the key of a JSON Web Key.

        Raises:
            ValueError: It is none of RSA.
        """
        modulus, exponent = jwk.get("n"), jwk.get("e")
        if jwk.get("kty") != "RSA" or not isinstance(modulus, str) or not isinstance(exponent, str):
            raise ValueError("this is no RSA key")
        return cls.of(modulus, exponent)

    def signed(self, algorithm: str, message: bytes, signature: bytes) -> bool:
        """Return whether a signature by one of the algorithms is this key's, of that message."""
        number, length = int.from_bytes(signature), self.bytes
        if len(signature) != length or number >= self.modulus:
            return False
        opened = pow(number, self.exponent, self.modulus)
        if algorithm == "RS256":
            return hmac.compare_digest(opened.to_bytes(length), pkcs1_padded(message, length))
        return algorithm == "PS256" and _is_pss(opened, self.modulus.bit_length() - 1, message)

    @property
    def bytes(self) -> int:
        """Return how many bytes a signature has."""
        return (self.modulus.bit_length() + 7) // 8


def pkcs1_padded(message: bytes, length: int) -> bytes:
    """Return what an RS256 signature of a message signs: one block and no other."""
    digest = _SHA256 + hashlib.sha256(message).digest()
    return b"\x00\x01" + b"\xff" * (length - len(digest) - 3) + b"\x00" + digest


def _is_pss(opened: int, bits: int, message: bytes) -> bool:
    # RFC 8017, 9.1.2, with the salt as long as the hash, as RFC 7518 wants it.
    length = (bits + 7) // 8
    if opened.bit_length() > bits:
        return False
    encoded = opened.to_bytes(length)
    masked, digest = encoded[: -_HASH_BYTES - 1], encoded[-_HASH_BYTES - 1 : -1]
    mask = _stretched(digest, len(masked))
    block = int.from_bytes(masked) ^ int.from_bytes(mask)
    block &= (1 << (bits - 8 * (_HASH_BYTES + 1))) - 1
    plain = block.to_bytes(len(masked))
    padding, salt = plain[: -_HASH_BYTES - 1], plain[-_HASH_BYTES - 1 :]
    if encoded[-1] != _TRAILER or any(padding) or salt[0] != 1:
        return False
    wanted = hashlib.sha256(bytes(8) + hashlib.sha256(message).digest() + salt[1:]).digest()
    return hmac.compare_digest(wanted, digest)


def _stretched(seed: bytes, length: int) -> bytes:
    blocks = (length + _HASH_BYTES - 1) // _HASH_BYTES
    return b"".join(hashlib.sha256(seed + number.to_bytes(4)).digest() for number in range(blocks))[:length]
