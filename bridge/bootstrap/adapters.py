"""Adapters from the configuration, for workers and commands alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.blobs.opening import BlobSettings as StoreSettings
from bridge.adapters.blobs.opening import open_store
from bridge.adapters.entra.factory import sign_in
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.notifications import EwsNotifications
from bridge.adapters.ews.proof import KnownMailboxes
from bridge.adapters.ews.stream_thread import StreamTimes
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.config.broker_files import CurrentPassphrase, CurrentUrls
from bridge.config.entra import DEFAULT_APP
from bridge.ingest.compose import Claims
from bridge.wire.claims import ClaimRules

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.blobs import BlobSettings
    from bridge.config.entra import EntraAppSettings
    from bridge.config.rabbitmq import RabbitMqSettings
    from bridge.config.settings import ExchangeSettings, MailboxSettings, Settings
    from bridge.ports.blobs import BlobStore
    from bridge.ports.server_time import ServerTime
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
    return sign_in(settings.entra or DEFAULT_APP, app).tokens(settings.oauth_scope)


def apps_of_the_broker(settings: Settings) -> dict[str, EntraAppSettings]:
    """Return the app that signs in at the broker, by name; none where none does."""
    app = settings.broker_app
    return {settings.rabbitmq.entra or DEFAULT_APP: app} if app is not None else {}


def entra_tokens(settings: EntraAppSettings, name: str = DEFAULT_APP) -> TokenSource:
    """Return a source of tokens for a command, which nobody tends."""
    return sign_in(name, settings).tokens()


def blob_store(settings: BlobSettings) -> BlobStore:
    """
    Return the blob store; nobody is asked yet.

    Raises:
        ConfigurationError: It cannot be used as it is configured.
    """
    secret, key = settings.secret_access_key, settings.account_key
    return open_store(
        StoreSettings(
            url=settings.url,
            timeout_seconds=settings.timeout_seconds,
            endpoint_url=settings.endpoint_url,
            ca_file=settings.ca_file,
            region=settings.region,
            access_key_id=settings.access_key_id,
            secret_access_key=secret.get_secret_value() if secret is not None else None,
            account_name=settings.account_name,
            account_key=key.get_secret_value() if key is not None else None,
        )
    )


def blob_claims(settings: BlobSettings | None, store: BlobStore | None, largest_body_bytes: int) -> Claims | None:
    """Return where large mails go; None where there is no such place."""
    if settings is None or store is None:
        return None
    return Claims(store, ClaimRules(store.url, settings.above_bytes, largest_body_bytes))


def ews_client(
    settings: ExchangeSettings,
    mailbox: MailboxSettings,
    tokens: TokenSource | None,
    observe: Callable[..., None] = lambda **_: None,
    server_time: ServerTime | None = None,
    *,
    known: KnownMailboxes | None = None,
) -> EwsClient:
    """Return a client for Exchange, with tokens or the mailbox's login; `known` is what other clients share with it."""
    return EwsClient(
        _connection(settings, mailbox, tokens),
        tokens=tokens,
        login=_login(settings, mailbox, tokens),
        observe=observe,
        server_time=server_time,
        known=known if known is not None else known_mailboxes(settings),
    )


def known_mailboxes(settings: ExchangeSettings) -> KnownMailboxes:
    """Return what remembers which of the configured mailboxes have proved to be themselves: none so far."""
    return KnownMailboxes({mailbox.address: mailbox.alias for mailbox in settings.mailboxes})


def ews_notifications(
    settings: Settings,
    mailbox: MailboxSettings,
    tokens: TokenSource | None,
    client: EwsClient,
    observe: Callable[..., None] = lambda **_: None,
) -> EwsNotifications:
    """Return what has Exchange tell of new mail, with the login of a client's; it has connections of its own."""
    return EwsNotifications(
        _connection(settings, mailbox, tokens),
        client,
        tokens=tokens,
        login=_login(settings, mailbox, tokens),
        observe=observe,
        times=StreamTimes(
            minutes=settings.ingest.stream_minutes, silence_seconds=settings.ingest.stream_silence_seconds
        ),
    )


def _login(
    settings: ExchangeSettings, mailbox: MailboxSettings, tokens: TokenSource | None
) -> tuple[str, str, str] | None:
    if tokens is not None:
        return None
    password = mailbox.password.get_secret_value() if mailbox.password is not None else ""
    return settings.ews.auth, mailbox.username or "", password


def _connection(settings: ExchangeSettings, mailbox: MailboxSettings, tokens: TokenSource | None) -> EwsConnection:
    return EwsConnection(
        url=settings.ews_url(mailbox),
        ca_file=str(settings.ews.ca_file) if settings.ews.ca_file else None,
        connections=settings.connections_each,
        call_timeout_seconds=settings.ews.call_timeout_seconds,
        impersonate=tokens is not None or settings.ews.impersonate,
    )
