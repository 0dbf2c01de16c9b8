"""
The machine's side of managed identities: whoever asks on this machine gets a token, without a proof.

Both forms: the metadata service of a virtual machine (IMDS), and the endpoint that App Service tells its programs.
"""

from __future__ import annotations

import hmac
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.entra.credentials import check_enabled
from bridge.sandbox.entra.errors import UNKNOWN_RESOURCE, EntraError
from bridge.sandbox.entra.proofs import BY_MACHINE
from bridge.sandbox.entra.tokens import AppTokens, check_resource, managed_resource_id
from bridge.sandbox.faults.effects import strike_after, strike_before
from bridge.sandbox.faults.rules import Call
from bridge.sandbox.hosts import MACHINE_PATH, SERVICE_PATH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from aiohttp.typedefs import Handler

    from bridge.sandbox.calls import CallLog
    from bridge.sandbox.faults.rules import FaultBook
    from bridge.sandbox.tenant import App, Tenant

_OPERATION: Final = "metadata"
_OWN_HOSTS: Final = ("127.0.0.1", "localhost", "169.254.169.254")

_NO_IDENTITY: Final = "Identity not found"
_SEVERAL: Final = (
    "Multiple user assigned identities exist, please specify the clientId / resourceId of the identity in the token "
    "request"
)
_NOT_THAT_ONE: Final = (
    "No User Assigned or Delegated Managed Identity found for specified ClientId/ResourceId/PrincipalId."
)
_UNAVAILABLE: Final[Mapping[int, tuple[str, str]]] = {
    410: ("gone", "The identity endpoint is being updated. Try again within seventy seconds."),
    429: ("too_many_requests", "Too many requests"),
}
_VAGUE: Final = "An unexpected error occured while fetching the AAD Token."
_FAILED: Final = ("unknown", "Failed to retrieve token from the Active directory.")


class _RefusedError(Exception):
    def __init__(self, status: int, error: str, description: str) -> None:
        super().__init__(error)
        self.status = status
        self.error = error
        self.description = description


@dataclass(frozen=True, slots=True)
class MetadataServer:
    """The routes of one machine; its identities are the apps that say they are `managed_identity`."""

    tenant: Tenant
    tokens: AppTokens
    setting: Callable[[str], Any]

    def application(self, book: FaultBook, log: CallLog, *, port: int) -> web.Application:
        """Return the application that listens on loopback, without TLS as the real ones do."""
        hosts = {*(f"{host}:{port}" for host in _OWN_HOSTS), *_OWN_HOSTS}

        @web.middleware
        async def struck(request: web.Request, handler: Handler) -> web.StreamResponse:
            # A name that was made to lead here is how a page of somebody else's would ask for a token.
            if request.host not in hosts:
                return _machine_refusal(403, "forbidden", "This machine is not asked under that name.")
            strikes = book.begin(Call(_OPERATION, service="entra"))
            with log.begin(_OPERATION) as call:
                answer = await strike_before(strikes.before, request, self)
                if answer is None:
                    answer = await strike_after(strikes.after, request, await handler(request))
                call.end(failed=answer.status >= web.HTTPBadRequest.status_code)
                return answer

        application = web.Application(middlewares=[struck])
        application.add_routes([
            web.get(MACHINE_PATH, self._of_machine), web.get(SERVICE_PATH, self._of_service),
        ])  # fmt: skip
        return application

    async def _of_machine(self, request: web.Request) -> web.Response:
        try:
            answer = self._for_machine(request)
        except _RefusedError as error:
            return _machine_refusal(error.status, error.error, error.description)
        times = {name: str(answer[name]) for name in ("expires_in", "ext_expires_in", "expires_on", "not_before")}
        return web.json_response({**answer, **times})

    async def _of_service(self, request: web.Request) -> web.Response:
        try:
            answer = self._for_service(request)
        except _RefusedError as error:
            if error.error == UNKNOWN_RESOURCE.error:
                return _service_refusal(500, _VAGUE)
            return _service_refusal(error.status, error.description)
        told = ("access_token", "client_id", "resource", "token_type")
        return web.json_response({**{name: answer[name] for name in told}, "expires_on": str(answer["expires_on"])})

    def _for_machine(self, request: web.Request) -> dict[str, Any]:
        # Both keep pages and servers of somebody else's from asking in this machine's name.
        if request.headers.get("Metadata", "").lower() != "true" or "X-Forwarded-For" in request.headers:
            raise _RefusedError(400, "invalid_request", "Required metadata header not specified")
        names = {
            "client_id": "client_id",
            "object_id": "object_id",
            "msi_res_id": "mi_res_id",
            "mi_res_id": "mi_res_id",
        }
        return self._granted(request, names, missing=_NO_IDENTITY, several=_SEVERAL)

    def _for_service(self, request: web.Request) -> dict[str, Any]:
        secret = request.headers.get("X-IDENTITY-HEADER", "")
        if not hmac.compare_digest(secret.encode(), self.tenant.identity_header.encode()):
            raise _RefusedError(401, "unauthorized", "The X-IDENTITY-HEADER is missing or wrong.")
        names = {
            "client_id": "client_id",
            "object_id": "object_id",
            "principal_id": "object_id",
            "mi_res_id": "mi_res_id",
        }
        return self._granted(request, names, missing=_NOT_THAT_ONE, several=_NOT_THAT_ONE)

    def _granted(self, request: web.Request, names: Mapping[str, str], *, missing: str, several: str) -> dict[str, Any]:
        _required(request, "api-version")
        resource = _required(request, "resource")
        app = self._identity(request, names, missing, several)
        try:
            check_enabled(app)
            check_resource(resource.rstrip("/"), resource, self.tenant, cloud=self.setting("cloud"))
        except EntraError as error:
            told = error.body(trace_id=str(uuid.uuid4()), correlation_id=str(uuid.uuid4()), login_url="", now=0.0)
            raise _RefusedError(400, error.meaning.error, str(told["error_description"])) from None
        token = self.tokens.give(app, resource, BY_MACHINE)
        now = int(self.tokens.now())
        return {
            "access_token": token.text,
            "client_id": app.client_id,
            "expires_in": token.expires_in,
            "expires_on": now + token.expires_in,
            "ext_expires_in": token.expires_in,
            "not_before": now,
            "resource": resource,
            "token_type": "Bearer",
        }

    def _identity(self, request: web.Request, names: Mapping[str, str], missing: str, several: str) -> App:
        known = [app for app in self.tenant.apps if app.managed_identity]
        wanted = {kind: request.query[name].lower() for name, kind in names.items() if request.query.get(name)}
        if wanted:
            found = [app for app in known if app.managed_identity == "user" and self._is(app, wanted)]
        else:
            # Without a system assigned identity, the only user assigned one is meant.
            found = [app for app in known if app.managed_identity == "system"] or known
        if len(found) > 1:
            raise _RefusedError(400, "invalid_request", several)
        if not found:
            raise _RefusedError(400, "invalid_request", missing)
        return found[0]

    def _is(self, app: App, wanted: Mapping[str, str]) -> bool:
        own = {
            "client_id": app.client_id,
            "object_id": app.object_id,
            "mi_res_id": managed_resource_id(self.tenant, app).lower(),
        }
        return all(own[kind] == value for kind, value in wanted.items())

    # What faults answer

    def unavailable(self, request: web.Request, *, status: int, retry_after: str | None) -> web.Response:
        """Return the answer of a metadata service that is busy, being updated or broken."""
        error, description = _UNAVAILABLE.get(status, _FAILED)
        machine = request.path == MACHINE_PATH
        answer = _machine_refusal(status, error, description) if machine else _service_refusal(status, description)
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def soap_fault(self, code: str, values: Mapping[str, str]) -> web.Response:  # noqa: ARG002 - no SOAP is spoken here
        """Return HTTP 500: what a fault that is EWS's own comes down to here."""
        return web.Response(status=500)


def _required(request: web.Request, name: str) -> str:
    value = request.query.get(name, "")
    if not value:
        raise _RefusedError(400, "invalid_request", f"Required query variable '{name}' is missing")
    return value


def _machine_refusal(status: int, error: str, description: str) -> web.Response:
    return web.json_response({"error": error, "error_description": description}, status=status)


def _service_refusal(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "message": message, "correlationId": str(uuid.uuid4())}
    return web.json_response(body, status=status)
