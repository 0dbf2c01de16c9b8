"""From the configuration to what the adapters for Entra and EWS take."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.entra.tokens import EntraApp, EntraTokens
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.inbox import EwsInbox

if TYPE_CHECKING:
    from bridge.config import EntraSettings, MailboxSettings, Settings
    from bridge.ports.tokens import TokenSource


def entra_tokens(section: EntraSettings) -> EntraTokens:
    """Return the token source of the app."""
    (scope,) = section.scopes
    app = EntraApp(
        authority_url=section.authority,
        client_id=section.client_id,
        scope=scope,
        ca_file=str(section.ca_file) if section.ca_file is not None else None,
        timeout_seconds=section.timeout_seconds,
    )
    return EntraTokens(app, section.read_secret)


def ews_client(settings: Settings, mailbox: MailboxSettings, tokens: TokenSource | None) -> EwsClient:
    """Return a client for one mailbox with a single connection; close it."""
    section = settings.ews
    login = None
    if section.auth != "oauth":
        password = mailbox.password.get_secret_value() if mailbox.password is not None else ""
        login = (section.auth, mailbox.username or "", password)
    connection = EwsConnection(
        url=section.url,
        ca_file=str(section.ca_file) if section.ca_file is not None else None,
        connections=1,
        call_timeout_seconds=section.call_timeout_seconds,
        impersonate=login is None,
    )
    return EwsClient(connection, tokens=tokens if login is None else None, login=login)


def ews_inbox(client: EwsClient, mailbox: MailboxSettings) -> EwsInbox:
    """Return the mailbox's inbox, to look at."""
    return EwsInbox(client, mailbox.address, ignore_before=mailbox.ignore_before)
