"""Access tokens as Entra issues them to apps for Exchange Online: version 1.0, RS256."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.sandbox.entra import signed
from bridge.sandbox.entra.errors import BAD_SCOPE, NOT_DEFAULT_SCOPE, UNKNOWN_RESOURCE, EntraError

if TYPE_CHECKING:
    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.tenant import App, Tenant

EXCHANGE_APP_ID: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"

# Names under which the two resources are known to every tenant.
_EXCHANGE_HOSTS = frozenset({
    "outlook.office365.com", "outlook.office.com", "ps.outlook.com", "outlook.com",
    "outlook.office365.us", "outlook-dod.office365.us", "webmail.apps.mil", "partner.outlook.cn",
})  # fmt: skip
_GRAPH_HOSTS = frozenset(
    {"graph.microsoft.com", "graph.microsoft.us", "dod-graph.microsoft.us", "microsoftgraph.chinacloudapi.cn"}
)
_DEFAULT_SUFFIX = "/.default"
# The directory role template that every app-only token carries in `wids`.
_APP_ONLY_WID = "0997a1d0-0d1d-4acb-b408-d5ca73121e90"
# Entra advises a refresh at half-life for tokens that live longer than two hours.
_REFRESH_ADVISED_FROM_SECONDS = 7200


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """A signed token and how many seconds it lives."""

    text: str
    expires_in: int


def issuer(tenant: Tenant) -> str:
    """Return the `iss` of version 1.0 tokens; Exchange trusts no other."""
    return f"https://sts.windows.net/{tenant.tenant_id}/"


def resource_of(scope: str, tenant: Tenant) -> str:
    """
    Return the resource that a client-credentials scope names, as the token's `aud` will say it.

    Raises:
        EntraError: The scope is no `<resource>/.default`, or the tenant has no such resource.
    """
    # OpenID's own scopes may stand beside the resource; Entra passes over them.
    wanted = [part for part in scope.split() if part not in {"openid", "profile", "offline_access"}]
    if len(wanted) != 1 or not wanted[0].endswith(_DEFAULT_SUFFIX):
        raise EntraError(NOT_DEFAULT_SCOPE, scope=scope)
    return check_resource(wanted[0].removesuffix(_DEFAULT_SUFFIX), scope, tenant)


def check_resource(resource: str, scope: str, tenant: Tenant) -> str:
    """
    Return the resource out of a scope if the tenant has it.

    Raises:
        EntraError: It is not named, or there is none of that name.
    """
    if not resource:
        raise EntraError(BAD_SCOPE, scope=scope)
    if not (is_exchange(resource) or _names(resource, GRAPH_APP_ID, _GRAPH_HOSTS)):
        raise EntraError(UNKNOWN_RESOURCE, resource=resource, tenant=tenant.tenant_id)
    return resource


def is_exchange(audience: str) -> bool:
    """Tell whether an audience means Exchange Online, by URL or by app id."""
    return _names(audience, EXCHANGE_APP_ID, _EXCHANGE_HOSTS)


def issue(tenant: Tenant, app: App, *, resource: str, context_class: str, key: SigningKey, now: float) -> IssuedToken:
    """Return a token for `app`; roles are given for Exchange only, for that is where the app has some."""
    issued_at = int(now)
    lifetime = tenant.token_lifetime_seconds
    claims: dict[str, Any] = {
        "aud": resource,
        "iss": issuer(tenant),
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + lifetime,
        "aio": base64.b64encode(secrets.token_bytes(24)).decode(),
        "appid": app.client_id,
        "app_displayname": app.name,
        "appidacr": context_class,
        "idp": issuer(tenant),
        "idtyp": "app",
        "oid": app.object_id,
        "sub": app.object_id,
        "tid": tenant.tenant_id,
        "uti": unique_id(tenant.token_generation),
        "ver": "1.0",
        "wids": [_APP_ONLY_WID],
    }
    if app.roles and is_exchange(resource):
        claims["roles"] = list(app.roles)
    return IssuedToken(signed.encode(claims, key), lifetime)


def lifetime_answer(seconds: int) -> dict[str, int]:
    """Return what the token endpoint's answer says of a token's life."""
    answer = {"expires_in": seconds, "ext_expires_in": seconds}
    if seconds >= _REFRESH_ADVISED_FROM_SECONDS:
        answer["refresh_in"] = seconds // 2
    return answer


def generation_of(unique_id: str) -> int:
    """Return the token generation that a `uti` was made in; -1 where it is not one of ours."""
    try:
        return int.from_bytes(base64.urlsafe_b64decode(unique_id + "==")[:4])
    except ValueError:
        return -1


def unique_id(generation: int) -> str:
    """Return a `uti`: sixteen bytes that look random, the first four of which are the generation."""
    return base64.urlsafe_b64encode(generation.to_bytes(4) + secrets.token_bytes(12)).rstrip(b"=").decode()


def _names(audience: str, app_id: str, hosts: frozenset[str]) -> bool:
    if audience.lower().strip("/") == app_id:
        return True
    parts = urlsplit(audience.lower())
    return parts.scheme == "https" and parts.netloc in hosts and parts.path in {"", "/"} and not parts.query
