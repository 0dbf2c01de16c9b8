"""What pika raises, by the table."""

from __future__ import annotations

import socket
import ssl

import pytest
from pika import exceptions as amqp
from pika.adapters.utils import connection_workflow as workflow

from bridge.adapters.rabbitmq.errors import translate
from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    QueueTaken,
    TopologyMissing,
)


def _failed(*errors: BaseException) -> workflow.AMQPConnectionWorkflowFailed:
    return workflow.AMQPConnectionWorkflowFailed(list(errors))


_REFUSED = amqp.ConnectionClosedByBroker(403, "ACCESS_REFUSED - Login was refused")
_DOWN = amqp.ConnectionClosedByBroker(
    541, "INTERNAL_ERROR - access to vhost 'v' refused for user 'u': vhost 'v' is down"
)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (amqp.ChannelClosedByBroker(404, "NOT_FOUND - no queue 'q' in vhost '/'"), TopologyMissing),
        (amqp.ChannelClosedByBroker(403, "ACCESS_REFUSED - access to queue 'q' refused"), BrokerAccessRefused),
        (amqp.ChannelClosedByBroker(403, "ACCESS_REFUSED - queue 'q' in vhost '/' in exclusive use"), QueueTaken),
        (amqp.ChannelClosedByBroker(405, "RESOURCE_LOCKED - cannot obtain exclusive access"), QueueTaken),
        (
            amqp.ChannelClosedByBroker(406, "PRECONDITION_FAILED - delivery acknowledgement timed out"),
            BrokerUnavailable,
        ),
        (
            amqp.ChannelClosedByBroker(
                406, "PRECONDITION_FAILED - message size 2 is larger than configured max size 1"
            ),
            MessageTooLarge,
        ),
        (amqp.ConnectionClosedByBroker(320, "CONNECTION_FORCED - broker forced connection closure"), BrokerUnavailable),
        (amqp.ConnectionClosedByBroker(530, "NOT_ALLOWED - vhost x not found"), BrokerAccessRefused),
        (amqp.ProbableAuthenticationError(repr(_REFUSED)), BrokerAccessRefused),
        (amqp.ProbableAccessDeniedError(repr(_REFUSED)), BrokerAccessRefused),
        (amqp.ProbableAccessDeniedError(repr(_DOWN)), BrokerUnavailable),
        (
            _failed(workflow.AMQPConnectorAMQPHandshakeError(amqp.ProbableAccessDeniedError(repr(_DOWN)))),
            BrokerUnavailable,
        ),
        # The broker closed it, and pika shows that in a way that is not known: its guess is all there is.
        (amqp.ProbableAccessDeniedError("ConnectionClosedByBroker, and so on"), BrokerAccessRefused),
        # A node that dies in the middle of a handshake is no refusal.
        (amqp.ProbableAuthenticationError(repr(amqp.StreamLostError("x"))), BrokerUnavailable),
        (amqp.ProbableAccessDeniedError(repr(amqp.StreamLostError("x"))), BrokerUnavailable),
        (amqp.IncompatibleProtocolError("x"), BrokerUnavailable),
        (amqp.AMQPHeartbeatTimeout("x"), BrokerUnavailable),
        (amqp.AMQPConnectionError(_failed(ConnectionRefusedError(111, "x"))), BrokerUnavailable),
        (_failed(workflow.AMQPConnectorTransportSetupError(ssl.SSLCertVerificationError("x"))), BrokerAccessRefused),
        (_failed(workflow.AMQPConnectorSocketConnectError(socket.gaierror(-2, "x"))), BrokerUnavailable),
        (TimeoutError(), BrokerUnavailable),
        (OSError(5, "x"), BrokerUnavailable),
    ],
)
def test_each_failure_has_its_meaning(error: BaseException, expected: type[BridgeError]) -> None:
    """With the vendor's exception as the cause."""
    meaning = translate(error)

    assert type(meaning) is expected
    assert meaning.__cause__ is error


def test_a_refusal_while_the_connection_opens_tells_the_broker_s_reply() -> None:
    """Of which pika keeps no more than a text."""
    meaning = translate(amqp.ProbableAccessDeniedError(repr(_DOWN)))

    assert meaning.code == "broker_vhost_down"
    assert str(meaning) == "541 INTERNAL_ERROR - access to vhost 'v' refused for user 'u': vhost 'v' is down"


def test_replies_that_may_quote_what_was_sent_are_not_repeated() -> None:
    """A frame error shows octets of the frame."""
    meaning = translate(amqp.ConnectionClosedByBroker(501, "FRAME_ERROR - payload <<'subject'>>"))

    assert "subject" not in str(meaning)
    assert "501" in str(meaning)


def test_of_an_error_that_nobody_knows_its_kind_alone_is_told() -> None:
    """Its text may be anything, such as what was on its way."""
    meaning = translate(ValueError("subject"))

    assert "subject" not in str(meaning)
    assert "ValueError" in str(meaning)


def test_an_error_of_the_bridge_stays_what_it_is() -> None:
    """Translated once."""
    error = QueueTaken("q")

    assert translate(error) is error
