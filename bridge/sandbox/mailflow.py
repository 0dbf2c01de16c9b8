"""Carries away what EWS accepted for sending: to mailboxes of our own, as a bounce, or out of the world."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.sandbox.bounces import bounce
from bridge.sandbox.tenant import domain_of

if TYPE_CHECKING:
    from bridge.sandbox.store import Store, SubmittedMail
    from bridge.sandbox.tenant import Tenant

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0


class MailFlow:
    """
    Settles every accepted mail once, in the order accepted.

    The store's list of pending mails is the work list: a mail is taken from it and delivered in one transaction, so a
    kill at any moment neither loses nor doubles it, and a restart goes on where it stopped.
    """

    def __init__(self, store: Store, tenant: Tenant, *, server: str) -> None:
        """Carry the mails of `store`; `server` is the host name that bounces give as theirs."""
        self._store = store
        self._tenant = tenant
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.Event()
        self._work.set()  # what an earlier process left

    def accepted(self, _mail: SubmittedMail) -> None:
        """Note that there is work; from any thread."""
        self._loop.call_soon_threadsafe(self._work.set)

    async def run(self) -> None:
        """Carry mails until cancelled."""
        while True:
            await self._work.wait()
            self._work.clear()
            if not await asyncio.to_thread(self.settle_pending):
                await asyncio.sleep(_RETRY_SECONDS)
                self._work.set()

    def settle_pending(self) -> bool:
        """Settle what is pending now, on a worker thread; tell whether all went well."""
        try:
            pending = self._store.pending()
        except sqlite3.Error as error:
            _LOG.error("the mail flow cannot read the store: %s", type(error).__name__)
            return False
        outcomes = [self._settle(mail) for mail in pending]  # each is tried, whatever became of the one before
        return all(outcomes)

    def _settle(self, mail: SubmittedMail) -> bool:
        try:
            self._store.settle(mail.submission, self._deliveries(mail))
        except Exception as error:  # noqa: BLE001 - the mail stays pending, and must not hold up those behind it
            # Only the kind of error: a trace could carry what the mail says.
            _LOG.error("submission %d is not carried yet: %s", mail.submission, type(error).__name__)
            return False
        return True

    def _deliveries(self, mail: SubmittedMail) -> list[tuple[str, bytes]]:
        ours = self._tenant.domains()
        deliveries: list[tuple[str, bytes]] = []
        unknown: list[str] = []
        for recipient in mail.recipients:
            user = self._tenant.user(recipient)
            if user is not None:
                deliveries.append((user.address, mail.mime))
            elif domain_of(recipient) in ours:
                unknown.append(recipient)
            # Everybody else is outside: the record of sends is all that shows of it.
        if unknown:
            to = mail.sender if self._tenant.user(mail.sender) is not None else mail.mailbox
            deliveries.append((to, bounce(mail, unknown, server=self._server, at=datetime.now(UTC))))
        return deliveries
