"""
Entra's refusals in the bridge's words.

Microsoft asks not to build logic on AADSTS numbers; what happens next follows from the OAuth `error` alone, the
numbers only choose the code and the hint that an operator reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bridge.adapters.entra.credential import Credential

_CODES: Final = {
    7000215: "secret_wrong",
    7000216: "secret_wrong",
    7000218: "secret_wrong",
    7000222: "secret_expired",
    700016: "app_unknown",
    700030: "app_unknown",
    7000112: "app_disabled",
    700027: "certificate_mismatch",
    1000502: "certificate_expired",
    90002: "tenant_unknown",
    900023: "tenant_unknown",
    900382: "cloud_wrong",
    900439: "cloud_wrong",
    500011: "scope_refused",
    500014: "scope_refused",
    70011: "scope_refused",
    1002012: "scope_refused",
    53003: "access_policy_refused",
    530034: "access_policy_refused",
    700021: "federation_mismatch",
    700022: "federation_mismatch",
    700023: "federation_mismatch",
    70021: "federation_mismatch",
    700211: "federation_mismatch",
    700212: "federation_mismatch",
    700213: "federation_mismatch",
    700214: "federation_mismatch",
    70025: "federation_mismatch",
    501661: "federation_mismatch",
    7000272: "federated_token_unusable",
    7000274: "federated_token_unusable",
    700024: "clock_skew",
    50027: "certificate_unusable",
}
_HINTS: Final = {
    "secret_wrong": "the client secret is wrong: paste the secret's value, not its id",
    "secret_id_given": "the client secret has the form of a secret's id: paste its value",
    "secret_expired": "the client secret has expired: make a new one in the app registration",
    "app_unknown": "the app is not in this tenant: check client_id and tenant_id",
    "app_disabled": "the app is disabled in this tenant",
    "certificate_mismatch": "the certificate does not match the app registration",
    "certificate_expired": "the certificate has expired",
    "certificate_not_yet_valid": "the certificate's time has not begun",
    "certificate_unusable": "Entra cannot read what the certificate signed",
    "tenant_unknown": "the tenant does not exist: check tenant_id and cloud",
    "cloud_wrong": "the tenant is in another cloud: check cloud",
    "scope_refused": "the resource or the scope is unknown in this tenant: check cloud",
    "access_policy_refused": "a conditional access policy refuses the app",
    "federation_mismatch": "the app does not trust the federated token: check issuer, subject and audience",
    "federated_token_unusable": "the federated token has ended, or cannot be read",
    "clock_skew": "the times in the assertion are not those of Entra's clock",
}
_FOR_NOW: Final = frozenset({"temporarily_unavailable", "server_error", "slow_down", "timeout"})
_SKEW_SECONDS: Final = 240.0


class CredentialRefusedError(CredentialsRejected):
    """It is this very credential that Entra refuses; another one of the same app may do."""


def error_for_answer(
    answer: Mapping[str, object],
    credential: Credential | None = None,
    *,
    now: float = 0.0,
    clock_ahead_seconds: float | None = None,
) -> BridgeError:
    """
    Return the meaning of an answer of the token endpoint that holds no token.

    `credential` is what was shown, at the time `now`; `clock_ahead_seconds` is how far Entra's clock is ahead of ours.
    """
    error = str(answer.get("error") or "unknown")
    if error in _FOR_NOW or not error.replace("_", "").isalpha():
        return TokenUnavailable("Entra cannot give a token at the moment")
    meaning = CredentialRefusedError if error == "invalid_client" else CredentialsRejected
    number = number_of(answer)
    text = f"Entra answered {error}"
    if number is None:
        return meaning(text)
    text += f" (AADSTS{number})"
    code = _CODES.get(number)
    if code is None:
        return meaning(text)
    if credential is not None:
        code = _more_exactly(code, credential, now, clock_ahead_seconds)
    text += f": {_HINTS[code]}"
    if credential is not None and credential.certificate is not None and code == "certificate_mismatch":
        text += f" (thumbprint {credential.certificate.thumbprint})"
    if code == "clock_skew" and clock_ahead_seconds is not None:
        text += f" (Entra's is {clock_ahead_seconds:+.0f} seconds from this machine's)"
    return meaning(text, code=code)


def number_of(answer: Mapping[str, object]) -> int | None:
    """Return the AADSTS number of a refusal, None where there is none."""
    numbers = answer.get("error_codes")
    codes: Sequence[object] = numbers if isinstance(numbers, list) else ()
    return next((code for code in codes if isinstance(code, int)), None)


def _more_exactly(code: str, credential: Credential, now: float, ahead: float | None) -> str:
    """Return the code that fits what was shown: the same number stands for several mistakes."""
    if code == "secret_wrong" and credential.looks_like_id:
        return "secret_id_given"
    if credential.kind == "federated token":
        return "federated_token_unusable" if code in {"clock_skew", "certificate_unusable"} else code
    certificate = credential.certificate
    if certificate is None or code not in {"certificate_mismatch", "clock_skew", "certificate_unusable"}:
        return code
    if code != "certificate_mismatch" and ahead is not None and abs(ahead) > _SKEW_SECONDS:
        return "clock_skew"
    there = now + (ahead or 0.0)
    if there > certificate.ends_at:
        return "certificate_expired"
    return "certificate_not_yet_valid" if there < certificate.begins_at else code
