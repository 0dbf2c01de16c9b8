"""
Who calls EWS: bearer tokens verified for real; refusals with the headers of Exchange.

The kinds of caller are here too, for there is one way to ask whose mailboxes somebody may open.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import jwt

from bridge.sandbox.entra.tokens import EXCHANGE_APP_ID, generation_of, is_exchange, issuer
from bridge.sandbox.ews.hooks import RefusedError
from bridge.sandbox.tenant import FULL_ACCESS

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

BEARER_CHALLENGE: Final = (
    f'Bearer client_id="{EXCHANGE_APP_ID}", trusted_issuers="00000001-0000-0000-c000-000000000000@*", '
    'token_types="app_asserted_user_v1 service_asserted_app_v1", '
    'authorization_uri="https://login.windows.net/common/oauth2/authorize"'
)
# Tokens are verified once and remembered by their text: a signature check for each of thousands of calls buys nothing.
_REMEMBERED_TOKENS = 64


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
        """Tell whether the app's rights cover a mailbox."""
        return self.has_full_access or self.app.is_assigned(address)


@dataclass(frozen=True, slots=True)
class UserCaller:
    """Somebody with a name and a password: a user in the own mailbox, or the service account in anybody's."""

    user: User
    is_service_account: bool

    @property
    def must_impersonate(self) -> bool:
        """Tell that a mailbox need not be named."""
        return False

    @property
    def mailbox(self) -> str | None:
        """Return the user's own mailbox; the service account has none."""
        return None if self.is_service_account else self.user.address

    def may_open(self, address: str) -> bool:
        """Tell whether a mailbox is the user's own, or the caller may impersonate everybody."""
        return self.is_service_account or self.user.address.lower() == address.lower()


@dataclass(slots=True)
class BearerAuthenticator:
    """Takes tokens of the sandbox's own Entra, as Exchange Online does: signature, issuer, audience, times, role."""

    tenant: Tenant
    key: SigningKey
    now: Callable[[], float]
    _verified: OrderedDict[str, dict[str, Any]] = field(default_factory=OrderedDict)

    async def __call__(self, request: web.Request) -> AppCaller:
        """
        Return the app that the request's token names.

        Raises:
            RefusedError: 401; there is no token, or none that Exchange takes.
        """
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise RefusedError(401, [("WWW-Authenticate", BEARER_CHALLENGE)])
        try:
            claims = self._claims(token.strip())
        except jwt.InvalidSignatureError:
            raise _refusal(_INVALID_SIGNATURE) from None
        except jwt.PyJWTError:
            raise _refusal(_INVALID_TOKEN) from None
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

    def _caller(self, claims: dict[str, Any]) -> AppCaller:
        if not is_exchange(str(claims["aud"])):
            raise _refusal(_WRONG_AUDIENCE, audience=str(claims["aud"]))
        if claims["iss"] != issuer(self.tenant):
            raise _refusal(_WRONG_TENANT, tenant=str(claims.get("tid", "")))
        current = generation_of(str(claims["uti"])) >= self.tenant.token_generation
        if not (current and int(claims["nbf"]) <= self.now() < int(claims["exp"])):
            raise _refusal(_EXPIRED)
        app = self.tenant.app(str(claims["appid"]))
        has_full_access = FULL_ACCESS in claims.get("roles", [])
        if app is None or not (has_full_access or app.assigned_mailboxes()):
            raise _refusal(_NO_ROLE, client_id=str(claims["appid"]))
        return AppCaller(app, has_full_access)


def _refusal(reason: tuple[int, str, str], **details: str) -> RefusedError:
    number, category, text = reason
    diagnostics = f'{number};reason="{_header_safe(text.format(**details))}";error_category="{category}"'
    return RefusedError(
        401, [("WWW-Authenticate", f'{BEARER_CHALLENGE}, error="invalid_token"'), ("x-ms-diagnostics", diagnostics)]
    )


def _header_safe(text: str) -> str:
    """Return text that cannot end a header line or a quoted string: parts of it come out of a token."""
    return "".join(character for character in text if " " <= character <= "~" and character != '"')[:500]
