"""A sandbox and a broker for the cells of one process, which they may kill; a mailbox and a virtual host for each."""

from __future__ import annotations

import contextlib
import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from bridge.demo.broker_node import BrokerNode
from tests.matrix.cells import PARTS
from tests.matrix.site import Site
from tests.support.fork_server import ForkServer
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.matrix.cells import Cell

_DAY = "matrix_day"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--real-heartbeats", action="store_true", help="heartbeats to the broker as in production, in the place of 1 s"
    )
    parser.addoption("--all", action="store_true", dest="every_cell", help="every cell, not only the choice of a day")
    parser.addoption(
        "--day", type=int, default=datetime.now(UTC).timetuple().tm_yday, help="whose choice; today's day of the year"
    )
    parser.addoption("--realistic", action="store_true", help="a world as unkind as Exchange's (docs/sandbox.md)")


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401 - a process of pytest-xdist
    """Give all processes one day, also at midnight."""
    node.workerinput[_DAY] = node.config.getoption("--day")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what the day has not chosen; let cells take longer where the broker takes longer to notice."""
    if config.getoption("--real-heartbeats", default=False):
        for item in items:
            item.add_marker(pytest.mark.timeout(600), append=False)
    if config.getoption("every_cell", default=True):
        return
    chosen = {part.test: set(part.cells_of(_day(config))) for part in PARTS}
    left_out = [item for item in items if isinstance(item, pytest.Function) and not _is_chosen(item, chosen)]
    config.hook.pytest_deselected(items=left_out)
    items[:] = [item for item in items if item not in left_out]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Say which cells these were."""
    if config.getoption("every_cell", default=True):
        return
    day, every = _day(config), sum(len(part.cells()) for part in PARTS)
    chosen = sum(len(part.cells_of(day)) for part in PARTS)
    terminalreporter.write_line(f"The matrix: {chosen} of {every} cells, those of --day {day}; --all runs all of them.")


def _is_chosen(item: pytest.Function, chosen: Mapping[str, set[Cell]]) -> bool:
    return item.originalname not in chosen or item.callspec.params["at"] in chosen[item.originalname]


def _day(config: pytest.Config) -> int:
    given: dict[str, int] = getattr(config, "workerinput", {})
    return given[_DAY] if _DAY in given else int(config.getoption("--day"))


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
