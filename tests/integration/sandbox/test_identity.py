"""Which apps may call EWS and open what, over real HTTPS; and each refusal."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.callers import (
    CHIEF,
    CREW,
    DISPATCH,
    EXCHANGE,
    app_token,
    ask_for_token,
    call,
    codes,
    get_folder,
    new_app,
    user_tokens,
)
from tests.support.sandbox import AdminRefusedError, SandboxProcess

if TYPE_CHECKING:
    from pathlib import Path

    import requests


def _diagnosed(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.headers.get("x-ms-diagnostics", "")


# 401 and 403: what proves nothing, and what proves too little.


def test_without_a_token_the_challenge_says_where_to_get_one(sandbox: SandboxProcess) -> None:
    answer = call(sandbox, get_folder())

    assert answer.status_code == 401
    challenge = answer.headers["WWW-Authenticate"]
    assert challenge.startswith('Bearer client_id="00000002-0000-0ff1-ce00-000000000000", trusted_issuers=')
    assert "authorization_uri=" in challenge
    assert "x-ms-diagnostics" not in answer.headers


@pytest.mark.parametrize(
    ("token", "number", "category"),
    [("garbage", "2000001", "invalid_token"), ("e30.e30.e30", "2000001", "invalid_token")],
)
def test_what_is_no_token_is_refused(sandbox: SandboxProcess, token: str, number: str, category: str) -> None:
    status, said = _diagnosed(call(sandbox, get_folder(), token=token))

    assert status == 401
    assert said.startswith(f"{number};")
    assert said.endswith(f'error_category="{category}"')


def test_a_token_with_a_forged_signature_is_refused(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    claims = jwt.decode(app_token(sandbox, main), options={"verify_signature": False})
    forged = jwt.encode(claims, rsa.generate_private_key(public_exponent=65537, key_size=2048), algorithm="RS256")

    answer = call(sandbox, get_folder(), token=forged, impersonate=DISPATCH)

    assert _diagnosed(answer) == (
        401, '2000000;reason="The token has an invalid signature.";error_category="invalid_signature"',
    )  # fmt: skip
    assert answer.headers["WWW-Authenticate"].endswith('error="invalid_token"')


def test_a_token_for_another_audience_is_refused(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    token = app_token(sandbox, main, "https://graph.microsoft.com")

    status, said = _diagnosed(call(sandbox, get_folder(), token=token, impersonate=DISPATCH))

    assert status == 401
    assert said.startswith("2000003;reason=\"The audience claim value is invalid 'https://graph.microsoft.com'.\"")


def test_a_token_that_has_expired_is_refused(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    token = app_token(sandbox, main)
    sandbox.admin("/expire", method="POST", body={"what": "tokens"})

    status, said = _diagnosed(call(sandbox, get_folder(), token=token, impersonate=DISPATCH))

    assert status == 401
    assert 'error_category="token_expired"' in said


def test_a_token_of_an_app_that_was_taken_away_is_refused(sandbox: SandboxProcess) -> None:
    app = new_app(sandbox, roles=["full_access_as_app"])
    token = app_token(sandbox, app)
    assert call(sandbox, get_folder(), token=token, impersonate=CREW).status_code == 200
    sandbox.admin(f"/apps/{app['client_id']}", method="DELETE")

    status, said = _diagnosed(call(sandbox, get_folder(), token=token, impersonate=CREW))

    assert (status, said[:8]) == (401, "2000008;")
    refused = ask_for_token(sandbox, grant_type="client_credentials", client_id=app["client_id"],
                            client_secret=app["client_secret"], scope=f"{EXCHANGE}/.default")  # fmt: skip
    assert refused.json()["error_codes"] == [700016]


def test_a_token_without_any_role_is_refused(sandbox: SandboxProcess) -> None:
    status, said = _diagnosed(call(sandbox, get_folder(), token=app_token(sandbox, new_app(sandbox)), impersonate=CREW))

    assert (status, said[:8]) == (401, "2000008;")
    assert "The token should have valid permissions" in said


def test_a_token_with_other_roles_is_forbidden(sandbox: SandboxProcess) -> None:
    token = app_token(sandbox, new_app(sandbox, roles=["Mail.Read", "Mail.Send"]))

    answer = call(sandbox, get_folder(), token=token, impersonate=CREW)

    assert _diagnosed(answer) == (
        403,
        '2000008;reason="The token contains not enough scope to make this call.";error_category="invalid_grant"',
    )
    assert "X-EWS-Policy-Reason" not in answer.headers
    assert answer.content == b""


def test_a_users_token_without_the_ews_scope_is_forbidden(sandbox: SandboxProcess) -> None:
    app = new_app(sandbox, scopes=["IMAP.AccessAsUser.All"])
    token = user_tokens(sandbox, app, CREW, f"{EXCHANGE}/IMAP.AccessAsUser.All")["access_token"]

    status, said = _diagnosed(call(sandbox, get_folder(), token=token))

    assert (status, said[:8]) == (403, "2000008;")


# Apps beside each other.


def test_each_app_opens_its_own_mailboxes_with_its_own_secret(sandbox: SandboxProcess) -> None:
    one, other = new_app(sandbox, mailboxes=[DISPATCH]), new_app(sandbox, mailboxes=[CREW])

    found = {
        (name, address): codes(call(sandbox, get_folder(), token=app_token(sandbox, app), impersonate=address))
        for name, app in (("one", one), ("other", other))
        for address in (DISPATCH, CREW, CHIEF)
    }

    opened = {pair for pair, found_codes in found.items() if found_codes == ["NoError"]}
    assert opened == {("one", DISPATCH), ("other", CREW)}
    assert {tuple(found[pair]) for pair in found.keys() - opened} == {("ErrorImpersonateUserDenied",)}
    crossed = ask_for_token(sandbox, grant_type="client_credentials", client_id=one["client_id"],
                            client_secret=other["client_secret"], scope=f"{EXCHANGE}/.default")  # fmt: skip
    assert (crossed.status_code, crossed.json()["error_codes"]) == (401, [7000215])


def test_a_secret_expires_for_its_app_alone_and_another_can_be_made(sandbox: SandboxProcess) -> None:
    one, other = new_app(sandbox, mailboxes=[CREW]), new_app(sandbox, mailboxes=[CREW])
    listed = next(app for app in sandbox.admin("/apps") if app["client_id"] == one["client_id"])
    secrets = f"/apps/{one['client_id']}/secrets"
    sandbox.admin(f"{secrets}/{listed['secrets'][0]['secret_id']}", method="DELETE")
    form = {"grant_type": "client_credentials", "client_id": one["client_id"], "scope": f"{EXCHANGE}/.default"}

    expired = ask_for_token(sandbox, client_secret=one["client_secret"], **form)
    fresh = sandbox.admin(secrets, method="POST")["client_secret"]

    assert expired.json()["error_codes"] == [7000222]
    assert ask_for_token(sandbox, client_secret=fresh, **form).status_code == 200
    assert app_token(sandbox, other)


def test_apps_users_and_grants_survive_a_kill(tmp_path: Path) -> None:
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[DISPATCH, CREW]) as sandbox:
        app = new_app(sandbox, mailboxes=[DISPATCH], scopes=["Mail.Read"], public_client=True)
        sandbox.admin(f"/users/{CREW}", method="PUT", body={"impersonates": ["*@example.org"], "enabled": False})
        grants = {"full_access": [CREW], "folders": {"inbox": {CREW: "Reviewer"}}}
        sandbox.admin(f"/mailboxes/{DISPATCH}/grants", method="PUT", body=grants)
        before = [sandbox.admin(path) for path in ("/apps", "/users", f"/mailboxes/{DISPATCH}/grants")]
        sandbox.restart()

        after = [sandbox.admin(path) for path in ("/apps", "/users", f"/mailboxes/{DISPATCH}/grants")]

        assert after == before
        assert app["client_id"] in json.dumps(after)
        assert after[2] == {"send_as": [], "send_on_behalf": [], **grants}


def test_the_app_of_sandbox_json_stays(sandbox: SandboxProcess, main: dict[str, Any]) -> None:
    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin(f"/apps/{main['client_id']}", method="DELETE")
    assert refused.value.status == 400


# An app names a mailbox, or is refused by a fault.


@pytest.mark.parametrize(
    ("how", "code", "said"),
    [
        ({}, "ErrorInvalidExchangeImpersonationHeaderData", "ExchangeImpersonation SOAP header must be present"),
        ({"anchor": DISPATCH}, "ErrorInvalidExchangeImpersonationHeaderData", "ExchangeImpersonation SOAP header"),
        (
            {"impersonate": DISPATCH, "anchor": ""},
            "ErrorInvalidExchangeImpersonationHeaderData",
            "X-AnchorMailbox HTTP header must be present",
        ),
        (
            {"impersonate": "nobody@example.org"},
            "ErrorNonExistentMailbox",
            "The SMTP address has no mailbox associated with it.",
        ),
        (
            {"impersonate": "S-1-5-21-1-2-3-4", "by": "SID"},
            "ErrorNonExistentMailbox",
            "The SMTP address has no mailbox associated with it.",
        ),
    ],
    ids=["no impersonation", "an anchor alone", "no anchor", "an address of nobody", "a SID of nobody"],
)
def test_an_app_that_names_no_mailbox_gets_a_fault(
    sandbox: SandboxProcess, main: dict[str, Any], how: dict[str, str], code: str, said: str
) -> None:
    answer = call(sandbox, get_folder(), token=app_token(sandbox, main), **how)  # type: ignore[arg-type]

    assert answer.status_code == 500
    assert codes(answer) == [code]
    assert f"a:{code}</faultcode>" in answer.text
    assert said in answer.text


@pytest.mark.parametrize("by", ["SmtpAddress", "PrimarySmtpAddress", "PrincipalName"])
def test_a_mailbox_is_named_in_any_form(sandbox: SandboxProcess, main: dict[str, Any], by: str) -> None:
    answer = call(sandbox, get_folder(), token=app_token(sandbox, main), impersonate=CREW.title(), by=by)

    assert codes(answer) == ["NoError"]


def test_faults_of_impersonation_that_do_not_come_up_here_come_by_rule(
    sandbox: SandboxProcess, main: dict[str, Any]
) -> None:
    token = app_token(sandbox, main)
    for code in ("ErrorImpersonationDenied", "ErrorImpersonationFailed"):
        sandbox.faults({"match": {"operation": "GetFolder"}, "fault": {"kind": "soap_fault", "code": code}})
        try:
            answer = call(sandbox, get_folder(), token=token, impersonate=CREW)
        finally:
            sandbox.faults()
        assert (answer.status_code, codes(answer)) == (500, [code])


@pytest.mark.parametrize(
    "body",
    [{"roles": "x"}, {"scopes": ["two words"]}, {"scopes": [""]}, {"mailboxes": [1]}, {"public_client": 1},
     {"name": "a\nb"}, {"client_id": "x"}, []],
)  # fmt: skip
def test_an_app_that_makes_no_sense_is_not_made(sandbox: SandboxProcess, body: object) -> None:
    before = sandbox.admin("/apps")

    with pytest.raises(AdminRefusedError) as refused:
        sandbox.admin("/apps", method="POST", body=body)

    assert refused.value.status == 400
    assert sandbox.admin("/apps") == before
