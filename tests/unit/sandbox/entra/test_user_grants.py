"""What a refresh token is worth as time goes by, and what a user's token says."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jwt
import pytest

from bridge.sandbox.entra.delegated import UserGrants, object_id, realm
from bridge.sandbox.entra.errors import EntraError
from bridge.sandbox.entra.keys import SigningKey, ensure_signing_key
from bridge.sandbox.tenant import Tenant, new_app, new_tenant

if TYPE_CHECKING:
    from bridge.sandbox.entra.delegated import Delegated

_CREW = "crew@example.org"
_AS_USER = "https://outlook.office365.com/EWS.AccessAsUser.All"
_NOW = 1_800_000_000.0
_DAY = 86_400


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> SigningKey:
    return ensure_signing_key(tmp_path_factory.mktemp("keys") / "signing.json")


@pytest.fixture
def tenant() -> Tenant:
    tenant = new_tenant()
    tenant.add_users([_CREW])
    return tenant


@pytest.fixture
def grants(tenant: Tenant, key: SigningKey) -> UserGrants:
    return UserGrants(tenant, key, "https://entra.example")


def _by_password(grants: UserGrants, scope: str = f"{_AS_USER} offline_access", now: float = _NOW) -> Delegated:
    user = grants.tenant.users[0]
    form = {"grant_type": "password", "username": user.address, "password": user.password, "scope": scope}
    return grants.grant(grants.tenant.apps[0], form, context_class="1", now=now)


def _refresh(grants: UserGrants, token: str, now: float, scope: str = "") -> Delegated:
    form = {"grant_type": "refresh_token", "refresh_token": token, **({"scope": scope} if scope else {})}
    return grants.grant(grants.tenant.apps[0], form, context_class="1", now=now)


def _code(grants: UserGrants, token: str, now: float) -> int:
    with pytest.raises(EntraError) as refused:
        _refresh(grants, token, now)
    return refused.value.meaning.code


def test_a_refresh_token_lives_for_ninety_days_and_each_use_brings_a_new_one(grants: UserGrants) -> None:
    first = _by_password(grants).answer["refresh_token"]

    second = _refresh(grants, first, _NOW + 89 * _DAY).answer["refresh_token"]

    assert _refresh(grants, first, _NOW + 90 * _DAY - 1).answer["access_token"]
    assert _code(grants, first, _NOW + 90 * _DAY) == 700082
    assert _refresh(grants, second, _NOW + 178 * _DAY).answer["access_token"]


def test_no_refresh_token_comes_unasked(grants: UserGrants) -> None:
    answer = _by_password(grants, _AS_USER).answer

    assert answer.keys() >= {"access_token", "expires_in", "scope"}
    assert not answer.keys() & {"refresh_token", "id_token", "client_info"}


def test_a_refresh_token_that_another_signed_is_refused(
    grants: UserGrants, tmp_path_factory: pytest.TempPathFactory
) -> None:
    stranger = ensure_signing_key(tmp_path_factory.mktemp("stranger") / "signing.json")
    forged = _by_password(UserGrants(grants.tenant, stranger, "https://entra.example")).answer["refresh_token"]

    assert _code(grants, forged, _NOW) == 9002313


def test_a_refresh_token_of_a_user_who_is_gone_is_refused(grants: UserGrants) -> None:
    token = _by_password(grants).answer["refresh_token"]
    grants.tenant.users.clear()

    assert _code(grants, token, _NOW) == 9002313


def test_the_default_scope_is_all_that_was_consented_to(grants: UserGrants) -> None:
    grants.tenant.apps[0].scopes = ["EWS.AccessAsUser.All", "Mail.Send"]

    token = _by_password(grants, "https://outlook.office365.com/.default")

    claims = jwt.decode(token.answer["access_token"], options={"verify_signature": False})
    assert claims["scp"] == "EWS.AccessAsUser.All Mail.Send"
    assert token.scopes == ("EWS.AccessAsUser.All", "Mail.Send")


def test_a_user_is_another_subject_to_each_app_and_the_same_person(grants: UserGrants) -> None:
    other = new_app("other", [])
    user = grants.tenant.users[0]
    form = {"grant_type": "password", "username": _CREW.upper(), "password": user.password, "scope": _AS_USER}

    one, two = (
        jwt.decode(
            grants.grant(app, form, context_class="1", now=_NOW).answer["access_token"],
            options={"verify_signature": False},
        )
        for app in (grants.tenant.apps[0], other)
    )

    assert one["sub"] != two["sub"]
    assert one["oid"] == two["oid"] == object_id(grants.tenant, user)


def test_the_realm_is_this_tenant_or_unknown(tenant: Tenant) -> None:
    assert realm(tenant, "Anybody@Example.org")["account_type"] == "Managed"
    assert realm(tenant, "x@elsewhere.example")["account_type"] == "Unknown"
