"""A lease that is held by nobody who works: whoever stands by says so within a minute, and why."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pika
import pytest

from tests.scenario.conftest import ADDRESS, make_site
from tests.support.cluster import Cluster
from tests.support.rights import with_least_rights
from tests.support.workers import Worker, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.demo.broker_node import BrokerNode
    from tests.scenario.conftest import Site
    from tests.support.sandbox import SandboxProcess

_READS, _SENDS = "mailbox:dispatch:ingest", "mailbox:dispatch:egress"
_LEASES = ("mail.lease.inbound.dispatch", "mail.lease.outbound.dispatch", "mail.lease.outbound.dispatch.urgent")
_BOUND_SECONDS = 60.0
_MAIL = b"From: cad@example.com\r\nTo: dispatch@example.org\r\nSubject: x\r\n\r\nRequest.\r\n"


def code(worker: Worker, part: str) -> str:
    """Return how the worker says that a part is; the broker's own trouble while it starts is no answer."""
    return str(worker.health().get(part, {}).get("code"))


@contextmanager
def foreign_connection(amqp_url: str) -> Iterator[None]:
    """A connection that is no worker's and holds the leases of the mailbox."""
    parameters = pika.URLParameters(amqp_url)
    parameters.heartbeat = 0
    connection = pika.BlockingConnection(parameters)
    try:
        channel = connection.channel()
        for lease in _LEASES:
            channel.queue_declare(lease, exclusive=True)
        yield
    finally:
        connection.close()


@pytest.mark.timeout(180)
def test_leases_that_a_foreign_connection_holds_are_told_with_how_to_find_it(site: Site, broker: BrokerNode) -> None:
    """It stopped a mailbox for ever, under green health."""
    site.sandbox.deliver(ADDRESS, _MAIL)
    with ExitStack() as stack:
        worker = site.worker("run")
        with foreign_connection(site.amqp_url):
            stack.enter_context(worker)
            until(lambda: code(worker, _READS) == "standby", "the worker to stand by")
            began = time.monotonic()

            for part in (_READS, _SENDS):
                until(lambda part=part: code(worker, part) == "nobody_works", f"{part} to say so")  # type: ignore[misc]
            assert time.monotonic() - began < _BOUND_SECONDS

            assert not worker.ready()
            assert worker.metric("bridge_health_part_up", part=_READS) == 0
            for part, lease in ((_READS, _LEASES[0]), (_SENDS, _LEASES[2])):
                told = worker.health()[part]
                assert lease in told["detail"]
                assert "list_queues -p VHOST name owner_pid" in told["hint"]
            vhost = unquote(urlsplit(site.amqp_url).path[1:])
            queues = broker.ctl("list_queues", "-p", vhost, "name", "owner_pid").splitlines()
            [holder] = [line.split("\t")[1] for line in queues if line.startswith(_LEASES[0] + "\t")]
            assert holder in broker.ctl("list_connections", "pid", "name", "user")

        until(lambda: site.count() == 0, "the worker to take over")
        for part in (_READS, _SENDS):
            until(lambda part=part: code(worker, part) == "ok", f"{part} to work")  # type: ignore[misc]
        assert len(worker.told("standby.nobody_works")) == 2
        assert worker.stop() == 0


def start(site: Site, stack: ExitStack, name: str, command: str = "run", **settings: str) -> Worker:
    """Start a worker with these settings."""
    environment = {**site.environment, **{f"BRIDGE_RABBITMQ__{key}": value for key, value in settings.items()}}
    return stack.enter_context(site.process(command, environment, site.directory / f"{name}.log"))


@pytest.mark.timeout(240)
def test_a_frozen_process_that_keeps_its_leases_is_told_by_the_one_that_stands_by(site: Site) -> None:
    """Its heartbeats would give it three minutes."""
    with ExitStack() as stack:
        owner = start(site, stack, "owner", HEARTBEAT_SECONDS="60")
        until(owner.ready, "the first to work")
        other = start(site, stack, "other")
        until(lambda: {code(other, part) for part in (_READS, _SENDS)} == {"standby"}, "the second to stand by")
        until(other.ready, "the second to be ready")
        until(lambda: other.metric("bridge_broker_other_workers") == 1, "the first one to be heard")
        assert {other.metric("bridge_health_part_up", part=part) for part in (_READS, _SENDS)} == {1.0}
        loud = [str(line["event"]) for line in other.log_lines() if line["level"] in {"warning", "error"}]
        assert [event for event in loud if event.startswith(("ingest.", "egress.", "standby."))] == []

        owner.freeze()
        began = time.monotonic()
        for part in (_READS, _SENDS):
            until(lambda part=part: code(other, part) == "nobody_works", f"{part} to say so")  # type: ignore[misc]

        assert time.monotonic() - began < _BOUND_SECONDS
        assert not other.ready()
        owner.thaw()
        until(other.ready, "the second to be ready again", seconds=30)
        assert {code(other, part) for part in (_READS, _SENDS)} == {"standby"}


@pytest.mark.timeout(240)
def test_a_worker_that_may_not_announce_itself_alarms_nobody_as_long_as_it_works(
    site: Site, broker: BrokerNode
) -> None:
    """Nor does one of a release before there were announcements, which is seen in the same way: by its work alone."""
    vhost = unquote(urlsplit(site.amqp_url).path[1:])
    broker.create_user(
        "older", "p4ss", vhost=vhost, configure=r"^mail\.lease\.(in|out)bound\.", write=r"^mail\.", read=r"^mail\.out"
    )
    older = urlsplit(site.amqp_url)
    url = older._replace(netloc=f"older:p4ss@{older.netloc.rpartition('@')[2]}").geturl()
    with ExitStack() as stack:
        owner = start(site, stack, "owner", URLS=url)
        until(owner.ready, "the first to work")
        until(lambda: code(owner, "broker:workers") == "broker_right_missing", "the first to say what it may not")
        environment = with_least_rights("run", site.environment)
        other = stack.enter_context(site.process("run", environment, site.directory / "other.log"))
        until(lambda: {code(other, part) for part in (_READS, _SENDS)} == {"standby"}, "the second to stand by")

        doubted = {"holder_unknown"}
        until(lambda: {code(other, part) for part in (_READS, _SENDS)} == doubted, "the second to doubt")
        ends = time.monotonic() + 30
        while time.monotonic() < ends:
            site.sandbox.deliver(ADDRESS, _MAIL)
            until(lambda: site.count() == 0, "the mail to be taken")
            assert {code(other, part) for part in (_READS, _SENDS)} == doubted
        assert other.ready()
        assert not other.told("standby.nobody_works")


@pytest.mark.timeout(400)
def test_the_leases_of_a_frozen_broker_node_are_told_by_both_workers(tmp_path: Path, sandbox: SandboxProcess) -> None:
    """They said `standby`, both, and nothing was read for 67 s."""
    with Cluster(tmp_path / "cluster") as cluster, ExitStack() as stack:
        vhost = cluster.new_vhost()
        urls = [node.vhost_url(vhost) for node in cluster.nodes]
        site = make_site(tmp_path, sandbox, urls[1])
        quick = {"HEARTBEAT_SECONDS": "2", "CONNECT_TIMEOUT_SECONDS": "3"}
        owner = start(site, stack, "owner", "ingest", URLS=",".join(urls), **quick)
        until(owner.ready, "the first to work")
        other = start(site, stack, "other", "ingest", URLS=",".join((urls[1], urls[2])), **quick)
        until(lambda: code(other, _READS) == "standby", "the second to stand by")
        until(lambda: other.metric("bridge_broker_other_workers") == 1, "the first one to be heard")

        cluster.nodes[0].freeze()
        try:
            began = time.monotonic()
            site.sandbox.deliver(ADDRESS, _MAIL)
            until(lambda: code(other, _READS) == "nobody_works", "the second to say so")
            until(lambda: code(owner, _READS) == "nobody_works", "the first to say so")
            assert time.monotonic() - began < _BOUND_SECONDS
            assert not other.ready()
            assert not owner.ready()
        finally:
            cluster.nodes[0].thaw()
        until(lambda: site.count() == 0, "one of them to read", seconds=120)
