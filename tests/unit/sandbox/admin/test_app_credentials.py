"""What the admin API keeps of apps and what they prove themselves by."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

from bridge.sandbox.admin import AdminApi
from bridge.sandbox.calls import CallLog
from bridge.sandbox.faults.rules import FaultBook
from bridge.sandbox.presented import Presented
from bridge.sandbox.settings import Announcement
from bridge.sandbox.store import Store
from bridge.sandbox.tenant import TenantFile
from tests.support.keys import AppKey, new_app_key

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@dataclass
class _Admin:
    client: TestClient[web.Request, web.Application]
    tenants: TenantFile
    path: Path

    async def ask(self, path: str, method: str = "GET", body: object | None = None) -> Any:  # noqa: ANN401 - JSON
        status, answer = await self.answered(path, method, body)
        assert status == 200, answer
        return answer

    async def answered(self, path: str, method: str = "GET", body: object | None = None) -> tuple[int, Any]:
        content: dict[str, Any] = {} if body is None else {"json": body}
        async with self.client.request(method, path, headers={"Host": "127.0.0.1:8025"}, **content) as answer:
            return answer.status, await answer.json(content_type="application/json")

    def kept(self) -> TenantFile:
        """What a sandbox finds that is started after a kill."""
        return TenantFile(self.path)


@asynccontextmanager
async def _admin(directory: Path) -> AsyncIterator[_Admin]:
    tenants = TenantFile(directory / "tenant.json")
    tenants.tenant.ports = {"entra": 1, "ews": 2, "smtp": 3, "admin": 4, "bridge_http": 5, "metadata": 6}
    store = Store(directory / "store.sqlite")
    presented = Presented(directory / "certificates")
    announcement = Announcement(directory, tenants.tenant, presented.ca_file, on_premises=False)
    api = AdminApi(store, tenants, FaultBook(directory / "faults.json"), CallLog(), announcement, presented=presented)
    try:
        async with TestClient(TestServer(api.application(port=8025))) as client:
            yield _Admin(client, tenants, directory / "tenant.json")
    finally:
        store.close()


@pytest.fixture(scope="module")
def app_key() -> AppKey:
    return new_app_key()


async def test_a_new_app_is_told_with_its_secret_once(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        made = await admin.ask("/apps", "POST", {"name": "bridge", "roles": ["full_access_as_app"]})
        listed = await admin.ask(f"/apps/{made['client_id']}")

    assert made["client_secret"]
    assert made["object_id"] != made["client_id"]
    assert [secret["secret_id"] for secret in made["secrets"]] == [made["secret_id"]]
    assert made["client_secret"] not in json.dumps(listed)
    assert (listed["enabled"], listed["managed_identity"], listed["certificates"]) == (True, "", [])


async def test_an_app_is_changed_in_part(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        app = await admin.ask("/apps", "POST", {"name": "bridge", "roles": ["full_access_as_app"]})
        changed = await admin.ask(f"/apps/{app['client_id']}", "PATCH", {"enabled": False})
        kept = admin.kept().tenant.app(app["client_id"])

    assert (changed["enabled"], changed["roles"]) == (False, ["full_access_as_app"])
    assert kept is not None
    assert not kept.enabled


async def test_a_secret_has_a_name_and_an_end_and_may_get_another(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        secrets = f"/apps/{admin.tenants.tenant.apps[0].client_id}/secrets"
        made = await admin.ask(secrets, "POST", {"name": "of 2026", "expires_at": "2026-12-31T12:00:00Z"})
        ended = await admin.ask(f"{secrets}/{made['secret_id']}", "PATCH", {"expires_at": 1_700_000_000})

    assert (made["name"], made["expires_at"], made["expired"]) == ("of 2026", "2026-12-31T12:00:00Z", False)
    assert ended["expires_at"] == "2023-11-14T22:13:20Z"


async def test_a_secret_expires_or_is_gone(tmp_path: Path) -> None:
    async with _admin(tmp_path) as admin:
        app = admin.tenants.tenant.apps[0]
        secrets, first = f"/apps/{app.client_id}/secrets", app.secrets[0].secret_id
        await admin.ask(f"{secrets}/{first}", "DELETE")
        expired = [secret.expired for secret in admin.kept().tenant.apps[0].secrets]
        gone = await admin.ask(f"{secrets}/{first}?remove=1", "DELETE")
        again, _ = await admin.answered(f"{secrets}/{first}", "DELETE")

    assert expired == [True]
    assert gone == {"secret_id": first, "expired": True, "removed": True}
    assert again == 404
    assert json.loads((tmp_path / "sandbox.json").read_text())["client_secret"] == ""


async def test_a_certificate_is_kept_once_and_goes_by_either_thumbprint(tmp_path: Path, app_key: AppKey) -> None:
    other = new_app_key()
    async with _admin(tmp_path) as admin:
        where = f"/apps/{admin.tenants.tenant.apps[0].client_id}/certificates"
        first = await admin.ask(where, "POST", {"pem": app_key.certificate_pem})
        assert await admin.ask(where, "POST", {"pem": app_key.key_pem + app_key.certificate_pem}) == first
        await admin.ask(where, "POST", {"pem": other.certificate_pem})
        kept = [one.thumbprint for one in admin.kept().tenant.apps[0].certificates]
        await admin.ask(f"{where}/{app_key.sha1.lower()}", "DELETE")
        await admin.ask(f"{where}/{other.sha256}", "DELETE")
        missing, _ = await admin.answered(f"{where}/{app_key.sha1}", "DELETE")
        left = admin.kept().tenant.apps[0].certificates

    assert (first["thumbprint"], first["thumbprint_sha256"]) == (app_key.sha1, app_key.sha256)
    assert first["name"] == "CN=mail-bridge"
    assert kept == [app_key.sha1, other.sha1]
    assert (missing, left) == (404, [])
    assert "PRIVATE KEY" not in (tmp_path / "tenant.json").read_text()


async def test_a_federated_credential_is_kept_and_goes_by_its_id(tmp_path: Path) -> None:
    given = {"issuer": "https://cluster.example/", "subject": "system:serviceaccount:mail:bridge"}
    async with _admin(tmp_path) as admin:
        where = f"/apps/{admin.tenants.tenant.apps[0].client_id}/federated"
        made = await admin.ask(where, "POST", given)
        twice, _ = await admin.answered(where, "POST", given)
        kept = admin.kept().tenant.apps[0].federated[0]
        await admin.ask(f"{where}/{made['federated_id']}", "DELETE")
        missing, _ = await admin.answered(f"{where}/{made['federated_id']}", "DELETE")

    assert made == {"federated_id": made["federated_id"], "name": "", "audience": "api://AzureADTokenExchange", **given}
    assert (kept.issuer, kept.subject, kept.audience) == (given["issuer"], given["subject"], made["audience"])
    assert (twice, missing) == (400, 404)


async def test_a_managed_identity_has_nothing_to_prove(tmp_path: Path, app_key: AppKey) -> None:
    async with _admin(tmp_path) as admin:
        system = await admin.ask("/apps", "POST", {"name": "machine", "managed_identity": "system"})
        user = await admin.ask("/apps", "POST", {"name": "shared", "managed_identity": "user"})
        second, _ = await admin.answered("/apps", "POST", {"name": "another", "managed_identity": "system"})
        refused = [
            (await admin.answered(f"/apps/{user['client_id']}/{what}", "POST", body))[0]
            for what, body in (("secrets", None), ("certificates", {"pem": app_key.certificate_pem}))
        ]

    assert (system["managed_identity"], user["managed_identity"]) == ("system", "user")
    assert "client_secret" not in system
    assert (system["secrets"], second, refused) == ([], 400, [400, 400])


@pytest.mark.parametrize(
    ("what", "body"),
    [
        ("", {"enabled": "yes"}),
        ("", {"managed_identity": "user"}),
        ("/secrets", {"expires_at": "tomorrow"}),
        ("/secrets", {"expires_at": 1e300}),
        ("/secrets", {"expires_at": True}),
        ("/secrets", {"name": "a\nb"}),
        ("/certificates", {"pem": "none"}),
        ("/certificates", {"pem": 1}),
        ("/certificates", {}),
        ("/federated", {"issuer": "http://cluster.example", "subject": "x"}),
        ("/federated", {"issuer": "https://cluster.example"}),
        ("/federated", {"issuer": "https://cluster.example", "subject": "x", "audiences": ["y"]}),
    ],
)
async def test_what_makes_no_sense_changes_nothing(tmp_path: Path, what: str, body: dict[str, Any]) -> None:
    async with _admin(tmp_path) as admin:
        before = await admin.ask("/apps")
        app = f"/apps/{admin.tenants.tenant.apps[0].client_id}"

        status, answer = await admin.answered(app + what, "POST" if what else "PATCH", body)

        assert (status, bool(answer["error"])) == (400, True)
        assert await admin.ask("/apps") == before


async def test_a_directory_of_an_earlier_version_is_loaded(tmp_path: Path) -> None:
    """It knows no certificates, no ends of secrets and no managed identities."""
    earlier: dict[str, Any] = {
        "tenant_id": "11111111-2222-3333-4444-555555555555",
        "apps": [{
            "client_id": "22222222-2222-3333-4444-555555555555", "object_id": "33333333-2222-3333-4444-555555555555",
            "name": "mail-bridge", "roles": ["full_access_as_app"], "mailboxes": [], "scopes": [],
            "public_client": False, "earlier_mailboxes": None, "earlier_until": 0.0,
            "secrets": [{"secret_id": "44444444-2222-3333-4444-555555555555", "value": "x8Q~y", "expired": False}],
        }],
        "users": [], "service_account": None, "token_lifetime_seconds": 3599, "token_generation": 0, "ports": {},
    }  # fmt: skip
    (tmp_path / "tenant.json").write_text(json.dumps(earlier))

    app = TenantFile(tmp_path / "tenant.json").tenant.apps[0]

    assert (app.enabled, app.managed_identity, app.certificates, app.federated) == (True, "", [], [])
    assert app.current_secret_value() == "x8Q~y"
