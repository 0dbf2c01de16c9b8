"""Carries away what EWS accepted for sending: to mailboxes of our own, as a bounce, or out of the world."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING

from bridge.sandbox.bounces import FULL, TOO_BIG, TOO_MANY_RECIPIENTS, UNKNOWN, Failure, bounce
from bridge.sandbox.clock import EXCHANGE
from bridge.sandbox.ews.behaviour import BehaviourSettings, ServerBehaviour
from bridge.sandbox.groups import with_members
from bridge.sandbox.tenant import domain_of
from bridge.sandbox.trace import within

if TYPE_CHECKING:
    from bridge.sandbox.store import Store, SubmittedMail
    from bridge.sandbox.tenant import Tenant

_LOG = logging.getLogger(__name__)
_RETRY_SECONDS = 1.0
_CLOCK_GRAIN_SECONDS = 0.001


class MailFlow:
    """
    Settles every accepted mail once, in the order accepted.

    The store's list of pending mails is the work list: a mail is taken from it and delivered in one transaction, so a
    kill at any moment neither loses nor doubles it, and a restart goes on where it stopped.
    """

    def __init__(self, store: Store, tenant: Tenant, *, server: str, behaviour: ServerBehaviour | None = None) -> None:
        """Carry the mails of `store` by Exchange's limits; `server` is the host name that bounces give as theirs."""
        self._store = store
        self._behaviour = behaviour or ServerBehaviour(BehaviourSettings(), store)
        self._wake_seconds: float | None = None
        self._tenant = tenant
        self._server = server
        self._loop = asyncio.get_running_loop()
        self._work = asyncio.Event()
        self._work.set()  # what an earlier process left
        self._behaviour.book.listen(self.wake)
        self._behaviour.planned = self.wake

    def accepted(self, _mail: SubmittedMail) -> None:
        """Note that there is work; from any thread."""
        self.wake()

    def wake(self) -> None:
        """Look at what is pending now; from any thread."""
        self._loop.call_soon_threadsafe(self._work.set)

    async def run(self) -> None:
        """Carry mails until cancelled."""
        while True:
            # Mail that is delayed for its sender's rate, and all else that comes late, has its time.
            with suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), self._wake_seconds)
            self._work.clear()
            if not await asyncio.to_thread(self.settle_pending):
                await asyncio.sleep(_RETRY_SECONDS)
                self._work.set()

    def settle_pending(self) -> bool:
        """
        Settle what is pending and due now, on a worker thread; tell whether all went well.

        Mail of a mailbox that is over its rate stays as it is, in the order accepted, until its time has come.
        """
        waits: dict[str, float] = {}
        outcomes: list[bool] = []
        try:
            planned_in = self._behaviour.do_due()
            for submission, address in self._store.waiting():
                if address in waits:
                    continue
                wait = self._behaviour.wait_seconds(address)
                if wait > 0:
                    waits[address] = wait
                    continue
                mail = self._store.pending_mail(submission)
                if mail is not None:
                    outcomes.append(self._settle(mail))  # each is tried, whatever became of the one before
            later = self._behaviour.do_due() if outcomes else planned_in
        except sqlite3.Error as error:
            _LOG.error("the mail flow cannot read the store: %s", type(error).__name__)
            return False
        times = [*waits.values(), *([] if later is None else [later])]
        self._wake_seconds = min(times) + _CLOCK_GRAIN_SECONDS if times else None
        return all(outcomes)

    def _settle(self, mail: SubmittedMail) -> bool:
        try:
            self._behaviour.settle(mail, *self._deliveries(mail))
        except Exception as error:  # noqa: BLE001 - the mail stays pending, and must not hold up those behind it
            # Only the kind of error: a trace could carry what the mail says.
            _LOG.error("submission %d is not carried yet: %s", mail.submission, type(error).__name__)
            return False
        return True

    def _deliveries(self, mail: SubmittedMail) -> tuple[list[tuple[str, bytes]], list[tuple[str, bytes]]]:
        """Return what goes to mailboxes, and the reports about what reaches nobody."""
        ours = self._tenant.domains()
        now = EXCHANGE.now()
        trace = within(self._server, now)
        deliveries: list[tuple[str, bytes]] = []
        failed: dict[Failure, list[str]] = {}
        if self._behaviour.has_too_many_recipients(mail):
            failed[TOO_MANY_RECIPIENTS] = list(mail.recipients)
        for recipient in with_members(self._behaviour.book, mail.recipients) if not failed else ():
            user = self._tenant.user(recipient)
            if user is not None:
                failure = refusal(self._behaviour, user.address, len(mail.mime))
                if failure is None:
                    deliveries.append((user.address, trace + mail.mime))
                else:
                    failed.setdefault(failure, []).append(recipient)
            elif domain_of(recipient) in ours:
                failed.setdefault(UNKNOWN, []).append(recipient)
            # Everybody else is outside: the record of sends is all that shows of it.
        to = mail.sender if self._tenant.user(mail.sender) is not None else mail.mailbox
        # Also into a full mailbox: the quota does not count for the system's own mail.
        reports = [
            (to, trace + bounce(mail, whom, failure, server=self._server, at=now)) for failure, whom in failed.items()
        ]
        return deliveries, reports


def refusal(behaviour: ServerBehaviour | None, address: str, size: int) -> Failure | None:
    """Return why a mailbox does not take a mail of so many bytes, None if it does; without a behaviour all take all."""
    if behaviour is None:
        return None
    if behaviour.is_too_big_for(address, size):
        return TOO_BIG
    return FULL if behaviour.is_full(address, size) else None
