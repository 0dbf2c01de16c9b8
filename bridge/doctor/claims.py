"""What a token says, compared with what Exchange will want of it; to be shown, and to say early what will fail."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from bridge.adapters.entra.claims import read_claims
from bridge.config.entra import CLOUDS
from bridge.config.rules import is_guid
from bridge.doctor.findings import doubtful, ok, skipped, wrong

if TYPE_CHECKING:
    from bridge.adapters.entra.claims import Claims
    from bridge.config.entra import EntraAppSettings
    from bridge.config.settings import ExchangeSettings
    from bridge.doctor.findings import Finding

_EXCHANGE_ID: Final = "00000002-0000-0ff1-ce00-000000000000"
_FULL_ACCESS: Final = "full_access_as_app"
_MOST_ROLES: Final = 5


def about_claims(
    step: str, token: str, app: EntraAppSettings, settings: ExchangeSettings, used_by: list[str]
) -> list[Finding]:
    """Return what is found in a token of an app; `used_by` are the aliases of the mailboxes that it opens."""
    claims = read_claims(token)
    if claims is None:
        return [skipped(step, "read what the token says", "this token cannot be read, and need not be")]
    if not used_by:
        return [ok(step, "read what the token says", f"for {_shown(claims.audience)}, for the broker alone")]
    return [
        _audience(step, claims, settings),
        *_tenant(step, claims, app),
        _times(step, claims),
        _roles(step, claims, settings, used_by),
    ]


def _audience(step: str, claims: Claims, settings: ExchangeSettings) -> Finding:
    tried = "look whom the token is for"
    hosts = {hosts.ews_host for hosts in CLOUDS.values()}
    hosts |= {urlsplit(settings.ews_url(mailbox)).hostname or "" for mailbox in settings.mailboxes}
    host = urlsplit(claims.audience).hostname or ""
    if claims.audience.lower() == _EXCHANGE_ID or host in hosts:
        return ok(step, tried, f"for Exchange ({_shown(claims.audience)})")
    return wrong(step, tried, "token_audience_wrong", f"for {_shown(claims.audience)}")


def _tenant(step: str, claims: Claims, app: EntraAppSettings) -> list[Finding]:
    tried = "look which tenant the token is of"
    if app.tenant_id is None or not is_guid(app.tenant_id) or not claims.tenant_id:
        return []  # a domain says nothing that could be compared
    if claims.tenant_id.lower() != app.tenant_id.lower():
        return [wrong(step, tried, "token_tenant_wrong", "of another tenant than tenant_id")]
    return [ok(step, tried, "of the configured tenant")]


def _times(step: str, claims: Claims) -> Finding:
    tried = "look how long the token lives"
    left = claims.expires_at - time.time()
    if left <= 0:
        return wrong(step, tried, "clock_skew", "by this machine's clock it has ended already")
    return ok(step, tried, f"{left / 60:.0f} minutes more")


def _roles(step: str, claims: Claims, settings: ExchangeSettings, used_by: list[str]) -> Finding:
    tried = "look which permissions of Entra the token bears"
    if _FULL_ACCESS in claims.roles:
        proved = any(mailbox.must_not_reach for mailbox in settings.mailboxes if mailbox.alias in used_by)
        if not proved:
            return doubtful(step, tried, "access_unlimited", _FULL_ACCESS)
        return ok(step, tried, f"{_FULL_ACCESS}; whether it is limited shows at must_not_reach")
    if not claims.roles:
        return ok(step, tried, "none: what Exchange assigned (RBAC for Applications) decides, as it should")
    shown = ", ".join(_shown(role) for role in claims.roles[:_MOST_ROLES])
    return ok(step, tried, f"{shown}: none of them for EWS, so what Exchange assigned decides")


def _shown(text: str) -> str:
    """Return a value of a token that may be printed."""
    return "".join(character for character in text if " " < character <= "~")[:100]
