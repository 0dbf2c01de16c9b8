"""A token that lives is used whatever Entra answers; Entra is asked once however many wait."""

from __future__ import annotations

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import msal
import pytest
import requests
from msal.exceptions import MsalError

from bridge.adapters.entra.errors import error_for_answer
from bridge.adapters.entra.tokens import EntraApp, EntraTokens, session_for
from bridge.errors import CredentialsRejected, TokenUnavailable
from bridge.ports.tokens import AccessToken
from tests.support.raw_server import RawServer

if TYPE_CHECKING:
    import socket

_REFUSED = {"error": "invalid_client", "error_codes": [7000222], "error_description": "AADSTS7000222: private"}


class FakeEntra:
    """Stands for msal's application; counts what it is asked."""

    def __init__(self) -> None:
        self.answers: list[dict[str, Any] | Exception] = []
        self.asked = 0
        self.secrets: list[str] = []
        self.gate: threading.Event | None = None

    def build(self, client_id: str, *, client_credential: str, **_: Any) -> FakeEntra:
        self.secrets.append(client_credential)
        return self

    def remove_tokens_for_client(self) -> None:
        return

    def acquire_token_for_client(self, scopes: list[str]) -> dict[str, Any]:
        self.asked += 1
        if self.gate is not None:
            self.gate.wait(5)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


class Bench:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.entra = FakeEntra()
        monkeypatch.setattr(msal, "ConfidentialClientApplication", self.entra.build)
        self.seconds = 1_000.0
        self.secret = "first"
        self.tokens = EntraTokens(
            EntraApp("https://localhost/tenant", "client", "scope"),
            lambda: self.secret,
            wall_clock=lambda: self.seconds,
            monotonic=lambda: self.seconds,
        )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(monkeypatch)


def _token(number: int) -> dict[str, Any]:
    return {"access_token": f"token-{number}", "expires_in": 3_600}


def test_a_token_is_asked_for_once_while_it_lives(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2)]

    values = {bench.tokens.token().value for _ in range(5)}

    assert values == {"token-1"}
    assert bench.entra.asked == 1


def test_it_is_renewed_ahead_of_its_end(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2)]
    bench.tokens.token()

    bench.seconds += 3_600 - 299

    assert bench.tokens.token().value == "token-2"


@pytest.mark.parametrize("answer", [_REFUSED, requests.ConnectionError("private"), MsalError("private")])
def test_a_usable_token_is_used_whatever_entra_answers(bench: Bench, answer: dict[str, Any] | Exception) -> None:
    bench.entra.answers = [_token(1), answer]
    bench.tokens.token()

    bench.seconds += 3_600 - 60

    assert bench.tokens.token().value == "token-1"
    assert bench.tokens.trouble is not None


def test_a_failing_entra_is_asked_at_growing_intervals(bench: Bench) -> None:
    bench.entra.answers = [_REFUSED]

    for _ in range(600):
        with pytest.raises(CredentialsRejected):
            bench.tokens.token()
        bench.seconds += 1

    assert bench.entra.asked < 20


def test_it_heals_when_entra_answers_again(bench: Bench) -> None:
    bench.entra.answers = [requests.ConnectionError(), _token(1)]
    with pytest.raises(TokenUnavailable):
        bench.tokens.token()

    bench.seconds += 1

    assert bench.tokens.token().value == "token-1"
    assert bench.tokens.trouble is None


def test_a_rejected_token_is_replaced_once(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2), _token(3)]
    first = bench.tokens.token()

    for _ in range(5):  # every call in flight learns of the refusal
        bench.tokens.reject(first)
        bench.tokens.token()

    assert bench.tokens.token().value == "token-2"
    assert bench.entra.asked == 2


def test_many_threads_ask_once(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2)]
    bench.entra.gate = threading.Event()

    with ThreadPoolExecutor(8) as threads:
        asked = [threads.submit(bench.tokens.token) for _ in range(8)]
        bench.entra.gate.set()
        values = {future.result(5).value for future in asked}

    assert values == {"token-1"}
    assert bench.entra.asked == 1


def test_nobody_waits_for_the_renewal_while_the_old_token_is_usable(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2)]
    bench.tokens.token()
    bench.seconds += 3_600 - 200
    bench.entra.gate = threading.Event()
    renewing = threading.Thread(target=bench.tokens.token)
    renewing.start()
    while bench.entra.asked < 2:
        threading.Event().wait(0.001)

    meanwhile = bench.tokens.token().value
    bench.entra.gate.set()
    renewing.join(5)

    assert meanwhile == "token-1"
    assert bench.tokens.token().value == "token-2"


def test_a_renewed_secret_counts_at_the_next_request(bench: Bench) -> None:
    bench.entra.answers = [_token(1), _token(2)]
    first = bench.tokens.token()
    bench.secret = "second"

    bench.tokens.reject(first)
    bench.tokens.token()

    assert bench.entra.secrets == ["first", "second"]


def test_a_token_is_not_shown() -> None:
    assert "secret-token" not in repr(AccessToken("secret-token", 0))


@pytest.mark.parametrize(
    ("answer", "meaning", "words"),
    [
        (_REFUSED, CredentialsRejected, "expired"),
        ({"error": "invalid_client", "error_codes": [7000215]}, CredentialsRejected, "value, not its id"),
        ({"error": "unauthorized_client", "error_codes": [700016]}, CredentialsRejected, "tenant"),
        ({"error": "invalid_grant", "error_codes": [1]}, CredentialsRejected, "AADSTS1"),
        ({"error": "temporarily_unavailable", "error_codes": [90033]}, TokenUnavailable, "moment"),
        ({}, CredentialsRejected, "unknown"),
    ],
)
def test_a_refusal_says_what_to_do_and_nothing_private(answer: dict[str, Any], meaning: type, words: str) -> None:
    error = error_for_answer(answer)

    assert isinstance(error, meaning)
    assert words in str(error)
    assert "private" not in str(error)


@pytest.mark.parametrize("stumble", [FileNotFoundError("private"), UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x")])
def test_a_secret_that_cannot_be_read_is_trouble_and_no_bug(
    monkeypatch: pytest.MonkeyPatch, stumble: Exception
) -> None:
    """A secret that is being renewed may be gone for a moment."""
    bench = Bench(monkeypatch)

    def read() -> str:
        raise stumble

    tokens = EntraTokens(EntraApp("https://localhost/tenant", "client", "scope"), read)

    with pytest.raises(CredentialsRejected, match="secret"):
        tokens.token()
    assert bench.entra.asked == 0


@pytest.mark.parametrize(
    "answer", [AttributeError("'list' object"), TypeError("private"), {"access_token": "x", "expires_in": "soon"}]
)
def test_an_answer_that_makes_no_sense_is_trouble_and_no_bug(bench: Bench, answer: dict[str, Any] | Exception) -> None:
    bench.entra.answers = [answer]

    with pytest.raises(TokenUnavailable):
        bench.tokens.token()


@pytest.mark.parametrize(
    ("begin", "more"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n", b" "),
        (b"HTTP/1.1 200 OK\r\n", b"X-More: and more\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
)
def test_an_answer_of_entra_that_trickles_ends_at_the_deadline(begin: bytes, more: bytes) -> None:
    over = threading.Event()

    def trickle(connection: socket.socket, _: bytes) -> None:
        connection.sendall(begin)
        while not over.wait(0.05):
            connection.sendall(more)

    session = session_for(EntraApp("https://localhost/tenant", "client", "scope", timeout_seconds=0.4))
    started = time.monotonic()
    with contextlib.closing(RawServer(trickle)) as server:
        with pytest.raises(requests.RequestException):
            session.get(server.url)
        over.set()

    assert time.monotonic() - started < 2


def test_a_connection_to_entra_that_is_refused_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When to ask again is decided in one place, and not by a library below it."""
    tried: list[object] = []

    def refuse(address: object, *_: object, **__: object) -> socket.socket:
        tried.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr("urllib3.util.connection.create_connection", refuse)
    app = EntraApp("http://127.0.0.1:1/tenant", "client", "scope", timeout_seconds=5)

    with pytest.raises(requests.ConnectionError):
        session_for(app).get("http://127.0.0.1:1/tenant")

    assert len(tried) == 1
