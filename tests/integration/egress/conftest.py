"""A sandbox, a broker with the topology, and egress workers as processes."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pika
import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.wire.topology import topology
from tests.support import workers
from tests.support.fork_server import ForkedProcess, ForkServer
from tests.support.rabbit import patiently
from tests.support.rights import with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from pika.adapters.blocking_connection import BlockingChannel

ADDRESS = "dispatch@example.org"


def until(condition: Callable[[], bool], what: str, *, seconds: float = 180.0) -> None:
    """Return once it is so; fail with `what` was waited for."""
    workers.until(condition, what, seconds=seconds)


def _hears_sigterm(worker: ForkedProcess) -> bool:
    """A process that is only starting dies of the signal."""
    status = Path(f"/proc/{worker.pid}/status").read_text()
    return bool(int(status.partition("SigCgt:")[2].split()[0], 16) >> (signal.SIGTERM - 1) & 1)


@dataclass
class Site:
    """Where workers run, seen from outside."""

    directory: Path
    sandbox: SandboxProcess
    amqp_url: str
    fork_server: ForkServer
    workers: list[ForkedProcess] = field(default_factory=list)
    send_rate_per_minute: int | str = "unlimited"
    environment: dict[str, str] = field(default_factory=dict)
    """Of workers, besides what each has."""

    def start(self) -> ForkedProcess:
        """Start a worker."""
        mailbox = {
            "alias": "dispatch",
            "address": ADDRESS,
            "send_rate_per_minute": self.send_rate_per_minute,
            "recipients_per_day": "unlimited",
        }
        environment = {
            "BRIDGE_CONFIG": str(self.sandbox.directory / "bridge.toml"),
            "BRIDGE_MAILBOXES": json.dumps([mailbox]),
            "BRIDGE_RABBITMQ__URLS": self.amqp_url,
            "BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": "2",
            "BRIDGE_EWS__CALL_TIMEOUT_SECONDS": "20",
            "BRIDGE_HTTP__LISTEN": "127.0.0.1:0",
            # Faults and cuts are for the calls of requests; tests of the self-test turn it on.
            "BRIDGE_EGRESS__SELF_TEST": "false",
            **self.environment,
        }
        surroundings = clean(with_least_rights("egress", environment))
        worker = self.fork_server.start(["egress"], surroundings, self.directory / "worker.log")
        self.workers.append(worker)
        return worker

    def kill(self, worker: ForkedProcess) -> None:
        """SIGKILL."""
        worker.kill()
        worker.wait(10)

    def stop(self, worker: ForkedProcess) -> int:
        """SIGTERM once it is heard, and the exit code."""
        until(lambda: worker.poll() is not None or _hears_sigterm(worker), "the worker to start")
        worker.send_signal(signal.SIGTERM)
        return worker.wait(30)

    @contextlib.contextmanager
    def channel(self) -> Iterator[BlockingChannel]:
        """A channel with confirms."""
        with contextlib.closing(pika.BlockingConnection(pika.URLParameters(self.amqp_url))) as connection:
            channel = connection.channel()
            channel.confirm_delivery()
            yield channel

    def apply_topology(self) -> None:
        """Declare what is missing."""
        asyncio.run(RabbitTopology(patiently(self.amqp_url)).apply(topology(["dispatch"])))

    def request(self, request_ids: Sequence[str], *, key: str = "dispatch", **fields: Any) -> None:
        """Publish requests as a CAD system does."""
        with self.channel() as channel:
            for request_id in request_ids:
                body = {"request_id": request_id, "to": [{"address": "crew@example.org"}], "text": "x", **fields}
                properties = pika.BasicProperties(
                    message_id=request_id, content_type="application/json", delivery_mode=2
                )
                channel.basic_publish("mail.outbound", key, json.dumps(body).encode(), properties, mandatory=True)

    def depth(self, queue: str) -> int:
        """How many messages are ready in a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.message_count)

    def consumers(self, queue: str) -> int:
        """How many workers take from a queue."""
        with self.channel() as channel:
            return int(channel.queue_declare(queue, passive=True).method.consumer_count)

    def events(self, queue: str = "mail.events") -> list[dict[str, Any]]:
        """Take all events so far."""
        taken: list[dict[str, Any]] = []
        with self.channel() as channel:
            while True:
                method, _, body = channel.basic_get(queue, auto_ack=True)
                if method is None or body is None:
                    return taken
                taken.append(json.loads(body))

    def sent(self) -> Counter[str]:
        """How often each request was sent, by Exchange's own account."""
        return Counter(send["request_id"] for send in self.sandbox.sends())

    def outbound_left(self) -> int:
        """How many requests wait anywhere."""
        names = ["mail.outbound.dispatch", "mail.outbound.dispatch.urgent", "mail.outbound.returned"]
        names += [f"mail.outbound.retry.{step}" for step in ("5s", "30s", "2m", "10m")]
        return sum(self.depth(name) for name in names)


@pytest.fixture
def site(tmp_path: Path, broker_url: str, fork_server: ForkServer) -> Iterator[Site]:
    """A sandbox and a virtual host with the topology; workers that are left over are killed."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS, "crew@example.org"]) as sandbox:
        # The rate is a matter of its own (tests/integration/sandbox/test_behaviour.py); here mail leaves at once.
        sandbox.admin("/settings", method="PUT", body={"sends_per_minute": None})
        site = Site(tmp_path, sandbox, broker_url, fork_server)
        site.apply_topology()
        yield site
        for worker in site.workers:
            if worker.poll() is None:
                site.kill(worker)
