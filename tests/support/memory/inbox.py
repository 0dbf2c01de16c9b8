"""A mailbox in memory, for unit tests: whatever can go wrong with a real one is switched on by hand."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from bridge.domain.mail import (
    FailedFetch,
    Fetched,
    FetchedMail,
    Listing,
    MailProperties,
    MailRef,
    Removal,
    UnconvertibleMail,
    VanishedMail,
)
from bridge.domain.mailbox_state import FolderCounts, MailboxSize
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import BridgeError, FolderNotFound, MailUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.ports.broker import PublishReceipt

_EARLIEST = datetime.min.replace(tzinfo=UTC)


@dataclass(slots=True)
class StoredMail:
    """One mail in a `MemoryInbox`."""

    ref: MailRef
    mime: bytes | None
    folder: str = "inbox"


class MemoryInbox:
    """Keeps the promise of `ports.inbox.Inbox`."""

    def __init__(self, *mails: StoredMail, page_limit: int = 1_000) -> None:
        self.mails = list(mails)
        self.folders = {"inbox", "junkemail", "deleteditems"}
        """Those that are there without any mail."""
        self.page_limit = page_limit
        self.fails: dict[str, BridgeError] = {}
        """Operation (`list`, `fetch`, `remove`, `park`, `parked_lately`, `count`) to the error that it raises."""
        self.unreadable: set[str] = set()
        """Item ids of mails that can be neither converted nor read."""
        self.denies_removal = False
        """Answer 'not found' to removals and remove nothing, as Exchange does where a right is missing."""
        self.stuck: set[str] = set()
        """Item ids of mails that Exchange will not let go."""
        self.listings: list[int] = []
        """The offset of each listing."""
        self.fetches: list[Sequence[str]] = []
        self.removals: list[Sequence[str]] = []
        self.parked: dict[str, str] = {}
        self.parked_at: list[float] = []
        self.now: Callable[[], float] = lambda: 0.0
        """The clock by which mails are parked."""
        self.size: MailboxSize | None = None
        self.target_missing = False
        self._moves = 0

    async def list_waiting(self, folder: str, *, limit: int, offset: int = 0) -> Listing:
        """Return the mails of a folder oldest first."""
        self._fail("list")
        self.listings.append(offset)
        mails = sorted(self._in(folder), key=lambda ref: ref.received_at or _EARLIEST)
        page = mails[offset : offset + min(limit, self.page_limit)]
        return Listing(page, total=len(mails), complete=offset + len(page) >= len(mails))

    async def count(self, folder: str) -> int:
        """Return how many mails a folder holds."""
        self._fail("count")
        return len(self._in(folder))

    async def count_folders(self) -> FolderCounts:
        """Return what is junk or parked, and what a test says of the mailbox."""
        parked = [mail.ref.message_id for mail in self.mails if mail.folder == PARKED_FOLDER]
        codes = Counter(self.parked.get(message_id, "") for message_id in parked)
        junk = await self.count("junkemail")
        return FolderCounts(junk, len(parked), codes, self.size, self.target_missing)

    async def fetch(self, refs: Sequence[MailRef]) -> Sequence[Fetched]:
        """Return one outcome for each ref."""
        self.fetches.append([ref.item_id for ref in refs])
        failure = self.fails.get("fetch")
        if failure is not None:
            return [FailedFetch(ref, failure) for ref in refs]
        return [self._read(ref) for ref in refs]

    async def remove(self, published: Sequence[tuple[MailRef, PublishReceipt]]) -> Sequence[Removal]:
        """Take published mails out."""
        for ref, receipt in published:
            if ref.message_id != receipt.message_id:
                raise ValueError("a receipt for another mail")
        if not published:
            return []
        self._fail("remove")
        ids = {ref.item_id for ref, _ in published}
        self.removals.append(sorted(ids))
        if not self.denies_removal:
            self.mails = [mail for mail in self.mails if mail.ref.item_id not in ids - self.stuck]
        return [Removal(ref, MailUnreadable() if ref.item_id in self.stuck else None) for ref, _ in published]

    async def park(self, announced: Sequence[tuple[MailRef, str, PublishReceipt]]) -> Sequence[Removal]:
        """Move mails to the folder of parked ones; `parked` has their codes."""
        if not announced:
            return []
        self._fail("park")
        here = {mail.ref.item_id for mail in self.mails} - self.stuck
        for ref, code, _ in announced:
            if ref.item_id in here:
                here.discard(ref.item_id)
                self.parked[ref.message_id] = code
                self.parked_at.append(self.now())
                self.folders.add(PARKED_FOLDER)
                self.move(ref, PARKED_FOLDER)
        return [Removal(ref, MailUnreadable() if ref.item_id in self.stuck else None) for ref, _, _ in announced]

    async def parked_lately(self, within_seconds: float, *, limit: int) -> Sequence[float]:
        """Return how long ago mails were parked."""
        self._fail("parked_lately")
        ages = [self.now() - at for at in reversed(self.parked_at)]
        return [age for age in ages if age < within_seconds][:limit]

    def move(self, ref: MailRef, folder: str) -> MailRef:
        """Move a mail as Exchange does it: it is another item then, and the same mail. Return what a listing shows."""
        [mail] = [mail for mail in self.mails if mail.ref.item_id == ref.item_id]
        self._moves += 1
        moved = replace(mail.ref, item_id=f"{ref.item_id}-moved-{self._moves}")
        for ids in (self.unreadable, self.stuck):
            if ref.item_id in ids:
                ids.add(moved.item_id)
        self.mails = [one for one in self.mails if one is not mail] + [replace(mail, ref=moved, folder=folder)]
        return moved

    def _in(self, folder: str) -> list[MailRef]:
        found = [mail.ref for mail in self.mails if mail.folder == folder]
        if not found and folder not in self.folders:
            raise FolderNotFound
        return found

    def _read(self, ref: MailRef) -> Fetched:
        mail = next((mail for mail in self.mails if mail.ref.item_id == ref.item_id), None)
        if mail is None:
            return VanishedMail(ref)
        if ref.item_id in self.unreadable:
            return FailedFetch(ref, MailUnreadable())
        if mail.mime is None:
            return UnconvertibleMail(ref, MailProperties(subject="a meeting"), "ErrorMimeContentConversionFailed")
        return FetchedMail(ref, mail.mime)

    def _fail(self, operation: str) -> None:
        if operation in self.fails:
            raise self.fails[operation]
