"""What every `SendingMailbox` promises, on the memory and on EWS against the sandbox."""

from __future__ import annotations

import asyncio
import email
import uuid
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.sender import EwsSender
from bridge.adapters.memory.outbox import MemoryOutbox
from bridge.adapters.system.clock import SystemClock
from bridge.domain.blobs import BytesInMemory
from bridge.domain.outbound import AttachedFile, Attachment, Mailbox, OutboundMail
from bridge.domain.outbound_records import DraftState, EndReason, SeenDraft, Stamp
from bridge.errors import BlobMissing, CallRefused, MailboxThrottled, SendOutcomeUnknown, SendRefused
from bridge.mime.compose import compose
from bridge.mime.compose_message_id import message_id_of
from tests.integration.egress.conftest import until
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Sequence

    from bridge.ports.outbox import SendingMailbox

ADDRESS, CREW, HIDDEN = "dispatch@example.org", "crew@example.org", "hidden@example.org"


def a_stamp(request_id: str | None = None) -> Stamp:
    return Stamp(request_id or uuid.uuid4().hex, uuid.uuid4().hex, "d" * 64)


def a_mime(stamp: Stamp) -> bytes:
    mail = OutboundMail(
        request_id=stamp.request_id,
        digest=stamp.digest,
        sender=Mailbox(ADDRESS, "Dispatch Ü"),
        date=datetime.now(UTC),
        to=(Mailbox(CREW, "Crew, the"),),
        bcc=(Mailbox(HIDDEN),),
        subject="Überführung",
        text="text",
        html="<p>html</p>",
        attachments=(Attachment("ö.pdf", "application/pdf", b"%PDF"),),
    )
    return compose(mail)


_PARTS = (
    Attachment("plan ä.pdf", "application/pdf", bytes(range(256)) * 1000),
    Attachment("map.png", "image/png", b"\x89PNG" * 100, content_id="map@bridge"),
)


async def _each(parts: Sequence[Attachment], error: Exception | None = None) -> AsyncIterator[AttachedFile]:
    for part in parts:
        content = BytesInMemory(part.content)
        yield AttachedFile(part.name, part.content_type, len(part.content), content.pieces, part.content_id)
    if error is not None:
        raise error


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("sending") / "sandbox"
    with SandboxProcess(directory, mailboxes=[ADDRESS, CREW, HIDDEN]) as running:
        yield running


@pytest.fixture(scope="module")
def client(sandbox: SandboxProcess) -> Iterator[EwsClient]:
    info = sandbox.info
    app = EntraApp(
        authority_url=info["authority_url"],
        client_id=info["client_id"],
        scope="https://outlook.office365.com/.default",
        ca_file=info["ca_file"],
        timeout_seconds=10,
    )
    tokens = SignIn("default", app, [SecretSource(str(info["client_secret"]), None)]).tokens()
    connection = EwsConnection(info["ews_url"], ca_file=info["ca_file"], connections=4, call_timeout_seconds=20)
    client = EwsClient(connection, tokens=tokens)
    yield client
    client.close()


class SendingMailboxContract:
    """The promise of the port."""

    async def test_draft_is_found_by_its_request_and_by_no_other(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)

        assert await mailbox.find_drafts(stamp.request_id) == [
            SeenDraft(stamp, created.item_id, created.change_key, DraftState.UNSENT)
        ]
        assert not await mailbox.find_drafts(stamp.request_id.upper())
        assert not await mailbox.find_drafts(stamp.request_id[:-1])

    async def test_draft_in_parts_is_the_draft_of_its_request_and_is_sent(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft_in_parts(a_mime(stamp), _each(_PARTS), stamp)

        assert await mailbox.find_drafts(stamp.request_id) == [
            SeenDraft(stamp, created.item_id, created.change_key, DraftState.UNSENT)
        ]
        await mailbox.send(created)
        assert {draft.state for draft in await mailbox.find_drafts(stamp.request_id)} <= {DraftState.SUBMITTED}

    async def test_draft_whose_parts_do_not_all_come_is_no_draft_of_its_request(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()

        with pytest.raises(BlobMissing):
            await mailbox.create_draft_in_parts(a_mime(stamp), _each(_PARTS, BlobMissing()), stamp)

        assert not await mailbox.find_drafts(stamp.request_id)

    async def test_sent_draft_is_gone_from_drafts_and_its_copy_keeps_the_stamp(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()

        await mailbox.send(await mailbox.create_draft(a_mime(stamp), stamp))

        states = {draft.state for draft in await mailbox.find_drafts(stamp.request_id)}
        assert states <= {DraftState.SUBMITTED}
        for _ in range(500):
            if found := await mailbox.find_in_sent_items(stamp.request_id):
                break
        assert [mail.stamp for mail in found] == [stamp]
        assert found[0].internet_message_id
        now = datetime.now(UTC)
        assert len(await mailbox.find_in_sent_items(stamp.request_id, since=now - timedelta(hours=1))) == 1
        assert not await mailbox.find_in_sent_items(stamp.request_id, since=now + timedelta(hours=1))

    async def test_draft_is_sent_once_however_often_it_is_asked_for(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        await mailbox.send(created)

        with pytest.raises(CallRefused):
            await mailbox.send(created)

    async def test_many_at_once_are_each_found_entered_sent_and_marked(self, mailbox: SendingMailbox) -> None:
        """Calls that they share must not give one the answer of another."""
        stamps = [a_stamp() for _ in range(12)]
        drafts = await asyncio.gather(*(mailbox.create_draft(a_mime(stamp), stamp) for stamp in stamps))
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

    async def test_void_draft_is_never_sent(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        [seen] = await mailbox.find_drafts(stamp.request_id)

        await mailbox.void(seen)

        with pytest.raises(CallRefused):
            await mailbox.send(created)
        [void] = await mailbox.find_drafts(stamp.request_id)
        assert void.state is DraftState.VOID
        assert void.change_key != created.change_key

    async def test_draft_that_changed_since_it_was_seen_is_not_voided(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        [seen] = await mailbox.find_drafts(stamp.request_id)
        await mailbox.void(seen)
        with pytest.raises(CallRefused):
            await mailbox.void(seen)

        sent = a_stamp()
        created = await mailbox.create_draft(a_mime(sent), sent)
        [seen] = await mailbox.find_drafts(sent.request_id)
        await mailbox.send(created)
        with pytest.raises(CallRefused):
            await mailbox.void(seen)

    async def test_ledger_shows_what_was_entered_oldest_first(self, mailbox: SendingMailbox) -> None:
        first = a_stamp()
        second = replace(first, attempt="b" * 32)
        entry_id = await mailbox.enter_begun(first, 7)
        reason = EndReason("failed", "refused_by_exchange", "ErrorSendAsDenied")
        await mailbox.enter_ended(second, reason)

        begun, ended = (await mailbox.find_in_ledger(first.request_id)).entries

        assert (begun.kind, begun.stamp, begun.recipients, begun.entry_id) == ("begun", first, 7, entry_id)
        assert (ended.kind, ended.stamp, ended.reason) == ("ended", second, reason)
        await mailbox.mark_done(entry_id)
        assert [entry.kind for entry in (await mailbox.find_in_ledger(first.request_id)).entries] == ["done", "ended"]

    async def test_each_call_that_sends_has_an_entry_with_its_number(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        await mailbox.enter_begun(stamp, 1)
        await mailbox.enter_begun(stamp, 1, call=2)

        assert [entry.call for entry in (await mailbox.find_in_ledger(stamp.request_id)).entries] == [1, 2]

    async def test_call_that_was_never_made_counts_as_no_send(self, mailbox: SendingMailbox) -> None:
        before = len((await mailbox.begun_since(timedelta(minutes=5))).sends)
        stamp = a_stamp()
        entry_id = await mailbox.enter_begun(stamp, 1)

        await mailbox.mark_unsent(entry_id)

        assert [entry.kind for entry in (await mailbox.find_in_ledger(stamp.request_id)).entries] == ["unsent"]
        assert len((await mailbox.begun_since(timedelta(minutes=5))).sends) == before

    async def test_rate_window_shows_begun_sends_with_their_recipients(self, mailbox: SendingMailbox) -> None:
        before = len((await mailbox.begun_since(timedelta(minutes=5))).sends)
        await mailbox.enter_begun(a_stamp(), 3)
        await mailbox.enter_ended(a_stamp(), EndReason("expired", "expired"))

        window = await mailbox.begun_since(timedelta(minutes=5))

        assert len(window.sends) == before + 1
        assert window.sends[-1].recipients == 3
        assert abs((window.now - datetime.now(UTC)).total_seconds()) < 5
        assert abs((window.now - window.sends[-1].at).total_seconds()) < 5
        assert not (await mailbox.begun_since(timedelta(seconds=-5))).sends

    async def test_discarded_draft_is_gone_and_discarding_it_again_is_no_error(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)

        await mailbox.discard(created)
        await mailbox.discard(created)

        assert not await mailbox.find_drafts(stamp.request_id)
        with pytest.raises(CallRefused):
            await mailbox.send(created)

    async def test_sweep_takes_what_is_older_and_says_when_nothing_is_left(self, mailbox: SendingMailbox) -> None:
        stamp = a_stamp()
        await mailbox.create_draft(a_mime(stamp), stamp)
        entry_id = await mailbox.enter_begun(stamp, 1)
        assert await mailbox.sweep(timedelta(days=1), limit=100) == 0
        assert (await mailbox.find_in_ledger(stamp.request_id)).entries
        done = a_stamp()
        await mailbox.mark_done(await mailbox.enter_begun(done, 1))
        while (
            await mailbox.sweep(timedelta(seconds=1), limit=100)
            or (await mailbox.find_in_ledger(done.request_id)).entries
        ):
            continue
        assert (await mailbox.find_in_ledger(stamp.request_id)).entries

        while await mailbox.sweep(timedelta(seconds=-5), limit=100):
            continue

        assert not (await mailbox.find_in_ledger(stamp.request_id)).entries
        assert not await mailbox.find_drafts(stamp.request_id)
        with pytest.raises(CallRefused):
            await mailbox.mark_done(entry_id)


class TestMemoryOutbox(SendingMailboxContract):
    """In memory."""

    @pytest.fixture
    def mailbox(self) -> SendingMailbox:
        return MemoryOutbox(SystemClock())


class TestEwsSender(SendingMailboxContract):
    """Over EWS, on the sandbox."""

    @pytest.fixture
    def mailbox(self, sandbox: SandboxProcess, client: EwsClient) -> Iterator[SendingMailbox]:
        yield EwsSender(client, ADDRESS)
        sandbox.faults()

    async def test_mail_reaches_everybody_and_nobody_sees_the_hidden_ones(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess
    ) -> None:
        stamp = a_stamp()
        await mailbox.send(await mailbox.create_draft(a_mime(stamp), stamp))

        [send] = [one for one in sandbox.sends() if one["request_id"] == stamp.request_id]
        assert sorted(send["recipients"]) == [CREW, HIDDEN]
        assert send["internet_message_id"] == message_id_of(stamp.request_id, ADDRESS)
        for address in (CREW, HIDDEN):
            until(
                lambda address=address: (
                    send["internet_message_id"]  # type: ignore[misc]
                    in {mail["internet_message_id"] for mail in sandbox.mails(address)}
                ),
                "the mail to arrive",
            )
        [arrived] = [m for m in sandbox.mails(CREW) if m["internet_message_id"] == send["internet_message_id"]]
        assert HIDDEN.encode() not in sandbox.mime(CREW, arrived["item_id"])

    async def test_mail_in_parts_arrives_with_all_of_them(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess
    ) -> None:
        stamp = a_stamp()
        await mailbox.send(await mailbox.create_draft_in_parts(a_mime(stamp), _each(_PARTS), stamp))

        [send] = [one for one in sandbox.sends() if one["request_id"] == stamp.request_id]
        message_id = send["internet_message_id"]
        until(lambda: message_id in {mail["internet_message_id"] for mail in sandbox.mails(CREW)}, "the mail")
        [arrived] = [mail for mail in sandbox.mails(CREW) if mail["internet_message_id"] == message_id]
        mime = email.message_from_bytes(sandbox.mime(CREW, arrived["item_id"]))
        files = {part.get_filename(): part.get_payload(decode=True) for part in mime.walk() if part.get_filename()}
        assert sorted(files.values(), key=repr) == sorted([b"%PDF", *(part.content for part in _PARTS)], key=repr)
        assert "map@bridge" in str(mime)

    @pytest.mark.parametrize("operation", ["CreateItem", "CreateAttachment", "UpdateItem"])
    @pytest.mark.parametrize("kind", ["cut_after", "cut_before"])
    async def test_draft_in_parts_that_got_no_answer_may_be_there_and_is_not_deleted_on_the_way(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess, operation: str, kind: str
    ) -> None:
        stamp = a_stamp()
        before = len(sandbox.mails(ADDRESS, "drafts"))
        sandbox.faults({"match": {"operation": operation}, "fault": kind, "times": 1})

        with pytest.raises(SendOutcomeUnknown):
            await mailbox.create_draft_in_parts(a_mime(stamp), _each(_PARTS), stamp)

        stamped = operation == "UpdateItem" and kind == "cut_after"
        assert len(await mailbox.find_drafts(stamp.request_id)) == stamped
        left = len(sandbox.mails(ADDRESS, "drafts")) - before
        assert left == (0 if (operation, kind) == ("CreateItem", "cut_before") else 1)
        assert await mailbox.sweep(timedelta(seconds=-60), limit=100) >= left

    @pytest.mark.parametrize("operation", ["CreateAttachment", "UpdateItem"])
    async def test_draft_in_parts_that_is_refused_leaves_nothing(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess, operation: str
    ) -> None:
        stamp = a_stamp()
        before = len(sandbox.mails(ADDRESS, "drafts"))
        fault = {"kind": "item_error", "code": "ErrorMessageSizeExceeded"}
        sandbox.faults({"match": {"operation": operation}, "fault": fault, "times": 1})

        with pytest.raises(SendRefused):
            await mailbox.create_draft_in_parts(a_mime(stamp), _each(_PARTS), stamp)

        assert len(sandbox.mails(ADDRESS, "drafts")) == before

    async def test_two_that_make_the_ledger_at_the_same_time_get_the_same_folder(
        self, client: EwsClient, mailbox: SendingMailbox, sandbox: SandboxProcess
    ) -> None:
        await mailbox.prepare()
        await EwsSender(client, ADDRESS).prepare()

        assert [folder["name"] for folder in sandbox.folders(ADDRESS)].count("Bridge Sends") == 1

    @pytest.mark.parametrize("kind", ["cut_after", "cut_before", "truncated", "empty", "html_page", "malformed"])
    async def test_answer_that_is_no_answer_leaves_the_outcome_unknown(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess, kind: str
    ) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        sandbox.faults({"match": {"operation": ["SendItem", "CreateItem", "UpdateItem"]}, "fault": kind})

        with pytest.raises(SendOutcomeUnknown):
            await mailbox.send(created)
        with pytest.raises(SendOutcomeUnknown):
            await mailbox.create_draft(a_mime(stamp), stamp)
        with pytest.raises(SendOutcomeUnknown):
            await mailbox.enter_begun(stamp, 1)
        with pytest.raises(SendOutcomeUnknown):
            await mailbox.void(SeenDraft(stamp, created.item_id, created.change_key, DraftState.UNSENT))

    @pytest.mark.parametrize(
        "code", ["ErrorTimeoutExpired", "ErrorInternalServerError", "ErrorMailboxStoreUnavailable"]
    )
    async def test_error_that_leaves_the_outcome_open_is_no_refusal(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess, code: str
    ) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        sandbox.faults({"match": {"operation": "SendItem"}, "fault": {"kind": "item_error", "code": code}})

        with pytest.raises(SendOutcomeUnknown):
            await mailbox.send(created)

    @pytest.mark.parametrize("code", ["ErrorSendAsDenied", "ErrorMessageSizeExceeded", "ErrorContentConversionFailed"])
    async def test_mail_that_exchange_will_never_send_is_refused_with_its_code(
        self, mailbox: SendingMailbox, sandbox: SandboxProcess, code: str
    ) -> None:
        stamp = a_stamp()
        created = await mailbox.create_draft(a_mime(stamp), stamp)
        fault = {"kind": "item_error", "code": code}
        sandbox.faults({"match": {"operation": ["SendItem", "CreateItem"]}, "fault": fault})

        for call in (mailbox.send(created), mailbox.create_draft(a_mime(stamp), stamp)):
            with pytest.raises(SendRefused) as caught:
                await call
            assert caught.value.exchange_code == code

    async def test_throttling_is_told_with_its_wait(self, mailbox: SendingMailbox, sandbox: SandboxProcess) -> None:
        stamp = a_stamp()
        fault = {"kind": "server_busy", "back_off_milliseconds": 4000}
        sandbox.faults({"match": {"operation": "CreateItem"}, "fault": fault})

        with pytest.raises(MailboxThrottled) as caught:
            await mailbox.create_draft(a_mime(stamp), stamp)

        assert caught.value.retry_after_seconds == 4
