"""The broker's disk or memory runs out: it takes no publishes, and says so to those who try."""

from __future__ import annotations

import contextlib
import json
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import pytest

from tests.scenario.conftest import ADDRESS, Site, make_site
from tests.support.rabbit import a_channel
from tests.support.workers import Worker, repeats, take, until

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode
    from tests.support.sandbox import SandboxProcess

_MAILS, _REQUESTS, _SIZE = 300, 5, 100_000
_IN_FLIGHT_BYTES = 4 * 1024 * 1024
_ALARM_SECONDS = 10.0
_HELD = "held-by-the-test"


def _deliver(site: Site, numbers: range) -> None:
    for number in numbers:
        body = f"request {number} ".encode() * (_SIZE // 12)
        head = f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: {number}\r\n\r\n".encode()
        site.sandbox.deliver(ADDRESS, head + body + b"\r\n")


def _request(amqp_url: str) -> None:
    """Have requests at the broker, in no queue of the bridge yet: once there is an alarm nobody can publish them."""
    to_the_bridge = {"x-dead-letter-exchange": "mail.outbound", "x-dead-letter-routing-key": "dispatch"}
    with a_channel(amqp_url) as channel:
        channel.queue_declare(_HELD, durable=True, arguments=to_the_bridge)
        for number in range(_REQUESTS):
            body = {"request_id": f"r-{number}", "to": [{"address": "crew@elsewhere.example"}], "text": "x"}
            properties = pika.BasicProperties(
                message_id=f"r-{number}", content_type="application/json", delivery_mode=2
            )
            channel.basic_publish("", _HELD, json.dumps(body).encode(), properties, mandatory=True)


def _let_requests_go(amqp_url: str) -> None:
    """Let the broker itself pass them on, which no alarm keeps it from."""
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(amqp_url))) as connection:
        channel = connection.channel()
        for _ in range(_REQUESTS):
            method, _, _ = channel.basic_get(_HELD)
            assert method is not None
            channel.basic_reject(method.delivery_tag, requeue=False)


def _memory_bytes(worker: Worker) -> int:
    lines = Path(f"/proc/{worker.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS:"))


_ALARMS = {
    "disk": (("set_disk_free_limit", "1000000GB"), ("set_disk_free_limit", "64MB")),
    "memory": (
        ("set_vm_memory_high_watermark", "absolute", "1MB"),
        ("set_vm_memory_high_watermark", "0.6"),
    ),
}


@pytest.mark.parametrize("kind", _ALARMS)
def test_a_broker_that_is_full_keeps_mail_where_it_is_and_nothing_piles_up_in_the_worker(
    tmp_path: Path, sandbox: SandboxProcess, own_broker: BrokerNode, own_url: str, kind: str
) -> None:
    """Mail in its inbox, requests in their queue, the reason in health; it goes on by itself, each mail once."""
    alarm, all_clear = _ALARMS[kind]
    site = make_site(tmp_path, sandbox, own_url)
    _request(own_url)
    own_broker.ctl(*alarm)
    try:
        _deliver(site, range(20))
        with site.worker("run", INGEST__IN_FLIGHT_BYTES=str(_IN_FLIGHT_BYTES)) as worker:
            until(lambda: _publishing(worker).get("code") == "broker_blocked", "the alarm to be told")
            # Announcements have another connection. Before this one is told, the sends of some requests are begun.
            until(lambda: worker.metric("bridge_broker_blocked", role="publish") == 1, "the publisher to be told")
            _let_requests_go(own_url)
            before, begun = _memory_bytes(worker), time.monotonic()
            _deliver(site, range(20, _MAILS))
            until(lambda: time.monotonic() > begun + _ALARM_SECONDS, "the alarm to last for a while")
            left, held, grown = site.count(), _held(worker), _memory_bytes(worker) - before
            ready, sent = worker.ready(), len(sandbox.sends())

            own_broker.ctl(*all_clear)
            until(lambda: site.count() == 0, "the inbox to be empty", seconds=120)
            until(lambda: len(sandbox.sends()) == _REQUESTS, "the requests to be sent", seconds=60)
            until(worker.ready, "the worker to be ready again")
            assert worker.stop() == 0
    finally:
        own_broker.ctl(*all_clear)

    taken = take(own_url)
    print(f"held {held / 1e6:.1f} MB, grown by {grown / 1e6:.1f} MB, {repeats([name for name, _ in taken])} repeats")
    assert (left, sent, ready) == (_MAILS, 0, False)
    assert held <= _IN_FLIGHT_BYTES
    assert grown < 4 * _IN_FLIGHT_BYTES < _MAILS * _SIZE
    subjects = Counter(json.loads(body)["subject"] for body in dict(taken).values())
    assert subjects == Counter(str(number) for number in range(_MAILS))
    assert Counter(send["request_id"] for send in sandbox.sends()) == Counter(f"r-{n}" for n in range(_REQUESTS))


def _publishing(worker: Worker) -> dict[str, Any]:
    return worker.health().get("broker:publish", {})


def _held(worker: Worker) -> float:
    return worker.metric("bridge_ingest_in_flight_bytes")
