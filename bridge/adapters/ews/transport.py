"""
HTTP under exchangelib: explicit certificates, the current token on each request, a deadline over the whole answer.

exchangelib reads an answer byte by byte (`iter_content()` without a size: 3-4 MB/s). Here the body is read in large
pieces before the library sees the response.
"""

from __future__ import annotations

import itertools
import logging
import time
import weakref
from typing import TYPE_CHECKING, Any

import requests
import requests.adapters
import requests.auth
from exchangelib.protocol import BaseProtocol
from exchangelib.transport import BASIC, DEFAULT_HEADERS, NTLM, get_auth_instance
from requests.utils import get_environ_proxies

from bridge.adapters.ews.errors import error_for_status
from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import until
from bridge.adapters.http_insertion import with_insertion
from bridge.adapters.http_trust import Trust, TrustingAdapter
from bridge.adapters.network_failures import network_failure
from bridge.adapters.web_page import PAGE, web_page
from bridge.errors import CredentialsRejected, MailboxUnavailable

if TYPE_CHECKING:
    from collections.abc import Callable

    from exchangelib import Configuration, Version

    from bridge.ports.server_time import ServerTime
    from bridge.ports.tokens import AccessToken, TokenSource

# On an unexpected error exchangelib logs the whole request, and at DEBUG the bearer token: silenced at the source.
logging.getLogger("exchangelib").addHandler(logging.NullHandler())
logging.getLogger("exchangelib").propagate = False
logging.getLogger("exchangelib").setLevel(logging.CRITICAL + 1)

USER_AGENT = "exchange-mail-bridge"
_CONNECT_SECONDS = 15.0
"""For a connection with its TLS. Only a call that has one can be cut short for others."""


class BearerAuth(requests.auth.AuthBase):
    """Puts the current token on a request; the token source decides when to ask for another."""

    def __init__(self, tokens: TokenSource) -> None:
        self._tokens = tokens

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with its Authorization header; the token is remembered for a refusal."""
        token = self._tokens.token()
        request.headers["Authorization"] = f"Bearer {token.value}"
        request.bridge_token = token  # type: ignore[attr-defined]  # travels with the request to `refused`
        return request

    def refused(self, request: requests.PreparedRequest) -> None:
        """Tell the source that Exchange did not take this token."""
        token: AccessToken | None = getattr(request, "bridge_token", None)
        if token is not None:
            self._tokens.reject(token)

    def renew(self, request: requests.PreparedRequest) -> bool:
        """
        Put another token on a request whose token was refused; return whether there is another.

        Raises:
            BridgeError: Entra gives none.
        """
        refused = getattr(request, "bridge_token", None)
        self(request)
        return getattr(request, "bridge_token", None) is not refused


class EwsHttpAdapter(TrustingAdapter):
    """One connection; verification by the configured CA only, whatever the environment says."""

    def __init__(
        self,
        trust: Trust,
        *,
        largest_answer_bytes: int,
        bearer: BearerAuth | None,
        whole: bool = True,
        server_time: ServerTime | None = None,
    ) -> None:
        self._whole = whole
        self._server_time = server_time
        self._largest_answer_bytes = largest_answer_bytes
        self._bearer = bearer
        super().__init__(trust, pool_connections=1, pool_maxsize=1, max_retries=0, pool_block=True)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        """
        Return the whole answer of status 200 or 500, or a challenge to log in; of an answer that streams, its head.

        Raises:
            MailboxUnavailable: No connection, no answer in time, or an answer too large. The call may have worked.
            BridgeError: What the HTTP status means (see `error_for_status`).
        """
        timeout = float(kwargs["timeout"])
        with until(time.monotonic() + timeout) as deadline:
            try:
                return self._send(request, deadline, timeout, kwargs)
            except CredentialsRejected:
                # Tokens are revoked before they end (a changed password, policy or role). Nothing was done yet.
                if self._bearer is None or not self._bearer.renew(request):
                    raise
            return self._send(request, deadline, timeout, kwargs)

    def _send(
        self, request: requests.PreparedRequest, deadline: float, timeout: float, kwargs: dict[str, Any]
    ) -> requests.Response:
        kwargs.update(stream=True, timeout=(min(timeout, _CONNECT_SECONDS), timeout))
        asked_at = self._server_time.elapsed() if self._server_time is not None else 0.0
        try:
            response = super().send(with_insertion(request), **kwargs)
            response.request = request
        except OSError as error:  # what requests raises, and what it says of a CA file that is gone
            failure = network_failure(error)
            if failure is None:
                raise MailboxUnavailable(type(error).__name__) from error
            raise MailboxUnavailable(failure.detail, code=failure.code) from error
        if self._server_time is not None and str(request.url).startswith("https://"):
            self._server_time.note(response.headers, asked_at=asked_at)
        if response.status_code == 401 and self._bearer is None:
            # requests_ntlm answers the challenge itself: it needs the 401, unread, for the socket under it.
            return response
        self._raise_for_status(request, response)
        if not self._whole and response.status_code == 200:
            return response
        try:
            read_body(response, deadline=deadline, largest_bytes=self._largest_answer_bytes)
        except requests.exceptions.RequestException as error:
            raise MailboxUnavailable(type(error).__name__) from error
        if (page := web_page(response)) is not None:
            raise MailboxUnavailable(page, code=PAGE)
        return response

    def _raise_for_status(self, request: requests.PreparedRequest, response: requests.Response) -> None:
        error = error_for_status(response.status_code, response.headers)
        if type(error) is MailboxUnavailable and (page := web_page(response)) is not None:
            error = MailboxUnavailable(page, code=PAGE)
        if error is None:
            return
        response.close()
        if isinstance(error, CredentialsRejected) and self._bearer is not None:
            self._bearer.refused(request)
        raise error


class LaneProtocol(BaseProtocol):  # type: ignore[misc]  # exchangelib publishes no types
    """
    One connection to Exchange, used by one thread at a time.

    Pools of more than one session would let exchangelib repeat calls and can deadlock in it; making a session does no
    input or output here, so a failing token endpoint cannot starve the pool either.
    """

    SESSION_POOLSIZE = 1
    _numbers = itertools.count(1)

    def __init__(self, config: Configuration, make_session: Callable[[], requests.Session]) -> None:
        self._make_session = make_session
        self.used_at: float | None = None
        """When its last call ended; None while there is no connection."""
        super().__init__(config)

    def get_auth_type(self) -> str:
        """Return the configured kind; nothing is probed."""
        return str(self.config.auth_type)

    @property
    def version(self) -> Version:
        """The configured version; nothing is guessed."""
        version: Version = self.config.version
        return version

    def create_session(self) -> requests.Session:
        """Return a fresh session; the connection opens with its first request."""
        session = self._make_session()
        session.session_id = next(self._numbers)  # type: ignore[attr-defined]
        session.usage_count = 0  # type: ignore[attr-defined]
        return session

    def rest(self) -> None:
        """Close the connection; the next call makes one anew."""
        self.used_at = None
        session = self.get_session()
        session.close()
        self.release_session(session)

    def close_session(self, session: requests.Session) -> None:
        """Close the connection."""
        session.close()


def session_factory(
    *,
    endpoint: str,
    ca_file: str | None,
    largest_answer_bytes: int,
    tokens: TokenSource | None,
    login: tuple[str, str, str] | None,
    whole: bool = True,
    server_time: ServerTime | None = None,
) -> SessionFactory:
    """
    Return a maker of sessions: with bearer tokens, or with a login (kind `basic` or `ntlm`, user name, password).

    Answers are read whole before anybody sees them, unless told otherwise; `server_time` is told of their dates.
    """
    if (tokens is None) == (login is None):
        raise ValueError("either tokens or a login")
    bearer = BearerAuth(tokens) if tokens is not None else None
    trust = Trust(ca_file)
    return SessionFactory(
        endpoint,
        lambda: EwsHttpAdapter(
            trust, largest_answer_bytes=largest_answer_bytes, bearer=bearer, whole=whole, server_time=server_time
        ),
        bearer,
        login,
    )


class SessionFactory:
    """Makes sessions that sign in one way; a new password counts for those that are there as well."""

    def __init__(
        self,
        endpoint: str,
        adapter: Callable[[], EwsHttpAdapter],
        bearer: BearerAuth | None,
        login: tuple[str, str, str] | None,
    ) -> None:
        self._endpoint, self._adapter, self._bearer, self._login = endpoint, adapter, bearer, login
        self._logins: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def __call__(self) -> requests.Session:
        """Return a session; nothing is asked yet."""
        session = requests.Session()
        # Proxies are all that the environment decides, and once: it would be read as a whole again for each call.
        session.trust_env = False
        session.proxies = get_environ_proxies(self._endpoint)
        session.headers.update(DEFAULT_HEADERS)
        session.headers["User-Agent"] = USER_AGENT
        session.mount(self._endpoint, self._adapter())
        if self._login is None:
            session.auth = self._bearer
        else:
            kind, username, password = self._login
            auth_type = {"basic": BASIC, "ntlm": NTLM}[kind]
            session.auth = get_auth_instance(auth_type=auth_type, username=username, password=password)
            self._logins[id(session.auth)] = session.auth
        return session

    def change_password(self, password: str) -> None:
        """Sign in with this password from the next request on."""
        if self._login is not None:
            self._login = (*self._login[:2], password)
            for login in tuple(self._logins.values()):
                login.password = password
