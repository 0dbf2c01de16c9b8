"""The probe as a process, on a sandbox with a mailbox that its configuration does not name."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from bridge.probe.guesses import STEPS, Needs
from bridge.probe.run import MODULES

if TYPE_CHECKING:
    from tests.support.sandbox import SandboxProcess

assert MODULES  # importing them has filled STEPS
TEST_BOX, WORKED_ON = "test-box@example.org", "dispatch@example.org"
BURSTS = frozenset({28, 32})
"""They send as much as a mailbox may in a minute, and wait for the next one."""
THOROUGH = frozenset(number for number, step in STEPS.items() if step.needs is Needs.THOROUGH)
PASSWORD_ONLY = frozenset(number for number, step in STEPS.items() if step.sign_in == "password")


def command(*options: str) -> list[str]:
    return [sys.executable, "-m", "bridge", "probe-exchange", *options]


def environment(sandbox: SandboxProcess) -> dict[str, str]:
    return {
        **{key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")},
        "BRIDGE_CONFIG": str(sandbox.directory.parent / "bridge.toml"),
        "BRIDGE_RABBITMQ__URLS": "amqp://nobody@127.0.0.1:1/",
    }


def probe(sandbox: SandboxProcess, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(*options), env=environment(sandbox), capture_output=True, text=True, timeout=110, check=False
    )


def report(ran: subprocess.CompletedProcess[str]) -> dict[int, dict[str, Any]]:
    assert ran.stdout.startswith("{"), ran.stdout + ran.stderr
    return {result["guess"]: result for result in json.loads(ran.stdout)["guesses"]}
