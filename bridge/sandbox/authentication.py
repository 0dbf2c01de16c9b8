"""
Who calls EWS: bearer tokens verified for real; refusals with the headers of Exchange.

The kinds of caller are here too, for there is one way to ask whose mailboxes somebody may open.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bridge.sandbox.entra import signed
from bridge.sandbox.entra.tokens import EXCHANGE_APP_ID, generation_of, is_exchange, issuer
from bridge.sandbox.ews.hooks import RefusedError
from bridge.sandbox.grants import TenantGrants
from bridge.sandbox.tenant import ACCESS_AS_USER, FULL_ACCESS

if TYPE_CHECKING:
    from collections.abc import Callable

    from aiohttp import web

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
# Recorded by several people, with HTTP 403: the token says what it is for, and that is not this.
_NOT_ENOUGH: Final = (2000008, "invalid_grant", "The token contains not enough scope to make this call.")
_NO_USER: Final = (2000005, "invalid_user", "The user specified by the user-context in the token does not exist.")

BEARER_CHALLENGE: Final = (
    f'Bearer client_id="{EXCHANGE_APP_ID}", trusted_issuers="00000001-0000-0000-c000-000000000000@*", '
    'token_types="app_asserted_user_v1 service_asserted_app_v1", '
    'authorization_uri="https://login.windows.net/common/oauth2/authorize"'
)
# Tokens are verified once and remembered by their text: a signature check for each of thousands of calls buys nothing.
_REMEMBERED_TOKENS = 64
_REQUIRED = ("aud", "iss", "exp", "nbf", "appid", "uti")


@dataclass(frozen=True, slots=True)
class AppCaller:
    """An application with a token: it has no mailbox and must impersonate."""

    app: App
    has_full_access: bool
    """Whether the token says so: consent counts as it was when the token was issued, assignments as they are now."""

    @property
    def must_impersonate(self) -> bool:
        """Tell that a mailbox must be named."""
        return True

    @property
    def mailbox(self) -> str | None:
        """Return None: an application has none."""
        return None

    def may_open(self, address: str) -> bool:
        """Return whether the app's rights cover a mailbox."""
        return self.has_full_access or self.app.is_assigned(address)

    def may_impersonate(self, address: str) -> bool:
        """Tell the same: an app opens mailboxes in no other way."""
        return self.may_open(address)


@dataclass(frozen=True, slots=True)
class UserCaller:
    """A user, by name and password or by a token that an app got for the user; or an account without a mailbox."""

    user: User
    tenant: Tenant
    app: App | None = None
    """The app that the token was issued to."""

    @property
    def must_impersonate(self) -> bool:
        """Tell that a mailbox need not be named."""
        return False

    @property
    def mailbox(self) -> str | None:
        """Return the user's own mailbox; the service account has none."""
        return self.user.address or None

    def may_open(self, address: str) -> bool:
        """Return whether a mailbox is the user's own, or one with full access for the user."""
        return TenantGrants(self.tenant).opens(self.user.address or self.user.username, address)

    def may_impersonate(self, address: str) -> bool:
        """Return whether a mailbox is in the scope of the user's right to impersonate."""
        return self.user.may_impersonate(address)


@dataclass(slots=True)
class BearerAuthenticator:
    """Takes tokens of the sandbox's own Entra, as Exchange Online does: signature, issuer, audience, times, role."""

    tenant: Tenant
    key: SigningKey
    now: Callable[[], float]
    _verified: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)

    async def __call__(self, request: web.Request) -> AppCaller | UserCaller:
        """
        Return the app that the request's token names, or the user whom it was issued for.

        Raises:
            RefusedError: 401, there is no token, or none that Exchange takes; 403, it is for something else.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusedError(401, [("WWW-Authenticate", BEARER_CHALLENGE)])
        try:
            claims = self._claims(token.strip())
        except signed.WrongSignatureError:
            raise _refusal(_INVALID_SIGNATURE) from None
        except signed.NoTokenError:
            raise _refusal(_INVALID_TOKEN) from None
        return self._caller(claims)

    def _claims(self, token: str) -> dict[str, Any]:
        """Return the claims of a token that we signed; what they claim is not judged here."""
        claims = self._verified.get(token)
        if claims is None:
            claims = signed.decode(token, self.key, required=_REQUIRED)
            self._verified[token] = claims
            while len(self._verified) > _REMEMBERED_TOKENS:
                self._verified.popitem(last=False)
        else:
            self._verified.move_to_end(token)
        return claims

    def _caller(self, claims: dict[str, Any]) -> AppCaller | UserCaller:
        if not is_exchange(str(claims["aud"])):
            raise _refusal(_WRONG_AUDIENCE, audience=str(claims["aud"]))
        if claims["iss"] != issuer(self.tenant):
            raise _refusal(_WRONG_TENANT, tenant=str(claims.get("tid", "")))
        current = generation_of(str(claims["uti"])) >= self.tenant.token_generation
        if not (current and int(claims["nbf"]) <= self.now() < int(claims["exp"])):
            raise _refusal(_EXPIRED)
        app = self.tenant.app(str(claims["appid"]))
        if app is None:
            raise _refusal(_NO_ROLE, client_id=str(claims["appid"]))
        if "scp" in claims:
            return self._user(app, claims)
        roles = claims.get("roles", [])
        if FULL_ACCESS in roles or app.assigned_mailboxes():
            return AppCaller(app, FULL_ACCESS in roles)
        if roles:
            raise _forbidden(_NOT_ENOUGH)
        raise _refusal(_NO_ROLE, client_id=app.client_id)

    def _user(self, app: App, claims: dict[str, Any]) -> UserCaller:
        if ACCESS_AS_USER not in str(claims["scp"]).split():
            raise _forbidden(_NOT_ENOUGH)
        user = self.tenant.user(str(claims.get("upn", "")))
        if user is None:
            raise _refusal(_NO_USER)
        return UserCaller(user, self.tenant, app)


def _refusal(reason: tuple[int, str, str], **details: str) -> RefusedError:
    challenge = ("WWW-Authenticate", f'{BEARER_CHALLENGE}, error="invalid_token"')
    return RefusedError(401, [challenge, _diagnostics(reason, **details)])


def _forbidden(reason: tuple[int, str, str]) -> RefusedError:
    return RefusedError(403, [_diagnostics(reason)])


def _diagnostics(reason: tuple[int, str, str], **details: str) -> tuple[str, str]:
    number, category, text = reason
    shown = _header_safe(text.format(**details))
    return "x-ms-diagnostics", f'{number};reason="{shown}";error_category="{category}"'


def _header_safe(text: str) -> str:
    """Return text that cannot end a header line or a quoted string: parts of it come out of a token."""
    return "".join(character for character in text if " " <= character <= "~" and character != '"')[:500]
