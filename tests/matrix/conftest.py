"""A sandbox and a broker for the cells of one process, which they may kill; a mailbox and a virtual host for each."""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING

import pytest

from bridge.demo.broker_node import BrokerNode
from tests.matrix.nursery import Nursery
from tests.matrix.site import Site
from tests.support.sandbox import SandboxProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="session")
def cell_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerNode]:
    """A node that cells may kill."""
    with BrokerNode(tmp_path_factory.mktemp("broker")) as node:
        yield node


@pytest.fixture(scope="session")
def cell_sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """A sandbox that cells may kill."""
    with SandboxProcess(tmp_path_factory.mktemp("sandbox") / "sandbox", mailboxes=["crew@example.org"]) as process:
        process.admin("/settings", method="PUT", body={"sends_per_minute": None})
        yield process


@pytest.fixture(scope="session")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    """Where the workers of all cells come from."""
    with Nursery(tmp_path_factory.mktemp("workers")) as nursery:
        yield nursery


@pytest.fixture
def site(tmp_path: Path, cell_broker: BrokerNode, cell_sandbox: SandboxProcess, nursery: Nursery) -> Iterator[Site]:
    """One cell; what runs in it is ended afterwards."""
    logging.getLogger("pika").setLevel(logging.CRITICAL)  # what is missing is declared: no news
    with contextlib.ExitStack() as stack:
        yield Site(tmp_path, cell_broker, cell_sandbox, nursery, stack)
