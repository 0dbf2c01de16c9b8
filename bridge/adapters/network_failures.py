"""What kept a connection from being made, as one of a few codes, whichever library raised it."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING, Final, NamedTuple

import urllib3.exceptions

from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left

if TYPE_CHECKING:
    from collections.abc import Iterator

# X509_V_ERR_* of OpenSSL (x509_vfy.h).
_NOT_YET_VALID: Final = 9
_EXPIRED: Final = 10
_OTHER_NAME: Final = frozenset({62, 64})
_NO_CA: Final = frozenset({"NO_CERTIFICATE_OR_CRL_FOUND", "NO_START_LINE", "PEM_LIB"})
_MOST_CAUSES: Final = 50


class NetworkFailure(NamedTuple):
    """A code of `bridge.telemetry.reasons`, and what is known beyond it: names of hosts and OpenSSL's words alone."""

    code: str
    detail: str


def network_failure(error: BaseException) -> NetworkFailure | None:
    """Return what kept a connection from being made; None where one was made, or the reason is another."""
    causes = list(_causes(error))
    if any(says_none_left(cause) for cause in causes):
        return NetworkFailure(descriptors.CODE, "")
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return _of_tls(cause)
    if any(isinstance(cause, urllib3.exceptions.ProxyError) for cause in causes):
        return NetworkFailure("proxy_failed", "the proxy does not connect")
    if any(isinstance(cause, socket.gaierror | urllib3.exceptions.NameResolutionError) for cause in causes):
        return NetworkFailure(descriptors.CODE if descriptors.none_left() else "name_unresolved", "")
    unreachable = (
        ConnectionRefusedError,
        urllib3.exceptions.NewConnectionError,
        urllib3.exceptions.ConnectTimeoutError,
    )
    for cause in causes:
        if isinstance(cause, unreachable):
            return NetworkFailure("host_unreachable", _why(causes))
    if any("CA certificate" in str(cause) for cause in causes if isinstance(cause, OSError)):
        return NetworkFailure("ca_file_unusable", "")  # requests says so of a file that is not there
    return None


def _of_tls(error: ssl.SSLError) -> NetworkFailure:
    if isinstance(error, ssl.SSLCertVerificationError):
        words = str(getattr(error, "verify_message", "") or "")
        number = getattr(error, "verify_code", 0)
        if number == _EXPIRED:
            return NetworkFailure("tls_certificate_expired", words)
        if number == _NOT_YET_VALID:
            return NetworkFailure("tls_certificate_not_yet_valid", words)
        if number in _OTHER_NAME:
            return NetworkFailure("tls_wrong_host", words)
        return NetworkFailure("tls_untrusted", words)
    reason = str(error.reason or "")
    return NetworkFailure("ca_file_unusable" if reason in _NO_CA else "tls_failed", reason)


def _why(causes: list[BaseException]) -> str:
    refused = any(isinstance(cause, ConnectionRefusedError) for cause in causes)
    return "the connection is refused" if refused else "no answer in time, or no way there"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all that it was made of, each once; libraries keep what they caught in several places."""
    waiting, seen = [error], set[int]()
    while waiting and len(seen) < _MOST_CAUSES:
        one = waiting.pop(0)
        if id(one) in seen:
            continue
        seen.add(id(one))
        yield one
        within = (one.__cause__, one.__context__, getattr(one, "reason", None), *one.args)
        waiting += [inner for inner in within if isinstance(inner, BaseException)]
