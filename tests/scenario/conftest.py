"""A sandbox, a virtual host with the topology, and the settings that join them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.support.rights import with_least_rights
from tests.support.sandbox import SandboxProcess
from tests.support.workers import Worker, bridge

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ADDRESS = "dispatch@example.org"


@dataclass
class Site:
    """Where workers run against: environment for them, handles for the test."""

    directory: Path
    sandbox: SandboxProcess
    amqp_url: str
    environment: dict[str, str]

    def worker(self, command: str, **settings: str) -> Worker:
        """
        Return a worker that is not started yet; settings such as `INGEST__BATCH_MAILS`.

        On the broker it may do what its work needs, and nothing else.
        """
        extra = {f"BRIDGE_{key}": value for key, value in settings.items()}
        environment = with_least_rights(command, {**self.environment, **extra})
        return Worker(command, environment, self.directory / f"{command}.log")

    def count(self, folder: str = "inbox", address: str = ADDRESS) -> int:
        """Return how many mails a folder holds."""
        return int(self.sandbox.admin(f"/mailboxes/{address}/folders/{folder}/mails?limit=1")["total"])


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[SandboxProcess]:
    """A sandbox with one mailbox, dispatch@example.org."""
    with SandboxProcess(tmp_path / "sandbox", mailboxes=[ADDRESS]) as process:
        yield process


@pytest.fixture
def site(tmp_path: Path, sandbox: SandboxProcess, broker_url: str) -> Site:
    """The sandbox and a virtual host of the run's broker, with the topology applied."""
    return make_site(tmp_path, sandbox, broker_url)


def make_site(directory: Path, sandbox: SandboxProcess, amqp_url: str, *, config: Path | None = None) -> Site:
    """Apply the topology of the sandbox's configuration, or another one, and return the joint settings."""
    environment = {
        "BRIDGE_CONFIG": str(config or sandbox.directory / "bridge.toml"),
        "BRIDGE_RABBITMQ__URLS": amqp_url,
        "BRIDGE_INGEST__POLL_INTERVAL_SECONDS": "0.2",
    }
    patient = {**environment, "BRIDGE_RABBITMQ__CONNECT_TIMEOUT_SECONDS": "60"}  # as in `patiently`
    applied = bridge("topology", "apply", environment=patient, timeout_seconds=120)
    assert applied.returncode == 0, applied.stderr
    return Site(directory, sandbox, amqp_url, environment)
