"""The part of the admin API that makes and changes apps: their rights, and what they may prove themselves by."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from aiohttp import web

from bridge.sandbox.appcredentials import TOKEN_EXCHANGE, Federated, new_secret
from bridge.sandbox.entra.certificate import NoCertificateError, read_certificate
from bridge.sandbox.requests import RefusedError, json_object, moment, number, switch, text, texts, told
from bridge.sandbox.tenant import new_app

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bridge.sandbox.appcredentials import Certificate, Secret
    from bridge.sandbox.ews.behaviour import BehaviourSettings
    from bridge.sandbox.settings import Announcement
    from bridge.sandbox.tenant import App, TenantFile

_CHANGEABLE: Final = ("name", "roles", "scopes", "mailboxes", "public_client", "enabled")
_OF_NEW: Final = (*_CHANGEABLE, "managed_identity")
_MANAGED: Final = ("system", "user")
_MOST_APPS: Final = 1000
# What Entra allows of each.
_MOST_FEDERATED: Final = 20
_MOST_CREDENTIALS: Final = 100


@dataclass(frozen=True, slots=True)
class Applications:
    """The routes. Everything that is given is judged before anything is changed."""

    tenants: TenantFile
    behaviour: BehaviourSettings
    announcement: Announcement

    def routes(self) -> list[web.RouteDef]:
        """Return all routes, to be added to the admin API."""
        one = "/apps/{client_id}"
        return [
            web.get("/apps", self._apps),
            web.post("/apps", self._add_app),
            web.get(one, self._one_app),
            web.put(one, self._change_app),
            web.patch(one, self._change_app),
            web.delete(one, self._delete_app),
            web.post(f"{one}/secrets", self._add_secret),
            web.patch(one + "/secrets/{secret_id}", self._change_secret),
            web.delete(one + "/secrets/{secret_id}", self._end_secret),
            web.post(f"{one}/certificates", self._add_certificate),
            web.delete(one + "/certificates/{thumbprint}", self._delete_certificate),
            web.post(f"{one}/federated", self._add_federated),
            web.delete(one + "/federated/{federated_id}", self._delete_federated),
        ]

    async def _apps(self, _request: web.Request) -> web.Response:
        return web.json_response([_app(app) for app in self.tenants.tenant.apps])

    async def _one_app(self, request: web.Request) -> web.Response:
        return web.json_response(_app(self._app(request)))

    async def _add_app(self, request: web.Request) -> web.Response:
        given = _judged(await json_object(request, _OF_NEW))
        apps, managed = self.tenants.tenant.apps, given.get("managed_identity", "")
        if len(apps) >= _MOST_APPS:
            raise RefusedError(f"there are {_MOST_APPS} apps already")
        if managed == "system" and any(app.managed_identity == "system" for app in apps):
            raise RefusedError("the machine has a system assigned identity already")
        # Unlike the first one, an app begins without any right.
        app = new_app(given.get("name") or "app", [])
        if managed:
            app.managed_identity, app.secrets = managed, []
        self._change(app, given)
        apps.append(app)
        self.tenants.save()
        secret = {"client_secret": app.secrets[0].value, "secret_id": app.secrets[0].secret_id} if app.secrets else {}
        return web.json_response({**_app(app), **secret})

    async def _change_app(self, request: web.Request) -> web.Response:
        app = self._app(request)
        self._change(app, _judged(await json_object(request, _CHANGEABLE)))
        self.tenants.save()
        return web.json_response(_app(app))

    async def _delete_app(self, request: web.Request) -> web.Response:
        app, apps = self._app(request), self.tenants.tenant.apps
        if app is apps[0]:
            raise RefusedError("the app that sandbox.json names stays")
        apps.remove(app)
        self.tenants.save()
        return web.json_response(_app(app))

    async def _add_secret(self, request: web.Request) -> web.Response:
        app = self._with_credentials(request)
        given = await json_object(request, ("name", "expires_at")) if request.can_read_body else {}
        secret = new_secret(name=_name(given), expires_at=moment(given, "expires_at"))
        _room(app.secrets, _MOST_CREDENTIALS, "secrets")
        app.secrets.append(secret)
        self._keep_secrets()
        return web.json_response({**_secret(secret), "client_secret": secret.value})

    async def _change_secret(self, request: web.Request) -> web.Response:
        _, secret = self._secret(request)
        given = await json_object(request, ("expires_at", "expired"))
        ends, expired = moment(given, "expires_at"), switch(given, "expired")
        secret.expires_at = secret.expires_at if ends is None else ends
        secret.expired = secret.expired if expired is None else expired
        self._keep_secrets()
        return web.json_response(_secret(secret))

    async def _end_secret(self, request: web.Request) -> web.Response:
        app, secret = self._secret(request)
        removed = number(request, "remove", default=0, most=1) == 1
        secret.expired = True
        if removed:
            app.secrets.remove(secret)
        self._keep_secrets()
        return web.json_response({"secret_id": secret.secret_id, "expired": True, "removed": removed})

    async def _add_certificate(self, request: web.Request) -> web.Response:
        app = self._with_credentials(request)
        given = await json_object(request, ("pem",))
        try:
            certificate = read_certificate(text(given, "pem").encode())
        except NoCertificateError as error:
            raise RefusedError(f"pem: {error}") from None
        there = next((one for one in app.certificates if one.thumbprint == certificate.thumbprint), None)
        if there is None:
            _room(app.certificates, _MOST_CREDENTIALS, "certificates")
            app.certificates.append(certificate)
            self.tenants.save()
        return web.json_response(_certificate(there or certificate))

    async def _delete_certificate(self, request: web.Request) -> web.Response:
        app, wanted = self._app(request), request.match_info["thumbprint"].lower().replace(":", "")
        for certificate in app.certificates:
            if wanted in (certificate.thumbprint.lower(), certificate.thumbprint_sha256.lower(), certificate.key_id):
                app.certificates.remove(certificate)
                self.tenants.save()
                return web.json_response(_certificate(certificate))
        raise web.HTTPNotFound(reason="no such certificate")

    async def _add_federated(self, request: web.Request) -> web.Response:
        app = self._app(request)
        given = await json_object(request, ("name", "issuer", "subject", "audience"))
        issuer, subject = text(given, "issuer"), text(given, "subject")
        audience = text(given, "audience") or TOKEN_EXCHANGE
        if not issuer.startswith("https://") or not subject:
            raise RefusedError("a federated credential needs a subject, and an issuer that begins with https://")
        if any((one.issuer, one.subject) == (issuer, subject) for one in app.federated):
            raise RefusedError("the app has a federated credential of this issuer and subject already")
        _room(app.federated, _MOST_FEDERATED, "federated credentials")
        federated = Federated(str(uuid.uuid4()), _name(given), issuer, subject, audience)
        app.federated.append(federated)
        self.tenants.save()
        return web.json_response(_federated(federated))

    async def _delete_federated(self, request: web.Request) -> web.Response:
        app, wanted = self._app(request), request.match_info["federated_id"]
        federated = next((one for one in app.federated if one.federated_id == wanted), None)
        if federated is None:
            raise web.HTTPNotFound(reason="no such federated credential")
        app.federated.remove(federated)
        self.tenants.save()
        return web.json_response(_federated(federated))

    def _change(self, app: App, given: dict[str, Any]) -> None:
        if "mailboxes" in given:
            delay = self.behaviour.of_all("access_delay_seconds")
            app.assign([address.lower() for address in given["mailboxes"]], delay_seconds=delay)
        app.name = given.get("name") or app.name
        app.roles = given.get("roles", app.roles)
        app.scopes = given.get("scopes", app.scopes)
        app.public_client = given.get("public_client", app.public_client)
        app.enabled = given.get("enabled", app.enabled)

    def _keep_secrets(self) -> None:
        self.tenants.save()
        self.announcement.write()

    def _app(self, request: web.Request) -> App:
        app = self.tenants.tenant.app(request.match_info["client_id"])
        if app is None:
            raise web.HTTPNotFound(reason="no such app")
        return app

    def _with_credentials(self, request: web.Request) -> App:
        app = self._app(request)
        if app.managed_identity:
            raise RefusedError("a managed identity has neither secrets nor certificates")
        return app

    def _secret(self, request: web.Request) -> tuple[App, Secret]:
        app, wanted = self._app(request), request.match_info["secret_id"]
        for secret in app.secrets:
            if secret.secret_id == wanted:
                return app, secret
        raise web.HTTPNotFound(reason="no such secret")


def _judged(given: dict[str, Any]) -> dict[str, Any]:
    """Return what is given of an app, each part of its kind."""
    for key in ("roles", "scopes", "mailboxes"):
        if key in given:
            texts(given, key)
    if any(not entry or entry.split() != [entry] for entry in given.get("scopes", ())):
        raise RefusedError("a scope is empty or holds spaces")
    _name(given)
    if text(given, "managed_identity") not in ("", *_MANAGED):
        raise RefusedError("managed_identity is unknown", _MANAGED)
    switch(given, "public_client")
    switch(given, "enabled")
    return given


def _name(given: dict[str, Any]) -> str:
    name = text(given, "name")
    if not name.isprintable():
        raise RefusedError("name holds what cannot be printed")
    return name


def _room(kept: Sequence[object], most: int, what: str) -> None:
    if len(kept) >= most:
        raise RefusedError(f"the app has {most} {what} already")


def _app(app: App) -> dict[str, Any]:
    return {
        "client_id": app.client_id,
        "object_id": app.object_id,
        "name": app.name,
        "enabled": app.enabled,
        "managed_identity": app.managed_identity,
        "roles": app.roles,
        "scopes": app.scopes,
        "mailboxes": app.mailboxes,
        "public_client": app.public_client,
        "secrets": [_secret(secret) for secret in app.secrets],
        "certificates": [_certificate(certificate) for certificate in app.certificates],
        "federated": [_federated(federated) for federated in app.federated],
    }


def _secret(secret: Secret) -> dict[str, Any]:
    return {
        "secret_id": secret.secret_id,
        "name": secret.name,
        "expired": secret.expired,
        "expires_at": None if secret.expires_at is None else told(secret.expires_at),
    }


def _certificate(certificate: Certificate) -> dict[str, Any]:
    return {
        "thumbprint": certificate.thumbprint,
        "thumbprint_sha256": certificate.thumbprint_sha256,
        "key_id": certificate.key_id,
        "name": certificate.name,
        "starts_at": told(certificate.starts_at),
        "expires_at": told(certificate.expires_at),
    }


def _federated(federated: Federated) -> dict[str, str]:
    return {
        "federated_id": federated.federated_id,
        "name": federated.name,
        "issuer": federated.issuer,
        "subject": federated.subject,
        "audience": federated.audience,
    }
