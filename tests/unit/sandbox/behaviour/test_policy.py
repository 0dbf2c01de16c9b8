"""Who may use EWS at all, where mailboxes lie, and how many calls run at once."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.sandbox.ews.behaviour import BehaviourSettings
from bridge.sandbox.ews.behaviour.backends import back_end, headers, led_to
from bridge.sandbox.ews.behaviour.connections import Connections
from bridge.sandbox.ews.behaviour.policy import BLOCKED, DISABLED, refusal

_DISPATCH = "dispatch@example.org"
_BLOCK: dict[str, Any] = {"user_agent_policy": "EnforceBlockList", "user_agents": ["python-requests/*"]}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({}, None),
        ({"ews_enabled": False}, DISABLED),
        ({"mailboxes": {_DISPATCH: {"ews_enabled": False}}}, DISABLED),
        ({"mailboxes": {"crew@example.org": {"ews_enabled": False}}}, None),
        ({"ews_enabled": False, "mailboxes": {_DISPATCH: {"ews_enabled": True}}}, DISABLED),
        ({"allowed_app_ids": []}, BLOCKED),
        ({"allowed_app_ids": ["other"]}, BLOCKED),
        ({"allowed_app_ids": ["other", "The-App"]}, None),
        (_BLOCK, BLOCKED),
        ({**_BLOCK, "user_agents": ["Outlook*"]}, None),
        ({"user_agent_policy": "EnforceAllowList", "user_agents": ["Outlook*"]}, BLOCKED),
        ({"user_agent_policy": "EnforceAllowList", "user_agents": ["*REQUESTS*"]}, None),
        ({"user_agents": ["*"]}, None),
    ],
)
def test_all_must_allow_a_request(settings: dict[str, Any], reason: str | None) -> None:
    book = BehaviourSettings()
    book.put(settings)

    assert refusal(book, app_id="the-app", user_agent="python-requests/2.34", mailbox=_DISPATCH) == reason


def test_an_app_list_does_not_concern_users() -> None:
    book = BehaviourSettings()
    book.put({"allowed_app_ids": []})

    assert refusal(book, app_id=None, user_agent="", mailbox=_DISPATCH) is None


def test_each_move_leads_to_another_back_end() -> None:
    book = BehaviourSettings()
    first = back_end(book, _DISPATCH)
    book.move(_DISPATCH, until=0)

    assert back_end(book, _DISPATCH) != first == back_end(BehaviourSettings(), "DISPATCH@example.org")


def test_the_cookie_is_given_to_those_who_want_it_and_renewed_after_a_move() -> None:
    book = BehaviourSettings()
    assert "Set-Cookie" not in headers(book, _DISPATCH, {})
    given = headers(book, _DISPATCH, {"X-PreferServerAffinity": "true"})["Set-Cookie"].partition(";")[0]

    back = {"X-PreferServerAffinity": "true", "Cookie": given}
    assert "Set-Cookie" not in headers(book, _DISPATCH, back)
    book.move(_DISPATCH, until=0)
    renewed = headers(book, _DISPATCH, back)
    assert renewed["X-BEServer"] in renewed["Set-Cookie"]
    assert renewed["X-BEServer"] not in given


def test_a_request_is_led_by_its_cookie_else_by_its_anchor_else_by_its_mailbox() -> None:
    book = BehaviourSettings()
    book.put({"back_ends": 64})
    here, anchor = back_end(book, _DISPATCH), back_end(book, "crew@example.org")
    assert here != anchor

    assert led_to(book, None, {}) is None
    assert led_to(book, _DISPATCH, {}) == here
    assert led_to(book, _DISPATCH, {"X-AnchorMailbox": "crew@example.org"}) == anchor
    cookie = "X-BackEndOverrideCookie=SANDBOXBE33.backend.sandbox.localhost~1"
    assert led_to(book, _DISPATCH, {"X-AnchorMailbox": "crew@example.org", "Cookie": cookie}) == "SANDBOXBE33"


@pytest.mark.parametrize("cookie", ["X-BackEndOverrideCookie", "=", "X-BackEndOverrideCookie=~~", 'a="\x00', ";;;"])
def test_a_cookie_that_is_none_does_no_harm(cookie: str) -> None:
    assert headers(BehaviourSettings(), _DISPATCH, {"Cookie": cookie})["X-FEServer"]


def test_calls_of_one_app_in_one_mailbox_are_limited_and_others_are_not() -> None:
    connections = Connections()
    with connections.entered(("app", "a"), 1) as first, connections.entered(("app", "a"), 1) as second:
        assert (first, second) == (True, False)
        with connections.entered(("app", "b"), 1) as other, connections.entered(("app", "a"), None) as unlimited:
            assert (other, unlimited) == (True, True)
    with connections.entered(("app", "a"), 1) as again:
        assert again
