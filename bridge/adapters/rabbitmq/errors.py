"""What pika raises and what the broker's reply codes mean to the bridge: two tables."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING

from pika import exceptions as amqp
from pika.adapters.utils import connection_workflow as workflow

from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    QueueTaken,
    TopologyMissing,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

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

_MEANINGS: tuple[tuple[type[BaseException], type[BridgeError], str], ...] = (
    (amqp.AuthenticationError, BrokerAccessRefused, "the broker takes none of the login methods offered"),
    (amqp.ProbableAuthenticationError, BrokerAccessRefused, "the broker refuses the login"),
    (amqp.ProbableAccessDeniedError, BrokerAccessRefused, "the broker refuses the virtual host"),
    # A proxy with no broker behind it does the same, so waiting may help.
    (amqp.IncompatibleProtocolError, BrokerUnavailable, "what answers there does not speak AMQP 0-9-1"),
    (ssl.SSLCertVerificationError, BrokerAccessRefused, "the broker's certificate is not trusted"),
    (ssl.SSLError, BrokerUnavailable, "the TLS handshake failed"),
    (socket.gaierror, BrokerUnavailable, "the broker's host name is not known"),
    (ConnectionRefusedError, BrokerUnavailable, "nothing listens at the broker's address"),
    (TimeoutError, BrokerUnavailable, "the broker did not answer in time"),
    (amqp.AMQPHeartbeatTimeout, BrokerUnavailable, "the broker's heartbeats stopped"),
    (amqp.StreamLostError, BrokerUnavailable, "the connection was lost"),
    (amqp.ConnectionClosed, BrokerUnavailable, "the connection was closed"),
    (amqp.AMQPError, BrokerUnavailable, "the connection failed"),
    (workflow.AMQPConnectorException, BrokerUnavailable, "the connection could not be made"),
    (OSError, BrokerUnavailable, "the connection failed"),
)


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
    for vendor, ours, text in _MEANINGS:
        for cause in causes:
            if isinstance(cause, vendor):
                return BrokerUnavailable("the connection was lost while opening") if _only_lost(cause) else ours(text)
    return BrokerUnavailable(type(error).__name__)


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
    return _CODES.get(code, BrokerUnavailable)(detail)


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
