"""What a token says is read without trust: whatever it holds, nothing breaks and nothing strange is printed."""

from __future__ import annotations

import base64
import json
import time

import pytest

from bridge.adapters.entra.claims import read_claims
from bridge.config import Settings
from bridge.doctor.claims import about_claims

TENANT, CLIENT = "11111111-2222-3333-4444-555555555555", "99999999-2222-3333-4444-555555555555"


def token(claims: object) -> str:
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


def good(**changes: object) -> dict[str, object]:
    return {"aud": "https://outlook.office365.com", "tid": TENANT, "exp": time.time() + 3600, "iat": 1, **changes}


def settings(**mailbox: object) -> Settings:
    return Settings.model_validate(
        {
            "entra": {"tenant_id": TENANT, "client_id": CLIENT, "client_secret": "x~y"},
            "mailboxes": [{"alias": "dispatch", "address": "dispatch@example.org", **mailbox}],
            "rabbitmq": {"urls": ["amqp://u:p@broker/"]},
        }
    )


def codes(claims: dict[str, object], **mailbox: object) -> dict[str, str]:
    """Return what is not as it must be: codes, with what came back."""
    configured = settings(**mailbox)
    app = configured.apps_in_use["default"]
    found = about_claims("entra default, token", token(claims), app, configured, ["dispatch"])
    return {one.code: one.got for one in found if one.state != "ok"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "opaque",
        "a.b",
        "a.b.c.d",
        "a.!.c",
        f"e30.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c",
        f"e30.{base64.urlsafe_b64encode(b'[' * 50_000).decode()}.c",
        token([]),
        token("text"),
        token({}),
        token({"aud": "x"}),
        token({"aud": "x", "exp": "soon"}),
        token({"aud": "x", "exp": {}}),
        "e30." + "A" * 200_000 + ".c",
    ],
)
def test_what_is_no_token_that_can_be_read_is_none(text: str) -> None:
    assert read_claims(text) is None


def test_roles_that_are_no_list_are_none() -> None:
    claims = read_claims(token(good(roles="full_access_as_app")))

    assert claims is not None
    assert claims.roles == []


def test_a_token_of_the_scoped_design_is_as_it_must_be() -> None:
    assert codes(good()) == {}
    assert codes(good(aud="00000002-0000-0ff1-ce00-000000000000")) == {}


def test_a_token_for_something_else_is_told() -> None:
    assert codes(good(aud="https://graph.microsoft.com")) == {"token_audience_wrong": "for https://graph.microsoft.com"}


def test_a_token_of_another_tenant_is_told() -> None:
    assert list(codes(good(tid=CLIENT))) == ["token_tenant_wrong"]


def test_a_token_that_has_ended_by_this_clock_is_told() -> None:
    assert list(codes(good(exp=time.time() - 60))) == ["clock_skew"]


def test_consent_to_every_mailbox_is_told_unless_a_bound_is_to_be_proved() -> None:
    everything = good(roles=["full_access_as_app"])

    assert codes(everything) == {"access_unlimited": "full_access_as_app"}
    assert codes(everything, must_not_reach=["ceo@example.org"]) == {}


def test_nothing_that_could_steer_a_terminal_is_printed() -> None:
    told = codes(good(aud="x\x1b[2J\r\nfine" + "y" * 5000))

    assert told == {"token_audience_wrong": ("for x[2Jfine" + "y" * 5000)[:104]}
