"""What is known of an app and its credentials stands on the gauges and in `/health`, and no longer than it is so."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, cast

import pytest

from bridge.adapters.entra.identities import Identities
from bridge.adapters.entra.sign_in import CredentialState, SignInState
from bridge.errors import CredentialsRejected
from bridge.telemetry.health import Health
from bridge.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from bridge.config.entra import EntraAppSettings

_WELL = SignInState(
    usable=True,
    token_expires_at=2_000.0,
    trouble=None,
    warning=None,
    credentials=(CredentialState("first", accepted=True, expires_at=5_000.0),),
)


class Shown:
    """The apps `default` and `billing`, each in a state that a test chooses."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states = {"default": _WELL, "billing": _WELL}
        self.health, self.metrics = Health(), Metrics()
        monkeypatch.setattr("bridge.adapters.entra.identities.sign_in", lambda name, _app, _emit, **_: _App(self, name))
        apps = cast("dict[str, EntraAppSettings]", dict.fromkeys(self.states))
        self.identities = Identities(apps, lambda _: None)

    def show(self, state: SignInState) -> None:
        self.states["billing"] = state
        self.identities.show(self.health, self.metrics)

    def part(self, name: str) -> tuple[str, str, str]:
        state = self.health.state(name)
        assert state is not None
        return state.status, state.code, state.detail

    def gauge(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"bridge_entra_{name}", {"app": "billing", **labels})


class _App:
    def __init__(self, shown: Shown, name: str) -> None:
        self._shown, self._name = shown, name

    def state(self) -> SignInState:
        return self._shown.states[self._name]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Shown:
    return Shown(monkeypatch)


def test_the_ends_of_token_and_credential_are_on_gauges(shown: Shown) -> None:
    shown.show(_WELL)

    assert shown.gauge("token_expiry_timestamp_seconds") == 2_000
    assert shown.gauge("credential_expiry_timestamp_seconds", credential="first") == 5_000
    assert shown.gauge("credential_up", credential="first") == 1
    assert (shown.part("entra")[0], shown.part("entra:billing")[0]) == ("ok", "ok")


def test_a_credential_that_ends_soon_is_a_warning_and_the_process_stays_ready(shown: Shown) -> None:
    shown.show(replace(_WELL, warning=("credential_expires_soon", "it ends on 2027-01-01, in 5 days")))

    assert shown.part("entra:billing") == ("warning", "credential_expires_soon", "it ends on 2027-01-01, in 5 days")
    assert shown.part("entra")[0] == "ok"
    assert shown.health.ready


def test_a_refused_successor_shows_and_one_that_is_taken_away_does_not(shown: Shown) -> None:
    refused = CredentialState("next", accepted=False, expires_at=9_000.0)
    shown.show(replace(_WELL, credentials=(*_WELL.credentials, refused)))
    before = [shown.gauge(name, credential="next") for name in ("credential_up", "credential_expiry_timestamp_seconds")]

    shown.show(_WELL)
    after = [shown.gauge(name, credential="next") for name in ("credential_up", "credential_expiry_timestamp_seconds")]

    assert (before, after) == ([0, 9_000], [None, None])


def test_what_is_not_known_is_no_figure(shown: Shown) -> None:
    untried = CredentialState("first", accepted=None, expires_at=None)
    shown.show(replace(_WELL, usable=False, token_expires_at=None, credentials=(untried,)))

    assert shown.gauge("token_expiry_timestamp_seconds") is None
    assert shown.gauge("credential_up", credential="first") is None
    assert shown.gauge("credential_expiry_timestamp_seconds", credential="first") is None


def test_an_app_without_a_token_is_in_trouble_and_mended_again(shown: Shown) -> None:
    refusal = CredentialsRejected("Entra answered invalid_client", code="secret_expired")
    shown.show(replace(_WELL, usable=False, trouble=refusal))
    before, ready = shown.part("entra:billing"), shown.health.ready

    shown.show(_WELL)

    assert (before, ready) == (("trouble", "secret_expired", "Entra answered invalid_client"), False)
    assert shown.part("entra:billing")[0] == "ok"
    assert shown.health.ready
