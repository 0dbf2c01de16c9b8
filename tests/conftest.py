"""Fixtures for all tests. Those that need a broker ask for one of the fixtures below; no other test starts it."""

from __future__ import annotations

import os
import resource
import signal
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import hypothesis
import pytest

from bridge.demo.broker_node import BrokerNode, BrokerNodeError
from tests.support.broker import BrokerOwner, SharedBroker, end_run
from tests.support.fork_server import ForkServer
from tests.support.rights import give_rights, make_vhosts

if TYPE_CHECKING:
    from collections.abc import Iterator

# How long an example takes tells how busy the machine is. What has a bound in time is held to it by a test of its own.
hypothesis.settings.register_profile("tests", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("tests")

_OWNER = pytest.StashKey[BrokerOwner]()
_CPU_BEFORE = pytest.StashKey[float]()
_DIRECTORY = "BRIDGE_TESTS_BROKER_DIRECTORY"


class _Node(Protocol):
    workerinput: dict[str, str]


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # So a shell starts what runs in the background, and processes hand it on: Ctrl-C would reach none of a test's.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # `nohup` does the same with SIGHUP.
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if not hasattr(config, "workerinput"):
        config.stash[_OWNER] = BrokerOwner()


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: _Node) -> None:
    config: pytest.Config = node.config  # type: ignore[attr-defined]
    node.workerinput[_DIRECTORY] = str(config.stash[_OWNER].directory)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files first in which a test may take longest, so that no run ends with one process at work."""
    longest: dict[Path, float] = {}
    for item in items:
        for mark in item.iter_markers("timeout"):
            longest[item.path] = max(longest.get(item.path, 0.0), float(mark.args[0]))
    items.sort(key=lambda item: -longest.get(item.path, 0.0))


# What a test costs stands in the junit file beside its name; tests/support/costs.py adds it up.


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> Iterator[None]:
    """Note what the machine spends on a test from here on, and how long its fixtures take."""
    item.stash[_CPU_BEFORE], begun = _cpu_seconds(), time.monotonic()
    yield
    item.user_properties.append(("setup_seconds", round(time.monotonic() - begun, 2)))


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown(item: pytest.Item) -> Iterator[None]:
    """Add up the CPU of this process and of those that it waited for."""
    yield
    item.user_properties.append(("cpu_seconds", round(_cpu_seconds() - item.stash[_CPU_BEFORE], 2)))


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in used)


def pytest_unconfigure(config: pytest.Config) -> None:
    owner = config.stash.get(_OWNER, None)
    if owner is not None:
        owner.close()


@pytest.fixture(scope="session")
def _shared_broker(request: pytest.FixtureRequest) -> SharedBroker:
    owner = request.config.stash.get(_OWNER, None)
    directory = owner.directory if owner is not None else Path(request.config.workerinput[_DIRECTORY])  # type: ignore[attr-defined]
    return SharedBroker(directory, os.environ.get("PYTEST_XDIST_WORKER", "main"))


@pytest.fixture(scope="session")
def broker(_shared_broker: SharedBroker) -> BrokerNode:
    """The run's broker node, shared by all tests: nobody stops, freezes or alarms it (see `own_broker`)."""
    return _shared_broker.node


@pytest.fixture
def vhost(_shared_broker: SharedBroker) -> str:
    """A virtual host of the run's node for this test alone."""
    return _shared_broker.new_vhost()


@pytest.fixture
def broker_url(broker: BrokerNode, vhost: str) -> str:
    """The administrator's AMQP address of this test's own virtual host."""
    return broker.vhost_url(vhost)


@pytest.fixture(scope="module")
def _module_broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerNode]:
    try:
        node = BrokerNode(tmp_path_factory.mktemp("broker"), other_plugins=False)
        node.start()
        give_rights(node)
    except BrokerNodeError as error:
        raise end_run(str(error)) from error
    try:
        yield node
    finally:
        node.stop()


@pytest.fixture
def own_broker(_module_broker: BrokerNode) -> Iterator[BrokerNode]:
    """A node that the tests of this module may kill, freeze and alarm; whole again for each test."""
    _module_broker.start()
    yield _module_broker
    if _module_broker.running:
        _module_broker.thaw()


@pytest.fixture
def own_vhost(own_broker: BrokerNode) -> str:
    """A virtual host of that node for this test alone."""
    name = f"own-{uuid.uuid4().hex[:12]}"
    make_vhosts(own_broker, [name])
    return name


@pytest.fixture
def own_url(own_broker: BrokerNode, own_vhost: str) -> str:
    """The administrator's AMQP address of that virtual host."""
    return own_broker.vhost_url(own_vhost)


@pytest.fixture(scope="session")
def fork_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    """Starts workers that need not load the bridge each for itself."""
    with ForkServer(tmp_path_factory.mktemp("workers")) as fork_server:
        yield fork_server
