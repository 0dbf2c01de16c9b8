"""Client credential tokens: one request at a time, and a token that lives is used whatever Entra answers meanwhile."""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msal
import requests

from bridge.adapters.entra.errors import error_for_answer
from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import DeadlineAdapter, until
from bridge.errors import BridgeError, CredentialsRejected, TokenUnavailable
from bridge.ports.tokens import AccessToken

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# msal logs URLs and answers at DEBUG.
logging.getLogger("msal").propagate = False
logging.getLogger("msal").addHandler(logging.NullHandler())

_REFRESH_BEFORE_SECONDS = 300.0
_USABLE_SECONDS = 10.0
_LARGEST_ANSWER_BYTES = 4 << 20
_TOO_MANY_REQUESTS = 429
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 60.0


@dataclass(frozen=True, slots=True)
class EntraApp:
    """Which app asks, and where."""

    authority_url: str
    """With the tenant as its path: https://login.microsoftonline.com/TENANT"""
    client_id: str
    scope: str
    ca_file: str | None = None
    timeout_seconds: float = 15.0


class UnusableAnswerError(requests.RequestException):
    """
    An answer that is not Entra's word, or says no more than that there were too many requests.

    Entra answers every request with a JSON object. MSAL takes anything else that it gets for the authority's
    configuration, and also 429, for a tenant that does not exist, which pauses mailboxes until a person acts.
    """


class _HttpAdapter(DeadlineAdapter):
    """A timeout on every request, and verification by the configured CA only; the environment cannot override it."""

    def __init__(self, app: EntraApp) -> None:
        self._verify: str | bool = app.ca_file or True
        self._timeout = app.timeout_seconds
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        kwargs.update(verify=self._verify, timeout=self._timeout, stream=True)
        with until(time.monotonic() + self._timeout) as deadline:
            try:
                response = super().send(request, **kwargs)
                read_body(response, deadline=deadline, largest_bytes=_LARGEST_ANSWER_BYTES)
            except ValueError as error:  # such as a length that is given twice
                raise UnusableAnswerError(type(error).__name__) from error
        if response.status_code == _TOO_MANY_REQUESTS or not _is_json_object(response.content):
            raise UnusableAnswerError(f"HTTP {response.status_code}")
        return response


def _is_json_object(body: bytes) -> bool:
    try:
        return isinstance(json.loads(body), dict)
    except (ValueError, RecursionError):
        return False


def session_for(app: EntraApp) -> requests.Session:
    """Return a session that ends each request in time, with a JSON object or a `requests.RequestException`."""
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _HttpAdapter(app))
    return session


class EntraTokens:
    """
    Keeps the promise of `ports.tokens.TokenSource`.

    MSAL 1.39 raises on a 5xx although a usable token is cached, forgets 401 answers at once, and asks once for each
    thread; so the last token, the wait after a failure and the lock are kept here. The app is built lazily, since its
    constructor already asks Entra. The secret is read anew for each request: a renewed file counts at once.
    """

    def __init__(
        self,
        app: EntraApp,
        read_secret: Callable[[], str],
        *,
        wall_clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._app = app
        self._read_secret = read_secret
        self._wall_clock = wall_clock
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token: AccessToken | None = None
        self._failure: BridgeError | None = None
        self._failures = 0
        self._ask_again_at = 0.0
        self._built: tuple[str, msal.ConfidentialClientApplication] | None = None

    @property
    def expires_at(self) -> float | None:
        """When the current token ends, in seconds since the epoch; None while there is none."""
        return self._token.expires_at if self._token is not None else None

    @property
    def trouble(self) -> BridgeError | None:
        """The last failure, None once a request went well."""
        return self._failure

    def token(self) -> AccessToken:
        """Return a token that is still usable."""
        token = self._token
        if token is not None and self._left_seconds(token) > _REFRESH_BEFORE_SECONDS:
            return token
        usable = token is not None and self._left_seconds(token) > _USABLE_SECONDS
        # With a usable token nobody waits for the one who renews it.
        if not self._lock.acquire(blocking=not usable):
            assert token is not None  # noqa: S101 - tells the type checker what `usable` means
            return token
        try:
            return self._renew()
        finally:
            self._lock.release()

    def reject(self, token: AccessToken) -> None:
        """Tell that Exchange refused this token; the next `token` asks Entra for another."""
        with self._lock:
            if self._token is token:
                self._token = None

    def _renew(self) -> AccessToken:
        token = self._token  # another thread may have renewed it meanwhile
        if token is not None and self._left_seconds(token) > _REFRESH_BEFORE_SECONDS:
            return token
        if self._failure is None or self._monotonic() >= self._ask_again_at:
            try:
                token = self._token = self._ask()
            except BridgeError as error:
                self._failure = error
                wait = min(_LONGEST_WAIT_SECONDS, _FIRST_WAIT_SECONDS * 2.0 ** min(self._failures, 10))
                self._failures += 1
                self._ask_again_at = self._monotonic() + wait
            else:
                self._failure, self._failures = None, 0
                return token
        if token is not None and self._left_seconds(token) > _USABLE_SECONDS:
            return token
        raise self._failure if self._failure is not None else TokenUnavailable

    def _ask(self) -> AccessToken:
        try:
            app = self._application()
            app.remove_tokens_for_client()  # the cache would give a rejected or ageing token again
            answer: Mapping[str, Any] = app.acquire_token_for_client(scopes=[self._app.scope]) or {}
            seconds = float(answer.get("expires_in") or 0)
        except BridgeError:
            raise
        except Exception as error:  # no answer, or one that msal stumbles over
            raise TokenUnavailable(f"Entra gives no usable answer ({type(error).__name__})") from error
        if "access_token" not in answer:
            raise error_for_answer(answer)
        return AccessToken(str(answer["access_token"]), self._wall_clock() + seconds)

    def _application(self) -> msal.ConfidentialClientApplication:
        try:
            secret = self._read_secret()
        except (OSError, UnicodeDecodeError) as error:
            raise CredentialsRejected(f"the client secret's file cannot be read ({type(error).__name__})") from error
        if self._built is None or self._built[0] != secret:
            try:
                app = msal.ConfidentialClientApplication(
                    self._app.client_id,
                    client_credential=secret,
                    authority=self._app.authority_url,
                    instance_discovery=False,
                    http_client=session_for(self._app),
                )
            except requests.RequestException:
                raise
            except ValueError as error:  # what msal makes of a tenant or authority that does not exist
                raise CredentialsRejected(
                    "no such tenant or authority: check tenant_id and cloud or authority_url"
                ) from error
            self._built = (secret, app)
        return self._built[1]

    def _left_seconds(self, token: AccessToken) -> float:
        return token.expires_at - self._wall_clock()
