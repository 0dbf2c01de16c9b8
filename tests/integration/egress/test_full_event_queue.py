"""A subscriber binds a queue with a limit to `mail.events`, and reads none of it."""

from __future__ import annotations

import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest

from bridge.wire.topology import EVENTS
from tests.integration.egress.conftest import until
from tests.support.rabbit import bind_a_full_queue

if TYPE_CHECKING:
    from tests.integration.egress.conftest import Site


@pytest.mark.timeout(180)
def test_requests_are_sent_and_settled_while_the_queue_of_a_subscriber_is_full(site: Site) -> None:
    """Four of twelve were, in a minute: each waited for a confirm that could not come."""
    bind_a_full_queue(site.amqp_url, "cad.events", EVENTS, "#")
    worker = site.start()
    until(lambda: site.consumers("mail.outbound.dispatch") == 1, "the worker")
    started = time.monotonic()
    names = [f"r-{number}" for number in range(12)]

    site.request(names)
    until(lambda: site.sent() == dict.fromkeys(names, 1), "twelve sends")
    until(lambda: site.depth(EVENTS) >= 12, "their events")

    assert time.monotonic() - started < 30
    assert site.stop(worker) == 0
    assert site.outbound_left() == 0
    told = Counter(event["request_id"] for event in site.events() if event["event"] == "outbound.sent")
    assert set(told) == set(names)
    assert max(told.values()) <= 2
    log = (site.directory / "worker.log").read_text()
    assert log.count("broker.event_subscriber_refuses") == 1
