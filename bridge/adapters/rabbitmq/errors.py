"""What pika raises and what the broker's reply codes mean to the bridge: two tables."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from pika import exceptions as amqp
from pika.adapters.utils import connection_workflow as workflow

from bridge.adapters.network_failures import network_failure
from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    QueueTaken,
    TopologyMissing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

# Reply codes of channel.close and connection.close (AMQP 0-9-1, section 1.2 of the generated specification).
ACCESS_REFUSED = 403
NOT_FOUND = 404
RESOURCE_LOCKED = 405
PRECONDITION_FAILED = 406
NOT_ALLOWED = 530

_CODES: dict[int, type[BridgeError]] = {
    ACCESS_REFUSED: BrokerAccessRefused,
    NOT_FOUND: TopologyMissing,
    RESOURCE_LOCKED: QueueTaken,
    NOT_ALLOWED: BrokerAccessRefused,  # an unknown virtual host, or one that this login may not open
}

# Replies whose text is made of names alone. Others may quote what was sent.
_TELLING = frozenset({320, ACCESS_REFUSED, NOT_FOUND, RESOURCE_LOCKED, PRECONDITION_FAILED, NOT_ALLOWED})

_LOGIN_REFUSED, _VHOST_REFUSED = "the broker refuses the login", "the broker refuses the virtual host"
_UNTRUSTED, _NO_TLS = "the broker's certificate is not trusted", "the TLS handshake failed"
_NO_NAME = "the broker's host name is not known"

_MEANINGS: tuple[tuple[type[BaseException], type[BridgeError], str], ...] = (
    (amqp.AuthenticationError, BrokerAccessRefused, "the broker takes none of the login methods offered"),
    (amqp.ProbableAuthenticationError, BrokerAccessRefused, _LOGIN_REFUSED),
    (amqp.ProbableAccessDeniedError, BrokerAccessRefused, _VHOST_REFUSED),
    # A proxy with no broker behind it does the same, so waiting may help.
    (amqp.IncompatibleProtocolError, BrokerUnavailable, "what answers there does not speak AMQP 0-9-1"),
    (ssl.SSLCertVerificationError, BrokerAccessRefused, _UNTRUSTED),
    (ssl.SSLError, BrokerUnavailable, _NO_TLS),
    (socket.gaierror, BrokerUnavailable, _NO_NAME),
    (ConnectionRefusedError, BrokerUnavailable, "nothing listens at the broker's address"),
    (TimeoutError, BrokerUnavailable, "the broker did not answer in time"),
    (amqp.AMQPHeartbeatTimeout, BrokerUnavailable, "the broker's heartbeats stopped"),
    (amqp.StreamLostError, BrokerUnavailable, "the connection was lost"),
    (amqp.ConnectionClosed, BrokerUnavailable, "the connection was closed"),
    (amqp.AMQPError, BrokerUnavailable, "the connection failed"),
    (workflow.AMQPConnectorException, BrokerUnavailable, "the connection could not be made"),
    (OSError, BrokerUnavailable, "the connection failed"),
)

_EXACTLY: dict[str, str] = {
    _LOGIN_REFUSED: "broker_login_refused",
    _VHOST_REFUSED: "broker_vhost_refused",
    _NO_TLS: "tls_failed",
    _NO_NAME: "name_unresolved",
}
"""Codes that say more than their class does."""

_ALERTS: tuple[tuple[str, str, str], ...] = (
    ("ALERT_CERTIFICATE_REQUIRED", "broker_certificate_missing", "the broker asks for a client certificate"),
    ("ALERT_CERTIFICATE_EXPIRED", "broker_certificate_expired", "the client certificate has expired"),
    ("ALERT_UNKNOWN_CA", "broker_certificate_refused", "the broker does not trust the client certificate's authority"),
    ("ALERT_BAD_CERTIFICATE", "broker_certificate_refused", "the broker refuses the client certificate"),
    ("ALERT_CERTIFICATE_REVOKED", "broker_certificate_refused", "the client certificate was revoked"),
    ("ALERT_CERTIFICATE_UNKNOWN", "broker_certificate_refused", "the broker refuses the client certificate"),
    ("ALERT_UNSUPPORTED_CERTIFICATE", "broker_certificate_refused", "the broker refuses the client certificate's kind"),
)
"""What a node says in TLS of the certificate that it was shown. With TLS 1.3 it comes after the handshake, and pika has
made a text of it by then."""


def translate(error: BaseException) -> BridgeError:
    """
    Return what a failure of pika means, with the vendor's exception as its cause.

    The texts of the broker stay out where they may quote what was sent; reply codes and names of queues stay in.
    """
    meaning = _meaning(error)
    meaning.__cause__ = error
    return meaning


def reply_code(error: BaseException) -> int | None:
    """Return the broker's reply code where it closed a channel or a connection with one."""
    if isinstance(error, amqp.ChannelClosedByBroker | amqp.ConnectionClosedByBroker):
        return int(error.reply_code)
    return None


def _meaning(error: BaseException) -> BridgeError:
    if isinstance(error, BridgeError):
        return error
    causes = list(_unwrapped(error))
    for cause in causes:
        code = reply_code(cause)
        if isinstance(cause, amqp.ChannelClosedByBroker | amqp.ConnectionClosedByBroker) and code is not None:
            return _of_reply(code, str(cause.reply_text))
    if (refused := _certificate_refused(causes)) is not None:
        return refused
    for vendor, ours, text in _MEANINGS:
        for cause in causes:
            if isinstance(cause, vendor):
                if _only_lost(cause):
                    return BrokerUnavailable("the connection was lost while opening")
                return ours(text, code=_exactly(text, cause))
    return BrokerUnavailable(type(error).__name__)


def _certificate_refused(causes: Sequence[BaseException]) -> BrokerAccessRefused | None:
    for cause in causes:
        text = str(cause.args) if isinstance(cause, amqp.AMQPError | ssl.SSLError) else ""
        for alert, code, meaning in _ALERTS:
            if alert in text:
                return BrokerAccessRefused(meaning, code=code)
    return None


def _exactly(text: str, cause: BaseException) -> str | None:
    # pika keeps the broker's reply as text.
    if text == _VHOST_REFUSED and "not found" in str(cause.args):
        return "broker_vhost_missing"
    if isinstance(cause, ssl.SSLCertVerificationError):
        failure = network_failure(cause)
        return failure.code if failure is not None else None
    return _EXACTLY.get(text)


def _only_lost(error: BaseException) -> bool:
    # pika guesses "refused" from the step at which a connection ended. Only where the broker closed it is that so;
    # a node that dies at this step ends it as well. What was there before the guess is left as text.
    return isinstance(error, amqp.ProbableAuthenticationError | amqp.ProbableAccessDeniedError) and (
        amqp.ConnectionClosedByBroker.__name__ not in str(error.args)
    )


def _of_reply(code: int, text: str) -> BridgeError:
    detail = f"{code} {text}"[:300] if code in _TELLING else f"reply code {code}"
    if code == PRECONDITION_FAILED and "larger than" in text:
        return MessageTooLarge(detail)
    if code == ACCESS_REFUSED and "in exclusive use" in text:
        return QueueTaken(detail)
    return _CODES.get(code, BrokerUnavailable)(detail, code=_exact_code(code, text))


def _exact_code(code: int, text: str) -> str | None:
    if code == NOT_ALLOWED and "vhost" in text:
        return "broker_vhost_missing" if "not found" in text else "broker_vhost_refused"
    if code == NOT_ALLOWED and "secret" in text:
        return "broker_login_refused"
    if code == ACCESS_REFUSED and "access to" in text:
        return "broker_right_missing"
    return None


def _unwrapped(error: BaseException) -> Iterator[BaseException]:
    """Yield the failures inside pika's connection workflow, innermost last."""
    yield error
    if isinstance(error, workflow.AMQPConnectionWorkflowFailed):
        for inner in error.exceptions:
            yield from _unwrapped(inner)
    elif isinstance(error, workflow.AMQPConnectorPhaseErrorBase):
        yield from _unwrapped(error.exception)
    elif isinstance(error, amqp.AMQPConnectionError):
        for argument in error.args:
            if isinstance(argument, BaseException):
                yield from _unwrapped(argument)
