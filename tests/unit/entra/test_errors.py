"""What Entra's refusals mean, and for whom."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.adapters.entra.certificate import Certificate
from bridge.adapters.entra.credential import Credential
from bridge.adapters.entra.errors import CredentialRefusedError, error_for_answer
from bridge.errors import CredentialsRejected, TokenUnavailable
from bridge.telemetry.reasons import CODES

NOW = 1_800_000_000.0
_SECRET = Credential("client secret", "f", secret="value")
_ID = Credential("client secret", "f", secret="11111111-2222-3333-4444-555555555555")
_TOKEN = Credential("federated token", "f", read_token=lambda: "a.b.c")


def certificate(begins: float = NOW - 100, ends: float = NOW + 100) -> Credential:
    return Credential("certificate", "f", certificate=Certificate("", "", begins, ends, "ABCD"))


def refusal(number: int, error: str = "invalid_client") -> dict[str, Any]:
    return {"error": error, "error_codes": [number], "error_description": f"AADSTS{number}: private"}


@pytest.mark.parametrize(
    ("answer", "credential", "ahead", "code"),
    [
        (refusal(7000222), _SECRET, None, "secret_expired"),
        (refusal(7000215), _SECRET, None, "secret_wrong"),
        (refusal(7000215), _ID, None, "secret_id_given"),
        (refusal(700016, "unauthorized_client"), _SECRET, None, "app_unknown"),
        (refusal(7000112, "unauthorized_client"), _SECRET, None, "app_disabled"),
        (refusal(90002, "invalid_request"), _SECRET, None, "tenant_unknown"),
        (refusal(500011, "invalid_resource"), _SECRET, None, "scope_refused"),
        (refusal(53003, "access_denied"), _SECRET, None, "access_policy_refused"),
        (refusal(700027), certificate(), 0.0, "certificate_mismatch"),
        (refusal(700027), certificate(ends=NOW - 1), 0.0, "certificate_expired"),
        (refusal(700027), certificate(begins=NOW + 1), 0.0, "certificate_not_yet_valid"),
        (refusal(700024), certificate(), 3_600.0, "clock_skew"),
        (refusal(700024), certificate(), None, "clock_skew"),
        (refusal(700024), _TOKEN, 0.0, "federated_token_unusable"),
        (refusal(50027), _TOKEN, 0.0, "federated_token_unusable"),
        (refusal(700213), _TOKEN, 0.0, "federation_mismatch"),
        (refusal(1), _SECRET, None, "credentials_rejected"),
        ({"error": "invalid_client"}, _SECRET, None, "credentials_rejected"),
        ({}, _SECRET, None, "credentials_rejected"),
    ],
)
def test_a_refusal_says_why_and_nothing_private(
    answer: dict[str, Any], credential: Credential, ahead: float | None, code: str
) -> None:
    error = error_for_answer(answer, credential, now=NOW, clock_ahead_seconds=ahead)

    assert isinstance(error, CredentialsRejected)
    assert error.code == code
    assert code in CODES
    assert "private" not in str(error)


@pytest.mark.parametrize("error", ["temporarily_unavailable", "server_error", "<html>"])
def test_what_passes_is_no_refusal(error: str) -> None:
    assert isinstance(error_for_answer({"error": error, "error_codes": [7000215]}), TokenUnavailable)


def test_only_what_concerns_the_credential_has_another_one_tried() -> None:
    """The OAuth error decides, never the number."""
    assert isinstance(error_for_answer(refusal(7000222)), CredentialRefusedError)
    assert not isinstance(error_for_answer(refusal(7000222, "invalid_scope")), CredentialRefusedError)


def test_the_thumbprint_is_told_as_the_portal_shows_it() -> None:
    assert "thumbprint ABCD" in str(error_for_answer(refusal(700027), certificate(), now=NOW))
