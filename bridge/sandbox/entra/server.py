"""Entra's HTTP face: discovery, keys and the token endpoint."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from aiohttp import web

from bridge.sandbox.entra.assertions import ClientAssertion
from bridge.sandbox.entra.credentials import ClientSecret, Credentials
from bridge.sandbox.entra.delegated import GRANTS, UserGrants, realm
from bridge.sandbox.entra.errors import (
    ANOTHER_CLOUD,
    MALFORMED_TENANT,
    NO_TENANT,
    NOT_OVER_COMMON,
    TOO_MANY_REQUESTS,
    UNAVAILABLE,
    UNKNOWN_APP,
    UNKNOWN_TENANT,
    UNSUPPORTED_GRANT,
    EntraError,
    correlation_id,
)
from bridge.sandbox.entra.forms import read_form, required
from bridge.sandbox.entra.tokens import AppTokens, issuer, lifetime_answer, resource_of
from bridge.sandbox.hosts import LOGIN

if TYPE_CHECKING:
    from collections.abc import Callable

    from bridge.sandbox.entra.federation import IssuerKeys
    from bridge.sandbox.entra.issued import IssuedTokens
    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.tenant import App, Tenant

# Endpoints for whoever belongs to any tenant; an app must name its own.
_SHARED_TENANTS = frozenset({"common", "organizations", "consumers"})
_NOT_FOR_PASSWORDS = frozenset({"common", "consumers"})
# What may be the id of a tenant or a domain at all.
_NAME = re.compile(
    r"(?=.{1,253}\Z)(?:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+)\Z"
)
_NO_CACHE = {"Cache-Control": "no-store, no-cache", "Pragma": "no-cache", "Expires": "-1"}


class EntraServer:
    """The routes of Entra for one tenant, at one base URL without a trailing slash."""

    def __init__(
        self,
        tenant: Tenant,
        key: SigningKey,
        *,
        base_url: str,
        now: Callable[[], float],
        issued: IssuedTokens | None = None,
        issuer_keys: IssuerKeys | None = None,
        setting: Callable[[str], Any] = lambda _name: None,
    ) -> None:
        """
        Serve `tenant`; `now` in seconds since the epoch. Each token leaves a record in `issued`.

        Federated credentials are verified by `issuer_keys`; `setting` gives a setting of the admin API.
        """
        self._issued = issued
        self._tenant = tenant
        self._key = key
        self._base_url = base_url
        self._now = now
        self._users = UserGrants(tenant, key, base_url)
        self._setting = setting
        assertions = ClientAssertion(
            tenant,
            base_url,
            now,
            issuer_keys,
            once=lambda: bool(setting("assertions_once")),
            cloud=lambda: setting("cloud"),
        )
        self._credentials = Credentials((ClientSecret(now), assertions))
        self.tokens = AppTokens(tenant, key, base_url, now, issued)

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added to an application."""
        return [
            web.get("/common/discovery/instance", self._instance_discovery),
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._discovery),
            web.get("/{tenant}/.well-known/openid-configuration", self._discovery_v1),
            web.get("/{tenant}/discovery/v2.0/keys", self._keys),
            web.get("/{tenant}/discovery/keys", self._keys),
            web.route("*", "/{tenant}/oauth2/v2.0/token", self._token),
            web.get("/{tenant}/userrealm/{username}", self._realm),
        ]

    async def _instance_discovery(self, request: web.Request) -> web.Response:
        # MSAL leaves the port out of the authority that it asks about.
        asked = urlsplit(request.query.get("authorization_endpoint", ""))
        if asked.hostname != urlsplit(self._base_url).hostname and asked.hostname not in LOGIN:
            return web.json_response({"error": "invalid_instance"}, status=400)
        tenant, base_url = asked.path.strip("/").partition("/")[0] or "common", self._url(request)
        host = base_url.removeprefix("https://")
        return web.json_response({
            "tenant_discovery_endpoint": f"{base_url}/{tenant}/v2.0/.well-known/openid-configuration",
            "api-version": "1.1",
            "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
        })  # fmt: skip

    def _url(self, request: web.Request) -> str:
        """Return where the client found this server: a proxy may have brought it here under a name of Microsoft's."""
        return f"https://{request.host.lower()}" if request.host.lower() in LOGIN else self._base_url

    async def _discovery(self, request: web.Request) -> web.Response:
        return self._configuration(request, version="/v2.0")

    async def _discovery_v1(self, request: web.Request) -> web.Response:
        return self._configuration(request, version="")

    def _configuration(self, request: web.Request, *, version: str) -> web.Response:
        asked = request.match_info["tenant"]
        try:
            self._check_tenant(asked)
        except EntraError as error:
            return self._refusal(request, error, named="invalid_tenant")
        shared = asked.lower() in _SHARED_TENANTS
        base_url = self._url(request)
        at = f"{base_url}/{asked if shared else self._tenant.tenant_id}"
        named = "{tenantid}" if shared else self._tenant.tenant_id
        return web.json_response({
            "token_endpoint": f"{at}/oauth2{version}/token",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "jwks_uri": f"{at}/discovery{version}/keys",
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "issuer": f"{base_url}/{named}/v2.0" if version else issuer(self._tenant),
            "request_uri_parameter_supported": False,
            "userinfo_endpoint": f"{base_url}/oidc/userinfo",
            "authorization_endpoint": f"{at}/oauth2{version}/authorize",
            "device_authorization_endpoint": f"{at}/oauth2{version}/devicecode",
            "http_logout_supported": True,
            "frontchannel_logout_supported": True,
            "end_session_endpoint": f"{at}/oauth2{version}/logout",
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "nonce", "tid", "ver", "appid", "oid", "roles"],
            "tenant_region_scope": "EU",
        })  # fmt: skip

    async def _keys(self, request: web.Request) -> web.Response:
        try:
            self._check_tenant(request.match_info["tenant"])
        except EntraError as error:
            return self._refusal(request, error, named="invalid_tenant")
        return web.json_response({"keys": [self._key.jwk(f"{self._url(request)}/{self._tenant.tenant_id}/v2.0")]})

    async def _token(self, request: web.Request) -> web.Response:
        try:
            answer = await self._grant(request, await read_form(request))
        except EntraError as error:
            return self._refusal(request, error)
        headers = {**_NO_CACHE, **self._request_ids(request)[2]}
        return web.json_response(answer, headers=headers)

    async def _grant(self, request: web.Request, form: dict[str, str]) -> dict[str, Any]:
        grant, tenant_name = required(form, "grant_type"), request.match_info["tenant"]
        if grant in GRANTS:
            return await self._grant_for_user(tenant_name, grant, form)
        if grant != "client_credentials":
            raise EntraError(UNSUPPORTED_GRANT, grant=grant)
        if tenant_name.lower() in _SHARED_TENANTS:
            raise EntraError(NO_TENANT)
        self._check_tenant(tenant_name)
        client_id = required(form, "client_id")
        scope = required(form, "scope")
        cloud = self._setting("cloud")
        # An assertion says itself where it was meant to go, and is refused for that.
        if cloud not in (None, LOGIN.get(request.host.lower(), cloud)) and not form.get("client_assertion"):
            raise EntraError(ANOTHER_CLOUD)
        app = self._app(client_id)
        proof = await self._credentials.authenticate(app, form)
        token = self.tokens.give(app, resource_of(scope, self._tenant, cloud=cloud), proof)
        return {"token_type": "Bearer", **lifetime_answer(token.expires_in), "access_token": token.text}

    async def _grant_for_user(self, tenant_name: str, grant: str, form: dict[str, str]) -> dict[str, Any]:
        if grant == "password" and tenant_name.lower() in _NOT_FOR_PASSWORDS:
            raise EntraError(NOT_OVER_COMMON)
        self._check_tenant(tenant_name)
        client_id = required(form, "client_id")
        for name in ("username", "password", "scope") if grant == "password" else ("refresh_token",):
            required(form, name)
        app = self._app(client_id)
        proof = await self._credentials.authenticate_client(app, form)
        now = self._now()
        token = self._users.grant(app, form, context_class=proof.context_class, now=now)
        if self._issued is not None:
            self._issued.add(
                self._tenant,
                app,
                audience=token.audience,
                proof=proof.name,
                now=now,
                expires_in=token.expires_in,
                user=token.user,
                scopes=token.scopes,
            )
        return token.answer

    def _app(self, client_id: str) -> App:
        app = self._tenant.app(client_id)
        # A managed identity has no registration: nobody signs in as one but its machine.
        if app is None or (app.managed_identity and not app.federated):
            raise EntraError(UNKNOWN_APP, client_id=client_id, tenant=self._tenant.tenant_id)
        return app

    async def _realm(self, request: web.Request) -> web.Response:
        return web.json_response(realm(self._tenant, request.match_info["username"]))

    def _check_tenant(self, name: str) -> None:
        if name.lower() in _SHARED_TENANTS or self._tenant.answers_to(name):
            return
        raise EntraError(UNKNOWN_TENANT if _NAME.match(name) else MALFORMED_TENANT, tenant=name)

    def _request_ids(self, request: web.Request) -> tuple[str, str, dict[str, str]]:
        asked = request.headers.get("client-request-id")
        trace, correlation = str(uuid.uuid4()), correlation_id(asked)
        headers = {"x-ms-request-id": trace, "x-ms-ests-server": "2.1.0 - SANDBOX"}
        if request.headers.get("return-client-request-id", "").lower() == "true":
            headers["client-request-id"] = correlation
        return trace, correlation, headers

    def _refusal(self, request: web.Request, error: EntraError, named: str | None = None) -> web.Response:
        trace, correlation, headers = self._request_ids(request)
        body = error.body(trace_id=trace, correlation_id=correlation, login_url=self._url(request), now=self._now())
        if named is not None:
            body["error"] = named
        return web.json_response(body, status=error.meaning.status, headers={**_NO_CACHE, **headers})

    def unavailable(self, request: web.Request, *, status: int, retry_after: str | None) -> web.Response:
        """Return the answer of an Entra that is overloaded (429) or broken (5xx), for faults."""
        meaning = TOO_MANY_REQUESTS if status == 429 else UNAVAILABLE
        answer = self._refusal(request, EntraError(meaning))
        answer.set_status(status)
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer
