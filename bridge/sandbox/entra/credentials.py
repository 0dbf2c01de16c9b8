"""How an app proves who it is. One class for each form; the token endpoint tries those that a request presents."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final, Protocol

from bridge.sandbox.entra.errors import EXPIRED_SECRET, MISSING_PROOF, NO_CREDENTIAL, WRONG_SECRET, EntraError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bridge.sandbox.tenant import App


class CredentialForm(Protocol):
    """One way to prove an app's identity."""

    context_class: str
    """The token's `appidacr`: how strongly the app was authenticated (1 secret, 2 certificate)."""

    def presented(self, form: Mapping[str, str]) -> bool:
        """Tell whether a request carries this form."""

    def verify(self, app: App, form: Mapping[str, str]) -> None:
        """
        Return if the credential is the app's and valid.

        Raises:
            EntraError: It is not.
        """


class ClientSecret:
    """A secret in the form or in the Basic header. Any of an app's unexpired secrets will do."""

    context_class = "1"

    def presented(self, form: Mapping[str, str]) -> bool:
        """Tell whether a request carries a secret."""
        return bool(form.get("client_secret"))

    def verify(self, app: App, form: Mapping[str, str]) -> None:
        """Return if the secret is valid."""
        given = form["client_secret"].encode()
        matches = [secret for secret in app.secrets if hmac.compare_digest(secret.value.encode(), given)]
        if not matches:
            raise EntraError(WRONG_SECRET, client_id=app.client_id)
        if all(secret.expired for secret in matches):
            raise EntraError(EXPIRED_SECRET, client_id=app.client_id)


CREDENTIAL_FORMS: Final[tuple[CredentialForm, ...]] = (ClientSecret(),)


def authenticate(app: App, form: Mapping[str, str]) -> str:
    """
    Return the context class of the credential that proved `app`.

    Raises:
        EntraError: None was presented, or it is wrong or expired.
    """
    for credential in CREDENTIAL_FORMS:
        if credential.presented(form):
            credential.verify(app, form)
            return credential.context_class
    raise EntraError(NO_CREDENTIAL)


def authenticate_client(app: App, form: Mapping[str, str]) -> str:
    """
    Return the context class of an app that asks for a user's token: `0` for a public client, which proves nothing.

    Raises:
        EntraError: It must prove itself and does not, or with what is wrong or expired.
    """
    if any(credential.presented(form) for credential in CREDENTIAL_FORMS):
        return authenticate(app, form)
    if not app.public_client:
        raise EntraError(MISSING_PROOF)
    return "0"
