"""JSON Web Tokens: those of the sandbox's own keys, RS256 and nothing else; and those of others, taken apart."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bridge.sandbox.entra.encoding import base64url, unbase64url

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bridge.sandbox.entra.keys import SigningKey


class NoTokenError(ValueError):
    """A text is no token, not of RS256, or lacks what it must claim."""


class WrongSignatureError(NoTokenError):
    """A token that somebody else signed, or that was changed since."""


@dataclass(frozen=True, slots=True)
class Token:
    """A token taken apart, and the bytes that its signature is of."""

    head: dict[str, Any]
    claims: dict[str, Any]
    signed: bytes
    signature: bytes


def encode(claims: Mapping[str, Any], key: SigningKey, *, typed: bool = True) -> str:
    """Return claims as a signed token that names its key; Kubernetes says neither the type nor a thumbprint."""
    named = {"alg": "RS256", "kid": key.key_id}
    head = {"typ": "JWT", **named, "x5t": key.key_id} if typed else named
    text = f"{_part(head)}.{_part(claims)}"
    return f"{text}.{base64url(key.sign(text.encode()))}"


def read(text: str) -> Token:
    """
    Return a token taken apart; nothing of it is verified.

    Raises:
        NoTokenError: It is none.
    """
    parts = text.split(".")
    if len(parts) != 3:
        raise NoTokenError("a token has three parts")
    head, claims = _read(parts[0]), _read(parts[1])
    try:
        signature = unbase64url(parts[2])
    except ValueError:
        raise NoTokenError("the signature is no base64url") from None
    return Token(head, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def decode(text: str, key: SigningKey, *, required: Collection[str]) -> dict[str, Any]:
    """
    Return the claims of a token that `key` signed, all that are required among them; none of them is judged here.

    Raises:
        WrongSignatureError: Somebody else signed it.
        NoTokenError: It is none.
    """
    token = read(text)
    if token.head.get("alg") != "RS256":
        raise NoTokenError("tokens are signed by RS256")
    if not key.signed(token.signed, token.signature):
        raise WrongSignatureError("the signature is another's")
    if any(token.claims.get(name) is None for name in required):
        raise NoTokenError("a claim is missing")
    return token.claims


def _part(value: Mapping[str, Any]) -> str:
    return base64url(json.dumps(value, separators=(",", ":")).encode())


def _read(part: str) -> dict[str, Any]:
    try:
        value = json.loads(unbase64url(part))
    except (ValueError, RecursionError):
        raise NoTokenError("a part is no JSON in base64url") from None
    if not isinstance(value, dict):
        raise NoTokenError("a part is no object")
    return value
