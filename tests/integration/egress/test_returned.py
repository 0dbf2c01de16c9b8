"""What the real broker gives back, and in which words."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pika

from tests.integration.egress.conftest import Site, until

if TYPE_CHECKING:
    from collections.abc import Callable


def told(site: Site, count: int) -> tuple[list[dict[str, Any]], Callable[[], bool]]:
    """A list that fills with events, and whether there are so many."""
    events: list[dict[str, Any]] = []

    def enough() -> bool:
        events.extend(site.events())
        return len(events) >= count

    return events, enough


def publish(site: Site, body: bytes, *, key: str = "dispatch", **properties: Any) -> None:
    with site.channel() as channel:
        made = pika.BasicProperties(content_type="application/json", delivery_mode=2, **properties)
        channel.basic_publish("mail.outbound", key, body, made, mandatory=True)


def a_body(request_id: str) -> bytes:
    return json.dumps({"request_id": request_id, "to": [{"address": "crew@example.org"}]}).encode()


def test_expiration_alias_and_nonsense_end_with_their_events(site: Site) -> None:
    publish(site, a_body("too-late"), message_id="too-late", expiration="50")
    publish(site, a_body("astray"), key="nobody", message_id="astray")
    publish(site, b"nonsense", message_id="nonsense")
    publish(site, a_body("copied"), message_id="copied", headers={"CC": ["mail.dead"]})
    until(lambda: site.depth("mail.outbound.returned") == 2, "the broker to give two back")
    publish(site, a_body("good"), message_id="good")
    events, enough = told(site, 5)

    worker = site.start()
    until(enough, "five events")

    assert site.stop(worker) == 0
    outcomes = {event["request_id"]: (event["event"], event["code"]) for event in events}
    assert outcomes == {
        "too-late": ("outbound.expired", "expired"),
        "astray": ("outbound.failed", "unknown_alias"),
        "nonsense": ("outbound.failed", "invalid_request"),
        "copied": ("outbound.failed", "invalid_request"),
        "good": ("outbound.sent", None),
    }
    assert site.sent() == {"good": 1}
    assert site.depth("mail.dead") == 3
    assert site.outbound_left() == 0


def test_request_of_a_missing_queue_is_sent_once_the_queue_is_there_again(site: Site) -> None:
    with site.channel() as channel:
        channel.queue_delete("mail.outbound.dispatch")
    publish(site, a_body("waits"), message_id="waits")
    events, enough = told(site, 1)

    worker = site.start()
    until(lambda: site.depth("mail.outbound.retry.5s") == 1, "the request to wait")
    site.apply_topology()
    until(enough, "its event")

    assert site.stop(worker) == 0
    assert events[0]["event"] == "outbound.sent"
    assert site.sent() == {"waits": 1}


def test_worker_that_is_told_to_stop_leaves_nothing_half_done(site: Site) -> None:
    request_ids = [f"r-{number}" for number in range(30)]
    site.request(request_ids)
    worker = site.start()
    until(lambda: len(site.sandbox.sends()) >= 5, "some sends")

    assert site.stop(worker) == 0

    events = site.events()
    assert {event["request_id"]: 1 for event in events} == site.sent()
    assert len(events) + site.outbound_left() == 30
