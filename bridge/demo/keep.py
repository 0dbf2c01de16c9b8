"""What `--keep` does after the account: prints where everything is, and watches it until it is told to stop."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.request import getproxies_environment

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.demo.broker_node import BrokerNode
    from bridge.demo.broker_users import BrokerUsers
    from bridge.demo.processes import Processes

_LOOK_SECONDS = 0.5


def keep(
    processes: Processes,
    broker: BrokerNode,
    users: BrokerUsers,
    sandbox: Mapping[str, Any],
    directory: Path,
    *,
    say: Callable[[str], None],
) -> None:
    """
    Tell the addresses, then whatever ends by itself; only an exception ends it.

    Raises:
        KeyboardInterrupt: It was told to stop.
    """
    health = {name: processes.logged(name, "process.started", "health") for name in ("ingest", "egress")}
    for line in _lines(sandbox, broker.url, users, directory, health):
        say(line)
    broker_reported = False
    try:
        while True:
            # Somebody may be trying out what happens when a part dies: the rest stays up.
            for name in processes.take_ended():
                say(f"{name} has ended; to have it back, in the other shell: bridge {name}")
            if not broker.running and not broker_reported:
                broker_reported = True
                say("RabbitMQ has ended")
            time.sleep(_LOOK_SECONDS)
    finally:
        say("stopping")


def _lines(
    sandbox: Mapping[str, Any], administrator: str, users: BrokerUsers, directory: Path, health: Mapping[str, str]
) -> list[str]:
    addresses = {
        "RabbitMQ, as its administrator": administrator,
        "mail for " + sandbox["mailboxes"][0]["address"]: f"smtp://{sandbox['smtp']}",
        "EWS": sandbox["ews_url"],
        "sandbox's page and admin API": sandbox["admin_url"],
        **{f"{name}'s health": f"{url} (and /metrics)" for name, url in health.items()},
        "logs": f"{directory}/*.log",
    }
    width = max(map(len, addresses))
    exports = {
        "BRIDGE_CONFIG": shlex.quote(f"{directory}/sandbox/bridge.toml"),
        "BRIDGE_RABBITMQ__URLS": shlex.quote(users.url("bridge-run")),
        "AMQP_URL": shlex.quote(users.url("bridge-cad")),
        "SMTP_URL": f"smtp://{sandbox['smtp']}",
        **({"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"} if getproxies_environment() else {}),
        "PATH": f"{shlex.quote(str(Path(sys.executable).parent))}:$PATH",
    }
    return [
        "",
        f"Everything keeps running; Ctrl-C here, or kill {os.getpid()}, ends and removes it.",
        *(f"  {name:<{width}}  {address}" for name, address in addresses.items()),
        "In another shell, for the bridge's commands, the examples and curl:",
        *(f"  export {name}={value}" for name, value in exports.items()),
        "That is a worker's login. A CAD system has another, which bridge send and bridge tail need:",
        "  BRIDGE_RABBITMQ__URLS=$AMQP_URL bridge tail       events: what became of requests",
        "  python docs/examples/consume.py                   mails, as JSON from a queue of its own",
        "Reply, beside a sent mail on the sandbox's page, shows what `answers` in that JSON is for.",
    ]
