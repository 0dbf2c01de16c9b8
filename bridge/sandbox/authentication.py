"""Who calls EWS: bearer tokens verified for real, names and passwords on-premises; refusals with Exchange's headers."""

from __future__ import annotations

import base64
import binascii
import hmac
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

import jwt

from bridge.sandbox.entra.tokens import EXCHANGE_APP_ID, generation_of, is_exchange, issuer
from bridge.sandbox.tenant import FULL_ACCESS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.sandbox.entra.keys import SigningKey
    from bridge.sandbox.tenant import App, Tenant, User

# MS-XOAUTH's numbers and categories, as Exchange sends them in x-ms-diagnostics.
_INVALID_SIGNATURE: Final = (2000000, "invalid_signature", "The token has an invalid signature.")
_INVALID_TOKEN: Final = (2000001, "invalid_token", "OAuth token submitted with the request can not be parsed.")
_EXPIRED: Final = (2000002, "token_expired", "The token has expired.")
_WRONG_AUDIENCE: Final = (2000003, "invalid_resource", "The audience claim value is invalid '{audience}'.")
_WRONG_TENANT: Final = (2000004, "invalid_tenant", "The tenant for tenant guid '{tenant}' does not exist.")
_NO_ROLE: Final = (
    2000008,
    "invalid_grant",
    "The token should have valid permissions or linked account associated with partner application '{client_id}'.",
)

_BEARER = (
    f'Bearer client_id="{EXCHANGE_APP_ID}", trusted_issuers="00000001-0000-0000-c000-000000000000@*", '
    'token_types="app_asserted_user_v1 service_asserted_app_v1", '
    'authorization_uri="https://login.windows.net/common/oauth2/authorize"'
)
# Tokens are verified once and remembered by their text: a signature check for each of thousands of calls buys nothing.
_REMEMBERED_TOKENS = 64


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sends a request: an app with a token, or a user or service account with a password."""

    app: App | None = None
    user: User | None = None
    is_service_account: bool = False

    @property
    def must_impersonate(self) -> bool:
        """Tell whether the caller has no mailbox of its own and must name one."""
        return self.app is not None

    def may_open(self, address: str) -> bool:
        """Tell whether the caller may act in a mailbox, its own or by impersonation."""
        if self.app is not None:
            return self.app.may_open(address)
        return self.is_service_account or (self.user is not None and self.user.address.lower() == address.lower())


@dataclass(frozen=True, slots=True)
class Challenge:
    """A refusal to talk: HTTP 401 and the headers that go with it. `headers` may name one header several times."""

    headers: tuple[tuple[str, str], ...]
    status: int = 401


class Authenticator(Protocol):
    """Tells who sends a request."""

    def authenticate(self, headers: Mapping[str, str]) -> Caller | Challenge:
        """Return the caller, or what to answer in place of work. `headers` is case-insensitive."""


@dataclass(slots=True)
class BearerAuthenticator:
    """Takes tokens of the sandbox's own Entra, as Exchange Online does: signature, issuer, audience, times, role."""

    tenant: Tenant
    key: SigningKey
    now: Callable[[], float]
    _verified: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)

    def authenticate(self, headers: Mapping[str, str]) -> Caller | Challenge:
        """Return the app that a valid token names."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            return Challenge((("WWW-Authenticate", _BEARER),))
        try:
            claims = self._claims(token.strip())
        except jwt.InvalidSignatureError:
            return _refused(_INVALID_SIGNATURE)
        except jwt.PyJWTError:
            return _refused(_INVALID_TOKEN)
        return self._caller(claims)

    def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that we signed; what they claim is not judged here."""
        claims = self._verified.get(token)
        if claims is None:
            claims = jwt.decode(
                token,
                self.key.private.public_key(),
                algorithms=["RS256"],
                options={"require": ["aud", "iss", "exp", "nbf", "appid", "uti"], "verify_aud": False,
                         "verify_exp": False, "verify_nbf": False, "verify_iat": False},
            )  # fmt: skip
            self._verified[token] = claims
            while len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        return claims

    def _caller(self, claims: dict[str, Any]) -> Caller | Challenge:
        if not is_exchange(str(claims["aud"])):
            return _refused(_WRONG_AUDIENCE, audience=str(claims["aud"]))
        if claims["iss"] != issuer(self.tenant):
            return _refused(_WRONG_TENANT, tenant=str(claims.get("tid", "")))
        current = generation_of(str(claims["uti"])) >= self.tenant.token_generation
        if not (current and int(claims["nbf"]) <= self.now() < int(claims["exp"])):
            return _refused(_EXPIRED)
        app = self.tenant.app(str(claims["appid"]))
        if app is None or FULL_ACCESS not in claims.get("roles", []):
            return _refused(_NO_ROLE, client_id=str(claims["appid"]))
        return Caller(app=app)


@dataclass(slots=True)
class BasicAuthenticator:
    """Takes the names and passwords of the tenant's users and of its service account, as Exchange Server does."""

    tenant: Tenant
    realm: str = "127.0.0.1"

    def authenticate(self, headers: Mapping[str, str]) -> Caller | Challenge:
        """Return the user whose name and password the Basic header carries."""
        scheme, _, credentials = headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            caller = self._caller(*_name_and_password(credentials))
            if caller is not None:
                return caller
        return Challenge((("WWW-Authenticate", f'Basic realm="{self.realm}"'),))

    def _caller(self, name: str, password: str) -> Caller | None:
        account = self.tenant.service_account
        for user in (*self.tenant.users, *([account] if account is not None else [])):
            # DOMAIN\name, name@domain and the bare name mean the same account to Exchange Server.
            if user.username.lower() == name.rpartition("\\")[2].lower() and hmac.compare_digest(
                user.password.encode(), password.encode()
            ):
                return Caller(user=user, is_service_account=user is account)
        return None


def _refused(reason: tuple[int, str, str], **details: str) -> Challenge:
    number, category, text = reason
    return Challenge((
        ("WWW-Authenticate", f'{_BEARER}, error="invalid_token"'),
        ("x-ms-diagnostics", f'{number};reason="{_header_safe(text.format(**details))}";error_category="{category}"'),
    ))  # fmt: skip


def _header_safe(text: str) -> str:
    """Return text that cannot end a header line or a quoted string: parts of it come out of a token."""
    return "".join(character for character in text if " " <= character <= "~" and character != '"')[:500]


def _name_and_password(credentials: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", ""
    return name, password
