"""A worker that is frozen where it has decided to send, for longer than its decision holds."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.support.workers import until

if TYPE_CHECKING:
    from tests.matrix.site import Site

_REQUEST = "frozen"
_ENTRY_GOOD_SECONDS = 60.0


def _frozen_before_its_send(site: Site, seconds: float, **fields: Any) -> list[dict[str, Any]]:
    """Let a worker come to its SendItem, freeze it there for so long, and return the events once there is one."""
    request = {"request_id": _REQUEST, "to": [{"address": "crew@example.org"}], "text": "x", **fields}
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(message_id=_REQUEST, content_type="application/json", delivery_mode=2)
        channel.basic_publish("mail.outbound", site.alias, json.dumps(request).encode(), properties, mandatory=True)
    worker = site.start("egress", point="SendItem before")
    site.await_point()
    worker.freeze()
    over = time.monotonic() + seconds
    until(lambda: time.monotonic() > over, "its time to be over", seconds=seconds + 60)
    worker.thaw()
    site.go_on()
    told: list[dict[str, Any]] = []

    def ended() -> bool:
        told.extend(site.taken("mail.events"))
        return bool(told)

    until(ended, "the end of the request", seconds=120)
    site.end()
    return told + site.taken("mail.events")


def _sends(site: Site) -> int:
    return sum(1 for send in site.sandbox.sends() if send["from"] == site.address)


@pytest.mark.timeout(240)
def test_a_request_that_expires_while_its_worker_is_frozen_at_the_call_is_never_sent(site: Site) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=20)

    told = _frozen_before_its_send(site, 21, expires_at=expires_at.isoformat())

    assert {event["event"] for event in told} == {"outbound.expired"}
    assert len({event["event_id"] for event in told}) == 1
    assert _sends(site) == 0


@pytest.mark.timeout(300)
def test_a_send_that_was_frozen_at_its_call_is_begun_anew_and_takes_its_place_in_the_line(site: Site) -> None:
    """Others may have had the minute meanwhile: the call that it had in hand is not made."""
    site.mailbox["send_rate_per_minute"] = 2

    told = _frozen_before_its_send(site, _ENTRY_GOOD_SECONDS + 1)

    assert {event["event"] for event in told} == {"outbound.sent"}
    assert _sends(site) == 1
    [void] = site.folder("drafts")  # the one whose call was in hand; another was made and sent
    assert void
