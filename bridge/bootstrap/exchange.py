"""Exchange's adapter from the configuration, for workers and commands alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.entra.factory import sign_in
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.mailbox_identity import KnownMailboxes
from bridge.config.entra import DEFAULT_APP

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.config.entra import EntraAppSettings
    from bridge.config.settings import ExchangeSettings, MailboxSettings
    from bridge.ports.server_time import ServerTime
    from bridge.ports.tokens import TokenSource


def entra_tokens(settings: EntraAppSettings, name: str = DEFAULT_APP) -> TokenSource:
    """Return a source of tokens for a command, which nobody tends."""
    return sign_in(name, settings).tokens()


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
        connection(settings, mailbox, tokens),
        tokens=tokens,
        login=login(settings, mailbox, tokens),
        observe=observe,
        server_time=server_time,
        known=known if known is not None else known_mailboxes(settings),
    )


def known_mailboxes(settings: ExchangeSettings) -> KnownMailboxes:
    """Return what remembers which of the configured mailboxes have proved to be themselves: none so far."""
    return KnownMailboxes({mailbox.address: mailbox.alias for mailbox in settings.mailboxes})


def login(
    settings: ExchangeSettings, mailbox: MailboxSettings, tokens: TokenSource | None
) -> tuple[str, str, str] | None:
    """Return kind, name and password with which a mailbox signs in; None where it does with tokens."""
    if tokens is not None:
        return None
    password = mailbox.password.get_secret_value() if mailbox.password is not None else ""
    return settings.ews.auth, mailbox.username or "", password


def connection(settings: ExchangeSettings, mailbox: MailboxSettings, tokens: TokenSource | None) -> EwsConnection:
    """Return where a mailbox's Exchange is, and how it is asked."""
    return EwsConnection(
        url=settings.ews_url(mailbox),
        ca_file=str(settings.ews.ca_file) if settings.ews.ca_file else None,
        connections=settings.connections_each,
        call_timeout_seconds=settings.ews.call_timeout_seconds,
        impersonate=tokens is not None or settings.ews.impersonate,
    )
