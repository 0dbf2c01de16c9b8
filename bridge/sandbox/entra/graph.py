"""A corner of Microsoft Graph: the registrations of apps, with when their secrets and certificates end."""

from __future__ import annotations

import base64
import re
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.entra import signed
from bridge.sandbox.entra.errors import correlation_id
from bridge.sandbox.entra.tokens import generation_of, is_graph, issuer

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.sandbox.appcredentials import Certificate, Secret
    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.tenant import App, Tenant

# Each lets an app read every registration, the last one too, though it may change none but those that it owns.
_READERS: Final = frozenset({
    "Application.Read.All", "Application.ReadWrite.All", "Directory.Read.All", "Directory.ReadWrite.All",
    "Application.ReadWrite.OwnedBy",
})  # fmt: skip
_KEY: Final = re.compile(r"\(appId='([^']*)'\)\Z")
_FILTER: Final = re.compile(r"\s*appId\s+eq\s+'([^']*)'\s*\Z")
_REQUIRED: Final = ("aud", "iss", "exp", "nbf", "appid", "uti")
_METADATA: Final = "https://graph.microsoft.com/v1.0/$metadata#applications"
_INVALID_TOKEN: Final = "InvalidAuthenticationToken"  # noqa: S105 - a code


class _GraphError(Exception):
    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code)
        self.status = status
        self.code = code
        self.message = message


class GraphServer:
    """The routes, on Entra's port; `now` is Entra's clock."""

    def __init__(self, tenant: Tenant, key: SigningKey, now: Callable[[], float]) -> None:
        """Serve the registrations of `tenant`, for tokens that `key` signed."""
        self._tenant = tenant
        self._key = key
        self._now = now

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added to Entra's application before its own."""
        return [
            web.get("/v1.0/applications", self._answered(self._listed)),
            web.get("/v1.0/applications/{id}", self._answered(self._by_object_id)),
            web.get(r"/v1.0/applications{key:\(.*\)}", self._answered(self._by_app_id)),
        ]

    def _answered(
        self, work: Callable[[web.Request], dict[str, Any]]
    ) -> Callable[[web.Request], Any]:  # the handler that aiohttp wants
        async def handler(request: web.Request) -> web.Response:
            try:
                self._check(request)
                return web.json_response(work(request), headers=_ids(request))
            except _GraphError as error:
                return self._refusal(request, error)

        return handler

    def unavailable(self, request: web.Request, *, status: int, retry_after: str | None) -> web.Response:
        """Return the answer of a Graph that is overloaded or broken, for faults."""
        code = "TooManyRequests" if status == 429 else "ServiceNotAvailable"
        answer = self._refusal(request, _GraphError(status, code, "The service is busy or temporarily unavailable."))
        if retry_after is not None:
            answer.headers["Retry-After"] = retry_after
        return answer

    def soap_fault(self, code: str, values: Mapping[str, str]) -> web.Response:  # noqa: ARG002 - no SOAP is spoken here
        """Return HTTP 500: what a fault that is EWS's own comes down to here."""
        return web.Response(status=500)

    def _refusal(self, request: web.Request, error: _GraphError) -> web.Response:
        ids = _ids(request)
        inner = {"date": _iso(self._now()).removesuffix("Z"), **ids}
        body = {"code": error.code, "message": error.message, "innerError": inner}
        headers = {**ids, **({"WWW-Authenticate": "Bearer"} if error.status == 401 else {})}
        return web.json_response({"error": body}, status=error.status, headers=headers)

    def _check(self, request: web.Request) -> None:
        scheme, _, text = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not text.strip():
            raise _GraphError(401, _INVALID_TOKEN, "Access token is empty.")
        try:
            claims = signed.decode(text.strip(), self._key, required=_REQUIRED)
        except signed.WrongSignatureError:
            raise _GraphError(401, _INVALID_TOKEN, "Signature is invalid.") from None
        except signed.NoTokenError:
            raise _GraphError(401, _INVALID_TOKEN, "CompactToken parsing failed with error code: 80049217") from None
        if not is_graph(str(claims["aud"])):
            raise _GraphError(401, _INVALID_TOKEN, "Access token validation failure. Invalid audience.")
        current = generation_of(str(claims["uti"])) >= self._tenant.token_generation
        if claims["iss"] != issuer(self._tenant):
            raise _GraphError(401, _INVALID_TOKEN, "Access token validation failure. Invalid issuer.")
        if not (current and int(claims["nbf"]) <= self._now() < int(claims["exp"])):
            raise _GraphError(401, _INVALID_TOKEN, "Lifetime validation failed, the token is expired.")
        if not _READERS & set(claims.get("roles", ())):
            raise _GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")

    def _listed(self, request: web.Request) -> dict[str, Any]:
        registered = [app for app in self._tenant.apps if not app.managed_identity]
        wanted = request.query.get("$filter")
        if wanted is not None:
            matched = _FILTER.match(wanted)
            if matched is None:
                raise _GraphError(400, "Request_UnsupportedQuery", "Unsupported or invalid query filter clause.")
            registered = [app for app in registered if app.client_id == matched[1].lower()]
        return {"@odata.context": _METADATA, "value": [_selected(self._told(app), request.query) for app in registered]}

    def _by_app_id(self, request: web.Request) -> dict[str, Any]:
        matched = _KEY.match(request.match_info["key"])
        if matched is None:
            raise _GraphError(400, "BadRequest", "Resource not found for the segment 'applications'.")
        return self._one(matched[1], self._tenant.app(matched[1]), request)

    def _by_object_id(self, request: web.Request) -> dict[str, Any]:
        wanted = request.match_info["id"].lower()
        return self._one(
            wanted, next((one for one in self._tenant.apps if one.registration_id() == wanted), None), request
        )

    def _one(self, name: str, app: App | None, request: web.Request) -> dict[str, Any]:
        if app is None or app.managed_identity:
            raise _GraphError(
                404,
                "Request_ResourceNotFound",
                f"Resource '{name}' does not exist or one of its queried reference-property objects are not present.",
            )
        return {"@odata.context": f"{_METADATA}/$entity", **_selected(self._told(app), request.query)}

    def _told(self, app: App) -> dict[str, Any]:
        return {
            "id": app.registration_id(),
            "appId": app.client_id,
            "displayName": app.name,
            "signInAudience": "AzureADMyOrg",
            "passwordCredentials": [self._secret(secret) for secret in app.secrets],
            "keyCredentials": [_certificate(certificate) for certificate in app.certificates],
        }

    def _secret(self, secret: Secret) -> dict[str, Any]:
        # Secrets of earlier versions have no end; one that was made to expire ended no later than now.
        ends = [moment for moment in (secret.expires_at, self._now() if secret.expired else None) if moment is not None]
        return {
            "customKeyIdentifier": None,
            "displayName": secret.name or None,
            "endDateTime": _iso(min(ends)) if ends else "2299-12-31T00:00:00Z",
            "hint": secret.value[:3],
            "keyId": secret.secret_id,
            "secretText": None,
            "startDateTime": _iso(secret.starts_at),
        }


def _ids(request: web.Request) -> dict[str, str]:
    return {
        "request-id": str(uuid.uuid4()),
        "client-request-id": correlation_id(request.headers.get("client-request-id")),
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "customKeyIdentifier": base64.b64encode(bytes.fromhex(certificate.thumbprint)).decode(),
        "displayName": certificate.name,
        "endDateTime": _iso(certificate.expires_at),
        "key": None,
        "keyId": certificate.key_id,
        "startDateTime": _iso(certificate.starts_at),
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
    }


def _selected(told: dict[str, Any], query: Mapping[str, str]) -> dict[str, Any]:
    wanted = query.get("$select")
    if not wanted:
        return told
    names = {name.strip() for name in wanted.split(",")}
    for name in names - told.keys():
        raise _GraphError(
            400, "BadRequest", f"Could not find a property named '{name}' on type 'microsoft.graph.application'."
        )
    return {name: value for name, value in told.items() if name in names}


def _iso(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
