"""
Tokens that an app gets for a user: by the user's password (ROPC), and anew by a refresh token.

Refresh tokens are signed and hold all that they mean, so nothing of them is kept: they outlive a kill, and end when the
user's password changes, the user is switched off, or ninety days have passed.
"""

from __future__ import annotations

import base64
import hmac
import json
import secrets
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.entra import errors, signed
from bridge.sandbox.entra.errors import EntraError
from bridge.sandbox.entra.tokens import check_resource, issuer, lifetime_answer, unique_id
from bridge.sandbox.tenant import ACCESS_AS_USER, domain_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.tenant import App, Tenant, User

GRANTS: Final = frozenset({"password", "refresh_token"})
# What the two resources offer to users, as far as mail goes; others are refused as unknown to the resource.
KNOWN_SCOPES: Final = frozenset({
    ACCESS_AS_USER, "IMAP.AccessAsUser.All", "POP.AccessAsUser.All", "SMTP.Send", "User.Read",
    "Mail.Read", "Mail.ReadWrite", "Mail.Send", "Mail.Read.Shared", "Mail.ReadWrite.Shared", "Mail.Send.Shared",
})  # fmt: skip
_OPENID: Final = frozenset({"openid", "profile", "email", "offline_access"})
_DEFAULT: Final = ".default"
_REFRESHED_FOR_SECONDS: Final = 90 * 86_400
_REFRESH_AUDIENCE: Final = "refresh"
_REFRESH_CLAIMS: Final = ("aud", "iat", "appid", "oid", "scope", "generation")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a scope asks for: a resource, permissions on it, and which other tokens shall come along."""

    resource: str
    scopes: tuple[str, ...]
    id_token: bool
    refresh_token: bool


@dataclass(frozen=True, slots=True)
class Delegated:
    """A token for a user: the answer of the token endpoint, and what is recorded of it."""

    answer: dict[str, Any]
    user: str
    audience: str
    scopes: tuple[str, ...]
    expires_in: int


@dataclass(frozen=True, slots=True)
class UserGrants:
    """Gives an app tokens for users, once the app has proved itself where it must."""

    tenant: Tenant
    key: SigningKey
    base_url: str

    def grant(self, app: App, form: Mapping[str, str], *, context_class: str, now: float) -> Delegated:
        """
        Return what a request for a user's token is answered with.

        Raises:
            EntraError: The user does not exist, may not sign in, has another password, or did not consent; or the
                refresh token is none or has ended.
        """
        if form["grant_type"] == "password":
            user, granted = self._by_password(form), None
        else:
            user, granted = self._by_refresh_token(app, form, now)
        asked = self._asked(app, form.get("scope") or granted or "")
        return self._answer(app, user, asked, form, context_class=context_class, now=now)

    def _by_password(self, form: Mapping[str, str]) -> User:
        user = self.tenant.user(form["username"])
        if user is None:
            raise EntraError(errors.UNKNOWN_USER, user="{EmailHidden}", tenant=self.tenant.tenant_id)
        if not hmac.compare_digest(user.password.encode(), form["password"].encode()):
            raise EntraError(errors.WRONG_PASSWORD)
        if not user.enabled:
            raise EntraError(errors.DISABLED_USER)
        return user

    def _by_refresh_token(self, app: App, form: Mapping[str, str], now: float) -> tuple[User, str]:
        try:
            claims = signed.decode(form["refresh_token"], self.key, required=_REFRESH_CLAIMS)
        except signed.NoTokenError:
            raise EntraError(errors.MALFORMED_GRANT) from None
        user = next((one for one in self.tenant.users if object_id(self.tenant, one) == claims["oid"]), None)
        if user is None or claims["appid"] != app.client_id or claims["aud"] != _REFRESH_AUDIENCE:
            raise EntraError(errors.MALFORMED_GRANT)
        issued = datetime.fromtimestamp(claims["iat"], UTC).isoformat()
        if now >= claims["iat"] + _REFRESHED_FOR_SECONDS:
            raise EntraError(errors.OLD_GRANT, issued=issued)
        if not user.enabled:
            raise EntraError(errors.DISABLED_USER)
        if claims["generation"] < user.generation:
            raise EntraError(errors.REVOKED_GRANT, issued=issued)
        return user, str(claims["scope"])

    def _asked(self, app: App, scope: str) -> Asked:
        wanted = scope.split()
        named = [one for one in wanted if one not in _OPENID]
        resources = {one.rpartition("/")[0] for one in named}
        if len(resources) != 1:
            raise EntraError(errors.MORE_THAN_ONE_RESOURCE if resources else errors.BAD_SCOPE, scope=scope)
        resource = check_resource(resources.pop(), scope, self.tenant)
        names = [one.rpartition("/")[2] for one in named]
        scopes = list(dict.fromkeys(app.scopes if _DEFAULT in names else names))
        for name in names:
            if name != _DEFAULT and name not in KNOWN_SCOPES:
                raise EntraError(errors.UNKNOWN_SCOPE, scope=name, resource=resource)
        if not scopes or not set(scopes) <= set(app.scopes):
            raise EntraError(errors.NO_CONSENT, client_id=app.client_id, name=app.name)
        return Asked(resource, tuple(scopes), "openid" in wanted, "offline_access" in wanted)

    def _answer(
        self, app: App, user: User, asked: Asked, form: Mapping[str, str], *, context_class: str, now: float
    ) -> Delegated:
        issued_at, lifetime = int(now), self.tenant.token_lifetime_seconds
        times = {"iat": issued_at, "nbf": issued_at, "exp": issued_at + lifetime}
        who = {"oid": object_id(self.tenant, user), "tid": self.tenant.tenant_id, "name": _name(user)}
        access = {
            **times,
            **who,
            "aud": asked.resource,
            "iss": issuer(self.tenant),
            "acr": "1",
            "amr": ["pwd"],
            "appid": app.client_id,
            "app_displayname": app.name,
            "appidacr": context_class,
            "idtyp": "user",
            "scp": " ".join(asked.scopes),
            "sub": self._subject(app, user),
            "unique_name": user.address,
            "upn": user.address,
            "uti": unique_id(self.tenant.token_generation),
            "ver": "1.0",
        }
        answer: dict[str, Any] = {
            "token_type": "Bearer",
            "scope": " ".join(f"{asked.resource}/{name}" for name in asked.scopes),
            **lifetime_answer(lifetime),
            "access_token": signed.encode(access, self.key),
        }
        if asked.refresh_token:
            answer["refresh_token"] = signed.encode({
                "aud": _REFRESH_AUDIENCE, "iat": issued_at, "appid": app.client_id, "oid": who["oid"],
                "scope": form.get("scope") or " ".join((answer["scope"], "offline_access")),
                "generation": user.generation, "jti": secrets.token_urlsafe(12),
            }, self.key)  # fmt: skip
        if asked.id_token:
            answer["id_token"] = signed.encode({
                **times, **who, "aud": app.client_id, "iss": f"{self.base_url}/{self.tenant.tenant_id}/v2.0",
                "preferred_username": user.address, "sub": access["sub"], "ver": "2.0",
            }, self.key)  # fmt: skip
        if form.get("client_info") == "1":
            client_info = json.dumps({"uid": who["oid"], "utid": who["tid"]}).encode()
            answer["client_info"] = base64.urlsafe_b64encode(client_info).rstrip(b"=").decode()
        return Delegated(answer, user.address, asked.resource, asked.scopes, lifetime)

    def _subject(self, app: App, user: User) -> str:
        """Return who the user is to this app: another text for each app, the same each time."""
        pair = uuid.uuid5(uuid.UUID(object_id(self.tenant, user)), app.client_id)
        return base64.urlsafe_b64encode(pair.bytes).rstrip(b"=").decode()


def realm(tenant: Tenant, username: str) -> dict[str, str]:
    """Return where a user signs in: here, or nowhere that is known."""
    domain = domain_of(username)
    if domain not in tenant.domains():
        return {"ver": "1.0", "account_type": "Unknown", "cloud_instance_name": "microsoftonline.com"}
    return {
        "ver": "1.0",
        "account_type": "Managed",
        "domain_name": domain,
        "cloud_instance_name": "microsoftonline.com",
        "cloud_audience_urn": "urn:federation:MicrosoftOnline",
    }


def object_id(tenant: Tenant, user: User) -> str:
    """Return the user's id in the directory, which follows from the address."""
    return str(uuid.uuid5(uuid.UUID(tenant.tenant_id), user.address.lower()))


def _name(user: User) -> str:
    return user.address.partition("@")[0]
