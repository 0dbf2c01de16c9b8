"""Mails that share what should be theirs alone, and clocks that do not agree."""

from __future__ import annotations

import base64
import json
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.scenario.conftest import ADDRESS
from tests.support.sandbox import as_given
from tests.support.workers import take, until

if TYPE_CHECKING:
    from tests.scenario.conftest import Site

_MAIL = (
    b"From: cad@example.com\r\nMessage-ID: <same@example.com>\r\nDate: Tue, 24 Nov 2026 08:00:00 +0000\r\n"
    b"Subject: the same again\r\n\r\nbed 12\r\n"
)


def test_mails_with_the_same_message_id_and_the_same_bytes_all_arrive_each_under_an_id_of_its_own(site: Site) -> None:
    """A sender that repeats itself says so twice: who is to drop what is the consumer's to know."""
    for _ in range(5):
        site.sandbox.deliver(ADDRESS, _MAIL)

    with site.worker("ingest") as worker:
        until(lambda: site.count() == 0, "the inbox to be empty")
        worker.stop()

    taken = take(site.amqp_url)
    assert len({message_id for message_id, _ in taken}) == len(taken) == 5
    assert {as_given(base64.b64decode(json.loads(body)["raw"]["content"])) for _, body in taken} == {_MAIL}


@pytest.mark.parametrize("hours", [-5, 5])
def test_a_worker_whose_clock_is_hours_off_loses_no_mail_and_no_request(site: Site, hours: int) -> None:
    """Neither the life of a token, nor the rate, nor the patience with a begun send, goes by the worker's clock."""
    ahead = {f"{whose}_clock_ahead_seconds": hours * 3600 for whose in ("exchange", "entra")}
    site.sandbox.admin("/settings", method="PUT", body=ahead)
    for _ in range(3):
        site.sandbox.deliver(ADDRESS, _MAIL)
    request_ids = [f"r-{number}" for number in range(5)]
    _request(site, request_ids)
    events: list[dict[str, Any]] = []
    mails: list[tuple[str, bytes]] = []

    def finished() -> bool:
        events.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        mails.extend(take(site.amqp_url))
        return len(events) >= len(request_ids) and len(mails) >= 3 and site.count() == 0

    with site.worker("run") as worker:
        until(finished, "everything to be done")
        worker.stop()

    assert Counter(event["event"] for event in events) == {"outbound.sent": len(request_ids)}
    assert Counter(send["request_id"] for send in site.sandbox.sends()) == Counter(request_ids)
    assert len({message_id for message_id, _ in mails}) == len(mails) == 3


@pytest.mark.parametrize("hours", [-3, 3])
def test_whether_a_request_has_expired_does_not_go_by_the_clock_of_the_worker(site: Site, hours: int) -> None:
    """Three hours ahead it sends what has two hours to live; three hours behind it does not send what expired."""
    ahead = {f"{whose}_clock_ahead_seconds": hours * 3600 for whose in ("exchange", "entra")}
    site.sandbox.admin("/settings", method="PUT", body=ahead)
    now = datetime.now(UTC) + timedelta(hours=hours)
    _request(site, ["r-living"], expires_at=now + timedelta(hours=2))
    _request(site, ["r-expired"], expires_at=now - timedelta(hours=1))
    events: list[dict[str, Any]] = []

    def finished() -> bool:
        events.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        return len(events) >= 2

    with site.worker("egress") as worker:
        until(finished, "both requests to end")
        until(lambda: "clock" in worker.health(), "the clocks to be told of")
        clock = worker.health()["clock"]
        worker.stop()

    assert {event["request_id"]: event["event"] for event in events} == {
        "r-living": "outbound.sent",
        "r-expired": "outbound.expired",
    }
    assert [send["request_id"] for send in site.sandbox.sends()] == ["r-living"]
    assert (clock["status"], clock["code"]) == ("warning", "clock_skew")


def test_a_request_waits_that_has_expired_by_exchanges_clock_and_not_by_entras(site: Site) -> None:
    """Nobody can tell which of them is right; a person is told, and requests that live by both go out."""
    site.sandbox.admin("/settings", method="PUT", body={"entra_clock_ahead_seconds": -240})
    now = datetime.now(UTC)
    _request(site, ["r-doubt"], expires_at=now - timedelta(seconds=120))
    _request(site, ["r-living"], expires_at=now + timedelta(hours=2))
    events: list[dict[str, Any]] = []

    def sent() -> bool:
        events.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        return bool(events)

    with site.worker("egress") as worker:
        until(
            lambda: "time_unknown" in {line["code"] for line in worker.told("egress.request_deferred")}, "one to wait"
        )
        until(sent, "the other to be sent")
        until(lambda: "clock" in worker.health(), "the clocks to be told of")
        clock = worker.health()["clock"]
        worker.stop()

    assert [send["request_id"] for send in site.sandbox.sends()] == ["r-living"]
    assert [event["event"] for event in events] == ["outbound.sent"]
    assert (clock["status"], clock["code"]) == ("warning", "clocks_disagree")


def _request(site: Site, request_ids: list[str], *, expires_at: datetime | None = None) -> None:
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {"request_id": request_id, "to": [{"address": "crew@elsewhere.example"}], "text": "x"}
            if expires_at is not None:
                body["expires_at"] = expires_at.isoformat()
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", "dispatch", json.dumps(body).encode(), properties, mandatory=True)
