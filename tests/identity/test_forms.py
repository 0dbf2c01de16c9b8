"""Each way to sign in, end to end: mail flows both ways through a worker that has nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.identity.flow import flows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tests.identity.place import Place, Table


def _mail_flows(place: Place, alias: str, entra: Table, environment: Mapping[str, str] | None = None) -> None:
    address = f"{alias}@example.org"
    failed = place.errors()
    settings = place.config(alias, [{"alias": alias, "address": address}], entra=entra, environment=environment)
    with place.worker("run", settings) as worker:
        flows(place, worker, alias, address)
        assert worker.stop() == 0
    assert place.errors() == failed


def test_a_client_secret_in_the_configuration(place: Place) -> None:
    app = place.app("value", place.mailbox("value"))

    _mail_flows(place, "value", place.entra(app, client_secret=app["client_secret"]))


def test_a_client_secret_in_a_file(place: Place) -> None:
    app = place.app("file", place.mailbox("file"))
    file = place.file("secret", app["client_secret"] + "\r\n")  # as editors leave it

    _mail_flows(place, "file", place.entra(app, client_secret_file=file))


def test_a_client_secret_in_the_environment(place: Place) -> None:
    app = place.app("environment", place.mailbox("environment"))

    _mail_flows(place, "environment", place.entra(app), {"BRIDGE_ENTRA__CLIENT_SECRET": app["client_secret"]})


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_login_on_premises(on_premises: Place, auth: str) -> None:
    place, alias = on_premises, f"login-{auth}"
    user = place.user(alias)
    address = user["address"]
    login = {"username": user["username"], "password_file": str(place.file("password", user["password"]))}
    ews: Table = {"url": place.sandbox.info["ews_url"], "ca_file": place.sandbox.ca_file, "auth": auth}
    settings = place.config(alias, [{"alias": alias, "address": address, **login}], ews=ews)

    with place.worker("run", settings) as worker:
        flows(place, worker, alias, address)
        assert worker.stop() == 0


@pytest.mark.parametrize("auth", ["basic", "ntlm"])
def test_a_service_account_on_premises(on_premises: Place, auth: str) -> None:
    """One login acts as each of the mailboxes; its own stays as it is."""
    place, aliases = on_premises, [f"{auth}-one", f"{auth}-two"]
    service = place.sandbox.info["service_account"]
    login = {"username": service["username"], "password_file": str(place.file("password", service["password"]))}
    mailboxes: list[Table] = [{"alias": alias, "address": place.mailbox(alias), **login} for alias in aliases]
    ews: Table = {
        "url": place.sandbox.info["ews_url"],
        "ca_file": place.sandbox.ca_file,
        "auth": auth,
        "impersonate": True,
    }
    settings = place.config(auth, mailboxes, ews=ews)

    with place.worker("run", settings) as worker:
        for alias in aliases:
            flows(place, worker, alias, f"{alias}@example.org")
        assert worker.stop() == 0
