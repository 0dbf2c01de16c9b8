"""A worker that starts before its broker, or with a wrong password, says so of each part from the first second on."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from tests.support.proxy import TcpProxy
from tests.support.workers import Worker, until

if TYPE_CHECKING:
    from bridge.demo.broker_node import BrokerNode
    from tests.scenario.conftest import Site

_MAILBOX_PARTS = {"mailbox:dispatch:ingest", "mailbox:dispatch:egress"}
_STALE_SECONDS = 45.0


def start(site: Site, stack: ExitStack, name: str, url: str) -> Worker:
    """Start a worker that finds the broker there."""
    environment = {**site.environment, "BRIDGE_RABBITMQ__URLS": url, "BRIDGE_RABBITMQ__CONNECT_TIMEOUT_SECONDS": "5"}
    return stack.enter_context(site.process("run", environment, site.directory / f"{name}.log"))


@pytest.mark.timeout(240)
def test_what_is_waited_for_is_said_of_every_part_and_none_is_called_stalled(site: Site, broker: BrokerNode) -> None:
    """Each mailbox was told to hang after 45 s, with the advice to restart the worker."""
    parts = urlsplit(site.amqp_url)
    wrong = parts._replace(netloc=f"{parts.username}:wrong@{parts.hostname}:{parts.port}").geturl()
    with TcpProxy(broker.amqp_port) as away, TcpProxy(broker.amqp_port) as silent, ExitStack() as stack:
        away.refuse()
        silent.blackhole()
        workers = {
            "broker_login_refused": start(site, stack, "wrong", wrong),
            "broker_unavailable": start(
                site, stack, "away", site.amqp_url.replace(f":{broker.amqp_port}", f":{away.port}")
            ),
            "waits": start(site, stack, "silent", site.amqp_url.replace(f":{broker.amqp_port}", f":{silent.port}")),
        }
        began = time.monotonic()
        for code, worker in workers.items():
            first = worker.health()
            assert first.keys() >= _MAILBOX_PARTS
            if code == "waits":  # for as long as the node may still answer, that is all there is to say
                said = {(first[part]["code"], first[part]["detail"]) for part in _MAILBOX_PARTS}
                assert {detail for code, detail in said if code == "starting"} <= {"waits for RabbitMQ"}
                assert {code for code, _ in said} <= {"starting", "broker_unavailable"}
                until(lambda worker=worker: _said(worker) == {"broker_unavailable"}, "it to be given up", seconds=30)  # type: ignore[misc]
            else:
                until(lambda worker=worker, code=code: _said(worker) == {code}, code, seconds=30)  # type: ignore[misc]

        while time.monotonic() - began < _STALE_SECONDS + 10:
            for worker in workers.values():
                told = worker.health()
                assert not [part for part, state in told.items() if state["code"] == "stalled"]
                assert not [part for part, state in told.items() if state["status"] == "stale"]
            time.sleep(1.0)

        assert not any(worker.ready() for worker in workers.values())
        away.carry()
        silent.carry()
        silent.cut()
        for name in ("broker_unavailable", "waits"):
            until(lambda name=name: set(_statuses(workers[name])) <= {"ok", "standby"}, "it to work", seconds=90)  # type: ignore[misc]


def _said(worker: Worker) -> set[str]:
    told = worker.health()
    return {str(told[part]["code"]) for part in _MAILBOX_PARTS}


def _statuses(worker: Worker) -> list[str]:
    told = worker.health()
    return [str(told[part]["status"]) for part in _MAILBOX_PARTS]
