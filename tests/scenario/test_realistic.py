"""Both ways where mail is late or repeated, copies are late, drafts are touched and calls have a budget."""

from __future__ import annotations

import base64
import contextlib
import email
import json
from collections import Counter
from email import policy
from typing import TYPE_CHECKING

import pika
import pytest

from tests.scenario.conftest import ADDRESS, Site
from tests.support.sandbox import SandboxProcess
from tests.support.workers import take, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_CREW = "crew@example.org"
_MAILS, _REQUESTS = 40, 20  # within what a mailbox may send in a minute


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A realistic one."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, _CREW], realistic=True) as process:
        yield process


@pytest.mark.timeout(240)
def test_in_a_realistic_world_every_mail_arrives_once_and_every_request_is_sent_once(site: Site) -> None:
    for number in range(_MAILS):
        site.sandbox.deliver(ADDRESS, _mail(number))
    site.sandbox.deliver(ADDRESS, _mail(0))  # accepted, and dropped where it arrives
    site.sandbox.restart()  # nothing that was answered 250 is lost, though it is in no mailbox yet

    request_ids = [f"r-{number}" for number in range(_REQUESTS)]
    with site.worker("ingest") as ingest, site.worker("egress", HTTP__LISTEN="127.0.0.1:0") as egress:
        _request(site, request_ids)
        received: dict[str, bytes] = {}

        def all_received() -> bool:
            received.update(take(site.amqp_url))
            return len(received) >= _MAILS + _REQUESTS and site.count() + site.count(address=_CREW) == 0

        until(all_received, "all mails, what was sent among them", seconds=90, look_seconds=0.2)
        until(lambda: site.count("sentitems") >= _REQUESTS, "the copies of what was sent")
        assert (ingest.stop(), egress.stop()) == (0, 0)
        received.update(take(site.amqp_url))

    wanted = {(f"Request {number}", f"Bed {number} is free") for number in range(_MAILS)}
    wanted |= {(request_id, f"Text of {request_id}") for request_id in request_ids}
    assert Counter(map(_told, received.values())) == dict.fromkeys(wanted, 1)
    assert Counter(send["request_id"] for send in site.sandbox.sends()) == dict.fromkeys(request_ids, 1)
    events = [json.loads(body) for _, body in take(site.amqp_url, "mail.events")]
    sent = Counter(event["request_id"] for event in events if event["event"] == "outbound.sent")
    assert sent == dict.fromkeys(request_ids, 1)


def _mail(number: int) -> bytes:
    return (
        f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Request {number}\r\nMessage-ID: <{number}@example.com>\r\n"
        f"Date: Wed, 02 Dec 2026 10:00:00 +0000\r\n\r\nBed {number} is free\r\n"
    ).encode()


def _told(body: bytes) -> tuple[str, str]:
    """Return what a mail says, whatever Exchange made of its bytes."""
    mail = email.message_from_bytes(base64.b64decode(json.loads(body)["raw"]["content"]), policy=policy.default)
    text = mail.get_body(("plain",))
    assert text is not None
    return str(mail["Subject"]), text.get_content().strip()


def _request(site: Site, request_ids: list[str]) -> None:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.confirm_delivery()
        for request_id in request_ids:
            body = {
                "request_id": request_id,
                "to": [{"address": _CREW}],
                "subject": request_id,
                "text": f"Text of {request_id}",
            }
            properties = pika.BasicProperties(message_id=request_id, content_type="application/json", delivery_mode=2)
            channel.basic_publish("mail.outbound", "dispatch", json.dumps(body).encode(), properties, mandatory=True)
