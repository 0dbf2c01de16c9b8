"""What Entra tells everybody of a tenant: that it exists, in which cloud it lives, and what time it is there."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import requests

from bridge.adapters.http_body import read_body
from bridge.adapters.http_deadline import DeadlineAdapter, until
from bridge.adapters.network_failures import network_failure
from bridge.adapters.web_page import PAGE, web_page
from bridge.errors import CredentialsRejected, TokenUnavailable

if TYPE_CHECKING:
    from pathlib import Path

_LARGEST_ANSWER_BYTES: Final = 1 << 20
# By `cloud_instance_name` and `tenant_region_sub_scope` of a tenant's configuration.
_CLOUDS: Final = {
    ("microsoftonline.us", "DOD"): "dod",
    ("microsoftonline.us", "DODCON"): "gcc-high",
    ("microsoftonline.us", ""): "gcc-high",
    ("partner.microsoftonline.cn", ""): "china",
    ("microsoftonline.com", ""): "global",
}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant that exists."""

    cloud: str | None
    """The name of its cloud in the configuration, where Entra says it."""
    at_home: bool
    """Whether the host that was asked belongs to that cloud, or is none of Microsoft's."""
    ahead_seconds: float | None
    """How far Entra's clock is ahead of this machine's, to the second; None where it told no time."""


def look_at_tenant(authority_url: str, *, ca_file: Path | None, timeout_seconds: float) -> Tenant:
    """
    Return what Entra tells of a tenant.

    Raises:
        CredentialsRejected: There is none (`tenant_unknown`).
        TokenUnavailable: Entra gives no usable answer.
    """
    url = f"{authority_url.rstrip('/')}/v2.0/.well-known/openid-configuration"
    with requests.Session() as session, until(time.monotonic() + timeout_seconds) as deadline:
        session.mount("https://", _Adapter(ca_file))
        asked_at = time.time()
        try:
            response = session.get(url, timeout=timeout_seconds, stream=True, allow_redirects=False)
            read_body(response, deadline=deadline, largest_bytes=_LARGEST_ANSWER_BYTES)
            if (page := web_page(response)) is not None:
                raise TokenUnavailable(page, code=PAGE)
            told = json.loads(response.content)
        except (OSError, ValueError, RecursionError) as error:
            failure = network_failure(error)
            code = failure.code if failure is not None else None
            raise TokenUnavailable(f"no usable answer ({type(error).__name__})", code=code) from error
        between = (asked_at + time.time()) / 2
    if response.status_code in {400, 404} and isinstance(told, dict) and "error" in told:
        raise CredentialsRejected(f"HTTP {response.status_code}, {_word(told['error'])}", code="tenant_unknown")
    if response.status_code != 200 or not isinstance(told, dict) or "token_endpoint" not in told:
        raise TokenUnavailable(f"HTTP {response.status_code}, and no configuration of a tenant")
    instance = str(told.get("cloud_instance_name") or "").lower()
    host = (urlsplit(authority_url).hostname or "").lower()
    return Tenant(
        cloud=_cloud(told, instance),
        at_home=not instance or "microsoftonline" not in host or host.endswith("login." + instance),
        ahead_seconds=_ahead(response.headers.get("Date", ""), between),
    )


class _Adapter(DeadlineAdapter):
    """Verification by the configured CA only; the environment cannot override it."""

    def __init__(self, ca_file: Path | None) -> None:
        self._verify: str | bool = str(ca_file) if ca_file is not None else True
        super().__init__(max_retries=0)

    def send(self, request: requests.PreparedRequest, *_: Any, **kwargs: Any) -> requests.Response:
        return super().send(request, **{**kwargs, "verify": self._verify})


def _cloud(told: dict[str, object], instance: str) -> str | None:
    sub_scope = str(told.get("tenant_region_sub_scope") or "").upper()
    return _CLOUDS.get((instance, sub_scope), _CLOUDS.get((instance, "")))


def _ahead(date: str, moment: float) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp() - moment
    except (ValueError, OverflowError):  # a proxy may leave it out, or write it its own way
        return None


def _word(text: object) -> str:
    """Return Entra's OAuth error, if it is one: words joined by underscores."""
    word = str(text)
    return word if len(word) <= 40 and word.replace("_", "").isalpha() else "an error"
