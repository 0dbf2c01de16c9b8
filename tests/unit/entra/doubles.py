"""An Entra that answers as it is told, and a clock that stands still."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.adapters.entra.app import EntraApp
from bridge.adapters.entra.client import Answer, EntraClient
from bridge.adapters.entra.errors import CredentialRefusedError
from bridge.adapters.entra.sign_in import SignIn

if TYPE_CHECKING:
    from bridge.adapters.entra.credential import Credential, Kind
    from bridge.adapters.entra.credentials import CredentialSource
    from bridge.errors import BridgeError
    from bridge.telemetry.events import Event

SCOPE = "https://outlook.office365.com/.default"
APP = EntraApp("https://localhost/tenant", "client", SCOPE, graph_url="https://graph")
NOON = 1_800_000_000.0


@dataclass
class Clock:
    """The clock that nobody can set, and the one on the wall; they go together unless the latter is set."""

    elapsed: float = 1_000.0
    wall: float = NOON

    def go(self, seconds: float) -> None:
        self.elapsed += seconds
        self.wall += seconds


@dataclass
class FakeClient(EntraClient):
    """Knows which credentials are good, by their secret or fingerprint."""

    good: set[str] = field(default_factory=set)
    down: BridgeError | None = None
    life_seconds: float = 3_600.0
    shown: list[str] = field(default_factory=list)
    gate: threading.Event | None = None
    graph: tuple[int, Mapping[str, object]] = (403, {})
    scopes: list[str] = field(default_factory=list)
    ahead: float | None = None

    @property
    def clock_ahead_seconds(self) -> float | None:
        return self.ahead

    def ask(self, credential: Credential, scope: str) -> Answer:
        key = credential.secret or credential.fingerprint
        self.shown.append(key)
        self.scopes.append(scope)
        if self.gate is not None:
            self.gate.wait(5)
        if self.down is not None:
            raise self.down
        if key not in self.good:
            raise CredentialRefusedError("Entra refuses it", code="secret_wrong")
        return Answer(f"token-{len(self.shown)}", self.life_seconds)

    def get(self, url: str, token: str) -> tuple[int, Mapping[str, object]]:
        return self.graph


class FakeSource:
    """A place for a client secret that a test writes to."""

    kind: Kind = "client secret"

    def __init__(self, secret: str | None, expires_at: float | None = None) -> None:
        self.secret, self.expires_at = secret, expires_at
        self.files: list[Path] = []

    def raw(self) -> bytes | None:
        return self.secret.encode() if self.secret else None

    def load(self) -> Credential | None:
        from bridge.adapters.entra.credentials import SecretSource

        return SecretSource(self.secret, None, expires_at=self.expires_at).load() if self.secret else None


class Bench:
    """An app with places for credentials; nothing is drawn by chance."""

    def __init__(self, *sources: CredentialSource, good: set[str] | None = None, probe_seconds: float = 1800.0) -> None:
        self.clock = Clock()
        self.client = FakeClient(good=good if good is not None else {"one"})
        self.events: list[Event] = []
        self.sign_in = SignIn(
            "default",
            APP,
            sources,
            probe_seconds=probe_seconds,
            emit=self.events.append,
            client=self.client,
            wall_clock=lambda: self.clock.wall,
            elapsed=lambda: self.clock.elapsed,
            chance=lambda: 0.5,
        )
        self.tokens = self.sign_in.tokens()

    def tend(self, seconds: int = 1) -> None:
        """Let so many seconds pass, tended once a second."""
        for _ in range(seconds):
            self.clock.go(1)
            self.sign_in.tend()

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]
