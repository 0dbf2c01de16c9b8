"""
The administrator's guide, followed from nothing: after each step `bridge check` says first what the guide says it does.

The admin API of the sandbox stands for the portal and for PowerShell: one call for each step of the guide.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.identity.faults.checking import findings
from tests.identity.steady import replace
from tests.support.app_certificate import AppCertificate
from tests.support.rights import with_least_rights

if TYPE_CHECKING:
    from subprocess import CompletedProcess

    from tests.identity.place import Place, Table

_DOCS = Path(__file__).resolve().parents[2] / "docs"
_NOBODY = "00000000-aaaa-4bbb-8ccc-dddddddddddd"
_NOWHERE = "00000000-ffff-4eee-8ddd-cccccccccccc"


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

    def told(self, environment: dict[str, str]) -> list[str]:
        """Return the lines of `bridge check`, without what belongs to this machine."""
        return [_anywhere(line) for line in self.checked(environment).stdout.splitlines()]

    def checked(self, environment: dict[str, str]) -> CompletedProcess[str]:
        """Return what `bridge check` answers to who runs the bridge, with the rights that a worker has on RabbitMQ."""
        return self.place.bridge("check", environment=with_least_rights("run", environment))

    def first(self, environment: dict[str, str]) -> str:
        """Return the code of the first finding of `bridge check` that is not well, or `ok`."""
        about = findings(with_least_rights("run", environment))
        bad = next((one for one in about if one.state == "failed"), None)
        warned = next((one for one in about if one.state == "warning" and one.code != "ews_ends"), None)
        first = bad or warned
        return first.code if first is not None else "ok"


def test_the_way_to_a_token(place: Place) -> None:
    """Steps 2 and 3, with a certificate."""
    walk, certificate = Walk(place, "token"), AppCertificate()
    address, tenant = place.mailbox("token"), str(place.sandbox.info["tenant_id"])
    file = place.file("mail-bridge.pem", certificate.pem + certificate.key_pem())
    nobody: Table = {**place.entra({"client_id": _NOBODY}, certificate_file=file)}
    place.topology(walk.configured(nobody))

    found = [
        walk.first(walk.configured(entra))
        for entra in (
            {**nobody, "client_id": ""},
            {**nobody, "certificate_file": place.directory / "not-there.pem"},
            {**nobody, "tenant_id": _NOWHERE},
            nobody,
        )
    ]
    app = place.app("token", address)
    entra = place.entra(app, certificate_file=file)
    found.append(walk.first(walk.configured({**entra, "tenant_id": app["client_id"], "client_id": tenant})))
    told = walk.told(walk.configured(entra))
    found.append(walk.first(walk.configured(entra)))
    place.register(app, certificate)
    done = walk.first(walk.configured(entra))

    at_step_two = ["setting_missing", "setting_file_unusable", "tenant_unknown", "app_unknown", "ids_swapped"]
    assert found == [*at_step_two, "certificate_mismatch"]
    assert set(at_step_two) <= _said("2. Register the app")
    assert "certificate_mismatch" in _said("A certificate")
    assert [line for line in _shown() if line not in told] == []
    assert done == "ok"


def test_the_way_into_the_mailbox(place: Place) -> None:
    """Steps 4 to 6, but for the mailbox, which is missed only once the app may open it."""
    walk = Walk(place, "walk")
    closed, app = place.mailbox("ceo"), place.app("walk")
    environment = walk.configured(place.entra(app, client_secret=app["client_secret"]), {"must_not_reach": [closed]})
    place.topology(environment)

    def assign(**rights: object) -> None:
        place.sandbox.admin(f"/apps/{app['client_id']}", method="PUT", body=rights)

    said = [("A. RBAC for Applications", walk.first(environment))]
    assign(mailboxes=[walk.address])
    said.append(("1. The mailbox", walk.first(environment)))
    place.mailbox("walk")
    assign(mailboxes=["somebody-else@example.org"])
    said.append(("A. RBAC for Applications", walk.first(environment)))
    assign(mailboxes=[walk.address])
    with place.sandbox.settings(allowed_app_ids=[_NOBODY]):
        said.append(("5. Allow it to use EWS", walk.first(environment)))
    with place.sandbox.settings(ews_enabled=False):
        said.append(("5. Allow it to use EWS", walk.first(environment)))
    assign(roles=["full_access_as_app"])
    said.append(("6. Prove it", walk.first(environment)))
    assign(roles=[])
    done = walk.checked(environment)

    assert [code for _, code in said] == [
        "app_without_role",
        "mailbox_not_found",
        "impersonation_denied",
        "ews_blocked",
        "ews_disabled",
        "scope_too_wide",
    ]
    assert [(section, code) for section, code in said if code not in _said(section)] == []
    assert done.returncode == 0, done.stdout
    assert " 0 failed, 0 with a warning, " in done.stdout


def _shown() -> list[str]:
    """Return what the guide shows of `bridge check`, without what belongs to one machine."""
    text = (_DOCS / "exchange-setup.md").read_text("utf-8")
    [block] = re.findall(r"^```console\n\$ bridge check\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [_anywhere(line) for line in block.splitlines()]


def _anywhere(line: str) -> str:
    """Return a line without paths, hosts and thumbprints."""
    return re.sub(r"/\S+\.toml|[\w.]+:\d+:|\([\d.]+\)|thumbprint [0-9A-F]+", "…", line)


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
