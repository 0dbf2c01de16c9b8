"""Tokens that Entra gives for users, over real HTTPS: by password, anew, and not; as MSAL asks for them, too."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import jwt
import msal
import pytest

from tests.support.callers import (
    AS_USER,
    CHIEF,
    CREW,
    EXCHANGE,
    ask_for_token,
    call,
    codes,
    get_folder,
    new_app,
    password_of,
    session,
    user_tokens,
)
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    import requests


def _form(sandbox: SandboxProcess, app: dict[str, Any], **changes: str | None) -> dict[str, str]:
    form: dict[str, str | None] = {
        "grant_type": "password",
        "client_id": app["client_id"],
        "client_secret": app["client_secret"],
        "username": CREW,
        "password": password_of(sandbox, CREW),
        "scope": AS_USER,
        **changes,
    }
    return {name: value for name, value in form.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"password": "wrong"}, (400, "invalid_grant", 50126)),
        ({"username": "nobody@example.org"}, (400, "invalid_grant", 50034)),
        ({"client_secret": None}, (401, "invalid_client", 7000218)),
        ({"client_secret": "wrong"}, (401, "invalid_client", 7000215)),
        ({"client_id": "11111111-1111-1111-1111-111111111111"}, (400, "unauthorized_client", 700016)),
        ({"scope": f"{EXCHANGE}/Mail.Read"}, (400, "invalid_grant", 65001)),
        ({"scope": f"{EXCHANGE}/Teapot.Read"}, (400, "invalid_client", 650053)),
        ({"scope": "https://unknown.example/Mail.Read"}, (400, "invalid_resource", 500011)),
        ({"scope": f"{AS_USER} https://graph.microsoft.com/User.Read"}, (400, "invalid_request", 28000)),
        ({"scope": "openid"}, (400, "invalid_scope", 70011)),
        ({"scope": None}, (400, "invalid_request", 900144)),
        ({"username": None}, (400, "invalid_request", 900144)),
        ({"grant_type": "refresh_token"}, (400, "invalid_request", 900144)),
        ({"grant_type": "refresh_token", "refresh_token": "garbage"}, (400, "invalid_grant", 9002313)),
    ],
)
def test_a_request_for_a_users_token_is_refused_with_its_code(
    sandbox: SandboxProcess, main: dict[str, Any], changes: dict[str, str | None], refusal: tuple[int, str, int]
) -> None:
    answer = ask_for_token(sandbox, **_form(sandbox, main, **changes))

    body = answer.json()
    assert (answer.status_code, body["error"], *body["error_codes"]) == refusal
    assert body["error_description"].startswith(f"AADSTS{refusal[2]}: ")
    assert password_of(sandbox, CREW) not in answer.text


def test_passwords_are_not_for_the_endpoint_of_everybody(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    base = sandbox.info["authority_url"].rpartition("/")[0]

    answer = session(sandbox).post(f"{base}/common/oauth2/v2.0/token", data=_form(sandbox, main), timeout=30)

    assert answer.json()["error_codes"] == [9001023]


def test_a_refresh_token_is_no_access_token_and_the_other_way_round(
    sandbox: SandboxProcess, main: dict[str, Any]
) -> None:
    tokens = user_tokens(sandbox, main, CREW)
    form = _form(sandbox, main, grant_type="refresh_token", refresh_token=tokens["access_token"])

    assert call(sandbox, get_folder(), token=tokens["refresh_token"]).status_code == 401
    assert call(sandbox, get_folder(), token=tokens["id_token"]).status_code == 401
    assert ask_for_token(sandbox, **form).json()["error_codes"] == [9002313]


def test_a_refresh_token_is_the_app_s_that_got_it(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    refresh = user_tokens(sandbox, main, CREW)["refresh_token"]
    other = new_app(sandbox)

    stolen = ask_for_token(sandbox, **_form(sandbox, other, grant_type="refresh_token", refresh_token=refresh))
    own = ask_for_token(sandbox, **_form(sandbox, main, grant_type="refresh_token", refresh_token=refresh, scope=None))

    assert stolen.json()["error_codes"] == [9002313]
    assert own.status_code == 200
    assert call(sandbox, get_folder(), token=own.json()["access_token"]).status_code == 200
    assert own.json()["refresh_token"]


def test_a_new_password_ends_refresh_tokens_and_the_old_password(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    tokens = user_tokens(sandbox, main, CHIEF)
    form = _form(sandbox, main, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert ask_for_token(sandbox, **form).status_code == 200
    old = password_of(sandbox, CHIEF)
    sandbox.admin(f"/users/{CHIEF}", method="PUT", body={"password": "Föhn wind 7"})
    try:
        ended = ask_for_token(sandbox, **form).json()
        refused = ask_for_token(sandbox, **_form(sandbox, main, username=CHIEF, password=old)).json()
        taken = ask_for_token(sandbox, **_form(sandbox, main, username=CHIEF, password="Föhn wind 7"))
    finally:
        sandbox.admin(f"/users/{CHIEF}", method="PUT", body={"password": old})

    assert (ended["error_codes"], ended["suberror"]) == ([50173], "bad_token")
    assert refused["error_codes"] == [50126]
    assert taken.status_code == 200


def test_refresh_tokens_can_be_revoked_and_users_switched_off(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    tokens = user_tokens(sandbox, main, CHIEF)
    form = _form(sandbox, main, grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    sandbox.admin(f"/users/{CHIEF}", method="PUT", body={"enabled": False})
    try:
        switched_off = [
            ask_for_token(sandbox, **one).json()["error_codes"]
            for one in (form, _form(sandbox, main, username=CHIEF, password=password_of(sandbox, CHIEF)))
        ]
    finally:
        sandbox.admin(f"/users/{CHIEF}", method="PUT", body={"enabled": True})
    assert ask_for_token(sandbox, **form).status_code == 200
    sandbox.admin(f"/users/{CHIEF}/revoke", method="POST")

    assert switched_off == [[50057], [50057]]
    assert ask_for_token(sandbox, **form).json()["error_codes"] == [50173]


def test_tokens_of_users_are_listed_without_the_tokens(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    tokens = user_tokens(sandbox, main, CREW)

    listed = sandbox.admin_bytes("/tokens?limit=1").decode()

    (latest,) = json.loads(listed)
    assert (latest["user"], latest["scopes"], latest["roles"]) == (CREW, ["EWS.AccessAsUser.All"], [])
    assert tokens["access_token"].rpartition(".")[2] not in listed


def test_a_client_info_names_the_user_and_the_tenant(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    answer = ask_for_token(sandbox, **_form(sandbox, main, client_info="1", scope=f"{AS_USER} openid")).json()

    told = json.loads(base64.urlsafe_b64decode(answer["client_info"] + "=="))
    claims = jwt.decode(answer["id_token"], options={"verify_signature": False})
    assert told == {"uid": claims["oid"], "utid": sandbox.info["tenant_id"]}
    assert (claims["aud"], claims["preferred_username"]) == (main["client_id"], CREW)
    assert "refresh_token" not in answer


@pytest.mark.parametrize(
    ("name", "kind"), [(CREW, "Managed"), ("x@elsewhere.example", "Unknown"), ("no-address", "Unknown")]
)
def test_the_realm_of_a_user_is_told(sandbox: SandboxProcess, name: str, kind: str) -> None:
    base = sandbox.info["authority_url"].rpartition("/")[0]

    answer = session(sandbox).get(f"{base}/common/userrealm/{name}?api-version=1.0", timeout=30)

    assert answer.json()["account_type"] == kind


# MSAL as it is.


class _Http:
    """
    What MSAL wants of an HTTP client; the CA is the sandbox's.

    MSAL forgets the port of its authority when it asks for a user's realm: here it is put back.
    """

    def __init__(self, sandbox: SandboxProcess) -> None:
        self._session = session(sandbox)
        self._host = urlsplit(sandbox.info["authority_url"]).netloc

    def get(self, url: str, **options: Any) -> requests.Response:
        return self._session.get(urlsplit(url)._replace(netloc=self._host).geturl(), timeout=10, **options)

    def post(self, url: str, **options: Any) -> requests.Response:
        return self._session.post(url, timeout=10, **options)

    def close(self) -> None:
        self._session.close()


def _msal(sandbox: SandboxProcess, app: dict[str, Any], **options: Any) -> dict[str, Any]:
    return {
        "client_id": app["client_id"],
        "authority": sandbox.info["authority_url"],
        "instance_discovery": False,
        "http_client": _Http(sandbox),
        **options,
    }


def test_msal_signs_a_user_in_and_refreshes_in_silence(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    client = msal.ConfidentialClientApplication(
        **_msal(sandbox, main, client_credential=main["client_secret"]),
    )
    first = client.acquire_token_by_username_password(CREW, password_of(sandbox, CREW), [AS_USER])
    (account,) = client.get_accounts(CREW)

    cached = client.acquire_token_silent([AS_USER], account)
    fresh = client.acquire_token_silent([AS_USER], account, force_refresh=True)

    assert cached is not None
    assert fresh is not None
    assert cached["access_token"] == first["access_token"]
    assert fresh["access_token"] != first["access_token"]
    assert codes(call(sandbox, get_folder(), token=fresh["access_token"])) == ["NoError"]


def test_msal_s_public_client_needs_an_app_that_allows_it(sandbox: SandboxProcess) -> None:
    closed, opened = new_app(sandbox), new_app(sandbox, public_client=True)
    password = password_of(sandbox, CREW)

    found = []
    for app in (closed, opened):
        client = msal.PublicClientApplication(**_msal(sandbox, app))
        with pytest.warns(DeprecationWarning, match="deprecated"):
            found.append(client.acquire_token_by_username_password(CREW, password, [AS_USER]))

    assert found[0]["error_codes"] == [7000218]
    assert jwt.decode(found[1]["access_token"], options={"verify_signature": False})["appidacr"] == "0"


def test_msal_hands_a_wrong_password_on(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    client = msal.ConfidentialClientApplication(**_msal(sandbox, main, client_credential=main["client_secret"]))

    answer = client.acquire_token_by_username_password(CREW, "wrong", [AS_USER])

    assert (answer["error"], answer["error_codes"]) == ("invalid_grant", [50126])
