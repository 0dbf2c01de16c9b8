"""Names and passwords, as Exchange Server takes them on-premises: Basic and NTLM, beside bearer tokens."""

from __future__ import annotations

import base64
import hmac
import os
from typing import TYPE_CHECKING, Final
from weakref import WeakKeyDictionary

from bridge.sandbox.authentication import UserCaller
from bridge.sandbox.ews.hooks import RefusedError
from bridge.sandbox.files import write_atomically

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterator
    from pathlib import Path

    import spnego
    from aiohttp import web

    from bridge.sandbox.ews.hooks import Authenticator, Caller
    from bridge.sandbox.tenant import Tenant, User

_REALM: Final = "127.0.0.1"
_CHALLENGES: Final = (("WWW-Authenticate", "NTLM"), ("WWW-Authenticate", f'Basic realm="{_REALM}"'))


class OnPremisesAuthenticator:
    """
    Takes Basic, NTLM and bearer tokens.

    NTLM proves a connection, not a request: who did it once on a connection is known there until it ends.
    """

    def __init__(self, tenant: Tenant, bearer: Authenticator, ntlm_file: Path) -> None:
        """Know the tenant's users; their names and passwords are written to `ntlm_file` for the NTLM library."""
        self._tenant = tenant
        self._bearer = bearer
        self._ntlm_file = ntlm_file
        self.write_users()
        os.environ["NTLM_USER_FILE"] = str(ntlm_file)
        self._handshakes: WeakKeyDictionary[asyncio.Transport, spnego.ContextProxy] = WeakKeyDictionary()
        self._proved: WeakKeyDictionary[asyncio.Transport, UserCaller] = WeakKeyDictionary()

    def write_users(self) -> None:
        """Let those sign in by NTLM who are users now; the library reads the file at each handshake."""
        # DOMAIN\name: the library takes a domain only where a line has it, and the first line of a name.
        domains = ["", *sorted({_netbios(domain) for domain in self._tenant.domains()})]
        lines = [f"{domain}:{user.username}:{user.password}\n" for user in self._accounts() for domain in domains]
        lines += [f"{domain}:{name}:{user.password}\n" for user in self._accounts() for domain, name in _logons(user)]
        write_atomically(self._ntlm_file, "".join(lines).encode())

    async def __call__(self, request: web.Request) -> Caller:
        """
        Return who the request or its connection proves.

        Raises:
            RefusedError: 401, with the next NTLM message where one is due.
        """
        scheme, _, credentials = request.headers.get("Authorization", "").partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._bearer(request)
            case "basic":
                return self._basic(credentials)
            case "ntlm" if request.transport is not None:
                return self._ntlm(request.transport, credentials)
        known = self._proved.get(request.transport) if request.transport is not None else None
        if known is None or not known.user.enabled:
            raise RefusedError(401, _CHALLENGES)
        return known

    def _basic(self, credentials: str) -> UserCaller:
        name, password = _name_and_password(credentials)
        caller = self._account(name)
        if caller is None or not hmac.compare_digest(caller.user.password.encode(), password.encode()):
            raise RefusedError(401, _CHALLENGES)
        return caller

    def _ntlm(self, transport: asyncio.Transport, message: str) -> UserCaller:
        self._proved.pop(transport, None)
        # A first message begins anew: a context takes one handshake only.
        # Loaded by the first handshake: most sandboxes never see one, and it takes a tenth of their start.
        import spnego  # noqa: PLC0415

        context = self._handshakes.pop(transport, None) or spnego.server(
            protocol="ntlm", options=spnego.NegotiateOptions.use_ntlm
        )
        try:
            answer = context.step(base64.b64decode(message, validate=True))
        except Exception:  # noqa: BLE001 - on messages that are none, the library raises whatever its unpacking raises
            raise RefusedError(401, _CHALLENGES) from None
        if not context.complete:
            self._handshakes[transport] = context
            raise RefusedError(401, [("WWW-Authenticate", f"NTLM {base64.b64encode(answer or b'').decode()}")])
        caller = self._account(context.client_principal or "")
        if caller is None:
            raise RefusedError(401, _CHALLENGES)
        self._proved[transport] = caller
        return caller

    def _account(self, name: str) -> UserCaller | None:
        # user@domain, or DOMAIN\user with the name before the @; either with any domain before the whole name.
        domain, _, bare = name.rpartition("\\")
        accounts = list(self._accounts())
        found = next((user for user in accounts if user.username.lower() == bare.lower()), None) or next(
            (user for user in accounts if (domain.upper(), bare.lower()) in _logons(user)), None
        )
        return UserCaller(found, self._tenant) if found is not None else None

    def _accounts(self) -> Iterator[User]:
        """Yield all who may sign in."""
        everybody = (*self._tenant.users, self._tenant.service_account)
        return (user for user in everybody if user is not None and user.enabled)


def _netbios(domain: str) -> str:
    return domain.partition(".")[0].upper()


def _logons(user: User) -> list[tuple[str, str]]:
    """Return DOMAIN and user, as Active Directory names the owner of a mailbox beside the address."""
    local, _, domain = user.address.lower().rpartition("@")
    return [(_netbios(domain), local)] if local else []


def _name_and_password(credentials: str) -> tuple[str, str]:
    try:
        name, _, password = base64.b64decode(credentials, validate=True).decode().partition(":")
    except ValueError:  # not base64, not ASCII, not UTF-8
        return "", ""
    return name, password
