"""What pika raises, as a table; what the broker's replies mean is in `wire.broker_replies`."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from pika import exceptions as amqp
from pika.adapters.utils import connection_workflow as workflow

from bridge.adapters.network_failures import network_failure
from bridge.errors import BridgeError, BrokerAccessRefused, BrokerUnavailable
from bridge.telemetry import descriptors
from bridge.telemetry.descriptors import says_none_left
from bridge.wire.broker_replies import meaning_of_reply, reply_in

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_LOGIN_REFUSED, _VHOST_REFUSED = "the broker refuses the login", "the broker refuses the virtual host"
_UNTRUSTED, _NO_TLS = "the broker's certificate is not trusted", "the TLS handshake failed"
_NO_NAME = "the broker's host name is not known"
_NO_AMQP = "what answers there does not speak AMQP 0-9-1"

_MEANINGS: tuple[tuple[type[BaseException], type[BridgeError], str], ...] = (
    (amqp.AuthenticationError, BrokerAccessRefused, "the broker takes none of the login methods offered"),
    (amqp.ProbableAuthenticationError, BrokerAccessRefused, _LOGIN_REFUSED),
    (amqp.ProbableAccessDeniedError, BrokerAccessRefused, _VHOST_REFUSED),
    # A port for TLS closes the connection at once. A proxy with no broker behind it does the same: waiting may help.
    (amqp.IncompatibleProtocolError, BrokerUnavailable, _NO_AMQP),
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

_GUESSES = (amqp.IncompatibleProtocolError, amqp.ProbableAuthenticationError, amqp.ProbableAccessDeniedError)
"""What pika makes of a connection that the broker closes while it opens, by the step; the reply is in the text."""

_EXACTLY: dict[str, str] = {
    _LOGIN_REFUSED: "broker_login_refused",
    _VHOST_REFUSED: "broker_vhost_refused",
    _NO_TLS: "tls_failed",
    _NO_NAME: "name_unresolved",
    _NO_AMQP: "broker_protocol_mismatch",
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
        if (reply := _reply(cause)) is not None:
            return meaning_of_reply(*reply)
    if any(says_none_left(cause) for cause in causes):
        return BrokerUnavailable(code=descriptors.CODE)
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


def _reply(error: BaseException) -> tuple[int, str] | None:
    """Return the code and the text with which the broker closed a channel or connection, where it did."""
    if isinstance(error, amqp.ChannelClosedByBroker | amqp.ConnectionClosedByBroker):
        return int(error.reply_code), str(error.reply_text)
    if isinstance(error, _GUESSES) and error.args:
        return reply_in(str(error.args[0]))
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
