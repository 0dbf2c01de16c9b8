"""Events: told twice they are the same, and no two different ones are."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from bridge import errors
from bridge.wire import event_v1

_AT = datetime(2026, 11, 24, 8, 15, tzinfo=UTC)


def test_an_event_told_again_later_has_the_same_id() -> None:
    first = event_v1.build("outbound.sent", mailbox="dispatch", at=_AT, request_id="r", attempts=1)
    again = event_v1.build(
        "outbound.sent", mailbox="dispatch", at=_AT + timedelta(hours=1), request_id="r", attempts=2, detail="again"
    )

    assert first.event_id == again.event_id


def test_different_events_have_different_ids() -> None:
    ids = [
        event_v1.event_id("outbound.sent", mailbox="a", request_id="r"),
        event_v1.event_id("outbound.failed", mailbox="a", request_id="r"),
        event_v1.event_id("outbound.sent", mailbox="b", request_id="r"),
        event_v1.event_id("outbound.sent", mailbox="a", request_id="s"),
        event_v1.event_id("outbound.bounced", mailbox="a", request_id="r", about="x@example.org"),
        event_v1.event_id("outbound.bounced", mailbox="a", request_id="r", about="y@example.org"),
        event_v1.event_id("outbound.bounced", mailbox="a", request_id="rx", about="@example.org"),
        event_v1.event_id("inbound.parked", mailbox="a", message_id="r"),
    ]

    assert len(set(ids)) == len(ids)


def test_an_event_about_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="request_id"):
        event_v1.build("outbound.failed", mailbox="a", at=_AT)


def test_every_code_of_an_error_is_a_code_of_events() -> None:
    def classes(base: type[errors.BridgeError]) -> list[type[errors.BridgeError]]:
        return [base, *(found for one in base.__subclasses__() for found in classes(one))]

    assert {one.code for one in classes(errors.BridgeError) if one.__module__ == "bridge.errors"} <= set(event_v1.CODES)


def test_a_code_that_is_none_of_ours_is_refused() -> None:
    with pytest.raises(ValueError, match="no code"):
        event_v1.build("outbound.failed", mailbox="a", at=_AT, request_id="r", code="made_up")  # type: ignore[arg-type]


def test_a_reader_ignores_fields_events_and_codes_of_a_later_version() -> None:
    document = json.loads(event_v1.to_json(event_v1.build("outbound.sent", mailbox="a", at=_AT, request_id="r")))
    document |= {"event": "outbound.later", "code": "later", "field": 1}

    event = event_v1.from_json(json.dumps(document).encode())

    assert (event.event, event.code) == ("outbound.later", "later")


def test_the_message_is_routed_by_the_name_of_the_event() -> None:
    event = event_v1.build("outbound.sent", mailbox="dispatch", at=_AT, request_id="r", correlation_id="c")

    message = event_v1.message_of(event)

    assert message.amqp_exchange == "mail.events"
    assert message.routing_key == "outbound.sent"
    assert message.message_id == event.event_id
    assert message.correlation_id == "c"
    assert message.headers == {"mailbox": "dispatch", "event": "outbound.sent"}
    assert json.loads(message.body)["at"] == "2026-11-24T08:15:00Z"
