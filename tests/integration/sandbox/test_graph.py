"""What Graph tells of registrations, to whom; and tokens for other programs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.callers import EXCHANGE, app_token, ask_for_token, new_app, session
from tests.support.keys import new_app_key
from tests.support.sandbox import AdminRefusedError, SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    import requests

_GRAPH = "https://graph.microsoft.com"
_BROKER = "api://rabbitmq"


def _get(sandbox: SandboxProcess, path: str, token: str | None) -> requests.Response:
    headers = {} if token is None else {"Authorization": f"Bearer {token}"}
    return session(sandbox).get(f"{sandbox.info['graph_url']}/v1.0/{path}", headers=headers, timeout=30)


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


@pytest.fixture
def reader(sandbox: SandboxProcess) -> dict[str, Any]:
    return new_app(sandbox, roles=["Application.Read.All", "full_access_as_app"])


# Graph


@pytest.mark.parametrize("role", ["Application.Read.All", "Application.ReadWrite.OwnedBy", "Directory.Read.All"])
def test_an_app_reads_when_its_credentials_end(sandbox: SandboxProcess, role: str) -> None:
    app, key = new_app(sandbox, roles=[role]), new_app_key()
    client_id = app["client_id"]
    sandbox.admin(f"/apps/{client_id}/certificates", method="POST", body={"pem": key.certificate_pem})
    given = {"name": "next", "expires_at": "2030-01-02T03:04:05Z"}
    further = sandbox.admin(f"/apps/{client_id}/secrets", method="POST", body=given)
    token = app_token(sandbox, app, _GRAPH)

    by_id = _get(sandbox, f"applications(appId='{client_id}')", token)
    listed = _get(sandbox, f"applications?$filter=appId eq '{client_id}'", token)
    chosen = _get(sandbox, f"applications(appId='{client_id}')?$select=id,passwordCredentials", token)

    assert by_id.status_code == 200
    told = by_id.json()
    assert (told["appId"], told["displayName"]) == (client_id, "another")
    second = told["passwordCredentials"][1]
    assert second["keyId"] == further["secret_id"]
    assert (second["displayName"], second["endDateTime"]) == ("next", "2030-01-02T03:04:05Z")
    assert (second["hint"], second["secretText"]) == (further["client_secret"][:3], None)
    (certificate,) = told["keyCredentials"]
    assert (certificate["displayName"], certificate["type"]) == ("CN=mail-bridge", "AsymmetricX509Cert")
    assert certificate["endDateTime"] == f"{key.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    assert further["client_secret"] not in by_id.text
    assert [one["id"] for one in listed.json()["value"]] == [told["id"]]
    assert told["id"] not in (client_id, app["object_id"])
    assert _get(sandbox, f"applications/{told['id']}", token).json() == told
    assert chosen.json().keys() == {"@odata.context", "id", "passwordCredentials"}


def test_a_secret_that_was_made_to_expire_has_ended(sandbox: SandboxProcess, reader: dict[str, Any]) -> None:
    token, path = app_token(sandbox, reader, _GRAPH), f"/apps/{reader['client_id']}/secrets/{reader['secret_id']}"
    sandbox.admin(path, method="DELETE")

    told = _get(sandbox, f"applications(appId='{reader['client_id']}')", token).json()

    assert told["passwordCredentials"][0]["endDateTime"] < "2027"


def test_without_the_role_nothing_is_told(sandbox: SandboxProcess) -> None:
    app = new_app(sandbox, roles=["full_access_as_app", "Mail.Read"])
    token = app_token(sandbox, app, _GRAPH)

    answer = _get(sandbox, f"applications(appId='{app['client_id']}')", token)

    assert _claims(token)["roles"] == ["Mail.Read"]
    assert (answer.status_code, answer.json()["error"]["code"]) == (403, "Authorization_RequestDenied")
    assert answer.json()["error"]["message"] == "Insufficient privileges to complete the operation."
    assert answer.headers["request-id"] == answer.json()["error"]["innerError"]["request-id"]


def test_a_token_that_is_not_for_graph_is_refused(sandbox: SandboxProcess, reader: dict[str, Any]) -> None:
    claims = _claims(app_token(sandbox, reader, _GRAPH))
    forged = jwt.encode(claims, rsa.generate_private_key(public_exponent=65537, key_size=2048), algorithm="RS256")
    for token, said in (
        (None, "Access token is empty."),
        ("garbage", "CompactToken parsing failed"),
        (forged, "Signature is invalid."),
        (app_token(sandbox, reader, EXCHANGE), "Invalid audience."),
    ):
        answer = _get(sandbox, "applications", token)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, "InvalidAuthenticationToken")
        assert said in answer.json()["error"]["message"]


def test_a_token_that_has_ended_is_refused_by_graph(sandbox: SandboxProcess, reader: dict[str, Any]) -> None:
    token = app_token(sandbox, reader, _GRAPH)
    with sandbox.settings(entra_clock_ahead_seconds=3600):
        answer = _get(sandbox, "applications", token)

    assert (answer.status_code, "expired" in answer.json()["error"]["message"]) == (401, True)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("applications(appId='11111111-1111-1111-1111-111111111111')", 404, "Request_ResourceNotFound"),
        ("applications/11111111-1111-1111-1111-111111111111", 404, "Request_ResourceNotFound"),
        ("applications(id=1)", 400, "BadRequest"),
        ("applications?$filter=displayName eq 'bridge'", 400, "Request_UnsupportedQuery"),
        ("applications?$select=secrets", 400, "BadRequest"),
    ],
)
def test_what_graph_does_not_find_or_understand(
    sandbox: SandboxProcess, reader: dict[str, Any], path: str, status: int, code: str
) -> None:
    answer = _get(sandbox, path, app_token(sandbox, reader, _GRAPH))

    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


def test_an_unknown_app_is_not_listed_and_a_managed_identity_has_no_registration(
    sandbox: SandboxProcess, reader: dict[str, Any]
) -> None:
    identity = new_app(sandbox, managed_identity="user")
    token = app_token(sandbox, reader, _GRAPH)

    for client_id in ("11111111-1111-1111-1111-111111111111", identity["client_id"]):
        assert _get(sandbox, f"applications?$filter=appId eq '{client_id}'", token).json()["value"] == []


def test_graph_is_busy_by_rule(sandbox: SandboxProcess, reader: dict[str, Any]) -> None:
    token = app_token(sandbox, reader, _GRAPH)
    fault = {"kind": "unavailable", "status": 429, "retry_after_seconds": 5}
    sandbox.faults({"match": {"operation": "graph"}, "fault": fault})
    try:
        answer = _get(sandbox, "applications", token)
    finally:
        sandbox.faults()

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "5")
    assert answer.json()["error"]["code"] == "TooManyRequests"


# Other programs


@pytest.fixture
def broker(sandbox: SandboxProcess) -> Iterator[dict[str, Any]]:
    """A broker that knows two roles and takes tokens of version 1, as those do that say nothing else."""
    made = sandbox.admin("/resources", method="POST", body={"app_id_uri": _BROKER, "app_roles": ["a.read", "a.write"]})
    yield made
    sandbox.admin(f"/resources/{made['client_id']}", method="DELETE")


def test_a_token_for_a_broker_has_the_roles_that_are_the_broker_s(
    sandbox: SandboxProcess, broker: dict[str, Any]
) -> None:
    app = new_app(sandbox, roles=["full_access_as_app", "a.read", "a.unknown"])

    claims = _claims(app_token(sandbox, app, _BROKER))
    for_exchange = _claims(app_token(sandbox, app, EXCHANGE))

    assert (claims["aud"], claims["ver"], claims["roles"]) == (_BROKER, "1.0", ["a.read"])
    assert claims["iss"] == f"https://sts.windows.net/{sandbox.info['tenant_id']}/"
    assert for_exchange["roles"] == ["full_access_as_app", "a.unknown"]
    assert sandbox.admin("/tokens?limit=2")[1]["roles"] == ["a.read"]
    assert broker["app_roles"] == ["a.read", "a.write"]


def test_a_token_of_version_2_is_for_the_client_id_and_of_the_issuer_that_discovery_names(
    sandbox: SandboxProcess,
) -> None:
    given = {"app_id_uri": "api://second", "app_roles": ["x"], "token_version": 2}
    resource = sandbox.admin("/resources", method="POST", body=given)
    app, http = new_app(sandbox, roles=["x"]), session(sandbox)

    by_uri, by_id = (app_token(sandbox, app, name) for name in ("api://second", resource["client_id"]))

    discovery = http.get(f"{sandbox.info['authority_url']}/v2.0/.well-known/openid-configuration", timeout=30).json()
    (jwk,) = http.get(discovery["jwks_uri"], timeout=30).json()["keys"]
    claims = jwt.decode(
        by_uri,
        jwt.PyJWK(jwk, "RS256"),
        algorithms=["RS256"],
        audience=resource["client_id"],
        issuer=discovery["issuer"],
    )
    assert (claims["ver"], claims["azp"], claims["roles"]) == ("2.0", app["client_id"], ["x"])
    assert "appid" not in claims
    assert _claims(by_id)["aud"] == resource["client_id"]


def test_a_resource_that_is_gone_is_unknown(sandbox: SandboxProcess) -> None:
    app = new_app(sandbox)
    made = sandbox.admin("/resources", method="POST", body={"app_id_uri": "api://gone"})
    sandbox.admin(f"/resources/{made['client_id']}", method="DELETE")

    refused = ask_for_token(sandbox, grant_type="client_credentials", client_id=app["client_id"],
                            client_secret=app["client_secret"], scope="api://gone/.default")  # fmt: skip

    assert (refused.status_code, refused.json()["error_codes"]) == (400, [500011])
    with pytest.raises(AdminRefusedError):
        sandbox.admin(f"/resources/{made['client_id']}", method="DELETE")


@pytest.mark.usefixtures("broker")
@pytest.mark.parametrize(
    "body",
    [
        {"app_id_uri": _BROKER}, {"app_id_uri": "rabbitmq"}, {"app_id_uri": "api://two words"}, {},
        {"app_id_uri": EXCHANGE}, {"app_id_uri": "api://x", "app_roles": ["a b"]},
        {"app_id_uri": "api://x", "token_version": 3}, {"app_id_uri": "api://x", "token_version": True},
        {"app_id_uri": "api://x", "scopes": []},
    ],
)  # fmt: skip
def test_a_resource_that_makes_no_sense_is_not_made(sandbox: SandboxProcess, body: dict[str, Any]) -> None:
    before = sandbox.admin("/resources")

    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin("/resources", method="POST", body=body)

    assert refused.value.status == 400
    assert sandbox.admin("/resources") == before


@pytest.mark.parametrize(
    "body", [{}, {"subject": ""}, {"subject": "x", "lifetime": "1"}, {"subject": "x", "lifetime": 86_401},
             {"subject": "x", "issuer": "y"}, []],
)  # fmt: skip
def test_a_token_of_the_cluster_that_makes_no_sense_is_not_made(sandbox: SandboxProcess, body: object) -> None:
    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin("/workload-token", method="POST", body=body)

    assert refused.value.status == 400
