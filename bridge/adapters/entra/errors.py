"""
Entra's refusals in the bridge's words.

Microsoft asks not to build logic on AADSTS numbers; what happens next follows from the OAuth `error` alone, the
numbers only choose the hint that an operator reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_HINTS = {
    7000215: "the client secret is wrong: paste the secret's value, not its id",
    7000222: "the client secret has expired: make a new one in the app registration",
    7000216: "no client secret was sent",
    700016: "the app is not in this tenant: check client_id and tenant_id",
    700027: "the certificate does not match the app registration",
    90002: "the tenant does not exist: check tenant_id",
    500011: "the resource is unknown in this tenant: check cloud",
    70011: "the scope is wrong: check cloud",
    1002012: "the scope is wrong: check cloud",
    53003: "a conditional access policy refuses the app",
}

_FOR_NOW = frozenset({"temporarily_unavailable", "server_error", "slow_down", "timeout"})


def error_for_answer(answer: Mapping[str, object]) -> BridgeError:
    """Return the meaning of an answer of the token endpoint that holds no token."""
    numbers = answer.get("error_codes")
    codes: Sequence[object] = numbers if isinstance(numbers, list) else ()
    known = next((code for code in codes if isinstance(code, int)), None)
    error = str(answer.get("error") or "unknown")
    if error in _FOR_NOW or not error.replace("_", "").isalpha():
        return TokenUnavailable("Entra cannot give a token at the moment")
    text = f"Entra answered {error}"
    if known is not None:
        text += f" (AADSTS{known})"
        if known in _HINTS:
            text += f": {_HINTS[known]}"
    return CredentialsRejected(text)
