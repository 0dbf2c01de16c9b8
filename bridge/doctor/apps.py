"""Each app: its tenant, the two clocks, each of its credentials, and what its token says."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from bridge.adapters.entra.client import EntraClient
from bridge.adapters.entra.factory import credential_sources, entra_app
from bridge.adapters.entra.registration import Registration
from bridge.adapters.entra.tenant import look_at_tenant
from bridge.config import Settings
from bridge.config.entra import DEFAULT_APP
from bridge.doctor.claims import about_claims
from bridge.doctor.findings import doubtful, failed, ok, skipped, wrong
from bridge.doctor.hosts import reachable
from bridge.domain import clock_skew, expiry
from bridge.domain.trusted_time import TIME_UNKNOWN
from bridge.errors import BridgeError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from bridge.adapters.entra.credential import Credential
    from bridge.adapters.entra.credentials import CredentialSource
    from bridge.config.entra import EntraAppSettings
    from bridge.doctor.examination import Examination
    from bridge.doctor.findings import Finding


@dataclass(slots=True)
class Apps:
    """What is known of the apps once they were examined."""

    problems: dict[str, str] = field(default_factory=dict)
    """Why there is no token of an app, by its name; empty where there is one."""

    async def examine(self, examination: Examination) -> AsyncGenerator[Finding, None]:
        """Yield what is found of each app that is used."""
        settings = examination.settings
        apps = dict(settings.apps_in_use)
        if isinstance(settings, Settings) and settings.broker_app is not None:
            apps.setdefault(settings.rabbitmq.entra or DEFAULT_APP, settings.broker_app)
        for name, app in apps.items():
            used_by = [m.alias for m in settings.mailboxes if settings.app_name(m) == name]
            async for finding in self._examine(examination, name, app, used_by):
                if finding.state == "failed":
                    self.problems.setdefault(name, f"the app {name} has no token ({finding.code})")
                yield finding.of_app(app.client_id)

    async def _examine(
        self, examination: Examination, name: str, app: EntraAppSettings, used_by: list[str]
    ) -> AsyncGenerator[Finding, None]:
        part = f"entra {name}"
        credentials = f"{part}, credential"
        if not app.managed_identity:
            finding = await reachable(examination, part, app.authority, app.ca_file)
            yield finding
            if finding.state == "failed":
                yield skipped(credentials, "get a token", "Entra cannot be reached")
                return
            found = await _tenant(examination, part, app)
            for finding in found:
                yield finding
            if any(one.state == "failed" and one.code != "clock_skew" for one in found):
                yield skipped(credentials, "get a token", "the tenant is not found")
                return
        try:
            client = EntraClient(entra_app(app))
        except BridgeError as error:
            yield failed(credentials, "get a token", error)
            return
        usable = False
        for number, source in enumerate(credential_sources(app)):
            step = f"{part}, {'next ' if number else ''}{source.kind}"
            examination.begin(step, "get a token")
            whose = ", ".join(used_by) or "the broker"
            trying = asyncio.to_thread(_try_credential, step, source, client, app, whose=whose, optional=number > 0)
            found, token = await trying
            for finding in found:
                yield finding
            if token and not usable:
                usable = True
                for finding in about_claims(f"{part}, token", token, app, examination.settings, used_by):
                    yield finding


async def _tenant(examination: Examination, part: str, app: EntraAppSettings) -> list[Finding]:
    step, tried = f"{part}, tenant", "look the tenant up"
    examination.begin(step, tried)
    try:
        tenant = await asyncio.to_thread(
            look_at_tenant, app.authority, ca_file=app.ca_file, timeout_seconds=app.timeout_seconds
        )
    except BridgeError as error:
        if error.code == "tenant_unknown" and await _are_swapped(app):
            return [wrong(step, tried, "ids_swapped", "Entra knows no tenant of that id, but one of client_id")]
        return [failed(step, tried, error)]
    if not tenant.at_home:
        return [wrong(step, tried, "cloud_wrong", f"the tenant lives in the cloud {tenant.cloud or 'of another host'}")]
    return [ok(step, tried, "it exists"), *about_clock(part, tenant.ahead_seconds)]


async def _are_swapped(app: EntraAppSettings) -> bool:
    base, _, last = app.authority.rpartition("/")
    if app.client_id is None or app.tenant_id is None or last.lower() != app.tenant_id.lower():
        return False
    try:
        await asyncio.to_thread(
            look_at_tenant, f"{base}/{app.client_id}", ca_file=app.ca_file, timeout_seconds=app.timeout_seconds
        )
    except BridgeError:
        return False
    return True


def about_clock(part: str, ahead_seconds: float | None) -> list[Finding]:
    """Return what is to say of how far Entra's clock is ahead; None where its answer told no time."""
    step, tried = f"{part}, clock", "compare this machine's clock with Entra's"
    if ahead_seconds is None:
        return [doubtful(step, tried, TIME_UNKNOWN, "Entra's answer tells no time: it has no usable Date")]
    told = clock_skew.words(ahead_seconds)
    if abs(ahead_seconds) >= clock_skew.WRONG_SECONDS:
        return [wrong(step, tried, "clock_skew", told)]
    if abs(ahead_seconds) >= clock_skew.DOUBTFUL_SECONDS:
        return [doubtful(step, tried, "clock_skew", told)]
    return [ok(step, tried, told)]


def _try_credential(
    step: str, source: CredentialSource, client: EntraClient, app: EntraAppSettings, *, whose: str, optional: bool
) -> tuple[list[Finding], str]:
    """Return what is found of one credential, and a token where Entra gives one for it."""
    tried = "get a token"
    try:
        credential = source.load()
        if credential is None:
            if optional:
                return [], ""
            return [wrong(step, tried, "credentials_rejected", "its file is empty or missing")], ""
        answer = client.ask(credential, app.scopes[0])
    except BridgeError as error:
        return [failed(step, tried, error)], ""
    findings = [ok(step, tried, f"Entra gives one for {answer.seconds / 60:.0f} minutes, for {whose}")]
    expires_at = _end_of(credential, client, app)
    if expires_at is not None:
        left = expires_at - time.time()
        words = expiry.words(expires_at, left)
        near = expiry.stage(left) is not None
        tried = "look when the credential ends"
        findings.append(doubtful(step, tried, "credential_expires_soon", words) if near else ok(step, tried, words))
    return findings, answer.token


def _end_of(credential: Credential, client: EntraClient, app: EntraAppSettings) -> float | None:
    """Return when a credential ends: as it says itself, or the configuration, or Entra where the app may ask."""
    if credential.certificate is not None:
        return credential.certificate.ends_at
    if credential.expires_at is not None or not credential.secret:
        return credential.expires_at
    if app.authority_url is not None and app.graph_url is None:
        return None  # a place of its own, which Microsoft's Graph knows nothing of
    passing = iter((0.0,))  # it waits a while before it asks, which is no use here
    registration = Registration(entra_app(app), client, elapsed=lambda: next(passing, 1e9))
    registration.look(credential, [credential])
    return registration.expiry_of(credential)
