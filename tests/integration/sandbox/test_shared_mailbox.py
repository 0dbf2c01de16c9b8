"""exchangelib in a mailbox that several share: a user's own credentials, in the mailbox of somebody else."""

from __future__ import annotations

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
    Message,
    OAuth2LegacyCredentials,
    Version,
)
from exchangelib.credentials import OAuth2AuthorizationCodeCredentials
from exchangelib.errors import (
    ErrorAccessDenied,
    ErrorFolderNotFound,
    ErrorImpersonateUserDenied,
    ErrorSendAsDenied,
)
from exchangelib.folders import Messages
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import BASIC, NTLM, OAUTH2
from requests.adapters import HTTPAdapter

from tests.support.callers import password_of, user_tokens
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator

_SHARED, _CREW = "dispatch@example.org", "crew@example.org"
_GRANTS = f"/mailboxes/{_SHARED}/grants"
# exchangelib looks at a mailbox's root before anything else.
_TO_READ = {"folders": {"root": {_CREW: "Reviewer"}, "inbox": {_CREW: "Reviewer"}}}
_NOTHING: dict[str, Any] = {"full_access": [], "send_as": [], "send_on_behalf": [], "folders": {}}


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    directory = tmp_path_factory.mktemp("shared") / "sandbox"
    with SandboxProcess(directory, mailboxes=[_SHARED, _CREW], on_premises=True) as running:
        yield running


@pytest.fixture(autouse=True)
def _trust(sandbox: SandboxProcess, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    class Adapter(HTTPAdapter):
        def cert_verify(self, conn: object, url: str, verify: object, cert: object) -> None:
            super().cert_verify(conn, url, sandbox.info["ca_file"], cert)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(BaseProtocol, "HTTP_ADAPTER_CLS", Adapter)
    yield
    sandbox.admin(_GRANTS, method="PUT", body=_NOTHING)
    sandbox.admin(f"/users/{_CREW}", method="PUT", body={"impersonates": []})


@pytest.fixture(params=["token", "basic", "ntlm"])
def crew(sandbox: SandboxProcess, request: pytest.FixtureRequest) -> dict[str, Any]:
    """How crew signs in: by a token, or by name and password."""
    if request.param == "token":
        main = {key: sandbox.info[key] for key in ("client_id", "client_secret")}
        token = {"token_type": "Bearer", **user_tokens(sandbox, main, _CREW)}
        made = OAuth2AuthorizationCodeCredentials(client_id=main["client_id"], access_token=token)
        return {"credentials": made, "auth_type": OAUTH2}
    auth_type = BASIC if request.param == "basic" else NTLM
    return {"credentials": Credentials(_CREW, password_of(sandbox, _CREW)), "auth_type": auth_type}


def _account(sandbox: SandboxProcess, how: dict[str, Any], *, access_type: str = DELEGATE) -> Account:
    configuration = Configuration(
        service_endpoint=sandbox.info["ews_url"], version=Version(Build(15, 20)), retry_policy=FailFast(), **how
    )
    return Account(_SHARED, config=configuration, autodiscover=False, access_type=access_type)


def _deliver(sandbox: SandboxProcess, subject: str) -> None:
    mime = f"From: a@example.net\r\nTo: {_SHARED}\r\nSubject: {subject}\r\nMessage-ID: <{subject}@x>\r\n\r\nx\r\n"
    sandbox.deliver(_SHARED, mime.encode())


def test_without_a_grant_no_folder_is_found(sandbox: SandboxProcess, crew: dict[str, Any]) -> None:
    with pytest.raises(ErrorFolderNotFound):
        _ = _account(sandbox, crew).inbox


def test_with_full_access_it_is_worked_in_as_in_the_own(
    sandbox: SandboxProcess, crew: dict[str, Any], request: pytest.FixtureRequest
) -> None:
    subject = f"full-{request.node.callspec.id}"
    sandbox.admin(_GRANTS, method="PUT", body={"full_access": [_CREW]})
    _deliver(sandbox, subject)
    account = _account(sandbox, crew)

    item = account.inbox.get(subject=subject)
    item.is_read = True
    item.save(update_fields=["is_read"])
    done = Messages(parent=account.inbox, name=subject).save()
    item.move(done)

    assert done.get(subject=subject).is_read
    assert subject not in [mail["subject"] for mail in sandbox.mails(_SHARED)]


def test_who_may_only_read_is_denied_the_rest(sandbox: SandboxProcess, crew: dict[str, Any]) -> None:
    sandbox.admin(_GRANTS, method="PUT", body=_TO_READ)
    _deliver(sandbox, "read")
    account = _account(sandbox, crew)

    item = account.inbox.filter(subject="read")[0]

    assert item.message_id == "<read@x>"
    with pytest.raises(ErrorAccessDenied):
        item.delete()
    with pytest.raises(ErrorFolderNotFound):
        _ = account.drafts


def test_mail_from_the_shared_address_needs_its_grant(sandbox: SandboxProcess, crew: dict[str, Any]) -> None:
    """Full access alone does not do; with Send on Behalf the copy is kept where all look."""
    sandbox.admin(_GRANTS, method="PUT", body={"full_access": [_CREW]})
    account = _account(sandbox, crew)
    mail = {"account": account, "subject": "for all", "body": "x", "author": _SHARED, "to_recipients": [_CREW],
            "folder": account.sent}  # fmt: skip
    before = len(sandbox.sends())

    with pytest.raises(ErrorSendAsDenied):
        Message(**mail).send_and_save()
    sandbox.admin(_GRANTS, method="PUT", body={"send_on_behalf": [_CREW]})
    Message(**mail).send_and_save()

    (sent,) = sandbox.sends()[before:]
    assert (sent["from"], sent["mailbox"]) == (_SHARED, _CREW)


def test_impersonation_is_another_right(sandbox: SandboxProcess, crew: dict[str, Any]) -> None:
    sandbox.admin(_GRANTS, method="PUT", body={"full_access": [_CREW]})
    with pytest.raises(ErrorImpersonateUserDenied):
        _ = _account(sandbox, crew, access_type=IMPERSONATION).inbox

    sandbox.admin(f"/users/{_CREW}", method="PUT", body={"impersonates": [_SHARED]})

    assert _account(sandbox, crew, access_type=IMPERSONATION).inbox.total_count is not None


def test_exchangelib_gets_the_token_itself(sandbox: SandboxProcess) -> None:
    """By its credentials for the password grant, pointed at this Entra."""

    class Here(OAuth2LegacyCredentials):  # type: ignore[misc]
        @property
        def token_url(self) -> str:
            return f"{sandbox.info['authority_url']}/oauth2/v2.0/token"

    sandbox.admin(_GRANTS, method="PUT", body=_TO_READ)
    credentials = Here(
        client_id=sandbox.info["client_id"], client_secret=sandbox.info["client_secret"],
        tenant_id=sandbox.info["tenant_id"], username=_CREW, password=password_of(sandbox, _CREW),
    )  # fmt: skip

    account = _account(sandbox, {"credentials": credentials, "auth_type": OAUTH2})

    assert account.inbox.total_count is not None
