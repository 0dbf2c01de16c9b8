"""A cluster of three broker nodes of our own, on this machine."""

from __future__ import annotations

import json
import secrets
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Self

from bridge.adapters.rabbitmq.login import try_login
from bridge.demo.broker_node import BrokerNode
from bridge.errors import BrokerUnavailable
from tests.support.workers import until

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

_NODES = 3


class Cluster:
    """Three nodes that share a port mapper, a cookie and a login."""

    def __init__(self, directory: Path) -> None:
        self.nodes = [
            BrokerNode(directory / str(number), other_plugins=False, schedulers=1) for number in range(_NODES)
        ]
        first = json.loads((self.nodes[0].directory / "node.json").read_text())
        shared = {name: first[name] for name in ("epmd_port", "password", "cookie")}
        for number, node in enumerate(self.nodes):
            file = node.directory / "node.json"
            own = json.loads(file.read_text())
            file.write_text(json.dumps({**own, **shared, "node_name": f"bridge-{number}@localhost"}))
        self.nodes = [BrokerNode(node.directory, other_plugins=False, schedulers=1) for node in self.nodes]

    def __enter__(self) -> Self:
        try:
            # The first one brings the port mapper that the others use, too.
            self.nodes[0].start()
            with ThreadPoolExecutor() as threads:
                list(threads.map(self._join, self.nodes[1:]))
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all nodes; the one with the port mapper last."""
        for node in reversed(self.nodes):
            node.kill()
            node.stop()

    def new_vhost(self) -> str:
        """
        Return the name of a virtual host that is open on all nodes.

        One that came back a moment ago, and is not yet seen as running, opens it ten seconds after.
        """
        name = secrets.token_hex(4)
        self.nodes[0].create_vhosts([name])
        for node in self.nodes:
            until(lambda node=node: _opens(node.vhost_url(name)), f"{node.directory.name} to open a virtual host")  # type: ignore[misc]
        return name

    @staticmethod
    def _join(node: BrokerNode) -> None:
        node.start()
        node.ctl("stop_app")
        node.ctl("reset")
        node.ctl("join_cluster", "bridge-0@localhost")
        node.ctl("start_app")


def _opens(url: str) -> bool:
    try:
        try_login(url)
    except BrokerUnavailable:
        return False
    return True
