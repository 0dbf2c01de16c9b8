"""A broker with TLS and its further ways to sign in, configured by what `docs/broker.md` tells operators to write."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.demo.broker_node import BrokerNode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from tests.support.certificates import TestAuthority

_PAGE = Path(__file__).parents[2] / "docs" / "broker.md"
_PLUGINS = {"external": "rabbitmq_auth_mechanism_ssl", "oauth": "rabbitmq_auth_backend_oauth2"}


def block(name: str) -> str:
    """Return the lines of rabbitmq.conf that the page gives under a name."""
    found = re.findall(rf"```ini\n# {name}:[^\n]*\n(.*?)```", _PAGE.read_text("utf-8"), re.DOTALL)
    assert len(found) == 1, f"docs/broker.md has {len(found)} blocks named {name}"
    return str(found[0])


@dataclass
class SecuredBroker:
    """A node of its own with a listener for TLS."""

    node: BrokerNode
    port: int
    authority: TestAuthority

    @classmethod
    def prepared(
        cls, directory: Path, authority: TestAuthority, *ways: str, instead: Mapping[str, str] | None = None
    ) -> SecuredBroker:
        """
        Prepare a node with the page's block on TLS and these further ones.

        Args:
            directory: Where the node lives.
            authority: Issues its certificate, and those of clients.
            ways: `external`, `oauth`.
            instead: Lines of the page, by their key, that are others here; a line for a key that the page does not
                have is added.
        """
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        certificate = authority.issue("node")
        lines = dict(line.split(" = ", 1) for name in ("tls", *ways) for line in block(name).splitlines())
        lines |= {
            "listeners.ssl.1": f"127.0.0.1:{port}",
            "ssl_options.cacertfile": str(authority.file),
            "ssl_options.certfile": str(certificate),
            "ssl_options.keyfile": str(certificate),
            **(instead or {}),
        }
        configuration = "\n".join(f"{key} = {value}" for key, value in lines.items() if value)
        plugins = [_PLUGINS[way] for way in ways]
        node = BrokerNode(directory, configuration=configuration, plugins=plugins, other_plugins=False)
        return cls(node, port, authority)

    def url(self, vhost: str = "/", *, login: str = "") -> str:
        """Return the address of its TLS listener; `login` is `user:password`."""
        path = "%2F" if vhost == "/" else vhost
        return f"amqps://{login}{'@' if login else ''}localhost:{self.port}/{path}"

    @property
    def administrator(self) -> str:
        """The administrator's login."""
        return f"{self.node.username}:{self.node.password}"

    def __enter__(self) -> Self:
        self.node.start()
        deadline = time.monotonic() + 10
        while not self._listens():  # the TLS listener comes up after the one that tells that the node is ready
            assert time.monotonic() < deadline, "the TLS listener does not come up"
            time.sleep(0.05)
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.node.stop()

    def _listens(self) -> bool:
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return True
