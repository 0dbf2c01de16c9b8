"""A sandbox and a broker for the cells of one process, which they may kill; a mailbox and a virtual host for each."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from bridge.demo.broker_node import BrokerNode
from tests.matrix.site import Site
from tests.support.fork_server import ForkServer
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-heartbeats", action="store_true", help="heartbeats to the broker as in production, in the place of 1 s"
    )
    parser.addoption("--realistic", action="store_true", help="a world as unkind as Exchange's (docs/sandbox.md)")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Let cells take longer where the broker takes longer to notice."""
    if config.getoption("--real-heartbeats", default=False):
        for item in items:
            item.add_marker(pytest.mark.timeout(600), append=False)


@pytest.fixture(scope="session")
def cell_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerNode]:
    """A node that cells may kill."""
    with BrokerNode(tmp_path_factory.mktemp("broker"), other_plugins=False) as node:
        yield node


@pytest.fixture(scope="session")
def cell_sandbox(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Iterator[SandboxProcess]:
    """A sandbox that cells may kill."""
    directory = tmp_path_factory.mktemp("sandbox") / "sandbox"
    realistic = bool(pytestconfig.getoption("--realistic", default=False))
    with SandboxProcess(directory, mailboxes=["crew@example.org"], realistic=realistic) as process:
        process.admin("/settings", method="PUT", body={"sends_per_minute": None})
        yield process


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts the workers of all cells, each with or without a point at which it stands still."""
    with ForkServer(tmp_path_factory.mktemp("workers"), module="tests.matrix.points") as fork_server:
        yield fork_server


@pytest.fixture
def site(
    tmp_path: Path,
    cell_broker: BrokerNode,
    cell_sandbox: SandboxProcess,
    fork_server: ForkServer,
    pytestconfig: pytest.Config,
) -> Iterator[Site]:
    """One cell; what runs in it is ended afterwards."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # what is missing is declared: no news
    with contextlib.ExitStack() as stack:
        real = bool(pytestconfig.getoption("--real-heartbeats", default=False))
        yield Site(tmp_path, cell_broker, cell_sandbox, fork_server, stack, real_heartbeats=real)
