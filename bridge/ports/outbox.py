"""A mailbox that mail is sent from, as the egress worker needs it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from datetime import datetime, timedelta

    from bridge.domain.outbound import AttachedFile
    from bridge.domain.outbound_records import (
        CreatedDraft,
        EndReason,
        LedgerView,
        SeenDraft,
        SeenMail,
        Stamp,
    )
    from bridge.domain.send_rate import BegunSend


@dataclass(frozen=True, slots=True)
class BegunSends:
    """The sends that were begun within a time, in the order of their entries, and what time it is at Exchange."""

    now: datetime
    sends: Sequence[BegunSend]


class SendingMailbox(Protocol):
    """
    One mailbox. Nothing here repeats a call, and nothing decides: that is the worker's.

    Every method may raise `MailboxThrottled`, `TokenUnavailable` and the operator errors of a mailbox
    (`CredentialsRejected`, `EwsBlocked`, `MailboxNotFound`, `MailboxAccessDenied`, `MailboxFull`, `FolderNotFound`);
    nothing changed then, as far as Exchange says. Methods that read may raise `MailboxUnavailable`. Methods that
    change something raise `SendOutcomeUnknown` instead, whenever there is no usable answer: the call may have worked,
    or work at any later moment. One that has to look first raises `MailboxUnavailable` where the look has no answer.

    Reads find what was stored before they began, whatever index the server keeps, and match the request id exactly.
    """

    @property
    def largest_mime_bytes(self) -> int:
        """The largest mail that this transport can carry in one call."""

    @property
    def largest_attachment_bytes(self) -> int:
        """The largest attachment that it can carry by itself."""

    @property
    def largest_mail_bytes(self) -> int:
        """The largest mail that it can carry in any number of calls."""

    @property
    def answered_seconds_ago(self) -> float:
        """How long ago a call in this mailbox was answered as it should be, whoever made it; inf: never."""

    @property
    def ledger_since(self) -> datetime | None:
        """
        From when on the ledger is whole, as far as is known by now; None: it always was.

        A ledger that people destroyed or emptied is made anew, and is whole from then on.
        """

    async def prepare(self) -> None:
        """Find the folder of the ledger, wherever it is, or make it. May be called again at any time."""

    async def create_draft(self, mime: bytes, stamp: Stamp) -> CreatedDraft:
        """
        Save a draft and return it with the version that can be sent; the stamp is written last.

        Raises:
            SendRefused: Exchange will never take this mail.
            SendOutcomeUnknown: A draft may be there, or come later.
        """

    async def create_draft_in_parts(
        self, mime: bytes, attachments: AsyncIterator[AttachedFile], stamp: Stamp
    ) -> CreatedDraft:
        """
        Save a draft in several calls: the mail, then each attachment as it comes, and the stamp last.

        Until the stamp is written no look takes it for a draft of the request. What is left of one that was never
        finished is swept by its age.

        Raises:
            SendRefused: Exchange will never take this mail.
            SendOutcomeUnknown: A part of a draft may be there; with its stamp where that was the last call.
            BridgeError: Whatever the attachments raise, when their turn comes.
        """

    async def find_drafts(self, request_id: str) -> Sequence[SeenDraft]:
        """Return the stamped drafts of a request, void and submitted ones included."""

    async def find_in_outbox(self, request_id: str) -> Sequence[SeenMail]:
        """Return the mails of a request in Outbox."""

    async def find_in_sent_items(
        self, request_id: str, *, since: datetime | None = None, deleted: bool = False
    ) -> Sequence[SeenMail]:
        """
        Return the mails of a request in Sent Items, as far as their stamp got there; of those sent at `since` or later.

        With `deleted` also those that people deleted afterwards, as far as they can be had back.
        """

    async def find_in_ledger(self, request_id: str) -> LedgerView:
        """
        Return the entries of a request, oldest first by the time at which Exchange stored them.

        And from when on the ledger has them all, which is the same answer: nothing can happen in between.
        """

    async def void(self, draft: SeenDraft) -> None:
        """
        Change a draft so that nobody can send it any more, provided that it is as it was seen.

        Raises:
            CallRefused: It is not: somebody changed, sent or deleted it.
            SendOutcomeUnknown: It may be void, or become it later.
        """

    async def enter_begun(self, stamp: Stamp, recipients: int, *, call: int = 1) -> str:
        """
        Enter a call that sends in the ledger; return the entry's id. The entry is stored when this returns.

        `call` is the number of the call for this attempt: each has an entry of its own.

        Raises:
            SendOutcomeUnknown: The entry may be there, or come later.
        """

    async def enter_ended(self, stamp: Stamp, reason: EndReason) -> None:
        """
        Enter a request as ended without a send. The entry is stored when this returns.

        Raises:
            SendOutcomeUnknown: The entry may be there, or come later.
        """

    async def send(self, draft: CreatedDraft, *, still: Callable[[], bool] = lambda: True) -> None:
        """
        Send a draft in the version of its creation: one that was changed since is refused. A copy goes to Sent Items.

        `still` is asked, on any thread, as late as can be: what is between it and Exchange is the call in flight.

        Raises:
            SendTooLate: `still` said no, and there was no call.
            ItemChanged: The draft is not as it was created.
            CallRefused: It is gone, or was refused for another reason that passes.
            SendRefused: Exchange will never send this mail.
            MailboxUnavailable: There was no connection, so there was no call.
            SendOutcomeUnknown: It may be sent, or be sent later.
        """

    async def mark_done(self, entry_id: str) -> None:
        """
        Mark a begun send as done.

        Raises:
            CallRefused: There is no such entry.
            SendOutcomeUnknown: It may be marked.
        """

    async def mark_unsent(self, entry_id: str) -> None:
        """
        Mark a begun send as one whose call was refused or never made: it is not counted as a send any more.

        Raises:
            CallRefused: There is no such entry.
            SendOutcomeUnknown: It may be marked.
        """

    async def discard(self, draft: CreatedDraft) -> None:
        """
        Delete a draft of one's own, for good; one that is gone is no error.

        Raises:
            SendOutcomeUnknown: It may be deleted, or be deleted later.
        """

    async def begun_since(self, age: timedelta) -> BegunSends:
        """Return the sends that were begun within this time, for the rate window."""

    async def sweep(self, age: timedelta, *, limit: int) -> int:
        """
        Delete up to `limit` entries of the ledger, and stamped drafts that were not sent, older than this.

        A begun send that is not marked as done is kept ten times as long: its request may still wait for the mailbox,
        and nothing else would tell that its mail is out.

        Returns how many were deleted; 0 means that nothing older is left.

        Raises:
            BridgeError: Besides what every method raises, whatever keeps Exchange from deleting a single one of them.
        """
