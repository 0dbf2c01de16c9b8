"""Requests of a cell: published as a CAD system does, sent by workers, and told."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pika

from tests.support.workers import until

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.matrix.cells import Cell
    from tests.matrix.site import Site


def request(site: Site, *request_ids: str, **fields: Any) -> None:
    """Publish requests, with other fields than usual if need be."""
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x", **fields}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", site.alias, json.dumps(body).encode(), properties, mandatory=True)


def ids(site: Site, *, group: str = "r") -> list[str]:
    """Return ids that no other cell has."""
    return [f"{group}-{number}-{site.address[:13]}" for number in range(2)]


def all_members(site: Site, request_ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return every event once all requests have theirs."""
    told: list[dict[str, Any]] = []
    until(lambda: _told(site, told, request_ids), "the ends of all requests to be told")
    return told


def cut(
    site: Site, at: Cell, request_ids: Sequence[str], *, finished: Callable[[], bool] = lambda: True
) -> list[dict[str, Any]]:
    """Let a worker come to the point, cut there, and return every event once all is finished and each has its end."""
    worker = site.start("egress", point=f"{at.step} {at.moment}")
    site.await_point()
    told: list[dict[str, Any]] = []
    site.happen(at.cut, worker, "egress", lambda: _told(site, told, request_ids) and finished())
    site.end()
    return told + site.taken("mail.events")


def assert_told(told: Sequence[dict[str, Any]], event: str, request_ids: Sequence[str]) -> None:
    """Each under one event id, and as nothing else."""
    assert {one["event"] for one in told} == {event}
    assert len({one["event_id"] for one in told}) == len(request_ids)


def assert_sent(site: Site, request_ids: Sequence[str], times: int) -> None:
    """By Exchange's own account."""
    sends = Counter(send["request_id"] for send in site.sandbox.sends())
    assert {one: sends[one] for one in request_ids} == dict.fromkeys(request_ids, times)


def assert_sent_once(site: Site, told: Sequence[dict[str, Any]], request_ids: Sequence[str]) -> None:
    """Exchange sent each once, and each is told as sent under one event id."""
    assert_told(told, "outbound.sent", request_ids)
    assert_sent(site, request_ids, 1)


def _told(site: Site, told: list[dict[str, Any]], request_ids: Sequence[str]) -> bool:
    told.extend(site.taken("mail.events"))
    return {event["request_id"] for event in told} == set(request_ids)
