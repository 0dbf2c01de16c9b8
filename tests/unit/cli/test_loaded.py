"""What a command does not load, for it would take CPU time at each start, and memory for as long as a worker runs."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from bridge.cli.exits import Exit

if TYPE_CHECKING:
    from pathlib import Path

_CONFIGURATION = """\
[ews]
url = "https://127.0.0.1:1/EWS/Exchange.asmx"
auth = "ntlm"
[[mailboxes]]
alias = "dispatch"
address = "dispatch@example.org"
username = "EXAMPLE\\\\bridge"
[rabbitmq]
urls = ["amqp://127.0.0.1:1/vhost"]
[http]
listen = "192.0.2.1:9"
"""
# No machine has the address of the page, which is for documentation: a worker that is loaded ends there.
_PROGRAM = """
import atexit, gc, sys
atexit.register(lambda: print("collects", gc.isenabled(), *sorted(sys.modules), sep="\\n"))
import bridge.cli
sys.argv[0] = "bridge"
bridge.cli.main()
"""
_LIBRARIES = {
    "aiohttp", "cryptography", "exchangelib", "lxml", "msal", "obstore", "pika", "prometheus_client", "pydantic",
    "requests", "structlog", "urllib3",
}  # fmt: skip
_NO_WORKER = {"bridge.client", "bridge.demo", "bridge.doctor", "bridge.probe", "bridge.sandbox"}


def _loaded(directory: Path, *arguments: str, code: int) -> set[str]:
    (directory / "bridge.toml").write_text(_CONFIGURATION)
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM, *arguments],
        env=os.environ | {"BRIDGE_CONFIG": str(directory / "bridge.toml"), "BRIDGE_MAILBOXES__0__PASSWORD": "x"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code, done.stderr
    assert "library.spoke" not in done.stderr
    _, collects, *names = done.stdout[done.stdout.index("collects\n") :].split()
    assert collects == "True"
    return set(names)


@pytest.mark.parametrize("arguments", [("--help",), ("ingest", "--help"), ("topology", "--help"), ("--version",)])
def test_help_is_shown_without_anything_that_only_commands_need(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    loaded = _loaded(tmp_path, *arguments, code=Exit.OK)

    # Typer itself takes pydantic for the options of a command; not for the list of all.
    assert not loaded & (_LIBRARIES | {"asyncio"}) - ({"pydantic"} if len(arguments) > 1 else set())
    assert {name for name in loaded if name.startswith("bridge.") and not name.startswith("bridge.cli")} == set()


def test_the_topology_is_shown_without_workers_and_without_exchange(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "topology", "show", code=Exit.OUTSIDE)

    assert {"bridge.adapters.rabbitmq.admin", "pika"} <= loaded
    assert not loaded & {"aiohttp", "cryptography", "exchangelib", "lxml", "msal", "obstore", "prometheus_client"}
    others = {"bridge.adapters.ews", "bridge.adapters.entra", "bridge.ingest", "bridge.egress", "bridge.worker"}
    assert not loaded & (others | {"bridge.mime", "bridge.flow"} | _NO_WORKER)


def test_a_topology_is_exported_without_a_broker(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "topology", "export", code=Exit.OK)

    assert "bridge.wire.topology" in loaded
    assert not loaded & (_LIBRARIES - {"pydantic"})


def test_a_worker_that_reads_is_loaded_without_what_sends(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "ingest", code=Exit.USAGE)

    assert {"bridge.ingest.reader", "bridge.adapters.system.parser_subprocess"} <= loaded
    assert not loaded & {"bridge.egress", "bridge.wire.outbound_v1", "bridge.adapters.ews.sender", "rich", "obstore"}
    assert not loaded & _NO_WORKER


def test_a_worker_that_sends_is_loaded_without_what_reads(tmp_path: Path) -> None:
    loaded = _loaded(tmp_path, "egress", code=Exit.USAGE)

    assert {"bridge.egress.sender", "bridge.adapters.ews.sender"} <= loaded
    assert not loaded & {"bridge.ingest", "bridge.wire.inbound_build", "bridge.adapters.ews.inbox", "rich", "obstore"}
    assert not loaded & _NO_WORKER


def test_what_both_directions_need_is_there_before_a_worker_begins(tmp_path: Path) -> None:
    assert {"bridge.ingest.reader", "bridge.egress.sender"} <= _loaded(tmp_path, "run", code=Exit.USAGE)
