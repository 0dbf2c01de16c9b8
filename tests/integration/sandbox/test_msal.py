"""MSAL as it is, against the sandbox's Entra."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import requests
from msal.exceptions import MsalServiceError

from tests.support.msalclient import SCOPES, msal_app
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def _calm(sandbox: SandboxProcess) -> Iterator[None]:
    yield
    sandbox.faults()


def test_msal_gets_a_token_and_serves_it_from_its_cache(sandbox: SandboxProcess) -> None:
    app = msal_app(sandbox)

    first = app.acquire_token_for_client(SCOPES)
    second = app.acquire_token_for_client(SCOPES)

    assert (first["token_type"], first["token_source"]) == ("Bearer", "identity_provider")
    assert (second["access_token"], second["token_source"]) == (first["access_token"], "cache")


def test_msal_finds_the_tenant_by_instance_discovery(sandbox: SandboxProcess) -> None:
    base = sandbox.info["authority_url"].rpartition("/")[0]

    app = msal_app(sandbox, instance_discovery=f"{base}/common/discovery/instance")

    assert app.acquire_token_for_client(SCOPES)["access_token"]


def test_msal_takes_it_as_an_oidc_authority(sandbox: SandboxProcess) -> None:
    app = msal_app(sandbox, authority=None, oidc_authority=f"{sandbox.info['authority_url']}/v2.0")

    assert app.acquire_token_for_client(SCOPES)["access_token"]


def test_msal_knows_the_tenant_by_its_domain(sandbox: SandboxProcess) -> None:
    base = sandbox.info["authority_url"].rpartition("/")[0]

    assert msal_app(sandbox, authority=f"{base}/example.org").acquire_token_for_client(SCOPES)["access_token"]


def test_msal_refuses_a_tenant_that_does_not_exist(sandbox: SandboxProcess) -> None:
    base = sandbox.info["authority_url"].rpartition("/")[0]

    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        msal_app(sandbox, authority=f"{base}/elsewhere.example")


@pytest.mark.parametrize(
    ("changes", "error", "code"),
    [
        ({"client_credential": "wrong"}, "invalid_client", 7000215),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, "unauthorized_client", 700016),
    ],
)
def test_msal_hands_a_refusal_on(sandbox: SandboxProcess, changes: dict[str, Any], error: str, code: int) -> None:
    answer = msal_app(sandbox, **changes).acquire_token_for_client(SCOPES)

    assert (answer["error"], answer["error_codes"]) == (error, [code])
    assert answer["error_description"].startswith(f"AADSTS{code}: ")


def test_an_expired_secret_is_refused_until_it_is_issued_again(sandbox: SandboxProcess) -> None:
    sandbox.admin("/expire", method="POST", body={"what": "secret"})
    expired = msal_app(sandbox).acquire_token_for_client(SCOPES)
    sandbox.admin("/issue", method="POST", body={"what": "old"})

    assert expired["error_codes"] == [7000222]
    assert msal_app(sandbox).acquire_token_for_client(SCOPES)["access_token"]


@pytest.mark.parametrize("status", [500, 503])
def test_msal_raises_when_entra_is_broken(sandbox: SandboxProcess, status: int) -> None:
    app = msal_app(sandbox)
    sandbox.faults({"match": {"operation": "token"}, "fault": {"kind": "unavailable", "status": status}})

    with pytest.raises(MsalServiceError):
        app.acquire_token_for_client(SCOPES)


def test_msal_waits_by_itself_after_429(sandbox: SandboxProcess) -> None:
    app = msal_app(sandbox)
    fault = {"kind": "unavailable", "status": 429, "retry_after_seconds": 60}
    sandbox.faults({"match": {"operation": "token"}, "fault": fault})

    answers = [app.acquire_token_for_client(SCOPES) for _ in range(3)]

    assert [answer["error_codes"] for answer in answers] == [[90055]] * 3
    assert sandbox.fault_report()[0]["fired"] == 1


def test_a_stalled_entra_ends_in_a_timeout(sandbox: SandboxProcess) -> None:
    app = msal_app(sandbox, timeout=0.5)
    sandbox.faults({"match": {"operation": "token"}, "fault": {"kind": "stall_before", "seconds": 30}})

    with pytest.raises(requests.exceptions.ReadTimeout):
        app.acquire_token_for_client(SCOPES)


@pytest.mark.parametrize("kind", ["cut_before", "cut_after"])
def test_a_cut_entra_ends_in_a_connection_error(sandbox: SandboxProcess, kind: str) -> None:
    app = msal_app(sandbox)
    sandbox.faults({"match": {"operation": "token"}, "fault": kind})

    with pytest.raises(requests.exceptions.ConnectionError):
        app.acquire_token_for_client(SCOPES)


def test_the_life_of_tokens_is_configuration(sandbox: SandboxProcess) -> None:
    sandbox.admin("/settings", method="PUT", body={"token_lifetime_seconds": 299})
    try:
        app = msal_app(sandbox)
        # Less than five minutes: MSAL never serves such a token from its cache.
        sources = [app.acquire_token_for_client(SCOPES)["token_source"] for _ in range(2)]
    finally:
        sandbox.admin("/settings", method="PUT", body={"token_lifetime_seconds": 3599})

    assert sources == ["identity_provider", "identity_provider"]
