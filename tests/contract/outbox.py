"""What every `SendingMailbox` promises. Subclasses supply the fixture `site`: a mailbox, and all who work in it."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from typing import TYPE_CHECKING, Literal, Protocol

import pytest

from bridge.domain.blobs import BytesInMemory
from bridge.domain.outbound import AttachedFile, Attachment, Mailbox, OutboundMail
from bridge.domain.outbound_records import DraftState, EndReason, SeenDraft, Stamp
from bridge.errors import (
    BlobMissing,
    BridgeError,
    CallRefused,
    EwsBlocked,
    ItemChanged,
    MailboxThrottled,
    MailboxUnavailable,
    SendOutcomeUnknown,
    SendTooLate,
)
from bridge.mime.compose import compose

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from bridge.domain.outbound_records import CreatedDraft, LedgerEntry, SeenMail
    from bridge.ports.outbox import SendingMailbox

CREW, HIDDEN = "crew@example.org", "hidden@example.org"
TROUBLE: list[type[BridgeError]] = [MailboxThrottled, MailboxUnavailable, EwsBlocked]
"""One of each sort: Exchange asks for less, does not answer, or a person has to act."""
PARTS = (
    Attachment("plan ä.pdf", "application/pdf", bytes(range(256)) * 1000),
    Attachment("map.png", "image/png", b"\x89PNG" * 100, content_id="map@bridge"),
)
AT_ONCE = timedelta(seconds=-5)
"""What is swept by this age is swept now, whatever a clock shows besides whole seconds."""


class SendingSite(Protocol):
    """A mailbox that mail is sent from, and what others do to it meanwhile. Nothing is in it at first."""

    @property
    def address(self) -> str:
        """Its own."""

    @property
    def mailbox(self) -> SendingMailbox:
        """The one that is tried."""

    def another(self) -> SendingMailbox:
        """Return the same mailbox as another worker has it."""

    def elsewhere(self) -> SendingMailbox:
        """Return another mailbox, whose address is the same but for its first letter."""

    def sent(self) -> list[str]:
        """Return the ids of the requests whose mails went out, in any order, by the account of the other side."""

    def file_copies(self, target: Literal["outbox", "deleteditems"]) -> None:
        """Move everything in Sent Items elsewhere, as a person."""

    def change_draft(self, draft: CreatedDraft) -> None:
        """Write another subject into a draft, as a person."""

    def delete_draft(self, draft: CreatedDraft) -> None:
        """Delete a draft as Outlook does, as a person."""

    def destroy_ledger(self) -> None:
        """Delete the folder of the ledger for good, as a person."""

    def trouble(self, error: type[BridgeError] | None) -> None:
        """Let every call meet this sort of error from now on, before it has done anything; None ends it."""


def a_stamp(request_id: str | None = None) -> Stamp:
    """Return a stamp of an attempt that there was not before."""
    return Stamp(request_id or f"r-{uuid.uuid4().hex}", uuid.uuid4().hex, "d" * 64)


def a_mime(stamp: Stamp, sender: str) -> bytes:
    """Return a mail with recipients of each kind."""
    mail = OutboundMail(
        request_id=stamp.request_id,
        digest=stamp.digest,
        sender=Mailbox(sender, "Dispatch Ü"),
        date=datetime.now(UTC),
        to=(Mailbox(CREW, "Crew, the"),),
        bcc=(Mailbox(HIDDEN),),
        subject="Überführung",
        text="text",
        html="<p>html</p>",
        attachments=(Attachment("ö.pdf", "application/pdf", b"%PDF"),),
    )
    return compose(mail)


async def each(parts: Sequence[Attachment], at_last: Callable[[], None] = lambda: None) -> AsyncIterator[AttachedFile]:
    """Yield attachments; `at_last` is called before the last one, and may raise."""
    for number, part in enumerate(parts, 1):
        if number == len(parts):
            at_last()
        content = BytesInMemory(part.content)
        yield AttachedFile(part.name, part.content_type, len(part.content), content.pieces, part.content_id)


class SendingMailboxContract:
    """One test for each sentence of the port."""

    @pytest.fixture
    def site(self) -> SendingSite:
        """What a subclass supplies."""
        raise NotImplementedError

    @pytest.fixture
    def mailbox(self, site: SendingSite) -> SendingMailbox:
        """The one that is tried."""
        return site.mailbox

    async def _draft(self, site: SendingSite, stamp: Stamp | None = None) -> CreatedDraft:
        stamp = stamp or a_stamp()
        return await site.mailbox.create_draft(a_mime(stamp, site.address), stamp)

    async def _sent(self, site: SendingSite, stamp: Stamp | None = None) -> Stamp:
        """Send a mail and return once its copy is in Sent Items."""
        draft = await self._draft(site, stamp)
        await site.mailbox.send(draft)
        async with asyncio.timeout(20):
            while not await _copies(site, draft.stamp.request_id):
                await asyncio.sleep(0.01)
        return draft.stamp

    # Drafts.

    async def test_draft_is_found_by_its_request_and_by_no_other(self, site: SendingSite) -> None:
        """An id that is longer, shorter or in other case is another's."""
        created = await self._draft(site)
        request_id = created.stamp.request_id

        assert await site.mailbox.find_drafts(request_id) == [
            SeenDraft(created.stamp, created.item_id, created.version, DraftState.UNSENT)
        ]
        for other in (request_id.upper(), request_id[:-1], request_id + "0", f" {request_id}"):
            assert not await site.mailbox.find_drafts(other)

    async def test_requests_whose_ids_differ_in_case_alone_are_two_wherever_they_show(self, site: SendingSite) -> None:
        """Who takes one for the other tells it as sent, and it never goes out; also if both are asked for at once."""
        stamp = a_stamp()
        stamps = [stamp, a_stamp(stamp.request_id.upper())]
        for one in stamps:
            await site.mailbox.enter_begun(one, 1)
            await self._sent(site, one)
            await self._draft(site, one)
        ids = [one.request_id for one in stamps]

        drafts = await asyncio.gather(*map(site.mailbox.find_drafts, ids))
        views = await asyncio.gather(*map(site.mailbox.find_in_ledger, ids))
        copies = await asyncio.gather(*map(site.mailbox.find_in_sent_items, ids))

        assert [[draft.stamp for draft in some if draft.state is DraftState.UNSENT] for some in drafts] == [
            [one] for one in stamps
        ]
        assert [[entry.stamp for entry in view.entries] for view in views] == [[one] for one in stamps]
        assert [[mail.stamp for mail in some] for some in copies] == [[one] for one in stamps]
        site.file_copies("outbox")
        assert [_stamps(some) for some in await asyncio.gather(*map(site.mailbox.find_in_outbox, ids))] == [
            [one] for one in stamps
        ]

    async def test_draft_in_parts_is_the_draft_of_its_request_and_is_sent(self, site: SendingSite) -> None:
        """By the change key that it has once it is whole."""
        stamp = a_stamp()
        created = await site.mailbox.create_draft_in_parts(a_mime(stamp, site.address), each(PARTS), stamp)

        assert await site.mailbox.find_drafts(stamp.request_id) == [
            SeenDraft(stamp, created.item_id, created.version, DraftState.UNSENT)
        ]
        await site.mailbox.send(created)
        assert {draft.state for draft in await site.mailbox.find_drafts(stamp.request_id)} <= {DraftState.SUBMITTED}
        assert site.sent() == [stamp.request_id]

    async def test_draft_whose_parts_do_not_all_come_is_no_draft_of_its_request(self, site: SendingSite) -> None:
        """While they come it is none yet, and nothing is left of it."""
        stamp, found = a_stamp(), list[object]()

        async def parts() -> AsyncIterator[AttachedFile]:
            async for part in each(PARTS):
                found.append(await site.mailbox.find_drafts(stamp.request_id))
                yield part
            raise BlobMissing

        with pytest.raises(BlobMissing):
            await site.mailbox.create_draft_in_parts(a_mime(stamp, site.address), parts(), stamp)

        assert found == [[], []]
        assert not await site.mailbox.find_drafts(stamp.request_id)
        assert await site.mailbox.sweep(AT_ONCE, limit=9) == 0

    async def test_what_is_left_of_a_draft_that_was_never_finished_is_none_and_is_swept(
        self, site: SendingSite
    ) -> None:
        """Exchange stops answering between two parts; nobody can tell whether the next one would have come to it."""
        stamp = a_stamp()
        parts = each(PARTS, lambda: site.trouble(MailboxUnavailable))

        with pytest.raises(SendOutcomeUnknown):
            await site.mailbox.create_draft_in_parts(a_mime(stamp, site.address), parts, stamp)

        site.trouble(None)
        assert not await site.mailbox.find_drafts(stamp.request_id)
        assert await site.mailbox.sweep(AT_ONCE, limit=9) == 1
        assert await site.mailbox.sweep(AT_ONCE, limit=9) == 0

    async def test_no_part_is_asked_for_where_the_mail_is_refused(self, site: SendingSite) -> None:
        """It may be large, and come from a store that has better to do."""
        stamp, opened = a_stamp(), list[str]()
        site.trouble(EwsBlocked)

        with pytest.raises(EwsBlocked):
            await site.mailbox.create_draft_in_parts(
                a_mime(stamp, site.address), each(PARTS[:1], lambda: opened.append("one")), stamp
            )

        assert not opened

    async def test_void_draft_is_never_sent(self, site: SendingSite) -> None:
        """And what was seen of it before voids it no second time."""
        created = await self._draft(site)
        [seen] = await site.mailbox.find_drafts(created.stamp.request_id)

        await site.mailbox.void(seen)

        with pytest.raises(ItemChanged):
            await site.mailbox.send(created)
        [void] = await site.mailbox.find_drafts(created.stamp.request_id)
        assert (void.state, void.item_id) == (DraftState.VOID, created.item_id)
        assert void.version != created.version
        with pytest.raises(CallRefused):
            await site.mailbox.void(seen)
        assert site.sent() == []

    async def test_only_the_draft_that_was_seen_is_void(self, site: SendingSite) -> None:
        """The second of two attempts is its own draft."""
        first = await self._draft(site)
        second = await self._draft(site, a_stamp(first.stamp.request_id))
        seen = {draft.item_id: draft for draft in await site.mailbox.find_drafts(first.stamp.request_id)}

        await site.mailbox.void(seen[first.item_id])

        states = {draft.item_id: draft.state for draft in await site.mailbox.find_drafts(first.stamp.request_id)}
        assert states == {first.item_id: DraftState.VOID, second.item_id: DraftState.UNSENT}
        await site.mailbox.send(second)
        assert site.sent() == [first.stamp.request_id]

    async def test_sent_draft_is_voided_no_more(self, site: SendingSite) -> None:
        """Else its request would be taken for one that can be sent anew."""
        created = await self._draft(site)
        [seen] = await site.mailbox.find_drafts(created.stamp.request_id)
        await site.mailbox.send(created)

        with pytest.raises(CallRefused):
            await site.mailbox.void(seen)

        assert site.sent() == [created.stamp.request_id]

    async def test_draft_that_a_person_changed_is_neither_sent_nor_void(self, site: SendingSite) -> None:
        """It is not what the request says any more, and who knows what they mean to do with it."""
        created = await self._draft(site)
        [seen] = await site.mailbox.find_drafts(created.stamp.request_id)
        site.change_draft(created)

        with pytest.raises(ItemChanged):
            await site.mailbox.send(created)
        with pytest.raises(CallRefused):
            await site.mailbox.void(seen)

        [changed] = await site.mailbox.find_drafts(created.stamp.request_id)
        assert (changed.state, changed.stamp) == (DraftState.UNSENT, created.stamp)
        assert changed.version != created.version
        assert site.sent() == []

    async def test_draft_that_a_person_deleted_is_nowhere_and_is_not_sent(self, site: SendingSite) -> None:
        """What lies in Deleted Items looks like a mail that was sent and deleted, but for being a draft."""
        created = await self._draft(site)
        [seen] = await site.mailbox.find_drafts(created.stamp.request_id)
        site.delete_draft(created)

        with pytest.raises(CallRefused):
            await site.mailbox.send(created)
        with pytest.raises(CallRefused):
            await site.mailbox.void(seen)
        await site.mailbox.discard(created)

        assert not await site.mailbox.find_drafts(created.stamp.request_id)
        assert not await site.mailbox.find_in_sent_items(created.stamp.request_id, deleted=True)
        assert site.sent() == []

    async def test_discarded_draft_is_gone_and_discarding_it_again_is_no_error(self, site: SendingSite) -> None:
        """Its neighbour stays."""
        created = await self._draft(site)
        neighbour = await self._draft(site, a_stamp(created.stamp.request_id))

        await site.mailbox.discard(created)
        await site.mailbox.discard(created)

        assert [d.item_id for d in await site.mailbox.find_drafts(created.stamp.request_id)] == [neighbour.item_id]
        with pytest.raises(CallRefused):
            await site.mailbox.send(created)

    async def test_discarding_a_draft_that_was_sent_leaves_its_mail(self, site: SendingSite) -> None:
        """The copy is the evidence that it went out."""
        created = await self._draft(site)
        await site.mailbox.send(created)

        await site.mailbox.discard(created)

        async with asyncio.timeout(20):
            while _stamps(await _copies(site, created.stamp.request_id)) != [created.stamp]:
                await asyncio.sleep(0.01)
        assert site.sent() == [created.stamp.request_id]

    # Sending.

    async def test_sent_draft_is_gone_from_drafts_and_its_copy_keeps_the_stamp(self, site: SendingSite) -> None:
        """Sent is what was sent at that moment or later."""
        stamp = await self._sent(site)

        states = {draft.state for draft in await site.mailbox.find_drafts(stamp.request_id)}
        assert states <= {DraftState.SUBMITTED}
        [mail] = await site.mailbox.find_in_sent_items(stamp.request_id)
        assert (mail.stamp, bool(mail.internet_message_id)) == (stamp, True)
        now = datetime.now(UTC)
        assert len(await site.mailbox.find_in_sent_items(stamp.request_id, since=now - timedelta(hours=1))) == 1
        assert not await site.mailbox.find_in_sent_items(stamp.request_id, since=now + timedelta(hours=1))
        assert not await site.mailbox.find_in_sent_items(stamp.request_id.upper())

    async def test_draft_is_sent_once_however_often_it_is_asked_for(self, site: SendingSite) -> None:
        """Also at the same moment, by two workers that both believe that it is theirs."""
        created = await self._draft(site)
        senders = [site.mailbox, site.another()]

        told = await asyncio.gather(*(one.send(created) for one in senders), return_exceptions=True)

        assert sorted(isinstance(one, CallRefused) for one in told) == [False, True], told
        with pytest.raises(CallRefused):
            await site.mailbox.send(created)
        assert site.sent() == [created.stamp.request_id]

    async def test_send_that_is_too_late_is_no_call_and_no_other_waits_for_it(self, site: SendingSite) -> None:
        """One of three whose time is over is left out of the call that they share."""
        drafts = [await self._draft(site) for _ in range(3)]
        too_late = drafts[1]

        told = await asyncio.gather(
            *(site.mailbox.send(draft, still=lambda draft=draft: draft is not too_late) for draft in drafts),  # type: ignore[misc]
            return_exceptions=True,
        )

        assert [type(one) for one in told] == [type(None), SendTooLate, type(None)]
        assert sorted(site.sent()) == sorted([drafts[0].stamp.request_id, drafts[2].stamp.request_id])
        [left] = await site.mailbox.find_drafts(too_late.stamp.request_id)
        assert (left.state, left.version) == (DraftState.UNSENT, too_late.version)
        await site.mailbox.send(too_late)

    async def test_many_at_once_are_each_found_entered_sent_and_marked(self, site: SendingSite) -> None:
        """Calls that they share must not give one the answer of another."""
        mailbox, stamps = site.mailbox, [a_stamp() for _ in range(12)]
        drafts = await asyncio.gather(*(self._draft(site, stamp) for stamp in stamps))
        found = await asyncio.gather(*(mailbox.find_drafts(stamp.request_id) for stamp in stamps))
        assert [draft.stamp for draft in drafts] == stamps
        assert [[(one.stamp, one.item_id) for one in some] for some in found] == [
            [(d.stamp, d.item_id)] for d in drafts
        ]
        for some in found[::5]:
            await mailbox.void(some[0])
        entries = await asyncio.gather(*(mailbox.enter_begun(stamp, 2) for stamp in stamps))
        told = await asyncio.gather(*(mailbox.send(draft) for draft in drafts), return_exceptions=True)
        assert [number for number, one in enumerate(told) if isinstance(one, CallRefused)] == [0, 5, 10]
        sent = [number for number, one in enumerate(told) if one is None]
        assert len(sent) == 9
        await asyncio.gather(*(mailbox.mark_done(entries[number]) for number in sent))

        views = await asyncio.gather(*(mailbox.find_in_ledger(stamp.request_id) for stamp in stamps))
        listed = [[(one.stamp, one.kind, one.entry_id) for one in view.entries] for view in views]
        assert listed == [
            [(stamp, "done" if number in sent else "begun", entries[number])] for number, stamp in enumerate(stamps)
        ]
        on_their_way = await asyncio.gather(*(mailbox.find_in_outbox(stamp.request_id) for stamp in stamps))
        assert all(mail.stamp == stamp for stamp, mails in zip(stamps, on_their_way, strict=True) for mail in mails)

    async def test_mail_shows_in_the_place_where_it_is(self, site: SendingSite) -> None:
        """Outbox, Sent Items, and on demand what was deleted."""
        stamp = await self._sent(site)
        request_id = stamp.request_id
        assert not await site.mailbox.find_in_outbox(request_id)

        site.file_copies("outbox")
        assert _stamps(await site.mailbox.find_in_outbox(request_id)) == [stamp]
        assert not await site.mailbox.find_in_outbox(request_id.upper())
        assert not await site.mailbox.find_in_sent_items(request_id, deleted=True)

    async def test_deleted_copy_shows_on_demand_beside_one_that_is_there(self, site: SendingSite) -> None:
        """Two mails of a request may differ in content: who sees one alone may take it for another's."""
        deleted = await self._sent(site)
        site.file_copies("deleteditems")
        assert not await site.mailbox.find_in_sent_items(deleted.request_id)
        assert _stamps(await site.mailbox.find_in_sent_items(deleted.request_id, deleted=True)) == [deleted]

        there = await self._sent(site, replace(a_stamp(deleted.request_id), digest="e" * 64))

        assert _stamps(await site.mailbox.find_in_sent_items(there.request_id)) == [there]
        both = await site.mailbox.find_in_sent_items(there.request_id, deleted=True)
        assert sorted(stamp.digest for stamp in _stamps(both)) == [deleted.digest, there.digest]
        later = datetime.now(UTC) + timedelta(hours=1)
        assert not await site.mailbox.find_in_sent_items(there.request_id, since=later, deleted=True)

    # The ledger.

    async def test_ledger_shows_what_was_entered_oldest_first(self, site: SendingSite) -> None:
        """With all that was entered, and to nobody who asks for another request."""
        first = a_stamp()
        second = replace(first, attempt="b" * 32)
        entry_id = await site.mailbox.enter_begun(first, 7)
        reason = EndReason("failed", "refused_by_exchange", "ErrorSendAsDenied")
        await site.mailbox.enter_ended(second, reason)

        begun, ended = await _entries(site, first)

        assert (begun.kind, begun.stamp, begun.recipients, begun.entry_id) == ("begun", first, 7, entry_id)
        assert (ended.kind, ended.stamp, ended.reason, ended.recipients) == ("ended", second, reason, 0)
        assert (begun.reason, begun.done_at, ended.done_at) == (None, None, None)
        await site.mailbox.mark_done(entry_id)
        assert [entry.kind for entry in await _entries(site, first)] == ["done", "ended"]
        for other in (first.request_id.upper(), first.request_id[:-1]):
            assert not (await site.mailbox.find_in_ledger(other)).entries

    async def test_entries_of_the_same_second_keep_their_order(self, site: SendingSite) -> None:
        """Whose turn it is goes by it."""
        stamps = [a_stamp() for _ in range(5)]
        for number, stamp in enumerate(stamps):
            await site.mailbox.enter_begun(stamp, number + 1)

        window = await site.mailbox.begun_since(timedelta(minutes=5))

        assert [(send.attempt, send.recipients) for send in window.sends] == [
            (stamp.attempt, number + 1) for number, stamp in enumerate(stamps)
        ]

    async def test_times_of_entries_are_told_to_the_second(self, site: SendingSite) -> None:
        """Exchange's own: whoever reckons with less than a second reckons with what nobody knows."""
        stamp = a_stamp()
        await site.mailbox.mark_done(await site.mailbox.enter_begun(stamp, 1))

        [entry] = await _entries(site, stamp)

        assert entry.done_at is not None
        assert (entry.at.microsecond, entry.done_at.microsecond) == (0, 0)
        assert timedelta(0) <= entry.done_at - entry.at < timedelta(minutes=1)
        [send] = (await site.mailbox.begun_since(timedelta(minutes=5))).sends
        assert (send.at, send.done_at) == (entry.at, entry.done_at)

    async def test_each_call_that_sends_has_an_entry_with_its_number(self, site: SendingSite) -> None:
        """The second one of an attempt is not the first, and each is marked by itself."""
        stamp = a_stamp()
        first = await site.mailbox.enter_begun(stamp, 1)
        second = await site.mailbox.enter_begun(stamp, 1, call=2)

        assert first != second
        await site.mailbox.mark_done(second)
        assert [(entry.call, entry.kind) for entry in await _entries(site, stamp)] == [(1, "begun"), (2, "done")]

    async def test_mark_is_the_last_one_that_was_made(self, site: SendingSite) -> None:
        """When it was done is told of what is done."""
        stamp = a_stamp()
        entry_id = await site.mailbox.enter_begun(stamp, 1)

        await site.mailbox.mark_done(entry_id)
        await site.mailbox.mark_unsent(entry_id)
        [entry] = await _entries(site, stamp)
        assert (entry.kind, entry.done_at) == ("unsent", None)

        await site.mailbox.mark_done(entry_id)
        [entry] = await _entries(site, stamp)
        assert (entry.kind, entry.done_at is not None) == ("done", True)

    async def test_call_that_was_never_made_counts_as_no_send(self, site: SendingSite) -> None:
        """The one beside it does."""
        stamp, other = a_stamp(), a_stamp()
        entry_id = await site.mailbox.enter_begun(stamp, 1)
        await site.mailbox.enter_begun(other, 1)

        await site.mailbox.mark_unsent(entry_id)

        assert [entry.kind for entry in await _entries(site, stamp)] == ["unsent"]
        window = await site.mailbox.begun_since(timedelta(minutes=5))
        assert [send.attempt for send in window.sends] == [other.attempt]

    async def test_rate_window_shows_begun_sends_with_their_recipients(self, site: SendingSite) -> None:
        """Not ends of requests, and nothing that is older."""
        begun, done = a_stamp(), a_stamp()
        await site.mailbox.enter_begun(begun, 3)
        await site.mailbox.mark_done(await site.mailbox.enter_begun(done, 4))
        await site.mailbox.enter_ended(a_stamp(), EndReason("expired", "expired"))

        window = await site.mailbox.begun_since(timedelta(minutes=5))

        assert [(one.attempt, one.recipients, one.done_at is not None) for one in window.sends] == [
            (begun.attempt, 3, False),
            (done.attempt, 4, True),
        ]
        assert abs((window.now - datetime.now(UTC)).total_seconds()) < 5
        assert abs((window.now - window.sends[-1].at).total_seconds()) < 5
        assert not (await site.mailbox.begun_since(timedelta(seconds=-5))).sends

    async def test_ledger_that_was_destroyed_is_empty_and_tells_since_when(self, site: SendingSite) -> None:
        """What it knew is lost, and whoever asks must know that."""
        before = a_stamp()
        await site.mailbox.enter_begun(before, 1)
        assert (await site.mailbox.find_in_ledger(before.request_id)).since is None
        assert site.mailbox.ledger_since is None

        site.destroy_ledger()

        view = await site.mailbox.find_in_ledger(before.request_id)
        assert (list(view.entries), site.mailbox.ledger_since) == ([], view.since)
        assert view.since is not None
        assert abs((view.since - datetime.now(UTC)).total_seconds()) < 30
        after = a_stamp()
        await site.mailbox.enter_begun(after, 1)
        again = await site.another().find_in_ledger(after.request_id)
        assert ([entry.stamp for entry in again.entries], again.since) == ([after], view.since)

    # Who works beside it.

    async def test_what_a_worker_stored_shows_to_another_one_at_once(self, site: SendingSite) -> None:
        """A hand-over lasts no longer than a call."""
        other = site.another()
        await other.prepare()
        created = await self._draft(site)
        request_id = created.stamp.request_id
        assert [draft.item_id for draft in await other.find_drafts(request_id)] == [created.item_id]
        entry_id = await site.mailbox.enter_begun(created.stamp, 1)
        assert [(e.entry_id, e.kind) for e in (await other.find_in_ledger(request_id)).entries] == [(entry_id, "begun")]
        await other.mark_done(entry_id)
        assert [entry.kind for entry in await _entries(site, created.stamp)] == ["done"]
        assert len((await other.begun_since(timedelta(minutes=5))).sends) == 1
        await other.send(created)
        with pytest.raises(CallRefused):
            await site.mailbox.send(created)

    async def test_nothing_of_a_mailbox_shows_in_another_one(self, site: SendingSite) -> None:
        """The same request id may be in hand in both."""
        elsewhere = site.elsewhere()
        await elsewhere.prepare()
        stamp = await self._sent(site)
        await self._draft(site, stamp)
        await site.mailbox.enter_begun(stamp, 1)

        assert not await elsewhere.find_drafts(stamp.request_id)
        assert not await elsewhere.find_in_sent_items(stamp.request_id, deleted=True)
        assert not (await elsewhere.find_in_ledger(stamp.request_id)).entries
        assert not (await elsewhere.begun_since(timedelta(minutes=5))).sends
        assert await elsewhere.sweep(AT_ONCE, limit=9) == 0
        assert len(await site.mailbox.find_drafts(stamp.request_id)) >= 1
        assert len(await _entries(site, stamp)) == 1

    async def test_answers_are_counted_from_the_last_one(self, site: SendingSite) -> None:
        """A refusal of everything is no answer as it should be, and another mailbox is another."""
        elsewhere = site.elsewhere()
        assert (site.mailbox.answered_seconds_ago, elsewhere.answered_seconds_ago) == (inf, inf)
        site.trouble(EwsBlocked)
        with pytest.raises(EwsBlocked):
            await site.mailbox.find_drafts("r-1")
        assert site.mailbox.answered_seconds_ago == inf
        site.trouble(None)

        await site.mailbox.find_drafts("r-1")

        assert 0 <= site.mailbox.answered_seconds_ago < 20
        assert elsewhere.answered_seconds_ago == inf

    # Sweeping.

    async def test_sweep_takes_what_is_older_and_says_when_nothing_is_left(self, site: SendingSite) -> None:
        """An open entry stays ten times as long."""
        mailbox, created = site.mailbox, await self._draft(site)
        stamp = created.stamp
        entry_id = await mailbox.enter_begun(stamp, 1)
        assert await mailbox.sweep(timedelta(days=1), limit=100) == 0
        assert await _entries(site, stamp)
        done = a_stamp()
        await mailbox.mark_done(await mailbox.enter_begun(done, 1))
        async with asyncio.timeout(20):
            while await mailbox.sweep(timedelta(seconds=1), limit=100) or await _entries(site, done):
                await asyncio.sleep(0.01)
        assert await _entries(site, stamp)

        while await mailbox.sweep(AT_ONCE, limit=100):
            continue

        assert not await _entries(site, stamp)
        assert not await mailbox.find_drafts(stamp.request_id)
        with pytest.raises(CallRefused):
            await mailbox.mark_done(entry_id)
        with pytest.raises(CallRefused):
            await mailbox.mark_unsent(entry_id)

    async def test_sweep_takes_no_more_than_it_is_told_and_drafts_first(self, site: SendingSite) -> None:
        """A draft without its entry would be taken for one whose send was never begun."""
        drafts = [await self._draft(site) for _ in range(3)]
        for draft in drafts:
            await site.mailbox.mark_done(await site.mailbox.enter_begun(draft.stamp, 1))

        async def left() -> tuple[int, int]:
            found = [await site.mailbox.find_drafts(draft.stamp.request_id) for draft in drafts]
            entries = [await _entries(site, draft.stamp) for draft in drafts]
            return sum(map(len, found)), sum(map(len, entries))

        counts = []
        for _ in range(4):
            swept = await site.mailbox.sweep(AT_ONCE, limit=2)
            counts.append((swept, *(await left())))

        assert counts == [(2, 1, 3), (2, 0, 2), (2, 0, 0), (0, 0, 0)]

    async def test_sweep_leaves_mails_that_were_sent(self, site: SendingSite) -> None:
        """They are the mailbox owner's."""
        stamp = await self._sent(site)

        assert await site.mailbox.sweep(AT_ONCE, limit=9) == 0

        assert _stamps(await _copies(site, stamp.request_id)) == [stamp]

    # Trouble.

    @pytest.mark.parametrize("error", TROUBLE)
    async def test_trouble_has_its_class_whatever_is_asked_and_changes_nothing(
        self, site: SendingSite, error: type[BridgeError]
    ) -> None:
        """No answer to a change is another thing than none to a look: it may have been made."""
        mailbox, created = site.mailbox, await self._draft(site)
        stamp = created.stamp
        entry_id = await mailbox.enter_begun(stamp, 1)
        [seen] = await mailbox.find_drafts(stamp.request_id)
        mime = a_mime(stamp, site.address)
        looks: dict[str, Callable[[], Awaitable[object]]] = {
            "find_drafts": lambda: mailbox.find_drafts(stamp.request_id),
            "find_in_outbox": lambda: mailbox.find_in_outbox(stamp.request_id),
            "find_in_sent_items": lambda: mailbox.find_in_sent_items(stamp.request_id, deleted=True),
            "find_in_ledger": lambda: mailbox.find_in_ledger(stamp.request_id),
            "begun_since": lambda: mailbox.begun_since(timedelta(minutes=5)),
            "sweep": lambda: mailbox.sweep(AT_ONCE, limit=9),
        }
        changes: dict[str, Callable[[], Awaitable[object]]] = {
            "create_draft": lambda: mailbox.create_draft(mime, stamp),
            "create_draft_in_parts": lambda: mailbox.create_draft_in_parts(mime, each(PARTS), stamp),
            "void": lambda: mailbox.void(seen),
            "enter_begun": lambda: mailbox.enter_begun(stamp, 1, call=2),
            "enter_ended": lambda: mailbox.enter_ended(stamp, EndReason("failed", "code")),
            "send": lambda: mailbox.send(created),
            "mark_done": lambda: mailbox.mark_done(entry_id),
            "mark_unsent": lambda: mailbox.mark_unsent(entry_id),
            "discard": lambda: mailbox.discard(created),
        }
        site.trouble(error)

        met = {name: await _error_of(call) for name, call in (looks | changes).items()}

        site.trouble(None)
        unanswered = SendOutcomeUnknown if error is MailboxUnavailable else error
        assert met == dict.fromkeys(looks, error) | dict.fromkeys(changes, unanswered)
        assert await mailbox.find_drafts(stamp.request_id) == [seen]
        assert [(entry.kind, entry.call) for entry in await _entries(site, stamp)] == [("begun", 1)]
        assert site.sent() == []

    def test_no_single_call_carries_more_than_a_mail_may_have(self, mailbox: SendingMailbox) -> None:
        """Else what fits in one call would be refused for being too large."""
        assert 0 < mailbox.largest_mime_bytes <= mailbox.largest_mail_bytes
        assert 0 < mailbox.largest_attachment_bytes <= mailbox.largest_mail_bytes


async def _entries(site: SendingSite, stamp: Stamp) -> Sequence[LedgerEntry]:
    return (await site.mailbox.find_in_ledger(stamp.request_id)).entries


async def _copies(site: SendingSite, request_id: str) -> Sequence[SeenMail]:
    return await site.mailbox.find_in_sent_items(request_id)


def _stamps(mails: Sequence[SeenMail]) -> list[Stamp]:
    return [mail.stamp for mail in mails]


async def _error_of(call: Callable[[], Awaitable[object]]) -> type[BridgeError] | None:
    try:
        await call()
    except BridgeError as error:
        known = (*TROUBLE, SendOutcomeUnknown)
        return next((one for one in known if isinstance(error, one)), type(error))
    return None
