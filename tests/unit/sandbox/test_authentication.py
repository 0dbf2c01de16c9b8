"""Which tokens open EWS, and how the others are refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import pytest
from aiohttp.test_utils import make_mocked_request

from bridge.sandbox.authentication import BearerAuthenticator
from bridge.sandbox.entra import signed
from bridge.sandbox.entra.keys import SigningKey, ensure_signing_key
from bridge.sandbox.entra.proofs import BY_SECRET
from bridge.sandbox.entra.tokens import issue
from bridge.sandbox.ews.hooks import RefusedError
from bridge.sandbox.tenant import Tenant, new_tenant

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.sandbox.authentication import AppCaller, UserCaller

_EXCHANGE = "https://outlook.office365.com"
_NOW = 1_800_000_000


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return ensure_signing_key(tmp_path_factory.mktemp("keys") / "signing.json")


@pytest.fixture
def tenant() -> Tenant:
    return new_tenant()


def _token(tenant: Tenant, key: SigningKey, *, resource: str = _EXCHANGE, at: int = _NOW) -> str:
    return issue(tenant, tenant.apps[0], resource=resource, proof=BY_SECRET, key=key, now=at, base_url="https://x").text


def _changed(token: str, key: SigningKey, **claims: Any) -> str:
    """The same token with other claims, signed by `key`."""
    known = jwt.decode(token, options={"verify_signature": False})
    return signed.encode({**known, **claims}, key)


async def _authenticate(tenant: Tenant, key: SigningKey, authorization: str | None) -> AppCaller | UserCaller:
    headers = {} if authorization is None else {"Authorization": authorization}
    request = make_mocked_request("POST", "/EWS/Exchange.asmx", headers=headers)
    return await BearerAuthenticator(tenant, key, lambda: _NOW)(request)


async def _refusal(tenant: Tenant, key: SigningKey, authorization: str | None) -> dict[str, str]:
    with pytest.raises(RefusedError) as refused:
        await _authenticate(tenant, key, authorization)
    assert refused.value.status == 401
    return dict(refused.value.headers)


async def test_consent_opens_every_mailbox_whatever_exchange_assigned(tenant: Tenant, key: SigningKey) -> None:
    tenant.apps[0].mailboxes = ["dispatch@example.org"]

    caller = await _authenticate(tenant, key, f"Bearer {_token(tenant, key)}")

    assert caller.must_impersonate
    assert caller.mailbox is None
    assert caller.may_open("director@example.org")


async def test_without_consent_the_assigned_mailboxes_open_and_no_others(tenant: Tenant, key: SigningKey) -> None:
    tenant.apps[0].roles, tenant.apps[0].mailboxes = [], ["dispatch@example.org"]

    caller = await _authenticate(tenant, key, f"Bearer {_token(tenant, key)}")

    assert caller.may_open("Dispatch@Example.org")
    assert not caller.may_open("director@example.org")


async def test_consent_that_was_revoked_opens_mailboxes_until_the_token_ends(tenant: Tenant, key: SigningKey) -> None:
    token = _token(tenant, key)
    tenant.apps[0].roles = []

    assert (await _authenticate(tenant, key, f"Bearer {token}")).may_open("dispatch@example.org")


async def test_without_a_token_the_challenge_tells_where_to_get_one(tenant: Tenant, key: SigningKey) -> None:
    for authorization in (None, "", "Bearer", "Bearer ", "Basic dXNlcjpwYXNz"):
        headers = await _refusal(tenant, key, authorization)

        assert headers["WWW-Authenticate"].startswith('Bearer client_id="00000002-0000-0ff1-ce00-000000000000"')
        assert "trusted_issuers=" in headers["WWW-Authenticate"]
        assert "x-ms-diagnostics" not in headers


async def test_a_token_that_another_signed_is_refused(tenant: Tenant, key: SigningKey, tmp_path: Path) -> None:
    stranger = ensure_signing_key(tmp_path / "signing.json")

    headers = await _refusal(tenant, key, f"Bearer {_token(tenant, stranger)}")

    assert headers["x-ms-diagnostics"] == (
        '2000000;reason="The token has an invalid signature.";error_category="invalid_signature"'
    )
    assert headers["WWW-Authenticate"].endswith('error="invalid_token"')


async def test_a_token_without_signature_is_refused(tenant: Tenant, key: SigningKey) -> None:
    claims = jwt.decode(_token(tenant, key), options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")

    assert (await _refusal(tenant, key, f"Bearer {unsigned}"))["x-ms-diagnostics"].startswith("2000001;")


async def test_what_is_no_token_is_refused(tenant: Tenant, key: SigningKey) -> None:
    for text in ("garbage", "a.b.c", "é", "x" * 9000):
        assert (await _refusal(tenant, key, f"Bearer {text}"))["x-ms-diagnostics"].startswith("2000001;")


async def test_a_token_for_another_resource_is_refused(tenant: Tenant, key: SigningKey) -> None:
    headers = await _refusal(tenant, key, f"Bearer {_token(tenant, key, resource='https://graph.microsoft.com')}")

    assert headers["x-ms-diagnostics"] == (
        "2000003;reason=\"The audience claim value is invalid 'https://graph.microsoft.com'.\";"
        'error_category="invalid_resource"'
    )


async def test_a_token_of_another_tenant_is_refused(tenant: Tenant, key: SigningKey) -> None:
    foreign = _changed(_token(tenant, key), key, iss="https://sts.windows.net/other/", tid="other")

    assert (await _refusal(tenant, key, f"Bearer {foreign}"))["x-ms-diagnostics"].startswith("2000004;")


@pytest.mark.parametrize("at", [_NOW - 3599, _NOW - 100_000, _NOW + 60])
async def test_a_token_past_or_before_its_time_is_refused(tenant: Tenant, key: SigningKey, at: int) -> None:
    headers = await _refusal(tenant, key, f"Bearer {_token(tenant, key, at=at)}")

    assert 'error_category="token_expired"' in headers["x-ms-diagnostics"]


async def test_a_token_is_good_to_its_last_second(tenant: Tenant, key: SigningKey) -> None:
    assert await _authenticate(tenant, key, f"Bearer {_token(tenant, key, at=_NOW - 3598)}")


async def test_expired_tokens_are_refused_and_new_ones_of_the_same_second_are_not(
    tenant: Tenant, key: SigningKey
) -> None:
    old = _token(tenant, key)
    tenant.token_generation += 1

    assert 'error_category="token_expired"' in (await _refusal(tenant, key, f"Bearer {old}"))["x-ms-diagnostics"]
    assert await _authenticate(tenant, key, f"Bearer {_token(tenant, key)}")


async def test_an_app_without_consent_and_without_assignment_is_refused(tenant: Tenant, key: SigningKey) -> None:
    tenant.apps[0].roles = []

    assert (await _refusal(tenant, key, f"Bearer {_token(tenant, key)}"))["x-ms-diagnostics"].startswith("2000008;")


async def test_a_users_token_opens_the_users_mailbox_and_names_the_app(tenant: Tenant, key: SigningKey) -> None:
    tenant.add_users(["crew@example.org"])
    token = _changed(_token(tenant, key), key, scp="EWS.AccessAsUser.All Mail.Send", upn="Crew@example.org")

    caller = await _authenticate(tenant, key, f"Bearer {token}")

    assert (caller.mailbox, caller.must_impersonate) == ("crew@example.org", False)
    assert caller.app is tenant.apps[0]
    assert not caller.may_open("dispatch@example.org")
    assert not caller.may_impersonate("dispatch@example.org")


async def test_a_token_of_a_user_who_is_gone_is_refused(tenant: Tenant, key: SigningKey) -> None:
    token = _changed(_token(tenant, key), key, scp="EWS.AccessAsUser.All", upn="nobody@example.org")

    assert (await _refusal(tenant, key, f"Bearer {token}"))["x-ms-diagnostics"] == (
        '2000005;reason="The user specified by the user-context in the token does not exist.";'
        'error_category="invalid_user"'
    )


@pytest.mark.parametrize("claims", [{"scp": "Mail.Read"}, {"scp": "ews.accessasuser.all"}, {"roles": ["Mail.Read"]}])
async def test_a_token_for_something_else_is_forbidden(tenant: Tenant, key: SigningKey, claims: dict[str, Any]) -> None:
    token = _changed(_token(tenant, key), key, **claims)

    with pytest.raises(RefusedError) as refused:
        await _authenticate(tenant, key, f"Bearer {token}")

    assert (refused.value.status, [name for name, _ in refused.value.headers]) == (403, ["x-ms-diagnostics"])


async def test_a_claim_cannot_break_out_of_the_header(tenant: Tenant, key: SigningKey) -> None:
    hostile = _changed(_token(tenant, key), key, aud='x"\r\nSet-Cookie: a=b\r\n')

    diagnostics = (await _refusal(tenant, key, f"Bearer {hostile}"))["x-ms-diagnostics"]

    assert "\r" not in diagnostics
    assert "\n" not in diagnostics
    assert diagnostics.count('"') == 4


async def test_a_remembered_token_is_still_judged_at_each_call(tenant: Tenant, key: SigningKey) -> None:
    now = float(_NOW)
    authenticate = BearerAuthenticator(tenant, key, lambda: now)
    request = make_mocked_request("POST", "/", headers={"Authorization": f"Bearer {_token(tenant, key)}"})
    await authenticate(request)
    now += 3600

    with pytest.raises(RefusedError):
        await authenticate(request)
