"""A sandbox, a virtual host with the topology, and the settings that join them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.admin import RabbitTopology
from bridge.bootstrap.broker import rabbit_settings
from bridge.cli.broker import wanted_topology
from bridge.config import TopologySettings, load
from tests.support.fork_server import ForkedWorker, ForkServer
from tests.support.rights import with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

ADDRESS = "dispatch@example.org"


@dataclass
class Site:
    """Where workers run against: environment for them, handles for the test."""

    directory: Path
    sandbox: SandboxProcess
    amqp_url: str
    environment: dict[str, str]
    fork_server: ForkServer | None = None
    """Starts workers that need not load the bridge; without it each loads it, as in production."""

    def worker(self, command: str, **settings: str) -> Worker:
        """
        Return a worker that is not started yet; settings such as `INGEST__BATCH_MAILS`.

        On the broker it may do what its work needs, and nothing else.
        """
        extra = {f"BRIDGE_{key}": value for key, value in settings.items()}
        environment = with_least_rights(command, {**self.environment, **extra})
        return self.process(command, environment, self.directory / f"{command}.log")

    def process(self, command: str, environment: Mapping[str, str], log: Path) -> Worker:
        """Return a worker in these surroundings, with this log, that is not started yet."""
        if self.fork_server is None:
            return Worker(command, environment, log)
        return ForkedWorker(self.fork_server, command, environment, log)

    def count(self, folder: str = "inbox", address: str = ADDRESS) -> int:
        """Return how many mails a folder holds."""
        return int(self.sandbox.admin(f"/mailboxes/{address}/folders/{folder}/mails?limit=1")["total"])


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox with one mailbox, dispatch@example.org."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS]) as process:
        yield process


@pytest.fixture
def site(tmp_path: Path, sandbox: SandboxProcess, broker_url: str, fork_server: ForkServer) -> Site:
    """The sandbox and a virtual host of the run's broker, with the topology applied."""
    return make_site(tmp_path, sandbox, broker_url, fork_server)


def make_site(
    directory: Path,
    sandbox: SandboxProcess,
    amqp_url: str,
    fork_server: ForkServer | None = None,
    *,
    config: Path | None = None,
) -> Site:
    """Apply the topology of the sandbox's configuration, or another one, and return the joint settings."""
    environment = {
        "BRIDGE_CONFIG": str(config or sandbox.directory / "bridge.toml"),
        "BRIDGE_RABBITMQ__URLS": amqp_url,
        "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.2",
    }
    apply_topology(environment)
    return Site(directory, sandbox, amqp_url, environment, fork_server)


def apply_topology(environment: Mapping[str, str]) -> None:
    """Declare what a configuration needs on the broker, as `bridge topology apply` does."""
    # A node that is busy with others may take long to answer, as in `patiently`.
    patient = {**environment, "BRIDGE_RABBITMQ__CONNECT_TIMEOUT_SECONDS": "60"}
    settings = load(None, patient, TopologySettings).settings
    broker = RabbitTopology(rabbit_settings(settings.rabbitmq, name="tests", app=settings.broker_app))
    found = asyncio.run(broker.apply(wanted_topology(settings)))
    assert {finding.state for finding in found} <= {"declared", "present"}, found
