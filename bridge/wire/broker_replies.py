"""
What a reply of RabbitMQ means with which it closed a channel or a connection: its code and its text, as a table.

The code alone says too little: 530 (NOT_ALLOWED) is a virtual host that is not there and one that is full at the
moment; 541 (INTERNAL_ERROR) is a virtual host that its node has not opened yet. What passes by itself is unavailable;
the rest waits for a person.
"""

from __future__ import annotations

import ast
import contextlib
import re
from typing import Final

from bridge.errors import (
    BridgeError,
    BrokerAccessRefused,
    BrokerUnavailable,
    MessageTooLarge,
    QueueTaken,
    TopologyMissing,
)

CONNECTION_FORCED: Final = 320
ACCESS_REFUSED: Final = 403
NOT_FOUND: Final = 404
RESOURCE_LOCKED: Final = 405
PRECONDITION_FAILED: Final = 406
NOT_ALLOWED: Final = 530
INTERNAL_ERROR: Final = 541

QUEUE_DOWN: Final = "broker_queue_down"
"""The code of an error: the queue is declared, and has no process that the broker could ask."""

# Names that somebody else chose stand in the texts, so each pattern holds on to what stands before or behind them.
_LIMIT_REACHED: Final = (
    # A limit of 0 is how an operator closes a virtual host or shuts out a user: that one is no matter of waiting.
    r"(?:connection limit \((?!0\))\d+\) is reached"
    r"|^[A-Z_]+ - number of channels opened (?:on node|for user) .* has reached the maximum allowed (?:user )?limit"
    r" of \(?(?!0\b)\d+\)?)$"
)
_NO_PROCESS: Final = (
    r"(?:^[A-Z_]+ - home node '.*' of durable queue .* is down or inaccessible"
    r"|^[A-Z_]+ - queue '.*' in vhost '.*' (?:process is stopped by supervisor|has crashed and failed to restart)"
    r"|^[A-Z_]+ - failed to perform operation on queue .*(?: due to timeout|may be stopping or being demoted))$"
)
# Of the backend for tokens it is the token that has ended, or is no good: a newer one helps, and waiting does not.
_BACKEND_FAILED: Final = r"^.* refused for user '.*', backend \w+ returned an error(?=: (?!.*token))"

_TABLE: Final[tuple[tuple[int, str, type[BridgeError], str | None], ...]] = (
    (INTERNAL_ERROR, r"vhost '.*' is down$", BrokerUnavailable, "broker_vhost_down"),
    (CONNECTION_FORCED, r"vhost '.*' is down$", BrokerUnavailable, "broker_vhost_down"),
    (NOT_ALLOWED, _LIMIT_REACHED, BrokerUnavailable, "broker_limit_reached"),
    (NOT_ALLOWED, r"connection limit cannot be queried, timeout$", BrokerUnavailable, None),
    (NOT_ALLOWED, _BACKEND_FAILED, BrokerUnavailable, "broker_backend_failed"),
    (NOT_ALLOWED, r"^[A-Z_]+ - vhost .* not found$", BrokerAccessRefused, "broker_vhost_missing"),
    (NOT_ALLOWED, r"^[A-Z_]+ - access to vhost '", BrokerAccessRefused, "broker_vhost_refused"),
    (
        NOT_ALLOWED,
        r"^[A-Z_]+ - (?:New secret was refused|Secret update failed)",
        BrokerAccessRefused,
        "broker_login_refused",
    ),
    (NOT_ALLOWED, "", BrokerAccessRefused, None),
    (ACCESS_REFUSED, r"^[A-Z_]+ - Login was refused", BrokerAccessRefused, "broker_login_refused"),
    (ACCESS_REFUSED, r"in exclusive use$", QueueTaken, None),
    (ACCESS_REFUSED, _BACKEND_FAILED, BrokerUnavailable, "broker_backend_failed"),
    (ACCESS_REFUSED, r"access to ", BrokerAccessRefused, "broker_right_missing"),
    (ACCESS_REFUSED, "", BrokerAccessRefused, None),
    (NOT_FOUND, _NO_PROCESS, BrokerUnavailable, QUEUE_DOWN),
    (NOT_FOUND, "", TopologyMissing, None),
    (RESOURCE_LOCKED, "", QueueTaken, None),
    (PRECONDITION_FAILED, r"larger than", MessageTooLarge, None),
    (PRECONDITION_FAILED, "", BrokerUnavailable, None),
    (CONNECTION_FORCED, "", BrokerUnavailable, None),
)
"""The first row that fits. Texts of these codes are made of names alone, and told; those of others may quote what was
sent, and are told where they fit a row."""

_LONGEST_DETAIL: Final = 300


def meaning_of_reply(code: int, text: str) -> BridgeError:
    """Return what the reply means; no text in it that may quote a message."""
    for row_code, pattern, ours, exact in _TABLE:
        if code == row_code and (found := re.search(pattern, text, re.DOTALL | re.IGNORECASE)) is not None:
            # What a backend says of its own failure may hold anything.
            told = text[: found.end()] if pattern == _BACKEND_FAILED else text
            return ours(f"{code} {told}"[:_LONGEST_DETAIL], code=exact)
    return BrokerUnavailable(f"reply code {code}")


_SHOWN: Final = re.compile(r"ConnectionClosedByBroker: \((\d{3})\) (['\"].*['\"])", re.DOTALL)


def reply_in(shown: str) -> tuple[int, str] | None:
    """
    Return the code and the text out of how pika shows a connection that the broker closed; None where there is none.

    Where that happens while a connection opens pika keeps no more of it than that.
    """
    if (found := _SHOWN.fullmatch(shown)) is not None:
        with contextlib.suppress(ValueError, SyntaxError):
            return int(found[1]), str(ast.literal_eval(found[2]))
    return None
