"""The demo's processes: what they see, and that a signal loses none of them."""

from __future__ import annotations

import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from bridge.demo.processes import Processes, inherited

if TYPE_CHECKING:
    from pathlib import Path


def test_settings_of_another_bridge_and_proxies_are_not_for_the_demo() -> None:
    environ = {
        "PATH": "/bin",
        "BRIDGE_MAILBOXES": "[]",
        "BRIDGE_EGRESS__LEDGER_DAYS": "1",
        "BRIDGE_SANDBOX_RECORD": "/record",
        "HTTPS_PROXY": "http://proxy.example:3128",
        "no_proxy": "localhost",
    }

    assert inherited(environ) == {"PATH": "/bin", "BRIDGE_SANDBOX_RECORD": "/record"}


def test_signal_during_a_start_waits_until_the_process_is_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[subprocess.Popen[bytes]] = []

    class Popen(subprocess.Popen):  # type: ignore[type-arg]
        def __init__(self, _: object, **options: Any) -> None:
            os.kill(os.getpid(), signal.SIGINT)
            super().__init__(["sleep", "60"], **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Popen)

    with Processes(tmp_path, {}) as processes, pytest.raises(KeyboardInterrupt):
        processes.start("worker", [])

    [process] = started
    assert process.returncode == -signal.SIGTERM
