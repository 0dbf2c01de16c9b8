"""The management API is read, and whatever answers in its place is told as that."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.management import Override, RabbitManagement
from bridge.adapters.rabbitmq.settings import RabbitSettings
from bridge.errors import BrokerAccessRefused, BrokerUnavailable
from bridge.wire.topology import Binding

if TYPE_CHECKING:
    from collections.abc import Iterator

_QUEUES: dict[str, object] = {"/api/queues/a%2Fb": [], "/api/queues/a%2Fb?disable_stats=true": []}
_EXCHANGES: dict[str, object] = {"/api/exchanges/a%2Fb": [], "/api/exchanges/a%2Fb?disable_stats=true": []}


class Api:
    """A server with an answer for each path."""

    def __init__(self) -> None:
        self.answers: dict[str, object] = {}
        self.raw: tuple[int, bytes] | None = None
        self.logins: set[str] = set()
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                api.logins.add(self.headers.get("Authorization", ""))
                known = self.path in api.answers
                status, body = api.raw or (200 if known else 404, json.dumps(api.answers.get(self.path)).encode())
                self.send_response_only(status)
                self.send_header("Location", "/elsewhere")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        settings = RabbitSettings(urls=("amqp://us%40er:p%2Fss@127.0.0.1/a%2Fb",))
        self.client = RabbitManagement(settings, f"http://127.0.0.1:{self._server.server_address[1]}/")

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)


@pytest.fixture
def api() -> Iterator[Api]:
    made = Api()
    yield made
    made.close()


def test_the_login_is_that_of_the_url(api: Api) -> None:
    api.answers = {"/api/whoami": {"name": "us@er", "tags": ["management"]}}

    assert api.client.tags() == ["management"]
    assert api.logins == {"Basic " + base64.b64encode(b"us@er:p/ss").decode()}


@pytest.mark.parametrize(
    ("told", "tags"),
    [
        ({"tags": "administrator,monitoring"}, ["administrator", "monitoring"]),
        ({"tags": 5}, []),
        ({"tags": {}}, []),
        ({}, []),
        ([], []),
        (None, []),
    ],
)
def test_tags_come_in_several_forms(api: Api, told: object, tags: list[str]) -> None:
    api.answers = {"/api/whoami": told}

    assert api.client.tags() == tags


def test_a_policy_counts_by_what_it_sets_on_what_is_ours(api: Api) -> None:
    def queue(name: str, definition: object, **policy: str) -> dict[str, object]:
        return {"name": name, "effective_policy_definition": definition, **policy}

    with_statistics = [
        queue("ours", {"max-length": 5, "queue-leader-locator": "balanced"}),
        queue("placed", {"queue-leader-locator": "balanced"}),
        queue("theirs", {"max-length": 5}),
        queue("operated", {"expires": 1}),
    ]
    at_once = [
        queue("ours", None, policy="short"),
        queue("placed", None, policy="spread"),
        queue("theirs", None, policy="short"),
        queue("operated", None, operator_policy="tidy"),
        queue("new", None, policy="short"),
        queue("plain", None),
    ]
    api.answers = {
        "/api/queues/a%2Fb": with_statistics,
        "/api/queues/a%2Fb?disable_stats=true": at_once,
        **_EXCHANGES,
    }

    assert api.client.overrides(["ours", "placed", "operated", "new", "plain"], []) == [
        Override("queue", "ours", "short", ["max-length"]),
        Override("queue", "operated", "tidy", ["expires"]),
        Override("queue", "new", "short", []),
    ]


@pytest.mark.parametrize("told", [None, {}, "text", [None, 5, [], {}, {"name": []}, {"name": {}, "policy": "x"}]])
def test_lists_that_are_none_hold_nothing(api: Api, told: object) -> None:
    api.answers = dict.fromkeys([*_QUEUES, *_EXCHANGES], told)

    assert api.client.overrides(["ours"], ["ours"]) == []


def test_bindings_that_are_not_there_are_told(api: Api) -> None:
    there = {"source": "x", "destination": "q", "destination_type": "queue", "routing_key": "#"}
    api.answers = {"/api/bindings/a%2Fb": [there, {**there, "destination_type": "exchange", "destination": "z"}, 5]}

    wanted = [Binding("x", "q", "#"), Binding("x", "q", "a"), Binding("x", "z", "#")]
    assert api.client.unbound(wanted) == wanted[1:]
    assert [api.client.is_bound(name) for name in ("x", "y")] == [True, False]


@pytest.mark.parametrize("status", [401, 403])
def test_a_user_without_the_tag_is_refused(api: Api, status: int) -> None:
    api.raw = (status, b"{}")

    with pytest.raises(BrokerAccessRefused):
        api.client.tags()


@pytest.mark.parametrize("raw", [(200, b"<html>"), (200, b"["), (200, b""), (302, b"{}"), (404, b"{}"), (500, b"{}")])
def test_what_is_no_answer_of_the_api_is_told(api: Api, raw: tuple[int, bytes]) -> None:
    api.raw = raw

    with pytest.raises(BrokerUnavailable):
        api.client.tags()
