"""Named after the fear: what becomes of mail when something dies in the middle. Counted from outside the workers."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import random
import signal
from collections import Counter
from typing import TYPE_CHECKING

import pika
import pytest

from tests.scenario.conftest import ADDRESS, Site, make_site
from tests.support.sandbox import as_given
from tests.support.workers import Worker, repeats, take, until

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.demo.broker_node import BrokerNode
    from tests.support.sandbox import SandboxProcess

_SEED = 20261124


def _mail(number: int, size: int = 2_000) -> bytes:
    body = (f"request {number} " * (size // 12 + 1))[:size]
    return (
        f"From: cad@example.com\r\nTo: {ADDRESS}\r\nSubject: Request {number}\r\n"
        f"Message-ID: <{number}@example.com>\r\n\r\n{body}\r\n"
    ).encode()


def _deliver(site: Site, count: int, *, size: int = 2_000) -> Counter[str]:
    """Deliver mails and return the hashes of their bytes."""
    mails = [_mail(number, size) for number in range(count)]
    for mail in mails:
        site.sandbox.deliver(ADDRESS, mail)
    return Counter(hashlib.sha256(mail).hexdigest() for mail in mails)


def _arrived(site: Site) -> tuple[list[str], Counter[str]]:
    """Return the message ids and the hashes of the raw bytes of everything in the queue, each id counted once."""
    taken = take(site.amqp_url)
    by_id = {message_id: as_given(base64.b64decode(json.loads(body)["raw"]["content"])) for message_id, body in taken}
    return [message_id for message_id, _ in taken], Counter(hashlib.sha256(raw).hexdigest() for raw in by_id.values())


def _empty(site: Site, worker: Worker, *, seconds: float = 90) -> None:
    until(lambda: site.count() == 0 or not worker.running, "the inbox to be empty", seconds=seconds)
    assert worker.running


def test_every_mail_arrives_once_and_in_order(site: Site) -> None:
    delivered = _deliver(site, 120)

    with site.worker("ingest") as worker:
        _empty(site, worker)
        assert worker.stop() == 0

    taken = take(site.amqp_url)
    numbers = [int(json.loads(body)["subject"].split()[1]) for _, body in taken]
    assert numbers == list(range(120))
    raws = Counter(
        hashlib.sha256(as_given(base64.b64decode(json.loads(body)["raw"]["content"]))).hexdigest() for _, body in taken
    )
    assert raws == delivered
    assert site.count("deleteditems") == 120


def test_process_killed_between_confirm_and_remove(site: Site) -> None:
    """Nothing is lost; repeats carry the same message_id and are no more than what was in flight."""
    chance = random.Random(_SEED)
    print(f"seed {_SEED}")
    delivered = _deliver(site, 400)
    worker = site.worker("ingest", INGEST__BATCH_MAILS="10", INGEST__UNCONFIRMED_MAILS="40")
    kills = 0
    with worker:
        while site.count() and kills < 12:
            goal = max(0, site.count() - chance.randrange(5, 40))
            until(lambda goal=goal: site.count() <= goal, "some mails to leave")  # type: ignore[misc]
            worker.kill()
            kills += 1
            worker.start()
        _empty(site, worker)
        worker.stop()

    ids, raws = _arrived(site)
    print(f"{kills} kills, {repeats(ids)} repeats of {len(delivered)}")
    assert raws == delivered
    assert len(set(ids)) == 400
    assert repeats(ids) <= kills * 40


def test_graceful_stop_makes_no_repeat(site: Site) -> None:
    delivered = _deliver(site, 300)
    worker = site.worker("ingest", INGEST__BATCH_MAILS="5")
    with worker:
        for _ in range(4):
            before = site.count()
            until(lambda goal=before: site.count() < goal or site.count() == 0, "mails to leave")  # type: ignore[misc]
            worker.url()  # one that has not begun to listen for signals is ended by them
            assert worker.stop() == 0
            worker.start()
        _empty(site, worker)
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) == 0


def test_graceful_stop_while_exchange_removes_nothing_makes_no_repeat(site: Site) -> None:
    """It goes on trying, as long as it may: whoever reads next would publish the mails again."""

    def refused() -> int:
        return int(site.sandbox.fault_report()[0]["fired"])

    with site.worker("ingest") as worker:
        until(worker.ready, "the worker to read")
        site.sandbox.faults({"match": {"operation": "DeleteItem"}, "fault": "unavailable"})
        delivered = _deliver(site, 20)
        until(lambda: refused() > 0, "a removal to fail")
        os.kill(worker.pid, signal.SIGTERM)
        before = refused()
        until(lambda: refused() > before + 1, "it to be tried again")
        site.sandbox.faults()
        assert worker.wait() == 0
    with site.worker("ingest") as worker:
        _empty(site, worker)
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) == 0


def test_broker_killed_in_the_middle(tmp_path: Path, sandbox: SandboxProcess, own_broker: BrokerNode) -> None:
    site = make_site(tmp_path, sandbox, own_broker.url)
    delivered = _deliver(site, 300)
    with site.worker("ingest", INGEST__BATCH_MAILS="5", INGEST__UNCONFIRMED_MAILS="20") as worker:
        until(lambda: site.count() < 280, "the first mails to leave")
        own_broker.sync()
        own_broker.kill()
        until(lambda: worker.health()["mailbox:dispatch:ingest"]["status"] == "trouble", "health to say so")
        own_broker.start()
        _empty(site, worker)
        until(worker.ready, "the worker to be ready again")
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) <= 20


def test_sandbox_killed_in_the_middle(site: Site) -> None:
    delivered = _deliver(site, 300)
    with site.worker("ingest", INGEST__BATCH_MAILS="5") as worker:
        until(lambda: site.count() < 280, "the first mails to leave")
        site.sandbox.restart()
        _empty(site, worker)
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) == 0


@pytest.mark.parametrize("operation", ["FindItem", "GetItem", "DeleteItem"])
@pytest.mark.parametrize("fault", ["cut_before", "cut_after", "truncated", "malformed", "empty", "html_page"])
def test_answers_of_exchange_get_lost(site: Site, operation: str, fault: str) -> None:
    """Whatever becomes of an answer, nothing is lost and nothing is published twice."""
    delivered = _deliver(site, 60)
    site.sandbox.faults(
        {"match": {"operation": operation, "probability": 0.5}, "fault": {"kind": fault}, "times": 4, "seed": _SEED}
    )

    with site.worker("ingest", INGEST__BATCH_MAILS="10") as worker:
        _empty(site, worker)
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) == 0


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "unavailable", "status": 503, "retry_after_seconds": 1},
        {"kind": "server_busy", "back_off_milliseconds": 700},
        {"kind": "item_server_busy"},
    ],
)
def test_throttling_in_its_three_faces(site: Site, fault: dict[str, object]) -> None:
    delivered = _deliver(site, 40)
    site.sandbox.faults({"match": {"operation": "GetItem"}, "fault": fault, "times": 2})

    with site.worker("ingest", INGEST__BATCH_MAILS="10") as worker:
        until(lambda: worker.metric("bridge_ingest_wait_seconds") > 0 or site.count() == 0, "the wait to be told")
        _empty(site, worker)
        until(lambda: worker.metric("bridge_ingest_wait_seconds") == 0, "the wait to be over")
        failed = worker.told("ingest.reading_failed")
        worker.stop()

    ids, raws = _arrived(site)
    assert raws == delivered
    assert repeats(ids) == 0
    assert {line["code"] for line in failed} == {"mailbox_throttled"}
    stated = {"unavailable": 1.0, "server_busy": 0.7}.get(str(fault["kind"]), 0.0)
    assert all(stated <= line["wait_seconds"] for line in failed)


def test_a_mail_that_exchange_cannot_convert_is_published_from_its_properties(site: Site) -> None:
    _deliver(site, 10)
    site.sandbox.faults(
        {
            "match": {"operation": "GetItem", "item": 4, "nth": 1},
            "fault": {"kind": "item_error", "code": "ErrorMimeContentConversionFailed"},
        }
    )

    with site.worker("ingest") as worker:
        _empty(site, worker)
        worker.stop()

    mails = [json.loads(body) for _, body in take(site.amqp_url)]
    [without] = [mail for mail in mails if mail["raw"] is None]
    assert len(mails) == 10
    assert without["subject"].startswith("Request ")
    assert "mime_refused" in without["defects"]


def test_a_mailbox_that_does_not_exist_pauses_and_the_others_run(site: Site) -> None:
    delivered = _deliver(site, 5)
    mailboxes = json.dumps(
        [{"alias": "dispatch", "address": ADDRESS}, {"alias": "ghost", "address": "ghost@example.org"}]
    )

    with site.worker("ingest", MAILBOXES=mailboxes) as worker:
        _empty(site, worker)
        until(lambda: worker.health()["mailbox:ghost:ingest"]["status"] == "trouble", "health to say so")
        ghost = worker.health()["mailbox:ghost:ingest"]
        assert not worker.ready()
        worker.stop()

    assert ghost["code"] in {"mailbox_not_found", "mailbox_access_denied"}
    assert ghost["hint"]
    assert _arrived(site)[1] == delivered


def test_mail_that_no_queue_wants_stays_until_one_does(site: Site) -> None:
    with_default = dict(site.environment)
    _deliver(site, 15)
    site.environment = {**with_default, "BRIDGE_INGEST__KEEP_SECONDS": "0.5"}
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        channel = connection.channel()
        channel.queue_unbind("mail.inbound", "mail.inbound", "#")
        with site.worker("ingest") as worker:
            until(lambda: bool(worker.told("ingest.reading_failed")), "the mailbox to pause")
            assert worker.told("ingest.reading_failed")[0]["code"] == "publish_unroutable"
            assert site.count() == 15
            channel.queue_bind("mail.inbound", "mail.inbound", "#")
            _empty(site, worker)
            worker.stop()

    ids, _ = _arrived(site)
    assert repeats(ids) == 0
    assert len(ids) == 15


def test_entra_down_at_the_start_is_waited_for(site: Site) -> None:
    delivered = _deliver(site, 5)
    site.sandbox.faults({"match": {"operation": "token"}, "fault": {"kind": "unavailable", "status": 503}})

    with site.worker("ingest") as worker:
        until(lambda: bool(worker.told("ingest.reading_failed")), "the failure")
        assert worker.told("ingest.reading_failed")[0]["code"] == "token_unavailable"
        site.sandbox.faults()
        _empty(site, worker)
        worker.stop()

    assert _arrived(site)[1] == delivered


def test_broker_down_at_the_start_is_waited_for(
    tmp_path: Path, sandbox: SandboxProcess, own_broker: BrokerNode
) -> None:
    site = make_site(tmp_path, sandbox, own_broker.url)
    delivered = _deliver(site, 5)
    own_broker.sync()
    own_broker.kill()

    with site.worker("ingest") as worker:
        until(lambda: bool(worker.told("broker.topology_unverified")), "the failure")
        assert not worker.ready()
        own_broker.start()
        _empty(site, worker)
        worker.stop()

    assert _arrived(site)[1] == delivered


def test_old_mail_is_left_where_it_is_when_told_so(site: Site) -> None:
    _deliver(site, 3)
    mailboxes = json.dumps([{"alias": "dispatch", "address": ADDRESS, "ignore_before": "2100-01-01"}])

    with site.worker("ingest", MAILBOXES=mailboxes) as worker:
        until(worker.ready, "a first listing")
        worker.stop()

    assert site.count() == 3


def test_a_missing_topology_is_named(site: Site, broker: BrokerNode, vhost: str) -> None:
    with contextlib.closing(pika.BlockingConnection(pika.URLParameters(site.amqp_url))) as connection:
        connection.channel().exchange_delete("mail.inbound")
    with site.worker("ingest") as worker:
        until(lambda: bool(worker.told("broker.topology_unverified")), "the finding")
        told = worker.told("broker.topology_unverified")[0]
        worker.stop()

    assert told["code"] == "topology_missing"
    assert "mail.inbound" in told["detail"]


@pytest.mark.parametrize("command", ["ingest", "egress", "run"])
def test_an_idle_worker_gets_ready_and_stops_at_once(site: Site, command: str) -> None:
    with site.worker(command) as worker:
        until(worker.ready, "the worker to be ready")
        until(lambda: {part["status"] for part in worker.health().values()} == {"ok"}, "every part to be well")
        assert worker.stop(seconds=10) == 0
