"""The private node leaves nothing behind and disturbs nobody."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bridge.adapters.rabbitmq.login import try_login
from bridge.demo import broker_files
from bridge.demo.broker_node import BrokerNode, BrokerNodeError
from bridge.errors import BrokerAccessRefused, BrokerUnavailable
from tests.support.rabbit import a_channel, take_all
from tests.support.waits import line_of

if TYPE_CHECKING:
    from collections.abc import Callable


def test_each_test_has_its_own_virtual_host(broker: BrokerNode, vhost: str) -> None:
    """Two names in a row differ, and both can be opened."""
    try_login(broker.vhost_url(vhost))

    with pytest.raises(BrokerAccessRefused):
        try_login(broker.vhost_url("no-such-host"))


def test_a_wrong_password_is_named_as_such(broker: BrokerNode, vhost: str) -> None:
    """Refused, not unavailable: waiting would not help."""
    with pytest.raises(BrokerAccessRefused):
        try_login(broker.vhost_url(vhost, username="nobody", password="wrong"))


def test_many_may_administer_it_at_once(broker: BrokerNode, vhost: str) -> None:
    """As the processes of a run of tests do."""
    names = [f"{vhost}-{number}" for number in range(8)]

    with ThreadPoolExecutor(len(names)) as threads:
        list(threads.map(lambda name: broker.create_vhosts([name]), names))

    for name in names:
        try_login(broker.vhost_url(name))


def test_a_restarted_node_keeps_its_address(own_broker: BrokerNode) -> None:
    """Same port, same password, also after a kill."""
    url = own_broker.url

    own_broker.kill()
    with pytest.raises(BrokerUnavailable):
        try_login(url, timeout_seconds=1)
    own_broker.start()

    try_login(url)
    assert own_broker.url == url


def test_queues_that_were_just_declared_outlive_a_kill_once_they_are_synced(
    own_broker: BrokerNode, own_url: str
) -> None:
    """With what is in them, and with a leader that confirms more."""
    names = [f"q-{number}" for number in range(5)]
    with a_channel(own_url) as channel:
        for name in names:
            channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"})
            channel.basic_publish("", name, b"first", mandatory=True)

    own_broker.sync()
    own_broker.kill()
    own_broker.start()

    with a_channel(own_url) as channel:
        for name in names:
            channel.basic_publish("", name, b"second", mandatory=True)
    for name in names:
        assert [message.body for message in take_all(own_url, name)] == [b"first", b"second"]


def test_killed_owner_leaves_no_process_behind(tmp_path: Path) -> None:
    """The guard ends beam, epmd and itself once the owner is gone."""
    owner = subprocess.Popen(
        [sys.executable, "-m", "bridge.demo.broker_node", "--dir", str(tmp_path)], stdout=subprocess.PIPE
    )
    assert owner.stdout is not None
    ready = json.loads(line_of(owner.stdout, "the node to start"))
    owner.stdout.close()
    assert _processes_of(tmp_path)

    os.kill(ready["pid"], signal.SIGKILL)
    owner.wait(30)

    _until(lambda: not _processes_of(tmp_path), "processes of the node are still there")


def test_foreground_node_stops_when_its_input_closes(tmp_path: Path) -> None:
    """Whoever holds the other end of the pipe owns the node."""
    owner = subprocess.Popen(
        [sys.executable, "-m", "bridge.demo.broker_node", "--dir", str(tmp_path), "--until-stdin-closes"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert owner.stdout is not None
    assert owner.stdin is not None
    assert json.loads(line_of(owner.stdout, "the node to start"))["url"].startswith("amqp://")

    owner.stdin.close()
    owner.stdout.close()

    assert owner.wait(40) == 0
    # Killed, all of them; a machine with much to do takes its time to end them.
    _until(lambda: not _processes_of(tmp_path), "processes of the node are still there")


def test_missing_server_is_named_with_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person must know what to install."""
    monkeypatch.setattr(broker_files, "SCRIPT_DIRECTORIES", (str(tmp_path),))

    with pytest.raises(BrokerNodeError, match="apt-get install rabbitmq-server"):
        BrokerNode(tmp_path / "node")


def test_a_node_that_cannot_start_says_why(tmp_path: Path) -> None:
    """The end of its log is in the error."""
    node = BrokerNode(tmp_path / "node", configuration="no_such_setting = 1")

    with pytest.raises(BrokerNodeError, match="no_such_setting"):
        node.start()

    _until(lambda: not _processes_of(tmp_path), "processes of the node are still there")


def _processes_of(directory: Path) -> list[str]:
    """Every process whose environment or arguments name the directory."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                text = (entry / "environ").read_bytes() + (entry / "cmdline").read_bytes()
            except OSError:
                continue
            if str(directory).encode() in text:
                found.append(entry.name)
    return found


def _until(condition: Callable[[], bool], failure: str, *, timeout_seconds: float = 20) -> None:
    deadline = time.monotonic() + timeout_seconds
    while not condition():
        assert time.monotonic() < deadline, failure
        time.sleep(0.05)
