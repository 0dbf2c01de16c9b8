"""The apps of a process: one source of tokens for each, tended on a thread of its own, and told about."""

from __future__ import annotations

import contextlib
import threading
from typing import TYPE_CHECKING, Final

from bridge.adapters.entra.factory import credential_sources, sign_in

if TYPE_CHECKING:
    from collections.abc import Mapping

    from prometheus_client import Gauge

    from bridge.adapters.entra.sign_in import SignIn, SignInState
    from bridge.config.entra import EntraAppSettings
    from bridge.ports.server_time import ServerTime
    from bridge.telemetry.events import Emit
    from bridge.telemetry.health import Health
    from bridge.telemetry.metrics import Metrics

_LOOK_SECONDS: Final = 1.0
_UNNAMED: Final = "default"


class Identities:
    """Every app that signs in for something, by name. Close it at the end."""

    def __init__(
        self, apps: Mapping[str, EntraAppSettings], emit: Emit, *, server_time: ServerTime | None = None
    ) -> None:
        self._sign_ins = {name: sign_in(name, app, emit, server_time=server_time) for name, app in apps.items()}
        self._over = threading.Event()
        self._failure: BaseException | None = None

    def __getitem__(self, name: str) -> SignIn:
        """Return an app."""
        return self._sign_ins[name]

    def start(self) -> None:
        """
        Tend each app until closed.

        A thread for each: one whose Entra does not answer keeps no other waiting, and none keeps the process.
        """
        for name, one in self._sign_ins.items():
            threading.Thread(target=self._tend, args=(one,), name=f"entra-{name}", daemon=True).start()

    def close(self) -> None:
        """Have the threads end; a request that is under way ends with its timeout."""
        self._over.set()

    def change(self, apps: Mapping[str, EntraAppSettings]) -> None:
        """Take credentials from where the configuration says now, of the apps that were there before."""
        for name, app in apps.items():
            if name in self._sign_ins:
                sources = credential_sources(app)
                self._sign_ins[name].change(sources, probe_seconds=app.credential_probe_seconds)

    def show(self, health: Health, metrics: Metrics) -> None:
        """
        Bring health and gauges up to date. Call it every second, on the event loop's thread.

        Raises:
            BaseException: What a thread died of: a bug.
        """
        if self._failure is not None:
            raise self._failure
        for name, one in self._sign_ins.items():
            state = one.state()
            _show_health(health, part_of(name), state)
            _show_metrics(metrics, name, state)

    def _tend(self, one: SignIn) -> None:
        try:
            while not self._over.wait(_LOOK_SECONDS):
                one.tend()
        except BaseException as error:  # noqa: BLE001 - raised where the process sees it
            self._failure = error


def part_of(name: str) -> str:
    """Return what an app is called in `/health`."""
    return "entra" if name == _UNNAMED else f"entra:{name}"


def _show_health(health: Health, part: str, state: SignInState) -> None:
    if state.trouble is not None:
        health.trouble(part, state.trouble.code, state.trouble.detail)
    elif state.usable and state.warning is not None:
        health.warn(part, *state.warning)
    elif state.usable:
        health.ok(part)


def _show_metrics(metrics: Metrics, name: str, state: SignInState) -> None:
    if state.token_expires_at is not None:
        metrics.entra_token_expiry.labels(name).set(state.token_expires_at)
    known = {credential.slot: credential for credential in state.credentials}
    for slot in ("first", "next"):
        credential = known.get(slot)
        if credential is None or credential.expires_at is None:
            _forget(metrics.entra_credential_expiry, name, slot)
        else:
            metrics.entra_credential_expiry.labels(name, slot).set(credential.expires_at)
        if credential is None or credential.accepted is None:
            _forget(metrics.entra_credential_up, name, slot)
        else:
            metrics.entra_credential_up.labels(name, slot).set(int(credential.accepted))


def _forget(gauge: Gauge, name: str, slot: str) -> None:
    """Show no figure of something that is not there, or is not known."""
    with contextlib.suppress(KeyError):
        gauge.remove(name, slot)
