"""What signing in to Entra tells about itself. `app` is the name of the app's table in the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.telemetry.events import Event

if TYPE_CHECKING:
    from bridge.telemetry.metrics import Metrics


@dataclass(frozen=True)
class TokenAsked(Event):
    """Entra answered a request for a token, or did not; `outcome` is `ok` or an error's code."""

    name = "entra.token_asked"
    level = "debug"

    app: str
    credential: str
    """`first` or `next`."""
    outcome: str
    seconds: float

    def record(self, metrics: Metrics) -> None:
        metrics.entra_requests.labels(self.app, self.outcome).inc()
        metrics.entra_request_seconds.labels(self.app).observe(self.seconds)


@dataclass(frozen=True)
class TokenNotRenewed(Event):
    """There is no newer token at the moment; the one in use, if any, can be used for `usable_seconds`."""

    name = "entra.token_not_renewed"
    level = "warning"

    app: str
    code: str
    detail: str
    usable_seconds: float


@dataclass(frozen=True)
class CredentialAccepted(Event):
    """Entra took a credential that is new; `in_use` tells whether tokens come by it from now on."""

    name = "entra.credential_accepted"

    app: str
    credential: str
    kind: str
    in_use: bool


@dataclass(frozen=True)
class CredentialRefused(Event):
    """A credential cannot be used: Entra refused it, or its file is of no use. One that is proved goes on, if any."""

    name = "entra.credential_refused"
    level = "warning"

    app: str
    credential: str
    kind: str
    code: str
    detail: str


@dataclass(frozen=True)
class CredentialExposed(Event):
    """Every user of the machine may read the file of a credential that was just read: chmod o-r."""

    name = "entra.credential_exposed"
    level = "warning"

    app: str
    credential: str
    kind: str
    code: str = "readable_by_everyone"


@dataclass(frozen=True)
class ClockDiffers(Event):
    """This machine's clock is not Entra's: what is signed, and what is said of dates, is wrong by as much."""

    name = "entra.clock_differs"
    level = "warning"

    app: str
    detail: str
    code: str = "clock_skew"


@dataclass(frozen=True)
class CredentialExpires(Event):
    """A credential ends within `days` (30, 7 or 1; 0: its time is over)."""

    name = "entra.credential_expires"
    level = "warning"

    app: str
    credential: str
    kind: str
    days: int
    detail: str
