"""Access tokens as Entra issues them to apps: RS256, version 1.0 but for resources that take version 2.0."""

from __future__ import annotations

import base64
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from bridge.sandbox.entra import signed
from bridge.sandbox.entra.errors import BAD_SCOPE, NOT_DEFAULT_SCOPE, UNKNOWN_RESOURCE, EntraError
from bridge.sandbox.hosts import EXCHANGE, GRAPH

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from bridge.sandbox.entra.issued import IssuedTokens
    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.entra.proofs import Proof
    from bridge.sandbox.tenant import App, Tenant

EXCHANGE_APP_ID: Final = "00000002-0000-0ff1-ce00-000000000000"
GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"

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


def resource_of(scope: str, tenant: Tenant, *, cloud: str | None = None) -> str:
    """
    Return the resource that a client-credentials scope names.

    Raises:
        EntraError: The scope is no `<resource>/.default`, or the tenant has no such resource.
    """
    # OpenID's own scopes may stand beside the resource; Entra passes over them.
    wanted = [part for part in scope.split() if part not in {"openid", "profile", "offline_access"}]
    if len(wanted) != 1 or not wanted[0].endswith(_DEFAULT_SUFFIX):
        raise EntraError(NOT_DEFAULT_SCOPE, scope=scope)
    return check_resource(wanted[0].removesuffix(_DEFAULT_SUFFIX), scope, tenant, cloud=cloud)


def check_resource(resource: str, scope: str, tenant: Tenant, *, cloud: str | None = None) -> str:
    """
    Return the resource out of a scope if the tenant has it: in its cloud, where that is said.

    Raises:
        EntraError: It is not named, or there is none of that name.
    """
    if not resource:
        raise EntraError(BAD_SCOPE, scope=scope)
    hosts = {host for host, of in (*EXCHANGE.items(), *GRAPH.items()) if cloud in (None, of)}
    known = any(_names(resource, app_id, hosts) for app_id in (EXCHANGE_APP_ID, GRAPH_APP_ID))
    if not known and tenant.resource(resource) is None:
        raise EntraError(UNKNOWN_RESOURCE, resource=resource, tenant=tenant.tenant_id)
    return resource


def is_exchange(audience: str) -> bool:
    """Return whether an audience means Exchange Online, by URL or by app id."""
    return _names(audience, EXCHANGE_APP_ID, EXCHANGE)


def is_graph(audience: str) -> bool:
    """Return whether an audience means Microsoft Graph, by URL or by app id."""
    return _names(audience, GRAPH_APP_ID, GRAPH)


def roles_for(app: App, resource: str, tenant: Tenant) -> list[str]:
    """Return those of an app's roles that a token for a resource carries: a role is of one resource."""
    own = tenant.resource(resource)
    if own is not None:
        return [role for role in app.roles if role in own.app_roles]
    others = {role for one in tenant.resources for role in one.app_roles}
    of_graph = is_graph(resource)
    return [role for role in app.roles if role not in others and not _is_of_the_other(role, graph=of_graph)]


def issue(
    tenant: Tenant, app: App, *, resource: str, proof: Proof, key: SigningKey, now: float, base_url: str
) -> IssuedToken:
    """Return a token for `app`, of the version that the resource takes, with the roles that are the resource's."""
    issued_at = int(now)
    lifetime = tenant.token_lifetime_seconds
    claims: dict[str, Any] = {
        "iat": issued_at,
        "nbf": issued_at,
        "exp": issued_at + lifetime,
        "aio": base64.b64encode(secrets.token_bytes(24)).decode(),
        "idtyp": "app",
        "oid": app.object_id,
        "sub": app.object_id,
        "tid": tenant.tenant_id,
        "uti": unique_id(tenant.token_generation),
    }
    own = tenant.resource(resource)
    if own is not None and own.token_version == 2:
        claims |= {
            "aud": own.client_id,
            "iss": f"{base_url}/{tenant.tenant_id}/v2.0",
            "azp": app.client_id,
            "azpacr": proof.context_class,
            "ver": "2.0",
        }
    else:
        claims |= {
            "aud": resource,
            "iss": issuer(tenant),
            "appid": app.client_id,
            "app_displayname": app.name,
            "appidacr": proof.context_class,
            "idp": issuer(tenant),
            "ver": "1.0",
            "wids": [_APP_ONLY_WID],
        }
    if app.managed_identity:
        claims["xms_mirid"] = managed_resource_id(tenant, app)
    if roles := roles_for(app, resource, tenant):
        claims["roles"] = roles
    return IssuedToken(signed.encode(claims, key), lifetime)


def managed_resource_id(tenant: Tenant, app: App) -> str:
    """Return what Azure calls a managed identity: the machine itself, or an identity of its own."""
    group = f"/subscriptions/{tenant.tenant_id}/resourcegroups/sandbox/providers"
    if app.managed_identity == "system":
        return f"{group}/Microsoft.Compute/virtualMachines/sandbox"
    return f"{group}/Microsoft.ManagedIdentity/userAssignedIdentities/{app.name}"


@dataclass(frozen=True, slots=True)
class AppTokens:
    """Gives apps tokens of their own and records each; `now` is Entra's clock."""

    tenant: Tenant
    key: SigningKey
    base_url: str
    now: Callable[[], float]
    issued: IssuedTokens | None = None

    def give(self, app: App, resource: str, proof: Proof) -> IssuedToken:
        """Return a token for a resource that the tenant has, for an app that proved itself."""
        now = self.now()
        token = issue(self.tenant, app, resource=resource, proof=proof, key=self.key, now=now, base_url=self.base_url)
        if self.issued is not None:
            self.issued.add(
                self.tenant,
                app,
                audience=resource,
                proof=proof.name,
                roles=tuple(roles_for(app, resource, self.tenant)),
                now=now,
                expires_in=token.expires_in,
            )
        return token


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


def _is_of_the_other(role: str, *, graph: bool) -> bool:
    if graph:
        return role.endswith(("_as_app", ".AccessAsApp"))
    return role.startswith(("Application.", "Directory.", "User."))


def _names(audience: str, app_id: str, hosts: Container[str]) -> bool:
    if audience.lower().strip("/") == app_id:
        return True
    parts = urlsplit(audience.lower())
    return parts.scheme == "https" and parts.netloc in hosts and parts.path in {"", "/"} and not parts.query
