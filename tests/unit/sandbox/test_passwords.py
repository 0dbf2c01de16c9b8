"""Names and passwords on-premises."""

from __future__ import annotations

import base64
import os
import stat
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest
import spnego
from aiohttp.test_utils import make_mocked_request

from bridge.sandbox.ews.hooks import RefusedError
from bridge.sandbox.passwords import OnPremisesAuthenticator
from bridge.sandbox.tenant import Tenant, new_service_account, new_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.sandbox.ews.hooks import Caller

_CREW = "crew@example.org"


class _Transport:
    """A connection, as far as a handshake is tied to one."""

    def get_extra_info(self, _name: str, default: object = None) -> object:
        return default


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    tenant.add_users([_CREW, "dispatch@example.org"])
    tenant.service_account = new_service_account()
    return tenant


@pytest.fixture
def authenticator(tenant: Tenant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OnPremisesAuthenticator:
    monkeypatch.setenv("NTLM_USER_FILE", "")  # taken back after the test
    return OnPremisesAuthenticator(tenant, Mock(), tmp_path / "ntlm_users")


async def _call(
    authenticator: OnPremisesAuthenticator, authorization: str | None, connection: _Transport | None = None
) -> Caller:
    headers = {} if authorization is None else {"Authorization": authorization}
    transport = connection or _Transport()
    return await authenticator(make_mocked_request("POST", "/", headers=headers, transport=transport))


async def _refusal(
    authenticator: OnPremisesAuthenticator, authorization: str | None, connection: _Transport | None = None
) -> list[str]:
    with pytest.raises(RefusedError) as refused:
        await _call(authenticator, authorization, connection)
    assert refused.value.status == 401
    return [value for name, value in refused.value.headers if name == "WWW-Authenticate"]


def _basic(name: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


async def test_without_credentials_all_ways_in_are_named(authenticator: OnPremisesAuthenticator) -> None:
    assert await _refusal(authenticator, None) == ["NTLM", 'Basic realm="127.0.0.1"']


@pytest.mark.parametrize("name", [_CREW, "CREW@example.org", f"EXAMPLE\\{_CREW}"])
async def test_a_user_opens_the_own_mailbox_alone(
    authenticator: OnPremisesAuthenticator, tenant: Tenant, name: str
) -> None:
    caller = await _call(authenticator, _basic(name, tenant.users[0].password))

    assert (caller.mailbox, caller.must_impersonate) == (_CREW, False)
    assert caller.may_open("Crew@Example.org")
    assert not caller.may_open("dispatch@example.org")


async def test_the_service_account_impersonates_everybody_and_opens_nothing_under_its_own_name(
    authenticator: OnPremisesAuthenticator, tenant: Tenant
) -> None:
    account = tenant.service_account
    assert account is not None

    caller = await _call(authenticator, _basic(account.username, account.password))

    assert caller.mailbox is None
    assert caller.may_impersonate(_CREW)
    assert not caller.may_open(_CREW)


async def test_the_right_to_impersonate_has_a_scope(authenticator: OnPremisesAuthenticator, tenant: Tenant) -> None:
    crew = tenant.users[0]
    crew.impersonates = ["*@depot.example", "dispatch@example.org"]

    caller = await _call(authenticator, _basic(_CREW, crew.password))

    assert caller.may_impersonate("Dispatch@Example.org")
    assert caller.may_impersonate("anybody@depot.example")
    assert not caller.may_impersonate("chief@example.org")
    assert not caller.may_impersonate("x@sub.depot.example")


async def test_full_access_opens_a_mailbox_under_the_own_name_at_once(
    authenticator: OnPremisesAuthenticator, tenant: Tenant
) -> None:
    crew, dispatch = tenant.users
    caller = await _call(authenticator, _basic(_CREW, crew.password))
    assert not caller.may_open(dispatch.address)

    dispatch.full_access = [_CREW]

    assert caller.may_open(dispatch.address)
    assert not caller.may_impersonate(dispatch.address)


async def test_a_user_who_is_switched_off_is_refused_on_an_open_connection_too(
    authenticator: OnPremisesAuthenticator, tenant: Tenant
) -> None:
    crew, connection = tenant.users[0], _Transport()
    client = spnego.client(_CREW, crew.password, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    first = client.step() or b""
    (challenge,) = await _refusal(authenticator, f"NTLM {base64.b64encode(first).decode()}", connection)
    proof = client.step(base64.b64decode(challenge.removeprefix("NTLM "))) or b""
    await _call(authenticator, f"NTLM {base64.b64encode(proof).decode()}", connection)

    crew.enabled = False

    assert await _refusal(authenticator, None, connection)
    assert await _refusal(authenticator, _basic(_CREW, crew.password))


@pytest.mark.parametrize(
    "authorization",
    ["Basic", "Basic !!!", "Basic /////w==", _basic(_CREW, ""), _basic(_CREW, "wrong"), _basic("", ""),
     _basic("nobody@example.org", "x"), "NTLM", "NTLM !!!", "NTLM AAAA", "NTLM TlRMTVNTUAADAAAA", "Digest x"],
)  # fmt: skip
async def test_wrong_credentials_are_refused(authenticator: OnPremisesAuthenticator, authorization: str) -> None:
    assert await _refusal(authenticator, authorization) == ["NTLM", 'Basic realm="127.0.0.1"']


async def _handshake(authenticator: OnPremisesAuthenticator, connection: _Transport, name: str, password: str) -> str:
    client = spnego.client(name, password, protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm)
    first = base64.b64encode(client.step() or b"").decode()
    (challenge,) = await _refusal(authenticator, f"NTLM {first}", connection)
    answer = client.step(base64.b64decode(challenge.removeprefix("NTLM ")))
    return "NTLM " + base64.b64encode(answer or b"").decode()


async def test_ntlm_proves_a_connection_and_no_other(authenticator: OnPremisesAuthenticator, tenant: Tenant) -> None:
    connection = _Transport()
    proof = await _handshake(authenticator, connection, _CREW, tenant.users[0].password)

    assert (await _call(authenticator, proof, connection)).mailbox == _CREW
    assert (await _call(authenticator, None, connection)).mailbox == _CREW
    await _refusal(authenticator, None, _Transport())
    await _refusal(authenticator, proof, _Transport())


async def test_ntlm_with_a_wrong_password_proves_nothing(authenticator: OnPremisesAuthenticator) -> None:
    connection = _Transport()
    proof = await _handshake(authenticator, connection, _CREW, "wrong")

    await _refusal(authenticator, proof, connection)
    await _refusal(authenticator, None, connection)


_LOGONS = {_CREW: _CREW, "EXAMPLE\\crew": _CREW, "example\\Crew": _CREW, "DEPOT\\crew": "crew@depot.example"}
_NO_LOGONS = ("OTHER\\crew", "EXAMPLE\\nobody", "crew", "\\crew")


@pytest.mark.parametrize("way", ["basic", "ntlm"])
@pytest.mark.parametrize("name", [*_LOGONS, *_NO_LOGONS])
async def test_users_sign_in_by_address_or_by_domain_and_name(
    authenticator: OnPremisesAuthenticator, tenant: Tenant, way: str, name: str
) -> None:
    """As docs/exchange-server.md has an administrator write it; the same name in two domains is two users."""
    tenant.add_users(["crew@depot.example"])
    authenticator.write_users()
    owner = next(user for user in tenant.users if user.address == _LOGONS.get(name, _CREW))
    connection = _Transport()
    proof = (
        _basic(name, owner.password)
        if way == "basic"
        else await _handshake(authenticator, connection, name, owner.password)
    )

    if name in _LOGONS:
        assert (await _call(authenticator, proof, connection)).mailbox == owner.address
    else:
        assert await _refusal(authenticator, proof, connection)


def test_the_passwords_on_disk_are_private(authenticator: OnPremisesAuthenticator, tmp_path: Path) -> None:
    assert stat.S_IMODE((tmp_path / "ntlm_users").stat().st_mode) == 0o600
    assert os.environ["NTLM_USER_FILE"] == str(tmp_path / "ntlm_users")
