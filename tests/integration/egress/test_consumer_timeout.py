"""A request is held for longer than the broker lets a consumer hold one: it comes again, and is sent once."""

from __future__ import annotations

import asyncio
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.wire.topology import TopologyOptions, topology
from tests.integration.egress.conftest import ADDRESS, Site, until
from tests.support.rabbit import patiently
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from bridge.demo.broker_node import BrokerNode
    from tests.support.fork_server import ForkServer

_TIMEOUT_SECONDS = 2
_HELD_SECONDS = 6
"""The broker takes a delivery back three times meanwhile."""


@pytest.fixture
def site(tmp_path: Path, own_broker: BrokerNode, own_url: str, fork_server: ForkServer) -> Iterator[Site]:
    """A node that looks twice a second, and queues whose deliveries may be held for two seconds."""
    own_broker.ctl("eval", "application:set_env(rabbit, channel_tick_interval, 500).")
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, "crew@example.org"]) as sandbox:
        sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None})
        # Heartbeats are no concern of this: the connection is to outlive a frozen worker.
        quiet = {"BRIDGE_LOG__FORMAT": "json", "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "60"}
        site = Site(tmp_path, sandbox, own_url, fork_server, environment=quiet)
        short = topology(["dispatch"], TopologyOptions(consumer_timeout_seconds=_TIMEOUT_SECONDS))
        asyncio.run(RabbitTopology(patiently(site.amqp_url)).apply(short))
        yield site
        for worker in site.workers:
            if worker.poll() is None:
                site.kill(worker)


@pytest.mark.timeout(180)
@pytest.mark.parametrize(
    "fault",
    [
        pytest.param({"kind": "stall_after", "seconds": _HELD_SECONDS}, id="sent-answer-late"),
        pytest.param({"kind": "stall_before", "seconds": _HELD_SECONDS}, id="not-sent-yet"),
    ],
)
@pytest.mark.parametrize("operation", ["SendItem", "CreateItem"])
def test_a_request_held_beyond_the_consumer_timeout_is_sent_once_and_ends_with_one_event(
    site: Site, operation: str, fault: dict[str, Any]
) -> None:
    """The worker that held it is told that it lost it, gets it again, and finds what it did itself."""
    worker = site.start()
    match = {"operation": operation, "folder": "drafts"} if operation == "CreateItem" else {"operation": operation}
    site.sandbox.faults({"match": match, "fault": fault, "times": 1})
    site.request(["r-1"])

    _assert_lost_and_ended_once(site)
    assert site.stop(worker) == 0
    assert site.outbound_left() == 0


@pytest.mark.timeout(180)
def test_a_worker_frozen_beyond_the_consumer_timeout_sends_once_when_it_wakes_up(site: Site) -> None:
    worker = site.start()
    late = {"kind": "stall_after", "seconds": 1}
    site.sandbox.faults({"match": {"operation": "SendItem"}, "fault": late, "times": 1})
    site.request(["r-1"])
    until(lambda: bool(site.sent()), "the send to be made")
    worker.send_signal(signal.SIGSTOP)
    frozen = time.monotonic()
    until(lambda: time.monotonic() - frozen > _HELD_SECONDS, "the broker to take it back")
    worker.send_signal(signal.SIGCONT)

    _assert_lost_and_ended_once(site)
    assert site.stop(worker) == 0
    assert site.outbound_left() == 0


def _assert_lost_and_ended_once(site: Site) -> None:
    events: list[dict[str, Any]] = []

    def ended() -> bool:
        events.extend(site.events())
        return bool(events) and _told(site, "broker.channel_lost") and site.outbound_left() == 0

    until(ended, "the delivery to be lost, and the request to end")
    assert site.sent() == {"r-1": 1}
    events += site.events()
    assert {(one["event"], one["request_id"]) for one in events} == {("outbound.sent", "r-1")}
    assert len({one["event_id"] for one in events}) == 1


def _told(site: Site, event: str) -> bool:
    lines = (site.directory / "worker.log").read_text(errors="replace").splitlines()
    return any(json.loads(line).get("event") == event for line in lines if line.startswith("{"))
