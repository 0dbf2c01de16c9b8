"""
The administrator's guide, followed from nothing: after each step `bridge check` says first what the guide says it does.

The admin API of the sandbox stands for the portal and for PowerShell: one call for each step of the guide.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.identity.steady import replace
from tests.support.app_certificate import AppCertificate

if TYPE_CHECKING:
    from tests.identity.place import Place, Table

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_NOBODY = "00000000-aaaa-4bbb-8ccc-dddddddddddd"


def _said(section: str, page: str = "exchange-setup.md") -> set[str]:
    """Return the codes that the guide names at the end of a step, for when it is not done."""
    text = (_DOCS / page).read_text("utf-8")
    [body] = re.findall(rf"^##+ {re.escape(section)}.*?\n(.*?)(?=^##+ |\Z)", text, re.MULTILINE | re.DOTALL)
    paragraphs = [part for part in body.split("\n\n") if part.startswith(("**Not done?**", "**Too wide?**"))]
    return {
        code
        for part in paragraphs
        for code in re.findall(r"`([a-z_]+)`", part)
        if "_" in code or code == "configuration"
    }


class Walk:
    """One administrator, one configuration, and what `bridge check` says of it."""

    def __init__(self, place: Place, alias: str) -> None:
        self.place, self.alias = place, alias
        self.address = f"{alias}@example.org"

    def configured(self, entra: Table, mailbox: Table | None = None, **ews: object) -> dict[str, str]:
        """Write the configuration anew."""
        mailboxes: list[Table] = [{"alias": self.alias, "address": self.address, **(mailbox or {})}]
        at: Table = {"url": self.place.sandbox.info["ews_url"], "ca_file": self.place.sandbox.ca_file, **ews}
        return self.place.written(self.alias, mailboxes, entra=entra or None, ews=at)

    def first(self, environment: dict[str, str]) -> str:
        """Return the code of the first finding of `bridge check` that is not well, or `ok`."""
        answer = self.place.bridge("check", "--json", environment=environment)
        # The broker's user here is the administrator, which is told, and is not what the guide is about.
        findings: list[dict[str, Any]] = [
            one for one in json.loads(answer.stdout)["findings"] if not one["step"].startswith("rabbitmq")
        ]
        bad = next((one for one in findings if one["state"] == "failed"), None)
        warned = next((one for one in findings if one["state"] == "warning" and one["code"] != "ews_ends"), None)
        assert (answer.returncode == 0) == (bad is None), answer.stdout
        return str((bad or warned or {"code": "ok"})["code"])


def test_the_way_from_nothing_with_a_certificate(place: Place) -> None:
    """Steps 2 to 6, in the order of the guide, with the mailbox made last but one."""
    walk, certificate = Walk(place, "walk"), AppCertificate()
    info, admin = place.sandbox.info, place.sandbox.admin
    closed = place.mailbox("ceo")
    file = place.file("mail-bridge.pem", certificate.pem + certificate.key_pem())
    said: list[tuple[str, str]] = []

    def look(section: str, entra: Table) -> None:
        said.append((section, walk.first(walk.configured(entra, {"must_not_reach": [closed]}))))

    place.topology(walk.configured(place.entra({"client_id": _NOBODY}, certificate_file=file)))
    look("2. Register the app", place.entra({"client_id": _NOBODY}, certificate_file=file))
    app = place.app("walk")
    entra = place.entra(app, certificate_file=file)
    look("2. Register the app", {**entra, "tenant_id": app["client_id"], "client_id": info["tenant_id"]})
    look("3. Give it a credential", entra)
    place.register(app, certificate)
    look("A. RBAC for Applications", entra)
    admin(f"/apps/{app['client_id']}", method="PUT", body={"mailboxes": ["somebody-else@example.org"]})
    look("1. The mailbox", entra)
    place.mailbox("walk")
    look("A. RBAC for Applications", entra)
    admin(f"/apps/{app['client_id']}", method="PUT", body={"mailboxes": [walk.address]})
    with place.sandbox.settings(allowed_app_ids=[_NOBODY]):
        look("5. Allow it to use EWS", entra)
    with place.sandbox.settings(ews_enabled=False):
        look("5. Allow it to use EWS", entra)
    admin(f"/apps/{app['client_id']}", method="PUT", body={"roles": ["full_access_as_app"]})
    look("6. Prove it", entra)
    admin(f"/apps/{app['client_id']}", method="PUT", body={"roles": []})
    done = walk.first(walk.configured(entra, {"must_not_reach": [closed]}))

    assert [code for _, code in said] == [
        "app_unknown",
        "ids_swapped",
        "certificate_mismatch",
        "app_without_role",
        "mailbox_not_found",
        "impersonation_denied",
        "ews_blocked",
        "ews_disabled",
        "scope_too_wide",
    ]
    assert [(section, code) for section, code in said if code not in _said_in(section)] == []
    assert done == "ok"


def _said_in(section: str) -> set[str]:
    return _said(section) | (_said("A certificate") if section.startswith("3.") else set())


def test_what_can_be_wrong_with_a_secret(place: Place) -> None:
    walk = Walk(place, "secrets")
    app = place.app("secrets", place.mailbox("secrets"))
    file = place.file("entra", app["client_secret"])
    environment = walk.configured(place.entra(app, client_secret_file=file))
    place.topology(environment)
    [secret_id] = place.secret_ids(app)

    found = [walk.first(environment)]
    for wrong in (secret_id, "abc8Q~" + "x" * 34):
        replace(file, wrong)
        found.append(walk.first(environment))
    replace(file, app["client_secret"])
    file.chmod(0o644)
    found.append(walk.first(environment))
    file.chmod(0o600)
    place.sandbox.admin(f"/apps/{app['client_id']}/secrets/{secret_id}", method="DELETE")
    found.append(walk.first(environment))

    assert found == ["ok", "secret_id_given", "secret_wrong", "readable_by_everyone", "secret_expired"]
    assert set(found) - {"ok"} <= _said("Or a client secret")


def test_what_can_be_wrong_with_a_certificate(place: Place) -> None:
    walk, ended = Walk(place, "ended"), AppCertificate(days=-0.01)
    app = place.app("ended", place.mailbox("ended"))
    place.register(app, ended)
    file = place.file("ended.pem", ended.pem + ended.key_pem())
    pfx = place.file("ended.pfx", ended.pfx("correct horse"))
    place.topology(walk.configured(place.entra(app, client_secret=app["client_secret"])))

    found = [
        walk.first(walk.configured(place.entra(app, certificate_file=file))),
        walk.first(walk.configured(place.entra(app, certificate_file=pfx, certificate_passphrase="wrong"))),
    ]

    assert found == ["certificate_expired", "certificate_unusable"]
    assert set(found) <= _said("A certificate")


def test_full_access_is_told_to_be_without_a_limit(place: Place) -> None:
    walk = Walk(place, "everything")
    app = place.app("everything", roles=["full_access_as_app"])
    place.mailbox("everything")
    entra = place.entra(app, client_secret=app["client_secret"])
    environment = walk.configured(entra)
    place.topology(environment)

    found = [walk.first(environment), walk.first(walk.configured(entra, {"must_not_reach": [place.mailbox("closed")]}))]

    assert found == ["access_unlimited", "scope_too_wide"]
    assert set(found) <= _said("B. `full_access_as_app`")


def test_what_can_be_wrong_with_workload_identity(place: Place) -> None:
    walk = Walk(place, "pod")
    app = place.app("pod", place.mailbox("pod"))
    file = place.file("token", place.workload_token("system:serviceaccount:mail:other"))
    environment = walk.configured(place.entra(app, federated_token_file=file))
    place.topology(environment)
    place.trust(app, "system:serviceaccount:mail:bridge")

    found = [walk.first(environment)]
    replace(file, place.workload_token("system:serviceaccount:mail:bridge", lifetime=-600))
    found.append(walk.first(environment))
    replace(file, place.workload_token("system:serviceaccount:mail:bridge"))
    found.append(walk.first(environment))

    assert found == ["federation_mismatch", "federated_token_unusable", "ok"]
    assert set(found) - {"ok"} <= _said("Kubernetes: workload identity")


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_an_exchange_server_of_ones_own(on_premises: Place, auth: str) -> None:
    place = on_premises
    walk = Walk(place, f"desk-{auth}")
    user, closed = place.user(walk.alias), place.mailbox("boss")
    service = place.sandbox.info["service_account"]
    password = place.file("password", "wrong")
    login: Table = {"username": user["username"], "password_file": str(password)}
    environment = walk.configured({}, login, auth=auth)
    place.topology(environment)

    found = [walk.first(environment)]
    replace(password, user["password"])
    found.append(walk.first(environment))
    replace(password, service["password"])
    acting: Table = {**login, "username": service["username"], "must_not_reach": [closed]}
    users = f"/users/{service['username']}"
    for scope in ([], ["*"], [walk.address]):
        place.sandbox.admin(users, method="PUT", body={"impersonates": scope})
        found.append(walk.first(walk.configured({}, acting, auth=auth, impersonate=True)))

    assert found == ["login_refused", "ok", "impersonation_denied", "scope_too_wide", "ok"]
    assert set(found) - {"ok"} <= _said("1. Choose who signs in", "exchange-server.md")
