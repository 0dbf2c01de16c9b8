"""From the configuration of an app to the one place where its tokens come from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import (
    CertificateSource,
    CredentialSource,
    FederatedSource,
    ManagedIdentitySource,
    SecretSource,
)
from bridge.adapters.entra.sign_in import SignIn

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from pydantic import SecretStr

    from bridge.config.entra import EntraAppSettings
    from bridge.ports.server_time import ServerTime
    from bridge.telemetry.events import Emit


def sign_in(
    name: str,
    settings: EntraAppSettings,
    emit: Emit = lambda _: None,
    *,
    server_time: ServerTime | None = None,
) -> SignIn:
    """Return the place where an app's tokens come from; `server_time` is told of Entra's answers."""
    return SignIn(
        name,
        entra_app(settings),
        credential_sources(settings),
        probe_seconds=settings.credential_probe_seconds,
        emit=emit,
        server_time=server_time,
    )


def entra_app(settings: EntraAppSettings) -> EntraApp:
    """Return who asks Entra, and where."""
    return EntraApp(
        authority_url=settings.authority,
        client_id=settings.client_id or "",
        scope=settings.scopes[0],
        ca_file=str(settings.ca_file) if settings.ca_file else None,
        timeout_seconds=settings.timeout_seconds,
        graph_url=settings.graph,
        graph_scope=settings.graph_scope,
    )


def credential_sources(settings: EntraAppSettings) -> list[CredentialSource]:
    """Return where the app's credential is read from, and its successor."""
    if settings.managed_identity:
        return [ManagedIdentitySource(settings.managed_identity_client_id)]
    if settings.federated_token_file is not None:
        return [FederatedSource(settings.federated_token_file)]
    if settings.certificate_file is not None:
        passphrase, file = settings.certificate_passphrase, settings.certificate_passphrase_file
        first: CredentialSource = _certificate(
            settings.certificate_file, settings.certificate_key_file, passphrase, file
        )
    else:
        first = _secret(settings.client_secret, settings.client_secret_file, settings.client_secret_expires_at)
    return [first, *_successor(settings)]


def secret_reader(settings: EntraAppSettings) -> Callable[[], str]:
    """Return what gives the client secret as it is now; empty where there is none."""
    source = _secret(settings.client_secret, settings.client_secret_file, None)

    def read_secret() -> str:
        found = source.load()
        return found.secret if found is not None else ""

    return read_secret


def _successor(settings: EntraAppSettings) -> list[CredentialSource]:
    if settings.certificate_next_file is not None:
        passphrase, file = settings.certificate_next_passphrase, settings.certificate_next_passphrase_file
        return [_certificate(settings.certificate_next_file, settings.certificate_next_key_file, passphrase, file)]
    value, secret_file = settings.client_secret_next, settings.client_secret_next_file
    if value is None and secret_file is None:
        return []
    return [_secret(value, secret_file, settings.client_secret_next_expires_at)]


def _secret(value: SecretStr | None, file: Path | None, expires_at: datetime | None) -> SecretSource:
    return SecretSource(
        value.get_secret_value() if value is not None else None,
        file,
        expires_at=expires_at.timestamp() if expires_at is not None else None,
    )


def _certificate(
    file: Path, key_file: Path | None, passphrase: SecretStr | None, passphrase_file: Path | None
) -> CertificateSource:
    text = passphrase.get_secret_value() if passphrase is not None else None
    return CertificateSource(file, key_file, passphrase=text, passphrase_file=passphrase_file)
