"""Each way to sign in, end to end: mail flows both ways through a worker that has nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.identity.flow import flows
from tests.support.app_certificate import AppCertificate

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


def test_a_certificate_as_pem(place: Place) -> None:
    app, certificate = place.app("pem", place.mailbox("pem")), AppCertificate()
    place.register(app, certificate)
    file = place.file("app.pem", certificate.pem + certificate.key_pem())

    _mail_flows(place, "pem", place.entra(app, certificate_file=file))


def test_a_certificate_with_its_key_beside_it(place: Place) -> None:
    """As Kubernetes mounts a secret of the type kubernetes.io/tls; the key here with a passphrase."""
    app, certificate = place.app("tls", place.mailbox("tls")), AppCertificate()
    place.register(app, certificate)
    files = {
        "certificate_file": place.file("tls.crt", certificate.pem),
        "certificate_key_file": place.file("tls.key", certificate.key_pem("correct horse")),
        "certificate_passphrase_file": place.file("passphrase", "correct horse\n"),
    }

    _mail_flows(place, "tls", place.entra(app, **files))


def test_a_certificate_as_pfx(place: Place) -> None:
    app, certificate = place.app("pfx", place.mailbox("pfx")), AppCertificate()
    place.register(app, certificate)
    file = place.file("app.pfx", certificate.pfx("correct horse"))

    _mail_flows(place, "pfx", place.entra(app, certificate_file=file, certificate_passphrase="correct horse"))


def test_a_federated_token(place: Place) -> None:
    """Workload identity by the environment that Kubernetes' webhook injects, with nothing in the file but the CA."""
    app = place.app("federated", place.mailbox("federated"))
    subject = "system:serviceaccount:mail:bridge"
    place.trust(app, subject)
    authority = str(place.sandbox.info["authority_url"])
    injected = {
        "AZURE_CLIENT_ID": app["client_id"],
        "AZURE_TENANT_ID": place.sandbox.info["tenant_id"],
        "AZURE_AUTHORITY_HOST": authority.removesuffix(place.sandbox.info["tenant_id"]),
        "AZURE_FEDERATED_TOKEN_FILE": str(place.file("token", place.workload_token(subject))),
    }

    _mail_flows(place, "federated", {"ca_file": place.sandbox.ca_file}, injected)


def test_the_managed_identity_of_a_machine(place: Place) -> None:
    """System-assigned, from the metadata endpoint of a virtual machine."""
    identity = place.managed_identity("system", "machine", place.mailbox("machine"))

    _mail_flows(place, "machine", {"managed_identity": True}, identity.of_a_machine)


def test_a_managed_identity_of_ones_own(place: Place) -> None:
    """User-assigned, from the endpoint that App Service and Container Apps offer."""
    identity = place.managed_identity("user", "assigned", place.mailbox("assigned"))
    entra: Table = {"managed_identity": True, "managed_identity_client_id": identity.client_id}

    _mail_flows(place, "assigned", entra, identity.of_a_service)


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
