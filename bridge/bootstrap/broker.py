"""The broker's adapter from the configuration, for workers and commands alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.config.broker_files import CurrentPassphrase, CurrentUrls
from bridge.config.entra import DEFAULT_APP

if TYPE_CHECKING:
    from bridge.config.entra import EntraAppSettings
    from bridge.config.rabbitmq import RabbitMqSettings
    from bridge.config.settings import Settings
    from bridge.ports.tokens import TokenSource


def rabbit_settings(
    settings: RabbitMqSettings, *, name: str, app: EntraAppSettings | None = None, tokens: TokenSource | None = None
) -> RabbitSettings:
    """Return the adapter's settings; where tokens are the login, they are `tokens`, or those of `app`."""
    has_passphrase = settings.client_key_passphrase is not None
    return RabbitSettings(
        urls=tuple(url.get_secret_value() for url in settings.urls),
        read_urls=CurrentUrls(settings) if settings.urls_file is not None else None,
        ca_file=settings.ca_file,
        client_certificate_file=settings.client_certificate_file,
        client_key_file=settings.client_key_file,
        read_client_key_passphrase=CurrentPassphrase(settings) if has_passphrase else None,
        login_by_certificate=settings.auth == "external",
        tokens=tokens if tokens is not None else broker_tokens(settings, app),
        heartbeat_seconds=settings.heartbeat_seconds,
        connect_timeout_seconds=settings.connect_timeout_seconds,
        confirm_timeout_seconds=settings.confirm_timeout_seconds,
        max_message_bytes=settings.largest_body_bytes,
        name=name,
    )


def broker_tokens(settings: RabbitMqSettings, app: EntraAppSettings | None) -> TokenSource | None:
    """Return the source of tokens for the broker, None where they are not the login."""
    if settings.auth != "oauth" or app is None or settings.oauth_scope is None:
        return None
    from bridge.adapters.entra.factory import sign_in  # noqa: PLC0415 - a password needs nothing of Entra's

    return sign_in(settings.entra or DEFAULT_APP, app).tokens(settings.oauth_scope)


def apps_of_the_broker(settings: Settings) -> dict[str, EntraAppSettings]:
    """Return the app that signs in at the broker, by name; none where none does."""
    app = settings.broker_app
    return {settings.rabbitmq.entra or DEFAULT_APP: app} if app is not None else {}
