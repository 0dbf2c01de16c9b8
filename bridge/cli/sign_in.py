"""From the configuration to how a command signs in at the broker as a client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.client import SignIn

if TYPE_CHECKING:
    import ssl

    from bridge.config import ClientSettings


def client_sign_in(settings: ClientSettings) -> SignIn:
    """Return how a client signs in, as the section says."""
    # What a password needs, most clients have; the rest waits for those that want it.
    section = settings.rabbitmq
    if section.auth == "password" and section.client_certificate_file is None:
        return SignIn()

    from bridge.adapters.rabbitmq.tls import tls_context  # noqa: PLC0415
    from bridge.bootstrap.broker import broker_tokens  # noqa: PLC0415
    from bridge.config.broker_files import CurrentPassphrase  # noqa: PLC0415

    def tls() -> ssl.SSLContext:
        return tls_context(
            ca_file=section.ca_file,
            certificate_file=section.client_certificate_file,
            key_file=section.client_key_file,
            read_passphrase=CurrentPassphrase(section) if section.client_key_passphrase is not None else None,
        )

    return SignIn(
        tls=tls, by_certificate=section.auth == "external", tokens=broker_tokens(section, settings.broker_app)
    )
