"""Mailboxes for commands that look at them or try them: the same adapters as the workers', whatever the transport."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bridge.adapters.ews.inbox import EwsInbox
from bridge.adapters.ews.parked import EwsParked
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.ews.trial import EwsTrial
from bridge.adapters.ews.watched import WatchedFolders
from bridge.bootstrap.exchange import ews_client

if TYPE_CHECKING:
    from bridge.adapters.ews.mailbox_identity import KnownMailboxes
    from bridge.config.settings import ExchangeSettings, MailboxSettings
    from bridge.ports.inbox import Inbox
    from bridge.ports.outbox import SendingMailbox
    from bridge.ports.parked import ParkedMails
    from bridge.ports.tokens import TokenSource
    from bridge.ports.trial import MailboxTrial


class OpenMailbox:
    """One mailbox with a client of its own; close it at the end."""

    def __init__(
        self,
        settings: ExchangeSettings,
        mailbox: MailboxSettings,
        tokens: TokenSource | None,
        *,
        known: KnownMailboxes | None = None,
    ) -> None:
        """Prepare it, with what other mailboxes of the same command share with it."""
        address = mailbox.address
        self._client = ews_client(settings, mailbox, tokens, known=known)
        self.inbox = self.inbox_of(address)
        self.inbox_as_read: Inbox = EwsInbox(self._client, address, ignore_before=mailbox.ignore_before)
        """As a worker lists it, without what it is to leave where it is."""
        self.parked: ParkedMails = EwsParked(self._client, address)
        self.sender: SendingMailbox = EwsSender(self._client, address)
        watched = WatchedFolders(self._client, address, mailbox.folders, mailbox.move_to)
        self.trial: MailboxTrial = EwsTrial(self._client, address, watched)

    def inbox_of(self, address: str) -> Inbox:
        """Return the inbox of another mailbox, by the same login."""
        return EwsInbox(self._client, address)

    def close(self) -> None:
        """Close its connections."""
        self._client.close()
