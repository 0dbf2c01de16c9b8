"""One cell of the crash matrix: a worker that stands still at a point, and what happens to the world meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import signal
import socket
import uuid
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from typing import TYPE_CHECKING, Any

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.wire.topology import topology
from tests.support.fork_server import ForkedWorker
from tests.support.proxy import TcpProxy
from tests.support.rabbit import patiently
from tests.support.rights import make_vhosts, with_least_rights
from tests.support.sandbox import as_given
from tests.support.workers import take, until

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bridge.demo.broker_node import BrokerNode
    from tests.support.fork_server import ForkServer
    from tests.support.sandbox import SandboxProcess
    from tests.support.workers import Worker

_HEARTBEAT_SECONDS = 1
_AT_LEAST_ONCE = {"x-dead-letter-strategy": "at-least-once"}
_LOOK_SECONDS = 0.1
"""A look is a connection to the broker, or a search in the sandbox, for several seconds in each cell."""


@dataclass
class Site:
    """A mailbox and a virtual host of its own, and links that can be cut."""

    directory: Path
    broker: BrokerNode
    sandbox: SandboxProcess
    fork_server: ForkServer
    stack: contextlib.ExitStack
    alias: str = "dispatch"
    workers: list[Worker] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    """What every worker of the cell is given besides."""
    mailbox: dict[str, Any] = field(default_factory=dict)
    """What its mailbox is configured with besides."""
    real_heartbeats: bool = False
    """Keep the time of heartbeats that a worker has where nothing is configured."""

    def __post_init__(self) -> None:
        self.address = f"c{uuid.uuid4().hex[:12]}@example.org"
        self.sandbox.add_mailbox(self.address)
        vhost = uuid.uuid4().hex
        make_vhosts(self.broker, [vhost])
        self._restarted, self._passed_on = False, 0  # the next line reads both, even where the rest fails
        self.stack.callback(self._delete_vhost, vhost)
        self.amqp_url = self.broker.vhost_url(vhost)
        wanted = topology([self.alias])
        self._passed_on = sum(_AT_LEAST_ONCE.items() <= queue.arguments.items() for queue in wanted.queues)
        asyncio.run(RabbitTopology(patiently(self.amqp_url)).apply(wanted))
        self.amqp = self.stack.enter_context(TcpProxy(self.broker.amqp_port))
        self.ews_url = str(self.sandbox.info["ews_url"])
        [self._ews_port] = re.findall(r":(\d+)/", self.ews_url)
        self.ews = self.stack.enter_context(TcpProxy(int(self._ews_port)))
        self._listener = self.stack.enter_context(socket.socket(socket.AF_UNIX))
        self._listener.bind(str(self.directory / "point"))
        self._listener.listen()
        self._listener.settimeout(30)
        self._line: socket.socket | None = None

    def _delete_vhost(self, vhost: str) -> None:
        if self._restarted:  # a moment ago
            until(lambda: self.broker.passes_on(self._passed_on), "the queues to pass on what they give up", seconds=60)
        self.broker.delete_vhost(vhost)

    # The worker at its point.

    def start(self, command: str, *, point: str = "") -> Worker:
        """Start a worker; with a point it goes through the links and stands still there."""
        environment = with_least_rights(command, self._environment(through_links=bool(point)) | self.settings)
        if point:
            environment |= {"MATRIX_POINT": point, "MATRIX_SOCKET": str(self.directory / "point")}
        log = self.directory / f"{command}-{len(self.workers)}.log"
        worker = self.stack.enter_context(ForkedWorker(self.fork_server, command, environment, log))
        self.workers.append(worker)
        return worker

    def await_point(self) -> None:
        """Return once the worker stands still at its point."""
        self._line, _ = self._listener.accept()
        self.stack.callback(self._line.close)
        assert self._line.recv(16) == b"reached\n"

    def go_on(self, word: bytes = b"go on") -> None:
        """Let it go on; `lose` takes the answer away."""
        assert self._line is not None
        with contextlib.suppress(BrokenPipeError):
            self._line.sendall(word)

    def _environment(self, *, through_links: bool) -> dict[str, str]:
        amqp_url, ews_url = self.amqp_url, self.ews_url
        if through_links:
            amqp_url = amqp_url.replace(f":{self.broker.amqp_port}", f":{self.amqp.port}")
            ews_url = ews_url.replace(f":{self._ews_port}/", f":{self.ews.port}/")
        mailbox = {
            "alias": self.alias,
            "address": self.address,
            "send_rate_per_minute": "unlimited",
            "recipients_per_day": "unlimited",
            **self.mailbox,
        }
        heartbeats = {} if self.real_heartbeats else {"BRIDGE_RABBITMQ__HEARTBEAT_SECONDS": str(_HEARTBEAT_SECONDS)}
        return heartbeats | {
            "BRIDGE_CONFIG": str(self.sandbox.directory / "bridge.toml"),
            "BRIDGE_MAILBOXES": json.dumps([mailbox]),
            "BRIDGE_RABBITMQ__URLS": amqp_url,
            "BRIDGE_RABBITMQ__CONFIRM_TIMEOUT_SECONDS": "1",
            "BRIDGE_EWS__URL": ews_url,
            "BRIDGE_EGRESS__SELF_TEST": "false",  # the cuts are for the calls of requests
            "BRIDGE_EWS__CALL_TIMEOUT_SECONDS": "3",
            "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.1",
            "BRIDGE_INGEST__LISTING_INTERVAL_SECONDS": "1",
            "BRIDGE_INGEST__KEEP_SECONDS": "0.5",
        }

    @property
    def _patience_seconds(self) -> float:
        return 240.0 if self.real_heartbeats else 60.0

    # What happens meanwhile.

    def happen(self, cut: str, worker: Worker, command: str, finished: Callable[[], bool]) -> None:
        """Make one thing happen while the worker stands at its point, and let the work go on without help."""
        match cut:
            case "kill worker":
                worker.kill()
                self.start(command)
            case "kill broker":
                self.broker.sync()
                self.broker.kill()
                self.broker.start()
                self._restarted = True
                self.go_on()
            case "kill sandbox":
                self.sandbox.kill()
                self.sandbox.start()
                self.go_on()
            case "cut links":
                self.amqp.cut()
                self.ews.cut()
                self.go_on()
            case "black-hole links":
                self.amqp.blackhole()
                self.ews.blackhole()
                self.go_on()
                self.start(command)
                until(finished, "another worker to finish", seconds=self._patience_seconds, look_seconds=_LOOK_SECONDS)
                self.amqp.carry()
                self.ews.carry()
            case "freeze worker":
                worker.freeze()
                self.start(command)
                until(finished, "another worker to finish", seconds=self._patience_seconds, look_seconds=_LOOK_SECONDS)
                worker.thaw()
                self.go_on()
            case "lose answer":
                self.go_on(b"lose")
        until(finished, "the work to be finished", seconds=self._patience_seconds, look_seconds=_LOOK_SECONDS)

    def end(self) -> None:
        """Stop every worker that still runs; each ends by itself, with all that it has in hand settled."""
        for worker in self.workers:
            if worker.running:
                worker.thaw()
                assert worker.stop() in {0, 5, -signal.SIGTERM}

    # What is to be seen.

    def folder(self, name: str = "inbox") -> list[dict[str, Any]]:
        """Return the mails of a folder."""
        return self.sandbox.mails(self.address, name)

    def deliver(self, *mails: bytes) -> None:
        """Deliver mails, and return once all of them lie in the inbox: in a realistic world they come late."""
        for mail in mails:
            self.sandbox.deliver(self.address, mail)
        until(lambda: len(self.folder()) >= len(mails), "the mails to be delivered")

    def said(self, mime: bytes) -> object:
        """Return what has to come through of a mail: each byte, or where Exchange makes mail anew what it says."""
        if not self._realistic:
            return mime
        mail = message_from_bytes(mime, policy=policy.default)
        parts = [part for part in mail.walk() if not part.is_multipart()]
        return str(mail["Subject"]), tuple(
            part.get_content() if part.is_attachment() else part.get_content().strip() for part in parts
        )

    def came(self, mime: bytes) -> object:
        """Return what came through of a mail, without what Exchange put before it."""
        return self.said(mime if self._realistic else as_given(mime))

    @property
    def _realistic(self) -> bool:
        return bool(self.sandbox.admin("/settings")["realistic"])

    def taken(self, queue: str) -> list[dict[str, Any]]:
        """Take the payloads out of a queue."""
        return [json.loads(body) for _, body in take(self.amqp_url, queue)]
