"""The fixtures for other people's projects, used by such a project: its own directory, its own run of pytest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

_EXAMPLE = Path(__file__).parents[3] / "docs" / "examples" / "test_exchange.py"
_CONFTEST = 'pytest_plugins = ["bridge.sandbox.testing"]\n'


def _project(folder: Path, test: str, conftest: str = _CONFTEST) -> Path:
    folder.mkdir()
    (folder / "conftest.py").write_text(conftest)
    (folder / "test_theirs.py").write_text(test)
    return folder


def _command(folder: Path, *options: str) -> list[str]:
    own = ["-q", "-p", "no:cacheprovider", "--rootdir", str(folder), "--basetemp", str(folder / "tmp")]
    return [sys.executable, "-m", "pytest", *own, *options, str(folder)]


def _run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # Without the variables by which this run's own pytest would speak to it.
    environment = {key: value for key, value in os.environ.items() if not key.startswith("PYTEST_")}
    return subprocess.run(
        _command(folder, *options),
        cwd=folder, env=environment, capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip


def test_the_documented_example_passes_as_it_stands(tmp_path: Path) -> None:
    ran = _run(_project(tmp_path / "theirs", _EXAMPLE.read_text("utf-8")))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "4 passed" in ran.stdout


def test_the_example_passes_on_several_workers(tmp_path: Path) -> None:
    ran = _run(_project(tmp_path / "theirs", _EXAMPLE.read_text("utf-8")), "-n2")

    assert ran.returncode == 0, ran.stdout + ran.stderr


_ISOLATION = """
import imaplib

from bridge.sandbox.testing import as_given

def test_one(exchange_mailbox):
    exchange_mailbox.deliver(b"Subject: one\\r\\n\\r\\nOne\\r\\n")
    exchange_mailbox.fault("cut_before", operation="GetItem")
    (mail,) = exchange_mailbox.mails()
    assert as_given(exchange_mailbox.mime(mail["item_id"])) == b"Subject: one\\r\\n\\r\\nOne\\r\\n"

def test_two(exchange_mailbox, exchange_sandbox):
    assert exchange_mailbox.mails() == []
    assert exchange_sandbox.fault_report() == []

def test_settings_end_with_their_block(exchange_mailbox, exchange_sandbox):
    before = exchange_sandbox.admin("/settings")
    with exchange_mailbox.settings(sends_per_minute=3), exchange_sandbox.settings(back_ends=5):
        during = exchange_sandbox.admin("/settings")
        assert during["mailboxes"] == {exchange_mailbox.address: {"sends_per_minute": 3}}
        assert during["back_ends"] == 5
    assert exchange_sandbox.admin("/settings") == before

def test_sends_are_the_mailbox_s_own(exchange_mailbox):
    from exchangelib import Message
    account = exchange_mailbox.account()
    Message(account=account, subject="Out", to_recipients=["crew@elsewhere.example"]).send()
    assert [send["recipients"] for send in exchange_mailbox.sends()] == [["crew@elsewhere.example"]]

def test_a_restart_keeps_mailboxes_that_a_test_made(exchange_mailbox, exchange_sandbox):
    exchange_mailbox.deliver()
    exchange_sandbox.restart()
    assert len(exchange_mailbox.mails()) == 1
"""


def test_tests_do_not_see_each_other(tmp_path: Path) -> None:
    ran = _run(_project(tmp_path / "theirs", _ISOLATION))

    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "5 passed" in ran.stdout


_ON_PREMISES = """
import requests
from requests_ntlm import HttpNtlmAuth

def test_a_new_mailbox_signs_in_by_password(exchange_mailbox):
    box = exchange_mailbox
    for auth in (box.username, box.password), HttpNtlmAuth(box.username, box.password):
        with requests.Session() as session:
            session.trust_env, session.verify = False, box.sandbox.ca_file
            answer = session.post(box.sandbox.info["ews_url"], data=b"<", auth=auth, timeout=30)
        assert answer.status_code != 401
"""


def test_on_premises_a_new_mailbox_has_a_password_at_once(tmp_path: Path) -> None:
    conftest = _CONFTEST + (
        "import pytest\n"
        "@pytest.fixture(scope='session')\n"
        "def exchange_sandbox_options():\n"
        "    return {'on_premises': True}\n"
    )

    ran = _run(_project(tmp_path / "theirs", _ON_PREMISES, conftest))

    assert ran.returncode == 0, ran.stdout + ran.stderr


_KILLED = """
import json, os, pathlib, signal

def test_the_run_is_killed(exchange_sandbox):
    told = pathlib.Path(os.environ["TOLD"])
    told.with_suffix(".new").write_text(json.dumps({"sandbox": exchange_sandbox.pid, "run": os.getpid()}))
    told.with_suffix(".new").replace(told)
    signal.pause()
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_the_sandbox_ends_with_a_run_that_is_killed(tmp_path: Path, how: signal.Signals) -> None:
    folder, told = _project(tmp_path / "theirs", _KILLED), tmp_path / "told"
    with subprocess.Popen(_command(folder), cwd=folder, env={**os.environ, "TOLD": str(told)}) as run:
        try:
            _until(told.exists)
            pids = json.loads(told.read_text())
            assert _alive(pids["sandbox"])

            os.kill(pids["run"], how)

            _until(lambda: not _alive(pids["sandbox"]))
        finally:
            run.kill()


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _until(met: object) -> None:
    until = time.monotonic() + 30
    while not met():  # type: ignore[operator]
        assert time.monotonic() < until
        time.sleep(0.05)


def test_pytest_is_no_dependency_of_the_package() -> None:
    program = (
        "import sys; sys.modules['pytest'] = None; "
        "import bridge.sandbox.__main__, bridge.sandbox.server, bridge.cli.app, bridge.demo.__main__"
    )

    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
