"""What a private broker node keeps in its directory: ports and secrets that stay, configuration, surroundings."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import shutil
import socket
from pathlib import Path
from typing import TYPE_CHECKING

from bridge.demo.broker_plugins import only

if TYPE_CHECKING:
    from collections.abc import Sequence

# The scripts themselves, not the wrappers in /usr/sbin, which insist on being root or the user `rabbitmq`.
SCRIPT_DIRECTORIES = (
    "/usr/lib/rabbitmq/bin",
    "/opt/rabbitmq/sbin",
    "/usr/local/sbin",
    "/opt/homebrew/opt/rabbitmq/sbin",
)

USER = "bridge"

# Schedulers that do not spin while idle, and few of them: the machine is shared with what is being tried.
_ERL_ARGUMENTS = "+S {schedulers}:{schedulers} +sbwt none +sbwtdcpu none +sbwtdio none +A 8"

_CONFIGURATION = """\
listeners.tcp.1 = 127.0.0.1:{amqp_port}
default_user = {user}
default_pass = {password}
default_vhost = /
default_permissions.configure = .*
default_permissions.read = .*
default_permissions.write = .*
disk_free_limit.absolute = 64MB
# Quorum queues keep this much of their log in memory; the default is 512 MB.
raft.wal_max_size_bytes = 33554432
# A login waits for a machine that is busy with other things; 10 s, the default, has been too short for one.
handshake_timeout = 60000
log.console = true
log.console.level = warning
log.file = false
{extra}
"""


class BrokerNodeError(Exception):
    """The node cannot be started, or does not answer; the text says what to do."""


class NodeFiles:
    """The directory of one node. Ports and secrets are drawn once, so that a node that comes back is the same one."""

    def __init__(
        self, directory: Path, *, configuration: str, plugins: Sequence[str], other_plugins: bool, schedulers: int
    ) -> None:
        self.directory = directory.absolute()
        if any(character.isspace() for character in str(self.directory)):
            msg = f"RabbitMQ's scripts cannot live in a directory with spaces in its path: {self.directory}"
            raise BrokerNodeError(msg)
        self.scripts = find_scripts()
        self.pid_file = self.directory / "rabbitmq.pid"
        self.log = self.directory / "server.log"
        self._extra_configuration = configuration
        self._plugins = tuple(plugins)
        self._other_plugins = other_plugins
        self._shown_plugins: Path | None = None
        self._schedulers = schedulers
        self._identity = self._load_identity()

    @property
    def amqp_port(self) -> int:
        """Where it takes AMQP, on 127.0.0.1."""
        return int(self._identity["amqp_port"])

    @property
    def epmd_port(self) -> int:
        """Where its own port mapper listens."""
        return int(self._identity["epmd_port"])

    @property
    def password(self) -> str:
        """The administrator's password."""
        return str(self._identity["password"])

    @property
    def node_name(self) -> str:
        """What Erlang calls the node; those of a cluster have names of their own."""
        return str(self._identity.get("node_name", "bridge@localhost"))

    def write(self) -> None:
        """Write everything that the server reads at its start."""
        for name in ("data", "log", "config"):
            (self.directory / name).mkdir(exist_ok=True)
        config = self.directory / "config"
        _write_private(self.directory / ".erlang.cookie", str(self._identity["cookie"]), mode=0o400)
        _write_private(
            config / "rabbitmq.conf",
            _CONFIGURATION.format(
                amqp_port=self.amqp_port, user=USER, password=self.password, extra=self._extra_configuration
            ),
        )
        (config / "enabled_plugins").write_text(f"[{','.join(self._plugins)}].\n")
        (config / "rabbitmq-env.conf").write_text("")
        if not self._other_plugins:
            self._shown_plugins = only(self._plugins, scripts=self.scripts, into=self.directory / "plugins")

    def environment(self) -> dict[str, str]:
        """Return the surroundings of the server and of `rabbitmqctl`."""
        # Nothing of a system broker's surroundings may leak in (RABBITMQ_*, ERL_*, NOTIFY_SOCKET): start from nothing.
        config = self.directory / "config"
        shown = {} if self._shown_plugins is None else {"RABBITMQ_PLUGINS_DIR": str(self._shown_plugins)}
        return shown | {
            "PATH": os.environ.get("PATH", os.defpath),
            "LANG": "C.UTF-8",
            "LC_ALL": "C.UTF-8",
            "HOME": str(self.directory),  # where Erlang looks for the cookie
            "ERL_EPMD_PORT": str(self.epmd_port),
            "ERL_EPMD_ADDRESS": "127.0.0.1",
            "ERL_CRASH_DUMP_BYTES": "0",
            "RABBITMQ_NODENAME": self.node_name,
            "RABBITMQ_DIST_PORT": str(self._identity["distribution_port"]),
            "RABBITMQ_CONF_ENV_FILE": str(config / "rabbitmq-env.conf"),
            "RABBITMQ_CONFIG_FILE": str(config / "rabbitmq.conf"),
            "RABBITMQ_ADVANCED_CONFIG_FILE": str(config / "advanced.config"),
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(config / "enabled_plugins"),
            "RABBITMQ_GENERATED_CONFIG_DIR": str(config / "generated"),
            "RABBITMQ_MNESIA_BASE": str(self.directory / "data"),
            "RABBITMQ_LOG_BASE": str(self.directory / "log"),
            "RABBITMQ_PID_FILE": str(self.pid_file),
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": (
                _ERL_ARGUMENTS.format(schedulers=self._schedulers) + " -kernel inet_dist_use_interface {127,0,0,1}"
            ),
            "RABBITMQ_CTL_ERL_ARGS": "+S 1:1 +sbwt none",
        }

    def log_end(self) -> str:
        """Return the last lines that the server wrote."""
        with contextlib.suppress(OSError):
            return "\n".join(self.log.read_text(errors="replace").splitlines()[-100:])
        return ""

    def _load_identity(self) -> dict[str, str | int]:
        file = self.directory / "node.json"
        with contextlib.suppress(FileNotFoundError):
            loaded: dict[str, str | int] = json.loads(file.read_text())
            return loaded
        self.directory.mkdir(parents=True, exist_ok=True)
        amqp_port, distribution_port, epmd_port = _free_ports(3)
        identity: dict[str, str | int] = {
            "amqp_port": amqp_port,
            "distribution_port": distribution_port,
            "epmd_port": epmd_port,
            "password": secrets.token_hex(16),
            "cookie": secrets.token_hex(20),
        }
        _write_private(file, json.dumps(identity))
        return identity


def find_scripts() -> Path:
    """
    Return where RabbitMQ's scripts are.

    Raises:
        BrokerNodeError: It is not installed; the text names the package.
    """
    for directory in SCRIPT_DIRECTORIES:
        if (Path(directory) / "rabbitmq-server").exists():
            return Path(directory)
    msg = (
        "RabbitMQ is not installed: no rabbitmq-server in "
        + ", ".join(SCRIPT_DIRECTORIES)
        + ". On Debian and Ubuntu: apt-get install rabbitmq-server"
    )
    raise BrokerNodeError(msg)


def _free_ports(count: int) -> list[int]:
    # Below the range that the kernel gives to outgoing connections: one of them could take the port of a node that is
    # about to come back.
    ports: list[int] = []
    while len(ports) < count:
        port = 20_000 + secrets.randbelow(12_000)
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in ports:
                ports.append(port)
    return ports


def _write_private(file: Path, text: str, *, mode: int = 0o600) -> None:
    file.unlink(missing_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w") as opened:
        opened.write(text)


def erlang_program(program: str) -> str:
    """
    Return where a program of Erlang is, which need not be on the path.

    Raises:
        BrokerNodeError: It is not there.
    """
    found = shutil.which(program)
    if found is None:
        beside = sorted(Path("/usr/lib/erlang").glob(f"erts-*/bin/{program}"))
        if not beside:
            msg = f"{program}, a part of Erlang, is missing; Debian's package is erlang-base"
            raise BrokerNodeError(msg)
        found = str(beside[-1])
    return found
