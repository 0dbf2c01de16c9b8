"""
The part of the admin API about what is around the tenant.

Other programs that take its tokens, and a cluster whose tokens it takes.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

from aiohttp import web

from bridge.sandbox.appcredentials import TOKEN_EXCHANGE
from bridge.sandbox.entra.tokens import is_exchange, is_graph
from bridge.sandbox.requests import RefusedError, json_object, text, texts, told
from bridge.sandbox.tenant import Resource

if TYPE_CHECKING:
    from bridge.sandbox.entra.workload import WorkloadIssuer
    from bridge.sandbox.tenant import TenantFile

_MOST_RESOURCES: Final = 100
_LIFETIME_SECONDS: Final = 3600
_MOST_SECONDS: Final = 86_400


@dataclass(frozen=True, slots=True)
class Surroundings:
    """The routes. Everything that is given is judged before anything is changed."""

    tenants: TenantFile
    workload: WorkloadIssuer | None

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added to the admin API."""
        return [
            web.get("/resources", self._resources),
            web.post("/resources", self._add_resource),
            web.delete("/resources/{client_id}", self._delete_resource),
            web.post("/workload-token", self._workload_token),
        ]

    async def _resources(self, _request: web.Request) -> web.Response:
        return web.json_response([_resource(resource) for resource in self.tenants.tenant.resources])

    async def _add_resource(self, request: web.Request) -> web.Response:
        given = await json_object(request, ("app_id_uri", "app_roles", "token_version"))
        uri, known = text(given, "app_id_uri").rstrip("/"), self.tenants.tenant.resources
        roles = texts(given, "app_roles") if "app_roles" in given else []
        version = given.get("token_version", 1)
        if urlsplit(uri).scheme not in {"api", "https"} or uri.split() != [uri] or is_exchange(uri) or is_graph(uri):
            raise RefusedError("app_id_uri is no URI such as api://rabbitmq that a resource may have")
        if any(not role or role.split() != [role] for role in roles):
            raise RefusedError("a role is empty or holds spaces")
        if type(version) is not int or version not in (1, 2):
            raise RefusedError("token_version is unknown", ("1", "2"))
        if self.tenants.tenant.resource(uri) is not None:
            raise RefusedError("there is a resource of this app_id_uri already")
        if len(known) >= _MOST_RESOURCES:
            raise RefusedError(f"there are {_MOST_RESOURCES} resources already")
        resource = Resource(uri, str(uuid.uuid4()), roles, version)
        known.append(resource)
        self.tenants.save()
        return web.json_response(_resource(resource))

    async def _delete_resource(self, request: web.Request) -> web.Response:
        resource = self.tenants.tenant.resource(request.match_info["client_id"])
        if resource is None:
            raise web.HTTPNotFound(reason="no such resource")
        self.tenants.tenant.resources.remove(resource)
        self.tenants.save()
        return web.json_response(_resource(resource))

    async def _workload_token(self, request: web.Request) -> web.Response:
        given = await json_object(request, ("subject", "audience", "lifetime"))
        subject, audience = text(given, "subject"), text(given, "audience") or TOKEN_EXCHANGE
        lifetime = given.get("lifetime", _LIFETIME_SECONDS)
        if not subject:
            raise RefusedError("subject is missing: whose token it is, as system:serviceaccount:NAMESPACE:NAME")
        # A negative life makes a token that has ended.
        if type(lifetime) is not int or abs(lifetime) > _MOST_SECONDS:
            raise RefusedError(f"lifetime is not a whole number of seconds from -{_MOST_SECONDS} to {_MOST_SECONDS}")
        if self.workload is None:
            raise web.HTTPNotFound(reason="there is no cluster here")
        token = await self.workload.token(subject, audience, lifetime_seconds=lifetime)
        return web.json_response({**token, "expires_at": told(token["expires_at"])})


def _resource(resource: Resource) -> dict[str, Any]:
    return {
        "app_id_uri": resource.app_id_uri,
        "client_id": resource.client_id,
        "app_roles": resource.app_roles,
        "token_version": resource.token_version,
    }
