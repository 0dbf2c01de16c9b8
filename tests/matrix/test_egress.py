"""Every step of egress, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pika
import pytest

from tests.matrix.cells import EGRESS, Cell

if TYPE_CHECKING:
    from tests.matrix.site import Site


def _request(site: Site, *request_ids: str) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x"}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", site.alias, json.dumps(body).encode(), properties, mandatory=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", EGRESS.cells(), ids=str)
def test_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Exchange sent each once, and each is told as sent under one event id."""
    request_ids = [f"r-{number}-{site.address[:13]}" for number in range(2)]
    _request(site, *request_ids)
    worker = site.start("egress", point=f"{at.step} {at.moment}")
    site.await_point()
    told: list[dict[str, str]] = []

    def finished() -> bool:
        told.extend(site.taken("mail.events"))
        return {event["request_id"] for event in told} == set(request_ids)

    site.happen(at.cut, worker, "egress", finished)

    site.end()
    told.extend(site.taken("mail.events"))
    assert {event["event"] for event in told} == {"outbound.sent"}
    assert len({event["event_id"] for event in told}) == len(request_ids)
    sends = Counter(send["request_id"] for send in site.sandbox.sends())
    assert {request_id: sends[request_id] for request_id in request_ids} == dict.fromkeys(request_ids, 1)
