"""What answers say in their HTTP headers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import requests

from bridge.sandbox.ews.frontend import FrontEnd, new_cookie
from tests.unit.sandbox.ews.conftest import ADDRESS

if TYPE_CHECKING:
    from tests.unit.sandbox.ews.conftest import Ews

_BROKEN = b"<broken"


def _post(ews: Ews, **headers: str) -> requests.Response:
    given = {"Content-Type": "text/xml", **headers}
    return requests.post(ews.url, data=_BROKEN, headers=given, auth=(ADDRESS, "x"), timeout=30)


def test_an_answer_says_through_which_servers_it_went(ews: Ews) -> None:
    said = _post(ews).headers

    assert said["Content-Type"] == "text/xml; charset=utf-8"
    assert said["Cache-Control"] == "private"
    assert said["Transfer-Encoding"] == "chunked"
    assert said["Server"] == "Microsoft-IIS/10.0"
    assert said["X-BackEndHttpStatus"] == "500,500"
    assert {"request-id", "MS-CV", "X-BeSku", "x-EwsHandler", "X-AspNet-Version", "X-Powered-By"} <= set(said)


def test_a_client_gets_a_cookie_once(ews: Ews) -> None:
    first = _post(ews).headers["Set-Cookie"]

    again = _post(ews, Cookie=first.partition(";")[0])

    assert first.startswith("exchangecookie=")
    assert first.endswith("path=/; HttpOnly")
    assert "Set-Cookie" not in again.headers


@pytest.mark.parametrize("given", ["", "other=1", "\x01;;=", "exchangecookies=1"])
def test_cookies_of_others_do_not_stand_for_it(given: str) -> None:
    assert new_cookie(given) is not None


def test_an_exchange_of_ones_own_says_nothing_of_front_ends_of_exchange_online() -> None:
    own, online = FrontEnd(on_premises=True).headers("GetItem", 200, None), FrontEnd().headers("GetItem", 200, "app")

    assert set(own) < set(online)
    assert "X-NanoProxy" not in own
    assert online["x-ms-appId"] == "app"


def test_who_is_let_in_by_nobody_learns_of_the_web_server_alone(ews: Ews) -> None:
    refused = requests.post(ews.url, data=_BROKEN, timeout=30)

    assert refused.status_code == 401
    assert refused.headers["Server"] == "Microsoft-IIS/10.0"
    assert "Set-Cookie" not in refused.headers
    assert FrontEnd(on_premises=True).refusal()["Content-Type"] == "text/html"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "", {}, 200),
        ("POST", "/elsewhere", {}, 404),
        ("POST", "", {"Content-Type": "application/json"}, 415),
        ("POST", "", {"Content-Type": "text/xml; charset=utf-8"}, 500),
    ],
)
def test_no_answer_says_what_the_sandbox_is_made_of(
    ews: Ews, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    answer = requests.request(
        method, ews.url + path, data=_BROKEN, headers=headers, auth=("dispatch@example.org", "x"), timeout=30
    )

    assert (answer.status_code, answer.headers["Server"]) == (status, "Microsoft-IIS/10.0")
