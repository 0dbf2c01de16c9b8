"""`bridge demo`, as somebody meets it who has just cloned the project."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.support.workers import bridge, clean, until

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A directory of temporary files of the test's own, where leftovers of others are not."""
    return {"TMPDIR": str(tmp_path)}


@contextlib.contextmanager
def demo(environment: dict[str, str], *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A demo in a session of its own, killed at the latest when the test is over."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bridge", "demo", *arguments],
        env=clean(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def read_until(process: subprocess.Popen[str], text: str) -> list[str]:
    """Read standard error up to the line that has the text."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line.rstrip("\n"))
        if text in line:
            return lines
    raise AssertionError("\n".join(lines))


def processes_of(directory: Path) -> list[str]:
    """The command lines of processes that name the directory, there or in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            line = (process / "cmdline").read_bytes()
            if line and str(directory).encode() in line + (process / "environ").read_bytes():
                found.append(line.replace(b"\0", b" ").decode(errors="replace"))
    return found


def role_of(url: str) -> str:
    with urlopen(url, timeout=10) as answer:  # noqa: S310 - on loopback, printed by the demo
        return str(json.load(answer)["role"])


def test_demo_adds_up_and_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    away = {"HTTPS_PROXY": "http://127.0.0.1:1", "http_proxy": "http://127.0.0.1:1", "BRIDGE_EGRESS__LEDGER_DAYS": "no"}

    done = bridge("demo", "--requests", "6", "--json", environment=environment | away, timeout_seconds=120)

    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary.pop("seconds") > 0
    assert summary == {
        "delivered": 9,
        "published": 9,
        "removed": 9,
        "left": 0,
        "parked": 0,
        "lost": 0,
        "repeated": 0,
        "requested": 6,
        "sent": 6,
        "sent_twice": 0,
        "events": 6,
    }
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_kept_demo_reports_first_and_its_addresses_work(environment: dict[str, str], tmp_path: Path) -> None:
    with demo(environment, "--keep", "--requests", "1", "--json") as process:
        told = "\n".join(read_until(process, "export PATH="))
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["sent"] == 1
        exports = dict(re.findall(r"export (\w+)=(\S+)", told))
        assert {role_of(url) for url in re.findall(r"(http://\S+/health)", told)} == {"ingest", "egress"}
        own = {name: exports[name] for name in exports if name.startswith("BRIDGE_")}
        checked = bridge("check", environment=own)
        cad = {**own, "BRIDGE_RABBITMQ__URLS": exports["AMQP_URL"]}
        request = ("--to", "crew@example.net", "--subject", "s", "--text", "t", "--wait")
        sent, refused = (bridge("send", *request, "dispatch", environment=login) for login in (cad, own))
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0

    assert checked.returncode == 0, checked.stdout
    assert (sent.returncode, refused.returncode) == (0, 3), sent.stderr + refused.stderr
    assert Path(exports["PATH"].removesuffix(":$PATH")) == Path(sys.executable).parent
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_interrupted_demo_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    with demo(environment) as process:
        read_until(process, "topology:")
        process.send_signal(signal.SIGINT)
        _, told = process.communicate(timeout=60)

    assert process.returncode == 130
    assert told.endswith("interrupted; nothing is left running\n")
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_killed_demo_takes_its_processes_along_and_the_next_one_its_directory(
    environment: dict[str, str], tmp_path: Path
) -> None:
    with demo(environment) as process:
        read_until(process, "workers:")
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
    [left] = tmp_path.iterdir()

    until(lambda: processes_of(tmp_path) == [], "the processes of the killed demo to end")
    done = bridge("demo", "--requests", "0", environment=environment, timeout_seconds=120)

    assert done.returncode == 0, done.stderr
    assert f"removed {left}, which a killed demo had left" in done.stderr
    assert list(tmp_path.iterdir()) == []
