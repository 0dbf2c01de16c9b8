"""One sandbox for all tests of a process, and a virtual host of the run's broker for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.identity.place import Place
from tests.support.fork_server import ForkServer
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--steady-seconds", type=float, default=1.0, help="how long mail flows before and after each renewal"
    )
    parser.addoption("--fleet", type=int, default=50, help="how many workers start at once")


@pytest.fixture
def steady_seconds(pytestconfig: pytest.Config) -> float:
    """How long mail flows before and after what a test is about."""
    return float(pytestconfig.getoption("--steady-seconds", 1.0))


@pytest.fixture(scope="session")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox in the form of Exchange Online."""
    with SandboxProcess(tmp_path_factory.mktemp("identity") / "sandbox") as process:
        yield process


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox in the form of an Exchange Server on-premises."""
    with SandboxProcess(tmp_path_factory.mktemp("identity") / "server", on_premises=True) as process:
        yield process


@pytest.fixture
def place(tmp_path: Path, sandbox: SandboxProcess, broker_url: str, fork_server: ForkServer) -> Place:
    """The sandbox, with a virtual host for this test."""
    return Place(tmp_path, sandbox, broker_url, fork_server=fork_server)


@pytest.fixture
def on_premises(tmp_path: Path, server: SandboxProcess, broker_url: str, fork_server: ForkServer) -> Place:
    """The server, with a virtual host for this test."""
    return Place(tmp_path, server, broker_url, fork_server=fork_server)


@pytest.fixture
def own_place(tmp_path: Path, broker_url: str, fork_server: ForkServer) -> Iterator[Place]:
    """A sandbox of this test's own, whose certificates it may change."""
    with SandboxProcess(tmp_path / "own") as process:
        yield Place(tmp_path, process, broker_url, fork_server=fork_server)
