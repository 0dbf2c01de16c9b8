"""RabbitMQ's replies, in the words of its releases 3.13 to 4.3, and what passes by itself of them."""

from __future__ import annotations

import pytest
from pika.exceptions import ConnectionClosedByBroker

from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    QueueTaken,
    TopologyMissing,
)
from bridge.telemetry.reasons import CODES, general_of, hint_for
from bridge.wire.broker_replies import meaning_of_reply, reply_in
from bridge.wire.event_v1 import CODES as EVENT_CODES

_OPENING = "access to vhost 'v' refused for user 'u'"

_PASSES: list[tuple[int, str, str]] = [
    (541, f"INTERNAL_ERROR - {_OPENING}: vhost 'v' is down", "broker_vhost_down"),
    (320, "CONNECTION_FORCED - vhost 'v' is down", "broker_vhost_down"),
    (530, f"NOT_ALLOWED - {_OPENING}: connection limit (5) is reached", "broker_limit_reached"),
    (530, "NOT_ALLOWED - connection refused: node connection limit (10) is reached", "broker_limit_reached"),
    (
        530,
        "NOT_ALLOWED - connection refused for user 'u': user connection limit (5) is reached",
        "broker_limit_reached",
    ),
    (
        530,
        "NOT_ALLOWED - number of channels opened on node 'rabbit@a' has reached the maximum allowed limit of (7)",
        "broker_limit_reached",
    ),
    (
        530,
        "NOT_ALLOWED - number of channels opened for user 'u' has reached the maximum allowed user limit of 7",
        "broker_limit_reached",
    ),
    (530, f"NOT_ALLOWED - {_OPENING}: connection limit cannot be queried, timeout", "broker_unavailable"),
    (
        530,
        f"NOT_ALLOWED - {_OPENING}, backend rabbit_auth_backend_http returned an error: {{failed_connect,[]}}",
        "broker_backend_failed",
    ),
    (
        403,
        "ACCESS_REFUSED - read access to queue 'q' refused for user 'u', backend b returned an error: timeout",
        "broker_backend_failed",
    ),
    (
        404,
        "NOT_FOUND - home node 'rabbit@a' of durable queue 'q' in vhost 'v' is down or inaccessible",
        "broker_queue_down",
    ),
    (404, "NOT_FOUND - queue 'q' in vhost 'v' process is stopped by supervisor", "broker_queue_down"),
    (404, "NOT_FOUND - queue 'q' in vhost 'v' has crashed and failed to restart", "broker_queue_down"),
    (404, "NOT_FOUND - failed to perform operation on queue 'q' in vhost 'v' due to timeout", "broker_queue_down"),
    (
        404,
        "NOT_FOUND - failed to perform operation on queue 'q': its leader l may be stopping or being demoted",
        "broker_queue_down",
    ),
    (320, "CONNECTION_FORCED - Node was put into maintenance mode", "broker_unavailable"),
    (406, "PRECONDITION_FAILED - delivery acknowledgement on channel 1 timed out", "broker_unavailable"),
    (501, "FRAME_ERROR - type 3, all octets", "broker_unavailable"),
    (504, "CHANNEL_ERROR - second 'channel.open' seen", "broker_unavailable"),
    (541, "INTERNAL_ERROR", "broker_unavailable"),
]

_WAITS: list[tuple[int, str, type[BridgeError], str]] = [
    (
        403,
        "ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile.",
        BrokerAccessRefused,
        "broker_login_refused",
    ),
    (
        403,
        "ACCESS_REFUSED - read access to queue 'q' in vhost 'v' refused for user 'u'",
        BrokerAccessRefused,
        "broker_right_missing",
    ),
    (403, "ACCESS_REFUSED - queue 'q' in vhost 'v' in exclusive use", QueueTaken, "queue_taken"),
    (404, "NOT_FOUND - no queue 'q' in vhost 'v'", TopologyMissing, "topology_missing"),
    (
        405,
        "RESOURCE_LOCKED - cannot obtain exclusive access to locked queue 'q' in vhost 'v'",
        QueueTaken,
        "queue_taken",
    ),
    (
        406,
        "PRECONDITION_FAILED - message size 9 is larger than configured max size 8",
        MessageTooLarge,
        "too_large_for_broker",
    ),
    (530, "NOT_ALLOWED - vhost v not found", BrokerAccessRefused, "broker_vhost_missing"),
    (530, f"NOT_ALLOWED - {_OPENING}", BrokerAccessRefused, "broker_vhost_refused"),
    (530, "NOT_ALLOWED - New secret was refused by one of the backends", BrokerAccessRefused, "broker_login_refused"),
    (530, "NOT_ALLOWED - Secret update failed", BrokerAccessRefused, "broker_login_refused"),
    (
        530,
        "NOT_ALLOWED - negotiated channel_max = 9 is higher than the maximum allowed value (8)",
        BrokerAccessRefused,
        "broker_access_refused",
    ),
    # A limit of nought shuts somebody out.
    (530, f"NOT_ALLOWED - {_OPENING}: connection limit (0) is reached", BrokerAccessRefused, "broker_vhost_refused"),
    (
        530,
        "NOT_ALLOWED - connection refused for user 'u': user connection limit (0) is reached",
        BrokerAccessRefused,
        "broker_access_refused",
    ),
    # A token that has ended is told as a backend's error; a newer one is what helps.
    (
        530,
        f'NOT_ALLOWED - {_OPENING}, backend oauth2 returned an error: <<"Provided JWT token has expired">>',
        BrokerAccessRefused,
        "broker_vhost_refused",
    ),
    # Names that sound like a reason are none.
    (
        530,
        "NOT_ALLOWED - access to vhost 'not found' refused for user 'is down'",
        BrokerAccessRefused,
        "broker_vhost_refused",
    ),
    (404, "NOT_FOUND - no queue 'due to timeout' in vhost 'v'", TopologyMissing, "topology_missing"),
]


@pytest.mark.parametrize(("code", "text", "exact"), _PASSES)
def test_what_passes_by_itself_is_unavailable(code: int, text: str, exact: str) -> None:
    """It is tried again, and nobody is called."""
    meaning = meaning_of_reply(code, text)

    assert (type(meaning), meaning.code) == (BrokerUnavailable, exact)


@pytest.mark.parametrize(("code", "text", "expected", "exact"), _WAITS)
def test_what_needs_a_person_is_told_as_that(code: int, text: str, expected: type[BridgeError], exact: str) -> None:
    meaning = meaning_of_reply(code, text)

    assert (type(meaning), meaning.code) == (expected, exact)


@pytest.mark.parametrize("code", sorted({row[2] for row in _PASSES} | {row[3] for row in _WAITS}))
def test_every_code_has_its_words_and_one_that_events_know(code: str) -> None:
    assert code in CODES
    assert hint_for(code)
    assert general_of(code) in EVENT_CODES


@pytest.mark.parametrize("code", [501, 504, 541])
def test_texts_that_may_quote_a_message_are_not_told(code: int) -> None:
    assert "subject" not in str(meaning_of_reply(code, "FRAME_ERROR - payload <<'subject'>>"))


def test_what_a_backend_says_of_its_failure_is_not_told() -> None:
    text = f'NOT_ALLOWED - {_OPENING}, backend rabbit_auth_backend_http returned an error: {{bad_response,"private"}}'

    meaning = meaning_of_reply(530, text)

    assert str(meaning) == f"530 NOT_ALLOWED - {_OPENING}, backend rabbit_auth_backend_http returned an error"


@pytest.mark.parametrize("text", ["vhost 'v' is down", 'an "odd" one', "both ' and \"", "a line\nend", "\\"])
def test_a_reply_is_had_out_of_what_pika_shows_of_it(text: str) -> None:
    assert reply_in(repr(ConnectionClosedByBroker(541, text))) == (541, text)


@pytest.mark.parametrize(
    "shown",
    ["", "StreamLostError: ('x',)", "ConnectionClosedByBroker: (541) 'x", "ConnectionClosedByBroker: (541) 'a' + 'b'"],
)
def test_what_shows_no_reply_has_none(shown: str) -> None:
    assert reply_in(shown) is None
