"""Ordinary clients on the sandbox: exchangelib, smtplib, and the account that the admin API gives of both."""

from __future__ import annotations

import smtplib
import time
from typing import TYPE_CHECKING, Any

import pytest
from exchangelib import (
    DELEGATE,
    IMPERSONATION,
    Account,
    Build,
    Configuration,
    Credentials,
    FailFast,
    FileAttachment,
    HTMLBody,
    Message,
    Version,
)
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.errors import ErrorNonExistentMailbox, UnauthorizedError
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import BASIC, NTLM, OAUTH2
from requests.adapters import HTTPAdapter

from tests.support.sandbox import SandboxProcess, as_given
from tests.support.soap import EwsClient

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_DISPATCH, _CREW = "dispatch@example.org", "crew@example.org"
_VERSION = Version(Build(15, 20))


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("clients") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_DISPATCH, _CREW], on_premises=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _trust(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
            super().cert_verify(conn, url, sandbox.info["ca_file"], cert)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Adapter)


def _account(sandbox: SandboxProcess, address: str, **changes: Any) -> Account:
    token = {"access_token": EwsClient(sandbox, address).token, "token_type": "Bearer", "expires_in": 3599}
    options: dict[str, Any] = {
        "credentials": OAuth2AuthorizationCodeCredentials(client_id=sandbox.info["client_id"], access_token=token),
        "auth_type": OAUTH2,
        **changes,
    }
    access_type = options.pop("access_type", IMPERSONATION)
    configuration = Configuration(
        service_endpoint=sandbox.info["ews_url"], version=_VERSION, retry_policy=FailFast(), **options
    )
    return Account(address, config=configuration, autodiscover=False, access_type=access_type)


@pytest.fixture
def account(sandbox: SandboxProcess) -> Account:
    return _account(sandbox, _DISPATCH)


def _until(ready: Callable[[], list[Any]]) -> list[Any]:
    """What `ready` gives as soon as it is something; delivery takes a moment."""
    until = time.monotonic() + 10
    while not (found := ready()):
        assert time.monotonic() < until
        time.sleep(0.02)
    return found


def test_a_mail_by_smtp_is_listed_fetched_byte_for_byte_and_deleted(sandbox: SandboxProcess, account: Account) -> None:
    mime = b"Message-ID: <fetched@x>\r\nSubject: \xe2\x82\xac raw\r\n\r\n.dot\r\n\x00\r\nbare\rbare\nend\r\n"
    sandbox.deliver(_DISPATCH, mime)

    (item,) = [item for item in account.inbox.all() if item.message_id == "<fetched@x>"]
    assert as_given(item.mime_content) == mime
    item.delete()

    assert "<fetched@x>" not in [mail["internet_message_id"] for mail in sandbox.mails(_DISPATCH)]


def test_smtplib_delivers_to_several_and_is_told_who_is_unknown(sandbox: SandboxProcess) -> None:
    host, _, port = sandbox.info["smtp"].rpartition(":")
    with smtplib.SMTP(host, int(port)) as client:
        refused = client.sendmail(
            "a@elsewhere.example", [_DISPATCH, _CREW, "nobody@example.org"], "Message-ID: <several@x>\r\n\r\nHello\r\n"
        )

    assert list(refused) == ["nobody@example.org"]
    for address in (_DISPATCH, _CREW):
        assert [m["internet_message_id"] for m in sandbox.mails(address)].count("<several@x>") == 1


def test_a_draft_is_saved_changed_sent_and_arrives(sandbox: SandboxProcess, account: Account) -> None:
    message = Message(
        account=account, folder=account.drafts, subject="Transfer", body=HTMLBody("<p>Bay 3</p>"), to_recipients=[_CREW]
    )
    message.save()
    message.attach(FileAttachment(name="list.txt", content=b"one\ntwo\n"))
    message.subject = "Transfer tonight"
    message.save(update_fields=["subject"])
    message.send()

    crew = _account(sandbox, _CREW)
    (arrived,) = _until(lambda: list(crew.inbox.filter(subject="Transfer tonight")))
    assert [(one.name, one.content) for one in arrived.attachments] == [("list.txt", b"one\ntwo\n")]
    assert arrived.sender.email_address == _DISPATCH
    assert list(account.drafts.filter(subject="Transfer tonight")) == []
    assert len(_until(lambda: list(account.sent.filter(subject="Transfer tonight")))) == 1
    (send,) = [send for send in sandbox.sends() if send["internet_message_id"] == arrived.message_id]
    assert (send["from"], send["recipients"]) == (_DISPATCH, [_CREW])


def test_a_mail_to_nobody_of_ours_comes_back_as_a_bounce(sandbox: SandboxProcess, account: Account) -> None:
    Message(account=account, subject="Lost", body="x", to_recipients=["nobody@example.org"]).send_and_save()

    (bounce,) = _until(lambda: list(account.inbox.filter(subject="Undeliverable: Lost")))

    assert bounce.item_class == "REPORT.IPM.Note.NDR"
    assert b"Final-Recipient: rfc822;nobody@example.org" in bounce.mime_content


def test_a_mail_to_the_outside_is_accepted_and_recorded(sandbox: SandboxProcess, account: Account) -> None:
    Message(account=account, subject="Out", body="x", to_recipients=["away@elsewhere.example"]).send()

    assert sandbox.sends()[-1]["recipients"] == ["away@elsewhere.example"]


def test_a_token_that_expired_is_refused(sandbox: SandboxProcess, account: Account) -> None:
    assert account.inbox.total_count is not None
    sandbox.admin("/expire", method="POST", body={"what": "tokens"})

    with pytest.raises(UnauthorizedError):
        account.inbox.refresh()

    assert _account(sandbox, _DISPATCH).inbox.total_count is not None


def test_a_mailbox_that_the_app_may_not_open_is_refused(sandbox: SandboxProcess) -> None:
    app = f"/apps/{sandbox.info['client_id']}"
    sandbox.admin(app, method="PUT", body={"roles": [], "mailboxes": [_CREW]})
    try:
        dispatch, crew = EwsClient(sandbox, _DISPATCH), EwsClient(sandbox, _CREW)
        refused = dispatch.post(dispatch.get("AAMk"))

        assert b"ErrorAccessDenied" in refused.content or b"ErrorImpersonateUserDenied" in refused.content
        assert crew.post(crew.get("AAMk")).status_code == 200
    finally:
        sandbox.admin(app, method="PUT", body={"roles": ["full_access_as_app"], "mailboxes": []})


@pytest.mark.parametrize("auth_type", [BASIC, NTLM])
def test_a_user_signs_in_by_password_on_premises(sandbox: SandboxProcess, auth_type: str) -> None:
    (mailbox,) = [entry for entry in sandbox.info["mailboxes"] if entry["address"] == _CREW]
    credentials = Credentials(mailbox["username"], mailbox["password"])

    account = _account(sandbox, _CREW, credentials=credentials, auth_type=auth_type, access_type=DELEGATE)

    assert account.inbox.total_count is not None


@pytest.mark.parametrize("auth_type", [BASIC, NTLM])
def test_the_service_account_impersonates_on_premises(sandbox: SandboxProcess, auth_type: str) -> None:
    service = sandbox.info["service_account"]
    credentials = Credentials(service["username"], service["password"])

    account = _account(sandbox, _DISPATCH, credentials=credentials, auth_type=auth_type)

    assert account.inbox.total_count is not None


@pytest.mark.parametrize("auth_type", [BASIC, NTLM])
def test_a_wrong_password_is_refused(sandbox: SandboxProcess, auth_type: str) -> None:
    credentials = Credentials(_CREW, "wrong")

    with pytest.raises(UnauthorizedError):
        _ = _account(sandbox, _CREW, credentials=credentials, auth_type=auth_type, access_type=DELEGATE).inbox


def test_a_mailbox_that_is_none_is_refused(sandbox: SandboxProcess) -> None:
    with pytest.raises(ErrorNonExistentMailbox):
        _ = _account(sandbox, "nobody@example.org").inbox
