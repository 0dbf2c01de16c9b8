"""SIGHUP has the configuration read again; a wrong one changes nothing."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from bridge.cli.reload import Reloads
from bridge.config import load
from bridge.telemetry.logging import configure

_TEXT = """
[entra]
tenant_id = "example.org"
client_id = "99999999-2222-3333-4444-555555555555"
client_secret = "{secret}"
[[mailboxes]]
alias = "a"
address = "a@example.org"
[rabbitmq]
urls = ["amqp://broker"]
[http]
listen = "127.0.0.1:{port}"
"""


@pytest.fixture(autouse=True)
def lines(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    stream = io.StringIO()
    # A terminal's SIGHUP means that it is gone; the test's own may be one.
    monkeypatch.setattr("sys.stdin", io.StringIO())
    monkeypatch.setattr("bridge.cli.reload.configure", lambda **_: configure(style="json", stream=stream))
    configure(style="json", stream=stream)
    return stream


async def _reloaded(path: Path, lines: io.StringIO, *, changed: str) -> list[Any]:
    """Start with what the file holds, change it, send SIGHUP, and return what was taken up once that is told."""
    reloads = Reloads(lambda: load(path, {}), load(path, {}).settings)
    reloads.listen()
    task = asyncio.create_task(reloads.run())
    await asyncio.to_thread(path.write_text, changed)
    os.kill(os.getpid(), signal.SIGHUP)
    async with asyncio.timeout(60):
        while "configuration.reload" not in lines.getvalue():
            await asyncio.sleep(0.001)
    task.cancel()
    asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
    return [reloads.renewed.get_nowait() for _ in range(reloads.renewed.qsize())]


async def test_a_changed_secret_is_taken_up_and_told_by_its_key(tmp_path: Path, lines: io.StringIO) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(_TEXT.format(secret="old", port=1))

    (settings,) = await _reloaded(path, lines, changed=_TEXT.format(secret="mArKeR", port=2))

    assert settings.entra.client_secret.get_secret_value() == "mArKeR"
    line = json.loads(lines.getvalue().splitlines()[-1])
    assert line["event"] == "configuration.reloaded"
    assert line["changed"] == ["entra.client_secret"]
    assert line["needs_restart"] == ["http.listen"]
    assert line["level"] == "warning"
    assert "mArKeR" not in lines.getvalue()


async def test_a_wrong_configuration_changes_nothing_and_is_told(tmp_path: Path, lines: io.StringIO) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(_TEXT.format(secret="old", port=1))

    assert await _reloaded(path, lines, changed=_TEXT.format(secret="", port="x")) == []

    line = json.loads(lines.getvalue().splitlines()[-1])
    assert line["event"] == "configuration.reload_refused"
    assert any(problem.startswith("entra.client_secret") for problem in line["problems"])


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


async def test_a_worker_that_was_started_with_nohup_reloads_at_sighup_too(
    tmp_path: Path, lines: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not every nohup takes the terminal away from standard input; the worker must outlive it all the same."""
    path = tmp_path / "bridge.toml"
    path.write_text(_TEXT.format(secret="old", port=1))
    monkeypatch.setattr("sys.stdin", _Terminal())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        (settings,) = await _reloaded(path, lines, changed=_TEXT.format(secret="new", port=1))
    finally:
        signal.signal(signal.SIGHUP, before)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)

    assert not stopped.is_set()
    assert settings.entra.client_secret.get_secret_value() == "new"


async def test_a_worker_whose_terminal_is_gone_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "bridge.toml"
    path.write_text(_TEXT.format(secret="old", port=1))
    monkeypatch.setattr("sys.stdin", _Terminal())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    try:
        reloads = Reloads(lambda: load(path, {}), load(path, {}).settings)
        reloads.listen()
        os.kill(os.getpid(), signal.SIGHUP)
        await asyncio.wait_for(stopped.wait(), 60)
    finally:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGTERM)
        asyncio.get_running_loop().remove_signal_handler(signal.SIGHUP)
