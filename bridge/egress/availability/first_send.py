"""Before a mailbox is sent from: proof that Exchange keeps to what sending rests on, at the least price."""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from contextlib import asynccontextmanager
from datetime import timedelta
from email.message import EmailMessage
from typing import TYPE_CHECKING, Final

from bridge.domain.outbound_records import DraftState, Stamp
from bridge.errors import (
    BridgeError,
    CallRefused,
    ItemChanged,
    LedgerUnsearchable,
    MessageError,
    SentDraftStays,
    StaleKeyAccepted,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from datetime import datetime

    from bridge.domain.outbound_records import CreatedDraft
    from bridge.ports.clock import Clock
    from bridge.ports.outbox import SendingMailbox

REQUEST_ID: Final = "bridge-self-test"
_PROVED: Final = "proved"
_DEPARTED: Final = "departed"
_GOOD_FOR: Final = timedelta(days=1)
_RECENT: Final = timedelta(minutes=5)
_AGAIN_SECONDS: Final = 600.0
"""A proof that failed may have sent a mail to the mailbox itself: it is not repeated with each request."""
_LOOKS: Final = 10


class FirstSend:
    """
    Lets nothing be sent from a mailbox before it is proved that sending from it is safe.

    Before the first send: a draft that was voided is not sent under its old change key, and the searches of the ledger
    find what was just written. Both need no mail. The first mail then goes alone, and others follow once it has left
    Drafts. What was proved is entered in the ledger, so that for a day no worker proves it again.
    """

    def __init__(
        self,
        mailbox: SendingMailbox,
        address: str,
        clock: Clock,
        *,
        exchange_now: Callable[[], datetime],
        paused: Callable[[], bool],
        wanted: bool,
    ) -> None:
        self._mailbox = mailbox
        self._address = address
        self._clock = clock
        self._exchange_now = exchange_now
        self._paused = paused
        self._proved = not wanted
        self._departed = not wanted
        self._alone = asyncio.Lock()
        self._proving = asyncio.Lock()
        self._stays: SentDraftStays | None = None
        self._failed: tuple[BridgeError, float] | None = None

    @asynccontextmanager
    async def attempt(self) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Yield what must be awaited before a send: it then goes alone while no mail was seen to leave Drafts."""
        alone = False

        async def may_send() -> None:
            nonlocal alone
            await self.prove()
            if not (self._departed or alone):
                await self._alone.acquire()
                alone = True
                if self._stays is not None and self._paused():
                    raise self._stays  # of the one before
                if self._departed:  # meanwhile
                    self._alone.release()
                    alone = False

        try:
            yield may_send
        finally:
            if alone:
                self._alone.release()

    async def prove(self) -> None:
        """
        Return once it is proved.

        Raises:
            StaleKeyAccepted, LedgerUnsearchable: It is not so. Nothing may be sent.
            BridgeError: The mailbox cannot be used at the moment.
        """
        async with self._proving:
            if self._proved:
                return
            if self._failed is not None and self._clock.monotonic() - self._failed[1] < _AGAIN_SECONDS:
                raise self._failed[0]
            try:
                await self._prove()
            except (StaleKeyAccepted, LedgerUnsearchable) as error:
                self._failed = error, self._clock.monotonic()
                raise
            except MessageError as error:  # of a draft or an entry of the proof, not of a request's mail
                raise CallRefused(error.detail, code=error.code) from error
            self._proved = True

    async def watch(self, sent: CreatedDraft) -> SentDraftStays | None:
        """See whether the first mail that Exchange took has left Drafts; return what is wrong where it has not."""
        if self._departed:
            return None
        for look in range(_LOOKS):
            if look:
                await self._clock.sleep(1.0)
            try:
                drafts = await self._mailbox.find_drafts(sent.stamp.request_id)
            except BridgeError:
                return None  # nothing is known: the next mail goes alone as well
            if all(one.stamp.attempt != sent.stamp.attempt or one.state is not DraftState.UNSENT for one in drafts):
                self._departed = True
                await self._note_departed()
                return None
        self._stays = SentDraftStays()
        return self._stays

    async def _prove(self) -> None:
        noted = await self._noted()
        self._departed = _DEPARTED in noted
        if _PROVED not in noted:
            await prove_stale_key(self._mailbox, self._address)
            await prove_searches(self._mailbox)

    async def _noted(self) -> set[str]:
        """Return what was proved within a day, by Exchange's clock."""
        entries = (await self._mailbox.find_in_ledger(REQUEST_ID)).entries
        since = self._exchange_now() - _GOOD_FOR
        return {entry.stamp.digest for entry in entries if entry.kind == "unsent" and entry.at > since}

    async def _note_departed(self) -> None:
        try:
            await _note(self._mailbox, _DEPARTED)
        except BridgeError:
            return  # the next worker sends its first mail alone, and that is all


async def prove_stale_key(mailbox: SendingMailbox, address: str) -> None:
    """
    Prove that a draft which was changed is not sent under the change key of its creation.

    The draft is addressed to the mailbox itself: nobody else gets a mail where it is sent all the same.

    Raises:
        StaleKeyAccepted: It was sent.
        LedgerUnsearchable: The draft is not found by its stamp.
        BridgeError: The mailbox cannot be used, or the draft was refused for another reason than its change.
    """
    stamp = Stamp(REQUEST_ID, uuid.uuid4().hex, "draft")
    created = await mailbox.create_draft(_mail(address), stamp)
    try:
        seen = next((one for one in await mailbox.find_drafts(REQUEST_ID) if one.stamp == stamp), None)
        if seen is None:
            raise LedgerUnsearchable("a draft is not found by its stamp")
        await mailbox.void(seen)
        try:
            await mailbox.send(created)
        except ItemChanged:
            return  # any other refusal, as of a missing right, is none for the key, and proves nothing
        raise StaleKeyAccepted
    finally:
        with contextlib.suppress(BridgeError):  # it is void, and swept with other drafts
            await mailbox.discard(created)


async def prove_searches(mailbox: SendingMailbox) -> None:
    """
    Prove that both searches of the ledger find what was just written, and note it there.

    Raises:
        LedgerUnsearchable: One of them does not.
        BridgeError: The mailbox cannot be used.
    """
    attempt, entry_id = await _enter(mailbox, _PROVED)
    if all(entry.stamp.attempt != attempt for entry in (await mailbox.find_in_ledger(REQUEST_ID)).entries):
        raise LedgerUnsearchable("an entry is not found by its request")
    if all(send.attempt != attempt for send in (await mailbox.begun_since(_RECENT)).sends):
        raise LedgerUnsearchable("an entry is not found by its time")
    await mailbox.mark_unsent(entry_id)


async def _note(mailbox: SendingMailbox, what: str) -> None:
    _, entry_id = await _enter(mailbox, what)
    await mailbox.mark_unsent(entry_id)


async def _enter(mailbox: SendingMailbox, what: str) -> tuple[str, str]:
    attempt = uuid.uuid4().hex
    return attempt, await mailbox.enter_begun(Stamp(REQUEST_ID, attempt, what), 0)


def _mail(address: str) -> bytes:
    mail = EmailMessage()
    mail["From"] = mail["To"] = address
    mail["Subject"] = "Self-test of the mail bridge"
    mail["Auto-Submitted"] = "auto-generated"
    mail["X-Auto-Response-Suppress"] = "All"
    mail.set_content(
        "This draft was changed before it was sent, so Exchange should have refused it. Where it arrives, sending from "
        "this mailbox is not safe: see stale_key_accepted in docs/metrics.md."
    )
    return mail.as_bytes()
