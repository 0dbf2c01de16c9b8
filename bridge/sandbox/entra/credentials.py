"""How an app proves who it is. One class for each form; the token endpoint tries those that a request presents."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from bridge.sandbox.entra.errors import (
    DISABLED_APP,
    EXPIRED_SECRET,
    MISSING_PROOF,
    NO_CREDENTIAL,
    WRONG_SECRET,
    EntraError,
)
from bridge.sandbox.entra.proofs import BY_SECRET, NO_PROOF, Proof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from bridge.sandbox.tenant import App


class CredentialForm(Protocol):
    """One way to prove an app's identity."""

    def presented(self, form: Mapping[str, str]) -> bool:
        """Return whether a request carries this form."""

    async def verify(self, app: App, form: Mapping[str, str]) -> Proof:
        """
        Return what a credential proves, if it is the app's and valid.

        Raises:
            EntraError: It is not.
        """


@dataclass(frozen=True, slots=True)
class ClientSecret:
    """A secret in the form or in the Basic header. Any of an app's unexpired secrets will do."""

    now: Callable[[], float]

    def presented(self, form: Mapping[str, str]) -> bool:
        """Return whether a request carries a secret."""
        return bool(form.get("client_secret"))

    async def verify(self, app: App, form: Mapping[str, str]) -> Proof:
        """Return that it was by a secret, if that is valid."""
        given, now = form["client_secret"].encode(), self.now()
        matches = [secret for secret in app.secrets if hmac.compare_digest(secret.value.encode(), given)]
        if not matches:
            raise EntraError(WRONG_SECRET, client_id=app.client_id)
        if all(secret.has_expired(now) for secret in matches):
            raise EntraError(EXPIRED_SECRET, client_id=app.client_id)
        return BY_SECRET


@dataclass(frozen=True, slots=True)
class Credentials:
    """All forms, in the order in which they are looked at."""

    forms: Sequence[CredentialForm]

    async def authenticate(self, app: App, form: Mapping[str, str]) -> Proof:
        """
        Return what proved `app`.

        Raises:
            EntraError: Nothing was presented, or it is wrong or expired, or the app is switched off.
        """
        credential = next((one for one in self.forms if one.presented(form)), None)
        if credential is None:
            raise EntraError(NO_CREDENTIAL)
        proof = await credential.verify(app, form)
        check_enabled(app)
        return proof

    async def authenticate_client(self, app: App, form: Mapping[str, str]) -> Proof:
        """
        Return what proved an app that asks for a user's token: nothing, for a public client.

        Raises:
            EntraError: It must prove itself and does not, or with what is wrong or expired; or it is switched off.
        """
        if any(credential.presented(form) for credential in self.forms):
            return await self.authenticate(app, form)
        if not app.public_client:
            raise EntraError(MISSING_PROOF)
        check_enabled(app)
        return NO_PROOF


def check_enabled(app: App) -> None:
    """
    Return if an app may have tokens.

    Raises:
        EntraError: It is switched off.
    """
    if not app.enabled:
        raise EntraError(DISABLED_APP, client_id=app.client_id, name=app.name)
