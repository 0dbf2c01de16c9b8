"""Every form of credential through the bridge's own sign-in, against an Entra that verifies what is shown to it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import (
    CertificateSource,
    CredentialSource,
    FederatedSource,
    ManagedIdentitySource,
    SecretSource,
)
from bridge.adapters.entra.sign_in import SignIn
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from tests.support.callers import DISPATCH, new_app
from tests.support.credentials import SUBJECT, register, trust, workload_token
from tests.support.credentials import opens as token_opens
from tests.support.keys import AppKey, new_app_key
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.telemetry.events import Event

_SCOPE = "https://outlook.office365.com/.default"


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    with SandboxProcess(tmp_path_factory.mktemp("sign-in") / "sandbox") as running:
        yield running


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


def entra(sandbox: SandboxProcess, app: dict[str, Any], **changes: Any) -> EntraApp:
    values = {
        "authority_url": sandbox.info["authority_url"],
        "client_id": app["client_id"],
        "scope": _SCOPE,
        "ca_file": sandbox.ca_file,
        "timeout_seconds": 10.0,
        "graph_url": sandbox.info["graph_url"],
        **changes,
    }
    return EntraApp(**values)


def sign_in(sandbox: SandboxProcess, app: dict[str, Any], *sources: CredentialSource, **changes: Any) -> SignIn:
    return SignIn("default", entra(sandbox, app, **changes), sources)


def opens(sandbox: SandboxProcess, signed_in: SignIn) -> bool:
    return token_opens(sandbox, signed_in.tokens().token().value)


def refusal(signed_in: SignIn) -> BridgeError:
    with pytest.raises(BridgeError) as caught:
        signed_in.tokens().token()
    return caught.value


def certificate(path: Path, content: str | bytes, passphrase: str | None = None) -> CertificateSource:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return CertificateSource(path, None, passphrase=passphrase, passphrase_file=None)


def test_a_client_secret(sandbox: SandboxProcess, app: dict[str, Any]) -> None:
    assert opens(sandbox, sign_in(sandbox, app, SecretSource(app["client_secret"], None)))


@pytest.mark.parametrize("form", ["pem", "pem with passphrase", "pfx", "pfx with passphrase"])
def test_a_certificate_is_shown_by_its_sha_256_and_each_assertion_once(
    sandbox: SandboxProcess, app: dict[str, Any], app_key: AppKey, form: str, tmp_path: Path
) -> None:
    register(sandbox, app, app_key)
    passphrase = "correct horse" if "passphrase" in form else None
    content = (
        app_key.pfx(passphrase) if "pfx" in form else app_key.certificate_pem + app_key.encrypted_key_pem(passphrase)
    )
    signed_in = sign_in(sandbox, app, certificate(tmp_path / "file", content, passphrase))

    with sandbox.settings(assertions_once=True):
        assert opens(sandbox, signed_in)
        assert signed_in.tokens("https://graph.microsoft.com/.default").token()


@pytest.mark.parametrize("form", ["secret", "certificate", "federated"])
def test_entras_account_of_its_endpoints_is_asked_for_once(
    sandbox: SandboxProcess, app: dict[str, Any], app_key: AppKey, form: str, tmp_path: Path
) -> None:
    register(sandbox, app, app_key)
    trust(sandbox, app["client_id"])
    (tmp_path / "token").write_text(workload_token(sandbox))
    sources: dict[str, CredentialSource] = {
        "secret": SecretSource(app["client_secret"], None),
        "certificate": certificate(tmp_path / "pem", app_key.certificate_pem + app_key.key_pem),
        "federated": FederatedSource(tmp_path / "token"),
    }
    signed_in = sign_in(sandbox, app, sources[form])
    before = sandbox.calls().get("discovery", {"count": 0})["count"]

    for number in range(3):
        signed_in.tokens(_SCOPE if number else None).reject(signed_in.tokens().token())

    assert sandbox.calls()["discovery"]["count"] == before + 1


def test_a_federated_token_is_read_anew_for_each_use(
    sandbox: SandboxProcess, app: dict[str, Any], tmp_path: Path
) -> None:
    trust(sandbox, app["client_id"])
    file = tmp_path / "token"
    file.write_text(workload_token(sandbox, lifetime=-3600))
    signed_in = sign_in(sandbox, app, FederatedSource(file))

    assert refusal(signed_in).code == "federated_token_unusable"
    file.write_text(workload_token(sandbox))
    time.sleep(1.3)  # the wait after a refusal
    assert opens(sandbox, signed_in)


@pytest.mark.parametrize("platform", ["virtual machine", "App Service"])
@pytest.mark.parametrize("assigned", ["system", "user"])
def test_a_managed_identity(
    sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch, platform: str, assigned: str
) -> None:
    body = {"name": "machine", "mailboxes": [DISPATCH], "managed_identity": assigned}
    identity = sandbox.admin("/apps", method="POST", body=body)
    on(platform, sandbox, monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    try:
        source = ManagedIdentitySource(identity["client_id"] if assigned == "user" else None)
        assert opens(sandbox, sign_in(sandbox, identity, source))
    finally:
        sandbox.admin(f"/apps/{identity['client_id']}", method="DELETE")


def on(platform: str, sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    if platform == "virtual machine":
        monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", sandbox.info["metadata_url"])
    else:
        monkeypatch.setenv("IDENTITY_ENDPOINT", sandbox.info["identity_endpoint"])
        monkeypatch.setenv("IDENTITY_HEADER", sandbox.info["identity_header"])


@pytest.mark.parametrize("platform", ["virtual machine", "App Service"])
def test_an_identity_that_the_machine_does_not_have(
    sandbox: SandboxProcess, app: dict[str, Any], monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    on(platform, sandbox, monkeypatch)

    assert refusal(sign_in(sandbox, app, ManagedIdentitySource(app["client_id"]))).code == "managed_identity_unknown"


@pytest.mark.parametrize("status", [404, 410, 429, 500, 503])
def test_a_metadata_endpoint_that_is_busy_is_asked_again(
    sandbox: SandboxProcess, app: dict[str, Any], monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    on("virtual machine", sandbox, monkeypatch)
    sandbox.faults({"match": {"operation": "metadata"}, "fault": {"kind": "unavailable", "status": status}})

    error = refusal(sign_in(sandbox, app, ManagedIdentitySource(None)))

    assert isinstance(error, TokenUnavailable)
    assert error.code == "managed_identity_unavailable"


def test_a_machine_without_a_metadata_endpoint(
    sandbox: SandboxProcess, app: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", "http://127.0.0.1:1")

    assert refusal(sign_in(sandbox, app, ManagedIdentitySource(None))).code == "managed_identity_unavailable"


@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("wrong", "secret_wrong"),
        ("its id", "secret_id_given"),
        ("expired", "secret_expired"),
        ("another app's", "secret_wrong"),
    ],
)
def test_a_secret_that_is_refused(sandbox: SandboxProcess, app: dict[str, Any], what: str, code: str) -> None:
    body = {"expires_at": "2020-01-01T00:00:00Z"}
    expired = sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body=body)
    secret = {
        "wrong": "aB8~" + "x" * 36,
        "its id": app["secret_id"],
        "expired": expired["client_secret"],
        "another app's": sandbox.info["client_secret"],
    }[what]

    error = refusal(sign_in(sandbox, app, SecretSource(secret, None)))

    assert isinstance(error, CredentialsRejected)
    assert error.code == code
    assert secret not in str(error)


@pytest.mark.parametrize("code", ["app_unknown", "tenant_unknown", "app_disabled", "scope_refused"])
def test_an_app_that_is_refused(sandbox: SandboxProcess, app: dict[str, Any], code: str) -> None:
    nobody = "00000000-1111-2222-3333-444444444444"
    changes: dict[str, dict[str, Any]] = {
        "app_unknown": {"client_id": nobody},
        "tenant_unknown": {"authority_url": f"{sandbox.info['authority_url'].rpartition('/')[0]}/{nobody}"},
        "app_disabled": {},
        "scope_refused": {"scope": "https://nowhere.example/.default"},
    }
    if code == "app_disabled":
        sandbox.admin(f"/apps/{app['client_id']}", method="PATCH", body={"enabled": False})

    error = refusal(sign_in(sandbox, app, SecretSource(app["client_secret"], None), **changes[code]))

    assert isinstance(error, CredentialsRejected)
    assert error.code == code


def test_ids_that_stand_in_each_others_place(sandbox: SandboxProcess, app: dict[str, Any]) -> None:
    base, _, tenant = str(sandbox.info["authority_url"]).rpartition("/")
    swapped = {"authority_url": f"{base}/{app['client_id']}", "client_id": tenant}

    error = refusal(sign_in(sandbox, app, SecretSource(app["client_secret"], None), **swapped))

    assert isinstance(error, CredentialsRejected)
    assert error.code == "ids_swapped"


@pytest.mark.parametrize(
    ("registered", "ahead", "code"),
    [
        (False, 0, "certificate_mismatch"),
        (True, 3600, "clock_skew"),
        (True, 400 * 86_400, "certificate_expired"),
    ],
)
def test_a_certificate_that_is_refused(
    sandbox: SandboxProcess, app: dict[str, Any], tmp_path: Path, *, registered: bool, ahead: int, code: str
) -> None:
    key = new_app_key()
    if registered:
        register(sandbox, app, key)
    source = certificate(tmp_path / "pem", key.certificate_pem + key.key_pem)

    with sandbox.settings(entra_clock_ahead_seconds=ahead):
        error = refusal(sign_in(sandbox, app, source))

    assert isinstance(error, CredentialsRejected)
    assert error.code == code, error.detail


@pytest.mark.parametrize("wrong", ["subject", "audience", "nothing is trusted"])
def test_a_federated_token_that_is_not_trusted(
    sandbox: SandboxProcess, app: dict[str, Any], tmp_path: Path, wrong: str
) -> None:
    if wrong != "nothing is trusted":
        trust(sandbox, app["client_id"])
    subject = "system:serviceaccount:mail:other" if wrong == "subject" else SUBJECT
    audience = {"audience": "api://other"} if wrong == "audience" else {}
    file = tmp_path / "token"
    file.write_text(workload_token(sandbox, subject, **audience))

    error = refusal(sign_in(sandbox, app, FederatedSource(file)))

    assert isinstance(error, CredentialsRejected)
    assert error.code == "federation_mismatch", error.detail


def test_a_busy_entra_says_for_how_long(sandbox: SandboxProcess, app: dict[str, Any]) -> None:
    fault = {"kind": "unavailable", "status": 429, "retry_after_seconds": 60}
    sandbox.faults({"match": {"operation": "token"}, "fault": fault})

    error = refusal(sign_in(sandbox, app, SecretSource(app["client_secret"], None)))

    assert isinstance(error, TokenUnavailable)
    assert 60 <= (error.retry_after_seconds or 0) <= 75


def test_a_new_secret_is_tried_and_used_and_the_old_one_may_go(
    sandbox: SandboxProcess, app: dict[str, Any], tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    file.write_text(app["client_secret"])
    told: list[Event] = []
    signed_in = SignIn("default", entra(sandbox, app), [SecretSource(None, file)], emit=told.append)
    assert opens(sandbox, signed_in)
    before = signed_in.tokens().token()
    made = sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body={})

    file.write_text(made["client_secret"])
    for _ in range(3):
        signed_in.tend()
    sandbox.admin(f"/apps/{app['client_id']}/secrets/{app['secret_id']}", method="DELETE")

    assert signed_in.tokens().token() != before
    assert opens(sandbox, signed_in)
    assert "entra.credential_accepted" in [event.name for event in told]
    assert app["client_secret"] not in repr(told)
    assert made["client_secret"] not in repr(told)


@pytest.mark.parametrize("role", ["Application.Read.All", "Application.ReadWrite.OwnedBy", None])
def test_graph_tells_when_the_secret_ends_where_the_app_may_read_it(sandbox: SandboxProcess, role: str | None) -> None:
    body = {"name": "reader", "mailboxes": [DISPATCH], "roles": [role] if role else []}
    app = sandbox.admin("/apps", method="POST", body=body)
    ends = "2027-05-31T00:00:00Z"
    made = sandbox.admin(f"/apps/{app['client_id']}/secrets", method="POST", body={"expires_at": ends})
    seconds = [1_000.0]
    signed_in = SignIn(
        "default",
        entra(sandbox, app),
        [SecretSource(made["client_secret"], None)],
        elapsed=lambda: seconds[0],
    )
    assert opens(sandbox, signed_in)

    seconds[0] += 200
    signed_in.tend()

    (credential,) = signed_in.state().credentials
    assert credential.expires_at == (1_811_721_600 if role else None)
    assert signed_in.state().warning is None
