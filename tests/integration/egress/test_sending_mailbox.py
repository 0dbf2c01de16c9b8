"""What EWS makes of a send beyond the promise of the port (tests/contract/outbox.py): on the wire, and in failure."""

from __future__ import annotations

import email
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.credentials import SecretSource
from bridge.adapters.entra.sign_in import SignIn
from bridge.adapters.ews.client import EwsClient, EwsConnection
from bridge.adapters.ews.sender import EwsSender
from bridge.domain.outbound_records import DraftState, SeenDraft
from bridge.errors import MailboxThrottled, SendOutcomeUnknown, SendRefused
from bridge.mime.compose_message_id import message_id_of
from tests.contract.outbox import CREW, HIDDEN, PARTS, a_mime, a_stamp, each
from tests.integration.egress.conftest import until
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

    from bridge.ports.outbox import SendingMailbox

ADDRESS = "dispatch@example.org"


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


@pytest.fixture
def mailbox(sandbox: SandboxProcess, client: EwsClient) -> Iterator[SendingMailbox]:
    yield EwsSender(client, ADDRESS)
    sandbox.faults()


async def test_mail_reaches_everybody_and_nobody_sees_the_hidden_ones(
    mailbox: SendingMailbox, sandbox: SandboxProcess
) -> None:
    stamp = a_stamp()
    await mailbox.send(await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp))

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


async def test_mail_in_parts_arrives_with_all_of_them(mailbox: SendingMailbox, sandbox: SandboxProcess) -> None:
    stamp = a_stamp()
    await mailbox.send(await mailbox.create_draft_in_parts(a_mime(stamp, ADDRESS), each(PARTS), stamp))

    [send] = [one for one in sandbox.sends() if one["request_id"] == stamp.request_id]
    message_id = send["internet_message_id"]
    until(lambda: message_id in {mail["internet_message_id"] for mail in sandbox.mails(CREW)}, "the mail")
    [arrived] = [mail for mail in sandbox.mails(CREW) if mail["internet_message_id"] == message_id]
    mime = email.message_from_bytes(sandbox.mime(CREW, arrived["item_id"]))
    files = {part.get_filename(): part.get_payload(decode=True) for part in mime.walk() if part.get_filename()}
    assert sorted(files.values(), key=repr) == sorted([b"%PDF", *(part.content for part in PARTS)], key=repr)
    assert "map@bridge" in str(mime)


@pytest.mark.parametrize("operation", ["CreateItem", "CreateAttachment", "UpdateItem"])
@pytest.mark.parametrize("kind", ["cut_after", "cut_before"])
async def test_draft_in_parts_that_got_no_answer_may_be_there_and_is_not_deleted_on_the_way(
    mailbox: SendingMailbox, sandbox: SandboxProcess, operation: str, kind: str
) -> None:
    stamp = a_stamp()
    before = len(sandbox.mails(ADDRESS, "drafts"))
    sandbox.faults({"match": {"operation": operation}, "fault": kind, "times": 1})

    with pytest.raises(SendOutcomeUnknown):
        await mailbox.create_draft_in_parts(a_mime(stamp, ADDRESS), each(PARTS), stamp)

    stamped = operation == "UpdateItem" and kind == "cut_after"
    assert len(await mailbox.find_drafts(stamp.request_id)) == stamped
    left = len(sandbox.mails(ADDRESS, "drafts")) - before
    assert left == (0 if (operation, kind) == ("CreateItem", "cut_before") else 1)
    assert await mailbox.sweep(timedelta(seconds=-60), limit=100) >= left


@pytest.mark.parametrize("operation", ["CreateAttachment", "UpdateItem"])
async def test_draft_in_parts_that_is_refused_leaves_nothing(
    mailbox: SendingMailbox, sandbox: SandboxProcess, operation: str
) -> None:
    stamp = a_stamp()
    before = len(sandbox.mails(ADDRESS, "drafts"))
    fault = {"kind": "item_error", "code": "ErrorMessageSizeExceeded"}
    sandbox.faults({"match": {"operation": operation}, "fault": fault, "times": 1})

    with pytest.raises(SendRefused):
        await mailbox.create_draft_in_parts(a_mime(stamp, ADDRESS), each(PARTS), stamp)

    assert len(sandbox.mails(ADDRESS, "drafts")) == before


async def test_two_that_make_the_ledger_at_the_same_time_get_the_same_folder(
    client: EwsClient, mailbox: SendingMailbox, sandbox: SandboxProcess
) -> None:
    await mailbox.prepare()
    await EwsSender(client, ADDRESS).prepare()

    assert [folder["name"] for folder in sandbox.folders(ADDRESS)].count("Bridge Sends") == 1


@pytest.mark.parametrize("kind", ["cut_after", "cut_before", "truncated", "empty", "html_page", "malformed"])
async def test_answer_that_is_no_answer_leaves_the_outcome_unknown(
    mailbox: SendingMailbox, sandbox: SandboxProcess, kind: str
) -> None:
    stamp = a_stamp()
    created = await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)
    sandbox.faults({"match": {"operation": ["SendItem", "CreateItem", "UpdateItem"]}, "fault": kind})

    with pytest.raises(SendOutcomeUnknown):
        await mailbox.send(created)
    with pytest.raises(SendOutcomeUnknown):
        await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)
    with pytest.raises(SendOutcomeUnknown):
        await mailbox.enter_begun(stamp, 1)
    with pytest.raises(SendOutcomeUnknown):
        await mailbox.void(SeenDraft(stamp, created.item_id, created.version, DraftState.UNSENT))


@pytest.mark.parametrize("code", ["ErrorTimeoutExpired", "ErrorInternalServerError", "ErrorMailboxStoreUnavailable"])
async def test_error_that_leaves_the_outcome_open_is_no_refusal(
    mailbox: SendingMailbox, sandbox: SandboxProcess, code: str
) -> None:
    stamp = a_stamp()
    created = await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)
    sandbox.faults({"match": {"operation": "SendItem"}, "fault": {"kind": "item_error", "code": code}})

    with pytest.raises(SendOutcomeUnknown):
        await mailbox.send(created)


@pytest.mark.parametrize("code", ["ErrorSendAsDenied", "ErrorMessageSizeExceeded", "ErrorContentConversionFailed"])
async def test_mail_that_exchange_will_never_send_is_refused_with_its_code(
    mailbox: SendingMailbox, sandbox: SandboxProcess, code: str
) -> None:
    stamp = a_stamp()
    created = await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)
    fault = {"kind": "item_error", "code": code}
    sandbox.faults({"match": {"operation": ["SendItem", "CreateItem"]}, "fault": fault})

    for call in (mailbox.send(created), mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)):
        with pytest.raises(SendRefused) as caught:
            await call
        assert caught.value.exchange_code == code


async def test_throttling_is_told_with_its_wait(mailbox: SendingMailbox, sandbox: SandboxProcess) -> None:
    stamp = a_stamp()
    fault = {"kind": "server_busy", "back_off_milliseconds": 4000}
    sandbox.faults({"match": {"operation": "CreateItem"}, "fault": fault})

    with pytest.raises(MailboxThrottled) as caught:
        await mailbox.create_draft(a_mime(stamp, ADDRESS), stamp)

    assert caught.value.retry_after_seconds == 4
