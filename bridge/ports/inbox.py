"""A mailbox's watched folders, as the ingest worker needs them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.domain.mail import Fetched, Listing, MailRef, Removal
    from bridge.domain.mailbox_state import FolderCounts
    from bridge.ports.broker import PublishReceipt


class Inbox(Protocol):
    """
    One mailbox. The listing is the work list: there is no cursor that could be lost.

    Every method may raise `MailboxThrottled`, `MailboxUnavailable`, `TokenUnavailable` and the operator errors of a
    mailbox (`CredentialsRejected`, `EwsBlocked`, `MailboxNotFound`, `MailboxAccessDenied`). Except where said, nothing
    changed then; after `MailboxUnavailable` a removal or a move may have been done all the same. A folder that is not
    there is `FolderNotFound`. No mails to do anything with are no call.
    """

    async def list_waiting(self, folder: str, *, limit: int, offset: int = 0) -> Listing:
        """Return the mails of a folder oldest first, `limit` of them after the first `offset`, with the total count."""

    async def fetch(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        """
        Return one outcome for each ref, in their order.

        A mail that fails does not fail the others, and a call that fails as a whole is the failure of each. MIME that
        is absent, empty, not base64 or of implausible size is never passed off as the mail.
        """

    async def remove(self, published: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        """
        Take published mails out of the folder; a mail already gone is not an error. One outcome for each.

        The receipts are the point: without one there is no way to remove mail, and a receipt for another mail is
        refused with ValueError, before anything is removed. A mail that was moved elsewhere since the listing is gone
        from the folder, and stays where it is.
        """

    async def park(self, announced: Sequence[tuple[MailRef, str, PublishReceipt]]) -> Sequence[Removal]:
        """
        Move mails unchanged to the folder `Bridge Parked`, making it where it is missing; one outcome for each.

        With the code of the reason, which is kept beside the mail as far as Exchange lets it, and the receipt of the
        announcement: without one there is no way to park. A mail already gone is not an error.
        """

    async def parked_lately(self, within_seconds: float, *, limit: int) -> Sequence[float]:
        """
        Return how many seconds ago mails were parked within this time, by any worker, as Exchange's clock tells.

        The latest first, up to `limit`; fewer where the mailbox cannot tell of more at once.
        """

    async def count(self, folder: str) -> int:
        """Return how many mails a folder holds."""

    async def count_folders(self) -> FolderCounts:
        """
        Return what lies in the junk folder and in `Bridge Parked` (nothing where there is no such folder), how full the
        mailbox is, and whether the folder into which published mails are moved is there.
        """
