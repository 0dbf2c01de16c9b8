"""What a mailbox may send, what of that is used up, and, where asked for, one mail that is really sent."""

from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from bridge.config.rules import is_microsoft_host
from bridge.doctor.examination import to_its_end
from bridge.doctor.findings import doubtful, failed, ok
from bridge.doctor.marks import REQUEST_ID
from bridge.domain.outbound_records import DraftState, Stamp
from bridge.domain.send_rate import EXCHANGE_ONLINE_MAILS_PER_MINUTE, EXCHANGE_ONLINE_RECIPIENTS_PER_DAY
from bridge.domain.watched_folders import LEDGER_FOLDER
from bridge.egress.availability.first_send import prove_searches, prove_stale_key
from bridge.errors import BridgeError, SentDraftStays

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.bootstrap.mailboxes import OpenMailbox
    from bridge.config import MailboxSettings
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding

_COPY_SECONDS: Final = 60.0
_LEAVES_SECONDS: Final = 10.0
_LOOK_SECONDS: Final = 1.0


class Sending:
    """Examines one mailbox that is sent from."""

    def __init__(self, examination: Examination, mailbox: MailboxSettings, opened: OpenMailbox) -> None:
        self._examination = examination
        self._mailbox = mailbox
        self._url = examination.settings.ews_url(mailbox)
        self._sender = opened.sender
        self._trial = opened.trial

    async def examine(self) -> AsyncGenerator[Finding, None]:
        """Yield what is found; sends nothing unless it was asked for."""
        yield self._configured()
        yield await self._used()
        if self._examination.send_test is not None:
            async for finding in self._send(self._examination.send_test):
                yield finding

    def _configured(self) -> Finding:
        step, tried = f"mailbox {self._mailbox.alias}, limits", "compare them with those of Exchange"
        rate, recipients = self._mailbox.send_rate_per_minute, self._mailbox.recipients_per_day
        limits = f"{rate} mails a minute, {recipients} recipients a day"
        if not is_microsoft_host(self._url):
            return ok(step, tried, f"{limits}; the server's own are not known here")
        too_fast = rate == "unlimited" or rate > EXCHANGE_ONLINE_MAILS_PER_MINUTE
        if too_fast or recipients == "unlimited" or recipients > EXCHANGE_ONLINE_RECIPIENTS_PER_DAY:
            return doubtful(step, tried, "send_limit_exceeded", limits)
        return ok(step, tried, limits)

    async def _used(self) -> Finding:
        step, tried = f"mailbox {self._mailbox.alias}, limits", "count what was sent in 24 hours"
        self._examination.begin(step, tried)
        most = self._mailbox.recipients_per_day
        try:
            # The folder is not made for this: nothing was sent where it is missing.
            if not await self._trial.has_folder(LEDGER_FOLDER):
                # The same searches all the same, in a folder that is there: a worker cannot send without them.
                await self._trial.search_drafts()
                return ok(step, tried, "the bridge has sent nothing yet; the searches that this takes work")
            begun = await self._sender.begun_since(timedelta(days=1))
        except BridgeError as error:
            return failed(step, tried, error)
        recipients = sum(send.recipients for send in begun.sends)
        used = f"{len(begun.sends)} mail(s) to {recipients} recipient(s)"
        if most != "unlimited" and recipients >= most:
            return doubtful(step, tried, "send_limit_reached", f"{used} of {most}")
        return ok(step, tried, used)

    async def _send(self, recipient: str) -> AsyncGenerator[Finding, None]:
        finding = await self._prove()
        yield finding
        if finding.state != "ok":
            return
        step, tried = f"mailbox {self._mailbox.alias}, test mail", "send one"
        self._examination.begin(step, tried)
        stamp = Stamp(f"{REQUEST_ID}-{uuid.uuid4()}", "test", "check")
        try:
            draft = await to_its_end(self._sender.create_draft(self._mail(recipient), stamp))
            await to_its_end(self._sender.send(draft))
        except BridgeError as error:
            yield failed(step, tried, error)
            return
        finally:
            # Sent, there is none any more; where this is cut short before that, none may be left.
            await asyncio.shield(self._discard(stamp))
        yield ok(step, tried, "Exchange accepted it; its copy stays in Sent Items")
        yield await self._left(step, stamp)
        yield await self._copy(step, stamp)

    async def _prove(self) -> Finding:
        step = f"mailbox {self._mailbox.alias}, test mail"
        tried = "prove that a changed draft is not sent, and that the ledger finds what is entered"
        self._examination.begin(step, tried)
        try:
            await to_its_end(self._sender.prepare())
            await to_its_end(prove_stale_key(self._sender, self._mailbox.address))
            await to_its_end(prove_searches(self._sender))
        except BridgeError as error:
            return failed(step, tried, error)
        return ok(step, tried, "a worker may send: it proves the same before its first mail")

    async def _left(self, step: str, stamp: Stamp) -> Finding:
        tried = "see that it left Drafts"
        self._examination.begin(step, tried)
        loop = asyncio.get_running_loop()
        until = loop.time() + _LEAVES_SECONDS
        while True:
            try:
                drafts = await self._sender.find_drafts(stamp.request_id)
            except BridgeError as error:
                return failed(step, tried, error)
            if all(draft.state is not DraftState.UNSENT for draft in drafts):
                return ok(step, tried, "it did")
            if loop.time() > until:
                return failed(step, tried, SentDraftStays())
            await asyncio.sleep(_LOOK_SECONDS)

    async def _discard(self, stamp: Stamp) -> None:
        try:
            for draft in await self._sender.find_drafts(stamp.request_id):
                if draft.state.value == "unsent":
                    await self._trial.delete_item(draft.item_id)
        except BridgeError:
            return  # swept with the drafts of requests, later

    async def _copy(self, step: str, stamp: Stamp) -> Finding:
        tried = "find its copy in Sent Items by the bridge's stamp"
        self._examination.begin(step, tried)
        loop = asyncio.get_running_loop()
        until = loop.time() + _COPY_SECONDS
        while loop.time() < until:
            try:
                if await self._sender.find_in_sent_items(stamp.request_id):
                    return ok(step, tried, "it is there: a send whose answer is lost can be told as sent")
            except BridgeError as error:
                return failed(step, tried, error)
            await asyncio.sleep(_LOOK_SECONDS)
        return doubtful(step, tried, "sent_copy_unstamped", f"not there after {_COPY_SECONDS:.0f} s")

    def _mail(self, recipient: str) -> bytes:
        mail = EmailMessage()
        mail["From"] = self._mailbox.address
        mail["To"] = recipient
        mail["Subject"] = "Test mail of bridge check"
        mail["Date"] = format_datetime(datetime.now(UTC))
        mail["Auto-Submitted"] = "auto-generated"
        mail["X-Auto-Response-Suppress"] = "All"
        mail.set_content(
            "Sent by bridge check --send-test, to try whether this mailbox can send. Nothing is to be done."
        )
        return mail.as_bytes()
