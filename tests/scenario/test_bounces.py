"""A mail that comes back is told of its request, and still delivered."""

from __future__ import annotations

import json
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pika

from tests.support.workers import take, until

if TYPE_CHECKING:
    from tests.scenario.conftest import Site


def _request(site: Site, request_id: str, *recipients: str) -> None:
    body = {"request_id": request_id, "to": [{"address": one} for one in recipients], "subject": "Crew", "text": "x"}
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
        channel.basic_publish("mail.outbound", "dispatch", json.dumps(body).encode(), properties, mandatory=True)


def test_a_bounce_is_announced_with_its_request_and_arrives_as_a_bounce(site: Site) -> None:
    _request(site, "page-7", "nobody@example.org")
    events: list[dict[str, Any]] = []
    mails: list[dict[str, Any]] = []

    def arrived() -> bool:
        events.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        mails.extend(json.loads(body) for _, body in take(site.amqp_url))
        return bool(mails)

    with site.worker("run") as worker:
        until(arrived, "the bounce")
        worker.stop()
    events += [json.loads(body) for _, body in take(site.amqp_url, "mail.events")]

    assert sorted((event["event"], event["request_id"]) for event in events) == [
        ("outbound.bounced", "page-7"),
        ("outbound.sent", "page-7"),
    ]
    [bounced] = [event for event in events if event["event"] == "outbound.bounced"]
    [mail] = mails
    assert (mail["kind"], mail["answers"], mail["message_id"]) == ("bounce", "page-7", bounced["message_id"])
    assert [one["address"] for one in mail["bounce"]["recipients"]] == ["nobody@example.org"]
    assert (bounced["code"], bounced["detail"]) == ("not_delivered", "5.1.10")


def test_a_worker_killed_between_the_announcement_of_a_bounce_and_its_mail_tells_it_under_the_same_id(
    site: Site,
) -> None:
    with site.worker("egress") as egress:
        _request(site, "page-8", "nobody@example.org")
        until(lambda: site.count() == 1, "the bounce to lie in the inbox")
        egress.stop()
    take(site.amqp_url, "mail.events")
    # With the queue for mail away nothing can be confirmed but events.
    with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        connection.channel().queue_unbind("mail.inbound", "mail.inbound", "#")
    told: list[dict[str, Any]] = []

    def heard(count: int) -> bool:
        told.extend(json.loads(body) for _, body in take(site.amqp_url, "mail.events"))
        return len(told) >= count

    ingest = site.worker("ingest", INGEST__KEEP_SECONDS="0.5")
    with ingest:
        until(lambda: heard(1), "the first announcement")
        ingest.kill()
        with closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
            connection.channel().queue_bind("mail.inbound", "mail.inbound", "#")
        ingest.start()
        until(lambda: site.count() == 0, "the bounce to leave")
        ingest.stop()
    heard(0)

    assert len(told) >= 2
    assert len({event["event_id"] for event in told}) == 1
    assert len(take(site.amqp_url)) == 1
