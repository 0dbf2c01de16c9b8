"""An Exchange Server of one's own, over real HTTPS: names and passwords of several users, and what its answers say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from lxml import etree
from requests.auth import HTTPBasicAuth
from requests_ntlm import HttpNtlmAuth

from tests.support.callers import app_token, call, codes, folder_of, get_folder, password_of, session
from tests.support.sandbox import SandboxProcess
from tests.support.soap import TYPES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from requests.auth import AuthBase

    Method = Callable[[str, str], AuthBase]

_DISPATCH, _CREW, _CHIEF = "dispatch@example.org", "crew@example.org", "chief@example.org"
_METHODS = pytest.mark.parametrize("method", [HTTPBasicAuth, HttpNtlmAuth], ids=["basic", "ntlm"])


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    folder = tmp_path_factory.mktemp("premises") / "sandbox"
    with SandboxProcess(folder, mailboxes=[_DISPATCH, _CREW, _CHIEF], on_premises=True) as running:
        yield running


@_METHODS
def test_each_user_opens_the_own_mailbox_and_no_other(sandbox: SandboxProcess, method: Method) -> None:
    ask = get_folder(folder_of(_DISPATCH) + folder_of(_CREW))

    found = {
        address: codes(call(sandbox, ask, auth=method(address, password_of(sandbox, address))))
        for address in (_DISPATCH, _CREW)
    }

    assert found == {_DISPATCH: ["NoError", "ErrorFolderNotFound"], _CREW: ["ErrorFolderNotFound", "NoError"]}


@_METHODS
@pytest.mark.parametrize("name", ["crew@example.org", "CREW@example.org", "EXAMPLE\\crew@example.org"])
def test_a_name_is_taken_with_and_without_its_domain(sandbox: SandboxProcess, method: Method, name: str) -> None:
    assert codes(call(sandbox, get_folder(), auth=method(name, password_of(sandbox, _CREW)))) == ["NoError"]


@_METHODS
@pytest.mark.parametrize("name", [_CREW, "nobody@example.org"])
def test_a_wrong_name_or_password_is_refused_with_all_challenges(
    sandbox: SandboxProcess, method: Method, name: str
) -> None:
    """The same for who exists and who does not."""
    answer = call(sandbox, get_folder(), auth=method(name, "wrong"))

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'NTLM, Basic realm="127.0.0.1"'
    assert answer.content == b""


def test_without_credentials_the_challenges_come_and_no_word_of_who_exists(sandbox: SandboxProcess) -> None:
    answer = call(sandbox, get_folder(), impersonate=_CREW)

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == 'NTLM, Basic realm="127.0.0.1"'


@_METHODS
def test_the_scope_of_impersonation_is_each_account_s_own(sandbox: SandboxProcess, method: Method) -> None:
    service = sandbox.info["service_account"]
    sandbox.admin(f"/users/{service['username']}", method="PUT", body={"impersonates": [_DISPATCH]})
    sandbox.admin(f"/users/{_CREW}", method="PUT", body={"impersonates": ["*@example.org"]})
    try:
        found = {
            (name, to): codes(call(sandbox, get_folder(), auth=method(name, password), impersonate=to))
            for name, password in (
                (service["username"], service["password"]),
                (_CREW, password_of(sandbox, _CREW)),
                (_CHIEF, password_of(sandbox, _CHIEF)),
            )
            for to in (_DISPATCH, _CHIEF)
        }
    finally:
        sandbox.admin(f"/users/{service['username']}", method="PUT", body={"impersonates": ["*"]})
        sandbox.admin(f"/users/{_CREW}", method="PUT", body={"impersonates": []})

    refused = {pair for pair, code in found.items() if code == ["ErrorImpersonateUserDenied"]}
    assert refused == {(service["username"], _CHIEF), (_CHIEF, _DISPATCH)}
    assert {code for pair, (code,) in found.items() if pair not in refused} == {"NoError"}


@_METHODS
def test_an_account_without_a_mailbox_must_say_whose(sandbox: SandboxProcess, method: Method) -> None:
    service = sandbox.info["service_account"]
    auth = method(service["username"], service["password"])

    assert codes(call(sandbox, get_folder(), auth=auth)) == ["ErrorMissingEmailAddress"]
    assert codes(call(sandbox, get_folder(folder_of(_CREW)), auth=auth)) == ["ErrorFolderNotFound"]
    assert codes(call(sandbox, get_folder(), auth=auth, impersonate="nobody@example.org")) == [
        "ErrorNonExistentMailbox"
    ]


@_METHODS
def test_a_new_password_is_asked_for_at_once(sandbox: SandboxProcess, method: Method) -> None:
    old = password_of(sandbox, _CHIEF)
    sandbox.admin(f"/users/{_CHIEF}", method="PUT", body={"password": "new pass 7"})
    try:
        refused = call(sandbox, get_folder(), auth=method(_CHIEF, old))
        taken = call(sandbox, get_folder(), auth=method(_CHIEF, "new pass 7"))
    finally:
        sandbox.admin(f"/users/{_CHIEF}", method="PUT", body={"password": old})

    assert refused.status_code == 401
    assert codes(taken) == ["NoError"]


@_METHODS
def test_a_user_who_is_switched_off_is_refused(sandbox: SandboxProcess, method: Method) -> None:
    auth = method(_CHIEF, password_of(sandbox, _CHIEF))
    sandbox.admin(f"/users/{_CHIEF}", method="PUT", body={"enabled": False})
    try:
        refused = call(sandbox, get_folder(), auth=auth).status_code
    finally:
        sandbox.admin(f"/users/{_CHIEF}", method="PUT", body={"enabled": True})

    assert refused == 401
    assert codes(call(sandbox, get_folder(), auth=auth)) == ["NoError"]


def test_ntlm_proves_its_connection_and_no_other(sandbox: SandboxProcess) -> None:
    """What one connection proved, a second one has to prove again."""
    proved = session(sandbox)
    url = sandbox.info["ews_url"]
    auth = HttpNtlmAuth(_CREW, password_of(sandbox, _CREW))
    assert proved.get(url, auth=auth, timeout=30).status_code == 200

    again = proved.get(url, timeout=30).status_code
    elsewhere = session(sandbox).get(url, timeout=30).status_code

    assert (again, elsewhere) == (200, 401)


def test_tokens_are_taken_beside_passwords(sandbox: SandboxProcess) -> None:
    main: dict[str, Any] = {key: sandbox.info[key] for key in ("client_id", "client_secret")}

    assert codes(call(sandbox, get_folder(), token=app_token(sandbox, main), impersonate=_CREW)) == ["NoError"]


def test_answers_say_that_they_are_exchange_server_s(sandbox: SandboxProcess) -> None:
    auth = HTTPBasicAuth(_CREW, password_of(sandbox, _CREW))

    answer = etree.fromstring(call(sandbox, get_folder(), auth=auth).content)

    (said,) = answer.iter(f"{TYPES}ServerVersionInfo")
    assert (said.get("MajorVersion"), said.get("MinorVersion"), said.get("Version")) == ("15", "2", "V2017_07_11")


@pytest.mark.parametrize("version", ["Exchange2019", "V2018_01_08"])
def test_a_version_that_exchange_server_does_not_know_is_an_invalid_request(
    sandbox: SandboxProcess, version: str
) -> None:
    """As recorded of Exchange 2019."""
    auth = HTTPBasicAuth(_CREW, password_of(sandbox, _CREW))

    answer = call(sandbox, get_folder(), auth=auth, version=version)

    assert (answer.status_code, codes(answer)) == (500, ["ErrorInvalidRequest"])
    assert codes(call(sandbox, get_folder(), auth=auth, version="V2017_07_11")) == ["NoError"]
