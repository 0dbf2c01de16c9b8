"""One request for a token: what is shown to MSAL, and what its answers mean."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msal
import pytest
import requests
from msal.exceptions import MsalError

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.client import EntraClient
from bridge.adapters.entra.credential import Credential
from bridge.adapters.entra.credentials import ManagedIdentitySource, SecretSource
from bridge.adapters.entra.http import Heard, UnusableAnswerError
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from tests.unit.entra.doubles import NOON, Clock

_APP = EntraApp("https://localhost/tenant", "client", "scope")
_SECRET = Credential("client secret", "f", secret="value")


class FakeMsal:
    def __init__(self, answer: dict[str, Any] | Exception | None, meanwhile: Callable[[], None] = lambda: None) -> None:
        self.answer = answer
        self.meanwhile = meanwhile
        self.built: list[Any] = []

    def build(self, client_id: str, *, client_credential: object, **_: Any) -> FakeMsal:
        self.built.append(client_credential)
        return self

    def acquire_token_for_client(self, **_: Any) -> dict[str, Any] | None:
        self.meanwhile()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def asked(
    monkeypatch: pytest.MonkeyPatch,
    answer: dict[str, Any] | Exception | None,
    credential: Credential = _SECRET,
    *,
    clock: Clock | None = None,
    heard: Callable[[Heard], None] = lambda _: None,
    passing_seconds: float = 0.0,
) -> Any:  # noqa: ANN401 - whatever comes
    clock = clock or Clock()
    client = EntraClient(_APP, wall_clock=lambda: clock.wall, elapsed=lambda: clock.elapsed)

    def meanwhile() -> None:
        clock.go(passing_seconds)
        heard(client._heard)

    fake = FakeMsal(answer, meanwhile)
    monkeypatch.setattr(msal, "ConfidentialClientApplication", fake.build)
    monkeypatch.setattr(msal, "ManagedIdentityClient", lambda *_, **__: fake)
    return client.ask(credential, "scope")


def test_a_token_comes_with_its_life(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = asked(monkeypatch, {"access_token": "t", "expires_in": "3599"})

    assert (answer.token, answer.seconds) == ("t", 3_599)


def test_a_token_ages_on_the_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine was put to sleep after Entra had answered, and reads the answer as it wakes."""
    answer = {"access_token": "t", "expires_in": 3_600}

    assert asked(monkeypatch, answer, passing_seconds=600).seconds == 3_000
    with pytest.raises(TokenUnavailable):
        asked(monkeypatch, answer, passing_seconds=4_000)


@pytest.mark.parametrize("set_by", [-86_400.0, 0.0, 3_600.0])
def test_a_wrong_wall_clock_takes_nothing_off_a_token_of_which_the_end_alone_is_told(
    monkeypatch: pytest.MonkeyPatch, set_by: float
) -> None:
    """As App Service tells it; MSAL subtracts what this machine takes for the time."""
    credential, clock = ManagedIdentitySource(None).load(), Clock()
    assert credential is not None
    clock.wall += set_by
    ends_at = NOON + 3_600

    def heard(last: Heard) -> None:
        last.status, last.fields = 200, {"access_token": "t", "expires_on": str(int(ends_at))}
        last.clock_ahead_seconds = NOON - clock.wall

    answer = {"access_token": "t", "expires_in": int(ends_at) - int(clock.wall)}

    assert asked(monkeypatch, answer, credential, clock=clock, heard=heard).seconds == 3_600


def heard_at(date: float, clock: Clock) -> Callable[[Heard], None]:
    def hear(last: Heard) -> None:
        last.clock_ahead_seconds = date - clock.wall

    return hear


def test_the_other_clock_is_compared_with_this_one_as_it_is_set_now(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, answer = Clock(), {"access_token": "t", "expires_in": 3_600}
    client = EntraClient(_APP, wall_clock=lambda: clock.wall, elapsed=lambda: clock.elapsed)
    fake = FakeMsal(answer, lambda: heard_at(NOON + 120, clock)(client._heard))
    monkeypatch.setattr(msal, "ConfidentialClientApplication", fake.build)
    before = client.clock_ahead_seconds

    client.ask(_SECRET, "scope")
    ahead = client.clock_ahead_seconds
    clock.go(1_000)
    later = client.clock_ahead_seconds
    clock.wall += 120  # it is put right

    assert (before, ahead, later, client.clock_ahead_seconds) == (None, 120, 120, 0)


@pytest.mark.parametrize("kind", ["slow", "managed identity"])
def test_what_does_not_tell_entras_time_is_not_compared(monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    clock, answer = Clock(), {"access_token": "t", "expires_in": 3_600}
    client = EntraClient(_APP, wall_clock=lambda: clock.wall, elapsed=lambda: clock.elapsed)

    def meanwhile() -> None:
        heard_at(NOON + 120, clock)(client._heard)
        clock.go(60 if kind == "slow" else 0)

    fake = FakeMsal(answer, meanwhile)
    monkeypatch.setattr(msal, "ConfidentialClientApplication", fake.build)
    monkeypatch.setattr(msal, "ManagedIdentityClient", lambda *_, **__: fake)
    credential = _SECRET if kind == "slow" else ManagedIdentitySource(None).load()
    assert credential is not None
    client.ask(credential, "scope")

    assert client.clock_ahead_seconds is None


def test_a_life_without_end_is_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert asked(monkeypatch, {"access_token": "t", "expires_in": 1e12}).seconds <= 2 * 86_400


@pytest.mark.parametrize(
    "answer",
    [
        requests.ConnectionError("private"),
        MsalError("private"),
        AttributeError("'list' object"),
        TypeError("private"),
        UnusableAnswerError("HTTP 503"),
        {"access_token": "x", "expires_in": "soon"},
        {"access_token": "x", "expires_in": 0},
        {"access_token": "x", "expires_in": -5},
        {"access_token": "x", "expires_in": "nan"},
    ],
)
def test_no_answer_or_one_that_makes_no_sense_is_trouble_and_no_bug(
    monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | Exception
) -> None:
    with pytest.raises(TokenUnavailable) as caught:
        asked(monkeypatch, answer)

    assert "private" not in str(caught.value)


def test_the_wait_that_entra_states_is_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(TokenUnavailable) as caught:
        asked(monkeypatch, UnusableAnswerError("HTTP 429", retry_after_seconds=60))

    assert caught.value.retry_after_seconds == 60


@pytest.mark.parametrize("answer", [None, {}, {"access_token": ""}, {"access_token": ["x"]}])
def test_an_answer_without_a_token_is_a_refusal(monkeypatch: pytest.MonkeyPatch, answer: dict[str, Any] | None) -> None:
    with pytest.raises(CredentialsRejected):
        asked(monkeypatch, answer)


def test_a_managed_identity_that_is_nowhere_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    credential = ManagedIdentitySource(None).load()
    assert credential is not None

    for answer, code in (
        ({"error": "invalid_request"}, "managed_identity_unknown"),
        (requests.ConnectionError(), "managed_identity_unavailable"),
    ):
        with pytest.raises(BridgeError) as caught:
            asked(monkeypatch, answer, credential)
        assert caught.value.code == code


def test_nothing_is_asked_before_a_token_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[object] = []
    monkeypatch.setattr(requests.Session, "send", lambda _, request, **__: sent.append(request))

    EntraClient(EntraApp("https://nowhere.invalid/tenant", "client", "scope", ca_file="/nowhere"))

    assert sent == []


def test_a_ca_file_that_is_gone_is_trouble_and_no_bug() -> None:
    client = EntraClient(EntraApp("https://127.0.0.1:1/tenant", "client", "scope", ca_file="/nowhere"))
    credential = SecretSource("value", None).load()
    assert credential is not None

    with pytest.raises(TokenUnavailable) as caught:
        client.ask(credential, "scope")

    assert caught.value.code == "ca_file_unusable"
