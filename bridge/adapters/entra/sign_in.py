"""One app: its credentials, the tokens that come by them, and what a person should know about them."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bridge.adapters.entra.client import EntraClient
from bridge.adapters.entra.credential_store import CredentialStore
from bridge.adapters.entra.credentials import open_to_all
from bridge.adapters.entra.errors import CredentialRefusedError
from bridge.adapters.entra.registration import Registration
from bridge.adapters.entra.tokens import EntraTokens
from bridge.domain import clock_skew, expiry
from bridge.errors import BridgeError, CredentialsRejected
from bridge.ports.elapsed import elapsed_seconds
from bridge.telemetry.entra_events import (
    ClockDiffers,
    CredentialAccepted,
    CredentialExpires,
    CredentialExposed,
    CredentialRefused,
    TokenAsked,
    TokenNotRenewed,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from bridge.adapters.entra.app import EntraApp
    from bridge.adapters.entra.client import Answer
    from bridge.adapters.entra.credential import Credential
    from bridge.adapters.entra.credential_store import StoredCredential
    from bridge.adapters.entra.credentials import CredentialSource
    from bridge.ports.server_time import ServerTime
    from bridge.ports.tokens import TokenSource
    from bridge.telemetry.events import Emit


@dataclass(frozen=True, slots=True)
class CredentialState:
    """One credential, for gauges."""

    slot: str
    accepted: bool | None
    """Whether Entra took it when it was last shown; None while it was not."""
    expires_at: float | None


@dataclass(frozen=True, slots=True)
class SignInState:
    """How it stands with one app."""

    usable: bool
    """Whether there is a token."""
    token_expires_at: float | None
    trouble: BridgeError | None
    """Why there is no token; None where there is one."""
    warning: tuple[str, str] | None
    """Code and detail of what a person should see to though tokens still come."""
    credentials: tuple[CredentialState, ...]


class SignIn:
    """
    The one place where an app's tokens come from, for all mailboxes that use it.

    `tend`, called about once a second on a thread of its own, does everything that takes time: it looks for new
    credentials and tries them, renews tokens ahead of their end, tries credentials that are not in use, and asks Graph.
    """

    def __init__(
        self,
        name: str,
        app: EntraApp,
        sources: Sequence[CredentialSource],
        *,
        probe_seconds: float = 1800.0,
        emit: Emit = lambda _: None,
        client: EntraClient | None = None,
        server_time: ServerTime | None = None,
        wall_clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self.name, self.app = name, app
        self._emit = emit
        self._wall_clock, self._elapsed, self._chance = wall_clock, elapsed, chance
        self._client = client or EntraClient(app, wall_clock=wall_clock, elapsed=elapsed, server_time=server_time)
        self._lock = threading.RLock()
        self._slots = CredentialStore(sources)
        self._registration = Registration(app, self._client, elapsed=elapsed, chance=chance)
        self._probe_seconds = probe_seconds
        self._sources: dict[str, EntraTokens] = {}
        self._stages: dict[str, int] = {}
        self._told: dict[str, str] = {}
        self._clock_reported = False

    def tokens(self, scope: str | None = None) -> TokenSource:
        """Return the source of tokens for a scope, that of Exchange unless given; the same one each time."""
        return self._tokens(scope or self.app.scope)

    def _tokens(self, scope: str) -> EntraTokens:
        with self._lock:
            if scope not in self._sources:
                self._sources[scope] = EntraTokens(
                    lambda: self._ask(scope),
                    self._lock,
                    longest_seconds=self._probe_seconds or None,
                    wall_clock=self._wall_clock,
                    elapsed=self._elapsed,
                    chance=self._chance,
                )
            return self._sources[scope]

    def change(self, sources: Sequence[CredentialSource], *, probe_seconds: float) -> None:
        """Read credentials from other places from now on; what they hold is tried before it is used."""
        with self._lock:
            slots = CredentialStore(sources)
            slots.go_on_with(self._slots, self._elapsed())
            self._slots = slots
            self._probe_seconds = probe_seconds
            for tokens in self._sources.values():
                tokens.longest_seconds = probe_seconds or None
                tokens.ask_soon()

    def tend(self) -> None:
        """Do what is due; never raises what the other side answers."""
        with self._lock:
            self._look_for_new_ones()
            self._try_new_ones()
        for scope, tokens in list(self._sources.items()):
            tokens.renew_if_due()
            self._report_tokens(scope, tokens)
        self._ask_for_the_end()
        self._report_expiry()
        self._report_clock()

    def state(self) -> SignInState:
        """Return how it stands; takes no time."""
        sources = list(self._sources.values())
        main = self._sources.get(self.app.scope) or (sources[0] if sources else None)
        usable = main is not None and main.usable
        failure = main.trouble if main is not None else None
        return SignInState(
            usable=usable,
            token_expires_at=main.expires_at if main is not None else None,
            trouble=None if usable else failure,
            warning=self._warning(failure) if usable else None,
            credentials=tuple(
                CredentialState(slot.name, slot.accepted, self._expires_at(slot.loaded))
                for slot in self._slots.all
                if slot.loaded is not None
            ),
        )

    def _ask(self, scope: str) -> Answer:
        """Return a token by the first credential that Entra takes. Its lock is held."""
        refusal: CredentialRefusedError | None = None
        for slot, credential in self._slots.order():
            try:
                return self._show(slot, credential, scope)
            except CredentialRefusedError as error:
                refusal = refusal or error
        raise refusal if refusal is not None else CredentialsRejected

    def _show(self, slot: StoredCredential, credential: Credential, scope: str) -> Answer:
        started, outcome = self._elapsed(), "ok"
        try:
            answer = self._client.ask(credential, scope)
        except BridgeError as error:
            outcome = error.code
            refused = isinstance(error, CredentialRefusedError)
            if refused and self._slots.refuse(slot, credential, error, self._elapsed()):
                self._emit(CredentialRefused(self.name, slot.name, credential.kind, error.code, error.detail))
            raise
        finally:
            self._emit(TokenAsked(self.name, slot.name, outcome, self._elapsed() - started))
        if self._slots.took(slot, credential, self._elapsed()):
            in_use = self._slots.active is credential
            self._emit(CredentialAccepted(self.name, slot.name, credential.kind, in_use))
        return answer

    def _look_for_new_ones(self) -> None:
        for slot in self._slots.all:
            before = slot.trouble
            if slot.look(self._elapsed()):
                for tokens in self._sources.values():
                    tokens.ask_soon()
                if open_to_all(slot.source):
                    self._emit(CredentialExposed(self.name, slot.name, slot.source.kind))
            if slot.trouble is not None and slot.trouble is not before:
                error = slot.trouble
                self._emit(CredentialRefused(self.name, slot.name, slot.source.kind, error.code, error.detail))

    def _try_new_ones(self) -> None:
        """Show Entra what is new, by a request of its own; only what it takes replaces the old."""
        scope = next((scope for scope, tokens in self._sources.items() if tokens.usable), None)
        now = self._elapsed()
        if scope is None or any(tokens.resting for tokens in self._sources.values()):
            return  # the next request for a token tries all of them; or Entra is to be left alone
        for slot, credential in self._slots.to_try(now):
            try:
                answer = self._show(slot, credential, scope)
            except CredentialRefusedError:
                continue
            except BridgeError:
                slot.wait(now)
                continue
            if self._slots.active is credential:
                self._tokens(scope).take(answer)
            elif self._probe_seconds:
                slot.try_at = now + self._probe_seconds * (0.75 + 0.5 * self._chance())

    def _ask_for_the_end(self) -> None:
        if not all(tokens.usable and tokens.trouble is None for tokens in self._sources.values()):
            return  # who wants a token does not wait for this
        with self._lock:
            accepted = next((slot.loaded for slot in self._slots.all if slot.loaded and slot.accepted), None)
            if accepted is not None:
                self._registration.look(accepted, [slot.loaded for slot in self._slots.all if slot.loaded])

    def _report_tokens(self, scope: str, tokens: EntraTokens) -> None:
        now = tokens.trouble
        told, self._told[scope] = self._told.get(scope), now.code if now is not None else ""
        if now is None or told == now.code:
            return
        self._emit(TokenNotRenewed(self.name, now.code, now.detail, round(tokens.left_seconds, 1)))

    def _expires_at(self, credential: Credential | None) -> float | None:
        if credential is None:
            return None
        return credential.expires_at if credential.expires_at is not None else self._registration.expiry_of(credential)

    def _report_expiry(self) -> None:
        now = self._wall_clock()
        for slot in self._slots.all:
            expires_at = self._expires_at(slot.loaded)
            if slot.loaded is None or expires_at is None:
                continue
            stage = expiry.stage(expires_at - now)
            key = slot.loaded.fingerprint
            if stage is None or stage >= self._stages.get(key, expiry.WARNED_DAYS[-1] + 1):
                continue
            self._stages[key] = stage
            detail = expiry.words(expires_at, expires_at - now)
            self._emit(CredentialExpires(self.name, slot.name, slot.loaded.kind, stage, detail))

    def _clock_differs(self) -> str | None:
        """Return how the two clocks stand to each other where that is no small thing."""
        ahead = self._client.clock_ahead_seconds
        return clock_skew.words(ahead) if ahead is not None and abs(ahead) >= clock_skew.DOUBTFUL_SECONDS else None

    def _report_clock(self) -> None:
        told = self._clock_differs()
        if told is not None and not self._clock_reported:
            self._emit(ClockDiffers(self.name, told))
        self._clock_reported = told is not None

    def _warning(self, failure: BridgeError | None) -> tuple[str, str] | None:
        """Return the most urgent of what a person should see to."""
        warning = self._slots.warning()
        if warning is not None:
            error, which = warning
            return error.code, f"{which}: {error.detail}"
        if failure is not None:
            return failure.code, f"{failure.detail}; the token in use lasts for now"
        clock = self._clock_differs()
        if clock is not None:
            return "clock_skew", clock  # before what is said of dates by that clock
        now, soonest = self._wall_clock(), None
        for slot in self._slots.all:
            expires_at = self._expires_at(slot.loaded)
            if expires_at is not None and expiry.stage(expires_at - now) is not None:
                soonest = min(soonest or expires_at, expires_at)
        if soonest is None:
            return None
        return "credential_expires_soon", expiry.words(soonest, soonest - now)
