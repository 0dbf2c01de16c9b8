"""MSAL as it is, with every form of an app's credential, against the sandbox; and what each proves to Exchange."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import msal
import pytest
import requests

from tests.support.callers import DISPATCH, EXCHANGE, ask_for_token, new_app, session
from tests.support.credentials import SUBJECT, opens, register, trust, workload_token
from tests.support.keys import AppKey, new_app_key
from tests.support.msalclient import SCOPES, msal_app
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _calm(sandbox: SandboxProcess) -> Iterator[None]:
    yield
    sandbox.faults()


@pytest.fixture
def app(sandbox: SandboxProcess) -> dict[str, Any]:
    """An app of its own, which may open one mailbox."""
    return new_app(sandbox, name="bridge", mailboxes=[DISPATCH])


@pytest.fixture(scope="module")
def app_key() -> AppKey:
    return new_app_key()


def _proof(sandbox: SandboxProcess) -> str:
    return str(sandbox.admin("/tokens?limit=1")[0]["proof"])


# By certificate


@pytest.mark.parametrize("form", ["pem", "pem with passphrase", "pem with SHA-1", "pfx", "pfx with passphrase"])
def test_msal_signs_in_by_certificate(
    sandbox: SandboxProcess, app: dict[str, Any], app_key: AppKey, form: str, tmp_path: Path
) -> None:
    register(sandbox, app, app_key)
    pfx = tmp_path / "app.pfx"
    pfx.write_bytes(app_key.pfx("correct horse" if "passphrase" in form else None))
    credential: dict[str, Any] = {
        "pem": {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem},
        "pem with passphrase": {
            "private_key": app_key.encrypted_key_pem("correct horse"), "passphrase": "correct horse",
            "public_certificate": app_key.certificate_pem,
        },
        "pem with SHA-1": {"private_key": app_key.key_pem, "thumbprint": app_key.sha1},
        "pfx": {"private_key_pfx_path": str(pfx)},
        "pfx with passphrase": {"private_key_pfx_path": str(pfx), "passphrase": "correct horse"},
    }[form]  # fmt: skip

    answer = msal_app(sandbox, client_id=app["client_id"], client_credential=credential).acquire_token_for_client(
        SCOPES
    )

    assert opens(sandbox, answer["access_token"])
    assert _proof(sandbox) == "certificate"


def test_msal_shows_the_same_assertion_for_two_resources(
    sandbox: SandboxProcess, app: dict[str, Any], app_key: AppKey
) -> None:
    """Why an assertion is taken more than once."""
    register(sandbox, app, app_key)
    credential = {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem}
    client = msal_app(sandbox, client_id=app["client_id"], client_credential=credential)

    with sandbox.settings(assertions_once=True):
        first = client.acquire_token_for_client(SCOPES)
        second = client.acquire_token_for_client(["https://graph.microsoft.com/.default"])
    third = client.acquire_token_for_client(["https://outlook.office.com/.default"])

    assert "access_token" in first
    assert second["error_codes"] == [7000281]
    assert "access_token" in third


@pytest.mark.parametrize("broken", ["another certificate", "another key", "expired", "clock behind"])
def test_msal_hands_on_why_a_certificate_is_refused(
    sandbox: SandboxProcess, app: dict[str, Any], app_key: AppKey, broken: str
) -> None:
    register(sandbox, app, app_key)
    other, ahead, code = new_app_key(), 0, 700027
    shown = {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem}
    if broken == "another certificate":
        shown = {"private_key": other.key_pem, "public_certificate": other.certificate_pem}
    elif broken == "another key":
        shown = {"private_key": other.key_pem, "public_certificate": app_key.certificate_pem}
    elif broken == "expired":
        ahead = 400 * 86_400
    else:
        ahead, code = 3600, 700024

    with sandbox.settings(entra_clock_ahead_seconds=ahead):
        client = msal_app(sandbox, client_id=app["client_id"], client_credential=shown)
        answer = client.acquire_token_for_client(SCOPES)

    assert (answer["error"], answer["error_codes"]) == ("invalid_client", [code])


# By a token of the cluster


def test_msal_signs_in_by_a_token_of_the_cluster(sandbox: SandboxProcess, app: dict[str, Any], tmp_path: Path) -> None:
    trust(sandbox, app["client_id"])
    file = tmp_path / "token"
    file.write_text(workload_token(sandbox))

    client = msal_app(sandbox, client_id=app["client_id"], client_credential={"client_assertion": file.read_text})
    answer = client.acquire_token_for_client(SCOPES)

    assert opens(sandbox, answer["access_token"])
    assert _proof(sandbox) == "federated"
    calls = sandbox.calls()
    assert calls["issuer_discovery"]["count"] >= 1
    assert calls["issuer_keys"]["count"] >= 1


def test_the_cluster_publishes_what_verifies_its_tokens(sandbox: SandboxProcess) -> None:
    made = sandbox.admin("/workload-token", method="POST", body={"subject": SUBJECT, "audience": "api://x"})
    http, issuer = session(sandbox), made["issuer"]
    discovery = http.get(f"{issuer}/.well-known/openid-configuration", timeout=30).json()
    (jwk,) = http.get(discovery["jwks_uri"], timeout=30).json()["keys"]

    claims = jwt.decode(made["token"], jwt.PyJWK(jwk), algorithms=["RS256"], audience="api://x", issuer=issuer)

    assert discovery["issuer"] == issuer
    assert claims["sub"] == SUBJECT
    assert claims["kubernetes.io"] == {"namespace": "mail", "serviceaccount": {"name": "bridge"}}
    assert jwt.get_unverified_header(made["token"]).keys() == {"alg", "kid"}


def test_the_cluster_s_key_is_another_than_entra_s_and_outlives_a_kill(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        app = sandbox.info["client_id"]
        trust(sandbox, app)
        token = workload_token(sandbox)
        sandbox.restart()
        credential = {"client_assertion": lambda: token}
        answer = msal_app(sandbox, client_credential=credential).acquire_token_for_client(SCOPES)

        assert "access_token" in answer
        own = jwt.get_unverified_header(answer["access_token"])["kid"]
        assert jwt.get_unverified_header(token)["kid"] != own


@pytest.mark.parametrize(
    ("asked", "fault", "code"),
    [
        ({"subject": "system:serviceaccount:mail:another"}, None, 700213),
        ({"subject": SUBJECT, "audience": "https://kubernetes.default.svc"}, None, 700212),
        ({"subject": SUBJECT, "lifetime": -3600}, None, 700024),
        ({"subject": SUBJECT}, {"match": {"operation": "issuer_discovery"}, "fault": "http_error"}, 501661),
        ({"subject": SUBJECT}, {"match": {"operation": "issuer_keys"}, "fault": "cut_before"}, 501661),
        ({"subject": SUBJECT}, {"match": {"operation": "issuer_keys"}, "fault": "html_page"}, 501661),
    ],
)
def test_a_token_of_the_cluster_is_refused_with_its_code(
    sandbox: SandboxProcess, app: dict[str, Any], asked: dict[str, Any], fault: dict[str, Any] | None, code: int
) -> None:
    trust(sandbox, app["client_id"])
    token = workload_token(sandbox, **asked)
    sandbox.faults(*([fault] if fault else []))

    client = msal_app(sandbox, client_id=app["client_id"], client_credential={"client_assertion": lambda: token})
    answer = client.acquire_token_for_client(SCOPES)

    assert answer["error_codes"] == [code]


# As the machine


def _identity(sandbox: SandboxProcess, kind: str, **rights: Any) -> dict[str, Any]:
    made: dict[str, Any] = sandbox.admin(
        "/apps", method="POST", body={"name": f"machine-{kind}", "managed_identity": kind, **rights}
    )
    return made


@pytest.fixture
def identities(sandbox: SandboxProcess) -> Iterator[dict[str, dict[str, Any]]]:
    """The machine's own identity and another that it is given, each with a mailbox."""
    made = {kind: _identity(sandbox, kind, mailboxes=[DISPATCH]) for kind in ("system", "user")}
    yield made
    for app in made.values():
        sandbox.admin(f"/apps/{app['client_id']}", method="DELETE")


@pytest.fixture(params=["machine", "service"])
def place(request: pytest.FixtureRequest, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> str:
    """A program on a virtual machine, or on App Service."""
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER", "AZURE_POD_IDENTITY_AUTHORITY_HOST", "IMDS_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    if request.param == "machine":
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.info["metadata_url"])
    else:
        monkeypatch.setenv("IDENTITY_ENDPOINT", sandbox.info["identity_endpoint"])
        monkeypatch.setenv("IDENTITY_HEADER", sandbox.info["identity_header"])
    return str(request.param)


def _ask_the_machine(which: msal.ManagedIdentity, resource: str = EXCHANGE) -> dict[str, Any]:
    with requests.Session() as http:
        http.trust_env = False
        answer: dict[str, Any] = msal.ManagedIdentityClient(which, http_client=http).acquire_token_for_client(
            resource=resource
        )
    return answer


@pytest.mark.usefixtures("place")
def test_msal_gets_a_token_of_each_managed_identity(
    sandbox: SandboxProcess, identities: dict[str, dict[str, Any]]
) -> None:
    user = identities["user"]
    named = {
        "system": msal.SystemAssignedManagedIdentity(),
        "by client id": msal.UserAssignedManagedIdentity(client_id=user["client_id"]),
        "by object id": msal.UserAssignedManagedIdentity(object_id=user["object_id"]),
    }

    answers = {name: _ask_the_machine(which) for name, which in named.items()}

    assert all(opens(sandbox, answer["access_token"]) for answer in answers.values())
    owners = {name: _claims(answer["access_token"])["appid"] for name, answer in answers.items()}
    assert owners == {
        "system": identities["system"]["client_id"],
        "by client id": user["client_id"],
        "by object id": user["client_id"],
    }
    assert {answer["token_type"] for answer in answers.values()} == {"Bearer"}
    assert all(3500 <= answer["expires_in"] <= 3600 for answer in answers.values())
    assert _proof(sandbox) == "managed_identity"


def _claims(token: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(token, options={"verify_signature": False})
    return claims


def test_a_machine_without_an_identity_says_so(place: str) -> None:
    answer = _ask_the_machine(msal.SystemAssignedManagedIdentity())

    said = "Identity not found" if place == "machine" else "No User Assigned or Delegated Managed Identity found"
    assert said in answer["error_description"]


@pytest.mark.usefixtures("identities")
def test_an_identity_that_is_not_the_machine_s_is_unknown(place: str) -> None:
    answer = _ask_the_machine(msal.UserAssignedManagedIdentity(client_id="11111111-1111-1111-1111-111111111111"))

    assert "access_token" not in answer
    assert ("Identity not found" in answer["error_description"]) == (place == "machine")


@pytest.mark.usefixtures("place")
def test_the_only_identity_is_meant_and_of_several_one_must_be_named(sandbox: SandboxProcess) -> None:
    first = _identity(sandbox, "user")
    alone = _ask_the_machine(msal.SystemAssignedManagedIdentity())
    second = _identity(sandbox, "user")
    several = _ask_the_machine(msal.SystemAssignedManagedIdentity())
    for app in (first, second):
        sandbox.admin(f"/apps/{app['client_id']}", method="DELETE")

    assert _claims(alone["access_token"])["appid"] == first["client_id"]
    assert "access_token" not in several


@pytest.mark.usefixtures("identities")
def test_a_resource_that_is_unknown_is_refused(place: str) -> None:
    answer = _ask_the_machine(msal.SystemAssignedManagedIdentity(), "https://unknown.example")

    assert ("AADSTS500011" in answer["error_description"]) == (place == "machine")
    assert "access_token" not in answer


@pytest.mark.usefixtures("identities")
def test_a_managed_identity_that_is_switched_off_gets_nothing(
    sandbox: SandboxProcess, identities: dict[str, dict[str, Any]], place: str
) -> None:
    sandbox.admin(f"/apps/{identities['system']['client_id']}", method="PATCH", body={"enabled": False})

    answer = _ask_the_machine(msal.SystemAssignedManagedIdentity())

    assert place
    assert "AADSTS7000112" in answer["error_description"]


@pytest.mark.usefixtures("identities")
@pytest.mark.parametrize("status", [410, 429, 500])
def test_the_metadata_service_may_be_busy_or_broken(sandbox: SandboxProcess, place: str, status: int) -> None:
    fault = {"kind": "unavailable", "status": status, "retry_after_seconds": 7}
    sandbox.faults({"match": {"operation": "metadata"}, "fault": fault})
    where = "metadata/identity/oauth2/token" if place == "machine" else "msi/token"
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(f"{sandbox.info['metadata_url']}/{where}", headers={"Metadata": "true"}, timeout=30)

    assert (answer.status_code, answer.headers["Retry-After"]) == (status, "7")
    assert answer.json().keys() >= ({"error"} if place == "machine" else {"statusCode", "message"})
    assert "access_token" not in _ask_the_machine(msal.SystemAssignedManagedIdentity())


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", {}, 400),
        ("metadata/identity/oauth2/token?api-version=2018-02-01&resource=x", {"Metadata": "false"}, 400),
        ("metadata/identity/oauth2/token?resource=x", {"Metadata": "true"}, 400),
        ("metadata/identity/oauth2/token?api-version=2018-02-01", {"Metadata": "true"}, 400),
        ("metadata/identity/oauth2/token?api-version=x&resource=x", {"Metadata": "true", "X-Forwarded-For": "x"}, 400),
        ("metadata/identity/oauth2/token?api-version=x&resource=x", {"Metadata": "true", "Host": "evil.example"}, 403),
        ("msi/token?api-version=2019-08-01&resource=x", {}, 401),
        ("msi/token?api-version=2019-08-01&resource=x", {"X-IDENTITY-HEADER": "wrong"}, 401),
    ],
)
def test_who_asks_the_machine_in_another_way_is_refused(
    sandbox: SandboxProcess, path: str, headers: dict[str, str], status: int
) -> None:
    with requests.Session() as http:
        http.trust_env = False
        answer = http.get(f"{sandbox.info['metadata_url']}/{path}", headers=headers, timeout=30)

    assert answer.status_code == status
    assert "access_token" not in answer.text


# What is kept


def test_credentials_of_every_form_survive_a_kill(tmp_path: Path, app_key: AppKey) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        app = sandbox.admin("/apps", method="POST", body={"name": "bridge", "mailboxes": [DISPATCH]})
        path = f"/apps/{app['client_id']}"
        register(sandbox, app, app_key)
        federated = {"issuer": sandbox.info["workload_issuer_url"], "subject": SUBJECT}
        sandbox.admin(f"{path}/federated", method="POST", body=federated)
        sandbox.admin(f"{path}/secrets", method="POST", body={"name": "next", "expires_at": "2030-01-01T00:00:00Z"})
        _identity(sandbox, "system")
        sandbox.admin("/resources", method="POST", body={"app_id_uri": "api://rabbitmq", "app_roles": ["a.read"]})
        asked = ("/apps", "/resources")
        before, info = [sandbox.admin(path) for path in asked], sandbox.info
        sandbox.restart()

        assert [sandbox.admin(path) for path in asked] == before
        assert sandbox.info == info
        assert app_key.certificate_pem.splitlines()[1] not in json.dumps(before)
        credential = {"private_key": app_key.key_pem, "public_certificate": app_key.certificate_pem}
        client = msal_app(sandbox, client_id=app["client_id"], client_credential=credential)
        assert opens(sandbox, client.acquire_token_for_client(SCOPES)["access_token"])


def test_a_directory_of_an_earlier_version_goes_on_as_it_was(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox") as sandbox:
        info = sandbox.info
        sandbox.stop()
        file = tmp_path / "sandbox" / "tenant.json"
        kept = json.loads(file.read_text())
        for new in ("resources", "identity_header"):
            del kept[new]
        del kept["ports"]["metadata"]
        for app in kept["apps"]:
            for new in ("enabled", "managed_identity", "certificates", "federated"):
                del app[new]
            for secret in app["secrets"]:
                for new in ("name", "starts_at", "expires_at"):
                    del secret[new]
        file.write_text(json.dumps(kept))
        sandbox.start()

        same = set(info) - {"metadata_url", "identity_endpoint", "identity_header"}
        assert {key: sandbox.info[key] for key in same} == {key: info[key] for key in same}
        assert opens(sandbox, sandbox.token())
        assert sandbox.admin("/apps")[0]["secrets"][0]["expires_at"] is None
        assert sandbox.info["metadata_url"].startswith("http://127.0.0.1:")


def test_an_app_that_is_switched_off_gets_no_token_and_its_old_ones_go_on(
    sandbox: SandboxProcess, app: dict[str, Any]
) -> None:
    form = {"grant_type": "client_credentials", "client_id": app["client_id"],
            "client_secret": app["client_secret"], "scope": f"{EXCHANGE}/.default"}  # fmt: skip
    before = ask_for_token(sandbox, **form).json()["access_token"]
    sandbox.admin(f"/apps/{app['client_id']}", method="PATCH", body={"enabled": False})
    refused = ask_for_token(sandbox, **form)

    assert (refused.status_code, refused.json()["error_codes"]) == (400, [7000112])
    assert opens(sandbox, before)
