"""One request for a token: a credential shown to Entra, or to the machine's metadata endpoint, through MSAL."""

from __future__ import annotations

import logging
import math
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msal
import requests

from bridge.adapters.entra.errors import CredentialRefusedError, error_for_answer, number_of
from bridge.adapters.entra.http import Heard, UnusableAnswerError, session
from bridge.adapters.http_deadline import until
from bridge.adapters.http_trust import Trust
from bridge.adapters.network_failures import network_failure
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from bridge.ports.elapsed import elapsed_seconds

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.adapters.entra.app import EntraApp
    from bridge.adapters.entra.credential import Credential
    from bridge.ports.server_time import ServerTime

# msal logs URLs and answers at DEBUG.
logging.getLogger("msal").propagate = False
logging.getLogger("msal").addHandler(logging.NullHandler())

_LONGEST_LIFE_SECONDS: Final = 2 * 86_400.0
_DISCOVERY_SECONDS: Final = 86_400.0
"""How long Entra's account of its own endpoints is believed, as MSAL would believe it."""
_QUICK_SECONDS: Final = 5.0
"""An answer that took longer does not say what time it is."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A token, and for how long it lives, counted from when it was asked for."""

    token: str = field(repr=False)
    seconds: float


class EntraClient:
    """
    Asks for tokens of one app. Not for several threads at a time.

    MSAL's own memory is of no use here and does harm: it would give an ageing token again, remember a refusal for a
    minute after its cause is mended, and show an assertion twice. So each request has an MSAL application of its own;
    only Entra's account of its endpoints is kept.
    """

    def __init__(
        self,
        app: EntraApp,
        *,
        wall_clock: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = elapsed_seconds,
        server_time: ServerTime | None = None,
    ) -> None:
        self._app = app
        self._wall_clock, self._elapsed = wall_clock, elapsed
        self._trust = Trust(app.ca_file)
        self._heard = Heard()
        self._session = session(
            self._trust, app.timeout_seconds, self._heard, wall_clock=wall_clock, server_time=server_time
        )
        self._http = _RemembersDiscovery(self._session, elapsed)
        self._swapped: bool | None = None
        self._entra_began: float | None = None
        """What Entra's clock said when the clock that nobody sets began."""

    @property
    def clock_ahead_seconds(self) -> float | None:
        """How far Entra's clock is ahead of this machine's, as that is set now; None where no answer has told it."""
        began = self._entra_began
        return began + self._elapsed() - self._wall_clock() if began is not None else None

    def ask(self, credential: Credential, scope: str) -> Answer:
        """
        Return a new token, within the app's timeout.

        Raises:
            TokenUnavailable: No answer, or none that can be used. It says for how long to wait, if Entra did.
            CredentialsRejected: Entra refuses this credential.
        """
        self._heard.status, self._heard.fields, self._heard.clock_ahead_seconds = 0, {}, None
        asked_at = self._elapsed()
        try:
            with until(time.monotonic() + self._app.timeout_seconds):
                answer = self._through_msal(credential, scope)
            token, seconds = answer.get("access_token"), float(answer.get("expires_in") or 0)
        except BridgeError:
            raise
        except Exception as error:  # no answer, or one that msal stumbles over
            raise self._unavailable(error, credential) from error
        finally:
            # It is long until the next request: a connection that is kept would be found dead, at the worst moment.
            self._session.close()
            self._note_clock(asked_at, credential)
        if not isinstance(token, str) or not token:
            raise self._refusal(answer, credential)
        if credential.kind == "managed identity" and "expires_in" not in self._heard.fields:
            # Such an endpoint tells the end alone (App Service), and MSAL takes the machine's own clock off it.
            seconds -= self._heard.clock_ahead_seconds or 0.0
        if not (math.isfinite(seconds) and seconds > 0):
            raise TokenUnavailable("Entra gives a token that has ended")
        # It ages on the way, most of all where the machine was put to sleep before the answer was read.
        left = min(seconds, _LONGEST_LIFE_SECONDS) - (self._elapsed() - asked_at)
        if left <= 0:
            raise TokenUnavailable("the token had ended when it arrived")
        return Answer(token, left)

    def get(self, url: str, token: str) -> tuple[int, Mapping[str, object]]:
        """
        Return the status and the fields of something that is read with a token.

        Raises:
            TokenUnavailable: No answer that can be used.
        """
        try:
            with until(time.monotonic() + self._app.timeout_seconds):
                answer = self._session.get(url, headers={"Authorization": f"Bearer {token}"})
            fields = answer.json()
        except (requests.RequestException, OSError) as error:
            raise TokenUnavailable(type(error).__name__) from error
        return answer.status_code, fields

    def _note_clock(self, asked_at: float, credential: Credential) -> None:
        ahead, now = self._heard.clock_ahead_seconds, self._elapsed()
        # A metadata endpoint is on this machine, and so is its clock.
        if ahead is not None and now - asked_at < _QUICK_SECONDS and credential.kind != "managed identity":
            self._entra_began = ahead + self._wall_clock() - now

    def _through_msal(self, credential: Credential, scope: str) -> Mapping[str, Any]:
        if credential.kind == "managed identity":
            return self._of_managed_identity(credential, scope)
        try:
            application = msal.ConfidentialClientApplication(
                self._app.client_id,
                client_credential=_for_msal(credential),
                authority=self._app.authority_url,
                instance_discovery=False,
                http_client=self._http,
            )
        except requests.RequestException:
            raise
        except ValueError as error:  # what msal makes of a tenant or authority that does not exist
            raise self._no_such_authority() from error
        answer: Mapping[str, Any] = application.acquire_token_for_client(scopes=[scope]) or {}
        return answer

    def _of_managed_identity(self, credential: Credential, scope: str) -> Mapping[str, Any]:
        identity = (
            msal.UserAssignedManagedIdentity(client_id=credential.identity)
            if credential.identity is not None
            else msal.SystemAssignedManagedIdentity()
        )
        http = session(self._trust, self._app.timeout_seconds, self._heard, metadata=True, wall_clock=self._wall_clock)
        try:
            client = msal.ManagedIdentityClient(identity, http_client=http)
            answer: Mapping[str, Any] = client.acquire_token_for_client(resource=scope.removesuffix("/.default")) or {}
        finally:
            http.close()
        return answer

    def _refusal(self, answer: Mapping[str, Any], credential: Credential) -> BridgeError:
        if credential.kind == "managed identity":
            status = self._heard.status
            what = "the machine's metadata endpoint knows no such identity" if 400 <= status < 500 else "it gives none"
            return CredentialRefusedError(f"{what} (HTTP {status})", code="managed_identity_unknown")
        return error_for_answer(
            answer,
            credential,
            now=self._wall_clock(),
            clock_ahead_seconds=self._heard.clock_ahead_seconds,
        )

    def _unavailable(self, error: Exception, credential: Credential) -> TokenUnavailable:
        retry_after = error.retry_after_seconds if isinstance(error, UnusableAnswerError) else None
        if credential.kind == "managed identity":
            text = f"the machine's metadata endpoint gives no token ({type(error).__name__})"
            return TokenUnavailable(text, retry_after_seconds=retry_after, code="managed_identity_unavailable")
        if isinstance(error, UnusableAnswerError):
            text = f"Entra gives no usable answer ({error})"
            return TokenUnavailable(text, retry_after_seconds=retry_after, code=error.code)
        failure = network_failure(error)
        if failure is not None:
            told = f" ({failure.detail})" if failure.detail else ""
            return TokenUnavailable(f"Entra cannot be reached: {failure.code}{told}", code=failure.code)
        return TokenUnavailable(f"Entra gives no usable answer ({type(error).__name__})")

    def _no_such_authority(self) -> BridgeError:
        """Return what it means that there are no endpoints: Entra says so itself, or somebody else answered."""
        fields, status = self._heard.fields, self._heard.status
        if number_of(fields) is not None:
            error = error_for_answer(fields)
            if error.code == "tenant_unknown" and self._are_swapped():
                return CredentialsRejected("Entra knows no tenant of that id, but one of client_id", code="ids_swapped")
            return error
        if 400 <= status < 500 and fields.get("error") == "invalid_tenant":
            text = "no such tenant or authority: check tenant_id and cloud or authority_url"
            return CredentialsRejected(text, code="tenant_unknown")
        told = f"HTTP {status}" if status else "no answer"
        return TokenUnavailable(f"what is at the authority's address is not Entra ({told})")

    def _are_swapped(self) -> bool:
        """Return whether what stands as the app's id is a tenant's; once there was an answer, it is not asked again."""
        if self._swapped is None:
            base = self._app.authority_url.rpartition("/")[0]
            url = f"{base}/{self._app.client_id}/v2.0/.well-known/openid-configuration"
            try:
                self._swapped = self._session.get(url).status_code == 200
            except requests.RequestException:
                return False
        return self._swapped


class _RemembersDiscovery:
    """What MSAL asks with; the authority's own configuration is asked for once a day."""

    def __init__(self, http: requests.Session, elapsed: Callable[[], float]) -> None:
        self._http, self._elapsed = http, elapsed
        self._kept: dict[str, tuple[float, requests.Response]] = {}

    def get(self, url: str, **named: Any) -> requests.Response:
        kept = self._kept.get(url)
        if kept is not None and self._elapsed() < kept[0]:
            return kept[1]
        answer = self._http.get(url, **named)
        if answer.status_code == 200 and not named.get("params"):
            self._kept = {url: (self._elapsed() + _DISCOVERY_SECONDS, answer)}
        return answer

    def post(self, url: str, **named: Any) -> requests.Response:
        return self._http.post(url, **named)

    def close(self) -> None:
        self._http.close()


def _for_msal(credential: Credential) -> object:
    if credential.read_token is not None:
        return {"client_assertion": credential.read_token}
    if credential.certificate is not None:
        # Without a thumbprint MSAL names the certificate by its SHA-256, and signs with PS256.
        certificate = credential.certificate
        return {"private_key": certificate.key_pem, "public_certificate": certificate.certificate_pem}
    return credential.secret
