"""Every step of egress, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pika
import pytest

from tests.matrix.test_ingest import cells

if TYPE_CHECKING:
    from tests.matrix.site import Cell

STEPS = (
    "FindItem ledger",
    "CreateItem drafts",
    "FindItem drafts",
    "FindItem outbox",
    "CreateItem ledger",
    "SendItem",
    "UpdateItem",
    "publish mail.events",
)
_ACKNOWLEDGED = [
    (step, moment, cut)
    for step, moment, cut in cells(("deliver", "ack"))
    if cut != "lose answer" and (step, moment) in {("deliver", "made"), ("ack", "before"), ("ack", "after")}
]


def _request(cell: Cell, *request_ids: str) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(cell.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x"}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", cell.alias, json.dumps(body).encode(), properties, mandatory=True)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(("step", "moment", "cut"), [*cells(STEPS), *_ACKNOWLEDGED])
def test_request_is_sent_once_whatever_is_cut_wherever(cell: Cell, step: str, moment: str, cut: str) -> None:
    """Exchange sent each once, and each is told as sent under one event id."""
    request_ids = [f"r-{number}-{cell.address[:13]}" for number in range(2)]
    _request(cell, *request_ids)
    worker = cell.start("egress", point=f"{step} {moment}")
    cell.await_point()
    told: list[dict[str, str]] = []

    def finished() -> bool:
        told.extend(cell.taken("mail.events"))
        return {event["request_id"] for event in told} == set(request_ids)

    cell.happen(cut, worker, "egress", finished)

    cell.end()
    told.extend(cell.taken("mail.events"))
    assert {event["event"] for event in told} == {"outbound.sent"}
    assert len({event["event_id"] for event in told}) == len(request_ids)
    sends = Counter(send["request_id"] for send in cell.sandbox.sends())
    assert {request_id: sends[request_id] for request_id in request_ids} == dict.fromkeys(request_ids, 1)
