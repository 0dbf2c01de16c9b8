"""What every `Inbox` promises. Subclasses supply the fixture `mailbox`: an empty one, and a person who works in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pytest

from bridge.domain.mail import FailedFetch, FetchedMail, MailRef, VanishedMail
from bridge.domain.parking import PARKED_FOLDER
from bridge.errors import BridgeError, EwsBlocked, FolderNotFound, MailboxThrottled, MailboxUnavailable
from bridge.ports.broker import PublishReceipt

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from bridge.domain.mail import Fetched, Listing, Removal
    from bridge.ports.inbox import Inbox

TROUBLE: list[type[BridgeError]] = [MailboxThrottled, MailboxUnavailable, EwsBlocked]
"""One of each sort: Exchange asks for less, does not answer, or a person has to act."""


class InboxAtWork(Protocol):
    """An inbox, and what others do to the mailbox meanwhile."""

    @property
    def inbox(self) -> Inbox:
        """The one that is tried."""

    def deliver(self, mime: bytes) -> None:
        """Put a mail into the folder `inbox`, later than all others."""

    def held(self, folder: str = "inbox") -> list[bytes]:
        """Return the bytes of the mails that a distinguished folder holds, in any order, without use of the inbox."""

    def delete(self, ref: MailRef) -> None:
        """Delete a mail for good, as a person."""

    def move(self, ref: MailRef, source: str, target: str) -> MailRef:
        """Move a mail between distinguished folders, as a person; return it with its new id."""

    def change(self, ref: MailRef) -> None:
        """Mark a mail as read, as a person."""

    def trouble(self, error: type[BridgeError] | None) -> None:
        """Let every call meet this sort of error from now on, before it has done anything; None ends it."""


def a_mime(name: str) -> bytes:
    """Return a small mail with bytes that a decoder would spoil."""
    text = f"From: cad@example.com\r\nTo: d@example.org\r\nSubject: {name}\r\n\r\n {name} \r\n\r\n"
    return text.encode() + b"\xfc\xff\t=3D\r\n"


def receipts(refs: Sequence[MailRef]) -> list[tuple[MailRef, PublishReceipt]]:
    """Return mails with the receipts that belong to them."""
    return [(ref, PublishReceipt(ref.message_id)) for ref in refs]


def announced(refs: Sequence[MailRef], code: str = "mail_unreadable") -> list[tuple[MailRef, str, PublishReceipt]]:
    """Return mails with the receipts of the events that tell of them, which have ids of their own."""
    return [(ref, code, PublishReceipt(f"event-of-{ref.message_id}")) for ref in refs]


def _as_before(mails: Sequence[bytes], mailbox: InboxAtWork) -> bool:
    return sorted(mailbox.held()) == sorted(mails)


class InboxContract:
    """One test for each sentence of the port."""

    @pytest.fixture
    def mailbox(self) -> InboxAtWork:
        """What a subclass supplies."""
        raise NotImplementedError

    async def _three(self, mailbox: InboxAtWork) -> tuple[list[bytes], list[MailRef]]:
        mimes = [a_mime(name) for name in ("one", "two", "three")]
        for mime in mimes:
            mailbox.deliver(mime)
        return mimes, list((await mailbox.inbox.list_waiting("inbox", limit=10)).refs)

    # Listings.

    async def test_pages_of_a_listing_make_the_whole_of_it_oldest_first(self, mailbox: InboxAtWork) -> None:
        """No mail is between two pages, or in both."""
        names = [str(number) for number in range(5)]
        for name in names:
            mailbox.deliver(a_mime(name))

        pages: list[Listing] = [
            await mailbox.inbox.list_waiting("inbox", limit=2, offset=offset) for offset in (0, 2, 4)
        ]

        assert [(len(page.refs), page.total, page.complete) for page in pages] == [
            (2, 5, False),
            (2, 5, False),
            (1, 5, True),
        ]
        refs = [ref for page in pages for ref in page.refs]
        assert [_mime_of(outcome) for outcome in await mailbox.inbox.fetch(refs)] == [a_mime(name) for name in names]
        assert await mailbox.inbox.count("inbox") == 5

    async def test_a_listing_beyond_the_last_mail_is_empty_and_complete(self, mailbox: InboxAtWork) -> None:
        """Others may have taken mails since the page before."""
        await self._three(mailbox)

        beyond = await mailbox.inbox.list_waiting("inbox", limit=2, offset=7)

        assert (list(beyond.refs), beyond.total, beyond.complete) == ([], 3, True)

    async def test_a_mail_that_was_away_keeps_its_place_and_its_message_id(self, mailbox: InboxAtWork) -> None:
        """It is as old as it was; where it is now has a new name."""
        _, refs = await self._three(mailbox)
        away = mailbox.move(refs[0], "inbox", "junkemail")
        assert [ref.message_id for ref in (await mailbox.inbox.list_waiting("junkemail", limit=9)).refs] == [
            refs[0].message_id
        ]
        mailbox.move(away, "junkemail", "inbox")

        again = (await mailbox.inbox.list_waiting("inbox", limit=10)).refs

        assert [ref.message_id for ref in again] == [ref.message_id for ref in refs]
        assert again[0].item_id != refs[0].item_id
        assert [ref.item_id for ref in again[1:]] == [ref.item_id for ref in refs[1:]]

    async def test_an_empty_folder_is_no_error_and_a_missing_one_is(self, mailbox: InboxAtWork) -> None:
        """A folder that is spelled wrongly must not look as if no mail came."""
        listing = await mailbox.inbox.list_waiting("inbox", limit=10)
        assert (list(listing.refs), listing.total, listing.complete) == ([], 0, True)
        assert await mailbox.inbox.count("inbox") == 0

        with pytest.raises(FolderNotFound):
            await mailbox.inbox.list_waiting("Nowhere", limit=10)
        with pytest.raises(FolderNotFound):
            await mailbox.inbox.count("Nowhere")

    # Bytes.

    async def test_outcomes_of_a_fetch_are_in_the_order_asked_for_and_none_harms_another(
        self, mailbox: InboxAtWork
    ) -> None:
        """One mail is deleted and one moved since the listing; the third has its bytes."""
        mimes, refs = await self._three(mailbox)
        mailbox.delete(refs[0])
        mailbox.move(refs[2], "inbox", "junkemail")

        outcomes = await mailbox.inbox.fetch([refs[2], refs[1], refs[0]])

        assert outcomes == [VanishedMail(refs[2]), FetchedMail(refs[1], mimes[1]), VanishedMail(refs[0])]

    async def test_a_mail_that_was_fetched_stays(self, mailbox: InboxAtWork) -> None:
        """Reading is no receipt."""
        mimes, refs = await self._three(mailbox)

        await mailbox.inbox.fetch(refs)

        assert _as_before(mimes, mailbox)

    # Removal.

    async def test_only_mails_with_a_receipt_are_removed(self, mailbox: InboxAtWork) -> None:
        """The others stay as they are."""
        mimes, refs = await self._three(mailbox)

        removals = await mailbox.inbox.remove(receipts([refs[2], refs[0]]))

        assert _outcomes(removals) == [(refs[2], None), (refs[0], None)]
        assert mailbox.held() == [mimes[1]]
        assert [ref.item_id for ref in (await mailbox.inbox.list_waiting("inbox", limit=9)).refs] == [refs[1].item_id]

    async def test_one_receipt_for_another_mail_keeps_all_mails_of_the_call(self, mailbox: InboxAtWork) -> None:
        """Whatever is wrong with the caller's bookkeeping may be wrong with all of it."""
        mimes, refs = await self._three(mailbox)
        crossed = [(refs[0], PublishReceipt(refs[1].message_id)), (refs[1], PublishReceipt(refs[0].message_id))]

        for wrong in (crossed, [*receipts(refs[:2]), (refs[2], PublishReceipt("old"))]):
            with pytest.raises(ValueError, match="receipt"):
                await mailbox.inbox.remove(wrong)

        assert _as_before(mimes, mailbox)

    async def test_the_receipt_of_an_announcement_is_none_for_a_removal(self, mailbox: InboxAtWork) -> None:
        """The event says that the mail could not be published."""
        mimes, refs = await self._three(mailbox)

        with pytest.raises(ValueError, match="receipt"):
            await mailbox.inbox.remove([(ref, receipt) for ref, _, receipt in announced(refs)])

        assert _as_before(mimes, mailbox)

    async def test_nothing_to_do_is_done_without_a_call(self, mailbox: InboxAtWork) -> None:
        """Exchange refuses a call without items as malformed, and the caller would take it for trouble."""
        mimes, _ = await self._three(mailbox)
        mailbox.trouble(MailboxUnavailable)

        assert list(await mailbox.inbox.fetch([])) == []
        assert list(await mailbox.inbox.remove([])) == []
        assert list(await mailbox.inbox.park([])) == []

        mailbox.trouble(None)
        assert _as_before(mimes, mailbox)

    async def test_a_mail_may_be_removed_twice_also_in_one_call(self, mailbox: InboxAtWork) -> None:
        """After an answer that was lost it is tried again."""
        mimes, refs = await self._three(mailbox)

        for _ in range(2):
            removals = await mailbox.inbox.remove(receipts([refs[0], refs[0]]))
            assert _outcomes(removals) == [(refs[0], None)] * 2

        assert _as_before(mimes[1:], mailbox)

    async def test_mails_that_others_deleted_or_changed_are_no_error(self, mailbox: InboxAtWork) -> None:
        """What was published is gone afterwards, whoever did it; that it was read meanwhile changes nothing."""
        mimes, refs = await self._three(mailbox)
        mailbox.delete(refs[0])
        mailbox.change(refs[1])

        removals = await mailbox.inbox.remove(receipts(refs[:2]))

        assert _outcomes(removals) == [(refs[0], None), (refs[1], None)]
        assert mailbox.held() == mimes[2:]

    async def test_a_mail_that_a_person_filed_elsewhere_is_left_to_the_person(self, mailbox: InboxAtWork) -> None:
        """It has left the folder, which is all that was to be done."""
        mimes, refs = await self._three(mailbox)
        mailbox.move(refs[0], "inbox", "junkemail")

        removals = await mailbox.inbox.remove(receipts(refs[:2]))

        assert _outcomes(removals) == [(refs[0], None), (refs[1], None)]
        assert (mailbox.held(), mailbox.held("junkemail")) == (mimes[2:], mimes[:1])

    # Parking.

    async def test_a_parked_mail_lies_unchanged_in_its_folder_with_its_reason(self, mailbox: InboxAtWork) -> None:
        """It has its bytes and its message id, and can be told from the others."""
        mimes, refs = await self._three(mailbox)

        outcomes = await mailbox.inbox.park(announced(refs[:1]) + announced(refs[1:2], "too_large_for_broker"))

        assert _outcomes(outcomes) == [(refs[0], None), (refs[1], None)]
        assert mailbox.held() == mimes[2:]
        parked = (await mailbox.inbox.list_waiting(PARKED_FOLDER, limit=9)).refs
        assert [ref.message_id for ref in parked] == [ref.message_id for ref in refs[:2]]
        assert [_mime_of(outcome) for outcome in await mailbox.inbox.fetch(parked)] == mimes[:2]
        aside = await mailbox.inbox.count_folders()
        assert (aside.junk, aside.parked) == (0, 2)
        assert dict(aside.parked_codes or {}) == {"mail_unreadable": 1, "too_large_for_broker": 1}

    async def test_a_late_removal_does_not_reach_a_mail_that_was_parked(self, mailbox: InboxAtWork) -> None:
        """A receipt that comes late would take away the only mail that nobody has seen."""
        mimes, refs = await self._three(mailbox)
        await mailbox.inbox.park(announced(refs[:1]))

        removals = await mailbox.inbox.remove(receipts(refs[:1]))

        assert _outcomes(removals) == [(refs[0], None)]
        [parked] = (await mailbox.inbox.list_waiting(PARKED_FOLDER, limit=9)).refs
        assert [_mime_of(outcome) for outcome in await mailbox.inbox.fetch([parked])] == mimes[:1]
        assert await mailbox.inbox.fetch(refs[:1]) == [VanishedMail(refs[0])]

    async def test_mails_that_are_gone_or_parked_already_are_no_error_and_count_once(
        self, mailbox: InboxAtWork
    ) -> None:
        """After an answer that was lost it is tried again."""
        mimes, refs = await self._three(mailbox)
        mailbox.delete(refs[0])

        for _ in range(2):
            outcomes = await mailbox.inbox.park(announced(refs[:2]))
            assert _outcomes(outcomes) == [(refs[0], None), (refs[1], None)]

        assert mailbox.held() == mimes[2:]
        assert await mailbox.inbox.count(PARKED_FOLDER) == 1
        assert len(await mailbox.inbox.parked_lately(3_600, limit=9)) == 1

    async def test_what_was_parked_lately_is_told_up_to_the_limit(self, mailbox: InboxAtWork) -> None:
        """Nothing where nothing was."""
        _, refs = await self._three(mailbox)
        assert list(await mailbox.inbox.parked_lately(3_600, limit=9)) == []

        await mailbox.inbox.park(announced(refs))

        ages = list(await mailbox.inbox.parked_lately(3_600, limit=9))
        assert len(ages) == 3
        assert ages == sorted(ages)
        assert len(await mailbox.inbox.parked_lately(3_600, limit=2)) == 2

    async def test_junk_is_counted_and_no_folder_of_parked_mails_is_none_parked(self, mailbox: InboxAtWork) -> None:
        """Nobody has parked anything yet."""
        _, refs = await self._three(mailbox)
        mailbox.move(refs[0], "inbox", "junkemail")

        aside = await mailbox.inbox.count_folders()

        assert (aside.junk, aside.parked, aside.target_missing) == (1, 0, False)

    # Trouble.

    @pytest.mark.parametrize("error", TROUBLE)
    async def test_trouble_has_its_class_whatever_is_asked_and_leaves_all_mails(
        self, mailbox: InboxAtWork, error: type[BridgeError]
    ) -> None:
        """What happens next depends on the class alone."""
        mimes, refs = await self._three(mailbox)
        inbox = mailbox.inbox
        calls: dict[str, Callable[[], Awaitable[object]]] = {
            "list": lambda: inbox.list_waiting("inbox", limit=9),
            "remove": lambda: inbox.remove(receipts(refs)),
            "park": lambda: inbox.park(announced(refs)),
            "parked_lately": lambda: inbox.parked_lately(3_600, limit=9),
            "count": lambda: inbox.count("inbox"),
            "count_folders": inbox.count_folders,
        }
        mailbox.trouble(error)

        met = {name: await _error_of(call) for name, call in calls.items()}
        fetched = await inbox.fetch(refs)

        mailbox.trouble(None)
        assert met == dict.fromkeys(calls, error)
        assert [outcome.ref for outcome in fetched] == refs
        assert [type(outcome.error) for outcome in fetched if isinstance(outcome, FailedFetch)] == [error] * 3
        assert _as_before(mimes, mailbox)


async def _error_of(call: Callable[[], Awaitable[object]]) -> type[BridgeError] | None:
    try:
        await call()
    except BridgeError as error:
        return type(error)
    return None


def _mime_of(outcome: Fetched) -> bytes:
    assert isinstance(outcome, FetchedMail)
    return outcome.mime


def _outcomes(removals: Sequence[Removal]) -> list[tuple[MailRef, BridgeError | None]]:
    return [(removal.ref, removal.error) for removal in removals]
