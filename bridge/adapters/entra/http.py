"""
HTTP to Entra, Graph and the metadata endpoints: every request ends in time, with an answer that can be used.

Proxies are those of HTTPS_PROXY and NO_PROXY; nothing else is taken from the environment (requests would take a CA
from REQUESTS_CA_BUNDLE and a login from .netrc).
"""

from __future__ import annotations

import json
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import requests
from requests.utils import get_environ_proxies

from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import until
from bridge.adapters.http_trust import Trust, TrustingAdapter
from bridge.adapters.web_page import PAGE, web_page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.adapters.entra.app import EntraApp
    from bridge.ports.server_time import ServerTime

_LARGEST_ANSWER_BYTES: Final = 4 << 20
_LONGEST_STATED_SECONDS: Final = 3600.0
_STATED_DIGITS: Final = 9
_BUSY_SECONDS: Final = 5.0
"""For how long a side is left alone that has too many requests and does not say for how long, as MSAL does."""
_METADATA_PASSES: Final = frozenset({404, 410})
"""What the metadata endpoint answers while it is being updated (learn.microsoft.com, "how to use a VM token")."""


class UnusableAnswerError(requests.RequestException):
    """
    An answer that is not Entra's word on the request: too many requests, a failing server, or no JSON object.

    Entra answers every request with a JSON object. MSAL takes anything else that it gets for the authority's
    configuration, and also 429, for a tenant that does not exist, which pauses mailboxes until a person acts.
    """

    def __init__(self, text: str, *, retry_after_seconds: float | None = None, code: str | None = None) -> None:
        super().__init__(text)
        self.retry_after_seconds = retry_after_seconds
        self.code = code
        """Why, where that is known; None else."""


class Heard:
    """The last answer of the other side: MSAL keeps to itself what it made of it."""

    def __init__(self) -> None:
        self.status = 0
        self.fields: Mapping[str, object] = {}
        self.clock_ahead_seconds: float | None = None
        """How far the other side's clock is ahead of ours."""

    def note(self, response: requests.Response, fields: Mapping[str, object], wall_clock: Callable[[], float]) -> None:
        """Keep what an answer says."""
        self.status, self.fields = response.status_code, fields
        date = _date(response.headers.get("Date", ""))
        self.clock_ahead_seconds = date - wall_clock() if date is not None else None


class _Adapter(TrustingAdapter):
    def __init__(
        self,
        trust: Trust,
        timeout_seconds: float,
        heard: Heard,
        *,
        metadata: bool,
        wall_clock: Callable[[], float],
        server_time: ServerTime | None,
    ) -> None:
        self._server_time = server_time
        self._timeout = timeout_seconds
        self._heard = heard
        self._metadata = metadata
        self._wall_clock = wall_clock
        super().__init__(trust, max_retries=0)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        # The metadata endpoint is at a link-local address, which no proxy reaches.
        proxies = {} if self._metadata else get_environ_proxies(str(request.url))
        kwargs.update(proxies=proxies, timeout=self._timeout, stream=True)
        asked_at = self._server_time.elapsed() if self._server_time is not None else 0.0
        with until(time.monotonic() + self._timeout) as deadline:
            try:
                response = super().send(request, **kwargs)
                if self._server_time is not None and str(request.url).startswith("https://"):
                    self._server_time.note(response.headers, asked_at=asked_at)
                read_body(response, deadline=deadline, largest_bytes=_LARGEST_ANSWER_BYTES)
            except ValueError as error:  # such as a length that is given twice
                raise UnusableAnswerError(type(error).__name__) from error
        status, fields = response.status_code, _object(response.content)
        self._heard.note(response, fields or {}, self._wall_clock)
        later = status == 429 or status >= 500 or (self._metadata and status in _METADATA_PASSES)
        # Entra sends nobody elsewhere; requests would go there, and take the secret along.
        elsewhere = 300 <= status < 400
        if later or elsewhere or (fields is None and not self._metadata):
            stated = _retry_after(response.headers)
            if stated is None and status == 429:
                stated = _BUSY_SECONDS
            page = web_page(response)
            raise UnusableAnswerError(
                page or f"HTTP {status}", retry_after_seconds=stated, code=PAGE if page is not None else None
            )
        return response


def session(
    trust: Trust,
    timeout_seconds: float,
    heard: Heard,
    *,
    metadata: bool = False,
    wall_clock: Callable[[], float] = time.time,
    server_time: ServerTime | None = None,
) -> requests.Session:
    """Return a session that ends each request in time, with a usable answer or a `requests.RequestException`."""
    made = requests.Session()
    made.trust_env = False
    adapter = _Adapter(trust, timeout_seconds, heard, metadata=metadata, wall_clock=wall_clock, server_time=server_time)
    for scheme in ("https://", "http://"):
        made.mount(scheme, adapter)
    return made


def session_for(app: EntraApp) -> requests.Session:
    """Return a session for requests to an app's authority."""
    return session(Trust(app.ca_file), app.timeout_seconds, Heard())


def _object(body: bytes) -> Mapping[str, object] | None:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return for how long the other side wants to be left alone; None where it does not say."""
    stated = headers.get("Retry-After", "").strip()
    if stated.isascii() and stated.isdecimal() and len(stated) <= _STATED_DIGITS:
        return min(float(stated), _LONGEST_STATED_SECONDS)
    until_, now = _date(stated), _date(headers.get("Date", ""))
    if until_ is None or now is None:
        return None
    return min(max(until_ - now, 0.0), _LONGEST_STATED_SECONDS)


def _date(text: str) -> float | None:
    try:
        found = parsedate_to_datetime(text)
        return found.timestamp() if found.tzinfo is not None else None
    except (ValueError, TypeError, OverflowError):
        return None
