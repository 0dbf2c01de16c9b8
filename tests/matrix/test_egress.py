"""Every step of egress, cut before it, after it took effect and before its answer, and after the answer."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pika
import pytest

from bridge.wire.topology import OUTBOUND
from tests.matrix.cells import DISCARDING, EGRESS, ENDING, FAILING, FOLDER, TAKING_OVER, WAITING, Cell
from tests.support.workers import until

if TYPE_CHECKING:
    from tests.matrix.site import Site


def _request(site: Site, *request_ids: str, **fields: Any) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x", **fields}
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", site.alias, json.dumps(body).encode(), properties, mandatory=True)


def _ids(site: Site) -> list[str]:
    return [f"r-{number}-{site.address[:13]}" for number in range(2)]


def _cut(site: Site, at: Cell, request_ids: list[str]) -> list[dict[str, Any]]:
    """Let a worker come to the point, cut there, and return every event once all requests have theirs."""
    worker = site.start("egress", point=f"{at.step} {at.moment}")
    site.await_point()
    told: list[dict[str, Any]] = []

    def finished() -> bool:
        told.extend(site.taken("mail.events"))
        return {event["request_id"] for event in told} == set(request_ids)

    site.happen(at.cut, worker, "egress", finished)
    site.end()
    return told + site.taken("mail.events")


def _sends(site: Site, request_ids: list[str]) -> dict[str, int]:
    sends = Counter(send["request_id"] for send in site.sandbox.sends())
    return {request_id: sends[request_id] for request_id in request_ids}


def _assert_told(told: list[dict[str, Any]], event: str, request_ids: list[str]) -> None:
    """Each under one event id, and as nothing else."""
    assert {one["event"] for one in told} == {event}
    assert len({one["event_id"] for one in told}) == len(request_ids)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", EGRESS.cells(), ids=str)
def test_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Exchange sent each once, and each is told as sent under one event id."""
    request_ids = _ids(site)
    _request(site, *request_ids)

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.sent", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", FOLDER.cells(), ids=str)
def test_first_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """Whoever comes next finds the folder, or makes it, and trusts it."""
    request_ids = _ids(site)
    _request(site, *request_ids)

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.sent", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", DISCARDING.cells(), ids=str)
def test_repeated_request_is_not_sent_again_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """It was sent and told; then the same id came again, as a new request for all that its delivery tells."""
    request_ids = _ids(site)
    _request(site, *request_ids)
    told: list[dict[str, Any]] = []
    before = site.start("egress")

    def all_told() -> bool:
        told.extend(site.taken("mail.events"))
        return len(told) == len(request_ids)

    until(all_told, "the first sends to be told")
    assert before.stop() == 0
    _request(site, *request_ids)

    told += _cut(site, at, request_ids)

    _assert_told(told, "outbound.sent", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 1)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", ENDING.cells(), ids=str)
def test_expired_request_is_ended_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    request_ids = _ids(site)
    _request(site, *request_ids, expires_at="2026-01-01T00:00:00Z")

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.expired", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", FAILING.cells(), ids=str)
def test_bad_request_is_kept_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """It is in mail.dead before its event is told, at least once."""
    request_ids = _ids(site)
    _request(site, *request_ids, to=[])

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.failed", request_ids)
    assert {one["request_id"] for one in site.taken("mail.dead")} == set(request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 0)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", WAITING.cells(), ids=str)
def test_request_that_waits_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """
    Exchange asks for six seconds, once; the queue in which the request waits holds it for a moment only.

    One request: a second one would be held back by the same wait, and go round by another queue.
    """
    request_ids = _ids(site)[:1]
    _hurry(site, at.step.removeprefix("publish "))
    busy = {"kind": "server_busy", "back_off_milliseconds": 6000}
    match = {"operation": "CreateItem", "folder": "drafts", "mailbox": site.address}
    site.sandbox.add_fault({"name": site.address, "match": match, "fault": busy, "times": 1})
    _request(site, *request_ids)

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.sent", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 1)


def _hurry(site: Site, queue: str) -> None:
    """Make a retry queue anew, with half a second in the place of its own time."""
    arguments = {
        "x-queue-type": "quorum",
        "x-message-ttl": 500,
        "x-dead-letter-exchange": OUTBOUND,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_delete(queue)
        channel.queue_declare(queue, durable=True, arguments=arguments)
        channel.queue_bind(queue, queue)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("at", TAKING_OVER.cells(), ids=str)
def test_begun_request_is_sent_once_whatever_is_cut_wherever(site: Site, at: Cell) -> None:
    """The worker before this one was killed with its draft unsent, or with the mail sent and nothing noted of that."""
    request_ids = _ids(site)
    _request(site, *request_ids)
    before = site.start("egress", point="CreateItem drafts after" if at.step == "UpdateItem" else "SendItem after")
    site.await_point()
    before.kill()
    until(lambda: site.folder("outbox") == [], "the mail that was sent to leave")

    told = _cut(site, at, request_ids)

    _assert_told(told, "outbound.sent", request_ids)
    assert _sends(site, request_ids) == dict.fromkeys(request_ids, 1)
