"""Faults on the way to Entra, in the app and in its credentials."""

from __future__ import annotations

import time
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tests.identity.faults.ground import SUBJECT, closed_port
from tests.identity.faults.plant import NO_FILE, SECRET, Plant, with_variables, within
from tests.support.app_certificate import AppCertificate
from tests.support.certificates import TestAuthority
from tests.support.connect_proxy import ConnectProxy

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.identity.faults.ground import Ground
    from tests.identity.faults.plant import Environment, Planting

_ENTRA, _TOKEN = {"service": "entra"}, {"service": "entra", "operation": "token"}
_OTHER = "11111111-2222-4333-8444-555555555555"
_PASSPHRASE = "p4ss"


def _secret(value: str) -> Environment:
    return {**NO_FILE, SECRET: value}


@contextmanager
def _expired_secret(ground: Ground) -> Iterator[Environment]:
    made = ground.of_app("secrets", method="POST", body={"name": "planted"})
    where = f"secrets/{made['secret_id']}"
    ground.of_app(where, method="PATCH", body={"expires_at": time.time() - 60})
    try:
        yield _secret(made["client_secret"])
    finally:
        ground.of_app(f"{where}?remove=1", method="DELETE")


@contextmanager
def _secret_of_another_app(ground: Ground) -> Iterator[Environment]:
    made = ground.sandbox.admin("/apps", method="POST", body={"name": "other"})
    try:
        yield _secret(made["client_secret"])
    finally:
        ground.sandbox.admin(f"/apps/{made['client_id']}", method="DELETE")


def _certificate(ground: Ground, content: str | bytes, **more: str) -> Environment:
    return {**NO_FILE, "BRIDGE_ENTRA__CERTIFICATE_FILE": str(ground.file("planted-certificate", content)), **more}


def _whole(certificate: AppCertificate) -> str:
    return certificate.pem + certificate.key_pem()


@contextmanager
def _registered(ground: Ground, certificate: AppCertificate) -> Iterator[Environment]:
    ground.register(certificate)
    try:
        yield _certificate(ground, _whole(certificate))
    finally:
        ground.of_app(f"certificates/{certificate.thumbprint}", method="DELETE")


def _federated(ground: Ground, *, subject: str = SUBJECT, lifetime: int = 600) -> Environment:
    body = {"subject": subject, "audience": "api://AzureADTokenExchange", "lifetime": lifetime}
    token = ground.sandbox.admin("/workload-token", method="POST", body=body)["token"]
    return {**NO_FILE, "BRIDGE_ENTRA__FEDERATED_TOKEN_FILE": str(ground.file("planted-token", token))}


def _managed(metadata_url: str) -> Environment:
    names = ("TENANT_ID", "CLIENT_ID", "AUTHORITY_URL")
    return {
        **NO_FILE,
        **{f"BRIDGE_ENTRA__{name}": None for name in names},
        "BRIDGE_ENTRA__MANAGED_IDENTITY": "true",
        "BRIDGE_ENTRA__MANAGED_IDENTITY_CLIENT_ID": _OTHER,
        "AZURE_POD_IDENTITY_AUTHORITY_HOST": metadata_url,
    }


@contextmanager
def proxied(ground: Ground, *hosts: str) -> Iterator[Environment]:
    """Go through a proxy, under names of Microsoft's that lead to the sandbox."""
    info = ground.sandbox.info
    ports = {"login.microsoftonline.com": info["authority_url"], "outlook.office365.com": info["ews_url"],
             "graph.microsoft.com": info["graph_url"]}  # fmt: skip
    wanted = {host: int(urlsplit(url).port or 0) for host, url in ports.items() if host in hosts}
    with ConnectProxy(wanted) as proxy:
        names = ("ENTRA__AUTHORITY_URL", "ENTRA__GRAPH_URL", "EWS__URL")
        yield {**{f"BRIDGE_{name}": None for name in names}, "HTTPS_PROXY": proxy.url}


@contextmanager
def _another_cloud(ground: Ground) -> Iterator[Environment]:
    with ground.sandbox.settings(cloud="us"), proxied(ground, *MICROSOFT) as variables:
        yield variables


MICROSOFT = ("login.microsoftonline.com", "outlook.office365.com", "graph.microsoft.com")


def _clock(ahead_seconds: float) -> Planting:
    """Have all others' clocks differ from this machine's."""
    others = dict.fromkeys(("entra_clock_ahead_seconds", "exchange_clock_ahead_seconds"), ahead_seconds)
    return within(lambda g: g.sandbox.settings(**others))


def _authority(ground: Ground, host: str, port: int | None = None) -> Environment:
    parts = urlsplit(ground.environment["BRIDGE_ENTRA__AUTHORITY_URL"])
    return {"BRIDGE_ENTRA__AUTHORITY_URL": f"https://{host}:{port or parts.port}"}


PLANTS = [
    # On the way
    Plant(
        "Entra's host name cannot be resolved",
        "name_unresolved",
        with_variables(lambda g: _authority(g, "nowhere.invalid")),
    ),
    Plant(
        "nothing listens at Entra's port",
        "host_unreachable",
        with_variables(lambda g: _authority(g, "127.0.0.1", closed_port())),
    ),
    Plant(
        "entra.ca_file is another CA's",
        "tls_untrusted",
        with_variables(lambda g: {"BRIDGE_ENTRA__CA_FILE": str(TestAuthority(g.directory, "other").file)}),
    ),
    Plant(
        "Entra's host shows an expired certificate",
        "tls_certificate_expired",
        within(lambda g: g.fault("certificate_expired", match=_ENTRA)),
    ),
    Plant(
        "Entra's host shows a certificate that begins tomorrow",
        "tls_certificate_not_yet_valid",
        within(lambda g: g.fault("certificate_not_yet_valid", match=_ENTRA)),
    ),
    Plant(
        "Entra's host shows a certificate for another name",
        "tls_wrong_host",
        within(lambda g: g.fault("certificate_wrong_host", match=_ENTRA)),
    ),
    Plant(
        "the login page of a network answers in the place of Entra",
        "page_instead_of_answer",
        within(lambda g: g.fault("html_page", match=_ENTRA)),
    ),
    Plant("Entra's port answers without TLS", "tls_failed", within(lambda g: g.fault("tls_plaintext", match=_ENTRA))),
    Plant(
        "HTTPS_PROXY leads to Entra and EWS (works, and is shown)",
        "ok",
        lambda g: proxied(g, *MICROSOFT),
        state="ok",
        also=frozenset({"ews_ends"}),
    ),
    Plant(
        "HTTPS_PROXY names a port on which nobody listens",
        "proxy_failed",
        with_variables(lambda _: {"HTTPS_PROXY": f"http://127.0.0.1:{closed_port()}"}),
    ),
    Plant(
        "the proxy does not let Entra's host through",
        "proxy_failed",
        lambda g: proxied(g, "outlook.office365.com"),
        also=frozenset({"ews_ends"}),
    ),
    Plant("Entra answers 503", "token_unavailable", within(lambda g: g.fault("unavailable", match=_TOKEN))),
    # The four settings
    Plant(
        "entra.tenant_id is a domain of the tenant (works)",
        "ok",
        with_variables(lambda _: {"BRIDGE_ENTRA__TENANT_ID": "example.org"}),
        state="ok",
    ),
    Plant(
        "entra.tenant_id is of no tenant",
        "tenant_unknown",
        with_variables(lambda _: {"BRIDGE_ENTRA__TENANT_ID": _OTHER}),
    ),
    Plant(
        "entra.tenant_id and entra.client_id are swapped",
        "ids_swapped",
        with_variables(
            lambda g: {
                "BRIDGE_ENTRA__TENANT_ID": g.app["client_id"],
                "BRIDGE_ENTRA__CLIENT_ID": g.sandbox.info["tenant_id"],
            }
        ),
    ),
    Plant("entra.client_id is of no app", "app_unknown", with_variables(lambda _: {"BRIDGE_ENTRA__CLIENT_ID": _OTHER})),
    Plant(
        "entra.client_id is the app's object id",
        "app_unknown",
        with_variables(lambda g: {"BRIDGE_ENTRA__CLIENT_ID": g.of_app()["object_id"]}),
    ),
    Plant("the app is disabled in Entra", "app_disabled", within(lambda g: g.app_with(enabled=False))),
    Plant(
        "the tenant lives in the cloud of the US government",
        "cloud_wrong",
        _another_cloud,
        also=frozenset({"ews_ends"}),
    ),
    Plant(
        "entra.cloud is another's",
        "scope_refused",
        within(lambda g: g.sandbox.settings(cloud="global"), lambda _: {"BRIDGE_ENTRA__CLOUD": "china"}),
    ),
    Plant(
        "entra.scope is Graph's",
        "token_audience_wrong",
        with_variables(lambda _: {"BRIDGE_ENTRA__SCOPE": "https://graph.microsoft.com/.default"}),
    ),
    # Secrets
    Plant(
        "the client secret's id stands in place of its value",
        "secret_id_given",
        with_variables(lambda g: _secret(g.app["secret_id"])),
        also=frozenset({"secret_id_given"}),
    ),
    Plant(
        "the client secret is cut off", "secret_wrong", with_variables(lambda g: _secret(g.app["client_secret"][:-1]))
    ),
    Plant("the client secret is another app's", "secret_wrong", _secret_of_another_app),
    Plant("the client secret has expired", "secret_expired", _expired_secret),
    Plant(
        "the client secret expires in five days, by the configuration",
        "credential_expires_soon",
        with_variables(
            lambda _: {"BRIDGE_ENTRA__CLIENT_SECRET_EXPIRES_AT": (datetime.now(UTC) + timedelta(days=5)).isoformat()}
        ),
        state="warning",
    ),
    Plant(
        "the next client secret is wrong",
        "secret_wrong",
        with_variables(
            lambda g: {
                "BRIDGE_ENTRA__CLIENT_SECRET_NEXT_FILE": str(g.file("planted-next", g.app["client_secret"][:-1]))
            }
        ),
    ),
    # Certificates
    Plant(
        "a certificate that is registered (works)",
        "ok",
        with_variables(lambda g: _certificate(g, _whole(g.certificate))),
        state="ok",
    ),
    Plant(
        "the certificate is not registered with the app",
        "certificate_mismatch",
        with_variables(lambda g: _certificate(g, _whole(AppCertificate()))),
    ),
    Plant(
        "the certificate has expired",
        "certificate_expired",
        lambda g: _registered(g, AppCertificate(days=-0.01)),
        also=frozenset({"credential_expires_soon"}),
    ),
    Plant(
        "the certificate expires in five days",
        "credential_expires_soon",
        lambda g: _registered(g, AppCertificate(days=5)),
        state="warning",
    ),
    Plant(
        "the key in the file is not the certificate's",
        "certificate_mismatch",
        with_variables(lambda g: _certificate(g, g.certificate.pem + AppCertificate().key_pem())),
    ),
    Plant(
        "the certificate's file has no key",
        "certificate_unusable",
        with_variables(lambda g: _certificate(g, g.certificate.pem)),
    ),
    Plant(
        "the PFX's passphrase is wrong",
        "certificate_unusable",
        with_variables(
            lambda g: _certificate(g, g.certificate.pfx(_PASSPHRASE), BRIDGE_ENTRA__CERTIFICATE_PASSPHRASE="wrong")
        ),
    ),
    Plant(
        "the PFX's passphrase is missing",
        "certificate_unusable",
        with_variables(lambda g: _certificate(g, g.certificate.pfx(_PASSPHRASE))),
    ),
    # Other proofs
    Plant("a federated token that the app trusts (works)", "ok", with_variables(_federated), state="ok"),
    Plant(
        "the federated token is of another service account",
        "federation_mismatch",
        with_variables(lambda g: _federated(g, subject="system:serviceaccount:mail:other")),
    ),
    Plant(
        "the federated token has ended",
        "federated_token_unusable",
        with_variables(lambda g: _federated(g, lifetime=-3600)),
    ),
    Plant(
        "the machine has no such managed identity",
        "managed_identity_unknown",
        with_variables(lambda g: _managed(g.sandbox.info["metadata_url"])),
    ),
    Plant(
        "there is no metadata endpoint here",
        "managed_identity_unavailable",
        with_variables(lambda _: _managed(f"http://127.0.0.1:{closed_port()}")),
    ),
    # Clocks
    Plant("this machine's clock is an hour behind", "clock_skew", _clock(3600)),
    Plant("this machine's clock is two minutes ahead", "clock_skew", _clock(-120), state="warning"),
]
